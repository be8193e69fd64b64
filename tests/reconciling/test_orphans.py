"""Objects that nothing knows: seen twice, old by the store's clock, in quarantine, and gone only if still unknown."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from reelkeeper import moving
from reelkeeper.catalogue.condemnations import Condemned
from reelkeeper.catalogue.orphans import Orphan
from reelkeeper.catalogue.records import Ingested, LandingFile
from reelkeeper.errors import GateFailed, ObjectArchived, ObjectNotFound, StoreUnavailable
from reelkeeper.model import BatchId, Key, Replica, Segment, StoreName, quarantine_key
from reelkeeper.policy.retention import Reason
from reelkeeper.reconciling import quarantining, returning, sighting
from reelkeeper.reconciling.quarantining import _Mover, _Placed
from reelkeeper.retention import last_look
from reelkeeper.retention.last_look import LastLook
from reelkeeper.settings import ReconcileCaps
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import ObjectStat
from reelkeeper.stores.retry import retrying
from tests.reconciling.conftest import Scene

STRAY = "media/default/gate/2026/03/01/20260301T120000Z_00000000-0000-5000-8000-000000000000.mp4"


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


def test_what_is_recorded_late_leaves_the_table(scene: Scene) -> None:
    (segment,) = scene.record(1)
    scene.record(3, camera="yard")
    replica = scene.replicas(segment)["disk"]
    taken = _take_rows(scene)
    scene.compare(run="seen")
    assert scene.orphans().keys() == {replica.path}
    _record(scene, segment, replica)
    assert scene.night()[0].row.orphans == 0
    assert scene.orphans() == {}
    assert taken == 1


def test_what_is_recorded_while_in_quarantine_comes_back(scene: Scene) -> None:
    (segment,) = scene.record(1)
    scene.record(30, camera="yard")
    replica = scene.replicas(segment)["disk"]
    _take_rows(scene)
    scene.night(days=2)
    assert scene.night(days=3)[1].quarantined == 1
    _record(scene, segment, replica)
    found, _ = scene.night(days=4)
    assert (found.row.lost, found.row.orphans) == (0, 0)
    assert replica.path in scene.listed()
    assert scene.listed(prefix="quarantine/") == []
    assert scene.states(segment) == {"disk": "available"}


def test_what_is_recorded_at_the_last_moment_is_not_deleted(scene: Scene) -> None:
    (segment,) = scene.record(1)
    scene.record(30, camera="yard")
    replica = scene.replicas(segment)["disk"]
    _take_rows(scene)
    scene.night(days=2)
    scene.night(days=3)
    scene.compare(run="last", days=40)
    _record(scene, segment, replica)
    scene.act("last", days=40)
    assert replica.path in scene.listed()
    assert b"".join(scene.stores["disk"].read(replica.path))


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


def test_other_bytes_never_take_a_replicas_place(scene: Scene, footage: list[Segment]) -> None:
    segment = footage[0]
    scene.sql("UPDATE cameras SET retention_days = 3650")
    path = scene.plant(scene.replicas(segment)["disk"].path, b"x" * segment.size_bytes, store="cloud")
    for days in (2, 3):
        scene.night("cloud", days=days)  # into quarantine
    scene.copied(footage)
    scene.stores["cloud"].delete([path])  # the replica is truly lost now
    found, _ = scene.night("cloud", days=4)
    assert found.row.lost == 1
    scene.assert_bytes([segment])  # repaired from the disk
    assert scene.orphans("cloud").keys() == {f"quarantine/{path}"}
    assert scene.back("cloud").returned == 0
    assert scene.night("cloud", days=40)[1].deleted == 1  # its time was over, as that of any orphan
    assert scene.night("cloud", days=41)[0].takeable.total == 0
    assert scene.listed("cloud", "quarantine/") == []
    scene.assert_bytes(footage)


def test_what_cannot_be_proved_to_be_a_replica_waits(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    (segment,) = scene.record(1)
    scene.record(30, camera="yard")
    replica = scene.replicas(segment)["disk"]
    _take_rows(scene)
    for days in (2, 3):
        scene.night(days=days)
    _record(scene, segment, replica)
    disk = scene.stores["disk"]
    monkeypatch.setattr(disk, "read", _unreadable)
    scene.compare(days=4)
    assert scene.listed(prefix="quarantine/") == [f"quarantine/{replica.path}"]
    monkeypatch.undo()
    scene.compare(days=5)
    assert scene.listed(prefix="quarantine/") == [f"quarantine/{replica.path}"]  # condemned: it lies in both places
    assert b"".join(disk.read(replica.path))


def _unreadable(key: Key) -> Iterator[bytes]:
    raise ObjectArchived(f"{key!r} is archived")


def test_a_segment_that_is_being_copied_is_known(scene: Scene, footage: list[Segment]) -> None:
    scene.plan("migration", None)
    target = scene.replicas(footage[0])["disk"].path
    scene.plant(target, b"half of it", store="cloud")
    scene.plant(STRAY, store="cloud")
    found = scene.compare("cloud")
    assert scene.findings(found) == [("orphan", STRAY)]


def test_footage_that_the_catalogue_lost_is_found(scene: Scene, footage: list[Segment]) -> None:
    """A tier move that died after its copy: the object lies elsewhere, its key names the segment."""
    path = scene.replicas(footage[0])["disk"].path
    elsewhere = Key(path.replace("/gate/", "/elsewhere/"))
    scene.stores["disk"].copy(path, elsewhere)  # type: ignore[attr-defined]
    scene.stores["disk"].delete([path])
    found, _ = scene.night(days=0)
    assert ("found", elsewhere) in scene.findings(found)
    replica = scene.replicas(footage[0])["disk"]
    assert (replica.path, str(replica.state)) == (elsewhere, "available")


def test_what_is_found_archived_is_recorded_so(scene: Scene, footage: list[Segment]) -> None:
    scene.copied(footage)
    path = scene.replicas(footage[0])["cloud"].path
    scene.stores["cloud"].set_class(path, "GLACIER")  # type: ignore[attr-defined]
    scene.sql("DELETE FROM replicas WHERE segment_id = %s", (str(footage[0].id),))
    scene.night("cloud", days=2)
    assert scene.replicas(footage[0])["cloud"].storage_class == "GLACIER"


def test_a_find_must_have_the_right_bytes(scene: Scene, footage: list[Segment]) -> None:
    path = scene.replicas(footage[0])["disk"].path
    scene.stores["disk"].delete([path])
    elsewhere = scene.plant(path.replace("/gate/", "/elsewhere/"), b"x" * 1000)
    scene.night(days=0)
    found, _ = scene.night(days=0)
    assert ("orphan", elsewhere) in scene.findings(found)
    assert scene.states(footage[0]) == {"disk": "lost"}


@pytest.mark.parametrize("tenant", ["Default", "été", "%41", "a b"])
def test_spellings_are_keys_of_their_own(scene: Scene, footage: list[Segment], tenant: str) -> None:
    key = STRAY.replace("default", tenant)
    scene.plant(key, store="cloud")
    scene.night("cloud", days=2)
    assert scene.night("cloud", days=3)[1].quarantined == 1
    assert scene.listed("cloud") == [f"quarantine/{key}"]


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


# --- what lies in quarantine without a row ----------------------------------------------------------------------------


def test_what_lies_in_quarantine_without_a_row_is_reported_and_ends(scene: Scene, footage: list[Segment]) -> None:
    place = scene.plant(f"quarantine/{STRAY}")
    damaged = scene.plant(f"quarantine/damaged/{STRAY}")
    theirs = scene.plant("quarantine/somebody's/file.mp4")
    first, _ = scene.night(days=2)
    assert sorted(scene.findings(first)) == [("foreign", theirs), ("orphan", damaged), ("orphan", place)]
    assert (first.row.objects, first.row.orphans, first.row.foreign_objects) == (12, 2, 3)
    _, acted = scene.night(days=3)
    assert (acted.quarantined, acted.marked) == (2, 2)
    assert scene.findings(scene.night(days=4)[0]) == [("foreign", theirs)]  # what has its row is silent, as ever
    assert scene.night(days=34)[1].deleted == 2
    assert scene.listed(prefix="quarantine/") == [theirs]
    assert scene.orphans() == {}


def test_lost_footage_in_quarantine_without_a_row_is_found(scene: Scene, footage: list[Segment]) -> None:
    path = scene.replicas(footage[0])["disk"].path
    (scene.root / "quarantine" / path).parent.mkdir(parents=True)
    (scene.root / path).rename(scene.root / "quarantine" / path)
    found, _ = scene.night(days=2)
    assert ("found", f"quarantine/{path}") in scene.findings(found)
    scene.night(days=60)
    scene.assert_bytes(footage)


def test_a_copy_that_a_killed_try_left_in_quarantine_is_taken_for_what_it_is(
    scene: Scene, footage: list[Segment]
) -> None:
    """It is sighted as an orphan of its own, and then is the place of the one that it is a copy of."""
    scene.copied(footage)
    scene.plant(STRAY, store="cloud")
    scene.stores["cloud"].copy(Key(STRAY), quarantine_key(Key(STRAY)))  # type: ignore[attr-defined]
    scene.night("cloud", days=2)
    assert scene.orphans("cloud").keys() == {STRAY, f"quarantine/{STRAY}"}
    scene.night("cloud", days=3)
    assert scene.orphans("cloud").keys() == {STRAY}
    assert STRAY not in scene.listed("cloud")
    assert scene.listed("cloud", "quarantine/") == [f"quarantine/{STRAY}"]
    assert scene.night("cloud", days=34)[1].deleted == 1
    assert scene.listed("cloud", "quarantine/") == []


# --- one object is not the store --------------------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between tries."""
    for module in (sighting, quarantining, returning, moving):
        if hasattr(module, "retrying"):
            monkeypatch.setattr(module, "retrying", lambda **_: retrying(tries=1))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("error", [StoreUnavailable("Input/output error"), ObjectArchived("it is archived")])
def test_what_may_be_lost_footage_and_cannot_be_read_is_unknown(
    scene: Scene, footage: list[Segment], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    path = scene.replicas(footage[0])["disk"].path
    elsewhere = Key(path.replace("/gate/", "/elsewhere/"))
    (scene.root / elsewhere).parent.mkdir(parents=True)
    (scene.root / path).rename(scene.root / elsewhere)
    scene.plant(STRAY)

    def unreadable(key: Key) -> Iterator[bytes]:
        raise error

    monkeypatch.setattr(scene.stores["disk"], "read", unreadable)
    scene.night(days=2)
    found, acted = scene.night(days=3)
    assert ("unknown", elsewhere) in scene.findings(found)
    assert acted.quarantined == 1  # the stray: all else goes on
    assert elsewhere in scene.listed()
    monkeypatch.undo()
    scene.night(days=4)
    assert scene.replicas(footage[0])["disk"].path == elsewhere


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


# --- the last look ----------------------------------------------------------------------------------------------------


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


# --- caps ----------------------------------------------------------------------------------------------------------


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


def test_a_store_without_a_clock_tells_no_ages(scene: Scene, footage: list[Segment]) -> None:
    class Timeless(MemoryStore):
        clock = None  # type: ignore[assignment]

    scene.stores["cloud"] = Timeless(StoreName("cloud"))
    with pytest.raises((StoreUnavailable, TypeError)):
        scene.compare("cloud")


def _killed(*_: object, **__: object) -> object:
    raise KeyboardInterrupt


def _take_rows(scene: Scene) -> int:
    """Forget what the catalogue knows of camera `gate`, as if its ingest had died before it recorded."""
    with scene.open_catalogue() as catalogue, catalogue._session.connection() as connection:
        cursor = connection.cursor()
        cursor.execute("DELETE FROM replicas WHERE path LIKE '%/gate/%'")
        gone: int = cursor.rowcount
        cursor.execute("DELETE FROM segments WHERE storage_path LIKE '%/gate/%'")
    return gone


def _record(scene: Scene, segment: Segment, replica: Replica) -> None:
    file = LandingFile("zone", replica.path, replica.size_bytes, segment.start_time)
    scene.catalogue.segments.record(BatchId(uuid4()), [Ingested(file, segment, replica, ())])


def test_an_object_that_is_gone_when_its_turn_comes(scene: Scene, footage: list[Segment]) -> None:
    scene.plant(STRAY)
    scene.compare(run="one")
    scene.compare(run="two", days=3)
    scene.stores["disk"].delete([Key(STRAY)])
    assert scene.act("two", days=3).quarantined == 0
    with pytest.raises(ObjectNotFound):
        scene.stores["disk"].stat(Key(STRAY))
    assert scene.orphans() == {}
