"""Transfers: wanted once, claimed by one worker, finished all or nothing, and taken over when a run dies."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from reelkeeper.catalogue.records import TransferResult
from reelkeeper.catalogue.transfers import PRIORITY_FALLBACK, PRIORITY_READ
from reelkeeper.model import Key, ReplicaState, StoreName, TimeRange

MINUTE, NOW = timedelta(minutes=1), timedelta(0)
EXPIRED = timedelta(seconds=-1)
RETIRE = datetime(2026, 4, 1, tzinfo=UTC)


@pytest.fixture
def hour(make) -> TimeRange:
    return TimeRange(make.start, make.start + timedelta(hours=1))


def names(items) -> set[str]:
    return {str(item.segment_id) for item in items}


def drain(catalogue, make, plan, **more) -> list:
    """Copy everything that is open in a plan; the items in the order claimed."""
    done = []
    for batch in plan.batches:
        while items := catalogue.transfers.claim(batch.id, 3, MINUTE):
            catalogue.transfers.finish([make.copied(item, **more) for item in items], retire_source_after=RETIRE)
            done += items
    return done


def test_a_finished_transfer_is_a_replica_that_reads_ask_first(catalogue, make, sql) -> None:
    [ingested] = make.recorded([make.ingested(make.camera(), reason="late")])
    plan = make.plan_transfers("run")
    assert (plan.segments, plan.size_bytes, plan.left_segments) == (1, 1000, 0)
    [item] = catalogue.transfers.claim(plan.batches[0].id, 10, MINUTE)
    assert (item.source_path, item.destination_path) == (ingested.replica.path, ingested.replica.path)
    assert (item.checksum, item.size_bytes, item.attempts) == (ingested.segment.checksum, 1000, 1)
    catalogue.transfers.finish([make.copied(item)], retire_source_after=RETIRE)

    cloud, local = catalogue.replicas.of_segments([(item.segment_id, item.start_time)])[item.segment_id]
    assert (cloud.store, cloud.state, cloud.retire_after) == ("cloud", ReplicaState.AVAILABLE, None)
    assert (local.store, local.retire_after) == ("local", RETIRE)
    assert catalogue.transfers.made(plan.batches[0].id) == [cloud]
    assert sql("SELECT storage_backend, storage_path FROM segments") == [("cloud", item.destination_path)]
    assert sql("SELECT count(*) FROM migration_requests") == [(0,)]
    assert sql("SELECT source_store, outcome FROM transfers WHERE job = 'migrate'") == [("local", "succeeded")]
    counts = catalogue.transfers.counts([plan.batches[0].id])
    assert (counts.done, counts.total, counts.bytes_done) == (1, 1, 1000)


def test_finishing_twice_and_without_a_retirement_keeps_what_was(catalogue, make, sql) -> None:
    make.recorded([make.ingested(make.camera())])
    [item] = catalogue.transfers.claim(make.plan_transfers("run").batches[0].id, 10, MINUTE)
    for retire_after in (None, RETIRE, RETIRE + MINUTE):
        catalogue.transfers.finish([make.copied(item)], retire_source_after=retire_after)
    assert sql("SELECT retire_after FROM replicas ORDER BY store") == [(None,), (RETIRE,)]
    assert sql("SELECT count(*) FROM transfers WHERE job = 'migrate'") == [(1,)]
    catalogue.transfers.finish([], retire_source_after=RETIRE)


def test_an_interval_takes_exactly_its_own_segments_whatever_the_order(catalogue, make) -> None:
    camera = make.camera()
    make.recorded(make.minutes(camera, 180, make.start - timedelta(hours=1)))
    hours = [TimeRange(make.start + timedelta(hours=i), make.start + timedelta(hours=i + 1)) for i in (-1, 0, 1)]
    for index in (2, 0, 1):
        plan = make.plan_transfers(f"run {index}", interval=hours[index])
        done = drain(catalogue, make, plan)
        assert len(done) == 60
        assert all(hours[index].start <= item.start_time < hours[index].end for item in done)
        assert make.plan_transfers(f"again {index}", interval=hours[index]).batches == ()


def test_only_what_is_wanted_is_planned(catalogue, make, hour, sql) -> None:
    camera = make.camera()
    items = make.recorded(make.minutes(camera, 30))
    below = [item for item in items if item.segment.rollout_bucket < 5000]
    assert make.plan_transfers("a", bucket_below=5000, dry_run=True).segments == len(below)
    assert make.plan_transfers("a", bucket_below=0).batches == ()
    assert make.plan_transfers("a", ended_before=items[9].segment.end_time, dry_run=True).segments == 10
    assert make.plan_transfers("a", source_store=StoreName("elsewhere")).segments == 0
    assert make.plan_transfers("a", interval=hour, dry_run=True).segments == 30
    sql("UPDATE replicas SET state = 'suspicious' WHERE start_time = %s", (items[0].segment.start_time,))
    assert make.plan_transfers("a", dry_run=True).segments == 29
    assert sql("SELECT count(*) FROM batches WHERE job = 'migrate'") == [(0,)]


def test_a_copy_that_is_gone_or_doubted_is_made_again_and_a_condemned_one_is_left_alone(catalogue, make, sql) -> None:
    states = ("lost", "suspicious", "condemned")
    items = make.recorded(make.minutes(make.camera(), len(states)))
    drain(catalogue, make, make.plan_transfers("run"))
    for item, state in zip(items, states, strict=True):
        sql("UPDATE replicas SET state = %s WHERE store = 'cloud' AND start_time = %s",
            (state, item.segment.start_time))  # fmt: skip
    catalogue.transfers.request([(item.segment.id, item.segment.start_time) for item in items], PRIORITY_READ, "read")
    elsewhere = TimeRange(make.start - timedelta(hours=1), make.start)
    assert make.plan_transfers("by request", interval=elsewhere, dry_run=True).segments == 2
    again = drain(catalogue, make, make.plan_transfers("next"))
    assert [item.start_time for item in again] == [item.segment.start_time for item in items[:2]]
    assert sql("SELECT state FROM replicas WHERE store = 'cloud' ORDER BY start_time") == [
        ("available",), ("available",), ("condemned",)
    ]  # fmt: skip


def test_batches_fill_by_count_and_by_bytes_and_the_rest_waits(make) -> None:
    camera = make.camera()
    make.recorded(make.minutes(camera, 7))
    by_count = make.plan_transfers("dry", batch_size=3, dry_run=True)
    assert (by_count.batches, by_count.segments, by_count.size_bytes) == ((), 7, 7000)
    plan = make.plan_transfers("run", batch_size=3, max_batches=2)
    assert [(b.item_count, b.size_bytes) for b in plan.batches] == [(3, 3000), (3, 3000)]
    assert (plan.segments, plan.left_segments) == (6, 1)
    assert make.plan_transfers("next", batch_bytes=1).batches[0].item_count == 1


def test_planning_again_gives_the_open_batches_and_failed_items_anew(catalogue, make) -> None:
    make.recorded(make.minutes(make.camera(), 4))
    first = make.plan_transfers("run", batch_size=2)
    assert make.plan_transfers("run", batch_size=2) == first
    assert make.plan_transfers("other") == replace(first, batches=(), segments=0, size_bytes=0)

    done, failed = catalogue.transfers.claim(first.batches[0].id, 2, MINUTE)
    catalogue.transfers.finish([make.copied(done), make.not_copied(failed)], retire_source_after=None)
    again = make.plan_transfers("run", batch_size=2)
    assert [b.item_count for b in again.batches] == [2, 1]
    assert again.batches[0] == first.batches[1]
    [failure] = catalogue.transfers.failures([b.id for b in first.batches], 10)
    assert (failure.segment_id, failure.error_code, failure.attempts) == (failed.segment_id, "store_timeout", 1)
    assert catalogue.transfers.batches("migrate", "run") == [*first.batches, again.batches[1]]
    assert catalogue.transfers.get(first.batches[0].id) == first.batches[0]
    with pytest.raises(LookupError, match="no batch"):
        catalogue.transfers.get(uuid4())


def test_an_item_goes_back_for_another_try(catalogue, make, sql) -> None:
    make.recorded([make.ingested(make.camera())])
    batch = make.plan_transfers("run").batches[0].id
    [item] = catalogue.transfers.claim(batch, 1, MINUTE)
    catalogue.transfers.finish([make.not_copied(item, retry=True)], retire_source_after=None)
    [item] = catalogue.transfers.claim(batch, 1, MINUTE)
    catalogue.transfers.finish([TransferResult(item, None, None)], retire_source_after=None)  # not even tried
    [item] = catalogue.transfers.claim(batch, 1, MINUTE)
    assert item.attempts == 3
    assert sql("SELECT outcome, error_code FROM transfers WHERE job = 'migrate'") == [("failed", "store_timeout")]


def test_a_claim_is_for_one_worker_until_its_lease_ends(catalogue, make, another) -> None:
    make.recorded(make.minutes(make.camera(), 4))
    batch = make.plan_transfers("run").batches[0].id
    mine, other = catalogue.transfers, another().transfers
    held = mine.claim(batch, 2, MINUTE)
    lost = mine.claim(batch, 2, EXPIRED)
    theirs = other.claim(batch, 10, MINUTE)
    assert names(theirs) == names(lost)
    assert names(theirs).isdisjoint(names(held))
    assert mine.extend(batch, [*held, *lost], MINUTE) == 2  # the others are held by another claim
    mine.finish([make.not_copied(item) for item in lost], retire_source_after=None)
    assert mine.counts([batch]).failed == 0
    other.finish([make.copied(item) for item in theirs], retire_source_after=None)
    assert mine.counts([batch]).done == 2


def test_three_workers_never_hold_the_same_item(catalogue, make, another) -> None:
    make.recorded(make.minutes(make.camera(), 200))
    batch = make.plan_transfers("run").batches[0].id

    def work(catalogue) -> list:
        taken = []
        while items := catalogue.transfers.claim(batch, 7, MINUTE):
            catalogue.transfers.finish([make.copied(item) for item in items], retire_source_after=RETIRE)
            taken += items
        return taken

    with ThreadPoolExecutor(3) as pool:
        shares = list(pool.map(work, [another() for _ in range(3)]))
    assert sum(len(share) for share in shares) == len(names(item for share in shares for item in share)) == 200
    assert catalogue.transfers.counts([batch]).done == 200


def test_overlapping_plans_at_the_same_time_take_each_segment_once(make, another, sql) -> None:
    make.recorded(make.minutes(make.camera(), 120))
    intervals = [
        TimeRange(make.start + timedelta(minutes=first), make.start + timedelta(minutes=first + 60))
        for first in (0, 20, 40, 60)
    ]
    workers = [another() for _ in intervals]
    with ThreadPoolExecutor(4) as pool:
        plans = list(pool.map(
            lambda i: make.plan_transfers(f"run {i}", interval=intervals[i], catalogue=workers[i]), range(4)
        ))  # fmt: skip
    assert sum(plan.segments for plan in plans) == 120
    assert sql("SELECT count(*), count(DISTINCT segment_id) FROM transfer_items") == [(120, 120)]


def test_no_more_batches_of_a_run_are_open_at_a_time_however_often_it_is_planned(catalogue, make) -> None:
    make.recorded(make.minutes(make.camera(), 9))
    first = make.plan_transfers("run", batch_size=2, max_batches=2)
    again = make.plan_transfers("run", batch_size=2, max_batches=2)
    assert (again.batches, again.left_segments) == (first.batches, 5)
    for item in catalogue.transfers.claim(first.batches[0].id, 2, MINUTE):
        catalogue.transfers.finish([make.copied(item)], retire_source_after=None)
    assert len(make.plan_transfers("run", batch_size=2, max_batches=2).batches) == 2


def test_a_run_catches_up_on_what_was_never_planned_after_its_own(catalogue, make, hour) -> None:
    camera = make.camera()
    missed = make.recorded(make.minutes(camera, 2, make.start - timedelta(days=2)))
    make.recorded(make.minutes(camera, 1, make.start - timedelta(days=9)))
    make.recorded(make.minutes(camera, 1))
    catalogue.transfers.request([(missed[1].segment.id, missed[1].segment.start_time)], PRIORITY_FALLBACK, "fallback")
    terms = {"interval": hour, "catch_up_from": make.start - timedelta(days=7)}
    done = drain(catalogue, make, make.plan_transfers("run", **terms))
    assert [item.start_time for item in done] == [make.start, *(item.segment.start_time for item in missed[::-1])]
    assert make.plan_transfers("next", **terms).segments == 0


def test_what_failed_rests_before_runs_of_other_hours_try_it_again(catalogue, make, hour, sql) -> None:
    [item] = make.recorded([make.ingested(make.camera())])
    later = TimeRange(hour.end, hour.end + timedelta(hours=1))
    plan = make.plan_transfers("run", interval=hour)
    catalogue.transfers.finish(
        [make.not_copied(*catalogue.transfers.claim(plan.batches[0].id, 1, MINUTE))], retire_source_after=None
    )
    catalogue.transfers.request([(item.segment.id, item.segment.start_time)], PRIORITY_READ, "read")
    for catch_up_from in (later.start, hour.start):  # by request, by catching up
        assert make.plan_transfers("later", interval=later, catch_up_from=catch_up_from).segments == 0
    assert make.plan_transfers("by hand", dry_run=True).segments == 1
    assert make.plan_transfers("run", interval=hour, dry_run=True).segments == 1
    sql("UPDATE transfer_items SET updated_at = now() - interval '1 day'")
    assert make.plan_transfers("next day", interval=later, catch_up_from=hour.start).segments == 1


def test_what_failed_for_a_reason_that_may_pass_is_requested_anew(catalogue, make, hour, sql) -> None:
    items = make.recorded(make.minutes(make.camera(), 2))
    batch = make.plan_transfers("run", interval=hour).batches[0].id
    may_pass, final = catalogue.transfers.claim(batch, 2, MINUTE)
    results = [replace(make.not_copied(may_pass), may_pass=True), make.not_copied(final)]
    catalogue.transfers.finish(results, retire_source_after=None)
    assert sql("SELECT start_time, reason FROM migration_requests") == [(items[0].segment.start_time, "failed")]
    assert catalogue.transfers.counts([batch]).failed == 2


def test_requests_are_for_the_cloud_and_other_destinations_leave_them_alone(catalogue, make, hour, sql) -> None:
    [item, _] = make.recorded(make.minutes(make.camera(), 2))
    catalogue.transfers.request([(item.segment.id, item.segment.start_time)], PRIORITY_READ, "read")
    other = {"destination_store": StoreName("archive"), "serves_requests": False}
    later = TimeRange(hour.end, hour.end + timedelta(hours=1))
    assert make.plan_transfers("aside", interval=later, **other).segments == 0
    plan = make.plan_transfers("archive", interval=hour, **other)
    copied, failed = catalogue.transfers.claim(plan.batches[0].id, 2, MINUTE)
    catalogue.transfers.finish(
        [make.copied(copied), replace(make.not_copied(failed), may_pass=True)],
        retire_source_after=RETIRE, serves_requests=False,
    )  # fmt: skip
    make.plan_transfers("dead", interval=hour, **other)
    make.plan_transfers("takes over", interval=later, stale_after=NOW, **other)
    assert sql("SELECT start_time, reason FROM migration_requests") == [(item.segment.start_time, "read")]
    assert make.plan_transfers("cloud", interval=later).segments == 1


def test_requests_come_after_the_interval_by_their_urgency(catalogue, make, hour, sql) -> None:
    camera = make.camera()
    early = make.recorded(make.minutes(camera, 3, make.start - timedelta(days=40)))
    make.recorded(make.minutes(camera, 1))
    segments = [(item.segment.id, item.segment.start_time) for item in early]
    catalogue.transfers.request(segments, PRIORITY_READ, "read")
    catalogue.transfers.request(segments[2:], PRIORITY_FALLBACK, "fallback")
    catalogue.transfers.request(segments[2:], PRIORITY_READ, "read")  # keeps the more urgent one
    assert make.plan_transfers("run", interval=hour, include_requests=False, dry_run=True).segments == 1

    order = [item.start_time for item in drain(catalogue, make, make.plan_transfers("run", interval=hour))]
    assert order == [make.start, early[2].segment.start_time, *(item.segment.start_time for item in early[:2])]
    assert sql("SELECT count(*) FROM migration_requests") == [(0,)]


def test_a_request_that_nothing_answers_any_more_is_dropped(catalogue, make, sql) -> None:
    [item] = make.recorded([make.ingested(make.camera())])
    drain(catalogue, make, make.plan_transfers("run"))
    catalogue.transfers.request([(item.segment.id, item.segment.start_time)], PRIORITY_READ, "read")
    catalogue.transfers.request([(uuid4(), make.start)], PRIORITY_READ, "read")
    assert make.plan_transfers("next").batches == ()
    assert sql("SELECT count(*) FROM migration_requests") == [(0,)]


def test_what_a_dead_run_left_is_taken_over(catalogue, make, hour, sql) -> None:
    make.recorded(make.minutes(make.camera(), 4))
    dead = make.plan_transfers("dead", interval=hour).batches[0].id
    alive = catalogue.transfers.claim(dead, 1, MINUTE)
    [killed] = catalogue.transfers.claim(dead, 1, EXPIRED)
    assert make.plan_transfers("next", interval=hour).segments == 0  # not stale yet

    other = TimeRange(hour.end, hour.end + timedelta(hours=1))
    assert make.plan_transfers("later", interval=other, include_requests=False, stale_after=NOW).segments == 0
    taken = make.plan_transfers("next", interval=other, stale_after=NOW)
    assert taken.segments == 3  # by request, as their own interval is over
    assert catalogue.transfers.counts([dead]).abandoned == 3

    catalogue.transfers.finish([make.copied(killed)], retire_source_after=RETIRE)  # it was only slow
    assert catalogue.transfers.counts([taken.batches[0].id]).done == 1
    assert len(drain(catalogue, make, taken)) == 2
    catalogue.transfers.finish([make.copied(item) for item in alive], retire_source_after=RETIRE)
    assert sql("SELECT count(*) FROM replicas WHERE store = 'cloud'") == [(4,)]


def test_an_item_that_cannot_or_need_not_be_copied_is_settled_when_claimed(catalogue, make, sql) -> None:
    items = make.recorded(make.minutes(make.camera(), 3))
    batch = make.plan_transfers("run").batches[0].id
    sql("UPDATE replicas SET state = 'lost' WHERE start_time = %s", (items[0].segment.start_time,))
    there = replace(items[1].replica, store=StoreName("cloud"), path=Key("media/there"))
    sql("INSERT INTO replicas (segment_id, start_time, store, path, size_bytes, checksum, state, verified_at)"
        " VALUES (%s, %s, 'cloud', 'media/there', 1000, %s, 'available', now())",
        (str(there.segment_id), there.start_time, there.checksum))  # fmt: skip
    assert [item.segment_id for item in catalogue.transfers.claim(batch, 2, MINUTE)] == [items[2].segment.id]
    counts = catalogue.transfers.counts([batch])
    assert (counts.failed, counts.done, counts.claimed) == (1, 1, 1)
    assert catalogue.transfers.failures([batch], 10)[0].error_code == "object_not_found"


def test_two_destinations_do_not_hinder_each_other(catalogue, make) -> None:
    make.recorded(make.minutes(make.camera(), 2))
    plans = [make.plan_transfers(store, destination_store=StoreName(store)) for store in ("cloud", "archive")]
    assert [plan.segments for plan in plans] == [2, 2]
    for plan in plans:
        drain(catalogue, make, plan)
    assert catalogue.transfers.counts([plan.batches[0].id for plan in plans]).done == 4


def test_what_is_archived_at_its_source_waits_for_its_restore(catalogue, make, hour, sql) -> None:
    [item] = make.recorded([make.ingested(make.camera())])
    later = TimeRange(hour.end, hour.end + timedelta(hours=1))
    catalogue.transfers.request([(item.segment.id, item.segment.start_time)], PRIORITY_READ, "read")
    sql("UPDATE replicas SET storage_class = 'GLACIER'")
    for interval in (hour, later):  # by its hour, by request
        assert make.plan_transfers("archived", interval=interval, dry_run=True).segments == 0
    sql("UPDATE replicas SET readable_until = now() + interval '1 day'")
    for interval in (hour, later):
        assert make.plan_transfers("restored", interval=interval, dry_run=True).segments == 1
