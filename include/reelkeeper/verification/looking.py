"""Looking at replicas: whether their objects hold what the catalogue says.

A look ends in a finding: as recorded, wrong (gone, or other bytes, each seen twice), or unknown. Only the first two say
anything about the footage; whatever else goes wrong is the store's trouble (invariant 7).
"""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, Protocol

from reelkeeper.errors import (
    ObjectArchived,
    ObjectNotFound,
    ReelkeeperError,
    SourceCorrupted,
    StoreUnavailable,
    TransferCorrupted,
)
from reelkeeper.model import Key, Replica, StoreKind, StoreName, Tier
from reelkeeper.policy.restoration import can_be_read, needs_restore
from reelkeeper.stores.breaker import Breaker
from reelkeeper.stores.presence import present
from reelkeeper.stores.proof import verify_object
from reelkeeper.stores.protocols import Lists, ObjectStat, Reads, Stats
from reelkeeper.stores.retry import retrying

How = Literal["read", "seen"]
_AHEAD = 2
"""Looks handed out for each thread: enough for none to run dry while the caller is at its database."""
_TICK_SECONDS = 1.0


class Lookable(Stats, Lists, Reads, Protocol):
    """A store whose objects can be looked at in every way."""


@dataclass(frozen=True, slots=True)
class ReplicaFinding:
    """What a look at a replica found. Without `error` it is as recorded: its bytes (`read`), or what tells of them.

    `reclassed` is the replica with the storage class that its object has, where that is another than recorded, or where
    a restored copy is gone before its time.
    """

    replica: Replica
    at: datetime
    how: How
    error: ReelkeeperError | None = None
    reclassed: Replica | None = None

    @property
    def is_missing(self) -> bool:
        """Whether the store says that it has no such object."""
        return isinstance(self.error, ObjectNotFound)

    @property
    def is_wrong(self) -> bool:
        """Whether it was seen that the bytes are gone or others. Any other error tells nothing about them."""
        return isinstance(self.error, (ObjectNotFound, SourceCorrupted))


class Looker:
    """Looks at the replicas of one store. Safe for threads. A store that keeps failing is not asked further."""

    def __init__(self, store: Lookable, *, concurrency: int, now: Callable[[], datetime]) -> None:
        self._store, self._concurrency, self._now = store, concurrency, now
        self._stopped = threading.Event()
        self._metered = _Metered(store, self._stopped)
        self._retry = retrying(stopped=self._stopped)
        self._breaker = Breaker(store.name)

    @property
    def bytes_read(self) -> int:
        """Of all objects so far, also of those that are still being read."""
        return self._metered.bytes_read

    @property
    def dropped(self) -> ReelkeeperError | None:
        """Why the store is not asked any more; None while it is."""
        return self._breaker.error()

    def read(self, replica: Replica) -> ReplicaFinding:
        """Read the replica whole; one that must be restored first is looked at only: its size, and the SHA-256 that
        was stored with it. So is one of which its store says so, though the catalogue does not.
        """
        if can_be_read(replica, self._now()):
            return self._looked(replica, "read", self._prove)
        return self._looked(replica, "seen", self._see_archived)

    def read_all(
        self, replicas: Iterable[Replica], tick: Callable[[], None] = lambda: None
    ) -> Generator[ReplicaFinding]:
        """Read many, several at a time; the findings in no order.

        `replicas` is pulled in the caller's thread, a few ahead of the findings, so memory does not grow with their
        number. `tick` is called in that thread about once a second. Closing the iterator ends the reading.
        """
        under_way: set[Future[ReplicaFinding]] = set()
        with ThreadPoolExecutor(self._concurrency, thread_name_prefix="look") as pool:
            try:
                for replica in replicas:
                    under_way.add(pool.submit(self.read, replica))
                    while len(under_way) >= _AHEAD * self._concurrency:
                        under_way = yield from _ended(under_way, tick)
                while under_way:
                    under_way = yield from _ended(under_way, tick)
            except BaseException:
                self._stopped.set()
                for future in under_way:
                    future.cancel()
                raise

    def see(self, replicas: Sequence[Replica]) -> list[ReplicaFinding]:
        """Look whether the objects are there and as large as recorded, by pages of a listing."""
        paths = [replica.path for replica in replicas]
        at = self._now()
        try:
            if error := self.dropped:
                raise error
            met = self._retry(lambda: present(self._store, paths, concurrency=self._concurrency))
        except ReelkeeperError as error:
            self._breaker.failed(error)
            return [ReplicaFinding(replica, at, "seen", error) for replica in replicas]
        self._breaker.succeeded()
        # What is not as it should be is looked at once more, one by one: it may have been moved or deleted meanwhile.
        return [
            ReplicaFinding(replica, at, "seen", reclassed=_reclassed(replica, found))
            if (found := met[replica.path]) is not None and found.size_bytes == replica.size_bytes
            else self._looked(replica, "seen", self._see)
            for replica in replicas
        ]

    # --- one look -----------------------------------------------------------------------------------------------------

    def _looked(self, replica: Replica, how: How, look: Callable[[Replica], Replica | None]) -> ReplicaFinding:
        at = self._now()
        reclassed: Replica | None = None
        error = self.dropped
        if error is None:
            try:
                reclassed = self._retry(look, replica)
            except ReelkeeperError as found:
                error = found
                self._judge(found)
            else:
                self._breaker.succeeded()
        return ReplicaFinding(replica, at, "seen" if reclassed else how, error, reclassed)

    def _judge(self, error: ReelkeeperError) -> None:
        if isinstance(error, (ObjectNotFound, SourceCorrupted, ObjectArchived)):
            self._breaker.succeeded()  # a sensible answer about one object
        else:
            self._breaker.failed(error)

    def _prove(self, replica: Replica) -> Replica | None:
        """A read can go wrong as well as a disk: bytes are wrong when they are so twice."""
        to_prove = (self._metered, replica.path, replica.size_bytes, replica.checksum)
        try:
            try:
                verify_object(*to_prove, attested=False)
            except TransferCorrupted:
                verify_object(*to_prove, attested=False)
        except TransferCorrupted as wrong:
            raise SourceCorrupted(str(wrong)) from wrong
        except ObjectNotFound as gone:
            self._expect_absent(replica, gone)
            raise
        except ObjectArchived:
            seen = self._stat_archived(replica)
            return _reclassed(replica, seen) or replace(replica, readable_until=None)
        return None

    def _see(self, replica: Replica) -> Replica | None:
        return _reclassed(replica, self._stat(replica))

    def _see_archived(self, replica: Replica) -> Replica | None:
        return _reclassed(replica, self._stat_archived(replica))

    def _stat(self, replica: Replica) -> ObjectStat:
        try:
            found = self._store.stat(replica.path)
        except ObjectNotFound as gone:
            self._expect_absent(replica, gone)
            raise
        if found.size_bytes != replica.size_bytes:
            raise SourceCorrupted(f"{replica.path!r} in store {replica.store!r} has {found.size_bytes} bytes: "
                                  f"expected {replica.size_bytes}")  # fmt: skip
        return found

    def _stat_archived(self, replica: Replica) -> ObjectStat:
        found = self._stat(replica)
        if found.sha256 not in (None, replica.checksum):
            raise SourceCorrupted(f"{replica.path!r} in store {replica.store!r} was stored with SHA-256 "
                                  f"{found.sha256}: expected {replica.checksum}")  # fmt: skip
        return found

    def _expect_absent(self, replica: Replica, gone: ObjectNotFound) -> None:
        """A listing, which tells a store that is not there from one that lacks an object, must not have it either."""
        if any(found.key == replica.path for found in self._store.list(replica.path)):
            raise StoreUnavailable(f"store {replica.store!r} lists {replica.path!r} and does not find it") from gone


def _reclassed(replica: Replica, found: ObjectStat) -> Replica | None:
    """The replica in the class that its store tells; None when that is recorded. A server without classes may tell
    STANDARD.
    """
    seen = found.storage_class
    if seen is None or seen == (replica.storage_class or "STANDARD"):
        return None
    tier = Tier.ARCHIVE if needs_restore(seen) else replica.tier
    return replace(replica, storage_class=seen, tier=tier, readable_until=None)


class _Metered:
    """A store that counts the bytes that are read from it, and can be told to stop."""

    def __init__(self, store: Lookable, stopped: threading.Event) -> None:
        self._store, self._stopped = store, stopped
        self._lock = threading.Lock()
        self.bytes_read = 0

    @property
    def name(self) -> StoreName:
        return self._store.name

    @property
    def kind(self) -> StoreKind:
        return self._store.kind

    def stat(self, key: Key) -> ObjectStat:
        return self._store.stat(key)

    def read(self, key: Key) -> Iterator[bytes]:
        for chunk in self._store.read(key):
            if self._stopped.is_set():
                raise _Stopped
            with self._lock:
                self.bytes_read += len(chunk)
            yield chunk

    def read_range(self, key: Key, offset: int, length: int) -> bytes:
        return self._store.read_range(key, offset, length)


class _Stopped(Exception):
    """Nobody waits for this look any more. Not a ReelkeeperError, so that nobody retries it."""


def _ended(
    under_way: set[Future[ReplicaFinding]], tick: Callable[[], None]
) -> Generator[ReplicaFinding, None, set[Future[ReplicaFinding]]]:
    """The findings of those that end within a second; what is still under way."""
    done, left = wait(under_way, timeout=_TICK_SECONDS, return_when=FIRST_COMPLETED)
    tick()
    for future in done:
        yield future.result()
    return left
