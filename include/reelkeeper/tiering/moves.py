"""The three ways in which a replica comes to another tier.

Its storage class is changed in place; or a prefix, or another store, gets a copy. What becomes of the object that was
there before, and what is recorded, is the caller's.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

from reelkeeper.catalogue.tier_moves import Placed, TierItem
from reelkeeper.claims import Claims, Terms
from reelkeeper.errors import ConfigurationError, ObjectNotFound, ReelkeeperError, StoreUnavailable, TransferCorrupted
from reelkeeper.media_options import media_options
from reelkeeper.model import canonical_key
from reelkeeper.ownership import Ownership
from reelkeeper.pricing import seen_class
from reelkeeper.stores.breaker import Breaker
from reelkeeper.stores.proof import accept_existing
from reelkeeper.stores.protocols import Copies, ObjectStat, Store, Tiers
from reelkeeper.stores.transfer import Transfer, Verify, transfer_all
from reelkeeper.tiering.choices import TieredStore, TierTarget

Move = tuple[TierItem, TierTarget]
Outcome = tuple[TierItem, Placed | ReelkeeperError]


class Mover:
    """Moves replicas out of one tier of a store. Stores are asked in threads; claims are renewed meanwhile."""

    def __init__(
        self,
        tiered: TieredStore,
        store: Store,
        open_store: Callable[[str], Store],
        *,
        ownership: Ownership,
        claims: Claims[TierItem],
        terms: Terms,
        breaker: Breaker,
        verify: Callable[[], Verify],
    ) -> None:
        self._tiered, self._store, self._open_store = tiered, store, open_store
        self._ownership, self._claims, self._terms, self._breaker = ownership, claims, terms, breaker
        self._verify = verify

    def move(self, moves: Sequence[Move]) -> Iterator[Outcome]:
        """Moves that have one target store, and are either all carried there or all changed in place."""
        return self._carried(moves) if moves[0][1].is_carried else self._changed(moves)

    def _changed(self, moves: Sequence[Move]) -> Iterator[Outcome]:
        """Storage classes, changed in place."""

        def change(move: Move) -> Placed:
            return self._terms.retry(self._change, *move)

        with ThreadPoolExecutor(self._tiered.settings.concurrency, "tier") as pool:
            for (item, _), outcome in self._claims.each(pool, change, moves):
                yield item, outcome

    def _change(self, item: TierItem, target: TierTarget) -> Placed:
        """Skipped when the class is right: a try that was killed changed it."""
        replica, storage_class = item.replica, target.storage_class
        if not isinstance(self._store, Tiers) or storage_class is None:
            raise ConfigurationError(f"store {self._store.name!r} has no storage classes: expected 'prefix' or 'store' "
                                     f"for tier {str(item.to_tier)!r}")  # fmt: skip
        if error := self._breaker.error():
            raise StoreUnavailable(str(error)) from error
        found = self._store.stat(replica.path)
        if found.storage_class != storage_class:
            self._store.set_class(replica.path, storage_class)
            found = self._store.stat(replica.path)
        expected = (replica.size_bytes, storage_class, found.sha256 and replica.checksum)
        if (found.size_bytes, found.storage_class, found.sha256) != expected:
            raise TransferCorrupted(
                f"{replica.path!r} in store {self._store.name!r} has {found.size_bytes} bytes, class "
                f"{found.storage_class!r}, SHA-256 {found.sha256}: expected {replica.size_bytes} bytes, class "
                f"{storage_class!r}, SHA-256 {replica.checksum}"
            )
        return Placed(item, replica.store, replica.path, storage_class, item.to_tier)

    def _carried(self, moves: Sequence[Move]) -> Iterator[Outcome]:
        """Copies under another key or in another store: by the store itself, or through here."""
        target = moves[0][1].settings
        try:
            self._ownership.require(target.name)
        except ReelkeeperError as error:
            yield from ((item, error) for item, _ in moves)
            return
        destination = self._open_store(target.name)
        if destination is self._store and isinstance(destination, Copies):
            with ThreadPoolExecutor(target.concurrency, "tier") as pool:
                for (item, _), outcome in self._claims.each(pool, lambda move: self._copied(*move), moves):
                    yield item, outcome
            return
        transfers = []
        for item, to in moves:
            replica, placed = item.replica, self._placed(item, to)
            options = media_options(target, item.extension, placed.storage_class)
            transfers.append(Transfer(replica.path, placed.path, replica.size_bytes, replica.checksum, options, placed))
        copying = transfer_all(
            self._store, destination, transfers, concurrency=target.concurrency,
            verify=self._verify(), progress=lambda _: self._claims.renew(),
            now=self._terms.now,
        )  # fmt: skip
        with closing(copying) as copied:
            for each in copied:
                moved = each.transfer.token
                yield moved.item, each.error or (_as_found(moved, each.existing) if each.existing else moved)

    def _copied(self, item: TierItem, target: TierTarget) -> Placed:
        placed = self._placed(item, target)
        return self._terms.retry(self._copy, placed)

    def _copy(self, placed: Placed) -> Placed:
        """A copy that is there already, as after a kill, is taken when it is equal."""
        replica, store = placed.item.replica, self._store
        assert isinstance(store, Copies)
        if error := self._breaker.error():
            raise StoreUnavailable(str(error)) from error
        try:
            store.stat(placed.path)
        except ObjectNotFound:
            store.copy(replica.path, placed.path)
        found = accept_existing(store, placed.path, replica.size_bytes, replica.checksum, attested=store.attests_writes)
        return _as_found(placed, found)

    def _placed(self, item: TierItem, target: TierTarget) -> Placed:
        key = canonical_key(target.key(item.replica.path, self._tiered.settings.tier_prefixes))
        return Placed(item, target.settings.store_name, key, target.storage_class, target.recorded_tier)


def _as_found(placed: Placed, found: ObjectStat) -> Placed:
    """What an earlier try may have written to another class."""
    return replace(placed, storage_class=seen_class(placed.storage_class, found.storage_class))
