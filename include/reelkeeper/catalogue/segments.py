"""Segments in the catalogue, and how ingested footage is recorded."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

import psycopg2

from reelkeeper.catalogue.mapping import bounds, history_rows, replica_rows, segment_of
from reelkeeper.catalogue.partitions import FOOTAGE, HISTORY
from reelkeeper.catalogue.recording import being_deleted
from reelkeeper.catalogue.records import Ingested, LandingState, RecordOutcome
from reelkeeper.catalogue.session import Rows, Session
from reelkeeper.catalogue.transfers import PRIORITIES
from reelkeeper.errors import RowRefused
from reelkeeper.model import BatchId, CameraId, Segment, SegmentId, TimeRange, utc

SegmentName = tuple[CameraId, datetime]
"""What names a segment: its camera and its start."""


class Segments:
    """What cameras recorded."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, names: Sequence[SegmentName]) -> dict[SegmentName, Segment]:
        """The segments with these (camera, start time), as far as there are any."""
        if not names:
            return {}
        rows = self._session.rows(
            "find_segments",
            rows=Rows([{"camera_id": camera_id, "start_time": start} for camera_id, start in names]),
            **bounds(start for _, start in names),
        )
        return {(row.camera_id, row.start_time): segment_of(row) for row in rows}

    def overlapping(self, camera_id: CameraId, time_range: TimeRange) -> list[Segment]:
        """The segments of a camera that share an instant with the range, by start time."""
        rows = self._session.rows(
            "segments_overlapping", camera_id=camera_id, range_start=time_range.start, range_end=time_range.end
        )
        return [segment_of(row) for row in rows]

    def get(self, segment_id: SegmentId) -> Segment | None:
        """The segment with this id, or None. Looks into every month: prefer `find` where the start is known."""
        return next((segment_of(row) for row in self._session.rows("segment_by_id", segment_id=segment_id)), None)

    def record(self, batch_id: BatchId, ingested: Sequence[Ingested]) -> list[RecordOutcome]:
        """Record ingested files, all or nothing; what became of each, in the order given.

        RECORDED: segment, replica, history, migration request and the file's state are stored. DUPLICATE: the segment
        was there with the same SHA-256 (or earlier in this call); the replica is stored if it is new or stood as
        suspicious or lost, and the file is a duplicate. CONFLICT: the segment was there with other bytes; only the
        history is stored, and the file stays claimed, for `landing.finish_quarantined`. BEING_DELETED: a deletion is
        decided where its replica is said to lie; nothing is stored, and the file stays claimed, to be released.

        RowRefused when a value of one of them is not allowed; nothing of any is stored then.

        Files are passed as they were claimed. Inside a `transaction()`, call this before writing other segments: a
        month that has no partitions yet gets them by another connection.
        """
        if not ingested:
            return []
        self._session.ensure_partitions(FOOTAGE, (item.segment.start_time for item in ingested))
        attempted = (attempt.finished_at for item in ingested for attempt in item.attempts)
        self._session.ensure_partitions(HISTORY, attempted)
        with _refusals(), self._session.transaction():
            doomed = being_deleted(self._session, [item.replica for item in ingested])
            is_safe = [(item.replica.store, item.replica.path) not in doomed for item in ingested]
            outcomes = iter(self._store(batch_id, [item for item, safe in zip(ingested, is_safe, strict=True) if safe]))
            return [next(outcomes) if safe else RecordOutcome.BEING_DELETED for safe in is_safe]

    def _store(self, batch_id: BatchId, ingested: Sequence[Ingested]) -> list[RecordOutcome]:
        """Store what may be stored."""
        if not ingested:
            return []
        outcomes = self._insert(ingested)
        told = list(zip(ingested, outcomes, strict=True))
        kept = [item for item, outcome in told if outcome is not RecordOutcome.CONFLICT]
        self._session.rows("upsert_replicas", rows=replica_rows(item.replica for item in kept))
        if attempts := [attempt for item in ingested for attempt in item.attempts]:
            rows = history_rows(attempts, job="ingest", batch_id=batch_id)
            self._session.execute("insert_transfers", rows=Rows(rows))
        requests = [_request(item) for item, outcome in told if _is_requested(item, outcome)]
        if requests:
            self._session.execute("request_segments", rows=Rows(requests))
        files = [_finished(item, outcome) for item, outcome in told if outcome is not RecordOutcome.CONFLICT]
        self._session.execute("finish_landing_files", batch_id=batch_id, rows=Rows(files))
        return outcomes

    def _insert(self, ingested: Sequence[Ingested]) -> list[RecordOutcome]:
        """Add the segments that are not there, and compare the others with those that are."""
        first: dict[SegmentName, Ingested] = {}
        for item in ingested:
            first.setdefault(_name(item.segment), item)
        inserted = self._session.rows("insert_segments", rows=Rows([_row(item) for item in first.values()]))
        new = {(row.camera_id, row.start_time) for row in inserted}
        checksums = {name: item.segment.checksum for name, item in first.items() if name in new}
        there = self.find([name for name in first if name not in new])
        checksums |= {name: segment.checksum for name, segment in there.items()}

        def outcome(item: Ingested) -> RecordOutcome:
            name = _name(item.segment)
            if name in new and first[name] is item:
                return RecordOutcome.RECORDED
            same = checksums[name] == item.segment.checksum
            return RecordOutcome.DUPLICATE if same else RecordOutcome.CONFLICT

        return [outcome(item) for item in ingested]


@contextmanager
def _refusals() -> Iterator[None]:
    """Tell what is wrong with a row from what is wrong around it: a camera or a partition that is not there."""
    try:
        yield
    except (psycopg2.DataError, psycopg2.errors.CheckViolation, psycopg2.errors.NotNullViolation) as exc:
        if isinstance(exc, psycopg2.errors.CheckViolation) and exc.diag.constraint_name is None:
            raise  # no partition holds the row
        raise RowRefused(f"the catalogue refused a row ({exc.pgcode}): {exc.diag.message_primary}") from exc


def _name(segment: Segment) -> SegmentName:
    return segment.camera_id, utc(segment.start_time)


def _row(item: Ingested) -> Mapping[str, object]:
    segment, media = item.segment, item.segment.media
    return {
        "id": segment.id,
        "camera_id": segment.camera_id,
        "start_time": segment.start_time,
        "end_time": segment.end_time,
        "size_bytes": segment.size_bytes,
        "checksum": segment.checksum,
        "extension": segment.extension,
        "container": media.container,
        "video_codec": media.video_codec,
        "width": media.width,
        "height": media.height,
        "frame_rate": media.frame_rate,
        "has_audio": media.has_audio,
        "rollout_bucket": segment.rollout_bucket,
        "storage_backend": item.replica.store,
        "storage_path": item.replica.path,
    }


def _is_requested(item: Ingested, outcome: RecordOutcome) -> bool:
    return outcome is RecordOutcome.RECORDED and item.request_reason is not None


def _request(item: Ingested) -> Mapping[str, object]:
    reason = item.request_reason or ""
    return {
        "segment_id": item.segment.id,
        "start_time": item.segment.start_time,
        "priority": PRIORITIES[reason],
        "reason": reason,
    }


def _finished(item: Ingested, outcome: RecordOutcome) -> Mapping[str, object]:
    state = LandingState.INGESTED if outcome is RecordOutcome.RECORDED else LandingState.DUPLICATE
    return {
        "zone": item.file.zone,
        "path": item.file.path,
        "size_bytes": item.file.size_bytes,
        "modified_at": item.file.modified_at,
        "state": state,
        "segment_id": item.segment.id,
        "start_time": item.segment.start_time,
    }
