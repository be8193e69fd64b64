"""A hold that was placed is a promise."""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from reelkeeper.errors import CatalogueUnavailable, ConfigurationError, StoreUnavailable
from reelkeeper.model import Key, ReplicaState, SegmentId
from reelkeeper.retention.holds import place_hold, release_hold
from reelkeeper.stores.memory import MemoryStore
from tests.retention.rig import CLOUD, LATE, NOW, START, STEP, TENANT, Rig


def place(rig: Rig, **terms):
    terms = {"reason": "case 7", "created_by": "me", "now": NOW} | terms
    with rig.open_catalogue() as catalogue:
        return place_hold(catalogue, TENANT, **terms)


class Slow(MemoryStore):
    """A cloud that takes its time to delete, and notes when."""

    def __init__(self) -> None:
        super().__init__(CLOUD)
        self.begun = threading.Event()
        self.deleted_at: list[float] = []

    def delete(self, keys: Sequence[Key]) -> Mapping[Key, Exception]:
        self.begun.set()
        time.sleep(0.2)
        done = super().delete(keys)
        self.deleted_at.append(time.monotonic())
        return done


def test_after_a_hold_is_placed_nothing_is_deleted_any_more(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reelkeeper.retention.deleting.CHUNK", 3)
    cloud = Slow()
    rig.stores[CLOUD] = cloud
    segments = rig.record(60)
    rig.condemn(segments, CLOUD, now=LATE)
    with ThreadPoolExecutor(2) as pool:
        workers = [pool.submit(rig.delete, CLOUD, now=LATE, run_id=f"run {number}") for number in range(2)]
        assert cloud.begun.wait(10)
        place(rig, cameras=["gate"])
        held_at = time.monotonic()
        left = len(rig.keys(CLOUD))
        results = [worker.result() for worker in workers]
    assert max(cloud.deleted_at) <= held_at
    assert 0 < left < 60
    assert len(rig.keys(CLOUD)) == left
    assert sum(result.deleted for result in results) == 60 - left
    assert sum(result.spared for result in results) == left
    assert {rig.replicas(segment)[CLOUD].state for segment in segments if CLOUD in rig.replicas(segment)} == {
        ReplicaState.AVAILABLE
    }


@pytest.mark.parametrize("fails", [False, True])
def test_after_the_connection_broke_no_further_request_deletes_what_is_held(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    monkeypatch.setattr("reelkeeper.retention.deleting.REQUEST", 2)

    class Cut(MemoryStore):
        def delete(self, keys: Sequence[Key]) -> Mapping[Key, Exception]:
            if not rig.catalogue.locks.list(now=LATE):
                rig.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE state = 'idle in transaction' AND datname = current_database()")  # fmt: skip
                place(rig, cameras=["gate"])
                if fails:
                    raise StoreUnavailable("no answer")
            return super().delete(keys)

    rig.stores[CLOUD] = Cut(CLOUD)
    segments = rig.record(6)
    rig.condemn(segments, CLOUD, now=LATE)
    with pytest.raises(CatalogueUnavailable):
        rig.delete(CLOUD, now=LATE)
    assert len(rig.keys(CLOUD)) == (6 if fails else 4)  # what was on its way when the connection broke is gone
    assert rig.delete(CLOUD, now=LATE).spared == 6


def test_it_tells_what_it_covers_now(rig: Rig) -> None:
    segments = rig.record(10)
    rig.record(5, camera="yard")
    rig.condemn(segments[:2])
    (one,) = place(rig, cameras=["gate"], start=START + STEP, end=START + 3 * STEP)
    assert (one.what, one.covered.segments, one.covered.size_bytes, one.covered.condemned) == (
        "camera default/gate", 2, 200, 1
    )  # fmt: skip
    both = place(rig, cameras=["gate", "default/yard", str(segments[0].camera_id), "gate"])
    assert [hold.covered.segments for hold in both] == [10, 5, 10]
    assert place(rig, segment_id=segments[0].id)[0].covered.segments == 1
    assert place(rig, every_camera=True)[0].covered.segments == 15


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        ({}, "expected one of cameras, a segment, or every camera; got none"),
        ({"cameras": ["gate"], "every_camera": True}, "got cameras and every camera"),
        ({"cameras": ["gaet"]}, r"camera 'gaet' is not in the catalogue: expected one such as \['gate'\]"),
        ({"cameras": ["gate"], "reason": " "}, "needs a reason"),
        ({"cameras": ["gate"], "start": START, "end": START}, "expected a time after 'from'"),
        ({"cameras": ["gate"], "expires_at": NOW}, "expected a time to come"),
        ({"segment_id": SegmentId(UUID(int=7))}, "is not in the catalogue: nothing to hold"),
        ({"segment_id": SegmentId(UUID(int=7)), "start": START}, "held whole"),
    ],
)
def test_terms_that_make_no_sense_are_told(rig: Rig, terms, says: str) -> None:
    rig.record(1)
    with pytest.raises(ConfigurationError, match=says):
        place(rig, **terms)
    assert rig.catalogue.locks.list(now=NOW) == []


def test_a_hold_is_released_once_and_stays_on_record(rig: Rig) -> None:
    rig.record(1)
    (one,) = place(rig, cameras=["gate"], expires_at=NOW + timedelta(days=1))
    assert [lock.id for lock in rig.catalogue.locks.list(now=NOW)] == [one.id]
    assert rig.catalogue.locks.list(now=NOW + timedelta(days=1)) == []
    released = release_hold(rig.catalogue, one.id, released_by="you", now=NOW)
    assert (released.camera, released.released_by) == ("default/gate", "you")
    with pytest.raises(ConfigurationError, match="was released already, by 'you'"):
        release_hold(rig.catalogue, one.id, released_by="me", now=NOW)
    with pytest.raises(ConfigurationError, match="no hold has the id"):
        release_hold(rig.catalogue, uuid4(), released_by="me", now=NOW)
    assert rig.catalogue.locks.list(now=NOW) == []
    assert len(rig.catalogue.locks.list(now=NOW, with_ended=True)) == 1
