"""Which archived copies a run is to restore, and what that costs: the part of a restore that decides.

No request leaves here. A plan is made in one transaction, page by page, and only stays when it is within its budget.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from math import ceil

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.restores import Candidate, PlannedRestore, Selection, SharedRestore, UnderWay
from reelkeeper.errors import BudgetExceeded, ConfigurationError
from reelkeeper.model import Replica, ReplicaState, StoreName
from reelkeeper.policy.costs import retrieval_cost
from reelkeeper.policy.prices import Prices, Speed, load_prices, prices_of, shipped_prices
from reelkeeper.policy.restoration import SPEEDS, UsualTime, is_served, needs_restore, speed_for, usual_time
from reelkeeper.settings import Estate
from reelkeeper.stores.retry import retrying

_DAY = timedelta(days=1)
_MOST_DAYS = 365
_FURTHEST = ("planned", "requested", "readable")


@dataclass(frozen=True, slots=True)
class Offer:
    """What restoring one replica takes."""

    speed: Speed  # as wished, or the next slower one that its class has
    usual: UsualTime
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class RestoreEstimate:
    """What a plan asks for of one store and class, at one speed."""

    store: StoreName
    storage_class: str
    speed: Speed
    usual: UsualTime
    replicas: int
    size_bytes: int
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What a run is to restore. A segment is under exactly one of `readable`, `shared`, `missing` and the estimates."""

    segments: int  # selected
    readable: int  # have a copy that can be read: nothing is to do
    shared: int  # are under restore, or restored, by another run already
    missing: int  # have no copy that could be read or restored, or are not in the catalogue
    estimates: tuple[RestoreEstimate, ...]
    sharing_usd: Decimal  # for keeping copies of other runs longer
    days: int
    budget_usd: Decimal
    dry_run: bool

    @property
    def replicas(self) -> int:
        """How many are asked for."""
        return sum(estimate.replicas for estimate in self.estimates)

    @property
    def size_bytes(self) -> int:
        return sum(estimate.size_bytes for estimate in self.estimates)

    @property
    def cost_usd(self) -> Decimal:
        return sum((estimate.cost_usd for estimate in self.estimates), self.sharing_usd)

    @property
    def usual(self) -> UsualTime | None:
        """How long the slowest of them takes. None: nothing is asked for."""
        return max((estimate.usual for estimate in self.estimates), default=None)


class Offers:
    """What restores cost in an estate, by its price lists."""

    def __init__(self, estate: Estate) -> None:
        self._estate = estate
        self._lists: dict[str, Prices] | None = None

    def offer(self, replica: Replica, speed: Speed, days: int) -> Offer:
        """What restoring an archived replica for so many days takes. ConfigurationError without a price for it."""
        storage_class = str(replica.storage_class)
        actual = speed_for(storage_class, speed)
        price = self._prices(replica.store).of(storage_class)
        cost = retrieval_cost(price, size_bytes=replica.size_bytes, speed=actual, days=days)
        return Offer(actual, usual_time(storage_class, actual), cost)

    def longer(self, replica: Replica, more: timedelta) -> Decimal:
        """What keeping a restored copy longer costs: one request, and its bytes; nothing is retrieved again."""
        price = self._prices(replica.store).of(str(replica.storage_class))
        request = retrieval_cost(price, size_bytes=0, speed="standard")
        return request + replica.size_bytes * price.hot_usd_per_byte_day * ceil(more / _DAY)

    def _prices(self, store: StoreName) -> Prices:
        if self._lists is None:
            self._lists = load_prices(shipped_prices())
            if self._estate.costs.prices is not None:
                self._lists |= load_prices(self._estate.costs.prices.read_text(encoding="utf-8"))
        return prices_of(self._lists, self._estate.store(store).price_list)


def plan_restore(
    estate: Estate,
    catalogue: Catalogue,
    selection: Selection,
    *,
    store: str | None = None,
    speed: Speed | None = None,
    days: int | None = None,
    budget_usd: Decimal | None = None,
    run_id: str,
    now: datetime,
    dry_run: bool = False,
) -> RestorePlan:
    """Plan what makes the selected footage readable, and what it costs. No request leaves here.

    A segment with a copy that needs no restore is left alone; of the archived ones, one that is under restore already
    is shared, else the cheapest is planned. With `store` only its copies count. What is None is taken from the estate.
    A class that lacks the wished speed is restored at the next slower one. `run_id` names who waits for the restores:
    planning again by the same one finds what it planned, and counts its cost.

    BudgetExceeded when it would cost more than `budget_usd`: nothing is planned then. A dry run plans nothing and never
    exceeds. ConfigurationError for a store, speed or number of days that there is not.
    """
    terms = _terms(estate, store, speed, days, budget_usd)

    def attempt() -> RestorePlan:
        planner = _Planner(Offers(estate), terms, run_id, now)
        with catalogue.transaction():
            catalogue.restores.lock()
            if not dry_run:
                catalogue.restores.end(now)
                catalogue.restores.forget_settled(run_id)
            for candidates in catalogue.restores.candidates(selection, run_id):
                planner.take(candidates)
                if not dry_run:
                    catalogue.restores.plan(run_id, planner.planned, planner.shared, now)
            plan = planner.plan(len(selection.segment_ids or ()), dry_run=dry_run)
            if not dry_run:
                _check_budget(plan)
        return plan

    return retrying()(attempt)


@dataclass(frozen=True, slots=True)
class _Terms:
    stores: frozenset[str]
    speed: Speed
    days: int
    budget_usd: Decimal


def _terms(
    estate: Estate, store: str | None, speed: Speed | None, days: int | None, budget_usd: Decimal | None
) -> _Terms:
    usual = estate.restore
    terms = _Terms(
        frozenset([estate.store(store).name] if store else [each.name for each in estate.stores]),
        usual.speed if speed is None else speed,
        usual.days if days is None else days,
        usual.budget_usd if budget_usd is None else budget_usd,
    )
    if terms.speed not in SPEEDS:
        raise ConfigurationError(f"speed is {terms.speed!r}: expected one of {[*SPEEDS]}")
    if not 1 <= terms.days <= _MOST_DAYS:
        raise ConfigurationError(f"days is {terms.days!r}: expected 1 to {_MOST_DAYS}")
    if not terms.budget_usd.is_finite() or terms.budget_usd < 0:
        raise ConfigurationError(f"budget_usd is {terms.budget_usd!s}: expected 0 or more")
    return terms


def _check_budget(plan: RestorePlan) -> None:
    if plan.cost_usd <= plan.budget_usd:
        return
    parts = "; ".join(
        f"{each.replicas} of class {each.storage_class} in store {each.store!r} at speed {each.speed}: "
        f"{each.cost_usd:.2f} USD"
        for each in plan.estimates
    )
    raise BudgetExceeded(
        f"restoring {plan.replicas} replicas, {plan.size_bytes} bytes, for {plan.days} days costs about "
        f"{plan.cost_usd:.2f} USD ({parts}): expected at most {plan.budget_usd:.2f} USD, the run's budget; nothing was "
        "requested"
    )


class _Planner:
    """Decides what to do about each segment, and counts."""

    def __init__(self, offers: Offers, terms: _Terms, run_id: str, now: datetime) -> None:
        self._offers, self._terms, self._run_id, self._now = offers, terms, run_id, now
        self.planned: list[PlannedRestore] = []
        self.shared: list[SharedRestore] = []
        self._segments = self._readable = self._shared = self._missing = 0
        self._sharing_usd = Decimal(0)
        self._estimates: dict[tuple[StoreName, str, Speed], RestoreEstimate] = {}

    def take(self, candidates: Sequence[Candidate]) -> None:
        """Decide about one page; `planned` and `shared` are then what it adds to the catalogue."""
        self.planned, self.shared = [], []
        for candidate in candidates:
            self._segments += 1
            self._decide([each for each in candidate.replicas if self._counts(each[0])])

    def plan(self, asked_segments: int, *, dry_run: bool) -> RestorePlan:
        unknown = max(asked_segments - self._segments, 0)
        return RestorePlan(
            self._segments, self._readable, self._shared, self._missing + unknown, tuple(self._estimates.values()),
            self._sharing_usd, self._terms.days, self._terms.budget_usd, dry_run,
        )  # fmt: skip

    def _counts(self, replica: Replica) -> bool:
        return is_served(replica) and replica.store in self._terms.stores

    def _decide(self, replicas: list[tuple[Replica, UnderWay | None]]) -> None:
        sure = [each for each in replicas if each[0].state is ReplicaState.AVAILABLE]
        some = sure or replicas  # a doubted copy is the last resort
        if not some:
            self._missing += 1
        elif any(not needs_restore(replica.storage_class) for replica, _ in some):
            self._readable += 1
        elif under_way := [each for replica, restore in some if (each := self._live(replica, restore))]:
            self._share(*max(under_way, key=lambda each: _FURTHEST.index(each[1].state)))
        else:
            replica, offer = min(
                ((replica, self._offer(replica)) for replica, _ in some),
                key=lambda each: (each[1].cost_usd, each[1].usual, each[0].store),
            )
            self.planned.append(PlannedRestore(replica, offer.speed, self._terms.days, float(offer.cost_usd)))
            self._add(replica, offer)

    def _live(self, replica: Replica, restore: UnderWay | None) -> tuple[Replica, UnderWay] | None:
        if restore is None or restore.is_over(self._now):  # not marked yet, in a dry run
            return None
        return replica, restore

    def _share(self, replica: Replica, restore: UnderWay) -> None:
        """Wait for what is under way; have it stay longer where this run wants that."""
        days = self._terms.days
        is_to_be_asked = restore.run_id == self._run_id or restore.state == "planned"
        if restore.is_waited_for and not is_to_be_asked:
            self._shared += 1
        elif restore.is_waited_for:  # an earlier try of this run counted it: it planned it, or may be the first to ask
            usual = usual_time(str(replica.storage_class), restore.speed)
            self._add(replica, Offer(restore.speed, usual, Decimal(str(restore.cost_usd))))
        elif restore.state == "planned":  # this run may be the first to ask
            days = max(days, restore.days)
            offer = self._offers.offer(replica, restore.speed, days)
            self.shared.append(SharedRestore(restore.id, days, None, float(offer.cost_usd)))
            self._add(replica, offer)
        else:
            begins, ends = self._now, restore.until
            if restore.expected_at is not None and restore.state == "requested":
                begins = max(begins, restore.expected_at)
            wanted = begins + days * _DAY
            is_short = ends is None or ends < wanted
            cost = self._offers.longer(replica, wanted - (ends or begins)) if is_short else Decimal(0)
            self.shared.append(SharedRestore(restore.id, days, wanted if is_short else None, float(cost)))
            self._shared += 1
            self._sharing_usd += cost

    def _offer(self, replica: Replica) -> Offer:
        return self._offers.offer(replica, self._terms.speed, self._terms.days)

    def _add(self, replica: Replica, offer: Offer) -> None:
        key = (replica.store, str(replica.storage_class), offer.speed)
        so_far = self._estimates.get(key) or RestoreEstimate(*key, offer.usual, 0, 0, Decimal(0))
        self._estimates[key] = replace(
            so_far,
            replicas=so_far.replicas + 1,
            size_bytes=so_far.size_bytes + replica.size_bytes,
            cost_usd=so_far.cost_usd + offer.cost_usd,
        )
