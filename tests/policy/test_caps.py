"""Caps: typed ratios and counts, the lower counts, and 1 % means 1 %."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelkeeper.policy.caps import CapAction, check_caps


@dataclass(frozen=True)
class Caps:
    soft_count: int = 10_000
    soft_ratio: float = 0.05
    hard_count: int = 1_000_000
    hard_ratio: float = 0.5
    ratio_from: int = 0


@pytest.mark.parametrize(
    ("count", "total", "action"),
    [
        (0, 0, "within"),
        (1, 0, "refuse"),
        (5, 100, "within"),
        (6, 100, "ask"),
        (50, 100, "ask"),
        (51, 100, "refuse"),
        (10_000, 10**7, "within"),  # 0.1 %, and at the count
        (10_001, 10**7, "ask"),
        (1_000_000, 10**7, "ask"),
        (1_000_001, 10**7, "refuse"),
    ],
)
def test_the_lower_of_count_and_ratio_counts(count: int, total: int, action: str) -> None:
    assert check_caps(count, total, Caps()).action == action


@pytest.mark.parametrize("percent", range(1, 101))
def test_a_percent_is_a_percent(percent: int) -> None:
    """0.29 of 100 is 28.999999999999996 in binary fractions."""
    caps = Caps(10**9, percent / 100, 10**9, 1.0)
    assert check_caps(percent, 100, caps).action is CapAction.WITHIN
    if percent < 100:
        assert check_caps(percent + 1, 100, caps).action is CapAction.ASK


@given(count=st.integers(0, 1000), total=st.integers(0, 1000), soft=st.floats(0, 1), hard=st.floats(0, 1))
def test_more_is_never_better(count: int, total: int, soft: float, hard: float) -> None:
    caps = Caps(500, min(soft, hard), 800, hard)
    order = list(CapAction)
    assert order.index(check_caps(count, total, caps).action) <= order.index(check_caps(count + 1, total, caps).action)


def test_the_message_has_the_figures() -> None:
    assert check_caps(7, 100, Caps()).message == "7 of 100 objects: the soft cap is 5 (the lower of 10000 and 5 %)"
    assert "the hard cap is 50" in check_caps(60, 100, Caps()).message


def test_of_a_small_store_the_count_alone_counts() -> None:
    caps = Caps(soft_count=5, hard_count=20, ratio_from=100)
    assert [check_caps(count, 99, caps).action for count in (1, 5, 6, 20, 21)] == [
        "within", "within", "ask", "ask", "refuse"
    ]  # fmt: skip
    assert check_caps(1, 1, caps).message.endswith("the soft cap is 5 (a share of so few objects says nothing)")
    assert check_caps(6, 100, caps).action is CapAction.ASK
    assert check_caps(51, 100, Caps(ratio_from=100)).action is CapAction.REFUSE


def test_a_negative_count_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected neither to be negative"):
        check_caps(-1, 1, Caps())
