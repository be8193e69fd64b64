"""Which tier footage belongs in."""

from decimal import Decimal

import pytest

from reelkeeper.model import Tier
from reelkeeper.policy.lifecycle import initial_tier

STEPS = ((7, Tier.HOT), (30, Tier.COOL), (90, Tier.COLD), (None, Tier.ARCHIVE))
FALLING = {Tier.HOT: Decimal(4), Tier.COOL: Decimal(3), Tier.COLD: Decimal(2), Tier.ARCHIVE: Decimal(1)}


@pytest.mark.parametrize(
    ("days", "tier"),
    [(1, Tier.HOT), (7, Tier.HOT), (8, Tier.COOL), (30, Tier.COOL), (90, Tier.COLD), (91, Tier.ARCHIVE)],
)
def test_the_table_holds_where_colder_is_cheaper(days: int, tier: Tier) -> None:
    assert initial_tier(STEPS, days, FALLING) is tier


def test_a_warmer_tier_that_is_no_dearer_is_taken() -> None:
    assert initial_tier(STEPS, 365, FALLING | {Tier.ARCHIVE: Decimal(2)}) is Tier.COLD
    assert initial_tier(STEPS, 365, FALLING | {Tier.ARCHIVE: Decimal(9), Tier.COLD: Decimal(9)}) is Tier.COOL
    assert initial_tier(STEPS, 7, FALLING) is Tier.HOT  # never a colder one than the table says


def test_a_tier_that_is_not_there_is_not_taken() -> None:
    assert initial_tier(STEPS, 365, {Tier.HOT: Decimal(4), Tier.COOL: Decimal(3)}) is Tier.COOL
    assert initial_tier(STEPS, 7, {Tier.COOL: Decimal(3), Tier.COLD: Decimal(1)}) is Tier.COOL
    with pytest.raises(ValueError, match="expected at least HOT"):
        initial_tier(STEPS, 7, {})
