"""The daily report: its sentences and figures are those of an estate counted by hand; it needs nothing but itself."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from itertools import count
from pathlib import Path
from uuid import UUID

import pytest

from reelkeeper.catalogue.alarms import ToldEvent
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.quality import QualityResult, QualityRun
from reelkeeper.errors import RequestRefused
from reelkeeper.model import StoreKind, StoreName, Tier
from reelkeeper.policy.alarm_states import AlarmEvent, AlarmState
from reelkeeper.policy.alarms import AlarmTerms, alarms
from reelkeeper.policy.quality import Name, Suite
from reelkeeper.policy.ramp import RampDecision
from reelkeeper.policy.rollout import Percentage
from reelkeeper.reporting.cost_charts import CostDay
from reelkeeper.reporting.costing import cost_days
from reelkeeper.reporting.coverage_chart import camera_coverage
from reelkeeper.reporting.daily import DailyData, collect, render, write_report
from reelkeeper.reporting.daily_summary import cost_summary, decisions
from reelkeeper.reporting.daily_tables import cameras_table, exports_table, retrievals_table, transfers_table
from reelkeeper.reporting.figures import CameraDay, Durations, ExportTotals, RetrievalTotals, TransferTotals, UsageDay
from reelkeeper.reporting.gathering import take_stock
from reelkeeper.reports import is_report, list_reports
from reelkeeper.settings import Alarms, Costs, Estate, Placement, StoreSettings, TierPlace
from reelkeeper.stores.filesystem import FilesystemStore
from tests.catalogue.conftest import Maker
from tests.reporting import month
from tests.reporting.hand_made import CAMERAS, CLOUD, LOCAL, NOW, figures, lasted

TERMS = AlarmTerms(0.05, 30, 100.0, 45, 24, timedelta(minutes=30))
TODAY = NOW.date()
ESTATE = Estate(
    name="harbour",
    stores=(
        StoreSettings(name="local", kind=StoreKind.FILESYSTEM, root="/footage",
                      tiers={Tier.HOT: TierPlace(usd_per_gb_month=Decimal(1)),
                             Tier.COOL: TierPlace(prefix="cool/", usd_per_gb_month=Decimal("0.5")),
                             Tier.COLD: TierPlace(store="attic", usd_per_gb_month=Decimal("0.1"))}),
        StoreSettings(name="attic", kind=StoreKind.FILESYSTEM, root="/attic",
                      tiers={Tier.HOT: TierPlace(usd_per_gb_month=Decimal("0.1"))}),
        StoreSettings(name="cloud", kind=StoreKind.MINIO, bucket="footage"),
    ),
    placement=Placement(mode="hybrid", local_store="local", cloud_store="cloud", export_store="local"),
    alarms=Alarms(budget_usd=Decimal(100)),
)  # fmt: skip


class Page(HTMLParser):
    """A page taken apart: its tables by their titles, its texts, and all that it refers to."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.texts: list[str] = []
        self.refers: list[str] = []
        self.tags: set[str] = set()
        self._cell: list[str] | None = None
        self._rows: list[list[str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        given = {name: value or "" for name, value in attrs}
        self.refers += [
            given[name] for name in ("src", "href", "srcset", "data", "action", "xlink:href") if name in given
        ]
        self.refers += re.findall(r"url\(([^)]*)\)|@import", " ".join(given.values()))
        assert not [name for name in given if name.startswith("on")]
        if given.get("role") == "region":
            self._rows = self.tables.setdefault(given["aria-label"], [])
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._cell = []

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self._cell is not None:
            self._rows[-1].append("".join(self._cell).strip())
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)
        elif data.strip():
            self.texts.append(" ".join(data.split()))


def state(name: str, subject: str, detail: str, **others: object) -> AlarmState:
    since = NOW - timedelta(hours=2)
    usual = AlarmState(name, subject, "firing", since, None, 1.0, 0.0, detail, since, NOW, None, None, NOW)  # type: ignore[arg-type]
    return replace(usual, **others)  # type: ignore[arg-type]


QUALITY = QualityRun(
    "check_catalogue", "run", "warned", "reports/check_catalogue/2026-03-10/a b.html", NOW - timedelta(hours=3),
    NOW - timedelta(hours=3), (
        QualityResult(Suite.SEGMENTS, Name.SEGMENT_RANGES, "fail", True, 13, 0, 1.0),
        QualityResult(Suite.CAMERAS, Name.CAMERA_COVERAGE, "warn", False, 3, 1, 1.0),
    ),
)  # fmt: skip
READY = RampDecision("advance", Percentage(5000), "all went well", asks=True)


# --- pure ------------------------------------------------------------------------------------------------------------


def test_what_waits_for_a_person_is_named_the_worst_first() -> None:
    made = figures()
    local, cloud = made.stores
    sick = replace(local, reconcile_outcome="sick")
    refused = replace(cloud, reconcile_outcome="refused", reconciled_at=NOW - timedelta(hours=4))
    found = decisions(
        replace(made, stores=(sick, refused)),
        [
            state("camera_silent", "acme/yard", "30 h", state="acknowledged", acknowledged_by="anna",
                  acknowledgement="ticket 7"),
            state("unprotected_footage", "", "1 segment"),
            state("slow_uploads", "cloud", "over", state="ok"),
        ],
        alarms(TERMS), judged_at=NOW, proposal=READY, quality=QUALITY, now=NOW,
    )  # fmt: skip
    assert [(each.level, each.what, each.details) for each in found] == [
        ("bad", "Footage may be lost: no copy of some segments is known to be good.", ("1 segment, for 2 h 00 min",)),
        ("bad", "Store local lacked so much at once that it was doubted as a whole.",
         ("found 10 h 00 min ago; nothing was concluded",)),
        ("warning", "No footage of a camera has come in for too long: it may not be recording. (1 camera)",
         ("acme/yard: 30 h, for 2 h 00 min (taken on by anna: ticket 7)",)),
        ("warning", "The rollout is ready to go on to 50 %.", ("all went well",)),
        ("warning", "Store cloud had more orphans than one run may take away.",
         ("2 orphans, found 4 h 00 min ago; nothing was taken",)),
        ("warning", "1 expectation of the catalogue is not met, as checked 3 h 00 min ago.",
         ("camera coverage: 1 of 3 rows",)),
        ("warning", "2 files that came in could not become footage.", ()),
    ]  # fmt: skip
    assert all(each.do for each in found)


def test_that_nobody_looks_is_said() -> None:
    local, cloud = figures().stores
    found = replace(
        figures(), quarantined_files=0,
        stores=(replace(local, looked_at=None), replace(cloud, looked_at=NOW - timedelta(minutes=61))),
    )  # fmt: skip
    (told,) = decisions(found, [], alarms(TERMS), judged_at=NOW, proposal=None, quality=None, now=NOW)
    assert told.what == "Nobody has looked at 2 stores lately: what is said of them may be out of date."
    assert told.details == ("local: never", "cloud: 1 h 01 min ago")


def test_that_nobody_judges_is_said() -> None:
    good = replace(figures(), quarantined_files=0)
    for judged_at, said in ((NOW - timedelta(hours=3), "Alarms were last judged 3 h 00 min ago: "),
                            (None, "Alarms were never judged")):  # fmt: skip
        (told,) = decisions(good, [], alarms(TERMS), judged_at=judged_at, proposal=None, quality=None, now=NOW)
        assert told.what.startswith(said)
        assert "report_metrics" in told.do


def test_what_an_alarm_tells_is_told_once() -> None:
    local, cloud = figures().stores
    refused = replace(figures(), quarantined_files=0, stores=(local, replace(cloud, reconcile_outcome="refused")))
    states = [state("orphans_above_cap", "cloud", "2 orphans")]
    (told,) = decisions(refused, states, alarms(TERMS), judged_at=NOW, proposal=None, quality=None, now=NOW)
    assert told.details == ("cloud: 2 orphans, for 2 h 00 min",)


def test_nothing_waits_where_all_is_well() -> None:
    good = replace(figures(), quarantined_files=0)
    passed = replace(QUALITY, outcome="passed")
    told = decisions(
        good, [], alarms(TERMS), judged_at=NOW, proposal=replace(READY, asks=False), quality=passed, now=NOW
    )
    assert told == ()


def test_costs_are_said_with_what_they_leave_out() -> None:
    days = [CostDay(TODAY, 12.5, 20.0)]
    told = cost_summary(figures(), days, ahead=(date(2026, 4, 9), 120.0), month_bill=15.25, budget=Decimal(100))
    assert (told.level, told.sentence) == ("warning", "Keeping the footage costs 12.50 USD a month now.")
    assert told.facts == (
        "If it goes on as in the last 30 days, it will cost 120.00 USD a month on 9 April 2026.",
        "This calendar month comes to about 15.25 USD.",
        "Tiers save 7.50 USD a month (37.5 %).",
        "The budget is 100.00 USD a month.",
        "Without a price, and so not counted: local.",
    )
    assert cost_summary(figures(), days, ahead=None, month_bill=None, budget=None).level == "good"
    unpriced = replace(figures(), stores=figures().stores[:1])
    assert cost_summary(unpriced, [], ahead=None, month_bill=None, budget=None).level == "unknown"


@pytest.mark.encodes
def test_a_report_without_price_lists_says_why_it_knows_no_costs(tmp_path: Path) -> None:
    stores = tuple(replace(store, monthly_usd=None) for store in figures().stores)
    bare = replace(figures(), stores=stores, costs_trouble="there is no list")
    unpriced = ESTATE.model_copy(update={"costs": Costs(prices=tmp_path / "prices.toml")})
    usage = [UsageDay(TODAY, LOCAL, Tier.HOT, 1, 10**9, Decimal(1))]
    page = Page(render(unpriced, DailyData(TODAY, NOW, bare, usage)).html)
    assert "Nothing says what the footage costs." in page.texts
    assert "It is not known: there is no list." in page.texts
    assert not any(title.startswith("Tiers save") for title in page.tables)


def test_savings_are_what_the_hot_tier_would_cost_less_what_was_paid() -> None:
    """A gigabyte in each place; the attic holds what would be in the local store's hot tier; the cloud has no price."""
    places = [(LOCAL, Tier.HOT, 1), (LOCAL, Tier.COOL, "0.5"), (StoreName("attic"), Tier.HOT, "0.1")]
    usage = [UsageDay(TODAY, store, tier, 4, 10**9, Decimal(paid)) for store, tier, paid in places]
    usage += [UsageDay(TODAY, CLOUD, Tier.HOT, 1, 10**9, None), UsageDay(TODAY, LOCAL, Tier.COLD, 0, 0, Decimal(0))]
    (day,) = cost_days(ESTATE, usage)
    assert (day.day, day.usd) == (TODAY, pytest.approx(1.6))
    assert day.all_hot_usd == pytest.approx(3.0)
    assert cost_days(ESTATE, [row for row in usage if row.store == CLOUD]) == []


def test_coverage_counts_from_a_cameras_first_day_and_today_as_far_as_it_has_passed() -> None:
    found = camera_coverage(month.cameras(), month.recorded(), month.began(), first=month.FIRST, now=month.NOW)
    gate, yard, hall = (next(each for each in found if each.name == name) for name in ("Gate", "Yard", "Hall"))
    assert (gate.days[0], gate.days[10], gate.days[30]) == (0.5, 1.0, 1.0)
    assert (yard.days[3], yard.days[4], yard.days[5], yard.days[6]) == (1.0, 0.0, 0.0, 1.0)
    assert hall.days[:11] == (*[None] * 10, 1.0)
    assert hall.mean == 1.0
    assert [each.name for each in found][:2] == ["Gate", "Yard"]
    assert next(each for each in found if each.name.startswith("xxx")).mean is None


@pytest.mark.parametrize(
    ("began", "days"), [(date(2026, 3, 5), (None, None, 0.5, 1.0)), (date(2026, 1, 1), (0.0, 0.0, 0.5, 1.0))]
)  # fmt: skip
def test_a_camera_is_expected_from_its_first_day_whatever_it_records_later(
    began: date, days: tuple[float | None, ...]
) -> None:
    camera = replace(figures().cameras[0], segments=5000)  # of now; the chart is of days long past
    recorded = [CameraDay(camera.id, date(2026, 3, 5), 24, 43_200.0, 1),
                CameraDay(camera.id, date(2026, 3, 6), 48, 86_400.0 + 60, 1)]  # fmt: skip
    [found] = camera_coverage(
        [camera], recorded, {camera.id: began}, first=date(2026, 3, 3), now=datetime(2026, 3, 7, tzinfo=UTC)
    )
    assert found.days == (*days, None)


def test_cameras_stand_with_the_silent_ones_first_and_the_rest_is_counted() -> None:
    made = figures().cameras
    yard, gate, _ = made
    recorded = [CameraDay(CAMERAS[0], TODAY, 5, 64_800.0, 500), CameraDay(CAMERAS[1], TODAY, 1, 90_000.0, 100)]
    began = dict.fromkeys((yard.id, gate.id), TODAY - timedelta(days=1))
    table = cameras_table(made, recorded, began, [yard], day=TODAY, now=NOW)
    assert [tuple(row) for row in table.rows] == [
        ("Yard", "acme/yard", "silent for 30 h 00 min", "100 %", "3", "300 B"),  # segments that overlap count once
        ("Gate", "acme/gate", "5 min ago", "75 %", "10", "1000 B"),
        ("Hall", "beta/hall", "no footage yet", "–", "0", "0 B"),
    ]
    # The gate is new, and the yard was dark on a day that it had begun before.
    table = cameras_table(made, recorded[:1], began | {gate.id: TODAY}, [], day=TODAY, now=NOW)
    assert [(row[0], row[3]) for row in table.rows] == [("Yard", "0 %"), ("Gate", "–"), ("Hall", "–")]
    many = [replace(gate, slug=f"c{number}") for number in range(103)]
    table = cameras_table(many, [], {}, [], day=TODAY, now=NOW)
    assert len(table.rows) == 100
    assert table.note.startswith("3 more cameras")


def test_transfers_of_a_day_are_summed_by_what_became_of_them() -> None:
    def some(outcome: str, code: str | None, number: int, seconds: float, size_bytes: int) -> TransferTotals:
        return TransferTotals("migrate", CLOUD, outcome, code, False, size_bytes, Durations(number, seconds))  # type: ignore[arg-type]

    good = [some("succeeded", None, 2, seconds, 1024) for seconds in (3.0, 5.0)]
    table = transfers_table([*good, some("failed", "store_full", 1, 9.0, 0)], TODAY)
    assert [tuple(row) for row in table.rows] == [
        ("migrate", "cloud", "store full", "1", "0 B", "9 s"), ("migrate", "cloud", "succeeded", "4", "2.0 KiB", "2 s"),
    ]  # fmt: skip


def test_what_was_read_stands_with_the_mean_of_what_is_known_to_have_taken_how_long() -> None:
    table = retrievals_table(replace(figures(), retrievals=(
        *figures().retrievals, RetrievalTotals(LOCAL, "succeeded", None, 1, 10, Durations()),
    )))  # fmt: skip
    assert [tuple(row) for row in table.rows] == [
        ("cloud", "succeeded", "7", "700 B", "11.9 s"),  # 47.7 s in all, of four
        ("cloud", "source corrupted", "1", "100 B", "0.2 s"),
        ("cloud", "store timeout", "2", "200 B", "90.5 s"),
        ("local", "succeeded", "1", "10 B", ""),
    ]


def test_exports_stand_as_they_ended_and_those_under_way_as_they_are_now() -> None:
    """Six were asked for: two were done, one failed after five seconds, two were refused at once, one is under way."""
    refused = replace(figures(), exports=(
        ExportTotals("PENDING", lasted(0, 0, 0, 0)), ExportTotals("PROCESSING", lasted(0, 0, 0, 0)),
        ExportTotals("COMPLETED", lasted(20, 70)), ExportTotals("FAILED", lasted(5, 0, 0)),
        ExportTotals("EXPIRED", lasted(0)),
    ))  # fmt: skip
    table = exports_table(refused)
    assert [tuple(row) for row in table.rows] == [("completed", "2", "45 s"), ("failed", "3", "5 s")]
    assert table.note == "1 under way now."
    only = exports_table(replace(refused, exports=(ExportTotals("FAILED", lasted(0, 0)),)))
    assert [tuple(row) for row in only.rows] == [("failed", "2", "–")]
    assert exports_table(replace(refused, exports=())).empty == "No export has ended yet; 1 under way now."


# --- the page --------------------------------------------------------------------------------------------------------


def data(**others: object) -> DailyData:
    """A month that ends at six in the morning, of an estate whose people write whatever they like."""
    made = replace(
        figures(month.NOW),
        cameras=tuple(month.cameras()),
    )
    totals = [TransferTotals("migrate", CLOUD, "succeeded", None, False, 2048, Durations(4, 8.0))]
    event = AlarmEvent(
        UUID(int=1), "camera_silent", month.HOSTILE, "fired", "warning", month.NOW, 1.0, 0.0, month.HOSTILE
    )  # fmt: skip
    usual = DailyData(
        month.LAST, month.NOW, made, month.usage(), month.recorded(), month.began(),
        {datetime(2026, 3, 30, 10, tzinfo=UTC): totals}, month.STEPS,
        [state("camera_silent", month.HOSTILE, month.HOSTILE)], [ToldEvent(event, (), ())], QUALITY, READY, month.NOW,
    )  # fmt: skip
    return replace(usual, **others)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def html() -> str:
    return render(ESTATE, data()).html


@pytest.mark.encodes
def test_the_page_needs_nothing_from_outside(html: str) -> None:
    page = Page(html)
    assert not page.tags & {"script", "img", "link", "iframe", "object", "embed", "form", "base", "video", "audio"}
    outside = [each for each in page.refers if each.strip("'\"") and not each.startswith("#")]
    assert outside == ["../../check_catalogue/2026-03-10/a%20b.html"]  # a report that lies beside this one
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert "url(" not in style
    assert "@import" not in style
    assert set(re.findall(r"https?://[^\s\"']+", html)) == {"http://www.w3.org/2000/svg"}


@pytest.mark.encodes
def test_names_of_others_are_text(html: str) -> None:
    page = Page(html)
    cameras = {row[0] for row in page.tables["Cameras"]}
    assert month.HOSTILE.replace("\x00", "\ufffd") in {name.replace("\x00", "\ufffd") for name in cameras}
    assert "alert('x')" not in re.sub(r"&lt;script&gt;alert\((&#39;|')x(&#39;|')\)", "", html)


@pytest.mark.encodes
def test_the_page_tells_the_figures(html: str) -> None:
    page = Page(html)
    assert "1 of 50,504 segments has no copy that is known to be good." in page.texts
    assert "Keeping the footage costs 12.50 USD a month now." in page.texts
    assert "5 things wait for a person." in page.texts  # one: nobody has looked at the stores for three weeks
    assert page.tables["Transfers on 2026-03-30 (UTC)"][1] == ["migrate", "cloud", "succeeded", "4", "2.0 KiB", "2 s"]
    assert [row[:3] for row in page.tables["Quality of the catalogue, checked 2026-03-10 09:00 (UTC)"][1:]] == [
        ["camera coverage", "cameras", "NOT MET"], ["segment ranges", "segments", "met"],
    ]  # fmt: skip
    assert page.tables["Deleted since ever"][1:4] == [
        ["cloud", "export", "2", "40 B"],
        ["local", "expired", "6", "600 B"],
        ["local", "moved", "1", "100 B"],
    ]
    assert page.tables["Exports since ever"][1] == ["completed", "2", "45 s"]
    assert [row[0] for row in page.tables["Stores"][1:]] == ["cloud", "local"]  # the one in trouble first
    drawn = [title for title in page.tables if title.endswith(", as a table")]
    assert len(drawn) == 6


@pytest.mark.encodes
def test_an_empty_estate_has_a_report() -> None:
    nothing = replace(
        figures(), stores=(), usage=(), cameras=(), transfers=(), deletions=(), exports=(), quarantined_files=0,
        unprotected_segments=0, oldest_unverified=None,
    )  # fmt: skip
    page = render(ESTATE, DailyData(TODAY, NOW, nothing, judged_at=NOW))
    assert page.summary == "No footage has come in yet. Nothing says what the footage costs. 0 things need a decision."
    texts = Page(page.html).texts
    assert "Nothing that the catalogue knows of." in texts
    assert "No camera is known yet." in texts
    assert "check_catalogue has not run yet." in texts


# --- from the catalogue to the store ---------------------------------------------------------------------------------


@pytest.fixture
def recorded(catalogue: Catalogue) -> Catalogue:
    """The gate recorded 36 minutes yesterday and one today; ten days of history before."""
    make = Maker(catalogue)
    gate = make.camera("gate")
    make.recorded(make.minutes(gate, 36, datetime(2026, 3, 9, tzinfo=UTC)))
    make.recorded(make.minutes(gate, 1, NOW - timedelta(minutes=11)))
    for number in range(10):
        day = date(2026, 2, 28) + timedelta(days=number)
        catalogue.tallies.keep_day(day, [UsageDay(day, LOCAL, Tier.HOT, 1, 10**9 * (number + 1), Decimal(number + 1))])
    take_stock(ESTATE, catalogue, now=NOW)
    return catalogue


def store_at(root: Path) -> FilesystemStore:
    store = FilesystemStore(LOCAL, root)
    list(store.set_up())
    return store


def test_a_report_is_kept_beside_the_last_one(recorded: Catalogue, tmp_path: Path) -> None:
    store = store_at(tmp_path / "footage")
    first, second = (write_report(ESTATE, recorded, store, day=TODAY, now=NOW) for _ in range(2))
    assert (first.key, second.key) == (
        "reports/report_estate/2026-03-10/harbour.html", "reports/report_estate/2026-03-10/harbour-2.html",
    )  # fmt: skip
    assert is_report(first.key)
    assert {report.key for report in list_reports(store, "report_estate")} == {first.key, second.key}
    kept = b"".join(store.read(first.key))
    assert (len(kept), kept.decode()) == (first.size_bytes, first.page.html)
    page = Page(kept.decode())
    assert "All 37 segments have at least one verified copy." in page.texts
    assert page.tables["Cameras"][1] == ["Gate", "default/gate", "10 min ago", "–", "37", "36.1 KiB"]
    (coverage,) = [rows for title, rows in page.tables.items() if title.startswith("0 of 1 camera")]
    assert coverage[1][0] == "Gate"


def test_what_came_in_since_the_last_round_is_told_alike_all_over_the_page(recorded: Catalogue) -> None:
    """The round counted 37 segments of 1000 bytes; the report has one more, at a dollar a gigabyte and month."""
    make = Maker(recorded, numbers=count(1000))
    make.recorded(make.minutes(make.camera("gate"), 1, NOW - timedelta(minutes=5)))
    html = render(ESTATE, collect(ESTATE, recorded, day=TODAY, now=NOW)).html
    page = Page(html)
    assert any("38 verified copies of 37.1 KiB" in text for text in page.texts)
    (held,) = [rows for title, rows in page.tables.items() if title.startswith("37.1 KiB of copies are held")]
    assert (held[-1][0], held[-1][-1]) == ("2026-03-10", "37.1 KiB")
    assert "Keeping the footage costs 0.000038 USD a month now." in page.texts
    (saved, ahead) = [title for title in page.tables if "0.000038 USD" in title]
    assert saved.startswith("Tiers save nothing yet")
    assert ahead.startswith("If it goes on like this")


def test_a_past_day_ends_its_charts_with_it(recorded: Catalogue) -> None:
    past = collect(ESTATE, recorded, day=date(2026, 3, 5), now=NOW)
    assert past.until == datetime(2026, 3, 6, tzinfo=UTC)
    assert (past.first_day, past.last_day, past.whole_day) == (date(2026, 2, 3), date(2026, 3, 5), date(2026, 3, 5))
    assert max(row.day for row in past.usage) == date(2026, 3, 5)
    assert past.cameras == []
    today = collect(ESTATE, recorded, day=TODAY, now=NOW)
    assert (today.until, today.last_day, today.whole_day) == (NOW, TODAY, date(2026, 3, 9))
    assert {row.day for row in today.cameras} == {date(2026, 3, 9), TODAY}
    assert today.figures.now == NOW
    assert set(today.began.values()) == set(past.began.values()) == {date(2026, 3, 9)}
    with pytest.raises(RequestRefused, match="day is 2026-03-11: expected none after today, 2026-03-10"):
        collect(ESTATE, recorded, day=date(2026, 3, 11), now=NOW)
