"""Whether objects are where they should be, and as large: cheaply, for many at once.

A page of a listing tells about a thousand objects for one request, but also about objects nobody asked for. So keys are
grouped by folder, a group that is worth it is listed under its longest common prefix (an hour of one camera, say), no
further than a bounded number of strangers, and what was not met is asked one by one.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from reelkeeper.errors import ObjectNotFound
from reelkeeper.model import Key
from reelkeeper.stores.protocols import Lists, Stats
from reelkeeper.stores.retry import retrying

_WORTH_LISTING = 8
"""Objects in one folder from which on a listing costs less than asking for each."""
_STRANGERS_PER_OBJECT = 20
"""How many other objects a listing may meet for each object that it looks for, before it is given up."""


class Lookable(Lists, Stats, Protocol):
    """A store that can be looked at in both ways."""


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """An object that is not there (`found_bytes` None) or has another size than it should."""

    key: Key
    expected_bytes: int
    found_bytes: int | None

    def __str__(self) -> str:
        found = "is missing" if self.found_bytes is None else f"has {self.found_bytes} bytes"
        return f"{self.key!r} {found}: expected {self.expected_bytes} bytes"


def discrepancies(store: Lookable, sizes: Mapping[Key, int], *, concurrency: int = 16) -> list[Discrepancy]:
    """Those of the objects that are missing or have another size in bytes than `sizes` says, by key.

    A StoreUnavailable passes through: what could not be looked at is unknown, not missing.
    """
    found: dict[Key, int | None] = {}
    folders: defaultdict[str, list[Key]] = defaultdict(list)
    for key in sizes:
        folders[key.rpartition("/")[0]].append(key)
    for keys in folders.values():
        if len(keys) >= _WORTH_LISTING:
            found.update(_listed(store, keys))
    found.update(_asked(store, [key for key in sizes if key not in found], concurrency))
    return [Discrepancy(key, expected, found[key]) for key, expected in sorted(sizes.items()) if found[key] != expected]


def _listed(store: Lookable, keys: list[Key]) -> dict[Key, int | None]:
    """Sizes of those of `keys` that a bounded listing met. One that it did not meet may still be there."""
    wanted, met = set(keys), dict[Key, int | None]()
    strangers = _STRANGERS_PER_OBJECT * len(keys)
    for stat in store.list(os.path.commonprefix(keys)):  # noqa: RUF071 - a prefix of keys need not end at a slash
        if stat.key in wanted:
            met[stat.key] = stat.size_bytes
            if len(met) == len(wanted):
                break
        else:
            strangers -= 1
            if not strangers:
                break
    return met


def _asked(store: Lookable, keys: list[Key], concurrency: int) -> Iterator[tuple[Key, int | None]]:
    retry = retrying()

    def ask(key: Key) -> int | None:
        try:
            return retry(store.stat, key).size_bytes
        except ObjectNotFound:
            return None

    if keys:
        with ThreadPoolExecutor(min(concurrency, len(keys)), thread_name_prefix="presence") as pool:
            yield from zip(keys, pool.map(ask, keys), strict=True)
