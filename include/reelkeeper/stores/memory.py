"""A store in this process's memory: for tests, and for trying things out. It has the storage classes of AWS."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from reelkeeper.errors import ConfigurationError, InvalidKey, ObjectArchived, ObjectExists, ObjectNotFound
from reelkeeper.model import Key, Sha256, StoreKind, StoreName, canonical_key
from reelkeeper.stores.body import CHUNK_BYTES, Body
from reelkeeper.stores.guard import Guard
from reelkeeper.stores.owner import must_write, told_of
from reelkeeper.stores.protocols import Change, Check, ObjectStat, Owner, Readability, RestoreSpeed, WriteOptions
from reelkeeper.stores.rights import check_rights

_READABLE = ("STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR")
RESTORE_TIMES: Mapping[str, Mapping[RestoreSpeed, timedelta]] = {
    "GLACIER": {"expedited": timedelta(minutes=5), "standard": timedelta(hours=5), "bulk": timedelta(hours=12)},
    "DEEP_ARCHIVE": {"standard": timedelta(hours=12), "bulk": timedelta(hours=48)},
}
"""How long a restore takes here: what AWS documents as the usual maximum of each class and speed."""


@dataclass(frozen=True, slots=True)
class _Restored:
    """Times of a restored copy. It can be read from `ready_at` to `until`."""

    ready_at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class _Object:
    data: bytes
    stat: ObjectStat
    restored: _Restored | None = None

    def readability(self, now: datetime) -> Readability:
        if self.stat.storage_class in _READABLE:
            return Readability("readable")
        if self.restored is None or now >= self.restored.until:
            return Readability("archived")
        return (
            Readability("readable", self.restored.until) if now >= self.restored.ready_at else Readability("restoring")
        )


class MemoryStore:
    """Objects in a dict. They live as long as the store does, and no other process sees them.

    `clock` tells the store's time: with one of a test's own a restore of twelve hours takes no time at all.
    """

    kind = StoreKind.MEMORY
    attests_writes = True
    """What is kept is the very bytes whose SHA-256 was checked."""

    def __init__(
        self, name: StoreName, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC), may_delete: bool = True
    ) -> None:
        self.name = name
        self._clock = clock
        self._guard = Guard(name, may_delete)
        self._lock = threading.Lock()
        self._objects: dict[Key, _Object] = {}
        self._owner: Owner | None = None

    def clock(self) -> datetime:
        return self._clock()

    def stat(self, key: Key) -> ObjectStat:
        return self._get(key).stat

    def read(self, key: Key) -> Iterator[bytes]:
        data = self._readable(key).data
        for offset in range(0, len(data), CHUNK_BYTES):
            yield data[offset : offset + CHUNK_BYTES]

    def read_range(self, key: Key, offset: int, length: int) -> bytes:
        return self._readable(key).data[offset : offset + length]

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        with self._lock:
            stats = [found.stat for found in self._objects.values()]
        for stat in stats:
            if stat.key.startswith(prefix):
                yield replace(stat, sha256=None)

    def write(self, key: Key, body: Body, options: WriteOptions = WriteOptions()) -> None:
        self._refuse_existing(canonical_key(key))
        self._put(key, body.whole(), body.sha256, _known(self.name, options.storage_class or "STANDARD"))

    def copy(self, source: Key, destination: Key) -> None:
        """The destination gets the standard class."""
        canonical_key(destination)
        found = self._readable(source)
        self._put(destination, found.data, found.stat.sha256, "STANDARD")

    def delete(self, keys: Sequence[Key]) -> Mapping[Key, Exception]:
        self._guard.deleting(keys)
        failed: dict[Key, Exception] = {}
        for key in keys:
            try:
                with self._lock:
                    self._objects.pop(canonical_key(key), None)
            except InvalidKey as exc:
                failed[key] = exc
        return failed

    # --- storage classes ----------------------------------------------------------------------------------------------

    def set_class(self, key: Key, storage_class: str) -> None:
        _known(self.name, storage_class)
        if self._get(key).stat.storage_class == storage_class:
            return
        found = self._readable(key)
        stat = replace(found.stat, storage_class=storage_class, last_modified=self._clock())
        with self._lock:
            self._objects[key] = _Object(found.data, stat)

    def restore(self, key: Key, *, days: int, speed: RestoreSpeed) -> None:
        found, now = self._get(key), self._clock()
        state = found.readability(now)
        if state.state == "restoring" or (state.state == "readable" and state.until is None):
            return
        times = RESTORE_TIMES[str(found.stat.storage_class)]
        if speed not in times:
            raise ConfigurationError(
                f"store {self.name!r} cannot restore {key!r} at speed {speed!r}: class "
                f"{found.stat.storage_class!r} has {[*times]}"
            )
        ready_at = now if state.state == "readable" else now + times[speed]
        with self._lock:
            self._objects[key] = replace(found, restored=_Restored(ready_at, ready_at + timedelta(days=days)))

    def readability(self, key: Key) -> Readability:
        return self._get(key).readability(self._clock())

    # --- set-up -------------------------------------------------------------------------------------------------------

    def owner(self) -> Owner | None:
        return self._owner

    def set_up(self, owner: Owner | None = None, *, take_over: bool = False) -> Iterable[Change]:
        if owner is None:
            return []
        found, changed = self._owner, must_write(self._owner, owner, take_over=take_over)
        self._owner = owner if changed else found
        return [told_of("marker", owner, found, changed=changed)]

    def check(self) -> Iterable[Check]:
        return list(check_rights(self))

    # --- inside -------------------------------------------------------------------------------------------------------

    def _get(self, key: Key) -> _Object:
        with self._lock:
            found = self._objects.get(canonical_key(key))
        if found is None:
            raise ObjectNotFound(f"store {self.name!r} has no object {key!r}")
        return found

    def _readable(self, key: Key) -> _Object:
        found = self._get(key)
        if (state := found.readability(self._clock()).state) != "readable":
            raise ObjectArchived(
                f"store {self.name!r} cannot read {key!r}: it is {state}, in class {found.stat.storage_class!r}"
            )
        return found

    def _put(self, key: Key, data: bytes, sha256: Sha256 | None, storage_class: str) -> None:
        stat = ObjectStat(key, len(data), self._clock(), storage_class, sha256)
        with self._lock:
            self._refuse_existing(key)
            self._objects[key] = _Object(data, stat)

    def _refuse_existing(self, key: Key) -> None:
        if key in self._objects:
            raise ObjectExists(f"store {self.name!r} already has {key!r}")


def _known(store: StoreName, storage_class: str) -> str:
    if storage_class not in (*_READABLE, *RESTORE_TIMES):
        raise ConfigurationError(
            f"store {store!r} knows no class {storage_class!r}: expected one of {[*_READABLE, *RESTORE_TIMES]}"
        )
    return storage_class
