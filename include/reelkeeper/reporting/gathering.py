"""Gathers the figures of an estate from what the catalogue has counted."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.tallies import Leavings
from reelkeeper.errors import ConfigurationError
from reelkeeper.model import CameraId, ReplicaState, StoreName, Tier, utc
from reelkeeper.policy.costs import monthly_cost
from reelkeeper.policy.prices import ClassPrice, Prices, prices_of
from reelkeeper.policy.rollout import BUCKETS
from reelkeeper.pricing import price_lists, tier_price
from reelkeeper.ramp import current_percentage
from reelkeeper.reporting.figures import (
    CameraDay,
    Figures,
    RolloutFigures,
    StoreFigures,
    TransferTotals,
    Usage,
    UsageDay,
)
from reelkeeper.settings import Estate, StoreSettings
from reelkeeper.stores.retry import retrying

log = logging.getLogger(__name__)


def take_stock(estate: Estate, catalogue: Catalogue, *, now: datetime) -> Figures:
    """A full round: fold the changes, gather the figures, and keep what is held today. May be repeated at will."""
    fold(catalogue)
    prices = _StorePrices(estate)
    figures = retrying()(_gather, estate, catalogue, utc(now), prices)
    _keep_day(catalogue, figures, prices)
    return figures


def fold(catalogue: Catalogue) -> None:
    """Add what changed since the last fold to the tallies. What is read is right without; it only gets slower."""
    retrying()(catalogue.tallies.fold)


def gather(estate: Estate, catalogue: Catalogue, *, now: datetime) -> Figures:
    """The figures as they are in the catalogue at this moment; changes nothing. Not inside a transaction.

    A price that is missing leaves the cost of that store unknown; price lists that cannot be read leave all costs
    unknown, and nothing else: `Figures.costs_trouble` says so.
    """
    return retrying()(_gather, estate, catalogue, utc(now), _StorePrices(estate))


def usage_of(estate: Estate, figures: Figures) -> list[UsageDay]:
    """What stores hold by the figures, as the history of days will tell it of theirs."""
    return _usage_of(figures, _StorePrices(estate))


def _usage_of(figures: Figures, prices: "_StorePrices") -> list[UsageDay]:
    return [
        UsageDay(
            figures.now.date(), store, tier, sum(one.replicas for one in usage), sum(one.size_bytes for one in usage),
            prices.monthly_usd(store, usage),
        )
        for (store, tier), usage in _held_by_tier(figures.usage).items()
    ]  # fmt: skip


def _keep_day(catalogue: Catalogue, figures: Figures, prices: "_StorePrices") -> None:
    """Remember what stores hold as that of the UTC day of the figures, in place of an earlier round of that day."""
    retrying()(catalogue.tallies.keep_day, figures.now.date(), _usage_of(figures, prices))


def recount(catalogue: Catalogue) -> dict[str, int]:
    """Hold the tallies against the rows, and make right what differs: how many counts of each tally did. Goes through
    all footage, and holds nobody up."""
    drifted = retrying()(catalogue.tallies.drift)
    retrying()(catalogue.tallies.recount if any(drifted.values()) else catalogue.tallies.tidy)
    return drifted


def usage_days(catalogue: Catalogue, first: date, last: date) -> list[UsageDay]:
    """What stores held at the end of each UTC day from `first` to `last`; a day without a round is absent."""
    return retrying()(catalogue.tallies.usage_days, first, last)


def camera_days(
    catalogue: Catalogue, first: date, last: date, cameras: Sequence[CameraId] | None = None
) -> list[CameraDay]:
    """What cameras (None: all) recorded on each UTC day from `first` to `last`, by camera and day; a day without
    footage is absent. Where segments of a camera overlap, `recorded_seconds` may exceed those of a day."""
    return retrying()(catalogue.tallies.camera_days, first, last, cameras)


def first_days(catalogue: Catalogue, cameras: Sequence[CameraId] | None = None) -> dict[CameraId, date]:
    """The first UTC day of which there is footage, of each of these cameras (None: all) that has any."""
    return retrying()(catalogue.tallies.first_days, cameras)


def recorded_before(catalogue: Catalogue, day: date) -> frozenset[CameraId]:
    """The cameras of which there is footage of a UTC day before this one: all of this one is expected of them."""
    return retrying()(catalogue.tallies.recorded_before, day)


def transfer_hours(catalogue: Catalogue, since: datetime, until: datetime) -> dict[datetime, list[TransferTotals]]:
    """Transfers by the full hour that they finished in, of the hours that start in `[since, until)`; an hour without
    any is absent."""
    return retrying()(catalogue.tallies.transfer_hours, since, until)


def _gather(estate: Estate, catalogue: Catalogue, now: datetime, prices: "_StorePrices") -> Figures:
    tallies = catalogue.tallies
    names = [store.store_name for store in estate.stores]
    with tallies.one_moment():
        usage, retiring = tallies.usage()
        return Figures(
            now=now,
            estate=estate.name,
            stores=tuple(_stores(estate, catalogue, usage, retiring, prices)),
            usage=tuple(usage),
            cameras=tuple(tallies.cameras()),
            transfers=tuple(tallies.transfers()),
            deletions=tuple(tallies.deletions()),
            retrievals=tuple(tallies.retrievals()),
            exports=tuple(tallies.exports()),
            rollout=_rollout(estate, catalogue),
            queued=dict.fromkeys(("ingest", "migrate", "repair", "tier"), 0) | tallies.queued(),
            exports_under_way=catalogue.exports.under_way(),
            quarantined_files=tallies.quarantined_files(),
            oldest_unverified=tallies.oldest_proof(names),
            unprotected_segments=tallies.unprotected(),
            costs_trouble=prices.trouble,
        )


def _stores(
    estate: Estate, catalogue: Catalogue, usage: Sequence[Usage], retiring: Mapping[StoreName, int],
    prices: "_StorePrices",
) -> Iterable[StoreFigures]:  # fmt: skip
    names = [store.store_name for store in estate.stores]
    leavings, reconciled = catalogue.tallies.leavings(), catalogue.tallies.last_reconciliations(names)
    looks = {look.store: look for look in catalogue.store_health.all()}
    for store in estate.stores:
        left, look = leavings.get(store.store_name, Leavings()), looks.get(store.store_name)
        reconciled_at, outcome = reconciled.get(store.store_name, (None, None))
        yield StoreFigures(
            name=store.store_name,
            kind=store.kind,
            bucket=store.bucket or str(store.root or ""),
            health=look.state if look else "unknown",
            health_reason=look.reason if look else None,
            health_since=look.since if look else None,
            looked_at=look.looked_at if look else None,
            quota_bytes=store.quota,
            orphans=left.orphans,
            orphan_bytes=left.orphan_bytes,
            quarantined_orphans=left.quarantined,
            quarantined_bytes=left.quarantined_bytes,
            condemned=left.condemned,
            condemned_bytes=left.condemned_bytes,
            pending_retirement=retiring.get(store.store_name, 0),
            monthly_usd=prices.monthly_usd(store.store_name, [one for one in usage if one.store == store.name]),
            reconciled_at=reconciled_at,
            reconcile_outcome=outcome,
        )


def _rollout(estate: Estate, catalogue: Catalogue) -> RolloutFigures:
    """In the modes local and milestone policy wants nothing in the cloud: the ramp stands at 0."""
    placement = estate.placement
    buckets = {"cloud": BUCKETS, "hybrid": current_percentage(estate, catalogue).buckets}.get(placement.mode, 0)
    unmigrated, oldest = 0, None
    if placement.cloud_store is not None and buckets:
        unmigrated, oldest = catalogue.tallies.unplaced(StoreName(placement.cloud_store), buckets)
    last = catalogue.rollout.last()
    return RolloutFigures(
        mode=placement.mode,
        ratio=buckets / BUCKETS,
        target_ratio=estate.rollout.steps[-1].buckets / BUCKETS,
        last_action=last.action if last else None,
        last_decided_at=last.decided_at if last else None,
        unmigrated=unmigrated,
        oldest_unmigrated=oldest,
        last_decided_by=last.decided_by if last else None,
        last_reason=last.reason if last else "",
    )


def _held_by_tier(usage: Iterable[Usage]) -> dict[tuple[StoreName, Tier], list[Usage]]:
    """What takes room: what is lost does not."""
    held: dict[tuple[StoreName, Tier], list[Usage]] = {}
    for one in usage:
        if one.state is not ReplicaState.LOST:
            held.setdefault((one.store, one.tier), []).append(one)
    return held


class _StorePrices:
    """What keeping footage in the estate's stores costs. Without price lists that can be read all of it is unknown: no
    figure is made of some prices alone, nor of shipped ones in place of the estate's own."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self._lists: Mapping[str, Prices] = {}
        self.trouble: str | None = None  # why nothing is known; it names no folder, as people see it on the page
        try:
            self._lists = price_lists(estate)
        except ConfigurationError as error:
            log.error("costs are unknown: %s", error)
            self.trouble = "the price lists of costs.prices cannot be read or are not as expected; the log says why"
        self._stores = {store.store_name: store for store in estate.stores}

    def monthly_usd(self, name: StoreName, usage: Iterable[Usage]) -> Decimal | None:
        """What this usage of a store costs in a month; None where nothing says what some of it, or the store, costs."""
        store = self._stores.get(name)
        if self.trouble or store is None or not store.tiers:
            return None
        total = Decimal(0)
        for one in usage:
            if one.state is ReplicaState.LOST or not one.replicas:
                continue
            price = self._price(store, one)
            if price is None:
                return None
            total += monthly_cost(price, one.size_bytes, one.replicas)
        return total

    def _price(self, store: StoreSettings, usage: Usage) -> ClassPrice | None:
        """Of the class that it is in, which need not be its tier's as the estate is set now; else of its tier."""
        place = store.tiers.get(usage.tier)
        try:
            is_elsewhere = usage.storage_class is not None and (
                place is None or place.storage_class != usage.storage_class
            )
            if is_elsewhere and store.price_list:
                return prices_of(self._lists, store.price_list).of(str(usage.storage_class))
            return tier_price(self._estate, self._lists, store, usage.tier)
        except ConfigurationError as error:
            log.info("what %d replicas in store %r cost is unknown: %s", usage.replicas, store.name, error)
            return None
