"""Segments in the catalogue, and how ingested footage is recorded."""

from collections.abc import Sequence
from datetime import datetime

from reelkeeper.catalogue.records import Ingested, RecordOutcome
from reelkeeper.catalogue.session import Session
from reelkeeper.model import BatchId, CameraId, Segment, SegmentId, TimeRange


class Segments:
    """What cameras recorded."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, names: Sequence[tuple[CameraId, datetime]]) -> dict[tuple[CameraId, datetime], Segment]:
        """The segments with these (camera, start time), as far as there are any."""
        raise NotImplementedError

    def overlapping(self, camera_id: CameraId, time_range: TimeRange) -> list[Segment]:
        """The segments of a camera that share an instant with the range, by start time."""
        raise NotImplementedError

    def get(self, segment_id: SegmentId) -> Segment | None:
        """The segment with this id, or None. Looks into every month: prefer `find` where the start is known."""
        raise NotImplementedError

    def record(self, batch_id: BatchId, ingested: Sequence[Ingested]) -> list[RecordOutcome]:
        """Record ingested files, all or nothing; what became of each, in the order given.

        RECORDED: segment, replica, history, migration request and the file's state are stored. DUPLICATE: the segment
        was there with the same SHA-256 (or earlier in this call); the replica is stored if it is new or stood as
        suspicious or lost, and the file is a duplicate. CONFLICT: the segment was there with other bytes; only the
        history is stored, and the file stays claimed, for `landing.finish_quarantined`.
        """
        raise NotImplementedError
