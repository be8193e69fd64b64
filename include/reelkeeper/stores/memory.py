"""A store in this process's memory: for tests, and for trying things out."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from reelkeeper.errors import InvalidKey, ObjectExists, ObjectNotFound
from reelkeeper.model import Key, Sha256, StoreKind, StoreName, canonical_key
from reelkeeper.stores.body import CHUNK_BYTES, Body
from reelkeeper.stores.protocols import Change, Check, ObjectStat, WriteOptions
from reelkeeper.stores.rights import check_rights


@dataclass(frozen=True, slots=True)
class _Object:
    data: bytes
    stat: ObjectStat


class MemoryStore:
    """Objects in a dict. They live as long as the store does, and no other process sees them."""

    kind = StoreKind.MEMORY
    attests_writes = True
    """What is kept is the very bytes whose SHA-256 was checked."""

    def __init__(self, name: StoreName, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._objects: dict[Key, _Object] = {}

    def stat(self, key: Key) -> ObjectStat:
        return self._get(key).stat

    def read(self, key: Key) -> Iterator[bytes]:
        data = self._get(key).data
        for offset in range(0, len(data), CHUNK_BYTES):
            yield data[offset : offset + CHUNK_BYTES]

    def read_range(self, key: Key, offset: int, length: int) -> bytes:
        return self._get(key).data[offset : offset + length]

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        with self._lock:
            stats = [found.stat for found in self._objects.values()]
        for stat in stats:
            if stat.key.startswith(prefix):
                yield ObjectStat(stat.key, stat.size_bytes, stat.last_modified, stat.storage_class)

    def write(self, key: Key, body: Body, options: WriteOptions = WriteOptions()) -> None:
        self._refuse_existing(canonical_key(key))
        self._put(key, body.whole(), body.sha256, options.storage_class)

    def copy(self, source: Key, destination: Key) -> None:
        canonical_key(destination)
        found = self._get(source)
        self._put(destination, found.data, found.stat.sha256, found.stat.storage_class)

    def delete(self, keys: Sequence[Key]) -> Mapping[Key, Exception]:
        failed: dict[Key, Exception] = {}
        for key in keys:
            try:
                with self._lock:
                    self._objects.pop(canonical_key(key), None)
            except InvalidKey as exc:
                failed[key] = exc
        return failed

    def set_up(self) -> Iterable[Change]:
        return []

    def check(self) -> Iterable[Check]:
        return list(check_rights(self))

    def _get(self, key: Key) -> _Object:
        with self._lock:
            found = self._objects.get(canonical_key(key))
        if found is None:
            raise ObjectNotFound(f"store {self.name!r} has no object {key!r}")
        return found

    def _put(self, key: Key, data: bytes, sha256: Sha256 | None, storage_class: str | None) -> None:
        stat = ObjectStat(key, len(data), self._clock(), storage_class, sha256)
        with self._lock:
            self._refuse_existing(key)
            self._objects[key] = _Object(data, stat)

    def _refuse_existing(self, key: Key) -> None:
        if key in self._objects:
            raise ObjectExists(f"store {self.name!r} already has {key!r}")
