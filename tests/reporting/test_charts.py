"""Charts: what they say is right, they can stand in any page, and a history that is short or empty is no error."""

import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest

from reelkeeper.model import Tier
from reelkeeper.reporting.charts import FailureHour, bytes_by_tier, failure_rate, migration_ramp
from reelkeeper.reporting.cost_charts import CostDay, cost_forecast, savings
from reelkeeper.reporting.coverage_chart import camera_coverage, coverage_map
from reelkeeper.reporting.drawing import Chart, palette_css, shown
from tests.reporting import month
from tests.reporting.month import DAY, DAYS, FIRST, LAST, NOW

pytestmark = pytest.mark.encodes  # it takes seconds to draw so many pictures

SVG = "{http://www.w3.org/2000/svg}"
COSTS = [CostDay(day, 100.0 + number, 100.0 + 2 * number) for number, day in enumerate(DAYS)]
MEASURED = [(each.day, each.usd) for each in COSTS]
AHEAD = [(LAST + number * DAY, 130.0 + number) for number in range(1, 31)]


def coverage(first: date = FIRST, now: datetime = NOW) -> Chart:
    found = camera_coverage(month.cameras(), month.recorded(), month.began(), first=first, now=now)
    return coverage_map(found, first=first)


@pytest.fixture(scope="module")
def drawn() -> dict[str, Chart]:
    """All charts of the month."""
    every = [
        bytes_by_tier(month.usage()), migration_ramp(month.STEPS, now=NOW),
        failure_rate(month.hours(), limit=0.05, until=NOW), coverage(), savings(COSTS),
        cost_forecast(MEASURED, AHEAD, budget=Decimal(145)),
    ]  # fmt: skip
    return {chart.id: chart for chart in every}


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - our own


def shapes(svg: str, colour: str) -> list[list[list[tuple[float, float]]]]:
    """The outlines of each filled element of a colour: points in pixels."""
    root = parsed(svg)
    named = {element.get("id"): element for element in root.iter(f"{SVG}path") if element.get("id")}
    found = []
    for element in root.iter():
        if element.get("style", "").startswith(f"fill: var(--rk-{colour},"):
            outline = named[element.get("href", "#")[1:]] if element.tag == f"{SVG}use" else element
            right, down = float(element.get("x", 0)), float(element.get("y", 0))
            parts = [part for part in re.split(r"M", outline.get("d", "")) if part.strip()]
            points = [re.findall(r"(-?[\d.]+) (-?[\d.]+)", part) for part in parts]
            found.append([[(float(x) + right, float(y) + down) for x, y in part] for part in points])
    return found


def test_titles_say_what_the_charts_come_to(drawn: dict[str, Chart]) -> None:
    assert {name: chart.title for name, chart in drawn.items()} == {
        # 310 + 3 × 100 GiB on the 31st, 10 on the 1st
        "tiers": "610.0 GiB of copies are held, 49.2 % of it in colder tiers: 6000 % more than on 1 March 2026",
        "ramp": "The rollout is at 50 %, since 25 March 2026, decided by anna",
        # 167 hours of 100; 165 × 2 + 2 × 10 of them failed
        "failures": "2.1 % of 16,700 transfers failed in 7 days; 2 hours were above 5 %",
        # the first lacks 5 of 31 days, the second 2; the last has no footage at all
        "coverage": "9 of 11 cameras have footage of at least 99 % of the last 31 days; the least has Gate, 83.9 %",
        "savings": "Tiers save 30.00 USD a month, 18.8 %: it is 130.00 USD instead of 160.00 USD",
        "forecast": "If it goes on like this, 160.00 USD a month by 30 April 2026, after 130.00 USD now; "
        "from 16 April 2026 on above the budget of 145.00 USD",
    }


def test_tables_tell_the_same_in_figures(drawn: dict[str, Chart]) -> None:
    rows = {name: [tuple(row) for row in chart.rows] for name, chart in drawn.items()}
    assert len(rows["tiers"]) == 31
    assert rows["tiers"][10] == ("2026-03-11", "110.0 GiB", "100.0 GiB", "0 B", "0 B", "210.0 GiB")
    assert rows["ramp"][:2] == [
        (
            "2026-03-26 03:30",
            "hold",
            "50 % → 50 %",
            "26,000",
            "2 % failed",
            "1.25 s",
            "reelkeeper",
            "reason of the 26.",
        ),
        ("2026-03-25 03:30", "advance", "25 % → 50 %", "25,000", "2 % failed", "1.25 s", "anna", "reason of the 25."),
    ]
    assert len(rows["ramp"]) == 6  # of the seven that held, the last alone
    assert rows["failures"][4] == ("2026-03-28", "2,300", "62", "2.7 %", "10:00: 10 %")
    assert rows["coverage"][:3] == [
        ("Gate", "83.9 %", "10", "0", "2026-03-01: 50 %"),
        ("Yard", "93.5 %", "2", "2", "2026-03-05: 0 %"),
        (month.HOSTILE, "100 %", "0", "0", ""),
    ]
    assert rows["savings"][-1] == ("2026-03-31", "130.00 USD", "160.00 USD", "30.00 USD")
    assert rows["forecast"][-1] == ("2026-04-30", "160.00 USD", "expected")


def test_a_stack_is_as_high_as_what_is_held(drawn: dict[str, Chart]) -> None:
    """On the last day a GiB is as many pixels high in each tier, and they lie upon each other without a gap."""
    bounds = {}
    for tier in Tier:
        outline = shapes(drawn["tiers"].wide, tier.lower())[0][0]  # the second is the legend's
        right = max(x for x, _ in outline)
        heights = [y for x, y in outline if x == right]
        bounds[tier] = (min(heights), max(heights))
    pixels = {tier: low - high for tier, (high, low) in bounds.items()}
    assert pixels[Tier.HOT] / 310 == pytest.approx(pixels[Tier.COOL] / 100, rel=0.001)
    assert pixels[Tier.COOL] == pytest.approx(pixels[Tier.COLD], rel=0.001) == pytest.approx(pixels[Tier.ARCHIVE])
    for upper, lower in zip(Tier, [*Tier][1:], strict=False):
        assert bounds[upper][1] == pytest.approx(bounds[lower][0])


def test_a_hole_in_the_history_is_not_bridged() -> None:
    broken = [day for day in month.usage() if not 10 <= day.day.day <= 20]
    areas = [outlines for outlines in shapes(bytes_by_tier(broken).wide, "hot") if len(outlines[0]) > 5]
    assert len(areas) == 2


def test_hours_above_the_limit_stand_out(drawn: dict[str, Chart]) -> None:
    ((*bad,),) = shapes(drawn["failures"].wide, "bad")
    ((*usual,),) = shapes(drawn["failures"].wide, "line")
    assert (len(bad), len(usual)) == (2, 165)
    tall, low = (max(y for _, y in bar) - min(y for _, y in bar) for bar in (bad[0], usual[0]))
    assert tall / low == pytest.approx(5, rel=0.01)  # 10 % beside 2 %


def test_each_field_of_the_heat_map_has_the_shade_of_its_day(drawn: dict[str, Chart]) -> None:
    fields = {n: [len(part) for part in shapes(drawn["coverage"].wide, f"missing-{n}")] for n in range(6)}
    # Eleven cameras by 31 days, the third from the 11th on; a second shape, of one field, is the legend's.
    assert {n: sum(max(parts, default=0) for parts in [fields[n]]) for n in (3, 5)} == {3: 10, 5: 2}
    assert max(fields[0]) == 11 * 31 - 10 - 10 - 2
    assert [max(fields[n]) for n in (1, 2, 4)] == [1, 1, 1]


def test_a_heat_map_is_bounded_and_says_what_it_leaves_out() -> None:
    found = camera_coverage(month.cameras(), month.recorded(), month.began(), first=FIRST, now=NOW)
    chart = coverage_map(found, first=FIRST, most=3)
    assert [row[0] for row in chart.rows][:2] == ["Gate", "Yard"]
    assert len(chart.rows) == 3
    assert chart.description.endswith("8 more cameras are not shown, with footage of at least 100 %.")


@pytest.mark.parametrize("variant", ["wide", "narrow"])
def test_a_picture_can_stand_in_any_page(drawn: dict[str, Chart], variant: str) -> None:
    seen: set[str] = set()
    for chart in drawn.values():
        svg = getattr(chart, variant)
        root = parsed(svg)
        assert root.tag == f"{SVG}svg"
        assert root.get("role") == "img"
        told = {element.get("id"): element.text for element in root if element.tag in (f"{SVG}title", f"{SVG}desc")}
        assert [told[name] for name in str(root.get("aria-labelledby")).split()] == [
            chart.title,
            shown(chart.description),
        ]
        ids = [value for element in root.iter() if (value := element.get("id"))]
        assert not seen & {*ids}
        assert len({*ids}) == len(ids)
        seen |= {*ids}
        links = re.findall(r"url\(([^)]*)\)", svg) + re.findall(r'href="([^"]*)"', svg)
        assert all(link.startswith("#") and link[1:] in ids for link in links)
        assert not re.search(r"//(?!www\.w3\.org/(2000/svg|1999/xlink)\")", svg)
        assert not re.search(r"<(script|image|foreignObject|style|a)\b", svg)


def test_every_colour_is_the_pages(drawn: dict[str, Chart]) -> None:
    known = set(re.findall(r"(--rk-[a-z0-9-]+):", palette_css()))
    for chart in drawn.values():
        styles = " ".join(re.findall(r'style="([^"]*)"', chart.wide + chart.narrow))
        assert set(re.findall(r"var\((--rk-[a-z0-9-]+),", styles)) <= known
        assert not re.search(r"(?<!,)#[0-9a-fA-F]{6}", styles)  # none but as a variable's fallback
        assert "DejaVu" not in styles


def test_drawing_again_gives_the_same(drawn: dict[str, Chart]) -> None:
    assert coverage() == drawn["coverage"]
    assert migration_ramp(month.STEPS[::-1], now=NOW) == drawn["ramp"]


def test_names_of_others_are_letters_and_nothing_else(drawn: dict[str, Chart]) -> None:
    for chart in (drawn["coverage"], drawn["ramp"]):
        texts = [text for element in parsed(chart.wide).iter(f"{SVG}text") if (text := element.text)]
        assert any(text.startswith("<script>") for text in texts)
        assert "\x00" not in chart.wide
        assert "\x1b" not in chart.wide
    assert max(len(row) for row in texts) < 60


def texts_of(chart: Chart) -> list[str]:
    return [element.text or "" for element in parsed(chart.wide).iter(f"{SVG}text")]


def test_an_estate_without_history_is_no_error() -> None:
    told = {
        chart.title: texts_of(chart)
        for chart in (
            bytes_by_tier([]), migration_ramp([], now=NOW), failure_rate([], limit=0.05, until=NOW),
            coverage_map([], first=FIRST), savings([]), cost_forecast([], [], budget=Decimal(1)),
        )
    }  # fmt: skip
    assert told == {
        "No footage yet": ["no footage yet"],
        "The rollout has not begun": ["the ramp has not begun"],
        "Nothing was transferred in the last 7 days": ["nothing was transferred"],
        "No camera has recorded yet": ["no footage yet"],
        "Nothing says what the footage costs yet": ["nothing says what it costs yet"],
        "There are no costs to make a forecast from yet": ["nothing says what it costs yet"],
    }


@pytest.mark.parametrize(
    ("budget", "told", "is_drawn", "title"),
    [
        (145, "budget 145.00 USD", True, "; from 16 April 2026 on above the budget of 145.00 USD"),
        (129, "budget 129.00 USD", True, "; already above the budget of 129.00 USD"),
        (480, "budget 480.00 USD", True, "after 130.00 USD now"),
        (481, "the budget, 481.00 USD, is above this chart", False, "after 130.00 USD now"),  # more than thrice 160
        (None, None, False, "after 130.00 USD now"),
    ],
)
def test_when_the_budget_is_passed_can_be_seen(
    budget: int | None, told: str | None, is_drawn: bool, title: str
) -> None:
    chart = cost_forecast(MEASURED, AHEAD, budget=None if budget is None else Decimal(budget))
    assert chart.title.endswith(title)
    assert [text for text in texts_of(chart) if "budget" in text] == ([told] if told else [])
    assert ("stroke: var(--rk-bad," in chart.wide) == is_drawn
    assert ("The budget is" in chart.description) == (budget is not None)


def test_one_day_can_be_seen() -> None:
    held = bytes_by_tier([day for day in month.usage() if day.day == LAST])
    assert held.title == "610.0 GiB of copies are held, 49.2 % of it in colder tiers"
    assert all(max(x for x, _ in area) - min(x for x, _ in area) > 50 for (area,) in shapes(held.wide, "hot")[:1])
    assert migration_ramp(month.STEPS[:1], now=month.STEPS[0].decided_at).title.startswith("The rollout is at 10 %")
    one = failure_rate([FailureHour(NOW - timedelta(hours=1), 1, 1)], limit=0.05, until=NOW)
    assert one.title == "100 % of 1 transfer failed in 7 days; 1 hour was above 5 %"
    assert coverage(first=LAST).title.endswith("have footage of at least 99 % of the last 1 day")
    assert savings(COSTS[:1]).title == "Tiers save nothing yet: the footage costs 100.00 USD a month"
    alone = cost_forecast(MEASURED[:1], [], budget=None)
    assert alone.title.endswith("100.00 USD a month; a forecast needs a week of days")


def test_what_is_gone_is_said() -> None:
    held = [day for day in month.usage() if day.tier is Tier.HOT]
    gone = [*held[:-1], type(held[-1])(LAST, month.CLOUD, Tier.HOT, 0, 0, None)]
    assert bytes_by_tier(gone).title == "No footage is held any more; on 1 March 2026 it was 10.0 GiB"


def test_tiers_that_cost_more_are_said_to() -> None:
    assert savings([CostDay(LAST, 3.0, 2.0)]).title == (
        "Tiers cost 1.00 USD a month more than they save: 3.00 USD instead of 2.00 USD"
    )
