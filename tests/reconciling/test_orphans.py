"""Objects that nothing knows: seen twice, old by the store's clock, and then in quarantine."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from reelkeeper.catalogue.condemnations import Condemned
from reelkeeper.catalogue.orphans import Orphan
from reelkeeper.errors import StoreUnavailable
from reelkeeper.model import Key, Segment, StoreName, quarantine_key
from reelkeeper.policy.retention import Reason
from reelkeeper.reconciling.quarantining import _Mover, _Placed
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import ObjectStat
from tests.reconciling.conftest import STRAY, Scene


def test_what_agrees_is_left_alone(scene: Scene, footage: list[Segment]) -> None:
    before = scene.listed()
    found, acted = scene.night()
    assert (found.row.objects, found.row.replicas, found.row.orphans, found.row.lost) == (12, 12, 0, 0)
    assert (acted.quarantined, acted.deleted) == (0, 0)
    assert scene.listed() == before
    assert scene.outcomes() == [("disk", "agreed")]
    assert found.row.report_path is None


def test_an_orphan_goes_by_two_sightings_quarantine_and_a_last_look(scene: Scene, footage: list[Segment]) -> None:
    scene.plant(STRAY)
    first, acted = scene.night(days=2)
    assert scene.findings(first) == [("orphan", STRAY)]
    assert acted.quarantined == 0
    second, acted = scene.night(days=3)
    assert (second.row.orphans, second.takeable.ripe, acted.quarantined, acted.marked) == (1, 1, 1, 0)
    assert scene.listed(prefix="quarantine/") == [f"quarantine/{STRAY}"]
    assert STRAY not in scene.listed()
    third, acted = scene.night(days=20)
    assert (third.row.orphans, acted.deleted) == (0, 0)
    last, acted = scene.night(days=34)
    assert (last.takeable.due, acted.deleted) == (1, 1)
    assert scene.listed(prefix="quarantine/") == []
    assert scene.orphans() == {}
    history = scene.sql("SELECT path, reason FROM deletions ORDER BY id")
    assert history == [(STRAY, "moved"), (f"quarantine/{STRAY}", "orphan")]
    assert len(scene.listed("disk", "media/")) == 12


def test_a_run_that_is_tried_again_has_seen_an_orphan_once(scene: Scene, footage: list[Segment]) -> None:
    scene.plant(STRAY)
    for _ in range(3):
        found = scene.compare(run="the same")
        assert scene.act("the same").quarantined == 0
    assert scene.orphans()[STRAY].sightings == 1
    assert str(found.row.report_path).startswith("reports/reconcile_stores/")
    assert str(found.row.report_path).endswith("/the same/disk-3.csv")


def test_a_new_object_is_nobodys_orphan_yet(scene: Scene, footage: list[Segment]) -> None:
    scene.plant(STRAY)
    for days in (0, 0.2, 0.9):
        _, acted = scene.night(days=days)
        assert acted.quarantined == 0
    assert STRAY in scene.listed()
    assert scene.night(days=1.1)[1].quarantined == 1


@pytest.mark.parametrize("skew", [timedelta(hours=-1), timedelta(hours=1), timedelta(days=400)])
def test_age_is_by_the_stores_clock_however_wrong_it_is(scene: Scene, footage: list[Segment], skew: timedelta) -> None:
    moment = [datetime.now(UTC) + skew]
    scene.stores["cloud"] = MemoryStore(StoreName("cloud"), clock=lambda: moment[0])
    scene.plant(STRAY, store="cloud")
    for hours, quarantined in ((1, 0), (22, 0), (24, 1)):
        moment[0] = datetime.now(UTC) + skew + timedelta(hours=hours + 0.01)
        run = f"after {hours}"
        scene.compare("cloud", days=0, run=run)
        assert scene.act(run, "cloud", days=0).quarantined == quarantined


def test_an_object_from_the_future_is_young(scene: Scene, footage: list[Segment]) -> None:
    scene.stores["cloud"] = MemoryStore(StoreName("cloud"), clock=lambda: moment[0])
    moment = [datetime.now(UTC) + timedelta(days=3650)]
    scene.plant(STRAY, store="cloud")
    moment[0] = datetime.now(UTC)
    for days in (2, 3, 300):
        assert scene.night("cloud", days=days)[1].quarantined == 0


def test_an_orphan_that_changes_is_a_new_one(scene: Scene, footage: list[Segment]) -> None:
    scene.plant(STRAY)
    scene.night(days=2)
    (scene.root / STRAY).write_bytes(b"somebody writes to it")
    _, acted = scene.night(days=3)
    assert acted.quarantined == 0
    assert scene.orphans()[STRAY].sightings == 1


def test_an_orphan_that_changes_between_look_and_act_stays(scene: Scene, footage: list[Segment]) -> None:
    scene.plant(STRAY)
    scene.compare(run="one")
    scene.compare(run="two", days=3)
    (scene.root / STRAY).write_bytes(b"somebody writes to it")
    assert scene.act("two", days=3).quarantined == 0
    assert STRAY in scene.listed()


def test_bring_back(scene: Scene, footage: list[Segment]) -> None:
    other = STRAY.replace("gate", "yard")
    scene.plant(STRAY, b"this")
    scene.plant(other, b"that")
    scene.night(days=2)
    assert scene.night(days=3)[1].quarantined == 2
    assert scene.back(path=STRAY).returned == 1
    assert b"".join(scene.stores["disk"].read(Key(STRAY))) == b"this"
    assert scene.listed(prefix="quarantine/") == [f"quarantine/{other}"]
    assert scene.back(quarantined_by="no such run").returned == 0
    assert scene.back(quarantined_by="run 1").returned == 1
    assert scene.listed(prefix="quarantine/") == []
    assert scene.orphans() == {}


def test_bring_back_while_the_old_place_still_stands(scene: Scene, footage: list[Segment]) -> None:
    """A kill between quarantine and deletion leaves both places, one of them condemned."""
    scene.plant(STRAY)
    scene.night(days=2)
    scene.compare(run="killed", days=3)
    disk = scene.stores["disk"]
    delete, disk.delete = disk.delete, _killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        scene.act("killed", days=3)
    disk.delete = delete  # type: ignore[method-assign]
    assert scene.listed(prefix="quarantine/") == [f"quarantine/{STRAY}"]
    assert STRAY in scene.listed()
    assert scene.back(path=STRAY).returned == 1
    assert STRAY in scene.listed()
    scene.night(days=5)
    assert STRAY in scene.listed()
    assert scene.listed(prefix="quarantine/") == []


@pytest.mark.parametrize("step", ["copy", "stat", "delete"])
def test_a_kill_at_any_step_loses_nothing(scene: Scene, footage: list[Segment], step: str) -> None:
    scene.plant(STRAY, b"precious")
    scene.night(days=2)
    scene.compare(run="killed", days=3)
    disk = scene.stores["disk"]
    right = getattr(disk, step)
    setattr(disk, step, _killed)
    with pytest.raises(KeyboardInterrupt):
        scene.act("killed", days=3)
    setattr(disk, step, right)
    places = [key for key in scene.listed() if key.endswith(STRAY)]
    assert places
    assert all(b"".join(disk.read(Key(key))) == b"precious" for key in places)
    for days in (4, 6, 8):
        scene.night(days=days)
    assert [key for key in scene.listed() if key.endswith(STRAY)] == [f"quarantine/{STRAY}"]
    assert len(scene.listed(prefix="media/")) == 12


def test_two_tries_at_once_leave_the_orphan_in_quarantine(
    scene: Scene, footage: list[Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.plant(STRAY, store="cloud")
    scene.compare("cloud", days=2)
    scene.compare("cloud", days=3, run="r")
    move, other_try = _Mover._move, iter([True])

    def move_late(mover: _Mover, orphan: Orphan) -> _Placed | None:
        moved = move(mover, orphan)
        if next(other_try, False):
            scene.act("r", "cloud", days=3)
        return moved

    monkeypatch.setattr(_Mover, "_move", move_late)
    scene.act("r", "cloud", days=3)
    assert scene.listed("cloud") == [f"quarantine/{STRAY}"]
    assert scene.orphans("cloud")[STRAY].in_quarantine


def test_a_place_in_quarantine_that_is_in_use_is_spared(scene: Scene, footage: list[Segment]) -> None:
    scene.plant(STRAY)
    for days in (2, 3):
        scene.night(days=days)
    now = datetime.now(UTC)
    place = Condemned(StoreName("disk"), quarantine_key(Key(STRAY)), Reason.MOVED, 8)
    scene.catalogue.condemnations.condemn([place], run_id="a zombie", now=now, delete_after=now)
    scene.night(days=4)
    assert scene.listed(prefix="quarantine/") == [f"quarantine/{STRAY}"]
    assert scene.sql("SELECT count(*) FROM condemnations") == [(0,)]


def test_a_listing_tells_more_of_the_time_than_a_look(scene: Scene) -> None:
    scene.stores["cloud"] = _WholeSeconds(StoreName("cloud"))
    scene.plant(STRAY, store="cloud")
    scene.night("cloud", days=2)
    assert scene.night("cloud", days=3)[1].quarantined == 1


class _WholeSeconds(MemoryStore):
    """MinIO and Ceph list milliseconds, and tell whole seconds of one object."""

    def stat(self, key: Key) -> ObjectStat:
        found = super().stat(key)
        return replace(found, last_modified=found.last_modified.replace(microsecond=0))


def test_what_others_keep_below_media_is_left_alone(scene: Scene, footage: list[Segment]) -> None:
    theirs = [
        "media/Front Door/2019-05-01 10.00.00.avi", "media/frigate/recordings/2026-03-01/10/gate/00.00.mp4",
        f"media/elsewhere/{STRAY}", STRAY.replace("/2026/03/01/", "/2026/03/02/"), STRAY + ".part",
    ]  # fmt: skip
    for key in theirs:
        scene.plant(key)
    for days in (2, 3, 40):
        found, acted = scene.night(days=days)
        assert (found.row.orphans, found.row.foreign_objects, acted.quarantined) == (0, 5, 0)
    assert set(theirs) < set(scene.listed())
    assert sorted(scene.findings(found)) == sorted(("foreign", key) for key in theirs)


def test_keys_that_are_not_ours_are_left_alone(scene: Scene, footage: list[Segment]) -> None:
    """Not canonical: no normal form C, a backslash, a control character; or no text at all."""
    names = [b"e\xcc\x81te\xcc\x81.mp4", b"back\\slash.mp4", b"line\nfeed\t.mp4", b"\xff\xfe.mp4"]
    folder = bytes(scene.root) + b"/media/default/gate/"
    for name in names:
        with open(folder + name, "wb") as file:  # noqa: PTH123  (a name that is no text)
            file.write(b"x")
    (scene.root / "others").mkdir()
    (scene.root / "others" / "thing").write_bytes(b"x")
    for days in (2, 3, 4):
        found, acted = scene.night(days=days)
        assert (found.row.objects, found.row.foreign_objects, found.row.orphans) == (12, 5, 0)
        assert acted.quarantined == 0


def test_a_listing_that_repeats_itself(scene: Scene, footage: list[Segment]) -> None:
    scene.plant(STRAY)
    disk = scene.stores["disk"]
    once = disk.list
    disk.list = lambda prefix="": (found for found in [*once(prefix)] * 2)  # type: ignore[method-assign]
    found, _ = scene.night()
    assert (found.row.orphans, found.row.lost) == (1, 0)
    assert scene.findings(found) == [("orphan", STRAY)]


@pytest.mark.usefixtures("impatient")
def test_an_orphan_that_cannot_be_moved_now_waits(
    scene: Scene, footage: list[Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [STRAY.replace("gate", f"gate{number}") for number in range(2)]
    for key in (STRAY, *others):
        scene.plant(key, store="cloud")
    cloud = scene.stores["cloud"]
    copy = cloud.copy  # type: ignore[attr-defined]

    def copy_badly(source: Key, destination: Key) -> None:
        if source == STRAY:
            raise StoreUnavailable("503")
        copy(source, destination)

    monkeypatch.setattr(cloud, "copy", copy_badly)
    scene.night("cloud", days=2)
    _, acted = scene.night("cloud", days=3)
    assert (acted.quarantined, acted.marked, acted.unknown) == (2, 0, 1)
    assert not scene.orphans("cloud")[STRAY].in_quarantine
    monkeypatch.undo()
    assert scene.night("cloud", days=4)[1].quarantined == 1


@pytest.mark.usefixtures("impatient")
def test_a_store_that_moves_nothing_is_dropped(
    scene: Scene, footage: list[Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        scene.plant(STRAY.replace("gate", f"gate{number}"), store="cloud")
    scene.night("cloud", days=2)
    scene.compare("cloud", days=3, run="r")
    tried = []

    def unavailable(source: Key, destination: Key) -> None:
        tried.append(source)
        raise StoreUnavailable("503")

    monkeypatch.setattr(scene.stores["cloud"], "copy", unavailable)
    with pytest.raises(StoreUnavailable, match="dropped"):
        scene.act("r", "cloud", days=3)
    assert len(tried) < 15


def test_a_store_without_a_clock_tells_no_ages(scene: Scene, footage: list[Segment]) -> None:
    class Timeless(MemoryStore):
        clock = None  # type: ignore[assignment]

    scene.stores["cloud"] = Timeless(StoreName("cloud"))
    with pytest.raises((StoreUnavailable, TypeError)):
        scene.compare("cloud")


def _killed(*_: object, **__: object) -> object:
    raise KeyboardInterrupt
