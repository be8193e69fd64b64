"""How orphans go for good: within the caps, and only if the last look still finds them unknown."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from reelkeeper.errors import GateFailed, ObjectNotFound, StoreUnavailable
from reelkeeper.model import Key, Segment, StoreName, quarantine_key
from reelkeeper.retention import last_look
from reelkeeper.retention.last_look import LastLook
from reelkeeper.settings import ReconcileCaps
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import ObjectStat
from reelkeeper.stores.retry import retrying
from tests.reconciling.conftest import STRAY, Scene


def test_without_deletion_orphans_are_marked_where_they_are(scene: Scene, footage: list[Segment]) -> None:
    scene.deletion = "forbidden"
    scene.plant(STRAY)
    scene.night(days=2)
    acted = scene.night(days=3)[1]
    assert (acted.quarantined, acted.marked) == (1, 1)
    assert STRAY in scene.listed()
    assert scene.night(days=60)[1].deleted == 0
    assert STRAY in scene.listed()
    scene.deletion = "allowed"
    assert scene.night(days=61)[1].deleted == 1
    assert STRAY not in scene.listed()


@pytest.mark.parametrize("what", ["bytes", "time"])
def test_a_path_that_is_used_again_is_not_deleted(scene: Scene, footage: list[Segment], what: str) -> None:
    """Between the end of an orphan's quarantine and its deletion, where it was marked, and of one that was moved."""
    moment = [datetime.now(UTC)]
    cloud = scene.stores["cloud"] = MemoryStore(StoreName("cloud"), clock=lambda: moment[0])
    scene.deletion = "forbidden"
    path = scene.plant(STRAY, store="cloud")
    for days in (2, 3):
        scene.night("cloud", days=days)  # marked
    scene.deletion = "allowed"

    def somebody_writes(keys: Sequence[str]) -> dict[str, str]:
        cloud.delete([path])
        moment[0] += timedelta(seconds=5)
        scene.plant(path, b"somebody" if what == "time" else b"somebody else's", store="cloud")
        return {}

    with _right_before_the_last_look(scene, somebody_writes):
        assert scene.night("cloud", days=40)[1].deleted == 0
    assert b"".join(cloud.read(path)).startswith(b"somebody")
    assert scene.sql("SELECT count(*) FROM condemnations") == [(0,)]
    for days in (41, 42):
        scene.night("cloud", days=days)
    assert scene.orphans("cloud")[path].sightings == 1  # seen anew


def test_what_was_moved_is_deleted_only_while_its_bytes_lie_elsewhere(scene: Scene, footage: list[Segment]) -> None:
    """A try that stalled, and thought the copy to be superfluous, has deleted it meanwhile."""
    path = scene.plant(STRAY, b"precious", store="cloud")
    scene.night("cloud", days=2)

    def a_zombie_deletes(keys: Sequence[str]) -> None:
        scene.stores["cloud"].delete([quarantine_key(path)])

    with _right_before_the_last_look(scene, a_zombie_deletes):
        assert scene.night("cloud", days=3)[1].deleted == 0
    assert b"".join(scene.stores["cloud"].read(path)) == b"precious"
    assert scene.sql("SELECT count(*) FROM condemnations") == [(0,)]
    for days in (40, 41, 42):  # the row of what is gone ends, and the orphan is seen anew
        scene.night("cloud", days=days)
    assert scene.listed("cloud") == [f"quarantine/{path}"]


@contextmanager
def _right_before_the_last_look(scene: Scene, act: Callable[[Sequence[str]], object]) -> Iterator[None]:
    look = LastLook.at_objects

    def late(self: LastLook, store: StoreName, paths: Collection[str]) -> dict[str, ObjectStat | None]:
        act(sorted(paths))
        return look(self, store, paths)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LastLook, "at_objects", late)
        yield


def test_a_nameless_object_that_cannot_be_looked_at_waits(
    scene: Scene, footage: list[Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_look, "retrying", lambda **_: retrying(tries=1))
    scene.copied(footage)
    scene.plant(STRAY, store="cloud")
    for days in (2, 3):
        scene.night("cloud", days=days)
    scene.compare("cloud", days=40, run="last")

    def unavailable(keys: Sequence[str]) -> None:
        def fail(key: Key) -> ObjectStat:
            raise StoreUnavailable("503")

        monkeypatch.setattr(scene.stores["cloud"], "stat", fail)

    with _right_before_the_last_look(scene, unavailable):
        assert scene.act("last", "cloud", days=40).deleted == 0
    assert scene.listed("cloud", "quarantine/") == [f"quarantine/{STRAY}"]
    assert scene.sql("SELECT reason FROM condemnations") == [("orphan",)]


def _caps(**given: float) -> ReconcileCaps:
    return ReconcileCaps(**{"soft_count": 1000, "soft_ratio": 1, "hard_count": 1000, "hard_ratio": 1} | given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("caps", "orphans", "ends"),
    [
        (_caps(hard_ratio=0.01, soft_ratio=0.01), 1, "acts"),
        (_caps(hard_ratio=0.01, soft_ratio=0.01), 2, "fails"),
        (_caps(soft_ratio=0.01), 2, "asks"),
        (_caps(hard_count=1, soft_count=1), 2, "fails"),
        (_caps(soft_count=0), 1, "asks"),
    ],
)
def test_one_percent_is_one_percent(scene: Scene, caps: ReconcileCaps, orphans: int, ends: str) -> None:
    scene.record(100 - orphans)
    for number in range(orphans):
        scene.plant(STRAY.replace("gate", f"gate{number}"))
    scene.night(days=2)
    scene.caps = caps
    before = scene.listed()
    if ends == "fails":
        assert str(scene.compare(run="it", days=3).verdict.action) == "refuse"
        with pytest.raises(GateFailed, match=f"{orphans} of 100 objects"):
            scene.act("it", days=3, approved=orphans)
    else:
        found = scene.compare(run="it", days=3)
        assert str(found.verdict.action) == ("within" if ends == "acts" else "ask")
    if ends != "acts":
        with pytest.raises(GateFailed):
            scene.act("it", days=3)
        assert scene.listed() == before
        assert scene.sql("SELECT count(*) FROM condemnations") == [(0,)]
        assert scene.outcomes()[-1] == ("disk", "refused")
    if ends == "asks":
        with pytest.raises(GateFailed, match=f"{orphans - 1} are approved"):
            scene.act("it", days=3, approved=orphans - 1)
        assert scene.listed() == before
        assert scene.act("it", days=3, approved=orphans).quarantined == orphans
        assert scene.outcomes()[-1] == ("disk", "acted")


def test_what_leaves_quarantine_for_good_is_counted_too(scene: Scene) -> None:
    scene.record(98)
    for number in range(2):
        scene.plant(STRAY.replace("gate", f"gate{number}"))
    scene.night(days=2)
    scene.night(days=3)
    scene.caps = _caps(hard_ratio=0.01, soft_ratio=0.01)
    with pytest.raises(GateFailed, match="2 would leave it for good"):
        scene.night(days=40)
    assert len(scene.listed(prefix="quarantine/")) == 2


def test_a_dry_run_changes_nothing(scene: Scene, footage: list[Segment]) -> None:
    scene.plant(STRAY)
    scene.night(days=2)
    scene.stores["disk"].delete([scene.replicas(footage[0])["disk"].path])
    seen = scene.orphans()
    found = scene.compare(days=3, dry_run=True)
    assert (found.takeable.ripe, found.row.lost, str(found.row.outcome)) == (1, 1, "dry_run")
    assert {finding for finding, _ in scene.findings(found)} == {"orphan", "lost"}
    assert scene.orphans() == seen
    assert scene.states(footage[0]) == {"disk": "available"}


def test_nothing_is_taken_by_a_run_that_has_not_looked(scene: Scene, footage: list[Segment]) -> None:
    with pytest.raises(GateFailed, match="has not compared"):
        scene.act("another")


def test_an_object_that_is_gone_when_its_turn_comes(scene: Scene, footage: list[Segment]) -> None:
    scene.plant(STRAY)
    scene.compare(run="one")
    scene.compare(run="two", days=3)
    scene.stores["disk"].delete([Key(STRAY)])
    assert scene.act("two", days=3).quarantined == 0
    with pytest.raises(ObjectNotFound):
        scene.stores["disk"].stat(Key(STRAY))
    assert scene.orphans() == {}
