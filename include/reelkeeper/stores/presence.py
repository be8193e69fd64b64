"""Whether objects are where they should be, and as large: cheaply, for many at once.

A page of a listing tells about a thousand objects for one request, but also about objects nobody asked for. So keys are
grouped by folder, a group that is worth it is listed under its longest common prefix (an hour of one camera, say), no
further than a bounded number of strangers, and what was not met is asked one by one.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

from reelkeeper.errors import ObjectNotFound
from reelkeeper.model import Key
from reelkeeper.stores.protocols import Lists, ObjectStat, Stats
from reelkeeper.stores.retry import retrying

A = TypeVar("A")
B = TypeVar("B")

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
    found = present(store, list(sizes), concurrency=concurrency)
    return [
        Discrepancy(key, expected, size)
        for key, expected in sorted(sizes.items())
        if (size := stat.size_bytes if (stat := found[key]) else None) != expected
    ]


def present(store: Lookable, keys: Sequence[Key], *, concurrency: int = 16) -> dict[Key, ObjectStat | None]:
    """What the store says about each of the objects; None: it has no such object. Errors as `discrepancies`."""
    found: dict[Key, ObjectStat | None] = {}
    folders: defaultdict[str, list[Key]] = defaultdict(list)
    for key in keys:
        folders[key.rpartition("/")[0]].append(key)
    runs = [run for some in folders.values() if len(some) >= _WORTH_LISTING for run in _runs(some)]
    for met in _at_once(lambda run: _listed(store, *run), runs, concurrency):
        found.update(met)
    left = [key for key in keys if key not in found]
    found.update(zip(left, _at_once(lambda key: _asked(store, key), left, concurrency), strict=True))
    return found


def _runs(keys: list[Key]) -> Iterator[tuple[str, list[Key]]]:
    """The keys by prefixes to list.

    Keys of one camera follow one another in time. A run over a border (from 09:59 to 10:00, say) has a common prefix
    that is much wider than the run: its two sides are listed apart.
    """
    prefix = os.path.commonprefix(keys)  # noqa: RUF071 - a prefix of keys need not end at a slash
    sides: defaultdict[str, list[Key]] = defaultdict(list)
    for key in keys:
        sides[key[: len(prefix) + 1]].append(key)
    if len(sides) == 2 and min(map(len, sides.values())) >= _WORTH_LISTING:
        for side in sides.values():
            yield from _runs(side)
    else:
        yield prefix, keys


def _listed(store: Lookable, prefix: str, keys: list[Key]) -> dict[Key, ObjectStat]:
    """Those of `keys` that a bounded listing met. One that it did not meet may still be there."""
    wanted, met = set(keys), dict[Key, ObjectStat]()
    strangers = _STRANGERS_PER_OBJECT * len(keys)
    for stat in store.list(prefix):
        if stat.key in wanted:
            met[stat.key] = stat
            if len(met) == len(wanted):
                break
        else:
            strangers -= 1
            if not strangers:
                break
    return met


def _asked(store: Lookable, key: Key) -> ObjectStat | None:
    try:
        return retrying()(store.stat, key)
    except ObjectNotFound:
        return None


def _at_once(look: Callable[[A], B], what: list[A], concurrency: int) -> Iterator[B]:
    """Look at many things at once; the results in order. The first error is raised."""
    if what:
        with ThreadPoolExecutor(min(concurrency, len(what)), thread_name_prefix="presence") as pool:
            yield from pool.map(look, what)
