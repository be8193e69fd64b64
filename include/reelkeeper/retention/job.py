"""Retention: footage leaves when its time is over and never before.

plan_retention (count, write nothing) → (a person approves, above the soft cap) → condemn_due → delete_condemned, when
the grace of what was condemned is over → sweep_store; beside them expire_exports and keep_house; at last
summarise_retention. Or bring_back, alone, of what is condemned. Each step is a task of its own, and may be run again at
any time. What never may go is said by `policy.retention`.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.deletions import DeletedAmount, HouseKept
from reelkeeper.catalogue.retention import Amount, Contents, Found, Sweep
from reelkeeper.errors import GateFailed
from reelkeeper.model import CameraId, SegmentId, StoreName
from reelkeeper.ownership import Ownership
from reelkeeper.policy.caps import CapAction, CapVerdict, check_caps
from reelkeeper.restoring.job import end_restores
from reelkeeper.retention.deleting import DeletionResult, Terms, delete_condemned, spare
from reelkeeper.retention.sweeping import expire_exports, sweep_store
from reelkeeper.settings import Estate
from reelkeeper.stores.protocols import Store
from reelkeeper.stores.retry import retrying

__all__ = [
    "DeletionResult",
    "RetentionPlan",
    "StorePlan",
    "SummaryRow",
    "bring_back",
    "condemn_due",
    "delete_condemned",
    "expire_exports",
    "keep_house",
    "plan_retention",
    "summarise_retention",
    "sweep_store",
]

log = logging.getLogger(__name__)

_BRING_BACK = 500


@dataclass(frozen=True, slots=True)
class StorePlan:
    """What is to leave one store, and what the caps say to it."""

    store: StoreName
    contents: Contents
    found: Found
    caps: CapVerdict

    def __str__(self) -> str:
        parts = [
            f"{amount.objects} {reason} ({amount.size_bytes} bytes)"
            for reason, amount in _by_reason(self.found)
            if amount.objects
        ]
        quota = f"; quota: {self.found.shortfall}" if self.found.shortfall else ""
        return f"store {self.store!r}: {', '.join(parts) or 'nothing'}; {self.caps.message}{quota}"


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """What a run is to take, store by store."""

    stores: tuple[StorePlan, ...]

    @property
    def refused(self) -> list[StorePlan]:
        """The stores of which more is to go than one run may take at all: `condemn_due` will not."""
        return [plan for plan in self.stores if plan.caps.action is CapAction.REFUSE]


def plan_retention(estate: Estate, catalogue: Catalogue, *, now: datetime) -> RetentionPlan:
    """Count what is to leave each store at `now`: expired, retired, and for its quota. Writes nothing."""
    names = [store.store_name for store in estate.stores]
    contents = retrying()(catalogue.retention.contents, names)
    return RetentionPlan(tuple(_store_plan(estate, catalogue, name, contents[name], now) for name in names))


def _store_plan(estate: Estate, catalogue: Catalogue, name: StoreName, contents: Contents, now: datetime) -> StorePlan:
    quota = estate.store(name).quota
    found = retrying()(
        catalogue.retention.sweep, _sweep(estate, name, now), quota=quota, held_bytes=contents.size_bytes
    )
    return StorePlan(name, contents, found, check_caps(found.objects, contents.replicas, estate.retention_caps))


def condemn_due(
    estate: Estate,
    catalogue: Catalogue,
    store_name: str,
    *,
    run_id: str,
    now: datetime,
    approved: int = 0,
    grace_from: datetime | None = None,
) -> Found:
    """Condemn what is to leave a store at `now`, all or nothing; it is deleted when its grace is over.

    The grace begins at `grace_from` (None: `now`): a person may have taken two days to approve what was planned.

    `approved` is how many a person agreed to. GateFailed, with nothing condemned, when by now it is above the hard cap,
    or above the soft one and more than was approved. What the run condemned before is not counted again: trying again
    is safe.
    """
    name = estate.store(store_name).store_name
    after = (grace_from or now) + timedelta(hours=estate.retention.grace_hours)
    terms = _sweep(estate, name, now, run_id=run_id, delete_after=after)

    def condemn() -> Found:
        with catalogue.transaction():
            held = catalogue.retention.contents([name])[name]
            found = catalogue.retention.sweep(terms, quota=estate.store(name).quota)
            verdict = check_caps(found.objects, held.replicas, estate.retention_caps)
            exceeds = verdict.action is CapAction.ASK and found.objects > approved
            if verdict.action is CapAction.REFUSE or exceeds:
                why = f", and {approved} were approved" if exceeds else ""
                raise GateFailed(
                    f"nothing is condemned in store {name!r}: {verdict.message}{why} (see docs/operations.md on caps)"
                )
        return found

    found = retrying()(condemn)
    if found.shortfall:
        log.warning("store %r stays above its quota: %s", name, found.shortfall)
    return found


def _sweep(
    estate: Estate, name: StoreName, now: datetime, *, run_id: str = "", delete_after: datetime | None = None
) -> Sweep:
    others = [store.store_name for store in estate.stores if store.name != name]
    rules = estate.retention
    return Sweep(name, now, rules.default_days, rules.min_days_after_ingest, others, run_id, delete_after)


def bring_back(
    estate: Estate,
    open_catalogue: Callable[[], Catalogue],
    open_store: Callable[[str], Store],
    store_name: str,
    *,
    now: datetime,
    segment_id: SegmentId | None = None,
    camera_id: CameraId | None = None,
    run_id: str | None = None,
    dry_run: bool = False,
) -> int:
    """Take back what is condemned in a store and not deleted yet, of a segment, of a camera, or by a run; how many.

    Each object is looked at: a replica that is as recorded is available again, another one suspicious. What expired is
    condemned anew by the next run, unless a hold is placed or its camera's retention raised before. A dry run only
    counts. ValueError when nothing says what to bring back.
    """
    if segment_id is None and camera_id is None and run_id is None:
        raise ValueError("bring_back needs a segment, a camera or a run id: it brings nothing back at random")
    name = estate.store(store_name).store_name
    brought, after = 0, ""
    with open_catalogue() as catalogue:
        ownership = Ownership(catalogue, open_store)
        terms = Terms(open_catalogue, open_store, name, run_id or "", now, lambda: estate, ownership)
        while page := retrying()(
            catalogue.deletions.condemned, name, after_path=after, limit=_BRING_BACK, segment_id=segment_id,
            camera_id=camera_id, run_id=run_id,
        ):  # fmt: skip
            brought += len(page) if dry_run else retrying()(spare, terms, catalogue, page)
            after = page[-1].path
    return brought


def keep_house(estate: Estate, catalogue: Catalogue, *, now: datetime) -> HouseKept:
    """Forget finished work lists that are older than `retention.history_days`; end the restores whose copies are gone.

    Landing files are forgotten only of folders and prefixes that files leave (`handling = "move"`): in others they are
    still there, and would be ingested again.
    """
    emptied = [zone.name for zone in estate.landing_zones if zone.handling == "move" and zone.urls is None]
    history_from = now - timedelta(days=estate.retention.history_days)
    if ended := end_restores(catalogue, now=now):
        log.info("%d restored copies are gone by now", ended)
    return retrying()(catalogue.deletions.keep_house, history_from=history_from, zones_that_empty=emptied)


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One line of a run's summary: a store and a reason."""

    store: str
    reason: str
    waiting: int  # condemned by this run, its grace not over
    deleted: int
    deleted_bytes: int


def summarise_retention(catalogue: Catalogue, *, run_id: str, since: datetime) -> list[SummaryRow]:
    """What a run condemned and deleted (since it began), by store and reason."""
    condemned = retrying()(catalogue.deletions.condemned_by, run_id)
    deleted = retrying()(catalogue.deletions.of_run, run_id, since=since)
    return [
        SummaryRow(store, reason, _objects(condemned, place), _objects(deleted, place), _bytes(deleted, place))
        for place in sorted({(amount.store, amount.reason) for amount in (*condemned, *deleted)})
        for store, reason in [place]
    ]


def _objects(amounts: Sequence[DeletedAmount], place: tuple[str, str]) -> int:
    return sum(amount.objects for amount in amounts if (amount.store, amount.reason) == place)


def _bytes(amounts: Sequence[DeletedAmount], place: tuple[str, str]) -> int:
    return sum(amount.size_bytes for amount in amounts if (amount.store, amount.reason) == place)


def _by_reason(found: Found) -> list[tuple[str, Amount]]:
    return [("expired", found.expired), ("retired", found.retired), ("quota", found.quota)]
