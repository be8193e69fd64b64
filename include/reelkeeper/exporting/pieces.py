"""What a camera is cut from: its segments of a range, on this machine, each proved by its SHA-256.

A segment in a folder is read where it lies; one on a server is fetched. A copy that is not as recorded, or cannot be
read, is passed over for another one, and the manifest says so.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.export_records import ExportSource
from reelkeeper.catalogue.retrievals import Retrieval
from reelkeeper.errors import (
    BudgetExceeded,
    ObjectNotFound,
    ReelkeeperError,
    SourceCorrupted,
    TransientError,
    WorkFolderFull,
)
from reelkeeper.exporting.objects import OpenStore, digest_of, download
from reelkeeper.media.pieces import Piece
from reelkeeper.model import CameraId, Replica, ReplicaState, Segment, TimeRange
from reelkeeper.reading import copies
from reelkeeper.settings import Estate
from reelkeeper.stores.protocols import Links, Reads
from reelkeeper.stores.retry import retrying

log = logging.getLogger(__name__)

_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class PlannedSource:
    """A segment that belongs to a range, and the copies from which it can be read, the best first."""

    segment: Segment
    copies: tuple[Replica, ...]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A camera's footage on this machine, and where it comes from."""

    pieces: tuple[Piece, ...]
    sources: tuple[ExportSource, ...]


def plan_sources(
    estate: Estate, catalogue: Catalogue, camera: CameraId, time_range: TimeRange, *, now: datetime
) -> list[PlannedSource]:
    """The segments of a camera that share an instant with the range, by start. None: the camera has no footage there.

    ObjectArchived, ObjectNotFound when one of them cannot be read: an export does not leave footage out unsaid.
    """
    segments = retrying()(catalogue.segments.overlapping, camera, time_range)
    found = retrying()(copies, estate, catalogue, segments, now=now) if segments else {}
    return [PlannedSource(segment, found[segment.id]) for segment in segments]


def fetch(
    estate: Estate,
    open_store: OpenStore,
    planned: Sequence[PlannedSource],
    number: int,
    folder: Path,
    *,
    now: Callable[[], datetime],
    progress: Callable[[int], None] = lambda done: None,
    tell_wrong: Callable[[Sequence[Replica]], None] = lambda replicas: None,
    tell_read: Callable[[Sequence[Retrieval]], None] = lambda retrievals: None,
) -> Fetched:
    """Bring a camera's footage to this machine; `number` is the camera's, `folder` holds what is fetched.

    `progress` hears how many segments are there. At the end, however it ends, `tell_wrong` hears of copies that are not
    as recorded, and `tell_read` how long each copy took that was read, or could not be. BudgetExceeded when
    that would take more than `exports.work_bytes`; SourceCorrupted, ObjectNotFound when no copy of a segment is as
    recorded; a TransientError when none of them could be read now; WorkFolderFull.
    """
    choice, retrievals = _Choice(open_store), _Retrievals(open_store, folder, now)
    _expect_room(estate, choice, planned)
    pieces, sources = [], []
    try:
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="fetch") as pool:
            fetched = pool.map(lambda one: _one(choice, retrievals, one, number), planned)
            for done, (piece, source) in enumerate(fetched, 1):
                pieces.append(piece)
                sources.append(source)
                progress(done)
    finally:
        if choice.wrong:
            tell_wrong(choice.wrong)
        tell_read(retrievals.done)
    return Fetched(tuple(pieces), tuple(sources))


class _Choice:
    """In which order the copies of a segment are tried: verified ones first, of stores that answer, of disks that this
    machine sees; else in the order that is given. Safe for threads."""

    def __init__(self, open_store: OpenStore) -> None:
        self.open_store = open_store
        self.wrong: list[Replica] = []
        """Copies that are not as recorded."""
        self._silent: set[str] = set()

    def order(self, copies: Sequence[Replica]) -> list[Replica]:
        return sorted(copies, key=self._rank)

    def silent(self, store: str) -> None:
        """A store did not answer: for the rest of the camera it is asked last."""
        self._silent.add(store)

    def is_on_disk(self, replica: Replica) -> bool:
        return isinstance(self.open_store(replica.store), Links)

    def _rank(self, replica: Replica) -> tuple[bool, bool, bool]:
        is_doubted = replica.state is not ReplicaState.AVAILABLE
        return is_doubted, replica.store in self._silent, not self.is_on_disk(replica)


def _expect_room(estate: Estate, choice: _Choice, planned: Sequence[PlannedSource]) -> None:
    fetched = [one.segment for one in planned if not choice.is_on_disk(choice.order(one.copies)[0])]
    size = sum(segment.size_bytes for segment in fetched)
    if size > estate.exports.work_bytes:
        raise BudgetExceeded(
            f"{len(fetched)} segments of {size} bytes must be fetched to cut this camera: expected at most "
            f"{estate.exports.work_bytes} bytes, 'exports.work_bytes' of estate.toml; ask for a shorter range"
        )


class _Retrievals:
    """Reads copies, and notes how long each took. Safe for threads."""

    def __init__(self, open_store: OpenStore, folder: Path, now: Callable[[], datetime]) -> None:
        self.done: list[Retrieval] = []
        self._open_store, self._folder, self._now = open_store, folder, now

    def read(self, replica: Replica, segment: Segment) -> Path:
        """The replica's file on this machine, proved. A copy is one retrieval, however often its store is asked."""
        began = self._now()
        try:
            path = retrying()(_proved, self._open_store(replica.store), replica, segment, self._folder)
        except WorkFolderFull:  # that says nothing of the store
            raise
        except ReelkeeperError as exc:
            self._note(replica, segment, began, exc.code)
            raise
        self._note(replica, segment, began, None)
        return path

    def _note(self, replica: Replica, segment: Segment, began: datetime, error_code: str | None) -> None:
        ended = max(began, self._now())  # a clock may be set back in between
        self.done.append(
            Retrieval(segment.id, segment.start_time, replica.store, segment.size_bytes, began, ended, error_code)
        )


def _one(choice: _Choice, retrievals: _Retrievals, planned: PlannedSource, number: int) -> tuple[Piece, ExportSource]:
    """From the first copy that is as recorded."""
    segment = planned.segment
    errors: list[tuple[Replica, ReelkeeperError]] = []
    for replica in choice.order(planned.copies):
        try:
            path = retrievals.read(replica, segment)
        except WorkFolderFull:
            raise
        except (SourceCorrupted, ObjectNotFound, TransientError) as exc:
            log.warning("segment %s is not read from store %r: %s", segment.id, replica.store, exc)
            errors.append((replica, exc))
            if isinstance(exc, TransientError):
                choice.silent(replica.store)
            else:
                choice.wrong.append(replica)
        else:
            span = TimeRange(segment.start_time, segment.end_time)
            source = ExportSource(
                number, segment.id, span, segment.size_bytes, segment.checksum, replica.store, replica.path,
                _told(errors) or None,
            )  # fmt: skip
            return Piece(path, span), source
    # A store that did not answer may do so when the task is tried again; what is wrong stays so.
    _, worst = next((each for each in errors if isinstance(each[1], TransientError)), errors[0])
    unread = type(worst)(
        f"segment {str(segment.id)!r}, from {segment.start_time.isoformat()}, has no copy that can be read: "
        f"{_told(errors)}"
    )
    unread.is_for_people = True
    raise unread from worst


def _told(errors: Sequence[tuple[Replica, ReelkeeperError]]) -> str:
    """For the manifest, which strangers get: what the errors say of folders and hosts stands in the log alone."""
    return "; ".join(f"in store {replica.store!r}: {error.in_words}" for replica, error in errors)


def _proved(store: Reads, replica: Replica, segment: Segment, folder: Path) -> Path:
    """The replica's file on this machine, with the segment's SHA-256."""
    if isinstance(store, Links):
        path = store.path_of(replica.path)
        if not path.exists():  # or is the disk gone?
            next(iter(store.read(replica.path)), None)
        size, digest = digest_of(path)
    else:
        path = folder / f"{segment.id}.{segment.extension}"
        digest = download(store, replica.path, path)
        size = path.stat().st_size
    if (size, digest) != (segment.size_bytes, segment.checksum):
        raise SourceCorrupted(
            f"{replica.path!r} in store {store.name!r} has {size} bytes with SHA-256 {digest}: expected "
            f"{segment.size_bytes} bytes with {segment.checksum}"
        )
    return path
