"""Orphans that are footage after all: recorded late, lost by the catalogue, in quarantine without a row."""

from collections.abc import Iterator

import pytest

from reelkeeper.errors import ObjectArchived, StoreUnavailable
from reelkeeper.model import Key, Segment, quarantine_key
from tests.reconciling.conftest import STRAY, Scene


def test_what_is_recorded_late_leaves_the_table(scene: Scene) -> None:
    (segment,) = scene.record(1)
    scene.record(3, camera="yard")
    replica = scene.replicas(segment)["disk"]
    taken = scene.take_rows()
    scene.compare(run="seen")
    assert scene.orphans().keys() == {replica.path}
    scene.record_late(segment, replica)
    assert scene.night()[0].row.orphans == 0
    assert scene.orphans() == {}
    assert taken == 1


def test_what_is_recorded_while_in_quarantine_comes_back(scene: Scene) -> None:
    (segment,) = scene.record(1)
    scene.record(30, camera="yard")
    replica = scene.replicas(segment)["disk"]
    scene.take_rows()
    scene.night(days=2)
    assert scene.night(days=3)[1].quarantined == 1
    scene.record_late(segment, replica)
    found, _ = scene.night(days=4)
    assert (found.row.lost, found.row.orphans) == (0, 0)
    assert replica.path in scene.listed()
    assert scene.listed(prefix="quarantine/") == []
    assert scene.states(segment) == {"disk": "available"}


def test_what_is_recorded_at_the_last_moment_is_not_deleted(scene: Scene) -> None:
    (segment,) = scene.record(1)
    scene.record(30, camera="yard")
    replica = scene.replicas(segment)["disk"]
    scene.take_rows()
    scene.night(days=2)
    scene.night(days=3)
    scene.compare(run="last", days=40)
    scene.record_late(segment, replica)
    scene.act("last", days=40)
    assert replica.path in scene.listed()
    assert b"".join(scene.stores["disk"].read(replica.path))


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
    scene.take_rows()
    for days in (2, 3):
        scene.night(days=days)
    scene.record_late(segment, replica)
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
