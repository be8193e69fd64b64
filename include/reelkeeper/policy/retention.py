"""Retention: what may leave, and what forbids it. Asked when a deletion is decided, and again at the moment of it.

Locks always win. Some have a row (a legal hold, an export that runs); the others follow from the state of things and
are computed here: a transfer of the segment under way, the last verified copy of a segment that is still owed.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from reelkeeper.model import MAX_SEGMENT_DURATION, CameraId, ReplicaState, SegmentId, StoreName, Tenant, TimeRange


class Reason(StrEnum):
    """Why an object is condemned. The first three are replicas."""

    EXPIRED = "expired"  # its time is over
    RETIRED = "retired"  # a local copy, some days after its cloud copy was verified
    QUOTA = "quota"  # its store holds more than it may
    MOVED = "moved"  # the replica lies at another place now
    ORPHAN = "orphan"
    EXPORT = "export"  # of an export that expired
    THUMBNAIL = "thumbnail"  # of a segment that expired

    @property
    def is_replica(self) -> bool:
        """Whether the object is a replica until it is deleted."""
        return self in (Reason.EXPIRED, Reason.RETIRED, Reason.QUOTA)


@dataclass(frozen=True, slots=True)
class Lock:
    """A reason why nothing may delete: what it covers, since it is in force.

    It covers one segment; or the segments of one camera (None: of all) that share an instant with its range, open on
    the side where a time is None.
    """

    kind: str  # 'legal_hold' or 'export'
    reason: str
    camera_id: CameraId | None = None
    segment_id: SegmentId | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """Another replica of the segment."""

    store: StoreName
    state: ReplicaState
    is_verified: bool  # its bytes were proved once
    seen: bool | None = None
    """Whether a look at its object, now, found it as recorded. None: nobody looked, or the store did not answer."""


@dataclass(frozen=True, slots=True)
class Footage:
    """A segment, as far as its retention goes."""

    segment_id: SegmentId
    camera_id: CameraId
    time_range: TimeRange
    retention: timedelta  # of its camera, or the estate's
    transfer_under_way: bool = False
    ingested_at: datetime | None = None
    after_ingest: timedelta = timedelta(0)  # for so long it is kept from then, but not longer than its retention

    @property
    def owed_until(self) -> datetime:
        """Until when it must be kept. Its retention is counted from its end; but a date of long ago may be wrong, and
        footage that has just come in is not gone before anybody could look at it."""
        until = self.time_range.end + self.retention
        if self.ingested_at is None:
            return until
        return max(until, self.ingested_at + min(self.retention, self.after_ingest))

    def is_owed(self, now: datetime) -> bool:
        """Whether it must still be kept."""
        return now < self.owed_until


class Ruling(StrEnum):
    """What becomes of an object that is, or is to be, condemned."""

    DELETE = "delete"
    SPARE = "spare"  # it must stay
    WAIT = "wait"  # not known now: asked again later


@dataclass(frozen=True, slots=True)
class Verdict:
    """A ruling, and why."""

    ruling: Ruling
    why: str


def covers(lock: Lock, camera_id: CameraId, segment_id: SegmentId | None, time_range: TimeRange) -> bool:
    """Whether a lock forbids to delete this footage. `segment_id` is None for footage that is no segment."""
    if lock.segment_id is not None:
        return lock.segment_id == segment_id
    return (
        (lock.camera_id is None or lock.camera_id == camera_id)
        and (lock.start_time is None or time_range.end > lock.start_time)
        and (lock.end_time is None or time_range.start < lock.end_time)
    )


def may_delete(
    reason: Reason, footage: Footage, others: Sequence[Copy], locks: Iterable[Lock], *, now: datetime
) -> Verdict:
    """What becomes of a replica (or thumbnail, or old object of a moved replica) of this footage at `now`.

    `others` are the segment's replicas in other stores (for a moved one: where it is now, too). What goes because there
    is another copy needs one, owed or not, that is available, was verified, and was seen just now: a doubted one does
    not count. What has expired needs no other copy, only that it is not owed any more and that no lock covers it.
    """
    for lock in locks:
        if covers(lock, footage.camera_id, footage.segment_id, footage.time_range):
            return Verdict(Ruling.SPARE, f"{lock.kind}: {lock.reason}")
    if footage.transfer_under_way:
        return Verdict(Ruling.SPARE, "a transfer of the segment is under way")
    if reason not in (Reason.EXPIRED, Reason.THUMBNAIL):
        return _with_another_copy(others)
    if not footage.is_owed(now):
        return Verdict(Ruling.DELETE, "its retention is over")
    return Verdict(Ruling.SPARE, f"it is kept until {footage.owed_until.isoformat()}")


def _with_another_copy(others: Sequence[Copy]) -> Verdict:
    good = [copy for copy in others if copy.state is ReplicaState.AVAILABLE and copy.is_verified]
    if not good:
        doubted = [copy for copy in others if copy.state in (ReplicaState.SUSPICIOUS, ReplicaState.LOST)]
        but = f", that in store {doubted[0].store!r} is {doubted[0].state}" if doubted else ""
        return Verdict(Ruling.SPARE, f"it is the last verified copy of its segment{but}")
    if any(copy.seen for copy in good):
        return Verdict(Ruling.DELETE, "another verified copy was seen just now")
    if any(copy.seen is None for copy in good):
        unseen = next(copy.store for copy in good if copy.seen is None)
        return Verdict(Ruling.WAIT, f"the copy in store {unseen!r} could not be looked at")
    return Verdict(Ruling.SPARE, f"the copy in store {good[0].store!r} is not as recorded")


_FOOTAGE_KEY = re.compile(
    r"(?:^|/)(?:media|thumbnails)/([^/]+)/([^/]+)/\d{4}/\d\d/\d\d/(\d{8}T\d{6}Z)_([0-9a-f-]{36})\.[a-z0-9]+$"
)


@dataclass(frozen=True, slots=True)
class NamedFootage:
    """Footage as the key of an object names it, whether or not the catalogue knows of it."""

    tenant: Tenant
    camera_slug: str
    segment_id: SegmentId
    time_range: TimeRange  # as long as a segment can be: a key tells the start only


def footage_named(path: str) -> NamedFootage | None:
    """What the key of an object (one below a tier's prefix or in quarantine, too) says about its footage, or None."""
    found = _FOOTAGE_KEY.search(path)
    if found is None:
        return None
    try:
        start = datetime.strptime(found[3], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        identity = UUID(found[4])
        time_range = TimeRange(start, start + MAX_SEGMENT_DURATION)
    except (ValueError, OverflowError):
        return None
    return NamedFootage(Tenant(found[1]), found[2], SegmentId(identity), time_range)


def may_delete_stranger(named: NamedFootage | None, camera_id: CameraId | None, locks: Iterable[Lock]) -> Verdict:
    """What becomes of an object that no row stands for. What its key says counts: footage that was lost from the
    catalogue may be what a hold is about. Without a name it is held by a lock on everything.

    `camera_id` is that of the camera that the key names; None when the catalogue has none.
    """
    for lock in locks:
        holds_all = lock.camera_id is None and lock.segment_id is None
        if named is None:
            held = holds_all
        elif camera_id is None:
            held = lock.segment_id == named.segment_id or (
                holds_all and covers(lock, CameraId(UUID(int=0)), named.segment_id, named.time_range)
            )
        else:
            held = covers(lock, camera_id, named.segment_id, named.time_range)
        if held:
            return Verdict(Ruling.SPARE, f"{lock.kind}: {lock.reason}")
    return Verdict(Ruling.DELETE, "nothing knows it")
