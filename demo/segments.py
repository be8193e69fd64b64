"""Segments as an ingest hands them to the catalogue, for the tests and benchmarks that take nothing in."""

from datetime import datetime, timedelta

from reelkeeper.catalogue.records import Ingested, LandingFile, TransferRecord
from reelkeeper.model import (
    Camera,
    MediaInfo,
    Replica,
    ReplicaState,
    Segment,
    Sha256,
    StoreName,
    Tier,
    media_key,
    segment_id,
)
from reelkeeper.policy.rollout import rollout_bucket

MEDIA = MediaInfo("mov", "h264", 1920, 1080, 25.0, 60.0, has_audio=False)
"""What all of them say of their video, whatever their bytes are."""


def ingested(
    camera: Camera, start: datetime, duration: timedelta, *, store: StoreName, size_bytes: int, checksum: Sha256,
    zone: str = "zone", path: str | None = None, reason: str | None = None, with_history: bool = False,
    storage_class: str | None = None, tier: Tier = Tier.HOT,
) -> Ingested:  # fmt: skip
    """One segment of a camera with its replica in `store`, under its key there; verified when it started.

    `path` is where it lay in the landing zone (None: at its key), `reason` why it asks for a migration (None: it does
    not). `with_history` adds the transfer that made the replica, of one second.
    """
    identity = segment_id(camera.id, start)
    key = media_key(camera.tenant, camera.slug, start, identity, "mp4")
    segment = Segment(
        identity, camera.id, start, start + duration, size_bytes, checksum, "mp4", MEDIA, rollout_bucket(identity)
    )
    replica = Replica(identity, start, store, key, size_bytes, checksum, ReplicaState.AVAILABLE, start, storage_class,
                      tier=tier)  # fmt: skip
    made = TransferRecord(identity, start, None, store, size_bytes, start, start + timedelta(seconds=1))
    file = LandingFile(zone, path or key, size_bytes, start)
    return Ingested(file, segment, replica, (made,) if with_history else (), reason)
