"""The migration's steps on a disk, a memory store and a real catalogue."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import sleep
from typing import TYPE_CHECKING

import pytest

from reelkeeper.catalogue.condemnations import Condemned
from reelkeeper.errors import (
    AccessDenied,
    BucketNotFound,
    ConfigurationError,
    GateFailed,
    ObjectExists,
    ObjectNotFound,
    PermanentError,
    SourceCorrupted,
    StoreUnavailable,
)
from reelkeeper.migration import batch as migration_batch
from reelkeeper.migration import recording
from reelkeeper.migration.job import gate, plan_migration, summarise, transfer_batch, verify_batch
from reelkeeper.model import BatchId, Key, ReplicaState, SegmentId, StoreKind, StoreName, TimeRange
from reelkeeper.policy.retention import Reason
from reelkeeper.policy.rollout import Percentage, wants_cloud
from reelkeeper.reading import locate
from reelkeeper.settings import StoreSettings
from reelkeeper.stores.body import Body
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import WriteOptions
from reelkeeper.verification.confirming import verify_segment

if TYPE_CHECKING:
    from tests.migration.conftest import Archive

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
NOW = START + timedelta(days=1)


class Failing(MemoryStore):
    """A cloud that fails for the keys that are in `errors` (all keys: None)."""

    def __init__(self) -> None:
        super().__init__(StoreName("cloud"))
        self.errors: dict[Key | None, Exception] = {}
        self.asked = 0

    def write(self, key: Key, body: Body, options: WriteOptions = WriteOptions()) -> None:
        self.asked += 1
        error = self.errors.get(key) or self.errors.get(None)
        if error is not None:
            raise error
        super().write(key, body, options)


@pytest.fixture
def cloud(archive: "Archive") -> Failing:
    store = Failing()
    archive.stores["cloud"] = store
    return store


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of milliseconds between the tries of an object."""
    from reelkeeper.stores import retry, transfer

    monkeypatch.setattr(transfer, "retrying", lambda **options: retry.retrying(first_wait_seconds=0.002, **options))


def migrate(archive: "Archive", run_id: str = "run 1", **options: object) -> list[BatchId]:
    """Plan and transfer all batches of a run."""
    ids = [batch.id for batch in archive.plan(run_id, **options).batches]
    for batch_id in ids:
        transfer(archive, batch_id)
    return ids


def transfer(archive: "Archive", batch_id: BatchId, **options: object):  # type: ignore[no-untyped-def]
    options = {"now": lambda: NOW} | options
    return transfer_batch(archive.estate, archive.open_catalogue, archive.open_store, batch_id, **options)  # type: ignore[arg-type]


def verify(archive: "Archive", batch_id: BatchId):  # type: ignore[no-untyped-def]
    return verify_batch(archive.estate, archive.open_catalogue, archive.open_store, batch_id)


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


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_changed_source_fails_alone_and_is_never_stored(archive: "Archive", spoil) -> None:  # type: ignore[no-untyped-def]
    _good, truncated, changed = segments = archive.record(3)
    spoil(truncated, b"x" * 999)
    spoil(changed, b"x" * 1000)
    (batch_id,) = migrate(archive)
    assert [("cloud" in archive.replicas(s)) for s in segments] == [True, False, False]
    states = [archive.replicas(segment)["disk"].state for segment in segments]
    assert states == [ReplicaState.AVAILABLE, ReplicaState.SUSPICIOUS, ReplicaState.SUSPICIOUS]
    assert archive.plan("next hour").segments == 0
    assert len(list(archive.stores["cloud"].list())) == 1
    assert archive.history() == {"succeeded": 1, "failed": 2}
    failures = summarise(archive.catalogue, [batch_id]).failures
    assert {failure.error_code for failure in failures} == {SourceCorrupted.code}
    with pytest.raises(GateFailed, match=r"2 of 3 transfers failed, a ratio of 0.6667: expected at most 0.05"):
        gate(archive.estate, archive.catalogue, [batch_id])
    assert archive.replicas(truncated)["disk"].retire_after is None


def test_a_source_that_is_gone_becomes_suspicious_and_a_disk_that_is_gone_does_not(archive: "Archive") -> None:
    kept, gone = archive.record(2)
    (archive.root / archive.replicas(gone)["disk"].path).unlink()
    batch = archive.plan().batches[0]
    archive.root.rename(archive.root.with_name("unmounted"))
    with pytest.raises(StoreUnavailable):
        transfer(archive, batch.id)
    assert archive.replicas(gone)["disk"].state is ReplicaState.AVAILABLE
    archive.root.with_name("unmounted").rename(archive.root)
    assert transfer(archive, batch.id).failed == 1
    assert archive.replicas(gone)["disk"].state is ReplicaState.SUSPICIOUS
    assert archive.replicas(kept)["disk"].state is ReplicaState.AVAILABLE
    found = locate(archive.estate, archive.catalogue, gone.id, now=NOW)
    assert found.state is ReplicaState.SUSPICIOUS  # there is no better one to read


def test_other_bytes_in_the_way_are_never_overwritten(archive: "Archive") -> None:
    (segment,) = archive.record(1)
    key = archive.replicas(segment)["disk"].path
    archive.stores["cloud"].write(key, Body.of_bytes(b"truncated"))
    (batch_id,) = migrate(archive)
    assert summarise(archive.catalogue, [batch_id]).failures[0].error_code == ObjectExists.code
    assert b"".join(archive.stores["cloud"].read(key)) == b"truncated"


def test_what_a_killed_run_wrote_is_taken_for_ours(archive: "Archive") -> None:
    """Written and not recorded: the state between the first two of write → verify → record."""
    segments = archive.record(3)
    for segment in segments[:2]:
        key = archive.replicas(segment)["disk"].path
        archive.stores["cloud"].write(key, Body.of_bytes(b"".join(archive.stores["disk"].read(key))))
    migrate(archive)
    archive.assert_migrated(segments)


def test_a_store_that_fails_for_a_while(archive: "Archive", cloud: Failing) -> None:
    segments = archive.record(300)
    batch = archive.plan().batches[0]
    cloud.errors[None] = StoreUnavailable("503")
    with pytest.raises(StoreUnavailable, match=r"\d+ of 300 segments of batch .* are left for the next try: .*503"):
        transfer(archive, batch.id)
    assert cloud.asked <= 3 * (5 + 8)
    assert archive.history()["failed"] <= 5 + 8  # the error budget is not flooded
    counts = archive.catalogue.transfers.counts([batch.id])
    assert (counts.pending, counts.claimed, counts.failed) == (300, 0, 0)
    del cloud.errors[None]
    assert transfer(archive, batch.id).succeeded == 300
    archive.assert_migrated(segments)


def test_one_segment_that_keeps_failing_ends_the_third_time(archive: "Archive", cloud: Failing) -> None:
    segments = archive.record(10)
    cloud.errors[archive.replicas(segments[4])["disk"].path] = StoreUnavailable("input/output error")
    batch = archive.plan().batches[0]
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="1 of 10 segments"):
            transfer(archive, batch.id)
    assert transfer(archive, batch.id).failed == 1
    counts = archive.catalogue.transfers.counts([batch.id])
    assert (counts.done, counts.failed) == (9, 1)
    assert archive.history() == {"succeeded": 9, "failed": 3}
    assert archive.sql("SELECT segment_id, reason FROM migration_requests") == [(str(segments[4].id), "failed")]


def test_one_segment_that_is_refused_is_tried_again(archive: "Archive", cloud: Failing) -> None:
    segments = archive.record(10)
    key = archive.replicas(segments[4])["disk"].path
    cloud.errors[key] = AccessDenied("403")
    batch = archive.plan().batches[0]
    with pytest.raises(StoreUnavailable, match=r"1 of 10 segments .*403"):
        transfer(archive, batch.id)
    counts = archive.catalogue.transfers.counts([batch.id])
    assert (counts.done, counts.pending, counts.failed) == (9, 1, 0)
    del cloud.errors[key]
    assert transfer(archive, batch.id).succeeded == 1


def test_a_store_that_refuses_all_fails_no_segment(archive: "Archive", cloud: Failing) -> None:
    segments = archive.record(50)
    batch = archive.plan().batches[0]
    cloud.errors[None] = AccessDenied("403")
    with pytest.raises(AccessDenied, match="403"):
        transfer(archive, batch.id)
    counts = archive.catalogue.transfers.counts([batch.id])
    assert (counts.pending, counts.failed) == (50, 0)
    cloud.errors.clear()
    transfer(archive, batch.id)
    archive.assert_migrated(segments)


@pytest.mark.parametrize("error", [BucketNotFound("bucket 'recordings' does not exist")])
def test_a_store_that_cannot_be_used_gives_one_permanent_error(
    archive: "Archive", cloud: Failing, error: PermanentError
) -> None:
    segments = archive.record(50)
    batch = archive.plan().batches[0]
    cloud.errors[None] = error
    with pytest.raises(type(error), match="bucket 'recordings' does not exist"):
        transfer(archive, batch.id)
    assert cloud.asked <= 8
    assert archive.catalogue.transfers.counts([batch.id]).pending == 50
    cloud.errors.clear()
    transfer(archive, batch.id)
    archive.assert_migrated(segments)


def test_a_bug_leaves_no_claim_behind(archive: "Archive", cloud: Failing) -> None:
    segments = archive.record(20)
    batch = archive.plan().batches[0]
    cloud.errors[archive.replicas(segments[7])["disk"].path] = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        transfer(archive, batch.id)
    assert archive.catalogue.transfers.counts([batch.id]).claimed == 0
    cloud.errors.clear()
    transfer(archive, batch.id)
    archive.assert_migrated(segments)


def test_claims_of_a_dead_worker_are_stood_in_for(archive: "Archive") -> None:
    segments = archive.record(10)
    batch = archive.plan().batches[0]
    dead = archive.catalogue.transfers.claim(batch.id, 4, timedelta(seconds=2))
    assert len(dead) == 4
    assert transfer(archive, batch.id).succeeded == 10  # waits for the lease to end
    archive.assert_migrated(segments)


# --- the independent look ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["missing", "truncated"])
def test_what_is_not_there_after_all_becomes_suspicious(archive: "Archive", wrong: str) -> None:
    good, bad = archive.record(2)
    (batch_id,) = migrate(archive)
    key = archive.replicas(bad)["cloud"].path
    archive.stores["cloud"].delete([key])
    if wrong == "truncated":
        archive.stores["cloud"].write(key, Body.of_bytes(b"x" * 999))
    look = verify(archive, batch_id)
    assert (look.verified, look.unverified, look.verified_bytes) == (1, 1, 1000)
    replicas = archive.replicas(bad)
    assert replicas["cloud"].state is ReplicaState.SUSPICIOUS
    assert replicas["disk"].retire_after is None
    assert archive.replicas(good)["disk"].retire_after is not None
    with pytest.raises(GateFailed, match="1 of 2 new replicas are missing or of another size"):
        gate(archive.estate, archive.catalogue, [batch_id], unverified=look.unverified)
    assert verify(archive, batch_id).unverified == 1  # and again


@pytest.mark.parametrize("came_back", [False, True])
def test_a_suspicious_copy_is_made_again_or_found_as_it_should_be(archive: "Archive", came_back: bool) -> None:
    segments = archive.record(2)
    (batch_id,) = migrate(archive)
    key = archive.replicas(segments[0])["cloud"].path
    data = b"".join(archive.stores["cloud"].read(key))
    archive.stores["cloud"].delete([key])
    assert verify(archive, batch_id).unverified == 1
    if came_back:
        archive.stores["cloud"].write(key, Body.of_bytes(data))
    (again,) = migrate(archive, "next hour")
    assert verify(archive, again).verified == 1
    replicas = archive.replicas(segments[0])
    assert replicas["cloud"].state is ReplicaState.AVAILABLE
    assert replicas["disk"].retire_after is not None
    assert b"".join(archive.stores["cloud"].read(key)) == data


def test_verify_one_segment_reads_every_copy(archive: "Archive", spoil) -> None:  # type: ignore[no-untyped-def]
    (segment,) = archive.record(1)
    migrate(archive)
    findings = verify_segment(archive.estate, archive.catalogue, archive.open_store, segment.id)
    assert [(f.replica.store, f.error) for f in findings] == [("cloud", None), ("disk", None)]
    spoil(segment, b"x" * 1000)
    cloud, disk = verify_segment(archive.estate, archive.catalogue, archive.open_store, segment.id)
    assert cloud.error is None
    assert "expected 1000 bytes with" in str(disk.error)
    assert archive.replicas(segment)["disk"].state is ReplicaState.SUSPICIOUS
    spoil(segment, b"".join(archive.stores["cloud"].read(archive.replicas(segment)["cloud"].path)))
    verify_segment(archive.estate, archive.catalogue, archive.open_store, segment.id)
    assert archive.replicas(segment)["disk"].state is ReplicaState.AVAILABLE
    unknown = SegmentId(BatchId(replace(segment).camera_id))
    with pytest.raises(ObjectNotFound, match="is not in the catalogue"):
        verify_segment(archive.estate, archive.catalogue, archive.open_store, unknown)


def test_a_copy_at_a_condemned_place_is_not_recorded_but_made_anew(archive: "Archive") -> None:
    """The deletion may be under way: what was found there, or written, may be gone a moment later."""
    segments = archive.record(3)
    path = archive.replicas(segments[0])["disk"].path
    archive.stores["cloud"].write(path, Body.of_bytes(archive.root.joinpath(path).read_bytes()))
    orphan = Condemned(StoreName("cloud"), path, Reason.ORPHAN, 1000)
    archive.catalogue.condemnations.condemn([orphan], run_id="r", now=NOW, delete_after=NOW)
    (batch,) = archive.plan().batches
    with pytest.raises(StoreUnavailable, match="being deleted"):
        transfer_batch(archive.estate, archive.open_catalogue, archive.open_store, batch.id)
    assert set(archive.replicas(segments[0])) == {"disk"}
    assert set(archive.replicas(segments[1])) == {"disk", "cloud"}
    archive.stores["cloud"].delete([path])
    archive.sql("DELETE FROM condemnations")
    assert transfer_batch(archive.estate, archive.open_catalogue, archive.open_store, batch.id).succeeded == 1
    archive.assert_migrated(segments)
