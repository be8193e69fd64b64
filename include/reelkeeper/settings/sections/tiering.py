"""`[tiering]`, `[restore]` and `[costs]`: how footage grows cheaper to keep, and readable again."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from reelkeeper.model import Tier
from reelkeeper.settings.sections.section import Section
from reelkeeper.settings.values import Money, Whole


class InitialTier(Section):
    """The tier in which footage that is kept so long is written to a store."""

    up_to_days: Annotated[Whole, Field(gt=0)] | None = None
    """Retention in days up to which it holds; left out in the last one: all that is kept longer."""
    tier: Tier
    """HOT, COOL, COLD or ARCHIVE."""


class TierStep(Section):
    """The tier that footage of an age belongs in."""

    after_days: Annotated[Whole, Field(gt=0)]
    """Days after the end of the segment."""
    tier: Tier
    """COOL, COLD or ARCHIVE."""


class Tiering(Section):
    """How footage moves to cheaper tiers, where that saves money."""

    stores: tuple[str, ...] | None = None
    """The stores in which it moves; by default every one that has tiers."""
    initial: tuple[InitialTier, ...] = (
        InitialTier(up_to_days=7, tier=Tier.HOT),
        InitialTier(up_to_days=30, tier=Tier.COOL),
        InitialTier(up_to_days=90, tier=Tier.COLD),
        InitialTier(tier=Tier.ARCHIVE),
    )
    """The tier in which footage is written, by its retention. The cost model may choose a warmer one. An archived copy
    must be restored before it can be read; the local copy is read meanwhile."""
    moves: tuple[TierStep, ...] = (
        TierStep(after_days=7, tier=Tier.COOL),
        TierStep(after_days=30, tier=Tier.COLD),
        TierStep(after_days=90, tier=Tier.ARCHIVE),
    )
    """The tier that footage belongs in by its age. A move that would lose money is not made."""
    approve_above_usd: Annotated[Money, Field(ge=0)] = Decimal(100)
    """One-off cost above which a person must approve a run in the Airflow UI: of what it moves, and of what pays as
    well and is left for later runs."""
    batch_size: Annotated[Whole, Field(gt=0, le=100_000)] = 1000
    """Most replicas of one task."""
    max_batches: Annotated[Whole, Field(gt=0, le=1000)] = 64
    """Most batches of one run; the rest waits for the next."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        ends = [step.up_to_days for step in self.initial]
        if not ends or None in ends[:-1] or ends[-1] is not None or sorted(filter(None, ends)) != ends[:-1]:
            raise ValueError(f"expected 'initial' with rising 'up_to_days', and a last one without; got {ends}")
        ranks = [list(Tier).index(step.tier) for step in self.moves]
        days = [step.after_days for step in self.moves]
        if sorted(set(days)) != days or sorted(set(ranks)) != ranks or 0 in ranks:
            raise ValueError("expected 'moves' with rising 'after_days' to ever colder tiers below HOT; got "
                             f"{[(step.after_days, str(step.tier)) for step in self.moves]}")  # fmt: skip
        return self


class Restore(Section):
    """How archived footage is made readable again."""

    speed: Literal["expedited", "standard", "bulk"] = "standard"
    """The provider's retrieval option, when none is asked for."""
    days: Annotated[Whole, Field(gt=0, le=365)] = 7
    """How long the restored copy stays."""
    budget_usd: Annotated[Money, Field(ge=0)] = Decimal(50)
    """Most that one run may cost, by the estimate; above it nothing is requested."""


class Costs(Section):
    """What storage costs."""

    prices: Path | None = None
    """A price list of your own, absolute, in the form of the one that comes with Reelkeeper; its lists are added to
    those, or take their place."""
