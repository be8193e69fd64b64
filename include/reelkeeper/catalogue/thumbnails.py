"""Thumbnails in the catalogue."""

from collections.abc import Sequence
from datetime import datetime

from reelkeeper.catalogue.records import StoredSegment, Thumbnail
from reelkeeper.catalogue.session import Session
from reelkeeper.model import BatchId, SegmentId


class Thumbnails:
    """Pictures of segments."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def record(self, thumbnails: Sequence[Thumbnail]) -> None:
        """Store thumbnails; one that was there is replaced."""
        raise NotImplementedError

    def missing(self, batch_id: BatchId) -> list[StoredSegment]:
        """The segments that a batch ingested, can be read and have no thumbnail yet, by start time."""
        raise NotImplementedError

    def of_segments(self, names: Sequence[tuple[SegmentId, datetime]]) -> dict[SegmentId, Thumbnail]:
        """The thumbnails of the segments with these (id, start time), as far as there are any."""
        raise NotImplementedError
