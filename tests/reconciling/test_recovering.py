"""What is condemned beside a lost replica: an old object that is right is used again, a damaged one makes way."""

from datetime import UTC, datetime, timedelta

from reelkeeper.catalogue.condemnations import Condemned
from reelkeeper.model import Key, Segment, StoreName
from reelkeeper.policy.retention import Lock, Reason
from reelkeeper.stores.body import Body
from tests.reconciling.conftest import Scene


def _moved(scene: Scene, segment: Segment) -> tuple[Key, Key]:
    """The segment is in another tier of the cloud, its old object waits for its deletion, and the disk has no copy."""
    disk, cloud = scene.replicas(segment)["disk"].path, scene.replicas(segment)["cloud"].path
    new, now = Key("cool/" + cloud), datetime.now(UTC)
    scene.stores["cloud"].copy(cloud, new)  # type: ignore[attr-defined]
    scene.sql("UPDATE cameras SET retention_days = 3650")
    scene.sql("UPDATE replicas SET path = %s, tier = 'COOL' WHERE store = 'cloud' AND path = %s", (new, cloud))
    old = Condemned(StoreName("cloud"), cloud, Reason.MOVED, segment.size_bytes, segment.id, segment.start_time)
    scene.catalogue.condemnations.condemn([old], run_id="tier", now=now, delete_after=now + timedelta(hours=24))
    scene.stores["disk"].delete([disk])
    scene.sql("DELETE FROM replicas WHERE store = 'disk' AND path = %s", (disk,))
    return cloud, new


def test_the_old_object_of_a_moved_replica_is_the_replica_again_when_the_new_one_is_lost(scene: Scene) -> None:
    segment, other = scene.record(2)
    scene.copied([segment, other])
    old, new = _moved(scene, segment)
    scene.stores["cloud"].delete([new])
    found, _ = scene.night("cloud", days=2)
    assert ("found", old) in scene.findings(found)
    assert found.row.healed == 1
    assert scene.replicas(segment)["cloud"].path == old
    assert str(scene.replicas(segment)["cloud"].tier) == "HOT"
    assert scene.sql("SELECT path FROM condemnations") == []
    scene.night("cloud", days=40)
    scene.assert_bytes([segment])


def test_an_old_object_that_is_damaged_too_is_not_used(scene: Scene) -> None:
    segment, other = scene.record(2)
    scene.copied([segment, other])
    old, new = _moved(scene, segment)
    scene.stores["cloud"].delete([new, old])
    scene.stores["cloud"].write(old, Body.of_bytes(bytes(segment.size_bytes)))
    scene.night("cloud", days=2)
    assert scene.states(segment) == {"cloud": "lost"}
    assert scene.sql("SELECT path FROM condemnations") == [(old,)]


def test_a_hold_does_not_bar_the_repair_of_what_it_holds(scene: Scene) -> None:
    segment, other = scene.record(2)
    scene.copied([segment, other])
    path = scene.replicas(segment)["cloud"].path
    held = Lock("legal_hold", "case 7", None, segment.id)
    scene.catalogue.locks.place(held, created_by="tester", now=datetime.now(UTC))
    scene.stores["cloud"].delete([path])
    scene.stores["cloud"].write(path, Body.of_bytes(b"damaged"))
    for days in (2, 40, 80):
        scene.night("cloud", days=days)
        scene.assert_bytes([segment])
        assert scene.listed("cloud", "quarantine/") == [f"quarantine/damaged/{path}"]  # which the hold keeps
