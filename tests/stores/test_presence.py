"""Looking for many objects at once: by listing where that is cheaper, by asking for each where not."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelkeeper.errors import StoreUnavailable
from reelkeeper.model import Key, StoreName
from reelkeeper.stores.body import Body
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.presence import Discrepancy, discrepancies
from reelkeeper.stores.protocols import ObjectStat


class CountingStore(MemoryStore):
    """A memory store that counts what it is asked."""

    def __init__(self) -> None:
        super().__init__(StoreName("cloud"))
        self.stats = self.listed = 0

    def stat(self, key: Key) -> ObjectStat:
        self.stats += 1
        return super().stat(key)

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        for stat in super().list(prefix):
            self.listed += 1
            yield stat


def store_of(sizes: dict[Key, int]) -> CountingStore:
    store = CountingStore()
    for key, size in sizes.items():
        store.write(key, Body.of_bytes(bytes(size)))
    return store


def keys(folder: str, number: int) -> list[Key]:
    return [Key(f"{folder}/{index:05}.mp4") for index in range(number)]


_FOLDERS = st.sampled_from(["media/a/2026/01/01", "media/a/2026/01/02", "media/b/2026/01/01"])
_KEYS = st.builds(lambda folder, index: Key(f"{folder}/{index:03}.mp4"), _FOLDERS, st.integers(0, 30))


@given(
    there=st.dictionaries(_KEYS, st.integers(1, 3), max_size=60),
    expected=st.dictionaries(_KEYS, st.integers(1, 3), max_size=60),
)
def test_finds_exactly_what_differs(there: dict[Key, int], expected: dict[Key, int]) -> None:
    found = discrepancies(store_of(there), expected)
    assert found == [
        Discrepancy(key, size, there.get(key)) for key, size in sorted(expected.items()) if there.get(key) != size
    ]


def test_a_full_folder_is_listed_and_nothing_is_asked() -> None:
    sizes = dict.fromkeys(keys("media/a", 1000), 1)
    store = store_of(sizes)
    assert discrepancies(store, sizes) == []
    assert (store.stats, store.listed) == (0, 1000)


def test_few_objects_among_many_others_are_asked_for() -> None:
    everything = dict.fromkeys(keys("media/a", 5000), 1)
    store = store_of(everything)
    few = dict(list(everything.items())[-20:])
    scattered = {Key("media/a/00000.mp4"): 1} | few  # no common prefix to list under
    assert discrepancies(store, scattered) == []
    assert store.listed <= 1 + 20 * 21
    assert store.stats == 20


def test_what_cannot_be_looked_at_is_unknown() -> None:
    class Gone(CountingStore):
        def list(self, prefix: str = "") -> Iterator[ObjectStat]:
            raise StoreUnavailable("no marker")

    with pytest.raises(StoreUnavailable, match="no marker"):
        discrepancies(Gone(), dict.fromkeys(keys("media/a", 20), 1))


def test_a_discrepancy_reads_like_a_fact() -> None:
    assert str(Discrepancy(Key("a.ts"), 5, None)) == "'a.ts' is missing: expected 5 bytes"
    assert str(Discrepancy(Key("a.ts"), 5, 4)) == "'a.ts' has 4 bytes: expected 5 bytes"
