"""Where a segment is read: cloud first, then local; what only a local store has, the next migration is asked for."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from reelkeeper.errors import ObjectArchived, ObjectNotFound
from reelkeeper.migration.job import transfer_batch
from reelkeeper.model import CameraId, ReplicaState, Segment, SegmentId, StoreKind
from reelkeeper.reading import locate, locate_at
from reelkeeper.settings import Estate, Restore, StoreSettings

if TYPE_CHECKING:
    from tests.migration.conftest import Archive

NOW = datetime(2026, 3, 2, tzinfo=UTC)


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
    assert locate(archive.estate, archive.catalogue, segment.id, now=NOW).store == "cloud"
    assert requests(archive) == []


def test_a_local_hit_is_queued_once_at_low_priority(archive: "Archive", segment: Segment) -> None:
    for _ in range(2):
        replica = locate(archive.estate, archive.catalogue, segment.id, now=NOW)
        assert (replica.store, replica.state) == ("disk", ReplicaState.AVAILABLE)
    assert requests(archive) == [(str(segment.id), 30, "read")]
    migrate(archive)
    assert requests(archive) == []


@pytest.mark.parametrize(("mode", "wanted"), [("hybrid", 0), ("cloud", 1)])
def test_what_the_rollout_does_not_want_is_not_queued(
    archive: "Archive", segment: Segment, mode: str, wanted: int
) -> None:
    archive.mode, archive.percentage = mode, 0
    assert locate(archive.estate, archive.catalogue, segment.id, now=NOW).store == "disk"
    assert len(requests(archive)) == wanted


def test_a_more_urgent_request_stays(archive: "Archive", segment: Segment) -> None:
    archive.catalogue.transfers.request([(segment.id, segment.start_time)], 10, "fallback")
    locate(archive.estate, archive.catalogue, segment.id, now=NOW)
    assert requests(archive) == [(str(segment.id), 10, "fallback")]


def test_in_mode_local_the_cloud_is_not_read(archive: "Archive", segment: Segment) -> None:
    migrate(archive)
    archive.mode = "local"
    assert locate(archive.estate, archive.catalogue, segment.id, now=NOW).store == "disk"
    assert requests(archive) == []


def test_a_primary_store_that_is_a_server_is_local(archive: "Archive", segment: Segment) -> None:
    primary = StoreSettings(name="disk", kind=StoreKind.MINIO, bucket="primary")
    estate = archive.estate.model_copy(update={"stores": (primary, *archive.estate.stores[1:])})
    assert locate(estate, archive.catalogue, segment.id, now=NOW).store == "disk"
    assert requests(archive) == [(str(segment.id), 30, "read")]
    for batch in archive.plan(interval=None).batches:
        transfer_batch(estate, archive.open_catalogue, archive.open_store, batch.id)
    assert archive.replicas(segment)["disk"].retire_after is not None
    assert locate(estate, archive.catalogue, segment.id, now=NOW).store == "cloud"
    local = estate.model_copy(update={"placement": estate.placement.model_copy(update={"mode": "local"})})
    assert locate(local, archive.catalogue, segment.id, now=NOW).store == "disk"


def test_a_suspicious_copy_is_not_read(archive: "Archive", segment: Segment) -> None:
    migrate(archive)
    archive.catalogue.replicas.suspect([archive.replicas(segment)["cloud"]])
    assert locate(archive.estate, archive.catalogue, segment.id, now=NOW).store == "disk"


def test_by_camera_and_time(archive: "Archive") -> None:
    first, second = archive.record(2)
    found = [
        locate_at(archive.estate, archive.catalogue, first.camera_id, moment, now=NOW).segment_id
        for moment in (first.start_time, second.start_time - timedelta(microseconds=1), second.start_time)
    ]
    assert found == [first.id, first.id, second.id]
    with pytest.raises(ObjectNotFound, match=r"video not found: camera .* has no segment at"):
        locate_at(archive.estate, archive.catalogue, first.camera_id, second.end_time, now=NOW)
    with pytest.raises(ObjectNotFound, match="video not found"):
        locate_at(archive.estate, archive.catalogue, CameraId(uuid4()), first.start_time, now=NOW)


def test_video_not_found(archive: "Archive", segment: Segment) -> None:
    with pytest.raises(ObjectNotFound, match=r"video not found: segment .* is not in the catalogue"):
        locate(archive.estate, archive.catalogue, SegmentId(uuid4()), now=NOW)
    set_state(archive, segment, "disk", "lost")
    with pytest.raises(ObjectNotFound, match=r"video not found: segment .* has copies in \['disk \(lost\)'\]"):
        locate(archive.estate, archive.catalogue, segment.id, now=NOW)


# --- copies that cannot be read at once -------------------------------------------------------------------------------


def set_state(archive: "Archive", segment: Segment, store: str, state: str) -> None:
    archive.sql("UPDATE replicas SET state = %s WHERE segment_id = %s AND store = %s", (state, str(segment.id), store))


def set_class(archive: "Archive", storage_class: str, readable_until: datetime | None = None) -> None:
    archive.sql(
        "UPDATE replicas SET storage_class = %s, tier = 'ARCHIVE', readable_until = %s WHERE store = 'cloud'",
        (storage_class, readable_until),
    )


@pytest.fixture
def glacier(archive: "Archive", segment: Segment) -> Estate:
    """The segment is on the disk and in Glacier."""
    migrate(archive)
    set_class(archive, "GLACIER")
    s3 = StoreSettings(name="cloud", kind=StoreKind.S3, bucket="recordings")
    return archive.estate.model_copy(update={"stores": (archive.estate.stores[0], s3)})


def test_a_copy_that_can_be_read_goes_before_an_archived_one(
    archive: "Archive", segment: Segment, glacier: Estate
) -> None:
    assert locate(glacier, archive.catalogue, segment.id, now=NOW).store == "disk"
    assert requests(archive) == []  # the cloud has it


def test_archived_says_how_long_a_restore_takes_and_what_it_costs(
    archive: "Archive", segment: Segment, glacier: Estate
) -> None:
    set_state(archive, segment, "disk", "condemned")
    with pytest.raises(ObjectArchived, match=r"is archived in store 'cloud' as GLACIER; .* makes it readable in "
                                             r"3–5 h \(standard\), for 7 days and less than 0.01 USD"):  # fmt: skip
        locate(glacier, archive.catalogue, segment.id, now=NOW)
    set_class(archive, "DEEP_ARCHIVE")
    quick = glacier.model_copy(update={"restore": Restore(speed="expedited")})
    with pytest.raises(ObjectArchived, match=r"as DEEP_ARCHIVE; .* in 12 h \(standard\)"):  # it has no faster one
        locate(quick, archive.catalogue, segment.id, now=NOW)


def test_a_restored_copy_is_read_until_it_ends(archive: "Archive", segment: Segment, glacier: Estate) -> None:
    set_state(archive, segment, "disk", "lost")
    set_class(archive, "GLACIER", NOW + timedelta(days=1))
    assert locate(glacier, archive.catalogue, segment.id, now=NOW).store == "cloud"
    with pytest.raises(ObjectArchived):
        locate(glacier, archive.catalogue, segment.id, now=NOW + timedelta(days=1))


@pytest.mark.parametrize("storage_class", ["STANDARD_IA", "GLACIER_IR", "ARCHIVE", "COLDLINE"])
def test_cold_classes_are_read_at_once(
    archive: "Archive", segment: Segment, glacier: Estate, storage_class: str
) -> None:
    set_class(archive, storage_class)
    assert locate(glacier, archive.catalogue, segment.id, now=NOW).store == "cloud"


def test_a_doubted_copy_is_the_last_that_is_read(
    archive: "Archive", segment: Segment, glacier: Estate, caplog: pytest.LogCaptureFixture
) -> None:
    set_state(archive, segment, "disk", "suspicious")
    found = locate(glacier, archive.catalogue, segment.id, now=NOW)
    assert (found.store, found.state) == ("disk", ReplicaState.SUSPICIOUS)
    assert "there is no better copy" in caplog.text
    assert requests(archive) == []
    set_class(archive, "GLACIER", NOW + timedelta(days=1))
    assert locate(glacier, archive.catalogue, segment.id, now=NOW).store == "cloud"


def test_archived_without_a_price_is_still_told(archive: "Archive", segment: Segment, glacier: Estate) -> None:
    set_state(archive, segment, "disk", "lost")
    elsewhere = StoreSettings(name="cloud", kind=StoreKind.S3, bucket="recordings", price_list="aws:nowhere")
    estate = glacier.model_copy(update={"stores": (glacier.stores[0], elsewhere)})
    with pytest.raises(ObjectArchived, match=r"at a cost that is not known: unknown price list 'aws:nowhere'"):
        locate(estate, archive.catalogue, segment.id, now=NOW)
