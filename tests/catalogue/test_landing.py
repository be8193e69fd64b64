"""Landing files: planned once, claimed by one worker, never lost between runs."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from reelkeeper.catalogue.records import Batch, LandingFile, LandingState, Quarantined

MINUTE, NOW = timedelta(minutes=1), timedelta(0)
EXPIRED = timedelta(seconds=-1)


@pytest.fixture
def files(make) -> list[LandingFile]:
    return [LandingFile("zone", f"gate/{i:03}.mp4", 100, make.start + i * MINUTE) for i in range(10)]


@pytest.fixture
def plan(catalogue):
    def planned(run: str, files, *, catalogue=catalogue, **more) -> list[Batch]:
        terms = {"batch_files": 4, "batch_bytes": 10**9, "max_batches": 100, **more}
        return catalogue.landing.plan(run, "zone", files, **terms)

    return planned


def test_batches_fill_by_count_and_by_bytes_with_the_oldest_first(catalogue, plan, files) -> None:
    batches = plan("run", list(reversed(files)))
    assert [(b.item_count, b.size_bytes, b.zone, b.job) for b in batches] == [
        (4, 400, "zone", "ingest"), (4, 400, "zone", "ingest"), (2, 200, "zone", "ingest")
    ]  # fmt: skip
    claimed = catalogue.landing.claim(batches[0].id, 100, MINUTE)
    assert [f.path for f in claimed] == [f.path for f in files[:4]]
    assert {f.state for f in claimed} == {LandingState.CLAIMED}


def test_a_file_larger_than_a_batch_gets_one_of_its_own(plan, files) -> None:
    large = replace(files[2], size_bytes=5000)
    batches = plan("run", [*files[:2], large, *files[3:]], batch_bytes=250, batch_files=100)
    assert [b.size_bytes for b in batches] == [200, 5000, 200, 200, 200, 100]


def test_planning_again_changes_nothing(plan, files) -> None:
    first = plan("run", files)
    assert plan("run", files) == plan("run", []) == first
    assert plan("other", files) == []


def test_what_does_not_fit_waits_for_the_next_run(catalogue, plan, files) -> None:
    assert len(plan("run", files, max_batches=2)) == 2
    assert len(catalogue.landing.known("zone", [f.path for f in files])) == 8
    assert plan("run", files, max_batches=2)[1].item_count == 4
    assert [b.item_count for b in plan("next", files, max_batches=2)] == [2]


def test_a_new_version_of_a_finished_file_is_planned_and_the_old_one_is_not(catalogue, plan, files) -> None:
    [batch] = plan("run", files[:1])
    [claimed] = catalogue.landing.claim(batch.id, 1, MINUTE)
    catalogue.landing.finish_quarantined(batch.id, [Quarantined(claimed, "not_video", "it is text", None)])
    assert plan("next", files[:1]) == []
    assert len(plan("next", [replace(files[0], size_bytes=101)])) == 1


def test_a_claim_is_for_one_worker_until_its_lease_ends(catalogue, plan, files, another) -> None:
    [batch] = plan("run", files[:4])
    landing, other = catalogue.landing, another().landing
    mine = landing.claim(batch.id, 2, MINUTE)
    assert len(other.claim(batch.id, 100, EXPIRED)) == 2
    theirs = landing.claim(batch.id, 100, MINUTE)
    assert {f.path for f in mine} | {f.path for f in theirs} == {f.path for f in files[:4]}
    assert other.claim(batch.id, 100, MINUTE) == []
    assert landing.extend(batch.id, mine, MINUTE) == 2


def test_two_workers_never_hold_the_same_file(plan, make, another) -> None:
    files = [LandingFile("zone", f"{i:04}.mp4", 1, make.start) for i in range(400)]
    [batch] = plan("run", files, batch_files=400)

    def work(catalogue) -> list[str]:
        taken = []
        while claimed := catalogue.landing.claim(batch.id, 7, MINUTE):
            taken += [file.path for file in claimed]
        return taken

    with ThreadPoolExecutor(3) as pool:
        shares = list(pool.map(work, [another() for _ in range(3)]))
    assert sorted(path for share in shares for path in share) == [file.path for file in files]


def test_plans_at_the_same_time_take_each_file_once(catalogue, plan, files, another) -> None:
    others = [another() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        planned = list(pool.map(lambda i: plan(f"run {i}", files, catalogue=others[i]), range(4)))
    assert sorted(len(batches) for batches in planned) == [0, 0, 0, 3]


def test_what_a_dead_run_left_is_taken_over_and_what_is_under_a_lease_is_not(catalogue, plan, files) -> None:
    [batch] = plan("dead", files[:3])
    catalogue.landing.claim(batch.id, 1, MINUTE)
    catalogue.landing.claim(batch.id, 1, EXPIRED)
    assert plan("next", files[:3]) == []  # not stale yet
    assert plan("dead", files[:3], stale_after=NOW) == [batch]  # its own
    [taken] = plan("next", files[:3], stale_after=NOW)
    assert taken.item_count == 2
    assert catalogue.landing.claim(batch.id, 10, MINUTE) == []
    counts = catalogue.landing.counts([batch.id])
    assert (counts.claimed, counts.released, counts.total) == (1, 2, 3)


def test_a_worker_that_wakes_up_late_changes_only_what_is_true_anyway(catalogue, plan, files, make) -> None:
    item = make.ingested(make.camera())
    [old] = plan("dead", [item.file])
    [late] = catalogue.landing.claim(old.id, 1, EXPIRED)
    [new] = plan("next", [item.file], stale_after=NOW)
    catalogue.landing.claim(new.id, 1, MINUTE)

    catalogue.landing.release(old.id, [late])
    catalogue.landing.finish_quarantined(old.id, [Quarantined(late, "gone", "it moved", None)])
    assert catalogue.landing.extend(old.id, [late], MINUTE) == 0
    assert catalogue.landing.counts([new.id]).claimed == 1
    catalogue.segments.record(old.id, [item])
    assert catalogue.landing.counts([new.id]).ingested == 1


def test_counts_tell_what_became_of_each(catalogue, plan, files, make) -> None:
    item = make.ingested(make.camera(), path=files[0].path)
    files[0] = item.file
    batches = plan("run", files[:6], batch_files=6)
    batch = batches[0].id
    claimed = {f.path: f for f in catalogue.landing.claim(batch, 5, MINUTE)}
    rest = [f for f in claimed.values() if f.path != item.file.path]
    catalogue.segments.record(batch, [item])
    catalogue.landing.finish_duplicates(batch, [(rest[0], item.segment.id, item.segment.start_time)])
    catalogue.landing.finish_quarantined(batch, [Quarantined(rest[1], "not_video", "it is text", "quarantine/x")])
    catalogue.landing.release(batch, [rest[2]])
    counts = catalogue.landing.counts([batch])
    assert (counts.ingested, counts.duplicate, counts.quarantined, counts.released) == (1, 1, 1, 1)
    assert (counts.claimed, counts.pending, counts.total, counts.bytes_ingested) == (1, 1, 6, item.file.size_bytes)
    assert rest[2].path not in catalogue.landing.known("zone", [rest[2].path])
    assert catalogue.transfers.batches("ingest", "run") == batches
    assert catalogue.transfers.get(batch) == batches[0]


def test_a_zone_of_a_hundred_thousand_files_is_scanned_in_seconds(catalogue, plan, make) -> None:
    files = [LandingFile("zone", f"camera-{i % 50}/{i:06}.mp4", 10**6, make.start) for i in range(100_000)]
    began = time.monotonic()
    assert len(plan("run", files, batch_files=1000)) == 100
    planned = time.monotonic()
    known = catalogue.landing.known("zone", [f.path for f in files])
    assert all(known[f.path].size_bytes == f.size_bytes for f in files)
    assert plan("next", files) == []
    assert planned - began < 30
    assert time.monotonic() - planned < 15


def test_what_was_claimed_in_vain_is_claimed_last_and_alone(catalogue, plan, files) -> None:
    [batch] = plan("run", files[:4])
    for attempt in (1, 2, 3):
        assert [f.attempts for f in catalogue.landing.claim(batch.id, 2, EXPIRED)] == [attempt] * 2
    assert [f.path for f in catalogue.landing.claim(batch.id, 4, MINUTE)] == [files[2].path, files[3].path]
    for file in files[:2]:
        assert [(f.path, f.attempts) for f in catalogue.landing.claim(batch.id, 4, MINUTE)] == [(file.path, 4)]
    assert catalogue.landing.claim(batch.id, 4, MINUTE) == []


def test_who_takes_a_file_over_knows_how_often_it_was_claimed(catalogue, plan, files) -> None:
    [old] = plan("dead", files[:2])
    catalogue.landing.claim(old.id, 2, EXPIRED)
    changed = replace(files[1], size_bytes=101)
    [new] = plan("next", [files[0], changed], stale_after=NOW)
    assert [f.attempts for f in catalogue.landing.claim(new.id, 2, MINUTE)] == [2, 1]


def test_what_was_done_with_waits_for_what_is_new(catalogue, plan, files) -> None:
    [batch] = plan("run", files[:4])
    old = catalogue.landing.claim(batch.id, 4, MINUTE)
    catalogue.landing.finish_quarantined(batch.id, [Quarantined(file, "gone", "it moved", None) for file in old])
    batches = plan("next", files, max_batches=2, batch_files=3, stale_after=NOW, again=True)
    taken = [file.path for batch in batches for file in catalogue.landing.claim(batch.id, 10, MINUTE)]
    assert taken == [file.path for file in files[4:]]
