"""What goes wrong in a migration: sources, stores, workers; and what the independent look finds."""

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from reelkeeper.catalogue.condemnations import Condemned
from reelkeeper.errors import (
    AccessDenied,
    BucketNotFound,
    GateFailed,
    ObjectExists,
    ObjectNotFound,
    PermanentError,
    SourceCorrupted,
    StoreUnavailable,
)
from reelkeeper.migration.job import gate, summarise, transfer_batch
from reelkeeper.model import BatchId, ReplicaState, SegmentId, StoreName
from reelkeeper.policy.retention import Reason
from reelkeeper.reading import locate
from reelkeeper.stores.body import Body
from reelkeeper.verification.confirming import verify_segment
from tests.migration.steps import NOW, Failing, migrate, transfer, verify

if TYPE_CHECKING:
    from tests.migration.conftest import Archive

pytestmark = pytest.mark.usefixtures("quick_retries")


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
