"""The repair of lost replicas: each is copied anew from a store that has a verified copy.

A damaged object in the way of its repair goes to quarantine first, and its lost row with it, so that nothing forgets
the one or the other before the repair is recorded.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.condemnations import Condemned
from reelkeeper.catalogue.orphans import Orphan
from reelkeeper.catalogue.records import TransferPlan
from reelkeeper.errors import (
    ObjectArchived,
    ObjectExists,
    ObjectNotFound,
    PermanentError,
    ReelkeeperError,
    TransferCorrupted,
)
from reelkeeper.model import Key, Replica, StoreName, canonical_key
from reelkeeper.ownership import require_ours
from reelkeeper.policy.reconciliation import DAMAGED
from reelkeeper.policy.retention import Reason
from reelkeeper.reconciling.moving import copy_within
from reelkeeper.retention.deleting import delete_condemned
from reelkeeper.settings import Estate
from reelkeeper.stores.breaker import Breaker
from reelkeeper.stores.proof import verify_object
from reelkeeper.stores.protocols import Copies, ObjectStat, Store
from reelkeeper.stores.retry import retrying

log = logging.getLogger(__name__)

_MAX_BATCHES = 64


def plan_repairs(
    estate: Estate,
    open_catalogue: Callable[[], Catalogue],
    open_store: Callable[[str], Store],
    store_name: str,
    *,
    run_id: str,
    now: datetime,
    current_estate: Callable[[], Estate] | None = None,
) -> TransferPlan:
    """Put the lost replicas of a store that have a verified copy elsewhere into batches, for `transfer_batch`.

    Damaged objects in their way are moved into quarantine. A store that the mode bars gets nothing. Planning again
    finds the run's open batches. StoreNotOurs when the store is not this catalogue's.
    """
    settings = estate.store(store_name)
    if why := estate.barred(settings):
        log.warning("nothing is repaired: %s", why)
        return TransferPlan((), 0, 0)
    sources = [store.store_name for store in sorted(estate.stores, key=lambda each: not estate.is_local(each))]
    sources.remove(settings.store_name)
    store = open_store(settings.name)
    with open_catalogue() as catalogue:
        require_ours(catalogue, store)
        delete_after = now + timedelta(days=estate.reconcile.quarantine_days)
        moved, breaker = 0, Breaker(settings.store_name)
        for page in catalogue.repairs.repairable(settings.store_name, sources=sources, now=now):
            for replica in page:
                breaker.require()
                try:
                    found = _damaged(store, replica)
                except ReelkeeperError as error:  # of this object: the others are repaired
                    breaker.failed(error)
                    log.error("store %r: %r could not be looked at: %s", store.name, replica.path, error)
                    continue
                breaker.succeeded()
                if found and settings.deletion == "allowed" and isinstance(store, Copies):
                    moved += _make_way(catalogue, store, replica, found, run_id, now, delete_after)
                elif found:
                    log.error("store %r: damaged object %r cannot be moved out of the way", store.name, replica.path)
    if moved:
        delete_condemned(
            estate, open_catalogue, open_store, settings.name, run_id=run_id, now=now, current_estate=current_estate,
            reasons=(Reason.MOVED,),
        )  # fmt: skip
    with open_catalogue() as catalogue:
        return retrying()(
            catalogue.repairs.plan,
            run_id,
            store=settings.store_name,
            sources=sources,
            now=now,
            batch_size=estate.migration.batch_size,
            batch_bytes=estate.migration.batch_bytes,
            max_batches=_MAX_BATCHES,
        )


def _damaged(store: Store, replica: Replica) -> ObjectStat | None:
    """The object in a lost replica's place, when it is not the replica."""
    if replica.path.startswith(DAMAGED):
        return None
    try:
        found = retrying()(store.stat, replica.path)
        if found.size_bytes != replica.size_bytes:
            return found
        retrying(tries=2)(verify_object, store, replica.path, replica.size_bytes, replica.checksum, attested=False)
    except TransferCorrupted:
        return found
    except (ObjectNotFound, ObjectArchived):
        return None
    return None  # it is right after all: the next reconciliation heals it


def _make_way(
    catalogue: Catalogue,
    store: Store,
    replica: Replica,
    found: ObjectStat,
    run_id: str,
    now: datetime,
    delete_after: datetime,
) -> bool:
    """Move a damaged object, and its lost row, into quarantine. Whether it is there."""
    try:
        place = _place_for(store, replica.path)
    except PermanentError as error:
        log.error("store %r: damaged object %r stays in the way: %s", store.name, replica.path, error)
        return False
    with catalogue.transaction():
        if not catalogue.repairs.move_lost(replica, place):
            return False
        damaged = Orphan(place, found.size_bytes, found.last_modified)
        catalogue.orphans.quarantine_damaged(store.name, [damaged], run_id=run_id, now=now, delete_after=delete_after)
        old = Condemned(  # with its segment: it goes only while another good copy is seen, and no transfer is under way
            StoreName(store.name), replica.path, Reason.MOVED, found.size_bytes, replica.segment_id, replica.start_time
        )
        catalogue.condemnations.condemn([old], run_id=run_id, now=now, delete_after=now)
    return True


def _place_for(store: Store, path: Key) -> Key:
    """Where in quarantine a copy of a damaged object lies now. PermanentError when it cannot be copied."""
    for prefix in DAMAGED:
        place = canonical_key(prefix + path)
        try:
            copy_within(store, path, place)
        except ObjectExists:
            continue
        return place
    raise ObjectExists(f"store {store.name!r} has {len(DAMAGED)} damaged objects of {path!r} in quarantine")
