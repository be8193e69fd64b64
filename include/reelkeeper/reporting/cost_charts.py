"""The charts of money: what the footage costs, what its tiers save, and what it will cost if it goes on like this."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from reelkeeper.reporting.drawing import Canvas, Chart, draw, ink
from reelkeeper.reporting.plotting import moments, money_axis, span_days, thinned
from reelkeeper.wording import day_name, percent, usd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_UNKNOWN = "nothing says what it costs yet"
_IN_SIGHT = 3
"""A budget that is more than so many times the highest cost is told in words: its line would flatten all others."""


@dataclass(frozen=True, slots=True)
class CostDay:
    """What the holdings of one day cost in a month, and what they would if they had all stayed in the hot tier."""

    day: date
    usd: float
    all_hot_usd: float


def savings(days: Sequence[CostDay]) -> Chart:
    """What the holdings cost, beside what they would cost if all had stayed in the hot tier."""
    by_day = sorted(days, key=lambda each: each.day)
    return draw(
        "savings",
        title=_savings_title(by_day),
        description="Two lines: what the copies of each day cost in a month, and what they would cost if all had "
                    "stayed in the HOT tier, by the price lists. What lies between is saved.",
        paint=lambda canvas: _paint_savings(canvas, by_day),
        height=280,
        empty=None if by_day else _UNKNOWN,
        columns=("day (UTC)", "a month", "if all were HOT", "saved"),
        rows=[
            (f"{each.day:%Y-%m-%d}", usd(each.usd), usd(each.all_hot_usd), usd(each.all_hot_usd - each.usd))
            for each in thinned(by_day)
        ],
    )  # fmt: skip


def _paint_savings(canvas: Canvas, days: Sequence[CostDay]) -> None:
    axes = canvas.axes(left=66, right=24, top=58, bottom=46)
    x = moments([each.day for each in days])
    hot, now = [each.all_hot_usd for each in days], [each.usd for each in days]
    marker = "o" if len(days) == 1 else ""
    area = axes.fill_between(x, now, hot, color=ink("saved"), linewidth=0)
    (above,) = axes.plot(x, hot, color=ink("hot"), linewidth=2, marker=marker)
    (below,) = axes.plot(x, now, color=ink("line"), linewidth=2, marker=marker)
    money_axis(axes, max(*hot, *now))
    span_days(canvas, axes, days[0].day, days[-1].day)
    canvas.unit(axes, "USD a month")
    canvas.legend(axes, [above, below, area], ["if all were HOT", "as it is", "saved"])


def _savings_title(days: Sequence[CostDay]) -> str:
    if not days:
        return "Nothing says what the footage costs yet"
    now, hot = days[-1].usd, days[-1].all_hot_usd
    if hot > now:
        return f"Tiers save {usd(hot - now)} a month, {percent(1 - now / hot)}: it is {usd(now)} instead of {usd(hot)}"
    if hot < now:
        return f"Tiers cost {usd(now - hot)} a month more than they save: {usd(now)} instead of {usd(hot)}"
    return f"Tiers save nothing yet: the footage costs {usd(now)} a month"


def cost_forecast(
    measured: Sequence[tuple[date, float]], expected: Sequence[tuple[date, float]], *, budget: Decimal | None
) -> Chart:
    """What the holdings cost in a month, in US dollars, day by day: as measured, and as expected from there on, with
    the budget of a month, if there is one."""
    past, ahead = sorted(measured), sorted(expected)
    return draw(
        "forecast",
        title=f"{_forecast_title(past, ahead)}{_beyond(budget, past, ahead)}",
        description="A line: what the copies of each day cost in a month, as measured; dashed, what they will cost if "
                    "they change at the pace of the last 30 days."
                    f"{f' The budget is {usd(budget)} a month.' if budget is not None else ''}",
        paint=lambda canvas: _paint_forecast(canvas, past, ahead, budget),
        height=280,
        empty=None if past else _UNKNOWN,
        columns=("day (UTC)", "a month", "measured or expected"),
        rows=[
            *((f"{day:%Y-%m-%d}", usd(cost), "measured") for day, cost in thinned(past, most=10)),
            *((f"{day:%Y-%m-%d}", usd(cost), "expected") for day, cost in thinned(ahead, most=10)),
        ],
    )  # fmt: skip


def _paint_forecast(
    canvas: Canvas, past: Sequence[tuple[date, float]], ahead: Sequence[tuple[date, float]], budget: Decimal | None
) -> None:
    axes = canvas.axes(left=66, right=24, top=58, bottom=46)
    handles = axes.plot(moments([day for day, _ in past]), [cost for _, cost in past], color=ink("line"), linewidth=2,
                        marker="o" if len(past) == 1 else "")  # fmt: skip
    if ahead:
        dashed = [past[-1], *ahead]
        handles += axes.plot(moments([day for day, _ in dashed]), [cost for _, cost in dashed], color=ink("line"),
                             linewidth=2, linestyle=(0, (4, 3)))  # fmt: skip
        (end,) = moments([ahead[-1][0]])
        axes.plot([end], [ahead[-1][1]], marker="o", markersize=6, color=ink("line"), clip_on=False)
        axes.annotate(usd(ahead[-1][1]), (end, ahead[-1][1]), xytext=(-4, 8), textcoords="offset points", ha="right",
                      va="bottom", color=ink("ink"))  # fmt: skip
    costs = [cost for _, cost in [*past, *ahead]]
    money_axis(axes, max(*costs, _mark_budget(axes, budget, costs)))
    span_days(canvas, axes, past[0][0], (ahead or past)[-1][0])
    canvas.unit(axes, "USD a month")
    canvas.legend(axes, handles, ["measured", "expected"][: len(handles)])


def _mark_budget(axes: "Axes", budget: Decimal | None, costs: Sequence[float]) -> float:
    """Draw the budget as a line, or say that it is above the chart. How high the axis must go for it. `costs`: from the
    left edge to the right one."""
    highest = max(costs)
    if budget is None:
        return 0.0
    if budget > _IN_SIGHT * highest:
        axes.annotate(
            f"the budget, {usd(budget)}, is above this chart", (0, 0.98), xycoords="axes fraction", ha="left", va="top",
            color=ink("bad"),
        )  # fmt: skip
        return 1.2 * highest  # so that it has room
    line = float(budget)
    axes.axhline(line, color=ink("bad"), linewidth=1.2, linestyle=(0, (5, 3)))
    # The words stand where the costs are not: at the edge that is farther from where they cross the line, and on the
    # line's other side, unless the axis is too near.
    first, middle, last = (cost > line for cost in (costs[0], costs[len(costs) // 2], costs[-1]))
    is_right = first != last == middle
    is_below = (last if is_right else first) and line > highest / 8
    axes.annotate(
        f"budget {usd(budget)}", (is_right, line), xycoords=("axes fraction", "data"), textcoords="offset points",
        xytext=(0, -3 if is_below else 3), ha="right" if is_right else "left", va="top" if is_below else "bottom",
        color=ink("bad"),
    )  # fmt: skip
    return line


def _beyond(budget: Decimal | None, past: Sequence[tuple[date, float]], ahead: Sequence[tuple[date, float]]) -> str:
    """When the budget is passed, for the end of a title; nothing where it is not."""
    if budget is None or not past:
        return ""
    if past[-1][1] > budget:
        return f"; already above the budget of {usd(budget)}"
    passed = next((day for day, cost in ahead if cost > budget), None)
    return f"; from {day_name(passed)} on above the budget of {usd(budget)}" if passed else ""


def _forecast_title(past: Sequence[tuple[date, float]], ahead: Sequence[tuple[date, float]]) -> str:
    if not past:
        return "There are no costs to make a forecast from yet"
    now = usd(past[-1][1])
    if not ahead:
        return f"The footage costs {now} a month; a forecast needs a week of days"
    return f"If it goes on like this, {usd(ahead[-1][1])} a month by {day_name(ahead[-1][0])}, after {now} now"
