"""Thumbnails in the catalogue."""

from collections.abc import Sequence
from datetime import datetime

from reelkeeper.catalogue.mapping import bounds, camera_of, names_of, replica_of, segment_of
from reelkeeper.catalogue.partitions import FOOTAGE
from reelkeeper.catalogue.records import StoredSegment, Thumbnail
from reelkeeper.catalogue.session import Rows, Session
from reelkeeper.model import BatchId, SegmentId


class Thumbnails:
    """Pictures of segments."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def record(self, thumbnails: Sequence[Thumbnail]) -> None:
        """Store thumbnails; one that was there is replaced, and the last of several for one segment counts."""
        columns = ("segment_id", "start_time", "store", "path", "width", "height")
        last = {thumbnail.segment_id: thumbnail for thumbnail in thumbnails}
        rows = [{column: getattr(thumbnail, column) for column in columns} for thumbnail in last.values()]
        self._session.ensure_partitions(FOOTAGE, (thumbnail.start_time for thumbnail in thumbnails))
        self._session.execute("upsert_thumbnails", rows=Rows(rows))

    def missing(self, batch_id: BatchId) -> list[StoredSegment]:
        """The segments that a batch ingested, can be read and have no thumbnail yet, by start time."""
        with self._session.transaction():
            span = self._session.row("span_of_landing_batch", batch_id=batch_id)
            if span.first_start is None:
                return []
            rows = self._session.rows(
                "segments_without_thumbnail",
                batch_id=batch_id,
                first_start=span.first_start,
                last_start=span.last_start,
            )
        return [
            StoredSegment(segment_of(row), camera_of(row, row.camera_id), replica_of(row, SegmentId(row.id)))
            for row in rows
        ]

    def of_segments(self, names: Sequence[tuple[SegmentId, datetime]]) -> dict[SegmentId, Thumbnail]:
        """The thumbnails of the segments with these (id, start time), as far as there are any."""
        if not names:
            return {}
        rows = self._session.rows("thumbnails_of_segments", rows=names_of(names), **bounds(start for _, start in names))
        return {
            row.segment_id: Thumbnail(row.segment_id, row.start_time, row.store, row.path, row.width, row.height)
            for row in rows
        }
