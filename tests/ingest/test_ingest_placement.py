"""Footage comes to the place that policy wants, and asks for its migration where that has passed by."""

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reelkeeper.errors import BucketNotFound, StoreFull, StoreUnavailable
from reelkeeper.model import Key
from reelkeeper.stores.body import Body
from tests.ingest.rig import START, Rig, digest, name


@pytest.mark.parametrize(
    ("placement", "percentage", "in_cloud"),
    [
        ({"mode": "local", "at_ingest": "rollout"}, 100, 0),
        ({"mode": "cloud", "at_ingest": "local"}, 0, 0),
        ({"mode": "cloud", "at_ingest": "rollout"}, 0, 12),
        ({"mode": "hybrid", "at_ingest": "rollout"}, 0, 0),
        ({"mode": "hybrid", "at_ingest": "rollout"}, 100, 12),
        ({"mode": "hybrid", "at_ingest": "local"}, 100, 0),
    ],
)
def test_mode_and_percentage_decide_the_store(
    rig: Rig, placement: dict[str, str], percentage: int, in_cloud: int
) -> None:
    rig.placement |= placement
    rig.settings["rollout"] = {"percentage": percentage}
    for number in range(12):
        rig.lands(f"gate/{name(number)}", number=number % 3)
    assert rig.run().ingested == 12
    assert sum(key.startswith("cloud:") for key in rig.replica_digests()) == in_cloud
    assert not rig.left()


class Broken:
    """A store that refuses, as one does that is down, has gone, or is full."""

    def __init__(self, store: Any, error: Exception) -> None:
        self._store, self._error, self.asked = store, error, 0

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._store, attribute)

    def write(self, key: Key, body: Body, *options: Any) -> None:
        self.asked += 1
        raise self._error

    def link_in(self, source: Path, key: Key) -> bool:
        self.asked += 1
        raise self._error


@pytest.mark.parametrize("error", [StoreUnavailable("503"), BucketNotFound("no bucket"), StoreFull("quota")])
def test_when_the_cloud_fails_footage_falls_back(rig: Rig, error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    rig.placement |= {"mode": "cloud", "at_ingest": "rollout"}
    rig.cloud = Broken(rig.cloud, error)
    for number in range(30):
        rig.lands(f"gate/{name(number)}", number=number % 3)
    with caplog.at_level(logging.WARNING):
        result = rig.run()
    assert (result.ingested, result.fallbacks, result.failed, rig.left()) == (30, 30, 0, [])
    assert all(key.startswith("local:") for key in rig.replica_digests())
    assert rig.rows("SELECT reason, priority, count(*) FROM migration_requests GROUP BY 1, 2") == [("fallback", 10, 30)]
    assert rig.rows("SELECT count(*) FROM transfers WHERE fallback AND outcome = 'succeeded'") == [(30,)]
    ((failed, code),) = rig.rows("SELECT count(*), min(error_code) FROM transfers WHERE outcome = 'failed'")
    assert 1 <= failed <= 25, "a store that keeps failing is dropped for the batch"
    assert code == error.code  # type: ignore[attr-defined]
    assert rig.cloud.asked <= 3 * 25
    assert "falls back to store 'local'" in caplog.text


def test_a_full_local_store_loses_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = sorted(digest(rig.lands(f"gate/{name(number)}", number=number)) for number in range(3))
    open_store = rig.open_store
    monkeypatch.setattr(rig, "open_store", lambda _: Broken(rig.local, StoreFull("no space left on device")))
    plan = rig.plan()
    with pytest.raises(StoreFull):
        rig.batch(plan.batches[0].id)
    assert len(rig.left()) == 3
    assert not rig.rows("SELECT * FROM segments")
    monkeypatch.setattr(rig, "open_store", open_store)
    assert rig.run().ingested + rig.batch(plan.batches[0].id).ingested == 3
    assert sorted(rig.replica_digests().values()) == digests


def test_late_footage_asks_for_its_migration(rig: Rig) -> None:
    rig.settings["rollout"] = {"percentage": 100}
    rig.lands(f"gate/{name(0)}")
    rig.now = START + timedelta(minutes=61)
    rig.lands("gate/20260301T010000Z.mp4", number=1)
    result = rig.run()
    assert (result.ingested, result.late) == (2, 1)
    assert rig.rows("SELECT start_time, reason FROM migration_requests") == [(START, "late")]


def test_footage_across_the_hour_is_late_once_its_hour_was_planned(rig: Rig) -> None:
    """The hour from 00:00 is planned at 02:00, before this footage ended an hour ago."""
    rig.settings["rollout"] = {"percentage": 100}
    rig.lands("gate/20260301T005955Z.mp4")
    rig.now = START + timedelta(hours=2, seconds=3)
    assert rig.run().late == 1


def test_footage_that_is_nearly_late_asks_for_its_migration(rig: Rig) -> None:
    """The hour is planned while the footage is on its way, or by a clock that is ahead."""
    rig.settings["rollout"] = {"percentage": 100}
    rig.lands("gate/20260301T010000Z.mp4")
    rig.now = START + timedelta(hours=1, minutes=59)
    assert rig.run().late == 1


@pytest.mark.parametrize(("mode", "percentage", "late"), [("hybrid", 0, 0), ("cloud", 0, 1), ("hybrid", 100, 1)])
def test_late_footage_that_the_rollout_does_not_want_asks_for_nothing(
    rig: Rig, mode: str, percentage: int, late: int
) -> None:
    rig.placement["mode"] = mode
    rig.settings["rollout"] = {"percentage": percentage}
    rig.lands(f"gate/{name(0)}")
    rig.now = START + timedelta(days=1)
    assert rig.run().late == late
    assert len(rig.rows("SELECT * FROM migration_requests")) == late
