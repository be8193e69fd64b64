"""Footage comes in: whole, once, to the place that policy wants, and nothing else is done to it."""

import json
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.errors import BucketNotFound, GateFailed, StoreFull, StoreUnavailable
from reelkeeper.ingest.job import gate, summarise
from reelkeeper.ingest.keeping import Keeper
from reelkeeper.model import Key
from reelkeeper.stores.body import Body
from reelkeeper.stores.filesystem import FilesystemStore
from tests.ingest.rig import NOW, START, Rig, digest, name


def test_files_move_into_the_local_store(rig: Rig) -> None:
    files = [rig.lands(f"gate/{name(number)}", number=number) for number in range(3)]
    inodes = {file.stat().st_ino for file in files}
    digests = {digest(file) for file in files}
    result = rig.run()
    assert (result.ingested, result.quarantined, result.deferred, result.failed) == (3, 0, 0, 0)
    replicas = rig.replica_digests()
    assert set(replicas.values()) == digests
    assert not rig.left()
    paths = {rig.root / "local" / replica.removeprefix("local:") for replica in replicas}
    assert {path.stat().st_ino for path in paths} == inodes, "on the same file system nothing is copied"
    assert rig.slept == [0.01], "two looks, once for the whole scan"
    rows = rig.rows(
        "SELECT s.start_time, s.end_time, c.slug, s.storage_backend, s.video_codec, s.width, s.frame_rate, s.has_audio,"
        " t.outcome, t.fallback FROM segments s JOIN cameras c ON c.id = s.camera_id"
        " JOIN transfers t ON t.segment_id = s.id ORDER BY 1"
    )
    assert [row[0] for row in rows] == [START + timedelta(seconds=10 * number) for number in range(3)]
    assert {tuple(row[2:]) for row in rows} == {("gate", "local", "h264", 160, 10.0, False, "succeeded", False)}
    assert all(row[1] - row[0] == timedelta(seconds=2) for row in rows)
    assert rig.run().files == 0, "nothing is left to do"


def test_a_copy_zone_keeps_its_files_and_shares_none_with_the_store(rig: Rig) -> None:
    rig.zone["handling"] = "copy"
    file = rig.lands(f"gate/{name(0)}")
    assert rig.run().ingested == 1
    (replica,) = rig.replica_digests()
    assert file.exists()
    assert not file.samefile(rig.root / "local" / replica.removeprefix("local:")), "writing to one must not change both"
    assert rig.run().files == 0


def test_an_adopted_tree_stays_where_it_is(rig: Rig) -> None:
    rig.zone |= {"handling": "adopt", "path": rig.root / "local" / "old"}
    file = rig.root / "local/old/recordings/2026-03-01/00/gate/05.10.mp4"
    file.parent.mkdir(parents=True)
    rig.lands("x.mp4").rename(file)

    def facts() -> tuple[int, ...]:  # all but the time of access, which reading changes
        now = file.stat()
        return now.st_ino, now.st_nlink, now.st_size, now.st_mtime_ns

    before = facts()
    assert rig.run().ingested == 1
    assert set(rig.replica_digests()) == {"local:old/recordings/2026-03-01/00/gate/05.10.mp4"}
    assert facts() == before, "no byte and no name changes"
    assert rig.rows("SELECT start_time FROM segments") == [(START + timedelta(minutes=5, seconds=10),)]
    assert not rig.rows("SELECT * FROM transfers") + rig.rows("SELECT * FROM migration_requests")
    assert rig.run().files == 0


def test_what_is_adopted_survives_a_power_cut(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.zone |= {"handling": "adopt", "path": rig.root / "local" / "old"}
    (rig.root / "local/old/gate").mkdir(parents=True)
    file = rig.lands("x.mp4").rename(rig.root / f"local/old/gate/{name(0)}")
    synced, fsync = set(), os.fsync

    def record_fsync(descriptor: int) -> None:
        if not rig.rows("SELECT FROM replicas"):
            synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record_fsync)
    assert rig.run().ingested == 1
    assert {file.stat().st_ino, file.parent.stat().st_ino} <= synced, "the bytes and the name, before the catalogue"


def test_the_same_footage_comes_twice(rig: Rig) -> None:
    rig.lands(f"gate/{name(0)}")
    rig.lands(f"gate/again/gate_{name(0)}")
    result = rig.run()
    assert (result.ingested, result.duplicates) == (1, 1)
    rig.lands(f"gate/{name(0)}")
    assert (rig.run().duplicates, rig.left(), len(rig.replica_digests())) == (1, [], 1)


def test_a_duplicate_stays_until_its_segment_is_known_to_be_safe(rig: Rig) -> None:
    rig.lands(f"gate/{name(0)}")
    rig.run()
    (path,) = (rig.root / "local" / key.removeprefix("local:") for key in rig.replica_digests())
    path.unlink()
    rig.lands(f"gate/{name(0)}")
    assert rig.run().duplicates == 1
    assert len(rig.replica_digests()) == 1, "the lost replica was written again before the file left"
    assert not rig.left()


def test_a_duplicate_is_not_deleted_for_the_sake_of_a_rotten_replica(rig: Rig) -> None:
    wanted = digest(rig.lands(f"gate/{name(0)}"))
    rig.run()
    (path,) = (rig.root / "local" / key.removeprefix("local:") for key in rig.replica_digests())
    path.write_bytes(bytes(reversed(path.read_bytes())))
    rig.lands(f"gate/{name(0)}")
    assert dict(rig.run().reasons) == {"conflict": 1}
    (left,) = rig.left()
    assert digest(rig.landing / left) == wanted


def test_other_bytes_at_the_same_time_are_a_conflict(rig: Rig) -> None:
    rig.lands(f"gate/{name(0)}")
    rig.run()
    other = rig.lands(f"gate/{name(0)}", number=1)
    wanted = digest(other)
    result = rig.run()
    assert (result.quarantined, dict(result.reasons)) == (1, {"conflict": 1})
    (left,) = rig.left()
    assert digest(rig.landing / left) == wanted
    assert left == f".quarantine/gate/{name(0)}"
    ((place, reason),) = rig.rows("SELECT moved_to, reason FROM landing_files WHERE state = 'quarantined'")
    assert place == str(rig.landing / left)
    assert "expected the same bytes" in reason
    rig.lands(f"gate/{name(0)}", number=2)
    assert rig.run().quarantined == 1
    assert rig.left() == [left, left.replace(".mp4", "~2.mp4")], "nothing is overwritten in the quarantine"


def test_what_cannot_be_read_goes_to_quarantine_and_the_rest_goes_on(rig: Rig) -> None:
    whole = rig.lands(f"gate/{name(0)}").read_bytes()
    bad = {
        "empty": rig.lands("gate/20260301T010000Z.mp4", data=b""),
        "unreadable": rig.lands("gate/20260301T020000Z.mp4", data=b"no video at all" * 100),
        "truncated": rig.lands("gate/20260301T030000Z.mp4", data=whole[: len(whole) // 2]),
        "bad_time": rig.lands("gate/no-time.mp4", data=whole),
        "no_camera": rig.lands("20260301T050000Z.mp4", data=whole),
        "bad_sidecar": rig.lands("gate/20260301T060000Z.mp4", data=whole),
    }
    bad["bad_sidecar"].with_name("20260301T060000Z.mp4.json").write_text('{"start_time": "2026-03-01T06:00:00"}')
    digests = sorted(digest(file) for file in bad.values())
    result = rig.run()
    assert (result.ingested, result.quarantined) == (1, len(bad))
    assert dict(result.reasons) == dict.fromkeys(bad, 1)
    rows = rig.rows("SELECT reason_code, moved_to FROM landing_files WHERE state = 'quarantined'")
    assert {code for code, _ in rows} == set(bad)
    assert sorted(digest(Path(place)) for _, place in rows) == digests
    assert ".quarantine/gate/20260301T060000Z.mp4.json" in rig.left()
    assert len(rig.left()) == len(bad) + 1
    with pytest.raises(GateFailed, match=r"6 of 7 files \(86%\).*expected at most 50%"):
        gate(result, max_failure_ratio=0.5)
    gate(result, max_failure_ratio=0.9)
    assert rig.run().files == 0


def test_in_a_copy_zone_what_cannot_be_read_stays(rig: Rig) -> None:
    rig.zone["handling"] = "copy"
    rig.lands("gate/20260301T010000Z.mp4", data=b"")
    assert rig.run().quarantined == 1
    assert rig.left() == ["gate/20260301T010000Z.mp4"]
    assert rig.rows("SELECT reason_code, moved_to FROM landing_files") == [("empty", None)]
    assert rig.run().files == 0


def test_what_was_put_back_from_quarantine_is_looked_at_again(rig: Rig) -> None:
    file = rig.lands("gate/video.mp4")
    assert rig.run().quarantined == 1
    (rig.landing / ".quarantine/gate/video.mp4").rename(file)
    said = {"camera_id": "gate", "start_time": "2026-03-01T00:00:00Z"}
    file.with_name("video.mp4.json").write_text(json.dumps(said))
    assert rig.run(stale_after=timedelta(0)).ingested == 1
    assert not rig.left()


def test_a_sidecar_wins_over_the_path_and_leaves_with_the_file(rig: Rig) -> None:
    file = rig.lands("gate/20200101T000000Z.mp4")
    said = {
        "camera_id": "Front Door",
        "start_time": "2026-03-01T01:00:00+01:00", "end_time": "2026-03-01T01:00:02.500+01:00",
        "file_path": "/mnt/recorder/20200101T000000Z.mp4", "size_bytes": file.stat().st_size, "duration_seconds": 2.5,
    }  # fmt: skip
    file.with_name(f"{file.name}.json").write_text(json.dumps(said))
    assert rig.run().ingested == 1
    rows = rig.rows("SELECT slug, name, start_time, duration_seconds FROM segments JOIN cameras c ON c.id = camera_id")
    assert rows == [("front-door", "Front Door", START, 2.5)]
    assert not rig.left()


def grow(file: Path) -> None:
    with file.open("ab") as half:
        half.write(b"more")


def test_a_growing_file_waits(rig: Rig) -> None:
    file = rig.lands(f"gate/{name(0)}")
    steady = rig.lands(f"gate/{name(1)}", number=1)

    plan = rig.plan(sleep=lambda _: grow(file))
    assert (plan.deferred, plan.files) == (1, 1)
    assert rig.batch(plan.batches[0].id).ingested == 1
    assert (steady.exists(), file.exists()) == (False, True)
    assert not rig.rows("SELECT * FROM landing_files WHERE state <> 'ingested'")
    assert rig.run().ingested == 1, "trailing bytes are the recorder's business"


@pytest.mark.parametrize("when", ["before", "while"])
def test_a_file_that_grows_after_it_was_planned_waits(rig: Rig, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = rig.lands(f"gate/{name(0)}")
    plan = rig.plan()

    if when == "before":
        grow(file)
    else:
        from reelkeeper.ingest import examination

        hash_file = examination.hash_file

        def hash_and_grow(path: Path) -> Any:
            result = hash_file(path)
            grow(file)
            return result

        monkeypatch.setattr(examination, "hash_file", hash_and_grow)
    result = rig.batch(plan.batches[0].id)
    monkeypatch.undo()
    assert (result.deferred, result.quarantined, result.failed) == (1, 0, 0)
    assert not rig.rows("SELECT * FROM landing_files") + rig.rows("SELECT * FROM segments")
    assert rig.run().ingested == 1


def after_recording(rig: Rig, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Let something happen between the catalogue's record and the end of the landing file."""
    open_catalogue = rig.open_catalogue

    def open_with_trap() -> Catalogue:
        catalogue = open_catalogue()
        record = catalogue.segments.record

        def record_and_more(*arguments: Any) -> Any:
            outcomes = record(*arguments)
            happens()
            return outcomes

        monkeypatch.setattr(catalogue.segments, "record", record_and_more)
        return catalogue

    monkeypatch.setattr(rig, "open_catalogue", open_with_trap)


@pytest.mark.parametrize("change", ["append", "replace"])
def test_a_file_that_changed_after_it_was_recorded_stays(
    rig: Rig, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.placement |= {"mode": "cloud", "at_ingest": "rollout"}
    file = rig.lands(f"gate/{name(0)}")
    facts = file.stat()

    def alter() -> None:
        if change == "append":
            grow(file)
        else:  # by another of the same size and time
            rig.lands("other.tmp", data=bytes(reversed(file.read_bytes()))).rename(file)
            os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))

    with monkeypatch.context() as patches:
        after_recording(rig, patches, alter)
        assert rig.run().ingested == 1
    wanted = digest(file)
    assert rig.run(stale_after=timedelta(0)).quarantined == 1
    (left,) = rig.left()
    assert (left, digest(rig.landing / left)) == (f".quarantine/gate/{name(0)}", wanted)
    assert len(rig.replica_digests()) == 1


@pytest.mark.parametrize("when", ["linked", "recorded"])
@pytest.mark.parametrize("handling", ["move", "adopt"])
def test_a_file_that_is_the_replica_itself_and_grows_before_it_is_recorded_waits(
    rig: Rig, when: str, handling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if handling == "adopt":
        rig.zone |= {"handling": "adopt", "path": rig.root / "local" / "old"}
    file = rig.lands(f"gate/{name(0)}")
    if handling == "adopt":
        (rig.root / "local/old/gate").mkdir(parents=True)
        file = file.rename(rig.root / f"local/old/gate/{name(0)}")
    step = {("linked", "move"): "link_in", ("linked", "adopt"): "key_of"}.get((when, handling), "expect_unchanged")
    of = Keeper if step == "expect_unchanged" else FilesystemStore
    call = getattr(of, step)

    def grow_around(*arguments: Any) -> Any:
        if step != "link_in":
            grow(file)
        result = call(*arguments)
        if step == "link_in":
            grow(file)
        return result

    with monkeypatch.context() as patches:
        patches.setattr(of, step, grow_around)
        result = rig.run()
    assert (result.deferred, result.files) == (1, 1)
    assert not rig.rows("SELECT * FROM segments")
    assert file.stat().st_nlink == 1, "nothing in the store may be written to by a recorder"
    assert rig.run().ingested == 1
    assert len(rig.replica_digests()) == 1


def test_who_lost_a_claim_removes_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    file = rig.lands(f"gate/{name(0)}")
    from reelkeeper.ingest import examination

    hash_file = examination.hash_file

    def hash_slowly(path: Path) -> Any:
        rig.rows("DELETE FROM landing_files; COMMIT; SELECT 1")  # as another plan would take it over
        sleep(0.3)
        return hash_file(path)

    with monkeypatch.context() as patches:
        patches.setattr(examination, "hash_file", hash_slowly)
        rig.lease = timedelta(seconds=0.4)
        assert rig.run().ingested == 1
    assert file.exists()
    assert (rig.run().duplicates, rig.left()) == (1, [])


def test_a_broken_file_that_still_grows_is_not_quarantined(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = rig.lands("x.mp4").read_bytes()
    (rig.landing / "x.mp4").unlink()
    file = rig.lands(f"gate/{name(0)}", data=whole[:5000])
    plan = rig.plan()
    from reelkeeper.ingest import examination

    probe = examination.probe

    def finish_and_probe(path: Path, **more: Any) -> Any:
        try:
            return probe(path, **more)
        finally:
            file.write_bytes(whole)

    monkeypatch.setattr(examination, "probe", finish_and_probe)
    assert rig.batch(plan.batches[0].id).deferred == 1
    monkeypatch.undo()
    assert rig.run().ingested == 1


@pytest.mark.parametrize("data", [b"", b"no video at all" * 100])
@pytest.mark.parametrize(
    ("age", "waits"),
    [(timedelta(minutes=10), True), (timedelta(minutes=20), False), (timedelta(minutes=-5), True),
     (timedelta(days=-3650), False)],
)  # fmt: skip
def test_a_quiet_file_is_not_condemned_until_its_recorder_is_done(
    rig: Rig, data: bytes, age: timedelta, waits: bool
) -> None:
    rig.zone["quarantine_after_minutes"] = 15
    file = rig.lands(f"gate/{name(0)}", data=data)
    modified = (NOW - age).timestamp()
    os.utime(file, (modified, modified))
    result = rig.run()
    assert (result.deferred, result.quarantined) == ((1, 0) if waits else (0, 1))
    assert file.exists() is waits
    rig.now += timedelta(hours=1)
    assert rig.run().quarantined == waits, "no clock makes it wait for ever"


@pytest.mark.parametrize("mtime", [0, NOW.timestamp() + 10 * 365 * 86400, 253402300800 * 2])
def test_clocks_do_not_matter(rig: Rig, mtime: float) -> None:
    os.utime(rig.lands(f"gate/{name(0)}"), (mtime, mtime))
    assert rig.run().ingested == 1


@pytest.mark.parametrize(
    ("timezone", "hour", "first", "never"),
    [
        ("Europe/Berlin", "2025-10-26T02", "2025-10-26T00", "2025-03-30T02-30-00"),
        ("America/New_York", "2025-11-02T01", "2025-11-02T05", "2025-03-09T02-30-00"),
    ],
)
def test_no_hour_overwrites_another_when_clocks_change(
    rig: Rig, timezone: str, hour: str, first: str, never: str
) -> None:
    """A recorder that writes local time: the hour that comes twice is kept twice, or waits for a person."""
    rig.zone["timezone"] = timezone
    start = datetime.fromisoformat(f"{first}:30:00Z")
    for number, folder in enumerate(("a", "b")):
        end = (start + timedelta(hours=number, seconds=2)).timestamp()
        os.utime(rig.lands(f"{folder}/gate_{hour}-30-00.mp4", number=number), (end, end))
    rig.lands(f"c/gate_{hour}-30-00.mp4", number=2)  # copied since: nobody knows which hour
    rig.lands(f"gate_{never}.mp4", number=3)
    result = rig.run()
    assert (result.ingested, dict(result.reasons)) == (2, {"ambiguous_time": 1, "nonexistent_time": 1})
    starts = [row[0] for row in rig.rows("SELECT start_time FROM segments ORDER BY 1")]
    assert starts == [start, start + timedelta(hours=1)]
    assert len(set(rig.replica_digests().values())) == 2


def test_only_known_cameras_where_the_zone_says_so(rig: Rig) -> None:
    rig.zone["register_cameras"] = False
    rig.lands(f"gate/{name(0)}")
    assert dict(rig.run().reasons) == {"unknown_camera": 1}


def test_nothing_is_ingested_in_mode_milestone(rig: Rig) -> None:
    rig.placement["mode"] = "milestone"
    rig.lands(f"gate/{name(0)}")
    assert rig.plan().batches == ()


def test_a_zone_that_is_not_there_is_not_an_empty_one(rig: Rig) -> None:
    rig.zone["path"] = rig.root / "unmounted"
    with pytest.raises(BucketNotFound, match=r"landing zone 'zone': folder '.*unmounted' does not exist"):
        rig.plan()


# --- placement --------------------------------------------------------------------------------------------------------


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


def test_two_workers_share_a_batch(rig: Rig) -> None:
    for number in range(60):
        rig.lands(f"gate/{name(number)}", number=number % 3)
    (batch,) = rig.plan().batches
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: rig.batch(batch.id), range(2)))
    assert summarise(results).ingested == 60
    assert (len(rig.replica_digests()), rig.left()) == (60, [])
    assert rig.rows("SELECT count(*) FROM transfers") == [(60,)]


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


def test_a_zone_over_the_store_itself_never_removes_a_replica(rig: Rig) -> None:
    rig.lands(f"gate/{name(0)}")
    rig.run()
    rig.zone["path"] = rig.root / "local"
    for _ in range(3):
        rig.run(stale_after=timedelta(0))
        assert len(rig.replica_digests()) == 1
    rig.zone["path"] = rig.root
    rig.run(stale_after=timedelta(0))
    assert len(rig.replica_digests()) == 1
