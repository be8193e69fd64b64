"""Whatever an estate looks like: what is owed keeps a good copy, a lock always wins, and what is over goes."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reelkeeper.model import ReplicaState, Segment, StoreName
from reelkeeper.policy.retention import Lock, covers
from reelkeeper.retention.job import condemn_due, plan_retention
from reelkeeper.settings import Retention, RetentionCaps
from reelkeeper.stores.memory import MemoryStore
from tests.retention.rig import CLOUD, DISK, START, Rig

DAY = timedelta(days=1)
STORES = (DISK, CLOUD)


@dataclass(frozen=True)
class Case:
    """One segment: how old it is, what its copies are like, and what else is going on with it."""

    days: int
    states: dict[StoreName, str]  # 'gone': available in the catalogue, and not in the store
    retires: bool
    held: bool
    retention_days: int | None


cases = st.builds(
    Case,
    st.integers(0, 60),
    st.dictionaries(
        st.sampled_from(STORES), st.sampled_from(["available", "available", "suspicious", "lost", "gone"]), min_size=1
    ),
    st.booleans(),
    st.integers(0, 4).map(lambda number: number == 0),
    st.sampled_from([None, None, 10, 50]),
)
quotas = st.none() | st.integers(1, 8).map(lambda number: number * 100)


@pytest.fixture
def rig(rig: Rig) -> Rig:
    caps = RetentionCaps(soft_count=10**6, soft_ratio=1, hard_count=10**6, hard_ratio=1)
    rig.sections |= {"retention": Retention(grace_hours=0, default_days=30), "retention_caps": caps}
    return rig


def build(rig: Rig, given: list[Case]) -> list[Segment]:
    rig.sql("TRUNCATE segments, replicas, thumbnails, locks, condemnations, deletions, cameras CASCADE")
    rig.stores = {name: MemoryStore(name) for name in STORES}
    made = []
    for number, case in enumerate(given):
        camera, start = f"camera-{number}", START + case.days * DAY
        (segment,) = rig.record(
            1, camera=camera, start=start, stores=tuple(case.states), retention_days=case.retention_days
        )
        made.append(segment)
        for store, state in case.states.items():
            if state in ("gone", "lost"):
                rig.stores[store].delete([rig.replicas(segment)[store].path])
            if state != "gone":
                rig.sql("UPDATE replicas SET state = %s WHERE store = %s AND segment_id = %s",
                        (state, store, str(segment.id)))  # fmt: skip
        if case.retires:
            rig.sql("UPDATE replicas SET retire_after = %s WHERE store = 'disk' AND segment_id = %s",
                    (start, str(segment.id)))  # fmt: skip
        if case.held:
            rig.catalogue.locks.place(Lock("legal_hold", "c", segment.camera_id), created_by="me", now=START)
    return made


def good(rig: Rig, segment: Segment) -> set[str]:
    """The stores whose copy is available and right."""
    return {
        store
        for store, replica in rig.replicas(segment).items()
        if replica.state is ReplicaState.AVAILABLE and replica.path in rig.keys(store)
    }


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given=st.lists(cases, min_size=1, max_size=8), quota=st.tuples(quotas, quotas), day=st.integers(20, 90))
def test_what_is_owed_keeps_a_good_copy(rig: Rig, given: list[Case], quota: tuple[Any, Any], day: int) -> None:
    segments, now = build(rig, given), START + day * DAY
    rig.settings = {store: {"quota": limit} for store, limit in zip(STORES, quota, strict=True) if limit}
    before = {segment.id: good(rig, segment) for segment in segments}
    planned = {plan.store: plan.found for plan in plan_retention(rig.estate, rig.catalogue, now=now).stores}
    for store in STORES:
        found = condemn_due(rig.estate, rig.catalogue, store, run_id=f"run {store}", now=now)
        if store is DISK:
            assert found == planned[store]
    for store in (*STORES, *STORES):
        rig.delete(store, now=now)
    locks = rig.catalogue.locks.on([], [segment.camera_id for segment in segments], now=now)
    for case, segment in zip(given, segments, strict=True):
        held = any(covers(lock, segment.camera_id, segment.id, range_of(segment)) for lock in locks)
        over = now >= segment.end_time + (case.retention_days or 30) * DAY
        assert held == case.held
        if held:
            assert good(rig, segment) == before[segment.id]
        elif over:
            assert rig.replicas(segment) == {}
            assert rig.catalogue.segments.get(segment.id) is None
        elif before[segment.id]:
            assert good(rig, segment), "the last good copy of what is owed is gone"
    assert rig.condemned() == {}


def range_of(segment: Segment) -> Any:
    from reelkeeper.model import TimeRange

    return TimeRange(segment.start_time, segment.end_time)
