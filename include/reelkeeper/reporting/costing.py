"""What the holdings of each day cost, and what they would cost had nothing left the hot tier."""

import logging
from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from reelkeeper.errors import ConfigurationError
from reelkeeper.model import StoreName, Tier
from reelkeeper.policy.costs import monthly_cost
from reelkeeper.policy.prices import ClassPrice
from reelkeeper.pricing import price_lists, tier_price
from reelkeeper.reporting.cost_charts import CostDay
from reelkeeper.reporting.figures import UsageDay
from reelkeeper.settings import Estate

log = logging.getLogger(__name__)


def cost_days(estate: Estate, usage: Iterable[UsageDay]) -> list[CostDay]:
    """What each day's holdings cost in a month, by its own prices, and in the hot tier at today's prices.

    Stores that nothing says the price of are left out of both; days without any other are left out. Fees for moves,
    requests and restores are in neither. What nothing says the hot price of counts there as it was paid: all of it when
    the price lists cannot be read.
    """
    hot = _hot_prices(estate)
    paid: dict[date, Decimal] = defaultdict(Decimal)
    all_hot: dict[date, Decimal] = defaultdict(Decimal)
    for each in usage:
        if each.monthly_usd is None:
            continue
        price = hot.get(each.store)
        paid[each.day] += each.monthly_usd
        if price is None or not each.replicas:
            all_hot[each.day] += each.monthly_usd
        else:
            all_hot[each.day] += monthly_cost(price, each.size_bytes, each.replicas)
    return [CostDay(day, float(paid[day]), float(all_hot[day])) for day in sorted(paid)]


def _hot_prices(estate: Estate) -> dict[StoreName, ClassPrice]:
    """What the hot tier costs of each store's footage. A store that is another one's colder tier holds what would
    otherwise be in that one's hot tier."""
    try:
        lists = price_lists(estate)
    except ConfigurationError as exc:
        log.warning("what tiers save is unknown: %s", exc)
        return {}
    warmer = {place.store: store for store in estate.stores for place in store.tiers.values() if place.store}
    found: dict[StoreName, ClassPrice] = {}
    for store in estate.stores:
        try:
            price = tier_price(estate, lists, warmer.get(store.name, store), Tier.HOT)
        except ConfigurationError as exc:
            log.warning("what tiers save in store %r is unknown: %s", store.name, exc)
            continue
        if price is not None:
            found[store.store_name] = price
    return found
