"""Random histories of all jobs, with faults between any two steps and harm from outside.

Whatever happens, in whatever order: **the last verified copy of a segment that is still owed is never gone**, and jobs
that run undisturbed for a while bring the estate into order.

`REELKEEPER_TEST_HISTORIES=500` tries so many, others each time; without it, the same few.
"""

import os
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.histories.faults import KINDS, Fault
from tests.histories.world import STORES, World

MANY = int(os.environ.get("REELKEEPER_TEST_HISTORIES", "0"))
CAMERAS = ("gate", "yard")

Step = tuple[object, ...]
stores, cameras = st.sampled_from(STORES), st.sampled_from(CAMERAS)
faults = st.none() | st.builds(Fault, st.sampled_from(KINDS), st.integers(1, 30), st.booleans())


def step(name: str, *arguments: st.SearchStrategy[object]) -> st.SearchStrategy[Step]:
    return st.tuples(st.just(name), *arguments)


def scene(*steps: st.SearchStrategy[Step]) -> st.SearchStrategy[list[Step]]:
    """Steps that mean something together: alone they would rarely come in this order."""
    return st.tuples(*steps).map(list)


ingest, migrate, tier = step("ingest", cameras, faults), step("migrate", faults), step("tier", faults)
verify, reconcile, retain = (
    step("verify", stores, faults),
    step("reconcile", stores, faults),
    step("retain", stores, faults),
)
again = step("again", faults)
hold, release, litter = step("hold", cameras), step("release"), step("litter", stores)
harm = step("harm", stores, st.integers(0, 5), st.booleans())
day, days = step("wait", st.just(25)), step("wait", st.sampled_from([1, 25, 24 * 4]))
retain_disk = step("retain", st.just("disk"), faults)
harm_cloud = step("harm", st.just("cloud"), st.integers(0, 5), st.booleans())
any_step = st.one_of(
    ingest, migrate, tier, verify, reconcile, retain, again, step("bring_back", stores, cameras, faults), hold, release,
    days,
    harm, litter, step("switch", st.sampled_from(["local", "cloud", "hybrid"])),
)  # fmt: skip
scenes = st.one_of(
    any_step.map(lambda one: [one]),
    scene(migrate, step("wait", st.just(24 * 4)), retain_disk, harm_cloud, day, retain_disk),  # retired, but not safe
    scene(migrate, step("wait", st.just(24 * 4)), retain_disk, reconcile, day, retain_disk),
    scene(harm, reconcile, any_step, reconcile, reconcile),
    scene(migrate, again, tier, again, again),
    scene(step("wait", st.just(24 * 9)), retain, hold, day, retain, release, retain),
    scene(tier, harm, day, retain, tier, day, retain),
    scene(litter, day, reconcile, day, reconcile, step("wait", st.just(24 * 3)), reconcile),
)
histories = st.lists(scenes, min_size=2, max_size=8).map(lambda parts: [one for part in parts for one in part])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waits between tries, or for others; and fewer costs to reckon."""
    from tenacity import wait_none

    from reelkeeper.migration import batch as migration_batch
    from reelkeeper.stores import retry
    from reelkeeper.tiering import choices as tier_choices
    from reelkeeper.tiering import job as tiering

    for module in (tier_choices, tiering):
        monkeypatch.setattr(module, "KEPT_DAYS", (1, 5, 10, 20, 30, 40))
    monkeypatch.setattr(retry, "wait_exponential_jitter", lambda **_: wait_none())
    monkeypatch.setattr(migration_batch, "_POLL_SECONDS", 0.01)


@settings(
    max_examples=MANY or 10,
    derandomize=not MANY,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink] if MANY else [Phase.generate],
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
)
@given(
    history=histories,
    at_ingest=st.sampled_from(["local", "rollout"]),
    quota=st.sampled_from([None, None, 3000]),
)
def test_the_last_copy_is_never_gone(
    history: list[Step], at_ingest: str, quota: int | None, catalogue_dsn: str, tmp_path: Path
) -> None:
    with closing(World(catalogue_dsn, tmp_path, at_ingest=at_ingest, quota=quota)) as world:
        for camera in CAMERAS:
            world.ingest(camera)
            world.check()
            world.wait(1)
        for name, *arguments in history:
            world.do(str(name), *arguments)
        settle(world)
        converged(world)


def settle(world: World) -> None:
    """Everything runs undisturbed for some days."""
    world.mode = "hybrid"
    world.age_work_lists(24 * 8)  # longer than any run waits for a person: what dead ones left is taken over
    for _ in range(5):
        world.wait(25)
        every_job(world)


def every_job(world: World) -> None:
    if world.landing:
        world.ingest("gate")
    world.migrate()
    for store in STORES:
        world.verify(store)
        world.reconcile(store)
        world.retain(store)
    world.tier()
    world.check()


def converged(world: World) -> None:
    """The catalogue and the stores agree, nothing is left to do, and doing it all again changes nothing."""
    assert not world.landing
    for identity in world.recorded:
        if world.is_owed(identity):
            assert "available" in world.states(identity), f"no available replica: {world.told(identity)}"
    assert world.sql("SELECT count(*) FROM transfer_items WHERE state IN ('pending', 'claimed')") == [(0,)]
    assert world.sql("SELECT count(*) FROM tier_moves WHERE state IN ('pending', 'claimed')") == [(0,)]
    for store, path, size in world.sql("SELECT store, path, size_bytes FROM replicas WHERE state = 'available'"):
        assert len(world.stores[store]._objects[path].data) == size
    before = world.picture()
    every_job(world)
    assert world.picture() == before
