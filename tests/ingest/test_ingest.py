"""Footage comes in: whole, once, and nothing else is done to it."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from reelkeeper.errors import BucketNotFound, GateFailed
from reelkeeper.ingest.job import gate, summarise
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


def test_two_workers_share_a_batch(rig: Rig) -> None:
    for number in range(60):
        rig.lands(f"gate/{name(number)}", number=number % 3)
    (batch,) = rig.plan().batches
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: rig.batch(batch.id), range(2)))
    assert summarise(results).ingested == 60
    assert (len(rig.replica_digests()), rig.left()) == (60, [])
    assert rig.rows("SELECT count(*) FROM transfers") == [(60,)]


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
