"""The transfer engine: many objects from one store to another, each proved.

Per object: read from the source, hash on the way (`Body` holds the last bytes back until SHA-256 and size are those of
the catalogue), write, verify. An object that is there already and equal counts as transferred, so that a re-run after a
kill finishes; one that differs is never overwritten.

What proves a write. With `verify="auto"`, a store that attests its writes (`Writes.attests_writes`: it was seen to
refuse a wrong checksum) has proved bytes, size and presence by answering a checksummed write with success: nothing
more is asked per object, and presence and sizes of a whole batch are looked up in bulk afterwards (`presence.py`). From
any other store, and from all with `verify="read_back"`, the bytes are read back and hashed.
"""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Generic, Literal, Protocol, TypeVar

from tenacity import Retrying

from reelkeeper.errors import ObjectExists, ReelkeeperError, TransientError
from reelkeeper.model import Key, Sha256
from reelkeeper.stores.body import Body
from reelkeeper.stores.breaker import Breaker
from reelkeeper.stores.proof import accept_existing, verify_object, verify_written
from reelkeeper.stores.protocols import Deletes, ObjectStat, Reads, Stats, WriteOptions, Writes
from reelkeeper.stores.retry import retrying

__all__ = ["Destination", "Transfer", "Transferred", "Verify", "transfer_all", "verify_object"]

T = TypeVar("T")
Verify = Literal["auto", "read_back"]

MEMORY_BYTES = 256 * 2**20
STREAM_BYTES = 56 * 2**20
"""The most that one write may hold in memory, however large the object."""
_FREE_FOR_SMALL = 8
"""One part in so many of the memory is not for bodies larger than itself: small ones pass while large ones queue."""
_QUEUED_PER_THREAD = 64
"""How far transfers are pulled ahead: enough for the threads not to run dry while the caller waits for its database."""
_QUEUED_BYTES = 256 * 2**20
_TICK_SECONDS = 1.0


class Destination(Stats, Reads, Writes, Deletes, Protocol):
    """What the engine needs of the store it writes to. It deletes only what it has itself just written wrongly."""


@dataclass(frozen=True, slots=True)
class Transfer(Generic[T]):
    """One object to copy. `token` is the caller's own, to know the outcome by."""

    source_key: Key
    destination_key: Key
    size_bytes: int
    sha256: Sha256
    options: WriteOptions
    token: T


@dataclass(frozen=True, slots=True)
class Transferred(Generic[T]):
    """What became of a transfer. Without `error` the destination holds the bytes, proved.

    `attempts` is the number of tries; 0 when a store had been dropped and was not asked. `existing` is the object that
    was there already and was taken: its class need not be the one that was asked for.
    """

    transfer: Transfer[T]
    started_at: datetime
    finished_at: datetime
    attempts: int
    error: ReelkeeperError | None = None
    existing: ObjectStat | None = None


def transfer_all(
    source: Reads,
    destination: Destination,
    transfers: Iterable[Transfer[T]],
    *,
    concurrency: int = 16,
    memory_bytes: int = MEMORY_BYTES,
    verify: Verify = "auto",
    retry: Retrying | None = None,
    progress: Callable[[int], None] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Generator[Transferred[T]]:
    """Copy the objects, up to `concurrency` at once, and yield what became of each as it finishes, in no order.

    `transfers` is pulled in the caller's thread and only some way ahead of the outcomes, and at most about
    `memory_bytes` of bodies are in memory, so memory does not grow with the number or size of the objects. `progress`
    is called in the caller's thread about once a second, with the bytes read so far; its exceptions, and those of
    `transfers`, end the transfer, as closing the iterator does: what is under way is then given up between two chunks.
    Errors of one object are in its outcome. Anything else than a ReelkeeperError is a bug, and is raised.
    """
    engine = _Engine(source, destination, memory_bytes, read_back=verify == "read_back", retry=retry, now=now)
    todo: SimpleQueue[Transfer[T] | None] = SimpleQueue()
    done: SimpleQueue[Transferred[T] | Exception] = SimpleQueue()

    def work() -> None:
        while (transfer := todo.get()) is not None and not engine.stopped.is_set():
            engine.queue(-transfer.size_bytes)
            try:
                done.put(engine.run(transfer))
            except Exception as bug:  # noqa: BLE001 - handed over to the caller's thread, which raises it
                done.put(bug)

    with ThreadPoolExecutor(concurrency, thread_name_prefix="transfer") as pool:
        try:
            for _ in range(concurrency):
                pool.submit(work)
            yield from _feed(engine, iter(transfers), todo, done, concurrency, _Ticker(progress, engine))
        finally:
            engine.stopped.set()
            for _ in range(concurrency):
                todo.put(None)


def _feed(
    engine: "_Engine",
    transfers: Iterator[Transfer[T]],
    todo: "SimpleQueue[Transfer[T] | None]",
    done: "SimpleQueue[Transferred[T] | Exception]",
    concurrency: int,
    tick: "_Ticker",
) -> Generator[Transferred[T]]:
    """Keep the threads in work, some transfers ahead of the outcomes: few large ones, or many small ones."""
    under_way, more = 0, True
    while True:
        while more and (
            under_way < 2 * concurrency
            or (under_way < concurrency * _QUEUED_PER_THREAD and engine.queued_bytes < _QUEUED_BYTES)
        ):
            transfer = next(transfers, None)
            if transfer is None:
                more = False
            else:
                engine.queue(transfer.size_bytes)
                todo.put(transfer)
                under_way += 1
        if not under_way:
            return
        tick()
        try:
            outcome = done.get(timeout=_TICK_SECONDS)
        except Empty:
            continue
        if isinstance(outcome, Exception):
            raise outcome
        under_way -= 1
        yield outcome


class _Ticker:
    """Tells the caller's progress at most once a second."""

    def __init__(self, progress: Callable[[int], None] | None, engine: "_Engine") -> None:
        self._progress, self._engine = progress, engine
        self._next = monotonic() + _TICK_SECONDS

    def __call__(self) -> None:
        if self._progress and monotonic() >= self._next:
            self._next = monotonic() + _TICK_SECONDS
            self._progress(self._engine.bytes_read)


class _Memory:
    """A share of `total` bytes for each body in flight; a thread waits until its share is free."""

    def __init__(self, total: int) -> None:
        self._total = self._free = total
        self._changed = threading.Condition()

    def take(self, size_bytes: int) -> int:
        reserve = self._total // _FREE_FOR_SMALL
        least_free = reserve if size_bytes > reserve else 0
        share = min(size_bytes, STREAM_BYTES, self._total - least_free)
        with self._changed:
            self._changed.wait_for(lambda: self._free - least_free >= share)
            self._free -= share
        return share

    def give_back(self, share: int) -> None:
        with self._changed:
            self._free += share
            self._changed.notify_all()


class _Engine:
    """What the threads of one `transfer_all` share."""

    def __init__(
        self,
        source: Reads,
        destination: Destination,
        memory_bytes: int,
        *,
        read_back: bool,
        retry: Retrying | None,
        now: Callable[[], datetime],
    ) -> None:
        self.stopped = threading.Event()
        self.bytes_read = self.queued_bytes = 0
        self._source, self._destination = source, destination
        self._source_breaker, self._destination_breaker = Breaker(source.name), Breaker(destination.name)
        self._memory = _Memory(memory_bytes)
        self._read_back = read_back
        self._attested: bool | None = None
        self._retry = retry or retrying(stopped=self.stopped)
        self._now = now
        self._lock = threading.Lock()

    def queue(self, size_bytes: int) -> None:
        """So many bytes wait for a thread; fewer than before when negative."""
        with self._lock:
            self.queued_bytes += size_bytes

    def run(self, transfer: Transfer[T]) -> Transferred[T]:
        """Transfer one object, with retries, and tell the breakers how it went."""
        attempt = _Attempt(self, transfer)
        started = self._now()
        error: ReelkeeperError | None = None
        try:
            self._retry(attempt)
        except _Dropped as dropped:
            error = dropped.error
        except ReelkeeperError as failure:
            error = failure
            self._judge(attempt, error)
        else:
            self._source_breaker.succeeded()
            self._destination_breaker.succeeded()
        finished = max(started, self._now())  # a clock may be set back in between
        return Transferred(transfer, started, finished, attempt.count, error, attempt.existing)

    def _judge(self, attempt: "_Attempt[T]", error: ReelkeeperError) -> None:
        if error is attempt.source_error:
            self._source_breaker.failed(error)
        else:
            self._destination_breaker.failed(error)

    def dropped(self) -> ReelkeeperError | None:
        """The error that stands for a store that is no longer asked."""
        return self._source_breaker.error() or self._destination_breaker.error()

    def once(self, attempt: "_Attempt[T]") -> None:
        """One try: write and verify. ReelkeeperError when it failed."""
        transfer = attempt.transfer
        trusted = not self._read_back and self._attests_writes()
        to_prove = (self._destination, transfer.destination_key, transfer.size_bytes, transfer.sha256)
        share = self._memory.take(transfer.size_bytes)
        try:
            self._destination.write(
                transfer.destination_key,
                Body(transfer.size_bytes, transfer.sha256, lambda: self._read(attempt)),
                transfer.options,
            )
        except ObjectExists:
            attempt.existing = accept_existing(*to_prove, attested=trusted)
        else:
            if not trusted:
                verify_written(*to_prove)
        finally:
            self._memory.give_back(share)

    def _attests_writes(self) -> bool:
        if self._attested is None:  # the store finds out by trying, once in a process
            self._attested = self._destination.attests_writes
        return self._attested

    def _read(self, attempt: "_Attempt[T]") -> Iterator[bytes]:
        chunks = self._source.read(attempt.transfer.source_key)
        while True:
            try:
                chunk = next(chunks, None)
            except ReelkeeperError as error:
                attempt.source_error = error
                raise
            if chunk is None:
                return
            if self.stopped.is_set():
                raise _Dropped(TransientError("the transfer was stopped"))
            with self._lock:
                self.bytes_read += len(chunk)
            yield chunk


class _Dropped(Exception):
    """The tries of a transfer end here, and say nothing about a store.

    Not a ReelkeeperError, so that nobody maps or retries it on its way up.
    """

    def __init__(self, error: ReelkeeperError) -> None:
        super().__init__(str(error))
        self.error = error


class _Attempt(Generic[T]):
    """The tries of one transfer."""

    def __init__(self, engine: _Engine, transfer: Transfer[T]) -> None:
        self._engine = engine
        self.transfer = transfer
        self.count = 0
        self.source_error: ReelkeeperError | None = None
        self.existing: ObjectStat | None = None

    def __call__(self) -> None:
        error = self._engine.dropped()
        if error is not None:
            raise _Dropped(error)
        self.count += 1
        self._engine.once(self)
