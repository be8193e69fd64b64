"""A kill, or a fault, between any two steps: what is owed is all there, and a clean re-run finishes the work."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from reelkeeper.errors import CatalogueUnavailable, ReelkeeperError, StoreUnavailable
from reelkeeper.model import Segment
from reelkeeper.retention import deleting
from reelkeeper.stores.memory import MemoryStore
from tests.retention.mortal import Death, Fate, disks, prepare, run_all, world
from tests.retention.rig import CLOUD, DISK, Rig

ROOT = Path(__file__).parents[2]
NEVER = 10**9


@pytest.fixture
def rig(tmp_path: Path, catalogue_dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(deleting, "_WORKERS", 1)
    made = Rig(tmp_path, catalogue_dsn, {name: MemoryStore(name) for name in (DISK, CLOUD)})
    prepare(made)
    yield made
    made.catalogue.close()


def owed(made: dict[str, list[Segment]]) -> list[Segment]:
    return [segment for what, segments in made.items() if what != "expired" for segment in segments]


def assert_converged(rig: Rig, made: dict[str, list[Segment]]) -> None:
    """All that is owed is there, nothing else is, and the rows say the same."""
    rig.assert_owed_is_there(owed(made))
    assert rig.condemned() == {}
    for segment in made["expired"]:
        assert rig.catalogue.segments.get(segment.id) is None
    for segment in made["held"] + made["raised"]:
        assert {replica.state for replica in rig.replicas(segment).values()} == {"available"}
    for segment in made["retiring"]:
        assert set(rig.replicas(segment)) == {CLOUD}
    for store in (DISK, CLOUD):
        rows = rig.sql("SELECT path FROM replicas WHERE store = %s AND state = 'available'", (store,))
        assert rig.keys(store, "") == {path for (path,) in rows}


def steps(rig: Rig) -> int:
    """How many calls a run makes that nothing disturbs."""
    fate = Fate(NEVER, after=False, fail=lambda: None)
    made = world(rig, 0)
    run_all(rig, fate)
    assert_converged(rig, made)
    return len(fate.calls)


def die() -> None:
    raise Death


def no_store() -> None:
    raise StoreUnavailable("no answer")


def no_catalogue() -> None:
    raise CatalogueUnavailable("no answer")


def test_a_death_at_any_step_loses_nothing(rig: Rig) -> None:
    number = steps(rig)
    assert number > 20
    for at in range(number):
        made = world(rig, at + 1)
        with suppress(Death):  # a call that fails by itself is not died after
            run_all(rig, Fate(at, after=bool(at % 2), fail=die))
        rig.assert_owed_is_there(owed(made), ("available", "condemned"))
        run_all(rig)
        assert_converged(rig, made)


@pytest.mark.parametrize(("fail", "first"), [(no_store, 0), (no_catalogue, 2)])
def test_a_fault_at_any_step_loses_nothing(rig: Rig, fail: Callable[[], None], first: int) -> None:
    for at in range(first, steps(rig), 5):
        made = world(rig, at + 1)
        with suppress(ReelkeeperError):
            run_all(rig, Fate(at, after=bool(at % 2), fail=fail))
        run_all(rig)
        assert_converged(rig, made)


def test_a_worker_that_is_killed_loses_nothing(rig: Rig, catalogue_dsn: str) -> None:
    rig.stores = disks(rig.root)  # which outlive a process
    number = steps(rig)
    for at in range(3, number, number // 3):
        made = world(rig, at)
        done = subprocess.run(
            [sys.executable, "-m", "tests.retention.mortal", str(rig.root), catalogue_dsn, str(at), "after"],
            cwd=ROOT, check=False, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == -signal.SIGKILL, done.stderr
        run_all(rig)
        assert_converged(rig, made)
