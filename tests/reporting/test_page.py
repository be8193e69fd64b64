"""What the Estate page says, held against an estate that is counted by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from reelkeeper.catalogue.quality import Outcome, QualityResult, QualityRun
from reelkeeper.catalogue.rollout import RolloutStep
from reelkeeper.model import ReplicaState, Tenant, Tier
from reelkeeper.policy.alarm_states import AlarmState
from reelkeeper.policy.alarms import AlarmTerms, alarms
from reelkeeper.policy.quality import Name, Severity, Suite
from reelkeeper.policy.ramp import Action
from reelkeeper.policy.rollout import Percentage
from reelkeeper.reporting.figures import CameraDay, CameraFigures, Figures, Usage
from reelkeeper.reporting.page import attention, checks, coverage, exports, holdings, ramp
from reelkeeper.reporting.page.safety import safety
from reelkeeper.settings import Rollout
from tests.reporting.hand_made import CAMERAS, LOCAL, NOW, export, figures

SILENCE = coverage.Silence(timedelta(hours=24), timedelta(days=30))
TERMS = AlarmTerms(0.05, 30, 100.0, 45, 24, timedelta(minutes=30))


def estate(**others: object) -> Figures:
    """The hand-made one."""
    return replace(figures(), **others)  # type: ignore[arg-type]


# --- is footage safe ------------------------------------------------------------------------------------------------


def test_what_no_store_has_is_said_first() -> None:
    told = safety(estate(), None)
    assert (told.level, told.sentence) == ("bad", "1 of 13 segments has no copy that is known to be good.")
    assert told.reasons == (
        "Store cloud does not answer for 9 days: store timeout. What it holds cannot be read now, nor proved.",
        "1 copy lost: reconcile_stores makes them anew where another copy is good.",
        "1 copy not found as recorded: each is looked at again before it counts.",
    )
    assert told.facts == (
        "3 cameras, 13 segments, 17 verified copies of 1.7 KiB.",
        "The copy that waits longest to be proved again was proved 3 days ago.",
        "3 segments still to go to the cloud, the oldest from 2 h 00 min ago.",
        "2 files of the landing zones in quarantine.",
    )


def test_footage_is_safe_when_all_of_it_has_a_copy_and_every_store_answers() -> None:
    good = estate(unprotected_segments=0)
    well = replace(good, stores=good.stores[:1], usage=good.usage[:1])
    assert (safety(well, None).level, safety(well, None).sentence) == (
        "good",
        "All 13 segments have at least one verified copy.",
    )
    assert safety(good, None).level == "warning"  # safe as far as is known, but a store does not answer
    empty = replace(well, cameras=(), usage=())
    assert (safety(empty, None).level, safety(empty, None).sentence) == ("unknown", "No footage has come in yet.")


def test_what_only_waits_for_its_deletion_is_not_said_to_have_a_copy() -> None:
    well = replace(estate(unprotected_segments=0), stores=estate().stores[:1], usage=estate().usage[:1])
    doomed = Usage(LOCAL, "acme", Tier.HOT, None, ReplicaState.CONDEMNED, 3, 300)
    some = safety(replace(well, usage=(*well.usage, doomed)), None)
    assert some.sentence == "Each of 13 segments has at least one verified copy, or only waits for its deletion."
    assert some.facts[:2] == (
        "3 cameras, 13 segments, 10 verified copies of 1000 B.", "3 condemned copies wait for deletion."
    )  # fmt: skip
    none = safety(replace(well, usage=(doomed,)), None)
    assert (none.level, none.sentence) == ("warning", "All 13 segments wait for deletion: no verified copy is left.")


def test_what_the_last_check_found_is_not_passed_over() -> None:
    """A segment without any row of a copy is in no count of copies."""
    good = replace(estate(unprotected_segments=0), stores=estate().stores[:1], usage=estate().usage[:1])

    def told(name: Name, failing: int, severity: Severity = "fail") -> tuple[str, str]:
        result = QualityResult(Suite.REPLICAS, name, severity, not failing, 13, failing, 1.0)
        outcome: Outcome = "passed" if not failing else "failed" if severity == "fail" else "warned"
        began = NOW - timedelta(minutes=20)
        found = safety(good, QualityRun("check_catalogue", "r", outcome, None, began, began, (result,)))
        assert (
            found.reasons == () if outcome != "failed" else found.reasons[0].startswith("1 expectation of the catalog")
        )
        return found.level, found.sentence

    assert told(Name.VERIFIED_REPLICA, 0) == ("good", "All 13 segments have at least one verified copy.")
    assert told(Name.VERIFIED_REPLICA, 2) == (
        "bad", "2 segments had no verified copy when the catalogue was checked, 20 min ago."
    )  # fmt: skip
    assert told(Name.REPLICA_SIZES, 2)[0] == "warning"
    assert told(Name.REPLICA_SIZES, 2, "warn")[0] == "good"


# --- stores and what they cost --------------------------------------------------------------------------------------


def test_a_store_is_told_with_its_bytes_by_tier() -> None:
    cloud, local = holdings.stores(estate())
    assert (cloud.name, cloud.level, cloud.held, cloud.replicas) == ("cloud", "bad", "540 B", "6 copies")
    assert [(tier.tier, tier.held, tier.replicas, tier.start, tier.width) for tier in cloud.tiers] == [
        ("HOT", "40 B", "1 copy", 0.0, 7.41), ("COOL", "500 B", "5 copies", 7.41, 92.59),
    ]  # fmt: skip
    assert cloud.beside == ("2 orphans (20 B)", "1 in quarantine (7 B)")
    assert (cloud.monthly, cloud.reconciled, cloud.reconciled_level) == ("12.50 USD", "never", "unknown")
    assert (local.name, local.level, local.held) == ("local", "good", "1.2 KiB")  # without the lost copy
    assert (cloud.bucket, local.bucket) == ("footage", "")  # folders are not told
    assert local.quota == "under 0.1 % of 931.3 GiB"
    assert local.reconciled == "10 h 00 min ago: differences were put right"
    assert local.beside == ("1 condemned (50 B)", "4 to retire")


@pytest.mark.parametrize(("used", "level"), [(90, "good"), (91, "warning"), (100, "warning"), (101, "bad")])
def test_a_quota_that_is_nearly_used_up_is_told(used: int, level: str) -> None:
    found = estate(usage=(Usage(LOCAL, "a", Tier.HOT, None, ReplicaState.AVAILABLE, 1, used),))
    local = replace(found.stores[0], quota_bytes=100)
    [view] = holdings.stores(replace(found, stores=(local,)))
    assert (view.quota, view.quota_level) == (f"{used} % of 100 B", level)


def test_costs_are_those_of_the_stores_that_have_a_price() -> None:
    told = holdings.cost(estate(), 78.0)
    assert (told.now, told.forecast, told.without) == ("12.50 USD", "78.00 USD", ("local",))
    assert holdings.cost(estate(), None).forecast is None


def test_why_no_cost_is_known_is_told_in_place_of_the_stores() -> None:
    stores = tuple(replace(store, monthly_usd=None) for store in estate().stores)
    told = holdings.cost(estate(stores=stores, costs_trouble="no list"), None)
    assert (told.now, told.without, told.trouble) == (None, (), "no list")


# --- the ramp -------------------------------------------------------------------------------------------------------


def step(days_ago: float, action: Action, start: int, end: int, **others: object) -> RolloutStep:
    measured: dict[str, object] = {"transfers": 0, "failure_ratio": None, "upload_seconds": None} | others
    return RolloutStep(
        NOW - timedelta(days=days_ago), action, start * 100, end * 100, 1000, "because", "reelkeeper", f"r{days_ago}",
        **measured,  # type: ignore[arg-type]
    )  # fmt: skip


def test_the_ramp_is_drawn_from_its_first_decision_to_now() -> None:
    history = [
        step(0, "hold", 25, 25),
        step(5, "step_back", 50, 25, transfers=1200, failure_ratio=0.06, upload_seconds=31.0),
        step(10, "advance", 10, 50, transfers=500, failure_ratio=0.05, upload_seconds=30.0),
    ]
    settings = Rollout(percentage=Percentage(1000), advance="ask", dwell_hours=24)
    told = ramp.ramp(figures().rollout, settings, history, now=NOW)
    assert (told.now, told.target, told.width, told.steps) == ("25 %", "100 %", 25.0, (10, 25, 50, 75, 100))
    assert told.chart is not None
    assert told.chart.path == "M0 126.0 H0.0 V70.0 H300.0 V105.0 H600.0 V105.0 H600"
    assert [(mark.x, mark.y, mark.action) for mark in told.chart.marks] == [
        (0.0, 70.0, "advance"), (300.0, 105.0, "step_back"), (600.0, 105.0, "hold"),
    ]  # fmt: skip
    assert told.chart.described.endswith("from 2026-02-28 to 2026-03-10: 10 % → 50 % → 25 % → 25 %")
    assert [(one.to, one.failures, one.failures_over, one.upload, one.upload_over) for one in told.decisions] == [
        ("25 %", "–", False, "–", False), ("25 %", "6 %", True, "31 s", True), ("50 %", "5 %", False, "30 s", False),
    ]  # fmt: skip
    assert told.gates[0] == "at most 5 % of uploads fail in any 5 minutes"


def test_a_ramp_of_a_few_hours_says_the_hours() -> None:
    told = ramp.ramp(figures().rollout, Rollout(), [step(1, "start", 0, 10)], now=NOW)
    assert told.chart is not None
    assert (told.chart.first, told.chart.last) == ("2026-03-09 12:00", "2026-03-10 12:00")


def test_a_ramp_without_decisions_has_no_chart() -> None:
    assert ramp.ramp(figures().rollout, Rollout(), [], now=NOW).chart is None


# --- cameras --------------------------------------------------------------------------------------------------------


def test_silent_cameras_come_first_and_those_out_of_service_last() -> None:
    gone = CameraFigures(CAMERAS[0], Tenant("acme"), "attic", "Attic", 1, 1, NOW - timedelta(days=31))
    chosen = coverage.choose((gone, *figures().cameras), query="", number=1, silence=SILENCE, now=NOW)
    assert [camera.slug for camera in chosen.cameras] == ["yard", "gate", "hall", "attic"]
    assert (chosen.found, chosen.silent, chosen.numbers) == (4, 1, 1)
    shown = coverage.views(chosen.cameras, [], {}, silence=SILENCE, now=NOW)
    assert [(view.level, view.last) for view in shown] == [
        ("bad", "silent for 30 h 00 min"), ("good", "5 min ago"), ("unknown", "no footage yet"),
        ("unknown", "out of service, last 31 days ago"),
    ]  # fmt: skip


@pytest.mark.parametrize(("query", "found"), [("YA", ["yard"]), ("beta/", ["hall"]), (" gate ", ["gate"]), ("x", [])])
def test_cameras_are_found_by_name_slug_and_tenant(query: str, found: list[str]) -> None:
    chosen = coverage.choose(figures().cameras, query=query, number=9, silence=SILENCE, now=NOW)
    assert [camera.slug for camera in chosen.cameras] == found
    assert (chosen.number, chosen.previous, chosen.next) == (1, None, None)


def test_ten_thousand_cameras_are_shown_a_page_at_a_time() -> None:
    gate = figures().cameras[1]
    cameras = [replace(gate, slug=f"c{number:05}") for number in range(10_000)]
    chosen = coverage.choose(cameras, query="", number=400, silence=SILENCE, now=NOW)
    assert [camera.slug for camera in chosen.cameras] == [f"c{number:05}" for number in range(9975, 10_000)]
    assert (chosen.numbers, chosen.previous, chosen.next) == (400, 399, None)
    assert coverage.choose(cameras, query="", number=401, silence=SILENCE, now=NOW).number == 400


def test_a_strip_shows_how_much_of_each_day_was_recorded() -> None:
    gate = figures().cameras[1]
    today = NOW.date()

    def day(ago: int, hours: float) -> CameraDay:
        return CameraDay(gate.id, today - timedelta(days=ago), 1, hours * 3600, 1)

    # NOW is noon: six hours are half of what has passed of today.
    recorded = [day(0, 6), day(1, 24), day(2, 23.9), day(3, 23), day(4, 12.5), day(5, 1), day(14, 24)]
    began = {gate.id: today - timedelta(days=14)}
    [view] = coverage.views([gate], recorded, began, silence=SILENCE, now=NOW)
    assert [cell.shade for cell in view.days] == [0] * 8 + [1, 2, 3, 4, 4, 1]
    assert view.days[-1].title == "2026-03-10: 50 % recorded so far"
    assert view.days[-3].title == "2026-03-08: 99.6 % recorded"
    assert view.covered == "27.1 %"  # 84.4 of 13 whole days' 312 hours
    at_midnight = datetime(2026, 3, 10, tzinfo=UTC)
    [dark] = coverage.views([gate], [], began, silence=SILENCE, now=at_midnight)
    assert dark.days[-1].title == "2026-03-10: 0 % recorded so far"


def test_nothing_is_expected_of_a_camera_before_its_first_footage() -> None:
    gate = figures().cameras[1]
    today = NOW.date()

    def strip(began: int | None, *recorded: tuple[int, float]) -> coverage.CameraView:
        days = [CameraDay(gate.id, today - timedelta(days=ago), 1, hours * 3600, 1) for ago, hours in recorded]
        begins = {} if began is None else {gate.id: today - timedelta(days=began)}
        [view] = coverage.views([gate], days, begins, silence=SILENCE, now=NOW)
        return view

    today_only = strip(0, (0, 6))
    assert [cell.shade for cell in today_only.days] == [None] * 13 + [1]
    assert today_only.days[0].title == "2026-02-25: before its first footage"
    assert today_only.covered == "–"
    assert strip(1, (1, 6)).covered == "–"  # it may have been hung up in the evening
    assert strip(2, (2, 6), (1, 12)).covered == "50 %"
    assert strip(2, (2, 6)).covered == "0 %"
    assert strip(None).covered == "–"


# --- alarms and exports ---------------------------------------------------------------------------------------------


def up(name: str, subject: str, hours: float, *, by: str | None = None, state: str = "firing") -> AlarmState:
    since = NOW - timedelta(hours=hours)
    return AlarmState(
        name, subject, "acknowledged" if by else state, since, None, 1.0, 0.0, f"{subject} is wrong", since, since, by,  # type: ignore[arg-type]
        "on it" if by else None, NOW,
    )  # fmt: skip


def test_alarms_are_told_by_what_they_are_about_the_open_critical_ones_first() -> None:
    states = [
        up("over_budget", "", 3), up("camera_silent", "acme/hall", 30, by="mara"), up("camera_silent", "acme/old", 60),
        *(up("camera_silent", f"acme/c{number}", number) for number in range(1, 7)),
        up("store_unreachable", "cloud", 1, by="mara"), up("access_denied", "cloud", 2),
        up("slow_uploads", "cloud", 1, state="pending"),
    ]  # fmt: skip
    told = attention.alarms_up(states, alarms(TERMS), now=NOW)
    assert [(view.name, view.level, view.count, view.is_open) for view in told] == [
        ("access_denied", "bad", "1 store", True), ("camera_silent", "warning", "8 cameras", True),
        ("over_budget", "warning", "", True), ("store_unreachable", "bad", "1 store", False),
    ]  # fmt: skip
    silent = told[1]
    assert [subject.name for subject in silent.subjects] == [
        "acme/old",
        *(f"acme/c{number}" for number in (6, 5, 4, 3)),
    ]
    assert silent.more == 3
    assert silent.command == "reelkeeper alarm acknowledge camera_silent --every-subject --by YOU --reason WHY"
    assert told[0].command == "reelkeeper alarm acknowledge access_denied cloud --by YOU --reason WHY"
    assert told[2].command == "reelkeeper alarm acknowledge over_budget --by YOU --reason WHY"
    assert told[3].subjects[0].acknowledged == "mara: on it"


def test_an_export_can_be_downloaded_while_it_is_there() -> None:
    [done] = exports.exports([export()], now=NOW)
    assert (done.status, done.has_download, done.download) == ("completed", True, "2.0 KiB, for another 6 days")
    assert done.what == "2 cameras, 2026-03-09 12:00:00, 1 h 00 min, mosaic"
    [over] = exports.exports([export(expires_at=NOW)], now=NOW)
    assert (over.status, over.has_download) == ("expired", False)
    [busy] = exports.exports([export(status="PROCESSING", progress=40)], now=NOW)
    assert (busy.progress, busy.has_download) == (40, False)
    [refused] = exports.exports([export(id=uuid4(), status="FAILED", request=None, failure="no such camera")], now=NOW)
    assert (refused.what, refused.reason, refused.by, refused.failure, refused.level) == (
        "a request that was refused",
        "case 7",
        "mara",
        "no such camera",
        "bad",
    )


def test_of_a_check_what_is_wrong_is_told_and_the_rest_counted() -> None:
    assert checks.check(None, now=NOW) is None
    results = (
        QualityResult(Suite.SEGMENTS, Name.SEGMENT_FIELDS, "fail", success=True, looked_at=9, failing=0, mostly=1),
        QualityResult(Suite.SEGMENTS, Name.SEGMENT_BITRATES, "warn", success=False, looked_at=9, failing=2, mostly=1),
        QualityResult(Suite.REPLICAS, Name.VERIFIED_REPLICA, "fail", success=False, looked_at=1200, failing=1, mostly=1,
                      report_path="reports/check_catalogue/x.csv"),
    )  # fmt: skip
    began = NOW - timedelta(hours=3)
    told = checks.check(QualityRun("check_catalogue", "r", "failed", None, began, began, results), now=NOW)
    assert told is not None
    assert (told.level, told.met, told.when, told.path) == ("bad", "1 of 3 expectations met", "3 h 00 min", "")
    assert [(one.name, one.level, one.failing, one.path) for one in told.unmet] == [
        ("replicas: verified replica", "bad", "1 of 1,200 rows", "reports/check_catalogue/x.csv"),
        ("segments: segment bitrates", "warning", "2 of 9 rows", ""),
    ]  # fmt: skip
