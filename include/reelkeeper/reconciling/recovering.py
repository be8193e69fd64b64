"""Moved replicas whose new object is lost or doubted, while their old one still waits for its deletion.

The old object is the replica again: a tier move leaves it behind for a grace, and that is what the grace is for.
"""

import logging
from datetime import datetime

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.repairs import LeftBehind
from reelkeeper.errors import ReelkeeperError
from reelkeeper.model import Replica, ReplicaState, Tier
from reelkeeper.reports import Report
from reelkeeper.settings import Estate, StoreSettings
from reelkeeper.stores.breaker import Breaker
from reelkeeper.stores.proof import accept_existing
from reelkeeper.stores.protocols import ObjectStat, Store
from reelkeeper.stores.retry import retrying

log = logging.getLogger(__name__)


def recover_moved(
    estate: Estate, catalogue: Catalogue, store: Store, report: Report, *, now: datetime, dry_run: bool
) -> int:
    """Make the old objects of moved replicas that are lost or doubted where they are now replicas again, as far as they
    prove to hold the bytes; how many. One that cannot be told stays condemned, and the engine lets it wait."""
    breaker = Breaker(store.name)
    recovered = 0
    for page in catalogue.repairs.left_behind(store.name):
        for left in page:
            if breaker.error():
                return recovered
            with catalogue.transaction():  # whoever deletes there is waited for, and then waits for us
                if catalogue.condemnations.hold(store.name, [left.path]):
                    recovered += _recover(estate, catalogue, store, left, breaker, report, now=now, dry_run=dry_run)
    return recovered


def _recover(
    estate: Estate,
    catalogue: Catalogue,
    store: Store,
    left: LeftBehind,
    breaker: Breaker,
    report: Report,
    *,
    now: datetime,
    dry_run: bool,
) -> bool:
    try:
        found = retrying(tries=2)(
            accept_existing, store, left.path, left.size_bytes, left.checksum, attested=store.attests_writes
        )
    except ReelkeeperError as error:  # gone, damaged, archived, or unknown: it proves nothing
        breaker.failed(error)
        log.warning("store %r: old object %r is not used again: %s", store.name, left.path, error)
        return False
    breaker.succeeded()
    report.add(
        "found", left.path, str(left.segment_id), found.size_bytes, left.size_bytes, found.last_modified.isoformat(),
        None, "what the replica was before it was moved: it is the replica again",
    )  # fmt: skip
    if not dry_run:
        replica = Replica(
            left.segment_id, left.start_time, store.name, left.path, left.size_bytes, left.checksum,
            ReplicaState.AVAILABLE, verified_at=now, storage_class=found.storage_class,
            tier=_tier_of(estate.store(store.name), found),
        )  # fmt: skip
        catalogue.repairs.recover(replica, retire_others=estate.retire_others_after(store.name, now))
    return True


def _tier_of(settings: StoreSettings, found: ObjectStat) -> Tier:
    """The tier that an object lies in, by its key and its class."""
    for tier, place in settings.tiers.items():
        if place.prefix and found.key.startswith(place.prefix):
            return tier
    classes: dict[str | None, Tier] = {
        place.storage_class: tier for tier, place in settings.tiers.items() if place.storage_class
    }
    return classes.get(found.storage_class, Tier.HOT)
