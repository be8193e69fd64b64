"""Rows of the catalogue as the model's words, and back."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from reelkeeper.catalogue.records import Batch, TransferRecord
from reelkeeper.catalogue.session import Rows
from reelkeeper.model import BatchId, Camera, MediaInfo, Replica, ReplicaState, Segment, SegmentId, Sha256, Tier


def segment_of(row: Any) -> Segment:
    """From a row of `segments`. The duration of the video is taken to be that of the segment."""
    return Segment(
        id=SegmentId(row.id),
        camera_id=row.camera_id,
        start_time=row.start_time,
        end_time=row.end_time,
        size_bytes=row.size_bytes,
        checksum=Sha256(row.checksum),
        extension=row.extension,
        media=MediaInfo(
            container=row.container,
            video_codec=row.video_codec,
            width=row.width,
            height=row.height,
            frame_rate=row.frame_rate,
            duration_seconds=row.duration_seconds,
            has_audio=row.has_audio,
        ),
        rollout_bucket=row.rollout_bucket,
    )


def replica_of(row: Any, segment_id: SegmentId) -> Replica:
    """From a row that has the columns of `replicas`, wherever the segment's id stands in it."""
    return Replica(
        segment_id=segment_id,
        start_time=row.start_time,
        store=row.store,
        path=row.path,
        size_bytes=row.size_bytes,
        checksum=Sha256(row.checksum),
        state=ReplicaState(row.state),
        verified_at=row.verified_at,
        storage_class=row.storage_class,
        retire_after=row.retire_after,
        tier=Tier(row.tier),
        tier_since=row.tier_since,
        readable_until=row.readable_until,
    )


def camera_of(row: Any, camera_id: Any) -> Camera:
    """From a row that has the columns of `cameras`, wherever the camera's id stands in it."""
    return Camera(camera_id, row.tenant, row.slug, row.name, row.retention_days)


def batch_of(row: Any) -> Batch:
    """From a row of `batches`."""
    return Batch(BatchId(row.id), row.job, row.run_id, row.store, row.item_count, row.size_bytes, row.zone)


def replica_rows(replicas: Iterable[Replica]) -> Rows:
    """For `upsert_replicas`; the first of several for one place counts."""
    columns = (
        "segment_id", "start_time", "store", "path", "storage_class", "size_bytes", "checksum", "state", "verified_at",
        "retire_after", "tier",
    )  # fmt: skip
    places: dict[tuple[SegmentId, str], Replica] = {}
    for replica in replicas:
        places.setdefault((replica.segment_id, replica.store), replica)
    return Rows([{column: getattr(replica, column) for column in columns} for replica in places.values()])


def history_rows(records: Iterable[TransferRecord], *, job: str, batch_id: BatchId) -> list[Mapping[str, object]]:
    """For `insert_transfers!`."""
    columns = (
        "segment_id", "start_time", "source_store", "destination_store", "fallback", "error_code", "error",
        "size_bytes", "started_at", "finished_at",
    )  # fmt: skip
    return [
        {column: getattr(record, column) for column in columns} | {"job": job, "batch_id": batch_id}
        for record in records
    ]


def names_of(names: Sequence[tuple[SegmentId, datetime]]) -> Rows:
    """Segments by (id, start time)."""
    return Rows([{"segment_id": segment_id, "start_time": start_time} for segment_id, start_time in names])


def bounds(starts: Iterable[datetime]) -> dict[str, datetime]:
    """The first and the last of some starts, which let a query pass over other months' partitions."""
    given = list(starts)
    return {"first_start": min(given), "last_start": max(given)}
