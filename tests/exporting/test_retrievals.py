"""What exports read is counted with its duration: each try at a copy once, and again when it is read again."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest

from reelkeeper.catalogue.export_records import Export
from reelkeeper.errors import ObjectNotFound, StoreTimeout, StoreUnavailable
from reelkeeper.exporting.job import cut_camera
from reelkeeper.model import Key
from reelkeeper.reporting.figures import Durations
from reelkeeper.stores.body import Body
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import WriteOptions
from tests.exporting.conftest import CLOUD, DISK, NOW, Rig
from tests.owning import owned

TICK = timedelta(seconds=2)
FIRST = {"end_time": "2026-03-01T10:00:02Z"}


class Faltering(MemoryStore):
    """Gives no footage at the first so many calls, and takes no export when it is told so."""

    failures = 0
    takes_exports = True

    def read(self, key: Key) -> Iterator[bytes]:
        if self.failures and key.startswith("media/"):
            self.failures -= 1
            raise StoreTimeout(f"store {self.name!r} did not answer in time")
        return super().read(key)

    def write(self, key: Key, body: Body, options: WriteOptions = WriteOptions()) -> None:
        if key.startswith("exports/") and not self.takes_exports:
            raise StoreUnavailable(f"store {self.name!r} did not answer")
        super().write(key, body, options)


@pytest.fixture
def cloud(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Faltering:
    """The cloud store, which can be made to falter."""
    monkeypatch.setattr("reelkeeper.stores.retry.FIRST_WAIT_SECONDS", 0.01)
    store = Faltering(CLOUD)
    rig.stores[CLOUD] = owned(store, rig.catalogue)
    return store


def ticking() -> Callable[[], datetime]:
    """A clock that goes on by two seconds each time that somebody looks at it."""
    moment = NOW

    def now() -> datetime:
        nonlocal moment
        moment += TICK
        return moment

    return now


def cut(rig: Rig, export: Export) -> bool:
    """Cut the camera; whether that had been done."""
    result = cut_camera(
        rig.estate, rig.catalogue, rig.open_store, export.id, 0, run_id=str(export.run_id), now=ticking()
    )
    return result.already


def told(rig: Rig) -> list[tuple[str, str | None, int, Durations]]:
    rig.catalogue.tallies.fold()
    assert set(rig.catalogue.tallies.drift().values()) == {0}
    return [(each.store, each.error_code, each.segments, each.durations) for each in rig.catalogue.tallies.retrievals()]


def took(times: int) -> Durations:
    """So many of two seconds each."""
    classes = [0] * 13
    classes[5] = times  # up to 2.5 s
    return Durations(times, 2.0 * times, tuple(classes))


def test_each_segment_of_an_export_is_counted_with_its_bytes_and_duration(rig: Rig) -> None:
    segments = rig.record([0, 1, 2], stores=(DISK,)) + rig.record([3], stores=(CLOUD,))
    export = rig.made()
    rows = rig.sql("SELECT export_id, segment_id, store, outcome, size_bytes FROM retrievals ORDER BY start_time")
    assert [tuple(map(str, row)) for row in rows] == [
        (str(export.id), str(segment.id), store, "succeeded", str(segment.size_bytes))
        for segment, store in zip(segments, (DISK, DISK, DISK, CLOUD), strict=True)
    ]
    sums = {each.store: (each.segments, each.size_bytes) for each in rig.catalogue.tallies.retrievals()}
    assert sums == {
        DISK: (3, sum(segment.size_bytes for segment in segments[:3])), CLOUD: (1, segments[3].size_bytes)
    }  # fmt: skip


def test_a_copy_that_is_wrong_is_a_failure_of_its_store_and_the_next_one_is_read(rig: Rig) -> None:
    [segment] = rig.record([0], stores=(DISK, CLOUD))
    [(path,)] = rig.sql("SELECT path FROM replicas WHERE store = 'disk'")
    (rig.root / "disk" / path).write_bytes(bytes(segment.size_bytes))
    cut(rig, rig.accept(**FIRST))
    assert told(rig) == [(CLOUD, None, 1, took(1)), (DISK, "source_corrupted", 1, took(1))]


@pytest.mark.parametrize(("failures", "error"), [(2, None), (3, "store_timeout")])
def test_calls_that_are_tried_again_are_one(rig: Rig, cloud: Faltering, failures: int, error: str | None) -> None:
    rig.record([0], stores=(CLOUD,))
    cloud.failures = failures
    export = rig.accept(**FIRST)
    if error is None:
        cut(rig, export)
    else:
        with pytest.raises(StoreTimeout):
            cut(rig, export)
    assert cloud.failures == 0
    assert told(rig) == [(CLOUD, error, 1, took(1))]


def test_what_is_read_again_is_counted_again_and_what_is_cut_is_not_read(rig: Rig, cloud: Faltering) -> None:
    """The store of exports fails after the footage was read; the task begins anew."""
    rig.record([0])
    export = rig.accept(**FIRST)
    cloud.takes_exports = False
    with pytest.raises(StoreUnavailable):
        cut(rig, export)
    cloud.takes_exports = True
    assert told(rig) == [(DISK, None, 1, took(1))]
    assert not cut(rig, export)
    assert told(rig) == [(DISK, None, 2, took(2))]
    assert cut(rig, export)
    assert told(rig) == [(DISK, None, 2, took(2))]
    assert rig.sql("SELECT count(*) FROM export_sources") == [(1,)]


def test_what_could_not_be_read_anywhere_is_counted_though_nothing_is_cut(rig: Rig) -> None:
    rig.record([0], stores=(CLOUD,))
    rig.stores[CLOUD].delete([stat.key for stat in rig.stores[CLOUD].list("media/")])
    with pytest.raises(ObjectNotFound):
        cut(rig, rig.accept(**FIRST))
    assert told(rig) == [(CLOUD, "object_not_found", 1, took(1))]
