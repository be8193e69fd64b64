"""Where a segment is read: cloud first, then local; what only a local store has, the next migration is asked for."""

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from reelkeeper.errors import ObjectNotFound
from reelkeeper.migrate import transfer_batch
from reelkeeper.model import CameraId, ReplicaState, Segment, SegmentId, StoreKind
from reelkeeper.reading import locate, locate_at
from reelkeeper.settings import StoreSettings

if TYPE_CHECKING:
    from tests.migration.conftest import Archive


def migrate(archive: "Archive") -> None:
    for batch in archive.plan(interval=None).batches:
        transfer_batch(archive.estate, archive.open_catalogue, archive.open_store, batch.id)


def requests(archive: "Archive") -> list[tuple[object, ...]]:
    return archive.sql("SELECT segment_id, priority, reason FROM migration_requests")


@pytest.fixture
def segment(archive: "Archive") -> Segment:
    return archive.record(1)[0]


def test_cloud_first_and_nothing_is_asked_for(archive: "Archive", segment: Segment) -> None:
    migrate(archive)
    assert locate(archive.estate, archive.catalogue, segment.id).store == "cloud"
    assert requests(archive) == []


def test_a_local_hit_is_queued_once_at_low_priority(archive: "Archive", segment: Segment) -> None:
    for _ in range(2):
        replica = locate(archive.estate, archive.catalogue, segment.id)
        assert (replica.store, replica.state) == ("disk", ReplicaState.AVAILABLE)
    assert requests(archive) == [(str(segment.id), 30, "read")]
    migrate(archive)
    assert requests(archive) == []


@pytest.mark.parametrize(("mode", "wanted"), [("hybrid", 0), ("cloud", 1)])
def test_what_the_rollout_does_not_want_is_not_queued(
    archive: "Archive", segment: Segment, mode: str, wanted: int
) -> None:
    archive.mode, archive.percentage = mode, 0
    assert locate(archive.estate, archive.catalogue, segment.id).store == "disk"
    assert len(requests(archive)) == wanted


def test_a_more_urgent_request_stays(archive: "Archive", segment: Segment) -> None:
    archive.catalogue.transfers.request([(segment.id, segment.start_time)], 10, "fallback")
    locate(archive.estate, archive.catalogue, segment.id)
    assert requests(archive) == [(str(segment.id), 10, "fallback")]


def test_in_mode_local_the_cloud_is_not_read(archive: "Archive", segment: Segment) -> None:
    migrate(archive)
    archive.mode = "local"
    assert locate(archive.estate, archive.catalogue, segment.id).store == "disk"
    assert requests(archive) == []


def test_a_primary_store_that_is_a_server_is_local(archive: "Archive", segment: Segment) -> None:
    primary = StoreSettings(name="disk", kind=StoreKind.MINIO, bucket="primary")
    estate = archive.estate.model_copy(update={"stores": (primary, *archive.estate.stores[1:])})
    assert locate(estate, archive.catalogue, segment.id).store == "disk"
    assert requests(archive) == [(str(segment.id), 30, "read")]
    for batch in archive.plan(interval=None).batches:
        transfer_batch(estate, archive.open_catalogue, archive.open_store, batch.id)
    assert archive.replicas(segment)["disk"].retire_after is not None
    assert locate(estate, archive.catalogue, segment.id).store == "cloud"
    local = estate.model_copy(update={"placement": estate.placement.model_copy(update={"mode": "local"})})
    assert locate(local, archive.catalogue, segment.id).store == "disk"


def test_a_suspicious_copy_is_not_read(archive: "Archive", segment: Segment) -> None:
    migrate(archive)
    archive.catalogue.replicas.suspect([archive.replicas(segment)["cloud"]])
    assert locate(archive.estate, archive.catalogue, segment.id).store == "disk"


def test_by_camera_and_time(archive: "Archive") -> None:
    first, second = archive.record(2)
    found = [
        locate_at(archive.estate, archive.catalogue, first.camera_id, moment).segment_id
        for moment in (first.start_time, second.start_time - timedelta(microseconds=1), second.start_time)
    ]
    assert found == [first.id, first.id, second.id]
    with pytest.raises(ObjectNotFound, match=r"video not found: camera .* has no segment at"):
        locate_at(archive.estate, archive.catalogue, first.camera_id, second.end_time)
    with pytest.raises(ObjectNotFound, match="video not found"):
        locate_at(archive.estate, archive.catalogue, CameraId(uuid4()), first.start_time)


def test_video_not_found(archive: "Archive", segment: Segment) -> None:
    with pytest.raises(ObjectNotFound, match=r"video not found: segment .* is not in the catalogue"):
        locate(archive.estate, archive.catalogue, SegmentId(uuid4()))
    archive.catalogue.replicas.suspect([archive.replicas(segment)["disk"]])
    with pytest.raises(ObjectNotFound, match=r"video not found: segment .* is available in \[\]"):
        locate(archive.estate, archive.catalogue, segment.id)
