"""What a plan of tiers asks of the stores themselves: whether they keep old versions, and what killed tries left."""

import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.errors import ConfigurationError, ObjectNotFound, ReelkeeperError
from reelkeeper.model import Replica, Tier
from reelkeeper.ownership import Ownership
from reelkeeper.pricing import seen_class, tier_of_class
from reelkeeper.settings import Estate, StoreSettings
from reelkeeper.stores.protocols import KEPT_VERSIONS, Store, Tiers, Versions
from reelkeeper.stores.retry import retrying

log = logging.getLogger(__name__)


def versioned_stores(open_store: Callable[[str], Store], names: Collection[str]) -> tuple[str, ...]:
    """Those of the stores that keep old versions, where a move leaves the old object billed as well; told in one
    warning. One that cannot say so now is left out."""
    found = tuple(name for name in sorted(names) if _keeps_versions(open_store, name))
    if found:
        log.warning("versioning is enabled in %s: %s; the savings do not count that", ", ".join(found), KEPT_VERSIONS)
    return found


def _keeps_versions(open_store: Callable[[str], Store], name: str) -> bool:
    try:
        store = open_store(name)
        return isinstance(store, Versions) and retrying()(store.keeps_versions)
    except ReelkeeperError as error:
        log.info("whether store %r keeps old versions is not known: %s", name, error)
        return False


def record_stale_moves(
    estate: Estate, catalogue: Catalogue, open_store: Callable[[str], Store], *, run_id: str, now: datetime
) -> int:
    """Look at the objects whose move another run has begun and left, before the plan drops it: a worker that was killed
    may have changed the class. Record the class that each is in; how many were in another one than recorded.

    One that cannot be looked at now is left to `verify_replicas`.
    """
    ownership, seen = Ownership(catalogue, open_store), list[Replica]()
    for replica, to_tier in retrying()(catalogue.tier_planning.stale, run_id):
        try:
            settings, store = estate.store(replica.store), open_store(replica.store)
            if not isinstance(store, Tiers):
                continue
            ownership.require(replica.store)
            found = in_its_class(store, settings, replica, otherwise=to_tier)
        except ConfigurationError:  # the store is the estate's no more
            continue
        except ReelkeeperError as error:
            log.warning("segment %s may be in tier %s already: %s", replica.segment_id, to_tier, error)
            continue
        if found is not None:
            log.warning("segment %s is in class %s, where a run that was left put it", found.segment_id,
                        found.storage_class)  # fmt: skip
            seen.append(found)
    return retrying()(catalogue.replicas.reclass, seen, now=now)


def in_its_class(store: Store, settings: StoreSettings, replica: Replica, *, otherwise: Tier) -> Replica | None:
    """The replica in the class and tier that its object is in, where that is not the recorded class; `otherwise` is the
    tier of a class that the store has none for. None: it is as recorded, or not there."""
    try:
        found = retrying()(store.stat, replica.path).storage_class
    except ObjectNotFound:
        return None
    if seen_class(replica.storage_class, found) == replica.storage_class:
        return None
    return replace(replica, storage_class=found, tier=tier_of_class(settings, found, otherwise=otherwise))
