"""What a landing zone is made of, whatever it lies on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol, runtime_checkable

from reelkeeper.landing.sidecar import Sidecar
from reelkeeper.model import Key, Sha256
from reelkeeper.stores.protocols import Stats

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Found:
    """A file as one look at its zone saw it. `modified_at` is by the zone's clock, which need not be right."""

    path: str  # inside the zone, `/`-separated; a URL in a zone of downloads
    size_bytes: int
    modified_at: datetime
    sidecar: tuple[int, datetime] | None = None  # size in bytes and modification of `<path>.json`; None: there is none
    inode: int | None = None  # of a file on disk: another that takes its place has another


@dataclass(frozen=True, slots=True)
class Fetched:
    """The bytes of a landing file on this machine."""

    path: Path
    name: str  # of the file, with its extension
    size_bytes: int
    modified_at: datetime
    sha256: Sha256 | None  # where it was computed as the bytes came; None: not yet
    is_temporary: bool  # ours to delete; else the landing file itself
    start: datetime | None = None  # when the footage starts, by the place it came from


class Source(Protocol):
    """A zone's files. Methods may be called from many threads at once, `scan` from one.

    They raise only errors of `reelkeeper.errors`: ObjectNotFound when a file is gone, StoreUnavailable and others when
    the zone itself cannot be read.
    """

    settles: bool
    """Whether two looks need time between them: a file may grow, or its sidecar be on its way."""

    def scan(self) -> Iterator[Found]:
        """Every file that may be footage: by its extension, neither hidden nor temporary, and no link."""

    def look_again(self, found: Sequence[Found]) -> list[Found | None]:
        """The files as they are now, in the order given; None for one that is gone."""

    def look(self, path: str) -> Found | None:
        """One file as it is now; None when it is gone."""

    def sidecar(self, path: str) -> Sidecar | None:
        """What stands beside the file about it. InvalidFootage `bad_sidecar`."""

    def fetch(self, path: str) -> Fetched:
        """Bring the bytes onto this machine, as far as they are not."""

    def discard(self, fetched: Fetched, *, finished: bool) -> None:
        """Let go of what `fetch` made. `finished`: nobody will need it again."""

    def close(self) -> None:
        """Let go of what is left of all that `fetch` made. The source may be used again."""


@runtime_checkable
class Removes(Protocol):
    """A zone that footage can leave."""

    def is_replica(self, path: str, store: Stats, key: Key) -> bool:
        """Whether the landing file is the very object `key` of `store`, so that removing one removes the other."""

    def remove(self, path: str) -> None:
        """Take a file that was recorded out of the zone, with its sidecar. One that is gone counts as removed."""


@runtime_checkable
class SetsAside(Protocol):
    """A zone with a place for what cannot be taken."""

    def quarantine_place(self, path: str) -> str:
        """Where `quarantine` would put the file: a free place, or the one where a killed run has put it already."""

    def quarantine(self, path: str, place: str) -> None:
        """Move the file and its sidecar to `place`, never over another. One that is there already counts as moved."""


def moment_of(mtime_ns: int) -> datetime:
    """A file's time of modification with microseconds, kept within what PostgreSQL and Python both know."""
    try:
        return min(max(_EPOCH + timedelta(microseconds=mtime_ns // 1000), _EPOCH), _LATEST)
    except OverflowError:
        return _LATEST
