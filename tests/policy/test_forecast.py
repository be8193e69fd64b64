"""What a figure will be if it goes on as it has."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelkeeper.policy.forecast import forecast, horizons, month_bill

FIRST = date(2026, 3, 1)


def _days(*figures: float) -> list[tuple[date, float]]:
    return [(FIRST + timedelta(days=day), figure) for day, figure in enumerate(figures)]


def bill(history: list[tuple[date, float]], today: date, *, began: date | None) -> float | None:
    """By the trend of all of it."""
    return month_bill(history, today, began=began, trend=history)


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
    assert bill([], FIRST, began=None) is None
    # Ten dollars a month for the first half of thirty days, then forty, too short a history for a forecast.
    known = [(date(2026, 4, 14), 10.0), (date(2026, 4, 15), 10.0), (date(2026, 4, 16), 40.0)]
    assert bill(known, date(2026, 4, 16), began=None) == pytest.approx((15 * 10 + 15 * 40) / 30)
    # One dollar more each day: 1 on the first, 30 on the last.
    rising = [(date(2026, 4, day), float(day)) for day in range(1, 11)]
    assert bill(rising, date(2026, 4, 10), began=None) == pytest.approx(sum(range(1, 31)) / 30)


def test_a_price_that_becomes_known_does_not_rise_day_by_day() -> None:
    """A hundred dollars a month for five days of thirty, then eleven hundred, as another store has a price."""
    history = [(date(2026, 4, day), 100.0 if day <= 5 else 1100.0) for day in range(1, 14)]
    told = (5 * 100 + 25 * 1100) / 30
    assert month_bill(history, date(2026, 4, 13), began=None, trend=history[5:]) == pytest.approx(told)
    assert month_bill(history[:10], date(2026, 4, 10), began=None, trend=history[5:10]) == pytest.approx(told)
    assert bill(history, date(2026, 4, 13), began=None) > told + 100  # by all of it


def test_the_first_month_is_billed_from_the_day_that_the_catalogue_began() -> None:
    """Three dollars a month since the 21st of thirty days: a third of them."""
    today = date(2026, 11, 21)
    assert bill([(today, 3.0)], today, began=today) == pytest.approx(1.0)
    # Looked at first on the 23rd: the 21st and the 22nd count as it.
    assert bill([(date(2026, 11, 23), 3.0)], date(2026, 11, 23), began=today) == pytest.approx(1.0)
    # A catalogue that got its identity after it had begun: what is known to have been held was held.
    assert bill([(date(2026, 11, 11), 3.0)], today, began=today) == pytest.approx(2.0)


@given(st.floats(0, 1e9), st.sets(st.integers(0, 60), min_size=1), st.integers(-60, 60), st.integers(0, 20))
def test_what_was_held_since_it_began_is_billed_and_no_day_more(
    figure: float, numbers: set[int], begins: int, later: int
) -> None:
    """The figure stands still: the bill is its share of the days since the beginning, or since the first figure."""
    history = [(FIRST + timedelta(days=number), figure) for number in numbers]
    today = max(history)[0] + timedelta(days=later)
    began = FIRST + timedelta(days=begins)
    end = horizons(today)["month_end"]
    held = min((end - min(began, min(history)[0])).days + 1, end.day)
    found = bill(history, today, began=began)
    assert found == pytest.approx(figure * held / end.day, abs=1e-3)
    assert bill(history, today, began=today.replace(day=1)) == bill(history, today, began=None)


@given(st.floats(0, 1e9), st.sets(st.integers(0, 60), min_size=1))
def test_what_stands_still_costs_a_month_of_it(figure: float, numbers: set[int]) -> None:
    history = [(FIRST + timedelta(days=number), figure) for number in numbers]
    assert bill(history, FIRST + timedelta(days=max(numbers)), began=None) == pytest.approx(figure, abs=1e-3)
