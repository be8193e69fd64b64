"""A round read from a real catalogue, of footage that was counted by hand, up to the text that Prometheus reads."""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg2
import pytest

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.store_health import Look
from reelkeeper.model import StoreKind, Tier
from reelkeeper.policy.alarms import ALARM_NAMES
from reelkeeper.reporting.daily import collect, render
from reelkeeper.reporting.figures import UsageDay
from reelkeeper.reporting.gathering import take_stock
from reelkeeper.reporting.metric_samples import Limits
from reelkeeper.reporting.page.reading import read_estate
from reelkeeper.reporting.rounds import ALARM_STATES, forecast_cost, take_round
from reelkeeper.settings import Alarms, Estate, Placement, StoreSettings, TierPlace
from tests.catalogue.conftest import LOCAL, Maker
from tests.reporting.test_metrics import as_text

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
YESTERDAY = datetime(2026, 3, 9, tzinfo=UTC)
ESTATE = Estate(
    name="test",
    stores=(StoreSettings(name="local", kind=StoreKind.FILESYSTEM, root="/footage",
                          tiers={Tier.HOT: TierPlace(usd_per_gb_month=Decimal("0.02"))}),
            StoreSettings(name="cloud", kind=StoreKind.MINIO, bucket="footage")),
    placement=Placement(mode="cloud", local_store="local", cloud_store="cloud"),
)  # fmt: skip


@pytest.fixture
def recorded(catalogue: Catalogue) -> Catalogue:
    """Two cameras: the gate recorded 36 minutes yesterday and one today, the yard nothing since three days ago."""
    make = Maker(catalogue)
    gate, yard = make.camera("gate"), make.camera("yard")
    for number, start in ((36, YESTERDAY), (1, NOW - timedelta(minutes=11))):
        make.recorded(make.minutes(gate, number, start))
    make.recorded(make.minutes(yard, 3, NOW - timedelta(days=3)))
    return catalogue


def test_a_catalogue_in_figures(recorded: Catalogue) -> None:
    recorded.store_health.record([Look(LOCAL, "healthy", None, NOW - timedelta(minutes=1))])
    found = as_text(take_round(ESTATE, recorded, now=NOW))

    def of(name: str, **labels: str) -> float | None:
        return found.get((name, tuple(sorted(labels.items()))))

    assert of("storage_segments_stored_total", backend="local", mode="cloud") == 40
    assert of("storage_bytes_used", backend="local", bucket="/footage") == 40_000
    assert of("reelkeeper_stored_bytes", store="local", tier="HOT", tenant="default") == 40_000
    assert of("reelkeeper_camera_coverage_ratio", tenant="default", camera="gate") is None  # its first day
    assert of("reelkeeper_camera_coverage_ratio", tenant="default", camera="yard") == 0
    assert of("reelkeeper_camera_last_footage_age_seconds", tenant="default", camera="gate") == 600
    assert of("reelkeeper_cameras_silent") == 1
    assert of("reelkeeper_unmigrated_segments") == 40
    assert of("reelkeeper_oldest_unmigrated_age_seconds") == 3 * 86_400
    assert of("reelkeeper_monthly_cost_usd", store="local") == pytest.approx(40_000 / 1e9 * 0.02)
    assert of("reelkeeper_monthly_cost_usd", store="cloud") is None  # nothing says its price
    assert of("reelkeeper_store_up", store="local") == 1
    assert of("reelkeeper_store_up", store="cloud") is None  # nobody has looked
    assert of("reelkeeper_forecast_stored_bytes", at="in_30_days") is None  # there is no history yet
    alarms = {key[1] for key in found if key[0] == "reelkeeper_alarms"}
    assert len(alarms) == len(ALARM_NAMES) * len(ALARM_STATES)
    assert as_text(take_round(ESTATE, recorded, now=NOW), Limits()) == found  # reading changes nothing


@pytest.mark.parametrize("is_folded", [False, True])
def test_a_new_camera_is_covered_from_its_second_day_on(recorded: Catalogue, is_folded: bool) -> None:
    """The gate recorded 36 minutes of its first day and one of its second."""
    if is_folded:
        recorded.tallies.fold()
    gate = (("camera", "gate"), ("tenant", "default"))
    found = [
        as_text(take_round(ESTATE, recorded, now=NOW + timedelta(days=days))).get(
            ("reelkeeper_camera_coverage_ratio", gate)
        )
        for days in (0, 1, 2)
    ]
    assert found == [None, 60 / 86_400, 0]


def test_history_says_where_it_is_heading(recorded: Catalogue) -> None:
    """A dollar and a gigabyte more each day from 28 February on, in one store; the other has no price."""
    for number in range(10):
        day = (datetime(2026, 2, 28, tzinfo=UTC) + timedelta(days=number)).date()
        recorded.tallies.keep_day(
            day,
            [
                UsageDay(day, LOCAL, Tier.HOT, 1, (number + 1) * 10**9, Decimal(number + 1)),
                UsageDay(day, ESTATE.stores[1].store_name, Tier.HOT, 1, 10**9, None),
            ],
        )
    found = take_round(ESTATE, recorded, now=NOW)
    # The last known day is 9 March: 10 dollars and 11 gigabytes.
    assert found.forecast_usd == pytest.approx({"month_end": 10 + 22, "in_30_days": 10 + 31})
    assert found.forecast_bytes == pytest.approx({"month_end": 33e9, "in_30_days": 42e9})
    # 2 dollars on the first of March, one more each day, 32 on the last.
    assert found.month_bill_usd == pytest.approx(sum(range(2, 33)) / 31)
    assert forecast_cost(recorded, today=NOW.date(), days=11) == pytest.approx(22)


def test_the_page_forecasts_what_metrics_alarm_and_report_do(recorded: Catalogue) -> None:
    """A bill of 1000 dollars thirty days ago, before the last thirty; from then on 100, and one more each day: today's
    40,000 bytes cost 129."""
    dear = ESTATE.stores[0].model_copy(update={"tiers": {Tier.HOT: TierPlace(usd_per_gb_month=Decimal(3_225_000))}})
    estate = ESTATE.model_copy(update={"stores": (dear, ESTATE.stores[1])})
    for number in range(30):
        day = NOW.date() - timedelta(days=30 - number)
        paid = Decimal(99 + number if number else 1000)
        recorded.tallies.keep_day(day, [UsageDay(day, LOCAL, Tier.HOT, 1, 10**9, paid)])
    take_stock(estate, recorded, now=NOW)
    ahead = forecast_cost(recorded, today=NOW.date(), days=30)
    assert ahead == pytest.approx(129 + 30)
    assert take_round(estate, recorded, now=NOW).forecast_usd["in_30_days"] == ahead
    page = read_estate(estate, recorded, query="", number=1, with_exports=False, now=NOW)
    assert (page.cost.value and page.cost.value.forecast) == "159.00 USD"
    report = render(estate, collect(estate, recorded, day=NOW.date(), now=NOW))
    assert "it will cost 159.00\N{NO-BREAK SPACE}USD a month on 9 April 2026" in report.html


def test_a_price_that_becomes_known_is_no_growth(recorded: Catalogue) -> None:
    """The local store costs 100 dollars on each day; the cloud, whose price is known since `since`, 1000."""
    cloud = ESTATE.stores[1].store_name

    def keep(since: int) -> None:
        for number in range(30):
            day = NOW.date() - timedelta(days=29 - number)
            known = Decimal(1000) if number >= since else None
            rows = [
                UsageDay(day, store, Tier.HOT, 1, 10**9, usd) for store, usd in ((LOCAL, Decimal(100)), (cloud, known))
            ]
            recorded.tallies.keep_day(day, rows)

    keep(since=15)
    assert forecast_cost(recorded, today=NOW.date(), days=30) == pytest.approx(1100)
    found = take_round(ESTATE, recorded, now=NOW)
    assert found.forecast_usd["in_30_days"] == found.month_bill_usd == pytest.approx(1100)
    report = render(ESTATE, collect(ESTATE, recorded, day=NOW.date() - timedelta(days=1), now=NOW))
    assert "it will cost 1,100.00\N{NO-BREAK SPACE}USD a month on 8 April 2026" in report.html
    keep(since=25)
    assert forecast_cost(recorded, today=NOW.date(), days=30) is None  # five days say nothing
    bill = (5 * 100 + 26 * 1100) / 31  # known since the 6th of March; from the 11th on as on the 10th
    assert take_round(ESTATE, recorded, now=NOW).month_bill_usd == pytest.approx(bill)
    keep(since=99)
    assert forecast_cost(recorded, today=NOW.date(), days=30) == pytest.approx(100)


def test_a_day_of_rounds_is_one_day_of_history(recorded: Catalogue) -> None:
    for hour in (6, 12):
        take_stock(ESTATE, recorded, now=NOW.replace(hour=hour))
    [local] = recorded.tallies.usage_days(NOW.date(), NOW.date())
    assert (local.store, local.size_bytes) == ("local", 40_000)
    assert take_round(ESTATE, recorded, now=NOW).month_bill_usd == pytest.approx(40_000 / 1e9 * 0.02)


def test_days_before_the_catalogue_began_cost_nothing(recorded: Catalogue, catalogue_dsn: str) -> None:
    """Set up on the 7th of 31 days, and looked at first on the 10th: it costs 25 days, in metrics and report."""
    recorded.identity.make()
    with closing(psycopg2.connect(catalogue_dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("UPDATE reelkeeper.catalogue_identity SET made_at = '2026-03-07 23:59:59+00'")
    kept = [UsageDay(NOW.date(), LOCAL, Tier.HOT, 1, 10**9, Decimal(31))]
    recorded.tallies.keep_day(NOW.date(), kept)
    assert take_round(ESTATE, recorded, now=NOW).month_bill_usd == pytest.approx(25)
    report = render(ESTATE, replace(collect(ESTATE, recorded, day=NOW.date(), now=NOW), usage=kept))
    assert "This calendar month comes to about 25.00\N{NO-BREAK SPACE}USD." in report.html


def test_an_alarm_that_nobody_wants_counts_no_cameras(recorded: Catalogue) -> None:
    quiet = ESTATE.model_copy(update={"alarms": Alarms(off=("camera_silent",))})
    assert take_round(quiet, recorded, now=NOW).silent_cameras is None
