"""Orphans into quarantine, back from it, and out of it for good.

Copy → verify → record and condemn, in one transaction → delete: a kill between any two leaves the object where it was
found, or in both places, and a re-run finishes. Nothing is deleted here: the old place of a moved object, and an orphan
whose grace is over, go by way of the engine (`deleting.py`), which asks again whether anything knows them.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.condemnations import Condemned
from reelkeeper.catalogue.orphans import Orphan
from reelkeeper.deleting import delete_condemned
from reelkeeper.errors import GateFailed, InvalidKey, ObjectExists, ObjectNotFound, PermanentError, ReelkeeperError
from reelkeeper.model import Key, Replica, StoreName, quarantine_key
from reelkeeper.moving import copy_within
from reelkeeper.ownership import require_ours
from reelkeeper.policy.caps import CapAction, check_caps
from reelkeeper.policy.reconciliation import OrphanTerms, is_ripe
from reelkeeper.policy.retention import Reason
from reelkeeper.settings import Estate
from reelkeeper.stores.breaker import Breaker
from reelkeeper.stores.proof import accept_existing
from reelkeeper.stores.protocols import Copies, ObjectStat, Store, TellsTime
from reelkeeper.stores.retry import retrying

log = logging.getLogger(__name__)

QUARANTINE = "quarantine/"
_MOST_MOVED_BYTES = 5 * 2**30
"""Larger orphans stay where they are: no more is copied inside S3 in one request."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """What a run did about a store's orphans."""

    quarantined: int = 0  # now in quarantine
    marked: int = 0  # of these: left where they were found
    known: int = 0  # no orphans any more: something knows them, or they are gone or changed
    deleted: int = 0  # for good, with what had been condemned before
    deleted_bytes: int = 0


@dataclass(frozen=True, slots=True)
class BroughtBack:
    """What came back from quarantine."""

    returned: int
    kept: int  # could not come back: another object is in their place


def quarantine_orphans(
    estate: Estate,
    open_catalogue: Callable[[], Catalogue],
    open_store: Callable[[str], Store],
    store_name: str,
    *,
    run_id: str,
    now: datetime,
    shift: timedelta = timedelta(0),
    approved: int = 0,
    current_estate: Callable[[], Estate] | None = None,
) -> Quarantined:
    """Put the orphans that `reconcile_store` saw in this run and found ripe into quarantine, and let go of those whose
    time there is over and that nothing knows.

    What would go is counted first. GateFailed, with nothing touched, when that is above the hard cap, when it is above
    the soft one and more than the number that a person `approved`, or when the run has not compared the store.
    StoreNotOurs when the store is not this catalogue's.
    """
    settings = estate.store(store_name)
    store = open_store(settings.name)
    rules = estate.reconcile
    terms = OrphanTerms(rules.sightings, timedelta(hours=rules.min_age_hours))
    if not isinstance(store, TellsTime):
        raise GateFailed(f"store {store.name!r} does not tell the time: the age of its objects is unknown")
    clock = retrying()(store.clock) + shift
    with open_catalogue() as catalogue:
        require_ours(catalogue, store)
        _hold_against_caps(estate, catalogue, store.name, run_id, now, terms, clock, approved=approved)
        return_recorded(catalogue, store, run_id=run_id, now=now)
        mover = _Mover(
            catalogue, store, run_id, now, now + timedelta(days=rules.quarantine_days),
            can_move=settings.deletion == "allowed", concurrency=settings.concurrency,
        )  # fmt: skip
        pages = catalogue.orphans.ripe(
            store.name, run_id=run_id, sightings=terms.sightings, modified_before=terms.modified_before(clock)
        )
        for page in pages:
            mover.quarantine(page, lambda found: is_ripe(terms.sightings, found.last_modified, clock, terms))
        if settings.deletion == "allowed":
            for page in catalogue.orphans.due(store.name, now=now):
                mover.let_go(page)
        catalogue.reconciliations.record_quarantined(run_id, store.name, mover.quarantined)
    gone = delete_condemned(
        estate, open_catalogue, open_store, settings.name, run_id=run_id, now=now, current_estate=current_estate,
        reasons=(Reason.ORPHAN, Reason.MOVED),
    )  # fmt: skip
    return Quarantined(mover.quarantined, mover.marked, mover.known, gone.deleted, gone.deleted_bytes)


def bring_back(
    estate: Estate,
    open_catalogue: Callable[[], Catalogue],
    open_store: Callable[[str], Store],
    store_name: str,
    *,
    run_id: str,
    now: datetime,
    path: str | None = None,
    quarantined_by: str | None = None,
    current_estate: Callable[[], Estate] | None = None,
) -> BroughtBack:
    """Bring orphans back from quarantine to where they were found: the one of `path`, those that one run put there,
    or all of the store. They are orphans still, which later runs see anew."""
    store = open_store(estate.store(store_name).name)
    returned = kept = 0
    with open_catalogue() as catalogue:
        require_ours(catalogue, store)
        for page in catalogue.orphans.quarantined(store.name, path=path, run_id=quarantined_by):
            back = _return(catalogue, store, page, run_id=run_id, now=now)
            returned += back
            kept += len(page) - back
    delete_condemned(
        estate, open_catalogue, open_store, store.name, run_id=run_id, now=now, current_estate=current_estate,
        reasons=(Reason.MOVED,), condemned_by=run_id,
    )  # fmt: skip
    return BroughtBack(returned, kept)


def return_recorded(catalogue: Catalogue, store: Store, *, run_id: str, now: datetime) -> int:
    """Bring those back that have become replicas while they were in quarantine: recorded late. How many."""
    return sum(
        _return(catalogue, store, page, run_id=run_id, now=now) for page in catalogue.orphans.recorded(store.name)
    )


def _hold_against_caps(
    estate: Estate,
    catalogue: Catalogue,
    store: StoreName,
    run_id: str,
    now: datetime,
    terms: OrphanTerms,
    clock: datetime,
    *,
    approved: int,
) -> None:
    rows = [row for row in catalogue.reconciliations.of_run(run_id) if row.store == store]
    if not rows:
        raise GateFailed(f"run {run_id!r} has not compared store {store!r}: expected that first")
    takeable = catalogue.orphans.count(
        store, run_id=run_id, sightings=terms.sightings, modified_before=terms.modified_before(clock), now=now
    )
    verdict = check_caps(takeable.total, rows[0].objects, estate.reconcile_caps)
    if verdict.action is CapAction.REFUSE or (verdict.action is CapAction.ASK and takeable.total > approved):
        raise GateFailed(
            f"store {store!r}: {takeable.ripe} orphans would go to quarantine, {takeable.due} would leave it for good "
            f"({approved} are approved); {verdict.message}: nothing is taken"
        )


class _Mover:
    """Puts pages of one store's orphans where they belong."""

    def __init__(
        self,
        catalogue: Catalogue,
        store: Store,
        run_id: str,
        now: datetime,
        delete_after: datetime,
        *,
        can_move: bool,
        concurrency: int,
    ) -> None:
        self._catalogue, self._store, self._run_id, self._now = catalogue, store, run_id, now
        self._delete_after, self._can_move, self._concurrency = delete_after, can_move, concurrency
        self._breaker = Breaker(StoreName(store.name))
        self.quarantined = self.marked = self.known = 0

    def quarantine(self, page: Sequence[Orphan], is_old: Callable[[ObjectStat], bool]) -> None:
        """Into quarantine with those that are still unknown, unchanged and old."""
        still = self._unchanged(self._unknown(page), is_old)
        with ThreadPoolExecutor(self._concurrency, thread_name_prefix="quarantine") as pool:
            placed = list(pool.map(self._move, still))
        catalogue, store = self._catalogue, self._store.name
        with catalogue.transaction():
            # A place in quarantine that is itself condemned would lose the bytes at once.
            places = [orphan.quarantine_path for orphan in placed if orphan.quarantine_path]
            taken = catalogue.comparison.known(store, places) | catalogue.orphans.at(store, places).keys()
            placed = [orphan for orphan in placed if orphan.quarantine_path not in taken]
            known = catalogue.comparison.known(store, [orphan.path for orphan in placed])
            inside = catalogue.orphans.quarantine(
                store, [orphan for orphan in placed if orphan.path not in known],
                run_id=self._run_id, now=self._now, delete_after=self._delete_after,
            )  # fmt: skip
            moved = [orphan for orphan in placed if orphan.quarantine_path]
            # What another try of the run has put there meanwhile lies there by right.
            theirs = catalogue.orphans.at(store, [orphan.path for orphan in moved if orphan.path not in inside])
            settled = {one.quarantine_path for one in theirs.values() if one.in_quarantine}
            moved = [orphan for orphan in moved if orphan.path in inside or orphan.place not in settled]
            # Of one that came to be known meanwhile the copy is superfluous, of the others the original.
            gone = [orphan.path if orphan.path in inside else orphan.place for orphan in moved]
            _condemn(catalogue, store, gone, moved, Reason.MOVED, run_id=self._run_id, now=self._now)
            catalogue.orphans.forget(store, list(known))
        self.quarantined += len(inside)
        self.marked += sum(orphan.path in inside and orphan.quarantine_path is None for orphan in placed)
        self.known += len(placed) - len(inside)

    def let_go(self, page: Sequence[Orphan]) -> None:
        """Condemn those whose time in quarantine is over, as far as nothing knows them."""
        catalogue, store = self._catalogue, self._store.name
        in_place = [orphan for orphan in page if not orphan.place.startswith(QUARANTINE)]
        left = [orphan for orphan in page if orphan not in in_place] + self._unchanged(in_place, lambda _: True)
        with catalogue.transaction():
            known = catalogue.comparison.known(store, [orphan.path for orphan in left])
            doomed = [orphan for orphan in left if orphan.path not in known]
            places = [orphan.place for orphan in doomed]
            _condemn(catalogue, store, places, doomed, Reason.ORPHAN, run_id=self._run_id, now=self._now)

    def _unknown(self, page: Sequence[Orphan]) -> list[Orphan]:
        known = self._catalogue.comparison.known(self._store.name, [orphan.path for orphan in page])
        self._catalogue.orphans.forget(self._store.name, list(known))
        self.known += len(known)
        return [orphan for orphan in page if orphan.path not in known]

    def _unchanged(self, orphans: Sequence[Orphan], is_old: Callable[[ObjectStat], bool]) -> list[Orphan]:
        """Those that the store shows as they were noted; the others are forgotten, to be seen anew."""
        if not orphans:
            return []
        with ThreadPoolExecutor(min(self._concurrency, len(orphans)), thread_name_prefix="look") as pool:
            stats = list(pool.map(self._stat, orphans))
        same = [
            orphan
            for orphan, found in zip(orphans, stats, strict=True)
            if isinstance(found, ObjectStat)
            and found.size_bytes == orphan.size_bytes
            and _second(found.last_modified) == _second(orphan.modified_at)
            and is_old(found)
        ]
        others = [
            orphan.path
            for orphan, found in zip(orphans, stats, strict=True)
            if orphan not in same and not isinstance(found, ReelkeeperError)
        ]
        self._catalogue.orphans.forget(self._store.name, others)
        self.known += len(others)
        return same

    def _stat(self, orphan: Orphan) -> ObjectStat | ReelkeeperError | None:
        """None: it is not there. An error: not known now; raised when it is the store that does not answer."""
        if dropped := self._breaker.error():
            raise dropped
        found = None
        try:
            found = retrying()(self._store.stat, orphan.path)
        except ObjectNotFound:
            pass
        except ReelkeeperError as error:
            self._breaker.failed(error)
            log.error("store %r: %r could not be looked at: %s", self._store.name, orphan.path, error)
            return error
        self._breaker.succeeded()
        return found

    def _move(self, orphan: Orphan) -> Orphan:
        """The orphan with the place in quarantine that now holds its bytes; as it is where it cannot be moved."""
        if not self._can_move or orphan.size_bytes > _MOST_MOVED_BYTES or not isinstance(self._store, Copies):
            return orphan
        try:
            place = quarantine_key(orphan.path)
            copy_within(self._store, orphan.path, place)
        except (PermanentError, InvalidKey) as error:  # archived, too long a key, another object in its place …
            log.warning("store %r: %r stays where it was found: %s", self._store.name, orphan.path, error)
            return orphan
        return replace(orphan, quarantine_path=place)


def _second(time: datetime) -> datetime:
    """A listing may tell milliseconds where a look at one object tells whole seconds."""
    return time.replace(microsecond=0)


def _return(catalogue: Catalogue, store: Store, page: Sequence[Orphan], *, run_id: str, now: datetime) -> int:
    """Bring these back to where they were found; how many. In a replica's place only what holds the replica's bytes:
    what holds others is nobody's there, and stays in quarantine for its time."""
    rows = catalogue.replicas.by_path(store.name, [orphan.path for orphan in page])
    proofs = {
        orphan.path: _is_replica(store, orphan, rows[orphan.path])
        for orphan in page
        if orphan.quarantine_path and orphan.path in rows
    }
    catalogue.orphans.part(store.name, [path for path, is_replica in proofs.items() if is_replica is False])
    page = [orphan for orphan in page if proofs.get(orphan.path, True)]
    back = []
    with catalogue.transaction():  # an old place that is not deleted yet stays
        held = catalogue.condemnations.hold(store.name, [orphan.path for orphan in page])
        catalogue.condemnations.spare(store.name, {}, [one for one in held if one.object.reason is Reason.MOVED], now)
    for orphan in page:
        try:
            if orphan.quarantine_path:
                copy_within(store, orphan.quarantine_path, orphan.path)
        except PermanentError as error:
            log.error("store %r: %r cannot come back to %r: %s", store.name, orphan.place, orphan.path, error)
            continue
        back.append(orphan)
    moved = [orphan for orphan in back if orphan.quarantine_path]
    with catalogue.transaction():
        places = [orphan.place for orphan in moved]
        _condemn(catalogue, store.name, places, moved, Reason.MOVED, run_id=run_id, now=now)
        catalogue.orphans.forget(store.name, [orphan.path for orphan in back])
    return len(back)


def _is_replica(store: Store, orphan: Orphan, replica: Replica) -> bool | None:
    """Whether what lies in quarantine holds a replica's bytes; None when that cannot be told now."""
    try:
        retrying(tries=2)(
            accept_existing, store, orphan.place, replica.size_bytes, replica.checksum, attested=store.attests_writes
        )
    except ObjectExists as other:
        log.warning("store %r: %r is not the replica at %r: %s", store.name, orphan.place, orphan.path, other)
        return False
    except ReelkeeperError as error:
        log.error("store %r: %r cannot be held against its replica: %s", store.name, orphan.place, error)
        return None
    return True


def _condemn(
    catalogue: Catalogue,
    store: StoreName,
    places: Iterable[Key],
    orphans: Sequence[Orphan],
    reason: Reason,
    *,
    run_id: str,
    now: datetime,
) -> None:
    """Let the engine delete these places at once. Their grace was the quarantine, or their bytes lie elsewhere."""
    doomed = [Condemned(store, place, reason, orphan.size_bytes) for place, orphan in zip(places, orphans, strict=True)]
    catalogue.condemnations.condemn(doomed, run_id=run_id, now=now, delete_after=now)
