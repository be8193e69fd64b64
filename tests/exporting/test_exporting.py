"""An export from its request to its proof: exact, resumed where it stopped, and gone without a trace when it fails."""

import zipfile
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import av
import pytest

from reelkeeper.errors import (
    BudgetExceeded,
    GateFailed,
    MediaTimeout,
    NoFootage,
    ObjectArchived,
    ObjectNotFound,
    SourceCorrupted,
    StoreUnavailable,
    WorkFolderFull,
)
from reelkeeper.exporting.job import step, tell_restoring
from reelkeeper.exporting.objects import work_folder
from reelkeeper.media.verification import verify
from reelkeeper.model import Key, Segment
from reelkeeper.retention.sweeping import expire_exports
from reelkeeper.stores.body import Body
from tests.exporting.conftest import CLOUD, DISK, NOW, RATE, START, Rig, counters
from tests.stores.test_filesystem import small_disk


def manifest(rig: Rig, path: Path) -> Any:
    """The manifest, once it and the files beside it are proved by the public key."""
    verdict = verify(path, [rig.signer.public_key])
    assert verdict.is_genuine, verdict.findings
    assert verdict.found is not None
    return verdict.found.manifest


def test_two_cameras_cut_to_the_frame_and_proved(rig: Rig) -> None:
    rig.record([0, 1, 2, 3])
    rig.record([1, 2], camera="yard", first_frame=1000)
    rig.record([50], camera="shed")
    wanted = {"start_time": "2026-03-01T10:00:01.300Z", "end_time": "2026-03-01T10:00:05.100Z"}
    export = rig.made("gate", "yard", "shed", **wanted)
    assert (export.status, export.progress, export.failure) == ("COMPLETED", 100, None)
    assert export.expires_at == NOW + timedelta(days=7)
    assert export.download_url == f"https://airflow/exports/{export.id}"
    assert rig.held() == []

    files = rig.fetched(export)
    assert {Path(key).parts[:2] for key in rig.objects()} == {("exports", str(export.id))}
    assert len(rig.objects()) == 5  # two cuts, thumbnail, contact sheet, manifest
    assert counters(files["footage"]) == list(range(13, 51))
    told = manifest(rig, files["manifest"])
    assert {camera.slug for camera in told.request.cameras} == {"gate", "yard", "shed"}
    gate, yard, shed = told.footage
    assert (gate.picture.first_frame, gate.picture.last_frame) == (
        START + timedelta(seconds=1.3), START + timedelta(seconds=5)
    )  # fmt: skip
    assert [source.store for source in gate.sources] == [DISK] * 3
    assert yard.picture.frames == 31
    assert [(gap.start, gap.end) for gap in yard.gaps] == [
        (START + timedelta(seconds=1.3), START + timedelta(seconds=2))
    ]
    assert (shed.picture, shed.sources, shed.gaps) == (None, (), (told.request.range,))
    assert told.tools["ffmpeg"]
    assert str(rig.root) not in files["manifest"].read_text()  # nothing of this machine


def test_what_is_cut_is_not_cut_again_and_what_is_done_stays(rig: Rig) -> None:
    rig.record([0, 1, 2, 3])
    rig.record([0], camera="yard")
    export = rig.accept("gate", "yard")
    first = rig.cut(export, 0)
    with pytest.raises(GateFailed, match=r"cameras \['yard'\] are not cut"):
        rig.compose(export)
    before = rig.objects()
    again = rig.cut(export, 0)
    assert (again.already, first.already, again.frames) == (True, False, 80)
    assert rig.objects() == before
    rig.cut(export, 1)
    rig.compose(export)
    done = rig.deliver(export)
    keys = rig.objects()
    assert rig.deliver(export) == done
    assert rig.accept("gate", "yard").status == "COMPLETED"
    assert rig.objects() == keys


def test_what_a_killed_step_left_is_in_nobodys_way_and_removed(rig: Rig) -> None:
    rig.record([0, 1])
    export = rig.accept("gate", end_time="2026-03-01T10:00:04Z")
    rig.cut(export)
    for name in ("gate_old.mp4", "cuts/gate_old.mkv", "manifest.json"):  # written, and not recorded
        rig.stores[CLOUD].write(Key(f"exports/{export.id}/{name}"), Body.of_bytes(b"half"))
    rig.compose(export)
    rig.deliver(export)
    assert {Path(key).name.split("_")[0] for key in rig.objects()} == {
        "gate",
        "thumbnail",
        "contact-sheet",
        "manifest",
    }
    manifest(rig, rig.fetched(export)["manifest"])


def test_a_wrong_copy_is_passed_over_and_told_of(rig: Rig) -> None:
    segments = rig.record([0, 1], stores=(DISK, CLOUD))
    spoil(rig, segments[0])
    export = rig.made("gate", end_time="2026-03-01T10:00:04Z")
    files = rig.fetched(export)
    assert counters(files["footage"]) == list(range(40))
    [footage] = manifest(rig, files["manifest"]).footage
    assert [source.store for source in footage.sources] == [CLOUD, DISK]  # what a disk has is not fetched
    assert footage.sources[0].note == "in store 'disk': source corrupted"
    assert footage.sources[1].note == ""
    states = rig.sql("SELECT store, state FROM replicas WHERE segment_id = %s ORDER BY store", str(segments[0].id))
    assert states == [("cloud", "available"), ("disk", "suspicious")]

    rig.stores[CLOUD].delete([stat.key for stat in rig.stores[CLOUD].list("media/")])
    told = "has no copy that can be read: in store 'cloud': object not found; in store 'disk': source corrupted"
    with pytest.raises(ObjectNotFound, match=told):
        rig.made("gate", end_time="2026-03-01T10:00:02Z", run_id="second")


def test_a_disk_that_is_not_there_costs_nothing_but_the_way_to_the_cloud(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reelkeeper.stores.retry.FIRST_WAIT_SECONDS", 0.01)
    rig.record([0, 1], stores=(DISK, CLOUD))
    (rig.root / "disk").rename(rig.root / "not mounted")
    export = rig.made("gate", end_time="2026-03-01T10:00:04Z")
    files = rig.fetched(export)
    assert counters(files["footage"]) == list(range(40))
    assert {state for (state,) in rig.sql("SELECT state FROM replicas")} == {"available"}  # unknown is not missing
    [footage] = manifest(rig, files["manifest"]).footage
    assert {source.note for source in footage.sources} <= {"", "in store 'disk': store unavailable"}
    assert any(source.note for source in footage.sources)
    assert str(rig.root) not in files["manifest"].read_text()


def spoil(rig: Rig, segment: Segment) -> None:
    [(path,)] = rig.sql("SELECT path FROM replicas WHERE segment_id = %s AND store = 'disk'", str(segment.id))
    (rig.root / "disk" / path).write_bytes(bytes(segment.size_bytes))


def test_a_source_that_is_wrong_everywhere_fails_clearly_and_leaves_nothing(rig: Rig) -> None:
    segments = rig.record([0, 1])
    rig.record([0], camera="yard")
    spoil(rig, segments[1])
    export = rig.accept("gate", "yard", layout="mosaic")
    rig.cut(export, 1)
    assert len(rig.objects()) == 1
    with (
        pytest.raises(SourceCorrupted, match=r"from 2026-03-01T10:00:02.*: in store 'disk': source corrupted"),
        step(rig.catalogue, export.id, "camera 'gate' could not be cut", run_id="run", now=NOW),
    ):
        rig.cut(export, 0)
    assert rig.held() != []
    assert rig.sql("SELECT state FROM replicas WHERE segment_id = %s", str(segments[1].id)) == [("suspicious",)]
    assert rig.fail(export, "a worker was killed")
    assert not rig.fail(export)  # again
    found = rig.catalogue.exports.get(export.id)
    assert found is not None
    assert (found.status, found.failure_code) == ("FAILED", "source_corrupted")
    assert found.failure is not None
    assert found.failure.startswith("camera 'gate' could not be cut: segment ")
    assert (rig.objects(), rig.held(), rig.catalogue.exports.files(export.id)) == (set(), [], [])
    assert {reason for (reason,) in rig.sql("SELECT reason FROM deletions")} == {"export"}


def test_why_it_failed_tells_nothing_of_machines(rig: Rig) -> None:
    rig.record([0])
    export = rig.accept("gate")
    for error, told in (
        (StoreUnavailable(f"no marker at {rig.root}, asked at http://10.0.0.7:9000"), "store unavailable"),
        (OSError(f"{rig.root} is a folder"), "unexpected"),
        (GateFailed("one of two"), "one of two"),
    ):
        with pytest.raises(type(error)), step(rig.catalogue, export.id, "it could not", run_id="run", now=NOW):
            raise error
        found = rig.catalogue.exports.get(export.id)
        assert found is not None
        more = "" if error.args == ("one of two",) else "; the task's log says more"
        assert found.failure == f"it could not: {told}{more}"


def test_archived_footage_is_not_read_unrestored(rig: Rig) -> None:
    rig.record([0])
    export = rig.accept("gate")
    rig.sql("UPDATE replicas SET storage_class = 'GLACIER', tier = 'ARCHIVE'")
    with pytest.raises(ObjectArchived):
        rig.cut(export)


def test_a_restore_shows_how_far_it_is(rig: Rig) -> None:
    """Half of five percent; what another run waits for does not count, and an export that ended is left alone."""
    rig.record([0, 1])
    export = rig.accept("gate", end_time="2026-03-01T10:00:04Z")
    tell = partial(tell_restoring, rig.catalogue, export.id, now=NOW)

    def progress() -> int:
        found = rig.catalogue.exports.get(export.id)
        assert found is not None
        return found.progress

    tell("generate_export/run")
    assert progress() == 0  # there is nothing to restore
    rig.sql(
        "WITH asked AS (INSERT INTO restores (segment_id, start_time, store, path, speed, days, size_bytes, cost_usd, "
        "state, run_id, planned_at, requested_at, readable_until) "
        "SELECT segment_id, start_time, store, path, 'bulk', 7, size_bytes, 0, "
        "CASE WHEN start_time = min(start_time) OVER () THEN 'requested' ELSE 'readable' END, 'r', now(), now(), now() "
        "FROM replicas RETURNING id) INSERT INTO restore_wishes SELECT 'generate_export/run', id FROM asked"
    )
    tell("generate_export/another")
    assert progress() == 0
    tell("generate_export/run")
    assert progress() == 2
    rig.sql("UPDATE restores SET state = 'readable'")
    tell("generate_export/run")
    assert progress() == 5
    rig.fail(export, "enough")
    tell("generate_export/run")
    assert progress() == 5


def test_no_frame_in_the_range(rig: Rig) -> None:
    """The only segment shares an instant with the range, and none of its frames lies in it."""
    rig.record([0])
    export = rig.accept("gate", start_time="2026-03-01T10:00:01.950Z", end_time="2026-03-01T10:00:03Z")
    assert rig.cut(export).state == "empty"
    with pytest.raises(NoFootage, match=r"has a frame from 2026-03-01T10:00:01\.95"):
        rig.compose(export)


def test_one_frame_in_each_format(rig: Rig) -> None:
    rig.record([0])
    for form in ("mp4", "mkv", "ts"):
        export = rig.made("gate", start_time="2026-03-01T10:00:00.450Z", end_time="2026-03-01T10:00:00.550Z",
                          format=form, run_id=form)  # fmt: skip
        path = rig.fetched(export)["footage"]
        assert (path.suffix, counters(path)) == (f".{form}", [5])


def test_a_hole_of_ten_minutes_is_listed_or_black(rig: Rig) -> None:
    rig.record([0, 301])
    wanted = {"start_time": "2026-03-01T10:00:01Z", "end_time": "2026-03-01T10:10:03Z"}
    joined = rig.fetched(rig.made("gate", **wanted))
    assert counters(joined["footage"]) == [*range(10, 20), *range(6020, 6030)]
    [footage] = manifest(rig, joined["manifest"]).footage
    assert [gap.duration for gap in footage.gaps] == [timedelta(minutes=10)]

    rig.record([303])  # four seconds in which nothing was recorded, but for two in the middle
    black = rig.made("gate", gaps="black", start_time="2026-03-01T10:10:03Z", end_time="2026-03-01T10:10:08Z",
                     run_id="black")  # fmt: skip
    files = rig.fetched(black)
    [footage] = manifest(rig, files["manifest"]).footage
    assert len(counters(files["footage"])) == footage.picture.frames > 3 * RATE
    with av.open(str(files["footage"])) as container:
        assert container.duration == pytest.approx(5_000_000, abs=50_000)  # microseconds
    assert [gap.duration for gap in footage.gaps] == [timedelta(seconds=2)]


def test_the_night_on_which_the_clocks_go_back_has_every_frame_once(rig: Rig) -> None:
    """02:30 in Berlin, twice; the footage is in UTC."""
    for_berlin = -(START - START.replace(year=2025, month=10, day=26, hour=0, minute=29, second=58))
    first = for_berlin // timedelta(seconds=2)
    rig.record([first, first + 1, first + 1800])  # 00:29:58, 00:30:00 and 01:29:58 UTC
    export = rig.made("gate", start_time="2025-10-26T02:29:58+02:00", end_time="2025-10-26T02:30:00+01:00")
    [footage] = manifest(rig, rig.fetched(export)["manifest"]).footage
    assert footage.picture.frames == 3 * 2 * RATE
    assert [gap.duration for gap in footage.gaps] == [timedelta(hours=1, seconds=-6 + 2)]


def test_a_smaller_picture_with_the_time_burned_in_has_the_same_frames(rig: Rig) -> None:
    rig.record([0, 1])
    export = rig.made("gate", quality="480p", burn_in_time=True, watermark=True, end_time="2026-03-01T10:00:03.200Z")
    files = rig.fetched(export)
    [footage] = manifest(rig, files["manifest"]).footage
    assert (footage.picture.method, footage.picture.height, footage.picture.frames) == ("encoded", 120, 32)
    assert len(counters(files["footage"])) == 32


@pytest.mark.parametrize("layout", ["mosaic", "sequence"])
def test_composed_of_parts_that_go(rig: Rig, layout: str) -> None:
    rig.record([0, 1])
    rig.record([0], camera="yard")
    export = rig.made("gate", "yard", layout=layout, quality="480p", end_time="2026-03-01T10:00:04Z", watermark=True,
                      watermark_text="$(touch /tmp/x); `id` 'a' \"b\" | c & é 東", burn_in_camera=True, format="mkv",
                      packaging="hls_dash" if layout == "mosaic" else "none")  # fmt: skip
    files = rig.fetched(export)
    assert {"footage", "thumbnail", "contact_sheet", "manifest"} <= set(files)
    assert not [key for key in rig.objects() if "/cuts/" in key]
    told = manifest(rig, files["manifest"])
    [video] = [file for file in told.files if file.kind == "video"]
    assert (video.made, video.cameras) == (f"{layout} of 2 cameras", ("gate", "yard"))
    assert told.watermark.id == export.watermark_id
    names = {file.name.rpartition("/")[2] for file in told.files if file.kind == "playback"}
    assert {Path(name).suffix for name in names} == ({".m3u8", ".mpd", ".mp4"} if layout == "mosaic" else set())
    assert export.file_hash == video.sha256


def test_an_archive_has_a_file_for_each_camera(rig: Rig) -> None:
    rig.record([0])
    rig.record([0], camera="yard", first_frame=500)
    export = rig.made("gate", "yard", format="zip", end_time="2026-03-01T10:00:02Z")
    files = rig.fetched(export)
    told = manifest(rig, files["manifest"])
    [archive] = [file for file in told.files if file.kind == "archive"]
    with zipfile.ZipFile(files["footage"]) as opened:
        assert opened.testzip() is None
        assert opened.namelist() == [member.name for member in archive.members]
        opened.extractall(rig.root / "unpacked")
    seen = [counters(rig.root / "unpacked" / member.name) for member in archive.members]
    assert seen == [list(range(20)), list(range(500, 520))]


def test_a_full_disk_in_the_middle(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reelkeeper.stores.retry.FIRST_WAIT_SECONDS", 0.01)
    rig.record([0, 1, 2, 3], stores=(CLOUD,))
    with small_disk(rig.root / "small") as small:
        rig.terms["work_directory"] = small
        (small / "ballast").write_bytes(bytes((2 << 20) - 12_000))
        export = rig.accept("gate")
        with (
            pytest.raises(WorkFolderFull),
            step(rig.catalogue, export.id, "camera 'gate' could not be cut", run_id="run", now=NOW),
        ):
            rig.cut(export)
        assert [path.name for path in small.iterdir()] == ["ballast"]  # nothing is left on this machine
    assert rig.fail(export)
    found = rig.catalogue.exports.get(export.id)
    assert found is not None
    assert (found.failure_code, rig.held(), rig.objects()) == ("work_folder_full", [], set())
    assert rig.sql("SELECT id FROM retrievals WHERE outcome = 'failed'") == []  # that is not the store's fault


@pytest.mark.parametrize(
    ("terms", "error", "told"),
    [
        ({"work_bytes": 1000}, BudgetExceeded, r"1 segments of \d+ bytes must be fetched .* expected at most 1000"),
        ({"task_hours": 1e-6}, MediaTimeout, "expected"),
    ],
)
def test_limits_are_those_of_the_estate(rig: Rig, terms: dict[str, Any], error: type[Exception], told: str) -> None:
    rig.record([0], stores=(CLOUD,))
    export = rig.accept("gate", start_time="2026-03-01T10:00:00.500Z")
    rig.terms |= terms
    with pytest.raises(error, match=told):
        rig.cut(export)


def test_a_work_folder_of_the_dead_is_swept(rig: Rig) -> None:
    left = rig.work / "reelkeeper-export-dead"
    left.mkdir()
    (left / "half.mp4").write_bytes(b"half")
    with work_folder(rig.estate) as folder:
        assert [path.name for path in rig.work.iterdir()] == [folder.name]
    assert list(rig.work.iterdir()) == []


def test_it_expires_with_all_its_objects(rig: Rig) -> None:
    rig.record([0])
    export = rig.made("gate", end_time="2026-03-01T10:00:02Z")
    later: Callable[[int], Any] = lambda days: expire_exports(  # noqa: E731
        rig.estate, rig.catalogue, rig.open_store, run_id="run", now=NOW + timedelta(days=days)
    )
    assert later(6) == (0, 0)
    assert later(7) == (1, 4)
    found = rig.catalogue.exports.get(export.id)
    assert found is not None
    assert (found.status, found.download_url) == ("EXPIRED", None)
