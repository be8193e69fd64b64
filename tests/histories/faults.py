"""Faults between any two steps: a store or a catalogue that breaks at its n-th call, and a process that dies there."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeVar

import psycopg2
from psycopg2.extensions import connection as PgConnection  # noqa: N812 - a class

from reelkeeper.errors import ReelkeeperError, StoreUnavailable
from reelkeeper.model import Key
from reelkeeper.stores.body import Body
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import ObjectStat, Readability, RestoreSpeed, WriteOptions

T = TypeVar("T")
Kind = Literal["store fails", "store answers late", "store is down", "commit fails", "commit answers late", "dies"]
KINDS: tuple[Kind, ...] = (
    "store fails", "store answers late", "store is down", "commit fails", "commit answers late", "dies",
)  # fmt: skip


class Killed(Exception):
    """The process is dead: nothing that it still tries has any effect. No ReelkeeperError: nobody may handle it."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong at the `at`-th call (of the store or of COMMIT; of both together where a process dies).

    `before`: before the call has its effect, or after it, when only the answer is lost.
    """

    kind: Kind
    at: int
    before: bool = True


@dataclass
class Faults:
    """Counts the calls of one job, and breaks them as told."""

    fault: Fault | None = None
    calls: int = 0
    dead: bool = False
    hits: int = 0  # faults that happened
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def during(self, fault: Fault | None) -> Iterator[None]:
        """One job, with this fault. A death ends it."""
        self.fault, self.calls, self.dead = fault, 0, False
        try:
            yield
        except (Killed, ReelkeeperError):
            pass
        finally:
            self.fault, self.dead = None, False

    def store_call(self, act: Callable[[], T]) -> T:
        with self._lock:
            self._refuse_dead()
            hit = self._counts("store")
            kind = self.fault.kind if self.fault else None
            if kind == "store is down" and self.fault and self.calls >= self.fault.at:
                raise StoreUnavailable("503: the store is down")
            if not hit:
                return act()
            if kind == "store answers late" or (kind == "dies" and self.fault and not self.fault.before):
                act()
            if kind == "dies":
                self.dead = True
                raise Killed
            raise StoreUnavailable("503 at this call")

    def commit(self, hang_up: Callable[[], None], act: Callable[[], None]) -> None:
        with self._lock:
            self._refuse_dead()
            if not self._counts("commit"):
                act()
                return
            assert self.fault is not None
            if self.fault.kind == "commit answers late" or (self.fault.kind == "dies" and not self.fault.before):
                act()
            hang_up()
            if self.fault.kind == "dies":
                self.dead = True
                raise Killed
            raise psycopg2.OperationalError("server closed the connection unexpectedly")

    def _refuse_dead(self) -> None:
        if self.dead:
            raise Killed

    def _counts(self, what: str) -> bool:
        """Count the call if the fault counts calls of this sort; whether it is the one that breaks."""
        if self.fault is None or not (self.fault.kind.startswith(what) or self.fault.kind == "dies"):
            return False
        self.calls += 1
        self.hits += self.calls == self.fault.at
        return self.calls == self.fault.at


class FaultyStore(MemoryStore):
    """A store whose calls pass through `Faults`."""

    def __init__(self, name: Any, faults: Faults, clock: Callable[[], datetime]) -> None:
        super().__init__(name, clock=clock)
        self.faults = faults

    def stat(self, key: Key) -> ObjectStat:
        return self.faults.store_call(lambda: super(FaultyStore, self).stat(key))

    def read(self, key: Key) -> Iterator[bytes]:
        return self.faults.store_call(lambda: super(FaultyStore, self).read(key))

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        return self.faults.store_call(lambda: iter([*super(FaultyStore, self).list(prefix)]))

    def write(self, key: Key, body: Body, options: WriteOptions = WriteOptions()) -> None:
        data = Body.of_bytes(body.whole())  # reading the source is a call of its own, and not inside this one
        self.faults.store_call(lambda: super(FaultyStore, self).write(key, data, options))

    def copy(self, source: Key, destination: Key) -> None:
        self.faults.store_call(lambda: super(FaultyStore, self).copy(source, destination))

    def delete(self, keys: Sequence[Key]) -> Mapping[Key, Exception]:
        return self.faults.store_call(lambda: super(FaultyStore, self).delete(keys))

    def set_class(self, key: Key, storage_class: str) -> None:
        self.faults.store_call(lambda: super(FaultyStore, self).set_class(key, storage_class))

    def restore(self, key: Key, *, days: int, speed: RestoreSpeed) -> None:
        self.faults.store_call(lambda: super(FaultyStore, self).restore(key, days=days, speed=speed))

    def readability(self, key: Key) -> Readability:
        return self.faults.store_call(lambda: super(FaultyStore, self).readability(key))


class Connections:
    """Opens connections to the catalogue whose COMMIT passes through `Faults`. Closed ones are used again: a history
    opens thousands."""

    def __init__(self, dsn: str, faults: Faults) -> None:
        self._dsn, self._idle = dsn, list[PgConnection]()

        class FaultyConnection(PgConnection):
            def commit(connection) -> None:  # noqa: N805
                faults.commit(connection.close_for_good, super().commit)

            def close(connection) -> None:  # noqa: N805
                if faults.dead or faults.fault is not None:
                    connection.close_for_good()
                    return
                connection.rollback()
                with connection.cursor() as cursor:
                    cursor.execute("DISCARD TEMP")
                super().commit()
                self._idle.append(connection)

            def close_for_good(connection) -> None:  # noqa: N805
                super().close()

        self._class, self._faults = FaultyConnection, faults

    def __call__(self) -> PgConnection:
        if self._faults.dead:
            raise Killed
        return self._idle.pop() if self._idle else psycopg2.connect(self._dsn, connection_factory=self._class)

    def close(self) -> None:
        """Close all for good."""
        while self._idle:
            self._idle.pop().close_for_good()  # type: ignore[attr-defined]
