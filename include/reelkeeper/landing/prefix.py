"""A landing zone in a store: the objects whose keys start with a prefix."""

import os
import tempfile
from collections.abc import Collection, Iterator, Sequence
from hashlib import sha256 as new_sha256
from pathlib import Path
from typing import Protocol

from reelkeeper.errors import InvalidKey, ObjectNotFound, ReelkeeperError, StoreFull
from reelkeeper.landing.folder import SIDECAR, is_footage_name
from reelkeeper.landing.scratch import Scratch
from reelkeeper.landing.sidecar import Sidecar, parse_sidecar
from reelkeeper.landing.source import Fetched, Found
from reelkeeper.model import Key, Sha256, canonical_key
from reelkeeper.stores.protocols import Deletes, Lists, ObjectStat, Reads, Stats


class ZoneStore(Stats, Lists, Reads, Deletes, Protocol):
    """What a zone needs of its store."""


class PrefixSource:
    """Objects below a prefix. Object stores show whole objects, but a sidecar may come after its footage.

    An object cannot be renamed: what cannot be taken stays, and its row says why.
    """

    settles = True

    def __init__(self, store: ZoneStore, prefix: str, extensions: Collection[str]) -> None:
        self._store = store
        self._prefix = prefix
        self._extensions = frozenset(extensions)
        self._scratch = Scratch()

    def scan(self) -> Iterator[Found]:
        footage: list[ObjectStat] = []
        sidecars: dict[str, ObjectStat] = {}
        for stat in self._store.list(self._prefix):
            if stat.key.endswith(SIDECAR):
                sidecars[stat.key] = stat
            elif self._may_be_footage(stat.key):
                footage.append(stat)
        for stat in sorted(footage, key=lambda stat: stat.key):
            yield self._found(stat, sidecars.get(stat.key + SIDECAR))

    def look_again(self, found: Sequence[Found]) -> list[Found | None]:
        now = {seen.path: seen for seen in self.scan()}
        return [now.get(seen.path) for seen in found]

    def look(self, path: str) -> Found | None:
        stat = self._stat(path)
        return None if stat is None else self._found(stat, self._stat(path + SIDECAR))

    def sidecar(self, path: str) -> Sidecar | None:
        try:
            data = b"".join(self._store.read(self._key(path + SIDECAR)))
        except ObjectNotFound:
            return None
        return parse_sidecar(data, name=path + SIDECAR)

    def fetch(self, path: str) -> Fetched:
        """A temporary file, hashed as it comes."""
        stat = self._store.stat(self._key(path))
        name = path.rpartition("/")[2]
        try:
            descriptor, temporary = tempfile.mkstemp(dir=self._scratch.folder(), suffix=f".{name.rpartition('.')[2]}")
            digest = new_sha256()
            try:
                with os.fdopen(descriptor, "wb") as file:
                    for chunk in self._store.read(stat.key):
                        digest.update(chunk)
                        file.write(chunk)
                size_bytes = Path(temporary).stat().st_size
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except ReelkeeperError:  # the store's, some of which are OSErrors too
            raise
        except OSError as exc:
            raise StoreFull(f"temporary folder {tempfile.gettempdir()!r}: cannot hold {path!r}: {exc}") from exc
        return Fetched(
            Path(temporary), name, size_bytes, stat.last_modified, Sha256(digest.hexdigest()), is_temporary=True
        )

    def discard(self, fetched: Fetched, *, finished: bool) -> None:
        fetched.path.unlink(missing_ok=True)

    def close(self) -> None:
        self._scratch.close()

    def is_replica(self, path: str, store: Stats, key: Key) -> bool:
        return store.name == self._store.name and key == self._prefix + path

    def remove(self, path: str) -> None:
        # The footage first: a sidecar that goes before it would leave the footage to be taken by its path alone.
        for name in (path, path + SIDECAR):
            for error in self._store.delete([self._key(name)]).values():
                raise error

    # --- inside -------------------------------------------------------------------------------------------------------

    def _may_be_footage(self, key: str) -> bool:
        *folders, name = key.removeprefix(self._prefix).split("/")
        try:
            canonical_key(key)
        except InvalidKey:  # nothing can be read by such a key
            return False
        return is_footage_name(name, self._extensions) and not any(folder.startswith(".") for folder in folders)

    def _key(self, path: str) -> Key:
        return canonical_key(self._prefix + path)

    def _stat(self, path: str) -> ObjectStat | None:
        try:
            return self._store.stat(self._key(path))
        except ObjectNotFound:
            return None

    def _found(self, stat: ObjectStat, sidecar: ObjectStat | None) -> Found:
        beside = None if sidecar is None else (sidecar.size_bytes, sidecar.last_modified)
        return Found(stat.key.removeprefix(self._prefix), stat.size_bytes, stat.last_modified, beside)
