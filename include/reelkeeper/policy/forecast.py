"""What a figure will be if it goes on as it has."""

import calendar
from collections.abc import Sequence
from datetime import date, timedelta
from statistics import linear_regression

HISTORY_DAYS = 30
"""How long a history makes a forecast, today's figure so far included: older days were under another policy."""
LEAST_DAYS = 7
"""A history that spans fewer days says nothing about the next month: a first migration would look like growth."""


def forecast(history: Sequence[tuple[date, float]], on: date) -> float | None:
    """The figure on a day to come: the last one, and what it would grow or shrink by at the pace of its history (least
    squares over all its days), never below 0. None when the history spans less than LEAST_DAYS.

    `history`: the figure at the end of each day, at most one a day, in any order; days may be missing.
    """
    days = sorted(history)
    if not days or (days[-1][0] - days[0][0]).days < LEAST_DAYS:
        return None
    pace, _ = linear_regression([float(day.toordinal()) for day, _ in days], [figure for _, figure in days])
    return max(days[-1][1] + pace * (on - days[-1][0]).days, 0.0)


def horizons(today: date) -> dict[str, date]:
    """The days that people ask about: `month_end`, the last one of this month, and `in_30_days`."""
    return {"month_end": _month_end(today), "in_30_days": today + timedelta(days=30)}


def month_bill(
    history: Sequence[tuple[date, float]], today: date, *, began: date | None, trend: Sequence[tuple[date, float]]
) -> float | None:
    """What storage costs in this calendar month, from its first day to its last, in US dollars.

    `history` is as for `forecast`: what each day's holdings cost in a month. A day that has passed without a figure
    counts as the nearest one before it, or else as the first one after it; one before `began` without any figure before
    it costs nothing, as there was no catalogue yet (None: that is not known). Days to come count as forecast by
    `trend`, the days of `history` that say where it is heading, as far as they are of the last HISTORY_DAYS; or as the
    last one where they are too few for that. None without any figure.
    """
    days = sorted(day for day in history if day[0] <= today)
    if not days:
        return None
    recent = [day for day in trend if day[0] > today - timedelta(days=HISTORY_DAYS)]
    last = _month_end(today)
    total = 0.0
    for number in range(last.day):
        day = last - timedelta(days=number)
        at_first = 0.0 if began is not None and day < began else days[0][1]
        known = next((figure for known, figure in reversed(days) if known <= day), at_first)
        ahead = forecast(recent, day) if day > days[-1][0] else None
        total += known if ahead is None else ahead
    return total / last.day


def _month_end(day: date) -> date:
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])
