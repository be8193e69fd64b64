"""The last look before a deletion: what the stores say about what is to go, and about the copies that are to stay."""

import logging
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from reelkeeper.errors import ObjectArchived, ObjectNotFound, ReelkeeperError, TransferCorrupted
from reelkeeper.model import Key, Replica, StoreName
from reelkeeper.ownership import Ownership
from reelkeeper.policy.restoration import needs_restore
from reelkeeper.settings import Estate
from reelkeeper.stores.breaker import Breaker
from reelkeeper.stores.proof import verify_object
from reelkeeper.stores.protocols import ObjectStat, Store
from reelkeeper.stores.retry import retrying

log = logging.getLogger(__name__)

A = TypeVar("A")
B = TypeVar("B")


class LastLook:
    """Looks at objects for one chunk of deletions. A store that keeps failing is not asked further."""

    def __init__(self, open_store: Callable[[str], Store], ownership: Ownership, estate: Estate) -> None:
        self._open_store, self._ownership, self._estate = open_store, ownership, estate
        self._breakers: dict[StoreName, Breaker] = {}
        self.spoilt: list[Replica] = []
        """Replicas that were looked at and are not as recorded."""

    def at_replicas(self, replicas: Iterable[Replica]) -> dict[tuple[StoreName, str], bool | None]:
        """Whether each object is there as recorded, asked of its store now; None where the store does not answer."""
        places = {(replica.store, str(replica.path)): replica for replica in replicas}
        seen = dict(
            zip(places, self._each(self._replica, places.values(), {store for store, _ in places}), strict=True)
        )
        self.spoilt += [places[place] for place, is_good in seen.items() if is_good is False]
        return seen

    def at_objects(self, store: StoreName, paths: Collection[str]) -> dict[str, ObjectStat | None]:
        """What the store says now about these objects; None: there is none. One that cannot be told of is left out."""
        found = self._each(lambda path: self._object(store, path), paths, {store})
        return {path: stat for path, (is_told, stat) in zip(paths, found, strict=True) if is_told}

    def _each(self, look: Callable[[A], B], at: Collection[A], stores: set[StoreName]) -> list[B]:
        if not at:
            return []
        for store in stores:
            self._breakers.setdefault(store, Breaker(store))
        most = max(self._estate.store(store).concurrency for store in stores)
        with ThreadPoolExecutor(min(most, len(at)), thread_name_prefix="look") as pool:
            return list(pool.map(look, at))

    def _replica(self, replica: Replica) -> bool | None:
        breaker = self._breakers[replica.store]
        if breaker.error():
            return None
        try:
            self._ownership.require(replica.store)
            is_good = _is_recorded(self._open_store(replica.store), replica)
        except ObjectNotFound:
            breaker.succeeded()
            log.error("store %r lacks %r, which the catalogue calls %s", replica.store, replica.path, replica.state)
            return False
        except ObjectArchived as exc:
            breaker.succeeded()
            log.error("segment %s: %s", replica.segment_id, exc)
            return None
        except ReelkeeperError as exc:
            breaker.failed(exc)
            log.warning("store %r could not be asked about %r: %s", replica.store, replica.path, exc)
            return None
        breaker.succeeded()
        return is_good

    def _object(self, store: StoreName, path: str) -> tuple[bool, ObjectStat | None]:
        """Whether the store told of it, and what."""
        breaker = self._breakers[store]
        if breaker.error():
            return False, None
        found = None
        try:
            found = retrying()(self._open_store(store).stat, Key(path))
        except ObjectNotFound:
            pass
        except ReelkeeperError as exc:
            breaker.failed(exc)
            log.warning("store %r could not be asked about %r: %s", store, path, exc)
            return False, None
        breaker.succeeded()
        return True, found


def _is_recorded(store: Store, replica: Replica) -> bool:
    """Whether the object is the replica's: by size and the SHA-256 that came with it. Where writes are attested, one
    without a SHA-256 was written by somebody else, or adopted: it is read."""
    stat = retrying()(store.stat, replica.path)
    if stat.size_bytes != replica.size_bytes or stat.sha256 not in (None, replica.checksum):
        return False
    if needs_restore(stat.storage_class) and not needs_restore(replica.storage_class):
        raise ObjectArchived(f"store {store.name!r} has {replica.path!r} in class {stat.storage_class!r}, and the "
                             f"catalogue says {replica.storage_class!r}: verify_replicas puts it right")  # fmt: skip
    if stat.sha256 is None and store.attests_writes:
        try:
            retrying(tries=2)(verify_object, store, replica.path, replica.size_bytes, replica.checksum, attested=False)
        except TransferCorrupted:
            log.error("store %r has other bytes at %r than the catalogue says", store.name, replica.path)
            return False
    return True
