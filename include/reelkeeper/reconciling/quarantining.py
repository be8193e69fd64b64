"""Orphans into quarantine, and out of it for good.

Copy → verify → record and condemn, in one transaction → delete: a kill between any two leaves the object where it was
found, or in both places, and a re-run finishes. Nothing is deleted here: the old place of a moved object, and an orphan
whose grace is over, go by way of the engine (`retention.deleting`), which asks again whether anything knows them.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.condemnations import Condemned
from reelkeeper.catalogue.orphans import Orphan
from reelkeeper.errors import GateFailed, InvalidKey, ObjectNotFound, PermanentError, ReelkeeperError
from reelkeeper.model import Key, StoreName, quarantine_key
from reelkeeper.ownership import require_ours
from reelkeeper.policy.caps import CapAction, check_caps
from reelkeeper.policy.reconciliation import QUARANTINE, OrphanTerms, is_ripe
from reelkeeper.policy.retention import Reason
from reelkeeper.reconciling.moving import copy_within
from reelkeeper.reconciling.returning import return_recorded
from reelkeeper.retention.deleting import delete_condemned
from reelkeeper.settings import Estate
from reelkeeper.stores.breaker import Breaker
from reelkeeper.stores.protocols import Copies, ObjectStat, Store, TellsTime
from reelkeeper.stores.retry import retrying

log = logging.getLogger(__name__)

_MOST_MOVED_BYTES = 5 * 2**30
"""Larger orphans stay where they are: no more is copied inside S3 in one request."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """What a run did about a store's orphans."""

    quarantined: int = 0  # now in quarantine
    marked: int = 0  # of these: left where they were found
    known: int = 0  # no orphans any more: something knows them, or they are gone or changed
    unknown: int = 0  # could not be looked at or moved now: left to the next run
    deleted: int = 0  # for good, with what had been condemned before
    deleted_bytes: int = 0


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
    return Quarantined(mover.quarantined, mover.marked, mover.known, mover.unknown, gone.deleted, gone.deleted_bytes)


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


@dataclass(frozen=True, slots=True)
class _Placed:
    """An orphan, with the place in quarantine that now holds its bytes; without, where it cannot be moved."""

    orphan: Orphan
    modified_at: datetime  # of the object where it was found, after it was copied: a disk's link is a change, too

    @property
    def path(self) -> Key:
        return self.orphan.path

    @property
    def copy(self) -> Key | None:
        return self.orphan.quarantine_path


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
        self.quarantined = self.marked = self.known = self.unknown = 0

    def quarantine(self, page: Sequence[Orphan], is_old: Callable[[ObjectStat], bool]) -> None:
        """Into quarantine with those that are still unknown, unchanged and old."""
        still = self._unchanged(self._unknown(page), is_old)
        with ThreadPoolExecutor(self._concurrency, thread_name_prefix="quarantine") as pool:
            tried = list(pool.map(self._move, still))
        placed = [one for one in tried if one is not None]
        self.unknown += len(tried) - len(placed)
        catalogue, store = self._catalogue, self._store.name
        with catalogue.transaction():
            # A place in quarantine that is itself condemned would lose the bytes at once.
            places = [one.copy for one in placed if one.copy]
            standing = catalogue.orphans.at(store, places)
            taken = catalogue.comparison.known(store, places) | {
                path for path, there in standing.items() if there.in_quarantine
            }
            catalogue.orphans.forget(store, [path for path in standing if path not in taken])  # they are these copies
            placed = [one for one in placed if one.copy not in taken]
            known = catalogue.comparison.known(store, [one.path for one in placed])
            inside = catalogue.orphans.quarantine(
                store, [one.orphan for one in placed if one.path not in known],
                run_id=self._run_id, now=self._now, delete_after=self._delete_after,
            )  # fmt: skip
            self._condemn_moved(placed, inside)
            catalogue.orphans.forget(store, list(known))
        self.quarantined += len(inside)
        self.marked += sum(one.path in inside and one.copy is None for one in placed)
        self.known += len(placed) - len(inside)

    def let_go(self, page: Sequence[Orphan]) -> None:
        """Condemn those whose time in quarantine is over, as far as nothing knows them and they have not changed."""
        catalogue, store = self._catalogue, self._store.name
        left = self._unchanged(page, lambda _: True)
        with catalogue.transaction():
            known = catalogue.comparison.known(store, [orphan.path for orphan in left])
            self._condemn(
                Condemned(store, orphan.place, Reason.ORPHAN, orphan.size_bytes, modified_at=_modified_at(orphan))
                for orphan in left
                if orphan.path not in known
            )

    def _condemn_moved(self, placed: Sequence[_Placed], inside: Collection[str]) -> None:
        """Of what is `inside` now the original is superfluous, of what came to be known meanwhile the copy."""
        store = self._store.name
        # What another try of the run has put there meanwhile lies there by right.
        others = [one.path for one in placed if one.path not in inside]
        theirs = {
            row.quarantine_path for row in self._catalogue.orphans.at(store, others).values() if row.in_quarantine
        }
        originals = [
            Condemned(store, one.path, Reason.MOVED, one.orphan.size_bytes, modified_at=one.modified_at)
            for one in placed
            if one.copy and one.path in inside
        ]
        copies = [
            Condemned(store, one.copy, Reason.MOVED, one.orphan.size_bytes)
            for one in placed
            if one.copy and one.path not in inside and one.copy not in theirs
        ]
        self._condemn(originals + copies)

    def _condemn(self, doomed: Iterable[Condemned]) -> None:
        """Let the engine delete these at once. Their grace was the quarantine, or their bytes lie elsewhere."""
        now = self._now
        self._catalogue.condemnations.condemn(list(doomed), run_id=self._run_id, now=now, delete_after=now)

    def _unknown(self, page: Sequence[Orphan]) -> list[Orphan]:
        known = self._catalogue.comparison.known(self._store.name, [orphan.path for orphan in page])
        self._catalogue.orphans.forget(self._store.name, list(known))
        self.known += len(known)
        return [orphan for orphan in page if orphan.path not in known]

    def _unchanged(self, orphans: Sequence[Orphan], is_old: Callable[[ObjectStat], bool]) -> list[Orphan]:
        """Those that the store shows as they were noted; the others are forgotten, to be seen anew. One that cannot be
        looked at now is neither."""
        if not orphans:
            return []
        with ThreadPoolExecutor(min(self._concurrency, len(orphans)), thread_name_prefix="look") as pool:
            stats = list(pool.map(self._stat, orphans))
        same, changed = [], []
        for orphan, found in zip(orphans, stats, strict=True):
            if isinstance(found, ReelkeeperError):
                self.unknown += 1
            elif found and found.is_still(orphan.size_bytes, _modified_at(orphan)) and is_old(found):
                same.append(orphan)
            else:
                changed.append(orphan.path)
        self._catalogue.orphans.forget(self._store.name, changed)
        self.known += len(changed)
        return same

    def _stat(self, orphan: Orphan) -> ObjectStat | ReelkeeperError | None:
        """None: it is not there. An error: not known now; raised when it is the store that does not answer."""
        self._breaker.require()
        found = None
        try:
            found = retrying()(self._store.stat, orphan.place)
        except ObjectNotFound:
            pass
        except ReelkeeperError as error:
            return self._failed(orphan, error)
        self._breaker.succeeded()
        return found

    def _move(self, orphan: Orphan) -> _Placed | None:
        """Copy it into quarantine, where it can be; None when that cannot be done now."""
        self._breaker.require()
        if (
            not self._can_move
            or orphan.size_bytes > _MOST_MOVED_BYTES
            or not isinstance(self._store, Copies)
            or orphan.path.startswith(QUARANTINE)  # where it is already
        ):
            return _Placed(orphan, orphan.modified_at)
        try:
            origin, copy = copy_within(self._store, orphan.path, quarantine_key(orphan.path))
        except (PermanentError, InvalidKey) as error:  # archived, too long a key, another object in its place …
            log.warning("store %r: %r stays where it was found: %s", self._store.name, orphan.path, error)
            return _Placed(orphan, orphan.modified_at)
        except ReelkeeperError as error:
            self._failed(orphan, error)
            return None
        self._breaker.succeeded()
        return _Placed(replace(orphan, quarantine_path=copy.key), origin.last_modified)

    def _failed(self, orphan: Orphan, error: ReelkeeperError) -> ReelkeeperError:
        """It waits for the next run, and the rest goes on."""
        self._breaker.failed(error)
        log.error("store %r: nothing is known of %r now: %s", self._store.name, orphan.place, error)
        return error


def _modified_at(orphan: Orphan) -> datetime | None:
    """When what lies in its place was last changed, as noted; None in quarantine, where nobody else writes: what became
    of the object's time when it was copied says nothing."""
    return None if orphan.place.startswith(QUARANTINE) else orphan.modified_at
