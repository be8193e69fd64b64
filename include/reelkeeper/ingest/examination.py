"""One landing file, looked at: whether it is whole and still, what it holds, and which range of which camera it is."""

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reelkeeper.catalogue.records import LandingFile
from reelkeeper.errors import (
    AccessDenied,
    InvalidFootage,
    ObjectNotFound,
    ReelkeeperError,
    StillGrowing,
    StoreUnavailable,
)
from reelkeeper.landing.naming import Named, Naming
from reelkeeper.landing.source import Fetched, Found, Source
from reelkeeper.media.probe import probe
from reelkeeper.model import MAX_SEGMENT_DURATION, MediaInfo, Sha256, TimeRange

_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(days=2)
"""Starts outside are a clock that was never set, not footage."""
_DURATION_TOLERANCE = (2.0, 0.1)
"""By how many seconds, or which share of it, a sidecar's duration may differ from the footage's: recorders drop frames
and round."""
_UNFINISHED = frozenset({"empty", "truncated", "unreadable", "no_duration"})
"""What is wrong with a good file, too, until its recorder has closed it."""
_EXTENSIONS = {"mpegts": "ts", "matroska": "mkv"}


@dataclass(frozen=True, slots=True)
class Examined:
    """A landing file that can become a segment."""

    file: LandingFile
    seen: Found  # as it was before and after it was read
    fetched: Fetched
    camera: str  # its id or name, as the file's maker writes it
    time_range: TimeRange
    media: MediaInfo
    sha256: Sha256
    extension: str


class Examiner:
    """Examines the files of one zone. Safe for threads.

    A file that looks unfinished counts as still growing until nobody has written to it for `patience`.
    """

    def __init__(
        self, source: Source, naming: Naming, *, now: Callable[[], datetime], patience: timedelta = timedelta(0)
    ) -> None:
        self._source, self._naming, self._now, self._patience = source, naming, now, patience

    def examine(self, file: LandingFile) -> Examined:
        """Read the file once, and look at it before and after.

        InvalidFootage when it cannot become a segment, StillGrowing when it changed since it was planned,
        ObjectNotFound when it is gone, other errors when the zone cannot be read. The caller discards what was fetched,
        once the outcome stands in the catalogue; after an error nothing is left to discard.
        """
        before = self._source.look(file.path)
        if before is None:
            raise ObjectNotFound(f"landing zone {file.zone!r} has no file {file.path!r}")
        if (before.size_bytes, before.modified_at) != (file.size_bytes, file.modified_at):
            raise StillGrowing(
                f"{file.path!r} has {before.size_bytes} bytes, modified {before.modified_at.isoformat()}: "
                f"it had {file.size_bytes}, {file.modified_at.isoformat()}"
            )
        fetched: Fetched | None = None
        try:
            fetched = self._source.fetch(file.path)
            examined = self._read(file, before, fetched)
            self._expect_still(before)
        except BaseException as error:
            if isinstance(error, InvalidFootage):  # what still grows cannot be read yet
                self._expect_still(before)
                self._expect_finished(before, error)
            if fetched is not None:
                self._source.discard(fetched, finished=isinstance(error, InvalidFootage))
            raise
        return examined

    def _expect_still(self, before: Found) -> None:
        after = self._source.look(before.path)
        if after != before:
            raise StillGrowing(f"{before.path!r} changed while it was read: it was {before}, it is {after}")

    def _expect_finished(self, seen: Found, error: InvalidFootage) -> None:
        # The zone's clock may be ahead of ours, or wrong by years: either way the wait ends.
        if error.code in _UNFINISHED and abs(self._now() - seen.modified_at) < self._patience:
            raise StillGrowing(
                f"{seen.path!r} was modified {seen.modified_at.isoformat()}, and may not be closed yet: {error}"
            ) from error

    def _read(self, file: LandingFile, seen: Found, fetched: Fetched) -> Examined:
        sidecar = self._source.sidecar(file.path)
        if sidecar is not None:
            sidecar.check_file(fetched.name, fetched.size_bytes)
        named = self._naming.name(file.path, sidecar, fetched.start)
        with _reading(file):
            media = probe(fetched.path, size_bytes=fetched.size_bytes, needs_duration=named.duration is None)
            sha256 = fetched.sha256 or hash_file(fetched.path)
        return Examined(
            file, seen, fetched, named.camera, self._time_range(named, media, fetched), media, sha256,
            _extension(fetched.name, media),
        )  # fmt: skip

    def _time_range(self, named: Named, media: MediaInfo, fetched: Fetched) -> TimeRange:
        duration = named.duration or timedelta(seconds=media.duration_seconds)
        seconds = duration.total_seconds()
        if duration > MAX_SEGMENT_DURATION:
            raise InvalidFootage(
                f"footage lasts {seconds:.6f} s by its sidecar: expected at most "
                f"{MAX_SEGMENT_DURATION.total_seconds():.0f} s",
                code="too_long",
            )
        off = abs(seconds - media.duration_seconds)
        if media.duration_seconds and off > max(_DURATION_TOLERANCE[0], _DURATION_TOLERANCE[1] * seconds):
            raise InvalidFootage(
                f"footage lasts {media.duration_seconds:.3f} s: its sidecar says {seconds:.3f} s", code="bad_sidecar"
            )
        start = named.start.resolve(duration=duration, modified_at=fetched.modified_at)
        latest = self._now() + _AHEAD
        if not _EARLIEST <= start <= latest:
            raise InvalidFootage(
                f"footage starts at {start.isoformat()}: expected a time from {_EARLIEST.isoformat()} "
                f"to {latest.isoformat(timespec='seconds')}",
                code="bad_time",
            )
        return TimeRange(start, start + max(duration, timedelta(milliseconds=1)))


def hash_file(path: Path) -> Sha256:
    """The SHA-256 of a file's bytes. OSError passes through."""
    with path.open("rb", buffering=0) as file:
        return Sha256(hashlib.file_digest(file, "sha256").hexdigest())


def _extension(name: str, media: MediaInfo) -> str:
    """The file's own, if it can stand in a key, else the container's usual one."""
    own = name.rpartition(".")[2].lower()
    return own if re.fullmatch(r"[a-z0-9]{1,10}", own) else _EXTENSIONS.get(media.container, media.container)


@contextmanager
def _reading(file: LandingFile) -> Iterator[None]:
    try:
        yield
    except ReelkeeperError:
        raise
    except FileNotFoundError as exc:
        raise ObjectNotFound(f"landing zone {file.zone!r} has no file {file.path!r}") from exc
    except PermissionError as exc:
        raise AccessDenied(f"landing zone {file.zone!r}: {file.path!r} cannot be read: {exc.strerror}") from exc
    except OSError as exc:
        raise StoreUnavailable(f"landing zone {file.zone!r}: {file.path!r} cannot be read: {exc.strerror}") from exc
