"""Which tier footage belongs in when it is written."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from reelkeeper.model import Tier


def initial_tier(steps: Sequence[tuple[int | None, Tier]], retention_days: int, costs: Mapping[Tier, Decimal]) -> Tier:
    """The tier in which footage is written that is kept for `retention_days`.

    `steps` are (retention in days up to which it holds, tier), rising, the last without an end. `costs` says for each
    tier that there is what writing the footage there and keeping it would cost. A warmer tier that is no dearer takes
    the place of the one that the steps name. ValueError when no tier can be had.
    """
    if not costs:
        raise ValueError("no tier to write to: expected at least HOT")
    wanted = next(tier for up_to, tier in steps if up_to is None or retention_days <= up_to)
    there = sorted((tier for tier in costs if tier.rank <= wanted.rank), key=lambda tier: tier.rank)
    if not there:
        return min(costs, key=lambda tier: tier.rank)
    return min(there, key=lambda tier: (costs[tier], tier.rank))
