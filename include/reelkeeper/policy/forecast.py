"""What a figure will be if it goes on as it has."""

from collections.abc import Sequence
from datetime import date
from statistics import linear_regression

LEAST_DAYS = 7
"""A history that spans fewer days says nothing about the next month: a first migration would look like growth for ever."""


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
