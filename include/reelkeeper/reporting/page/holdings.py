"""Stores on the page: how they are, what they hold by tier, what that costs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from reelkeeper.model import ReplicaState, StoreKind, Tier
from reelkeeper.reporting.figures import Figures, StoreFigures, Usage
from reelkeeper.reporting.page.safety import Level, health_words
from reelkeeper.wording import ago, counted, percent, size, usd

FORECAST_DAYS = 30
_HELD = (ReplicaState.AVAILABLE, ReplicaState.SUSPICIOUS, ReplicaState.CONDEMNED)
"""States of replicas whose bytes are taken to be there."""
_OUTCOMES: Mapping[str, tuple[Level, str]] = {
    "agreed": ("good", "it agreed"), "acted": ("good", "differences were put right"),
    "dry_run": ("warning", "it only looked"), "refused": ("bad", "over a cap: nothing was taken away"),
    "sick": ("bad", "the store was doubted: nothing was concluded"),
}  # fmt: skip
_LEVELS: Mapping[str, Level] = {"healthy": "good", "unreachable": "bad", "foreign": "bad", "unknown": "unknown"}
_WORST: Mapping[Level, int] = {"bad": 0, "warning": 1, "unknown": 2, "good": 3}


@dataclass(frozen=True, slots=True)
class TierShare:
    """What a store holds in one tier. `start` and `width` are its place in a bar of 100."""

    tier: str
    held: str
    replicas: str
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class StoreView:
    """One store, worded."""

    name: str
    kind: str
    bucket: str  # empty for a disk: its folder is nobody's business who may see the page
    level: Level
    health: str
    looked_at: str
    held: str
    replicas: str
    tiers: tuple[TierShare, ...]
    quota: str | None
    quota_level: Level
    monthly: str
    reconciled: str
    reconciled_level: Level
    beside: tuple[str, ...]  # objects that are no copies in use: orphans, quarantine, condemned


@dataclass(frozen=True, slots=True)
class CostView:
    """What storage costs a month. `forecast` None: the history is too short to say."""

    now: str | None
    forecast: str | None
    without: tuple[str, ...]  # stores that nobody said the price of
    trouble: str | None  # why no cost is known at all


def stores(figures: Figures) -> tuple[StoreView, ...]:
    """The stores, those with trouble first, else in the order of estate.toml."""
    views = [_store(store, [usage for usage in figures.usage if usage.store == store.name], figures.now)
             for store in figures.stores]  # fmt: skip
    return tuple(sorted(views, key=lambda view: _WORST[view.level]))


def cost(figures: Figures, ahead: float | None) -> CostView:
    """What storage costs now, and `ahead`, in FORECAST_DAYS, both in US dollars a month."""
    monthly = figures.monthly_usd()
    trouble = figures.costs_trouble
    without = tuple(store.name for store in figures.stores if store.monthly_usd is None and not trouble)
    return CostView(
        usd(monthly) if monthly is not None else None, usd(ahead) if ahead is not None else None, without, trouble
    )  # fmt: skip


def _store(store: StoreFigures, usages: Sequence[Usage], now: datetime) -> StoreView:
    held = [usage for usage in usages if usage.state in _HELD]
    size_bytes, replicas = sum(usage.size_bytes for usage in held), sum(usage.replicas for usage in held)
    level, reconciled = _reconciled(store, now)
    quota: str | None = None
    quota_level: Level = "good"
    if store.quota_bytes:
        ratio = size_bytes / store.quota_bytes
        quota = f"{percent(ratio)} of {size(store.quota_bytes)}"
        quota_level = "bad" if ratio > 1 else "warning" if ratio > 0.9 else "good"
    bucket = "" if store.kind is StoreKind.FILESYSTEM else store.bucket
    return StoreView(
        store.name, store.kind, bucket, _LEVELS[store.health], health_words(store, now),
        f"looked at {ago(store.looked_at, now)} ago" if store.looked_at else "", size(size_bytes),
        counted(replicas, "copy", "copies"), tuple(_tiers(held)), quota, quota_level,
        usd(store.monthly_usd) if store.monthly_usd is not None else "unknown", reconciled, level,
        tuple(_beside(store)),
    )  # fmt: skip


def _tiers(held: Sequence[Usage]) -> Iterator[TierShare]:
    whole, start = sum(usage.size_bytes for usage in held), 0.0
    for tier in Tier:
        found = [usage for usage in held if usage.tier == tier]
        size_bytes = sum(usage.size_bytes for usage in found)
        if found:
            width = 100 * size_bytes / whole if whole else 0.0
            replicas = counted(sum(usage.replicas for usage in found), "copy", "copies")
            yield TierShare(tier, size(size_bytes), replicas, round(start, 2), round(width, 2))
            start += width


def _reconciled(store: StoreFigures, now: datetime) -> tuple[Level, str]:
    if store.reconciled_at is None or store.reconcile_outcome is None:
        return "unknown", "never"
    level, words = _OUTCOMES[store.reconcile_outcome]
    return level, f"{ago(store.reconciled_at, now)} ago: {words}"


def _beside(store: StoreFigures) -> Iterator[str]:
    if store.orphans:
        yield f"{counted(store.orphans, 'orphan')} ({size(store.orphan_bytes)})"
    if store.quarantined_orphans:
        yield f"{store.quarantined_orphans:,} in quarantine ({size(store.quarantined_bytes)})"
    if store.condemned:
        yield f"{store.condemned:,} condemned ({size(store.condemned_bytes)})"
    if store.pending_retirement:
        yield f"{store.pending_retirement:,} to retire"
