"""What the tiers of an estate's stores cost, and in which tier footage is written."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property

from reelkeeper.errors import ConfigurationError
from reelkeeper.model import StoreKind, Tier
from reelkeeper.policy.costs import read_cost, write_cost
from reelkeeper.policy.lifecycle import initial_tier
from reelkeeper.policy.prices import ClassPrice, Prices, flat_price, load_prices, prices_of, shipped_prices
from reelkeeper.settings import Estate, StoreSettings
from reelkeeper.stores.s3_writing import requests_to_write

log = logging.getLogger(__name__)


def price_lists(estate: Estate) -> dict[str, Prices]:
    """The lists that come with Reelkeeper, and the estate's own, which take the place of those of the same name.

    ConfigurationError when the estate's file cannot be read or is not as expected.
    """
    lists = load_prices(shipped_prices())
    if estate.costs.prices is not None:
        try:
            text = estate.costs.prices.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigurationError(
                f"costs.prices is {str(estate.costs.prices)!r}: expected a file that can be read: {exc}"
            ) from exc
        lists |= load_prices(text)
    return lists


def tiered_stores(estate: Estate) -> list[StoreSettings]:
    """The stores in which footage moves between tiers. ConfigurationError for a name that is none of the estate's."""
    if estate.tiering.stores is None:
        return [store for store in estate.stores if len(store.tiers) > 1]
    return [estate.store(name) for name in estate.tiering.stores]


def tier_price(estate: Estate, lists: Mapping[str, Prices], store: StoreSettings, tier: Tier) -> ClassPrice | None:
    """What keeping footage in a tier of a store costs; None where the store does not have the tier.

    ConfigurationError where it has the tier and nothing says what it costs.
    """
    place = store.tiers.get(tier)
    if place is None:
        return None
    if place.usd_per_gb_month is not None:
        return flat_price(place.storage_class or f"{store.name}:{tier}", place.usd_per_gb_month)
    if place.store is not None:
        other = estate.store(place.store)
        price = tier_price(estate, lists, other, Tier.HOT)
        if price is None:
            raise ConfigurationError(
                f"nothing says what store {other.name!r} costs, where tier {str(tier)!r} of store {store.name!r} is: "
                f"expected tiers.{tier}.usd_per_gb_month"
            )
        return price
    hot = store.tiers.get(Tier.HOT)
    storage_class = place.storage_class or (hot.storage_class if hot else None)
    if storage_class is None:
        raise ConfigurationError(f"nothing says what tier {str(tier)!r} of store {store.name!r} costs: "
                                 f"expected tiers.{tier}.usd_per_gb_month")  # fmt: skip
    return prices_of(lists, store.price_list).of(storage_class)


def foreign_prices(store: StoreSettings) -> str | None:
    """What to tell people where a store's price list is one of another region; None where it is not, by its name."""
    region = store.price_list.partition(":")[2]
    if region in ("", store.region):
        return None
    return (f"price list {store.price_list!r} is not that of region {store.region!r}, where store {store.name!r} is: "
            "its costs are other ones, give a list of your own by costs.prices")  # fmt: skip


def tier_of_class(store: StoreSettings, storage_class: str | None, *, otherwise: Tier) -> Tier:
    """The tier that a store keeps in a storage class; `otherwise` where it keeps none in it."""
    if storage_class is None:
        return otherwise
    return next((tier for tier in Tier if (p := store.tiers.get(tier)) and p.storage_class == storage_class), otherwise)


def reading_usd(
    lists: Mapping[str, Prices], store: StoreSettings, by_class: Mapping[str | None, tuple[int, int]]
) -> Decimal:
    """What a store charges for reading objects whole: their number and bytes by storage class.

    Nothing without a price list. A class that the list does not have is left out, with a warning.
    """
    cost = Decimal(0)
    for storage_class, (objects, size_bytes) in by_class.items() if store.price_list else ():
        hot = store.tiers.get(Tier.HOT)
        name = storage_class or (hot.storage_class if hot else None) or "STANDARD"
        try:
            cost += read_cost(prices_of(lists, store.price_list).of(name), size_bytes, objects)
        except ConfigurationError as exc:
            log.warning("what reading %d bytes of store %r costs is unknown: %s", size_bytes, store.name, exc)
    return cost


def seen_class(recorded: str | None, seen: str | None) -> str | None:
    """What to record of an object that a store says lies in `seen`. Servers without classes may say STANDARD."""
    return recorded if seen in (None, recorded or "STANDARD") else seen


@dataclass(frozen=True, slots=True)
class WritePlace:
    """Where in a store a new replica is written. `storage_class` is the provider's name; None: it has no classes."""

    tier: Tier
    storage_class: str | None

    def of_existing(self, store: StoreSettings, storage_class: str | None) -> "WritePlace":
        """The same for an object that an earlier try has written, in this class: the prices or the retention may have
        changed since."""
        found = seen_class(self.storage_class, storage_class)
        return WritePlace(tier_of_class(store, found, otherwise=self.tier), found)


class WritePlaces:
    """Chooses the tier of new replicas, by how long they are kept and what that costs. Safe for threads."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self._steps = [(step.up_to_days, step.tier) for step in estate.tiering.initial]

    def choose(
        self,
        store: StoreSettings,
        *,
        size_bytes: int,
        start_time: datetime,
        retention_days: int | None,
        now: datetime,
        readable: bool,
    ) -> WritePlace:
        """The place of one replica in `store`.

        `retention_days` is its camera's (None: the estate's). With `readable`, as where there is no other copy to read
        meanwhile, no class is taken whose objects must be restored first. ConfigurationError for a class without price.
        """
        prices = self._prices.get(store.name, {})
        days = retention_days or self._estate.retention.default_days
        days_kept = max(days - max(now - start_time, timedelta(0)).days, 0)
        # Google bills an upload as one, in however many pieces it comes.
        requests = 1 if store.kind is StoreKind.GCS else requests_to_write(size_bytes)
        costs = {
            tier: write_cost(price, size_bytes, days_kept, requests=requests)
            for tier, price in prices.items()
            if not (readable and price.must_restore)
        }
        tier = initial_tier(self._steps, days, costs) if costs else Tier.HOT
        place = store.tiers.get(tier)
        return WritePlace(tier, place.storage_class if place else None)

    @cached_property
    def _prices(self) -> dict[str, dict[Tier, ClassPrice]]:
        """Of the stores that have classes. A tier under a prefix or in another store is moved to, not written to."""
        stores = [store for store in tiered_stores(self._estate) if any(p.storage_class for p in store.tiers.values())]
        lists = price_lists(self._estate) if stores else {}
        return {
            store.name: {
                tier: price
                for tier, place in store.tiers.items()
                if (tier is Tier.HOT or place.storage_class)
                and (price := tier_price(self._estate, lists, store, tier)) is not None
            }
            for store in stores
        }
