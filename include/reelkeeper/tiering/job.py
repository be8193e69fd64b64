"""Tiering: footage moves to colder tiers as it grows older, where that saves money.

plan → (a person approves) → tier_batch for each batch → gate → summarise. The plan is frozen in the catalogue with its
figures: what was estimated, and approved, is what is done. A replica only ever moves colder, in one move.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.records import Batch
from reelkeeper.catalogue.tier_moves import TierCounts, TierFailure, TierSum
from reelkeeper.catalogue.tier_planning import TierTerms
from reelkeeper.errors import GateFailed
from reelkeeper.model import Tier
from reelkeeper.policy.costs import move_cost
from reelkeeper.pricing import foreign_prices, price_lists, tiered_stores
from reelkeeper.settings import Estate
from reelkeeper.stores.protocols import Store
from reelkeeper.stores.retry import retrying
from reelkeeper.tiering.batch import TierResult, tier_batch
from reelkeeper.tiering.choices import KEPT_DAYS, TieredStore
from reelkeeper.tiering.stores import record_stale_moves, versioned_stores

__all__ = [
    "Refusal",
    "TierPlan",
    "TierResult",
    "TierSummary",
    "gate",
    "plan_tiers",
    "reject",
    "summarise",
    "tier_batch",
]

log = logging.getLogger(__name__)

_FAILURES_SHOWN = 20
_REASONS = {
    "waits": "it is still billed for the minimum duration of its class: leaving earlier would pay for both",
    "held": "it is held, and must stay readable",
    "archived": "it must be restored before it can move again",
    "copied": "the other store has a copy of it already",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Replicas whose age asks for a colder tier, and that stay: why, in figures."""

    found: TierSum
    why: str


@dataclass(frozen=True, slots=True)
class TierPlan:
    """What a run is to move, and what that costs and saves. A dry run has figures but no batches."""

    batches: tuple[Batch, ...]
    moves: tuple[TierSum, ...]
    refused: tuple[Refusal, ...]
    left: int  # replicas that pay as well, but are more than one run takes: for the next
    dry_run: bool
    left_usd: float = 0.0  # what moving those costs once
    barred: tuple[str, ...] = ()  # what may not move at all, and why
    versioned: tuple[str, ...] = ()  # stores that keep, and bill, what is moved in its old class as well

    @property
    def replicas(self) -> int:
        return sum(each.replicas for each in self.moves)

    @property
    def size_bytes(self) -> int:
        return sum(each.size_bytes for each in self.moves)

    @property
    def one_off_usd(self) -> float:
        return sum(each.one_off_usd for each in self.moves)

    @property
    def saving_usd(self) -> float:
        """Over the time that the footage is still kept, one-off cost taken off."""
        return sum(each.saving_usd for each in self.moves)

    def needs_approval(self, above_usd: Decimal) -> bool:
        """Whether a person must approve it: its one-off cost, with that of what is left for later runs, is above it.

        A large estate is moved in slices, each of which costs little.
        """
        return self.replicas > 0 and self.one_off_usd + self.left_usd > float(above_usd)


@dataclass(frozen=True, slots=True)
class TierSummary:
    """How a run ended, for people."""

    counts: TierCounts
    done: tuple[TierSum, ...]
    failures: tuple[TierFailure, ...]  # the first ones


def plan_tiers(
    estate: Estate,
    catalogue: Catalogue,
    open_store: Callable[[str], Store],
    *,
    run_id: str,
    dry_run: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> TierPlan:
    """Put the replicas whose move to a colder tier pays into batches, with what each move costs and saves.

    Looks at what is available in the stores of `tiering.stores`, and leaves alone what is on its way elsewhere, being
    restored, or held, where it would have to be restored to be read. What is retired or expires soon does not pay.
    Moves that another run has begun and left long ago are dropped, the class of each object recorded as it is.
    Planning the same run again returns what it planned. ConfigurationError for a tier that nobody knows the price of.
    """
    lists = price_lists(estate)
    stores = [TieredStore(estate, lists, settings) for settings in tiered_stores(estate)]
    for told in filter(None, (foreign_prices(store.settings) for store in stores)):
        log.warning("%s", told)
    barred = {
        why
        for store in stores
        for tier in Tier
        if tier is not Tier.HOT and (target := store.target(tier)) and (why := store.forbidden(target))
    }
    terms = _terms(estate, stores, now())
    if not dry_run:
        record_stale_moves(estate, catalogue, open_store, run_id=run_id, now=terms.now)
    sums, batches = retrying()(catalogue.tier_planning.plan, run_id, terms, dry_run=dry_run)
    taken = tuple(each for each in sums if each.outcome == "taken")
    paying = [each for each in sums if each.outcome == "pays"]
    by_name = {store.settings.name: store for store in stores}
    refused = tuple(_refusal(by_name[each.store], each) for each in sums if each.outcome not in ("taken", "pays"))
    left = max(sum(each.replicas for each in paying) - sum(each.replicas for each in taken), 0)
    left_usd = sum(each.one_off_usd for each in paying) - sum(each.one_off_usd for each in taken) if left else 0.0
    return TierPlan(
        () if dry_run else tuple(batches), taken, refused, left, dry_run, max(left_usd, 0.0), tuple(sorted(barred)),
        versioned_stores(open_store, {each.store for each in taken}),
    )  # fmt: skip


def _terms(estate: Estate, stores: Sequence[TieredStore], now: datetime) -> TierTerms:
    """What the plan goes by: the prices and tiers of all stores, and how much one run takes."""
    origins = [row for store in stores for row in store.origins()]
    return TierTerms(
        now=now,
        stores=sorted({str(row["store"]) for row in origins}),
        steps=[(step.after_days, step.tier) for step in estate.tiering.moves],
        default_days=estate.retention.default_days,
        kept_days=KEPT_DAYS,
        choices=[row for store in stores for row in store.choices()],
        origins=origins,
        archives=sorted({tier for store in stores for tier, price in store.prices.items() if price.must_restore}),
        batch_size=estate.tiering.batch_size,
        batch_bytes=estate.migration.batch_bytes,
        max_batches=estate.tiering.max_batches,
    )


def _refusal(store: TieredStore, found: TierSum) -> Refusal:
    """Why the cost model says no, by the example of the largest of them."""
    if found.outcome != "loses":
        return Refusal(found, _REASONS[found.outcome])
    size, days_in_class, days_kept = found.example or (0, 0, 0)
    to = next(target for target in store.targets(found.from_tier) if target.tier.rank <= found.to_tier.rank)
    cost = move_cost(
        store.price_from(found.from_tier, to), to.price, size_bytes=size, days_in_class=days_in_class,
        days_kept=max((days for days in KEPT_DAYS if days <= days_kept), default=0),
    )  # fmt: skip
    return Refusal(replace(found, to_tier=to.tier), cost.why)


def reject(catalogue: Catalogue, *, run_id: str, why: str) -> int:
    """A person said no, or nobody answered: what the run has not begun is dropped; how many moves."""
    return retrying()(catalogue.tier_moves.drop, run_id, why)


def gate(estate: Estate, catalogue: Catalogue, *, run_id: str, stopped: bool = False) -> TierCounts:
    """Let a run pass when it did what it set out to do; else GateFailed, with what was measured and what was allowed.

    As many moves may fail as transfers of a migration (`migration.max_failure_ratio`). What was left because the mode
    changed (`stopped`) is no failure.
    """
    counts = retrying()(catalogue.tier_moves.counts, run_id)
    settled, limit, problems = counts.done + counts.failed, estate.migration.max_failure_ratio, []
    if settled and counts.failed / settled > limit:
        problems.append(f"{counts.failed} of {settled} moves failed, a ratio of {counts.failed / settled:.4f}: "
                        f"expected at most {limit}")  # fmt: skip
    if counts.open and not stopped:
        problems.append(f"{counts.open} moves are unfinished: expected 0")
    if problems:
        raise GateFailed("; ".join(problems))
    return counts


def summarise(catalogue: Catalogue, *, run_id: str) -> TierSummary:
    """How a run's moves stand, what they saved, and the first failures."""
    counts = retrying()(catalogue.tier_moves.counts, run_id)
    failures = retrying()(catalogue.tier_moves.failures, run_id, _FAILURES_SHOWN) if counts.failed else []
    return TierSummary(counts, tuple(retrying()(catalogue.tier_moves.done, run_id)), tuple(failures))
