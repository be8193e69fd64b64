"""What a figure will be if it goes on as it has."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelkeeper.policy.forecast import forecast

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
