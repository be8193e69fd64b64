"""What the cost model says about every move that a plan may meet, as rows that SQL can join.

For a store, a tier, the tier that the age asks for, and how long footage is still kept: the coldest tier whose move
pays, from which size on, and the line on which its costs lie there. All figures come from `policy.costs.move_cost`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from reelkeeper.model import Key, Tier
from reelkeeper.policy.costs import LARGEST, move_cost, smallest_paying
from reelkeeper.policy.prices import ClassPrice, Prices
from reelkeeper.pricing import tier_of_class, tier_price
from reelkeeper.settings import Estate, StoreSettings

KEPT_DAYS = (*range(1, 93), *range(98, 366, 7), *range(366, 3661, 30))
"""How long footage is still kept, rounded down to one of these: a day, beyond a quarter a week, beyond a year a month.
What a move saves is never overestimated by it."""


@dataclass(frozen=True, slots=True)
class TierTarget:
    """Where a tier of a store is."""

    tier: Tier
    price: ClassPrice
    settings: StoreSettings  # of the store that holds it
    storage_class: str | None
    prefix: str  # of the keys; "": none
    is_carried: bool  # the bytes are copied to another key or store; else the object's class changes in place

    @property
    def recorded_tier(self) -> Tier:
        """What the catalogue calls it there: a store that has tiers of its own goes on from the one that it is in."""
        if not self.is_carried or self.prefix or not self.settings.tiers:
            return self.tier
        return tier_of_class(self.settings, self.storage_class, otherwise=Tier.HOT)

    def key(self, key: Key, prefixes: Sequence[str]) -> Key:
        """Where the object at `key` goes; `prefixes` are those of the tiers that it may have come from."""
        if not self.is_carried:
            return key
        for prefix in prefixes:
            key = Key(key.removeprefix(prefix))
        return Key(self.prefix + key)


class TieredStore:
    """One store whose footage moves between tiers."""

    def __init__(self, estate: Estate, lists: Mapping[str, Prices], settings: StoreSettings) -> None:
        self._estate, self._lists, self.settings = estate, lists, settings

    @cached_property
    def prices(self) -> dict[Tier, ClassPrice]:
        """What each tier costs that the store has, the warmest first. ConfigurationError for one without a price."""
        found = ((tier, tier_price(self._estate, self._lists, self.settings, tier)) for tier in Tier)
        return {tier: price for tier, price in found if price is not None}

    def target(self, tier: Tier) -> TierTarget | None:
        """Where footage of this tier goes; None when the store has no such tier."""
        place = self.settings.tiers.get(tier)
        if place is None or tier not in self.prices:
            return None
        other = self._estate.store(place.store) if place.store else self.settings
        hot = other.tiers.get(Tier.HOT)
        storage_class = place.storage_class or (hot.storage_class if hot else None)
        return TierTarget(
            tier, self.prices[tier], other, storage_class, place.prefix or "", bool(place.prefix or place.store)
        )

    def forbidden(self, target: TierTarget) -> str | None:
        """Why nothing may move there as the estate is set now; None when it may."""
        if why := self._estate.barred(self.settings) or self._estate.barred(target.settings):
            return why
        if target.is_carried and self.settings.deletion == "forbidden":
            return f"deletion is forbidden in store {self.settings.name!r}: what is copied elsewhere could not leave it"
        return None

    def targets(self, origin: Tier) -> list[TierTarget]:
        """The tiers that footage of one may move to now, the coldest first."""
        targets = (self.target(tier) for tier in reversed(Tier) if tier.rank > origin.rank)
        return [target for target in targets if target and self.forbidden(target) is None]

    def price_from(self, origin: Tier, target: TierTarget) -> ClassPrice:
        """What leaving a tier costs: another store may be anywhere, so the bytes are taken to leave the provider."""
        price = self.prices[origin]
        return price if target.settings.name == self.settings.name else price.leaving()

    def origins(self) -> Iterator[Mapping[str, object]]:
        """The rows `origins` of `plan_tier_moves`: the tiers that footage can leave."""
        for tier, price in self.prices.items():
            if targets := self.targets(tier):
                yield {
                    "store": self.settings.name, "rank": tier.rank + 1, "minimum_days": price.minimum_days,
                    "is_archive": price.must_restore, "next_rank": targets[-1].tier.rank + 1,
                }  # fmt: skip

    def choices(self) -> Iterator[Mapping[str, object]]:
        """The rows of `note_tier_choices`."""
        for origin, price in self.prices.items():
            if price.must_restore:
                continue  # its objects must be restored before they can move
            paying = _Paying(self, origin)
            colder = self.targets(origin)
            for wanted in Tier:
                usual = [target for target in colder if target.tier.rank <= wanted.rank]
                readable = [target for target in usual if not target.price.must_restore]
                for is_held, targets in ((False, usual), (True, readable)):
                    for step, days in enumerate(KEPT_DAYS, 1):
                        for row in _chosen(paying, targets, days):
                            yield {
                                "store": self.settings.name, "from_rank": origin.rank + 1, "wanted": wanted.rank + 1,
                                "is_held": is_held, "kept_step": step, **row,
                            }  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Piece:
    """A range of sizes in which a move pays, and the lines on which its costs lie there."""

    low: int
    high: int
    one_off: tuple[float, float]  # fixed, per byte
    saving: tuple[float, float]


class _Paying:
    """Where moves out of one tier pay."""

    def __init__(self, store: TieredStore, origin: Tier) -> None:
        self._store, self._origin = store, origin
        self._known: dict[tuple[Tier, int], list[_Piece]] = {}

    def pieces(self, target: TierTarget, days_kept: int) -> list[_Piece]:
        """The sizes that pay. A replica moves only after the minimum duration of its class."""
        name = target.tier, days_kept
        if name not in self._known:
            self._known[name] = self._pieces(target, days_kept)
        return self._known[name]

    def _pieces(self, target: TierTarget, days_kept: int) -> list[_Piece]:
        origin, price = self._store.price_from(self._origin, target), target.price
        days = origin.minimum_days
        smallest = smallest_paying(origin, price, days_in_class=days, days_kept=days_kept)
        if smallest is None:
            return []
        borders = [size for size in sorted({origin.minimum_bytes, price.minimum_bytes}) if size > smallest]
        edges = [smallest, *borders, LARGEST]

        def cost(size: int) -> tuple[float, float]:
            found = move_cost(origin, price, size_bytes=size, days_in_class=days, days_kept=days_kept)
            return float(found.one_off_usd), float(found.saving_usd)

        pieces = []
        for low, high in pairwise(edges):
            (one_low, save_low), (one_high, save_high) = cost(low), cost(high)
            slopes = (one_high - one_low) / (high - low), (save_high - save_low) / (high - low)
            pieces.append(_Piece(low, high, (one_low - slopes[0] * low, slopes[0]),
                                 (save_low - slopes[1] * low, slopes[1])))  # fmt: skip
        return pieces


def _chosen(paying: _Paying, targets: Sequence[TierTarget], days: int) -> Iterator[Mapping[str, object]]:
    """The coldest target that pays, by size."""
    below = LARGEST
    for target in targets:
        smallest = below
        for piece in paying.pieces(target, days):
            smallest = min(smallest, piece.low)
            if piece.low < below:
                yield {
                    "from_bytes": piece.low, "below_bytes": min(piece.high, below), "to_tier": target.tier,
                    "to_store": target.settings.name, "is_carried": target.is_carried,
                    "one_off_fixed": piece.one_off[0], "one_off_per_byte": piece.one_off[1],
                    "saving_fixed": piece.saving[0], "saving_per_byte": piece.saving[1],
                }  # fmt: skip
        below = smallest
