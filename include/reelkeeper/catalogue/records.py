"""Rows as values, where they are not the model's own words. Times are aware UTC."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from reelkeeper.model import BatchId, Camera, Key, Replica, Segment, SegmentId, Sha256, StoreName


class LandingState(StrEnum):
    """What became of a file in a landing zone."""

    PENDING = "pending"
    CLAIMED = "claimed"
    INGESTED = "ingested"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class LandingFile:
    """One version of a file in a landing zone."""

    zone: str
    path: str  # inside the zone, `/`-separated; a URL in a zone of downloads
    size_bytes: int
    modified_at: datetime  # by the zone's clock
    state: LandingState = LandingState.PENDING
    attempts: int = 0  # how often a worker has claimed it; more than once: one died, or took longer than its lease

    @property
    def claim_name(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class TransferRecord:
    """One attempt to make a replica, for the history."""

    segment_id: SegmentId
    start_time: datetime  # of the segment
    source_store: StoreName | None  # None: from a landing zone
    destination_store: StoreName
    size_bytes: int
    started_at: datetime
    finished_at: datetime
    fallback: bool = False
    error_code: str | None = None  # None: it succeeded
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Ingested:
    """A landing file that became a segment, ready to be recorded: its bytes are written and verified."""

    file: LandingFile
    segment: Segment
    replica: Replica
    attempts: tuple[TransferRecord, ...]  # failed ones first, then the one that made the replica; empty when adopted
    request_reason: str | None = None  # why a later migration should take it: 'fallback', 'late'


class RecordOutcome(StrEnum):
    """What recording an ingested file found."""

    RECORDED = "recorded"
    DUPLICATE = "duplicate"  # the segment is there with the same SHA-256
    CONFLICT = "conflict"  # the segment is there with other bytes
    BEING_DELETED = "being_deleted"  # its object is condemned and may be gone: nothing of it was recorded


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A landing file that cannot become a segment."""

    file: LandingFile
    reason_code: str
    reason: str
    moved_to: str | None


@dataclass(frozen=True, slots=True)
class Batch:
    """A work list for one task."""

    id: BatchId
    job: str
    run_id: str
    store: StoreName | None  # the destination of a transfer batch
    item_count: int
    size_bytes: int
    zone: str | None = None  # the landing zone of an ingest batch


@dataclass(frozen=True, slots=True)
class TransferItem:
    """One claimed segment of a transfer batch, with what the engine needs."""

    batch_id: BatchId
    segment_id: SegmentId
    start_time: datetime
    source_store: StoreName
    source_path: Key
    destination_store: StoreName
    destination_path: Key  # `media_key` of the segment
    size_bytes: int
    checksum: Sha256
    extension: str
    attempts: int
    retention_days: int | None = None  # of the camera; None: the estate's default


@dataclass(frozen=True, slots=True)
class TransferResult:
    """What became of a claimed item. `replica` when it succeeded; else error and whether it may be tried again.

    Without `record` nothing was attempted (the store was dropped, the mode changed): the item goes back to pending and
    the history, from which error rates are computed, gets no row.
    """

    item: TransferItem
    record: TransferRecord | None
    replica: Replica | None
    retry: bool = False  # True: back to pending, for the task's next try
    may_pass: bool = False  # True: failed for this run, for a reason that may pass: the segment is requested anew


@dataclass(frozen=True, slots=True)
class BatchCounts:
    """How far some transfer batches are, in items and bytes."""

    pending: int
    claimed: int
    done: int
    failed: int
    bytes_done: int
    abandoned: int = 0  # left by a run that died, and taken over by another

    @property
    def total(self) -> int:
        return self.pending + self.claimed + self.done + self.failed


@dataclass(frozen=True, slots=True)
class LandingCounts:
    """How far some ingest batches are, in files and bytes."""

    pending: int
    claimed: int
    ingested: int
    duplicate: int
    quarantined: int
    released: int  # left for a later scan, or taken over by another run
    bytes_ingested: int

    @property
    def total(self) -> int:
        return self.pending + self.claimed + self.ingested + self.duplicate + self.quarantined + self.released


@dataclass(frozen=True, slots=True)
class TransferPlan:
    """What a run is to copy: its open batches, whether planned now or by an earlier try of the same run."""

    batches: tuple[Batch, ...]  # empty for a dry run
    segments: int
    size_bytes: int
    left_segments: int = 0  # wanted too, but beyond `max_batches`: for the next run
    archived_segments: int = 0  # wanted too, but their sources must be restored first


@dataclass(frozen=True, slots=True)
class TransferFailure:
    """An item that failed for good, for a person to read."""

    batch_id: BatchId
    segment_id: SegmentId
    start_time: datetime
    source_store: StoreName
    destination_store: StoreName
    size_bytes: int
    attempts: int
    error_code: str
    error: str


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A segment with its camera and the replica that a read should ask first."""

    segment: Segment
    camera: Camera
    replica: Replica


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """One picture of one segment in one store."""

    segment_id: SegmentId
    start_time: datetime  # of the segment
    store: StoreName
    path: Key
    width: int  # pixels
    height: int  # pixels
