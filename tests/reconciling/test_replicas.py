"""Rows without an object: three looks, then lost, then repaired; and a store that is doubted instead of its files."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from reelkeeper.errors import StoreTimeout, StoreUnavailable
from reelkeeper.model import Key, Segment, StoreName
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import ObjectStat
from reelkeeper.verification.confirming import verify_segment
from tests.reconciling.conftest import Scene

STRAY = "media/default/gate/2026/03/01/20260301T120000Z_00000000-0000-5000-8000-000000000000.mp4"


def _delete(scene: Scene, store: str, *segments: Segment) -> None:
    scene.stores[store].delete([scene.replicas(segment)[store].path for segment in segments])


def _unchanged(scene: Scene, segments: list[Segment]) -> None:
    """Nothing was concluded, and nothing is to go."""
    assert {state for segment in segments for state in scene.states(segment).values()} == {"available"}
    assert scene.orphans() == {}
    assert scene.sql("SELECT count(*) FROM condemnations") == [(0,)]
    assert scene.sql("SELECT count(*) FROM deletions") == [(0,)]


def test_a_lost_replica_is_repaired_from_another_copy(scene: Scene, footage: list[Segment]) -> None:
    scene.copied(footage)
    for store in ("cloud", "disk"):
        _delete(scene, store, footage[3])
        run = f"in {store}"
        found = scene.compare(store, run=run)
        assert (found.row.lost, found.row.wrong_size) == (1, 0)
        assert scene.states(footage[3])[store] == "lost"
        assert [finding for finding, _ in scene.findings(found)] == ["lost"]
        assert scene.repair(run, store) == 1
        scene.catalogue.reconciliations.record_repaired(run)
        assert [row.repaired for row in scene.catalogue.reconciliations.of_run(run)] == [1]
        assert scene.states(footage[3])[store] == "available"
        assert scene.compare(store).row.lost == 0
    history = scene.sql("SELECT job, count(*) FROM transfers GROUP BY job ORDER BY job")
    assert history == [("migrate", 12), ("repair", 2)]
    scene.assert_bytes(footage)


def test_a_lost_replica_without_another_copy_is_never_forgotten(scene: Scene, footage: list[Segment]) -> None:
    _delete(scene, "disk", footage[0])
    path = scene.replicas(footage[0])["disk"].path
    for _ in range(3):
        found, _ = scene.night()
        assert found.row.lost == 1
        assert scene.findings(found) == [("lost", path)]
        assert scene.states(footage[0]) == {"disk": "lost"}
    assert scene.sql("SELECT sum(lost) FROM reconciliations") == [(3,)]


def test_what_was_lost_and_is_there_again_is_read_and_healed(scene: Scene, footage: list[Segment]) -> None:
    path = scene.root / scene.replicas(footage[0])["disk"].path
    path.rename(scene.root / "away")
    scene.night()
    assert scene.states(footage[0]) == {"disk": "lost"}
    (scene.root / "away").rename(path)
    found, _ = scene.night()
    assert (found.row.lost, found.row.healed) == (0, 1)
    assert scene.states(footage[0]) == {"disk": "available"}


def test_a_doubted_replica_with_other_bytes_is_lost(scene: Scene, footage: list[Segment]) -> None:
    replica = scene.replicas(footage[0])["disk"]
    scene.catalogue.replicas.suspect([replica])
    (scene.root / replica.path).write_bytes(b"x" * replica.size_bytes)
    found, _ = scene.night()
    assert (found.row.lost, found.row.healed) == (1, 0)
    assert scene.findings(found) == [("damaged", replica.path)]


@pytest.mark.parametrize("damage", [b"", b"x" * 999, b"x" * 1000])
def test_a_damaged_object_makes_way_for_its_repair(scene: Scene, footage: list[Segment], damage: bytes) -> None:
    scene.copied(footage)
    replica = scene.replicas(footage[0])["disk"]
    (scene.root / replica.path).write_bytes(damage)
    if len(damage) == replica.size_bytes:
        scene.catalogue.replicas.suspect([replica])
    found, _ = scene.night()
    assert (found.row.lost, found.row.wrong_size) == (1, int(len(damage) != replica.size_bytes))
    assert scene.states(footage[0]) == {"cloud": "available", "disk": "available"}
    scene.assert_bytes(footage)
    assert scene.listed(prefix="quarantine/") == [f"quarantine/damaged/{replica.path}"]
    scene.night(days=40)
    assert scene.listed(prefix="quarantine/") == []
    assert scene.listed(prefix="media/") == sorted(scene.replicas(segment)["disk"].path for segment in footage)


def test_a_damaged_object_without_another_copy_stays(scene: Scene, footage: list[Segment]) -> None:
    replica = scene.replicas(footage[0])["disk"]
    (scene.root / replica.path).write_bytes(b"half")
    for days in (2, 3, 60):
        scene.night(days=days)
    assert (scene.root / replica.path).read_bytes() == b"half"


def test_an_archived_copy_repairs_nothing(scene: Scene, footage: list[Segment]) -> None:
    scene.copied(footage)
    with scene.open_catalogue() as catalogue, catalogue._session.connection() as connection:
        connection.cursor().execute("UPDATE replicas SET storage_class = 'GLACIER' WHERE store = 'cloud'")
    _delete(scene, "disk", footage[0])
    run = "run"
    scene.compare(run=run)
    assert scene.repair(run) == 0
    assert scene.states(footage[0])["disk"] == "lost"


def test_an_adopted_replica_lies_where_it_was(scene: Scene, footage: list[Segment]) -> None:
    """Outside our own prefixes: it counts, its neighbours are foreign."""
    path = scene.replicas(footage[0])["disk"].path
    (scene.root / "nvr").mkdir()
    (scene.root / path).rename(scene.root / "nvr" / "file.mp4")
    (scene.root / "nvr" / "file.txt").write_bytes(b"x")
    with scene.open_catalogue() as catalogue, catalogue._session.connection() as connection:
        connection.cursor().execute("UPDATE replicas SET path = 'nvr/file.mp4' WHERE path = %s", (path,))
    found = scene.compare()
    assert (found.row.objects, found.row.foreign_objects, found.row.lost, found.row.orphans) == (12, 1, 0, 0)
    (scene.root / "nvr" / "file.mp4").unlink()
    found = scene.compare()
    assert (found.row.objects, found.row.foreign_objects, found.row.lost) == (11, 1, 1)


# --- unknown is not missing -------------------------------------------------------------------------------------------


def test_an_unmounted_disk(scene: Scene, footage: list[Segment]) -> None:
    scene.root.rename(scene.root.with_name("unplugged"))
    scene.root.mkdir()
    with pytest.raises(StoreUnavailable, match="marker"):
        scene.night()
    _unchanged(scene, footage)


def test_a_disk_that_goes_in_the_middle_of_the_scan(scene: Scene, footage: list[Segment]) -> None:
    disk = scene.stores["disk"]
    scan = disk.list

    def unmounted(prefix: str = "") -> Iterator[ObjectStat]:
        for number, found in enumerate(scan(prefix)):
            if number == 5:
                scene.root.rename(scene.root.with_name("unplugged"))
                scene.root.mkdir()
            yield found

    disk.list = unmounted  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        scene.night()
    _unchanged(scene, footage)


def test_an_empty_disk_with_its_marker(scene: Scene, footage: list[Segment]) -> None:
    scene.root.joinpath("media").rename(scene.root.with_name("gone"))
    with pytest.raises(StoreUnavailable, match="none of its 12 replicas"):
        scene.night()
    _unchanged(scene, footage)
    assert scene.outcomes() == [("disk", "sick")]


def test_a_bucket_in_anothers_place(scene: Scene, footage: list[Segment]) -> None:
    scene.copied(footage)
    other = MemoryStore(StoreName("cloud"))
    scene.stores["cloud"] = other
    scene.plant(STRAY, store="cloud")
    for days in (2, 3, 60):
        with pytest.raises(StoreUnavailable):
            scene.compare("cloud", days=days)
    _unchanged(scene, footage)
    assert scene.listed("cloud") == [STRAY]


def test_a_listing_that_breaks(scene: Scene, footage: list[Segment]) -> None:
    disk = scene.stores["disk"]
    scan = disk.list

    def broken(prefix: str = "") -> Iterator[ObjectStat]:
        for number, found in enumerate(scan(prefix)):
            if number == 7:
                raise StoreTimeout("the next page does not come")
            yield found

    disk.list = broken  # type: ignore[method-assign]
    with pytest.raises(StoreTimeout):
        scene.night()
    _unchanged(scene, footage)


@pytest.mark.parametrize(("of", "lost", "is_sick"), [(110, 99, False), (110, 100, True)])
def test_many_at_once_is_the_store(scene: Scene, of: int, lost: int, is_sick: bool) -> None:
    """From a hundred on, which are a twentieth or more; see the policy's tests."""
    segments = scene.record(of, size_bytes=16)
    _delete(scene, "disk", *segments[:lost])
    if is_sick:
        with pytest.raises(StoreUnavailable, match="taken for sick"):
            scene.night()
        _unchanged(scene, segments)
        assert scene.outcomes() == [("disk", "sick")]
        assert scene.compare(accept_loss=True).row.lost == lost
    else:
        assert scene.night()[0].row.lost == lost


def test_a_person_can_accept_the_loss_of_all(scene: Scene, footage: list[Segment]) -> None:
    scene.copied(footage)
    _delete(scene, "disk", *footage)
    with pytest.raises(StoreUnavailable):
        scene.compare()
    scene.compare(accept_loss=True, run="a person's")
    assert scene.repair("a person's") == 12
    assert scene.compare().row.lost == 0


def test_a_listing_that_forgets_one_object_loses_nothing(scene: Scene, footage: list[Segment]) -> None:
    disk = scene.stores["disk"]
    scan, hidden = disk.list, scene.replicas(footage[4])["disk"].path
    disk.list = lambda prefix="": (found for found in scan(prefix) if found.key != hidden)  # type: ignore[method-assign]
    found, _ = scene.night()
    assert found.row.lost == 0
    assert {state for segment in footage for state in scene.states(segment).values()} == {"available"}


def test_a_row_that_comes_during_the_listing_is_not_missing(scene: Scene, footage: list[Segment]) -> None:
    """And one that goes is no orphan's."""
    disk = scene.stores["disk"]
    scan = disk.list

    def busy(prefix: str = "") -> Iterator[ObjectStat]:
        found = list(scan(prefix))
        scene.record(5, camera="yard")
        yield from found

    disk.list = busy  # type: ignore[method-assign]
    found = scene.compare()
    assert (found.row.lost, found.row.orphans, found.row.report_path) == (0, 0, None)


def test_a_writer_races_the_scans(scene: Scene, footage: list[Segment]) -> None:
    """Nothing that an ingest writes while reconciliations run is ever taken, though every clock says it is old."""
    stop, written = threading.Event(), list[Segment]()

    def ingest() -> None:
        with scene.open_catalogue() as catalogue:
            worker = Scene(catalogue, scene.dsn, scene.root, scene.stores)
            for number in range(200):
                if stop.is_set():
                    return
                written.extend(worker.record(3, camera=f"camera{number}", size_bytes=16))

    thread = threading.Thread(target=ingest)
    thread.start()
    try:
        for _ in range(4):
            _, acted = scene.night(days=0.9)
            assert acted.quarantined == 0
    finally:
        stop.set()
        thread.join()
    assert written
    assert scene.night(days=0.9)[0].row.orphans == 0
    assert {state for segment in written for state in scene.states(segment).values()} == {"available"}
    assert scene.listed(prefix="quarantine/") == []


def test_a_condemned_replica_is_neither_missing_nor_an_orphan(scene: Scene, footage: list[Segment]) -> None:
    with scene.open_catalogue() as catalogue, catalogue._session.connection() as connection:
        connection.cursor().execute("UPDATE replicas SET state = 'condemned' WHERE segment_id = %s", (footage[0].id,))
    assert scene.compare().row.orphans == 0
    _delete(scene, "disk", footage[0])
    found = scene.compare()
    assert (found.row.lost, found.row.replicas) == (0, 11)


def test_thumbnails_are_known(scene: Scene, footage: list[Segment]) -> None:
    from reelkeeper.catalogue.records import Thumbnail
    from reelkeeper.model import thumbnail_key

    path = thumbnail_key(scene.replicas(footage[0])["disk"].path)
    scene.plant(path)
    scene.plant(thumbnail_key(Key(STRAY)))
    segment = footage[0]
    scene.catalogue.thumbnails.record([Thumbnail(segment.id, segment.start_time, StoreName("disk"), path, 1, 1)])
    found = scene.compare()
    assert scene.findings(found) == [("orphan", thumbnail_key(Key(STRAY)))]
    assert found.row.started_at > datetime.now(UTC) + timedelta(days=1)


def test_one_bad_sector_does_not_block_a_store(
    scene: Scene, footage: list[Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.copied(footage)
    bad = scene.replicas(footage[0])["disk"].path
    scene.sql(
        "UPDATE replicas SET state = 'suspicious', suspected_at = now() WHERE store = 'disk' AND path = %s", (bad,)
    )
    _delete(scene, "disk", footage[1])
    read = scene.stores["disk"].read

    def read_badly(key: Key) -> Iterator[bytes]:
        if key == bad:
            raise StoreUnavailable("store 'disk' could not read: Input/output error")
        return read(key)

    monkeypatch.setattr(scene.stores["disk"], "read", read_badly)
    found, _ = scene.night()
    assert sorted(finding for finding, _ in scene.findings(found)) == ["lost", "unknown"]
    assert scene.states(footage[0])["disk"] == "suspicious"
    assert scene.states(footage[1])["disk"] == "available"  # repaired


@pytest.mark.parametrize("healed_by", ["reconciliation", "verification", "repair", "another place"])
def test_a_local_copy_retires_after_all_when_its_cloud_copy_is_good_again(
    scene: Scene, footage: list[Segment], healed_by: str
) -> None:
    scene.copied(footage)
    first = scene.replicas(footage[0])["disk"].retire_after
    cloud = scene.replicas(footage[0])["cloud"]
    scene.catalogue.replicas.suspect([cloud])
    assert scene.replicas(footage[0])["disk"].retire_after is None
    if healed_by == "verification":
        moment = datetime.now(UTC) + timedelta(days=2)
        verify_segment(scene.estate, scene.catalogue, scene.open_store, footage[0].id, now=lambda: moment)
    elif healed_by == "another place":
        scene.stores["cloud"].copy(cloud.path, Key(cloud.path.replace("/gate/", "/elsewhere/")))  # type: ignore[attr-defined]
    if healed_by in ("repair", "another place"):
        scene.stores["cloud"].delete([cloud.path])
    scene.night("cloud", days=2)
    assert scene.states(footage[0]) == {"cloud": "available", "disk": "available"}
    again = scene.replicas(footage[0])["disk"].retire_after
    assert first is not None
    assert again is not None
    assert again - first > timedelta(days=0 if healed_by == "repair" else 1.9)  # counted from then


def test_what_was_to_stay_for_good_stays_when_its_cloud_copy_is_healed(scene: Scene, footage: list[Segment]) -> None:
    scene.copied(footage)
    scene.sql("UPDATE replicas SET retire_after = NULL")  # as with delete_local off
    scene.catalogue.replicas.suspect([scene.replicas(footage[0])["cloud"]])
    scene.night("cloud", days=2)
    assert scene.states(footage[0])["cloud"] == "available"
    assert {replica.retire_after for replica in scene.replicas(footage[0]).values()} == {None}
