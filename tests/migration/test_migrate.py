"""The migration's steps on a disk, a memory store and a real catalogue, when all goes well."""

from datetime import timedelta
from time import sleep
from typing import TYPE_CHECKING

import pytest

from reelkeeper.errors import ConfigurationError, GateFailed
from reelkeeper.migration import batch as migration_batch
from reelkeeper.migration import recording
from reelkeeper.migration.job import gate, plan_migration, summarise, transfer_batch
from reelkeeper.model import Key, SegmentId, StoreKind, StoreName, TimeRange
from reelkeeper.policy.rollout import Percentage, wants_cloud
from reelkeeper.settings import StoreSettings
from reelkeeper.stores.body import Body
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import WriteOptions
from tests.migration.steps import NOW, START, Failing, migrate, transfer, verify

if TYPE_CHECKING:
    from tests.migration.conftest import Archive

pytestmark = pytest.mark.usefixtures("quick_retries")


def test_from_plan_to_summary(archive: "Archive") -> None:
    segments = archive.record(25)
    plan = archive.plan(batch_size=10)
    assert (plan.segments, plan.size_bytes, len(plan.batches), plan.left_segments) == (25, 25_000, 3, 0)
    seen: list[tuple[int, int, int, int]] = []
    results = [transfer(archive, batch.id, progress=lambda *numbers: seen.append(numbers)) for batch in plan.batches]
    assert [(result.succeeded, result.failed, result.succeeded_bytes) for result in results] == [
        (10, 0, 10_000), (10, 0, 10_000), (5, 0, 5_000)
    ]  # fmt: skip
    assert seen[-1] == (5, 5, 5_000, 5_000)
    looked = [verify(archive, batch.id) for batch in plan.batches]
    assert [(look.verified, look.unverified, look.verified_bytes) for look in looked][-1] == (5, 0, 5_000)
    ids = [batch.id for batch in plan.batches]
    assert gate(archive.estate, archive.catalogue, ids).done == 25
    assert summarise(archive.catalogue, ids).failures == ()
    archive.assert_migrated(segments)


def test_a_second_run_finds_nothing_to_do(archive: "Archive") -> None:
    segments = archive.record(5)
    first = migrate(archive)
    assert archive.plan("run 1").batches == ()
    assert archive.plan("run 2").segments == 0
    again = transfer(archive, first[0])
    assert (again.succeeded, again.failed) == (0, 0)
    archive.assert_migrated(segments)


def test_a_plan_is_made_once(archive: "Archive") -> None:
    archive.record(7)
    first = archive.plan(batch_size=3)
    again = archive.plan(batch_size=3)
    assert [batch.id for batch in again.batches] == [batch.id for batch in first.batches]
    assert archive.plan("another run").segments == 0  # all are under way


def test_overlapping_plans_take_each_segment_once(archive: "Archive") -> None:
    segments = archive.record(30)
    half = TimeRange(START, START + timedelta(seconds=200))
    first, second = archive.plan("run 1", half), archive.plan("run 2", None)
    assert first.segments + second.segments == 30
    for batch in (*second.batches, *first.batches):
        transfer(archive, batch.id)
    archive.assert_migrated(segments)


def test_a_dry_run_changes_nothing(archive: "Archive") -> None:
    archive.record(5)
    plan = archive.plan(dry_run=True)
    assert (plan.batches, plan.segments, plan.size_bytes, plan.dry_run) == ((), 5, 5_000, True)
    assert archive.sql("SELECT count(*) FROM transfer_items") == [(0,)]


def test_the_rollout_is_a_percentage_and_sticks(archive: "Archive") -> None:
    segments = archive.record(200)
    moved: list[set[SegmentId]] = []
    for run, percentage in enumerate([10, 50, 25, 100]):
        archive.percentage = percentage
        migrate(archive, f"run {run}")
        moved.append({s.id for s in segments if "cloud" in archive.replicas(s)})
        assert moved[-1] >= {s.id for s in segments if wants_cloud(s.rollout_bucket, Percentage.of(percentage))}
    assert moved[0] < moved[1] == moved[2] < moved[3]
    assert moved[1] == {s.id for s in segments if wants_cloud(s.rollout_bucket, Percentage.of(50))}
    archive.assert_migrated(segments)


def test_one_percent_is_not_everything_and_an_explicit_one_wins(archive: "Archive") -> None:
    segments = archive.record(60)
    archive.percentage = 1
    plan = archive.plan(dry_run=True)
    assert plan.percentage == Percentage(100)
    assert plan.segments == sum(s.rollout_bucket < 100 for s in segments) < 10
    assert archive.plan(dry_run=True, percentage=Percentage.of(100)).segments == 60
    archive.mode = "cloud"
    assert archive.plan(dry_run=True).segments == 60


def test_only_what_is_old_enough(archive: "Archive") -> None:
    archive.record(12, step=timedelta(minutes=5))
    now = START + timedelta(minutes=90)
    assert archive.plan(dry_run=True, now=lambda: now).segments == 6  # older than an hour
    assert archive.plan(dry_run=True, now=lambda: now, older_than=timedelta(0)).segments == 12


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"destination": "nowhere"}, "unknown store 'nowhere'"),
        ({"destination": "disk"}, "source and destination are both 'disk'"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_params_that_do_not_fit(archive: "Archive", options: dict[str, object], expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        archive.plan(**options)


# --- priority and requests --------------------------------------------------------------------------------------------


def test_the_interval_goes_first_then_requests_by_priority(archive: "Archive") -> None:
    earlier = START - timedelta(days=40)
    read, late, fallback = (archive.record(1, start=earlier + timedelta(hours=n))[0] for n in range(3))
    (own,) = archive.record(1)
    for segment, priority, reason in [(read, 30, "read"), (late, 20, "late"), (fallback, 10, "fallback")]:
        archive.catalogue.transfers.request([(segment.id, segment.start_time)], priority, reason)
    assert archive.plan("dry", dry_run=True, include_requests=False).segments == 1
    ids = migrate(archive, batch_size=1)
    order = [archive.catalogue.transfers.made(batch_id)[0].segment_id for batch_id in ids]
    assert order == [own.id, fallback.id, late.id, read.id]
    assert archive.sql("SELECT count(*) FROM migration_requests") == [(0,)]


def test_what_is_not_of_the_interval_must_be_old_enough_as_well(archive: "Archive") -> None:
    (own,) = archive.record(1)
    (fresh,) = archive.record(1, start=START + timedelta(hours=1))
    (missed,) = archive.record(1, start=START - timedelta(hours=1))
    archive.catalogue.transfers.request([(fresh.id, fresh.start_time)], 10, "fallback")
    options = {"older_than": timedelta(0), "rest_older_than": timedelta(hours=1), "catch_up": timedelta(days=7)}
    batch = archive.plan(now=lambda: START + timedelta(hours=1, minutes=5), **options).batches[0]
    assert [item.segment_id for item in archive.catalogue.transfers.claim(batch.id, 9, timedelta(minutes=1))] == [
        own.id, missed.id
    ]  # fmt: skip
    assert archive.plan("later", now=lambda: START + timedelta(hours=3), **options).segments == 1


def test_a_run_to_another_store_leaves_the_requests_alone(archive: "Archive") -> None:
    (segment,) = archive.record(1)
    archive.catalogue.transfers.request([(segment.id, segment.start_time)], 30, "read")
    archive.stores["vault"] = MemoryStore(StoreName("vault"))
    vault = StoreSettings(name="vault", kind=StoreKind.MINIO, bucket="vault")
    estate = archive.estate.model_copy(update={"stores": (*archive.estate.stores, vault)})
    plan = plan_migration(estate, archive.catalogue, run_id="aside", interval=None, destination="vault")
    assert transfer_batch(estate, archive.open_catalogue, archive.open_store, plan.batches[0].id).succeeded == 1
    assert archive.sql("SELECT reason FROM migration_requests") == [("read",)]
    migrate(archive, interval=None)
    assert archive.sql("SELECT reason FROM migration_requests") == []


def test_requests_are_taken_only_as_far_as_the_rollout_wants(archive: "Archive") -> None:
    segments = archive.record(100, start=START - timedelta(days=2))
    archive.catalogue.transfers.request([(s.id, s.start_time) for s in segments], 30, "read")
    archive.percentage = 20
    migrate(archive)
    for segment in segments:
        assert ("cloud" in archive.replicas(segment)) == wants_cloud(segment.rollout_bucket, Percentage.of(20))


# --- retirement -------------------------------------------------------------------------------------------------------


def test_the_local_copy_retires_thirty_days_later_and_is_not_touched(archive: "Archive") -> None:
    segments = archive.record(3)
    migrate(archive)
    for segment in segments:
        replicas = archive.replicas(segment)
        assert replicas["disk"].retire_after == NOW + timedelta(days=30)
        assert replicas["cloud"].retire_after is None
    archive.assert_migrated(segments)


def test_without_delete_local_it_stays_for_good(archive: "Archive") -> None:
    (segment,) = archive.record(1)
    transfer(archive, archive.plan().batches[0].id, delete_local=False)
    assert archive.replicas(segment)["disk"].retire_after is None


# --- the mode ---------------------------------------------------------------------------------------------------------


def test_mode_local_plans_nothing(archive: "Archive") -> None:
    archive.record(3)
    archive.mode = "local"
    plan = archive.plan()
    assert (plan.segments, plan.batches) == (0, ())
    assert "placement.mode is 'local'" in str(plan.barred)


def test_mode_local_stops_a_planned_batch_and_loses_nothing(archive: "Archive", cloud: Failing) -> None:
    segments = archive.record(3)
    batch = archive.plan().batches[0]
    archive.mode = "local"
    result = transfer(archive, batch.id)
    assert result.barred
    assert (result.succeeded, cloud.asked) == (0, 0)
    counts = archive.catalogue.transfers.counts([batch.id])
    assert (counts.pending, counts.claimed) == (3, 0)
    with pytest.raises(GateFailed, match="3 of 3 transfers are unfinished"):
        gate(archive.estate, archive.catalogue, [batch.id])
    gate(archive.estate, archive.catalogue, [batch.id], stopped=True)
    archive.mode = "hybrid"
    assert transfer(archive, batch.id).succeeded == 3
    archive.assert_migrated(segments)


@pytest.mark.parametrize("claim_items", [8, 500])
def test_mode_local_stops_between_segments(
    archive: "Archive", monkeypatch: pytest.MonkeyPatch, claim_items: int
) -> None:
    monkeypatch.setattr(recording, "_CLAIM_ITEMS", claim_items)
    monkeypatch.setattr(migration_batch, "_MODE_SECONDS", 0.0)
    segments = archive.record(200, step=timedelta(seconds=1))
    cloud = archive.stores["cloud"]

    class Slow(MemoryStore):
        def write(self, key: Key, body: Body, options: WriteOptions = WriteOptions()) -> None:
            sleep(0.005)
            cloud.write(key, body, options)
            if sum(1 for _ in cloud.list()) >= 20:
                archive.mode = "local"

    archive.stores["cloud"] = Slow(StoreName("cloud"))
    batch = archive.plan().batches[0]
    result = transfer(archive, batch.id, current_estate=lambda: archive.estate)
    assert result.barred
    assert 0 < result.succeeded < 100
    counts = archive.catalogue.transfers.counts([batch.id])
    assert (counts.done, counts.claimed, counts.pending) == (result.succeeded, 0, 200 - result.succeeded)
    archive.stores["cloud"], archive.mode = cloud, "hybrid"
    transfer(archive, batch.id)
    archive.assert_migrated(segments)
