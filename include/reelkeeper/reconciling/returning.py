"""Orphans back from quarantine: because a person asks for them, or because they have become replicas.

Copy → verify → forget and condemn the place in quarantine, in one transaction → delete, by the engine.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.condemnations import Condemned
from reelkeeper.catalogue.orphans import Orphan
from reelkeeper.errors import ObjectExists, ReelkeeperError
from reelkeeper.model import Replica
from reelkeeper.ownership import require_ours
from reelkeeper.policy.retention import Reason
from reelkeeper.reconciling.moving import copy_within
from reelkeeper.retention.deleting import delete_condemned
from reelkeeper.settings import Estate
from reelkeeper.stores.breaker import Breaker
from reelkeeper.stores.proof import accept_existing
from reelkeeper.stores.protocols import Store
from reelkeeper.stores.retry import retrying

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BroughtBack:
    """What came back from quarantine."""

    returned: int
    kept: int  # could not come back: another object is in their place, or the store did not answer


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
    or all of the store. They are orphans still, which later runs see anew. StoreNotOurs."""
    store = open_store(estate.store(store_name).name)
    returned = kept = 0
    with open_catalogue() as catalogue:
        require_ours(catalogue, store)
        returner = _Returner(catalogue, store, run_id, now)
        for page in catalogue.orphans.quarantined(store.name, path=path, run_id=quarantined_by):
            back = returner.take_back(page)
            returned += back
            kept += len(page) - back
    delete_condemned(
        estate, open_catalogue, open_store, store.name, run_id=run_id, now=now, current_estate=current_estate,
        reasons=(Reason.MOVED,), condemned_by=run_id,
    )  # fmt: skip
    return BroughtBack(returned, kept)


def return_recorded(catalogue: Catalogue, store: Store, *, run_id: str, now: datetime) -> int:
    """Bring those back that have become replicas while they were in quarantine: recorded late. How many.

    The error of a store that does not answer about several in a row."""
    returner = _Returner(catalogue, store, run_id, now)
    return sum(returner.take_back(page) for page in catalogue.orphans.recorded(store.name))


class _Returner:
    """Brings pages of one store's orphans back."""

    def __init__(self, catalogue: Catalogue, store: Store, run_id: str, now: datetime) -> None:
        self._catalogue, self._store, self._run_id, self._now = catalogue, store, run_id, now
        self._breaker = Breaker(store.name)

    def take_back(self, page: Sequence[Orphan]) -> int:
        """Bring these back to where they were found; how many. In a replica's place only what holds the replica's
        bytes: what holds others is nobody's there, and stays in quarantine for its time. What cannot be told or copied
        now stays for a later run."""
        catalogue, store = self._catalogue, self._store
        page = self._fitting(page)
        with catalogue.transaction():  # an old place that is not deleted yet stays
            held = catalogue.condemnations.hold(store.name, [orphan.path for orphan in page])
            moved = [one for one in held if one.object.reason is Reason.MOVED]
            catalogue.condemnations.spare(store.name, {}, moved, self._now)
        back = [orphan for orphan in page if self._copy(orphan)]
        with catalogue.transaction():
            # As they were read: what another try has brought back meanwhile may lie in quarantine anew.
            standing = catalogue.orphans.at(store.name, [orphan.path for orphan in back])
            back = [orphan for orphan in back if standing.get(orphan.path) == orphan]
            doomed = [
                Condemned(store.name, orphan.quarantine_path, Reason.MOVED, orphan.size_bytes)
                for orphan in back
                if orphan.quarantine_path
            ]
            catalogue.condemnations.condemn(doomed, run_id=self._run_id, now=self._now, delete_after=self._now)
            catalogue.orphans.forget(store.name, [orphan.path for orphan in back])
        return len(back)

    def _fitting(self, page: Sequence[Orphan]) -> list[Orphan]:
        """Those whose place is nobody's, or a replica's whose bytes they hold. Those with others are parted from it."""
        rows = self._catalogue.replicas.by_path(self._store.name, [orphan.path for orphan in page])
        proofs = {
            orphan.path: self._is_replica(orphan, rows[orphan.path])
            for orphan in page
            if orphan.quarantine_path and orphan.path in rows
        }
        self._catalogue.orphans.part(self._store.name, [path for path, fits in proofs.items() if fits is False])
        return [orphan for orphan in page if proofs.get(orphan.path, True)]

    def _is_replica(self, orphan: Orphan, replica: Replica) -> bool | None:
        """Whether what lies in quarantine holds a replica's bytes; None when that cannot be told now."""
        self._breaker.require()
        attested = self._store.attests_writes
        try:
            retrying(tries=2)(
                accept_existing, self._store, orphan.place, replica.size_bytes, replica.checksum, attested=attested
            )
        except ObjectExists as other:
            log.warning("store %r: %r is not the replica at %r: %s", self._store.name, orphan.place, orphan.path, other)
            return False
        except ReelkeeperError as error:
            self._breaker.failed(error)
            log.error("store %r: %r cannot be held against its replica: %s", self._store.name, orphan.place, error)
            return None
        self._breaker.succeeded()
        return True

    def _copy(self, orphan: Orphan) -> bool:
        """Whether it is where it was found now."""
        if not orphan.quarantine_path:
            return True
        self._breaker.require()
        try:
            copy_within(self._store, orphan.quarantine_path, orphan.path)
        except ReelkeeperError as error:
            self._breaker.failed(error)
            log.error("store %r: %r cannot come back to %r: %s", self._store.name, orphan.place, orphan.path, error)
            return False
        self._breaker.succeeded()
        return True
