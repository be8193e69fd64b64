"""What a run of retention takes: expired, retired, for the quota; caps; bringing back; sweeping."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reelkeeper.errors import GateFailed
from reelkeeper.model import Key, ReplicaState, Segment
from reelkeeper.policy.retention import Lock
from reelkeeper.retention.job import (
    bring_back,
    condemn_due,
    keep_house,
    plan_retention,
    summarise_retention,
)
from reelkeeper.retention.sweeping import expire_exports, sweep_store
from reelkeeper.settings import LandingZone, Retention, RetentionCaps
from reelkeeper.stores.body import Body
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import Upload
from tests.owning import owned
from tests.retention.rig import CLOUD, DISK, LATE, NOW, START, STEP, Rig

NO_CAPS = RetentionCaps(soft_count=10**6, soft_ratio=1, hard_count=10**6, hard_ratio=1)
DAY = timedelta(days=1)


@pytest.fixture
def rig(rig: Rig) -> Rig:
    """Without caps, and without grace."""
    rig.sections |= {"retention_caps": NO_CAPS, "retention": Retention(grace_hours=0)}
    return rig


def condemn(rig: Rig, store: str = DISK, *, now: datetime = NOW, run_id: str = "run", approved: int = 0):
    return condemn_due(rig.estate, rig.catalogue, store, run_id=run_id, now=now, approved=approved)


def planned(rig: Rig, *, now: datetime = NOW) -> dict[str, tuple[int, int, int]]:
    plan = plan_retention(rig.estate, rig.catalogue, now=now)
    return {
        one.store: (one.found.expired.objects, one.found.retired.objects, one.found.quota.objects)
        for one in plan.stores
    }


def retire(rig: Rig, segments: list[Segment], after: datetime = NOW) -> None:
    for segment in segments:
        rig.sql(
            "UPDATE replicas SET retire_after = %s WHERE store = 'disk' AND segment_id = %s", (after, str(segment.id))
        )


# --- what is found ----------------------------------------------------------------------------------------------------


def test_retention_is_the_cameras_own_or_the_estates_and_counts_from_the_end(rig: Rig) -> None:
    usual, short = rig.record(3), rig.record(3, camera="yard", retention_days=7)
    end = START + STEP
    assert planned(rig, now=end + timedelta(days=7) - timedelta(seconds=1)) == {DISK: (0, 0, 0), CLOUD: (0, 0, 0)}
    assert planned(rig, now=end + timedelta(days=7)) == {DISK: (1, 0, 0), CLOUD: (1, 0, 0)}
    assert planned(rig, now=end + timedelta(days=90)) == {DISK: (4, 0, 0), CLOUD: (4, 0, 0)}
    assert condemn(rig, now=end + timedelta(days=90)).expired.objects == 4
    assert {rig.replicas(segment)[DISK].state for segment in short} == {ReplicaState.CONDEMNED}
    assert [rig.replicas(segment)[DISK].state for segment in usual] == [
        ReplicaState.CONDEMNED, ReplicaState.AVAILABLE, ReplicaState.AVAILABLE
    ]  # fmt: skip


def test_footage_with_an_old_date_stays_for_some_days_after_it_came_in(rig: Rig) -> None:
    """A camera whose clock was reset, or an archive that was adopted; one of three days is kept for three."""
    usual, short = rig.record(1), rig.record(1, camera="yard", retention_days=3)
    rig.sql("UPDATE segments SET created_at = %s", (LATE,))
    retire(rig, usual, LATE)
    rig.condemn([*usual, *short], CLOUD, now=LATE)
    assert rig.delete(CLOUD, now=LATE + 3 * DAY - STEP).spared == 2
    assert planned(rig, now=LATE + 3 * DAY - STEP) == {DISK: (0, 1, 0), CLOUD: (0, 0, 0)}
    assert planned(rig, now=LATE + 3 * DAY) == {DISK: (1, 1, 0), CLOUD: (1, 0, 0)}
    assert planned(rig, now=LATE + 7 * DAY) == {DISK: (2, 0, 0), CLOUD: (2, 0, 0)}
    assert condemn(rig, now=LATE + 7 * DAY).expired.objects == 2
    assert rig.delete(now=LATE + 7 * DAY).deleted == 2


def test_a_plan_writes_nothing_and_finds_what_is_condemned(rig: Rig) -> None:
    segments = rig.record(5, thumbnails=True) + rig.record(4, camera="yard", start=LATE - timedelta(days=5))
    retire(rig, segments[5:7], LATE)
    rig.settings[DISK] = {"quota": 100}
    before = rig.sql("SELECT * FROM replicas ORDER BY 1, 3")
    assert planned(rig, now=LATE) == {DISK: (5, 2, 1), CLOUD: (5, 0, 0)}
    assert rig.sql("SELECT * FROM replicas ORDER BY 1, 3") == before
    assert rig.condemned() == {}
    found = condemn(rig, now=LATE)
    assert (found.expired.objects, found.retired.objects, found.quota.objects) == (5, 2, 1)
    assert sorted(rig.condemned().values()) == ["expired"] * 5 + ["quota"] + ["retired"] * 2 + ["thumbnail"] * 5
    assert rig.sql("SELECT DISTINCT storage_backend FROM segments WHERE start_time > %s", (NOW,)) == [(CLOUD,), (DISK,)]
    assert planned(rig, now=LATE)[DISK] == (0, 0, 0)


def test_a_whole_run_takes_all_of_it_and_tells(rig: Rig) -> None:
    rig.record(4, thumbnails=True)
    for store in (DISK, CLOUD):
        condemn(rig, store, now=LATE)
        rig.delete(store, now=LATE, run_id="run")
    assert rig.keys(DISK, "") == rig.keys(CLOUD, "") == set()
    assert rig.sql("SELECT (SELECT count(*) FROM segments), (SELECT count(*) FROM thumbnails)") == [(0, 0)]
    told = summarise_retention(rig.catalogue, run_id="run", since=LATE)
    assert [(row.store, row.reason, row.waiting, row.deleted, row.deleted_bytes) for row in told] == [
        (CLOUD, "expired", 0, 4, 400), (DISK, "expired", 0, 4, 400), (DISK, "thumbnail", 0, 4, 0)
    ]  # fmt: skip


def test_a_local_copy_retires_only_with_a_verified_one_elsewhere(rig: Rig) -> None:
    both, alone, doubted = rig.record(1), rig.record(1, camera="a", stores=(DISK,)), rig.record(1, camera="b")
    waiting = rig.record(1, camera="c")
    retire(rig, both + alone + doubted)
    retire(rig, waiting, NOW + DAY)
    rig.catalogue.replicas.suspect([rig.replicas(doubted[0])[CLOUD]])
    assert condemn(rig).retired.objects == 1
    assert rig.replicas(both[0])[DISK].state is ReplicaState.CONDEMNED


@pytest.mark.parametrize("range_open", [True, False])
def test_what_a_lock_covers_is_not_condemned(rig: Rig, range_open: bool) -> None:
    segments = rig.record(3)
    end = None if range_open else START + 3 * STEP
    camera = segments[0].camera_id
    rig.catalogue.locks.place(Lock("legal_hold", "case", camera, None, START + STEP, end), created_by="me", now=NOW)
    assert condemn(rig, now=LATE).expired.objects == 1


def test_an_estate_wide_hold_and_one_of_a_segment(rig: Rig) -> None:
    segments = rig.record(3)
    held = rig.catalogue.locks.place(Lock("legal_hold", "all"), created_by="me", now=NOW)
    rig.catalogue.locks.place(Lock("legal_hold", "one", segment_id=segments[0].id), created_by="me", now=NOW)
    assert planned(rig, now=LATE)[DISK] == (0, 0, 0)
    rig.catalogue.locks.release(held, released_by="me", now=LATE)
    assert planned(rig, now=LATE)[DISK] == (2, 0, 0)


# --- the quota --------------------------------------------------------------------------------------------------------


def test_the_oldest_go_until_the_quota_is_kept_and_not_one_more(rig: Rig) -> None:
    segments = rig.record(10)
    rig.settings[DISK] = {"quota": 650}
    assert condemn(rig).quota.objects == 4  # 600 bytes stay: 700 would be too much
    assert [rig.replicas(segment)[DISK].state for segment in segments[:5]] == [ReplicaState.CONDEMNED] * 4 + [
        ReplicaState.AVAILABLE
    ]
    assert condemn(rig, run_id="another").quota.objects == 0  # what is condemned counts as gone


def test_a_quota_over_several_months(rig: Rig) -> None:
    rig.sections["retention"] = Retention(grace_hours=0, default_days=1000)
    for month in range(1, 7):
        rig.record(3, start=datetime(2026, month, 28, tzinfo=UTC), camera=f"camera-{month}")
    rig.settings[DISK] = {"quota": 1000}
    assert condemn(rig, now=LATE).quota.objects == 8
    (oldest_left,) = rig.sql("SELECT min(start_time) FROM replicas WHERE store = 'disk' AND state = 'available'")[0]
    assert oldest_left.month == 3


def test_parallel_runs_take_exactly_what_one_would(rig: Rig) -> None:
    rig.record(40)
    rig.settings[DISK] = {"quota": 1500}

    def run(number: int) -> int:
        with rig.open_catalogue() as catalogue:
            found = condemn_due(rig.estate, catalogue, DISK, run_id=f"run {number}", now=NOW)
        return found.quota.objects

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(run, range(6))) == 25
    with ThreadPoolExecutor(3) as pool:
        deleted = pool.map(lambda number: rig.delete(run_id=f"delete {number}").deleted, range(3))
        assert sum(deleted) == 25
    assert len(rig.keys(DISK)) == 15


def test_two_stores_over_quota_never_take_each_others_last_copy(rig: Rig) -> None:
    segments = rig.record(20)
    rig.settings = {DISK: {"quota": 500}, CLOUD: {"quota": 500}}

    def run(store: str) -> None:
        with rig.open_catalogue() as catalogue:
            condemn_due(rig.estate, catalogue, store, run_id=f"run {store}", now=NOW)
        rig.delete(store)  # type: ignore[arg-type]

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, (DISK, CLOUD)))
    rig.assert_owed_is_there(segments)


def test_a_quota_that_cannot_be_kept_says_by_how_much_and_why(rig: Rig) -> None:
    rig.record(4)
    rig.record(3, camera="a", stores=(DISK,))
    held = rig.record(2, camera="b")
    lock = Lock("legal_hold", "case", held[0].camera_id)
    rig.catalogue.locks.place(lock, created_by="me", now=NOW)
    rig.settings[DISK] = {"quota": 1}
    plan = plan_retention(rig.estate, rig.catalogue, now=NOW)
    found = condemn(rig)
    assert plan.stores[0].found == found
    assert found.quota.objects == 4
    assert found.shortfall is not None
    shortfall = found.shortfall
    assert (shortfall.missing_bytes, shortfall.only_copy_bytes, shortfall.protected_bytes) == (499, 300, 200)
    assert "300 bytes have no other verified copy" in str(shortfall)


# --- caps -------------------------------------------------------------------------------------------------------------


def test_over_the_hard_cap_nothing_happens_anywhere(rig: Rig) -> None:
    rig.record(10)
    rig.record(10, camera="yard", retention_days=400)
    rig.sections["retention_caps"] = RetentionCaps(soft_count=5, hard_count=9, hard_ratio=1, soft_ratio=1)
    plan = plan_retention(rig.estate, rig.catalogue, now=LATE)
    assert [str(one.store) for one in plan.refused] == [DISK, CLOUD]
    with pytest.raises(GateFailed, match="10 of 20 objects: the hard cap is 9"):
        condemn(rig, now=LATE, approved=10)
    assert rig.condemned() == {}
    assert {state for (state,) in rig.sql("SELECT state FROM replicas")} == {"available"}


def test_over_the_soft_cap_only_what_was_approved_goes(rig: Rig) -> None:
    rig.record(10)
    rig.sections["retention_caps"] = RetentionCaps(soft_count=5, hard_count=100, hard_ratio=1, soft_ratio=1)
    plan = plan_retention(rig.estate, rig.catalogue, now=LATE)
    assert {one.store: one.caps.action for one in plan.stores} == {DISK: "ask", CLOUD: "ask"}
    assert not plan.refused
    with pytest.raises(GateFailed, match="and 9 were approved"):
        condemn(rig, now=LATE, approved=9)
    assert rig.condemned() == {}
    assert condemn(rig, now=LATE, approved=10).expired.objects == 10


def test_the_last_of_a_small_store_goes_without_a_question(rig: Rig) -> None:
    rig.sections["retention_caps"] = RetentionCaps()
    rig.record(1)
    plan = plan_retention(rig.estate, rig.catalogue, now=LATE)
    assert {one.store: one.caps.action for one in plan.stores} == {DISK: "within", CLOUD: "within"}
    assert condemn(rig, now=LATE).expired.objects == 1


# --- bringing back ----------------------------------------------------------------------------------------------------


def test_what_is_condemned_can_be_brought_back_while_its_grace_lasts(rig: Rig) -> None:
    rig.sections["retention"] = Retention(grace_hours=24)
    first, second = rig.record(3, thumbnails=True), rig.record(3, camera="yard")
    for store in (DISK, CLOUD):
        condemn(rig, store, now=LATE, run_id=f"run {store}")
    rig.stores[DISK].delete([rig.replicas(first[2])[DISK].path])

    def back(store: str, **what: Any) -> int:
        return bring_back(rig.estate, rig.open_catalogue, rig.open_store, store, now=LATE, **what)

    assert back(DISK, segment_id=first[0].id) == 2  # with its thumbnail
    assert rig.replicas(first[0])[DISK].state is ReplicaState.AVAILABLE
    assert back(DISK, camera_id=first[0].camera_id) == 4
    assert rig.replicas(first[2])[DISK].state is ReplicaState.SUSPICIOUS
    assert back(CLOUD, run_id="run cloud") == 6
    assert back(CLOUD, run_id="run cloud") == 0
    assert {replica.state for replica in rig.replicas(second[0]).values()} == {
        ReplicaState.AVAILABLE, ReplicaState.CONDEMNED
    }  # fmt: skip
    with pytest.raises(ValueError, match="needs a segment, a camera or a run id"):
        back(DISK)


# --- exports, temporary things, house-keeping -------------------------------------------------------------------------


def test_an_export_expires_with_its_objects(rig: Rig) -> None:
    over, lasts = rig.export("COMPLETED", store=CLOUD), rig.export("COMPLETED", store=CLOUD, expires_at=NOW + DAY)
    for export in (over, lasts):
        for name in ("clip.mp4", "manifest.json"):
            rig.stores[CLOUD].write(Key(f"exports/{export}/{name}"), Body.of_bytes(b"cut"))

    def expire() -> tuple[int, int]:
        return expire_exports(rig.estate, rig.catalogue, rig.open_store, run_id="run", now=NOW)

    assert expire() == (1, 2)
    assert expire() == (0, 0)
    assert rig.delete(CLOUD).deleted == 2
    assert rig.keys(CLOUD, "exports/") == {f"exports/{lasts}/clip.mp4", f"exports/{lasts}/manifest.json"}
    assert rig.history() == {(CLOUD, "export"): 2}


class Uploading(MemoryStore):
    """A cloud with uploads that nobody completed."""

    def __init__(self, now: datetime) -> None:
        super().__init__(CLOUD, clock=lambda: now)
        self.now = now
        self.uploads = [Upload("media/a", "1", now - DAY - STEP), Upload("media/b", "2", now - STEP)]
        self.asked: list[timedelta] = []

    def clock(self) -> datetime:
        return self.now

    def stale_uploads(self, older_than: timedelta):
        self.asked.append(older_than)
        return iter([upload for upload in self.uploads if self.now - upload.started_at >= older_than])

    def abort_upload(self, upload: Upload) -> None:
        self.uploads.remove(upload)


def test_old_temporary_objects_and_stale_uploads_go_and_leave_history(rig: Rig) -> None:
    cloud = Uploading(NOW - 10 * DAY)
    rig.stores[CLOUD] = cloud
    cloud.write(Key("temp/old"), Body.of_bytes(b"old"))
    cloud.write(Key("temperature"), Body.of_bytes(b"other"))
    cloud.now = NOW
    cloud._clock = lambda: NOW
    owned(cloud, rig.catalogue)
    cloud.uploads = [Upload("media/a", "1", NOW - DAY - STEP), Upload("media/b", "2", NOW - STEP)]
    cloud.write(Key("temp/new"), Body.of_bytes(b"new"))
    swept = sweep_store(rig.estate, rig.catalogue, cloud, run_id="run", now=NOW)
    assert (swept.temporary, swept.temporary_bytes, swept.uploads) == (1, 3, 1)
    assert {stat.key for stat in cloud.list()} == {"temp/new", "temperature"}
    assert [upload.id for upload in cloud.uploads] == ["2"]
    assert rig.history() == {(CLOUD, "temp"): 1, (CLOUD, "upload"): 1}
    ahead = sweep_store(rig.estate, rig.catalogue, cloud, run_id="run", now=NOW + 9 * DAY, ahead=9 * DAY)
    assert (ahead.temporary, ahead.uploads) == (1, 1)


def test_old_reports_of_ours_go_and_leave_history(rig: Rig) -> None:
    cloud = Uploading(NOW)
    rig.stores[CLOUD] = cloud
    cloud._clock = lambda: NOW - 401 * DAY
    ours = "reports/reconcile_stores/2025-02-24/scheduled__2025-02-24T02:00:00+00:00/cloud"
    daily = "reports/report_estate/2025-02-24/estate"
    theirs = ["reports/mine.csv", "reports/2025/summary.csv", f"{ours}.xlsx", "reports/estate.html"]
    for key in (f"{ours}.csv", f"{ours}-2.csv", f"{daily}.html", f"{daily}-2.html", *theirs):
        cloud.write(Key(key), Body.of_bytes(b"row"))
    cloud._clock = lambda: NOW - 399 * DAY
    kept = [f"{ours}-3.csv", "reports/report_estate/2025-02-26/estate.html"]
    for key in kept:
        cloud.write(Key(key), Body.of_bytes(b"row"))
    owned(cloud, rig.catalogue)
    assert sweep_store(rig.estate, rig.catalogue, cloud, run_id="run", now=NOW).reports == 4
    assert {stat.key for stat in cloud.list("reports/")} == {*kept, *theirs}
    assert rig.history()[CLOUD, "report"] == 4
    told = summarise_retention(rig.catalogue, run_id="run", since=START)
    assert {row.reason: row.deleted for row in told}["report"] == 4


def test_uploads_of_others_are_not_touched(rig: Rig) -> None:
    prices = {"HOT": {"usd_per_gb_month": "0.02"}, "COOL": {"prefix": "cool/", "usd_per_gb_month": "0.01"}}
    rig.settings[CLOUD] = {"tiers": prices}
    cloud = owned(Uploading(NOW), rig.catalogue)
    begun = NOW - 9 * DAY
    cloud.uploads = [
        Upload(key, key, begun) for key in ("backup/a", "cool/media/a", "exports/a", "medial", "", "temp/a")
    ]
    assert sweep_store(rig.estate, rig.catalogue, cloud, run_id="run", now=NOW).uploads == 3
    assert [upload.id for upload in cloud.uploads] == ["backup/a", "medial", ""]


def test_what_is_no_footage_is_counted_before_the_first_goes_too(rig: Rig) -> None:
    rig.sections["retention_caps"] = RetentionCaps(soft_count=2, hard_count=2, soft_ratio=1, hard_ratio=1)
    cloud = Uploading(NOW)
    rig.stores[CLOUD] = cloud
    owned(cloud, rig.catalogue)
    export = rig.export("COMPLETED", store=CLOUD)
    for number in range(3):
        cloud.write(Key(f"exports/{export}/{number}"), Body.of_bytes(b"cut"))
    for number in range(2):
        cloud.write(Key(f"temp/{number}"), Body.of_bytes(b"old"))
    with pytest.raises(GateFailed, match="4 temporary objects, reports and uploads are to go, and the hard cap is 2"):
        sweep_store(rig.estate, rig.catalogue, cloud, run_id="run", now=NOW, ahead=99 * DAY)
    with pytest.raises(GateFailed, match="3 objects of expired exports are to go"):
        expire_exports(rig.estate, rig.catalogue, rig.open_store, run_id="run", now=NOW)
    assert len(list(cloud.list())) == 5
    assert (len(cloud.uploads), rig.condemned(), rig.history()) == (2, {}, {})
    assert rig.sql("SELECT status FROM exports") == [("COMPLETED",)]


def test_a_store_in_which_nothing_may_be_deleted_is_not_swept(rig: Rig) -> None:
    rig.settings[CLOUD] = {"deletion": "forbidden"}
    cloud = Uploading(NOW)
    cloud.write(Key("temp/old"), Body.of_bytes(b"old"))
    assert sweep_store(rig.estate, rig.catalogue, cloud, run_id="run", now=NOW, ahead=99 * DAY).forbidden
    assert len(list(cloud.list())) == 1
    assert len(cloud.uploads) == 2


def test_house_keeping_forgets_what_is_finished_and_keeps_what_would_come_again(rig: Rig, tmp_path) -> None:
    zones = [("moved", "move"), ("kept", "copy")]
    rig.sections["landing_zones"] = tuple(
        LandingZone(name=name, path=tmp_path / name, handling=handling)  # type: ignore[arg-type]
        for name, handling in zones
    )
    for name, _ in (*zones, ("unknown", "")):
        for state in ("ingested", "quarantined"):
            rig.sql(
                "INSERT INTO landing_files (zone, path, size_bytes, modified_at, state, segment_id, start_time,"
                " reason_code, moved_to, updated_at) VALUES (%s, %s, 1, %s, %s, %s, %s, %s, NULL, %s)",
                (name, state, NOW, state, None if state == "quarantined" else "0" * 32,
                 None if state == "quarantined" else NOW, "empty" if state == "quarantined" else None, NOW),
            )  # fmt: skip
    rig.record(3, stores=(DISK,))
    plan = {
        "source_store": DISK, "destination_store": CLOUD, "interval": None, "bucket_below": 10_000,
        "ended_before": LATE, "batch_size": 1, "batch_bytes": 10**9, "include_requests": False, "dry_run": False,
    }  # fmt: skip
    first, second, _ = rig.catalogue.transfers.plan("run", **plan).batches  # type: ignore[arg-type]
    rig.sql("UPDATE batches SET created_at = %s", (NOW,))
    rig.sql("UPDATE transfer_items SET state = 'done' WHERE batch_id IN (%s, %s)", (str(first.id), str(second.id)))
    rig.sql(
        "INSERT INTO restores (segment_id, start_time, store, path, speed, days, size_bytes, cost_usd, state, run_id,"
        " planned_at, requested_at, readable_until) VALUES (%s, %s, 'cloud', 'a', 'bulk', 1, 1, 0, 'readable', 'run',"
        " %s, %s, %s)",
        ("0" * 32, NOW, NOW, NOW, NOW + DAY),
    )
    assert keep_house(rig.estate, rig.catalogue, now=NOW + 89 * DAY).batches == 0
    assert rig.sql("SELECT state FROM restores") == [("ended",)]
    kept = keep_house(rig.estate, rig.catalogue, now=NOW + 91 * DAY)
    assert (kept.batches, kept.landing_files, kept.restores) == (2, 1, 0)
    assert len(rig.sql("SELECT zone FROM landing_files")) == 5
    assert len(rig.sql("SELECT state FROM transfer_items")) == 1
