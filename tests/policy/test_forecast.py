"""What a figure will be if it goes on as it has."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelkeeper.policy.forecast import forecast, horizons, month_bill

FIRST = date(2026, 3, 1)


def _days(*figures: float) -> list[tuple[date, float]]:
    return [(FIRST + timedelta(days=day), figure) for day, figure in enumerate(figures)]


def test_steady_growth_goes_on() -> None:
    history = _days(*[10.0 + 2 * day for day in range(10)])
    assert forecast(history, FIRST + timedelta(days=39)) == pytest.approx(28 + 2 * 30)


def test_what_shrinks_does_not_go_below_nothing() -> None:
    assert forecast(_days(*[20.0 - 2 * day for day in range(10)]), FIRST + timedelta(days=60)) == 0


def test_a_short_history_says_nothing() -> None:
    assert forecast([], FIRST) is None
    assert forecast(_days(*[1.0] * 7), FIRST) is None
    assert forecast(_days(*[1.0] * 8), FIRST) == 1


@given(st.floats(0, 1e9), st.sets(st.integers(0, 60), min_size=2), st.randoms())
def test_what_stands_still_stays(figure: float, numbers: set[int], order) -> None:
    history = [(FIRST + timedelta(days=number), figure) for number in numbers]
    order.shuffle(history)
    found = forecast(history, FIRST + timedelta(days=90))
    assert (found is None) == (max(numbers) - min(numbers) < 7)
    assert found is None or found == pytest.approx(figure, abs=1e-3)


def test_the_days_that_people_ask_about() -> None:
    assert horizons(date(2028, 2, 3)) == {"month_end": date(2028, 2, 29), "in_30_days": date(2028, 3, 4)}


def test_a_month_is_billed_day_by_day() -> None:
    assert month_bill([], FIRST) is None
    # Ten dollars a month for the first half of thirty days, then forty, too short a history for a forecast.
    known = [(date(2026, 4, 14), 10.0), (date(2026, 4, 15), 10.0), (date(2026, 4, 16), 40.0)]
    assert month_bill(known, date(2026, 4, 16)) == pytest.approx((15 * 10 + 15 * 40) / 30)
    # One dollar more each day: 1 on the first, 30 on the last.
    rising = [(date(2026, 4, day), float(day)) for day in range(1, 11)]
    assert month_bill(rising, date(2026, 4, 10)) == pytest.approx(sum(range(1, 31)) / 30)


@given(st.floats(0, 1e9), st.sets(st.integers(0, 60), min_size=1))
def test_what_stands_still_costs_a_month_of_it(figure: float, numbers: set[int]) -> None:
    history = [(FIRST + timedelta(days=number), figure) for number in numbers]
    assert month_bill(history, FIRST + timedelta(days=max(numbers))) == pytest.approx(figure, abs=1e-3)
