"""What the page of one export says, held against exports that are made by hand."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from reelkeeper.catalogue.export_records import Export, ExportCamera, ExportFile, FileKind
from reelkeeper.catalogue.restores import RestoreCounts
from reelkeeper.model import Camera, Key, Sha256, StoreName, Tenant, TimeRange
from reelkeeper.policy.exports import ExportRequest
from reelkeeper.reporting.page.export import ExportPage, export_page
from tests.reporting.hand_made import CAMERAS, NOW, export

GATE, YARD = (Camera(number, Tenant("acme"), name.lower(), name)
              for number, name in zip(CAMERAS, ("Gate", "Yard"), strict=False))  # fmt: skip
CUT = (ExportCamera(0, GATE, "cut", 1.0, None), ExportCamera(1, YARD, "cut", 1.0, None))
BEING_CUT = (ExportCamera(0, GATE, "pending", 0.639, None), CUT[1])


def file(name: str, kind: FileKind, size_bytes: int = 2048, number: int | None = None) -> ExportFile:
    digest = Sha256(f"{size_bytes:064x}")
    return ExportFile(name, kind, StoreName("local"), Key(f"exports/7/{name}"), size_bytes, digest, "x/y", number)


def page(
    of: Export, cameras: Sequence[ExportCamera] = CUT, files: Sequence[ExportFile] = (),
    waits: RestoreCounts | None = None,
) -> ExportPage:  # fmt: skip
    return export_page(of, cameras, files, waits, now=NOW)


def request() -> ExportRequest:
    found = export().request
    assert found is not None
    return found


def test_it_says_what_it_is() -> None:
    told = page(export(watermark_id="7K2M-QX4A", request=replace(request(), burns_time=True)))
    assert told.title == "Export of Gate, Yard, 2026-03-09 12:00 UTC"
    assert told.facts == (
        ("recorded", "2026-03-09 12:00:00 to 13:00:00 UTC"),
        ("lasts", "1 h"),
        ("made as", "mosaic, mp4, original quality, time in the picture, watermark 7K2M-QX4A"),
        ("reason", "case 7"),
        ("asked for by", "mara (admin in Airflow)"),
        ("asked for", "2026-03-10 10:00:00 UTC, 2 h 00 min ago"),
        ("ready", "2026-03-10 12:00:00 UTC, 0 s ago"),
        ("expires", "2026-03-16 12:00:00 UTC, in 6 days"),
        ("tenant", "acme"),
    )
    assert [(camera.name, camera.label, camera.state) for camera in told.cameras] == [
        ("Gate", "acme/gate", ""), ("Yard", "acme/yard", "")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("starts", "lasts", "told"),
    [
        (0.0, 90.0, ("2026-03-09 23:59:00 to 2026-03-10 00:00:30 UTC", "1 min 30 s")),
        (0.3, 1.2, ("2026-03-09 23:59:00.300 to 23:59:01.500 UTC", "1.2 s")),
        (-3600.0, 3630.0, ("2026-03-09 22:59:00 to 23:59:30 UTC", "1 h 30 s")),
    ],
)
def test_its_range_is_told_to_the_last_part(starts: float, lasts: float, told: tuple[str, str]) -> None:
    start = NOW - timedelta(hours=12, minutes=1) + timedelta(seconds=starts)
    asked = replace(request(), time_range=TimeRange(start, start + timedelta(seconds=lasts)))
    assert tuple(fact for _, fact in page(export(request=asked)).facts[:2]) == told


def test_what_can_be_taken_away_begins_with_the_main_file() -> None:
    files = [file("manifest.json", "manifest", 512), file("b.mp4", "footage", 7, 1), file("a.mp4", "footage", 2048, 0),
             file("cuts/a.mkv", "part"), file("playback/1/master.m3u8", "package"),
             file("playback/1/1.m4s", "package")]  # fmt: skip
    told = page(export(), files=files)
    assert [(one.name, one.what, one.size, one.path, one.is_playlist) for one in told.files] == [
        ("a.mp4", "Gate", "2.0 KiB", "download", False),
        ("manifest.json", "signed: what each file is made of, and its SHA-256", "512 B", "files/manifest.json", False),
        ("b.mp4", "Yard", "7 B", "files/b.mp4", False),
        ("playback/1/master.m3u8", "playlist of HLS", "2.0 KiB", "files/playback/1/master.m3u8", True),
    ]
    assert told.files[1].sha256 == f"{512:064x}"
    assert told.played == 1
    for gone in (export(expires_at=NOW), export(status="EXPIRED", expires_at=NOW), export(status="FAILED")):
        assert (page(gone, files=files).files, page(gone, files=files).played) == ((), 0)


def test_it_says_how_it_stands() -> None:
    counts = RestoreCounts(0, 3, 2, 0, 0, 0, 0, 0.0, None)
    new = export(status="PENDING", progress=2, completed_at=None)
    busy = export(status="PROCESSING", progress=42, completed_at=None)
    failed = export(status="FAILED", completed_at=None, failure="no room", failure_code="work_folder_full")
    never = export(status="EXPIRED", completed_at=None, expires_at=NOW)
    over = export(expires_at=NOW - timedelta(days=3))
    told = [page(new), page(new, waits=counts), page(busy, BEING_CUT), page(failed), page(never), page(over),
            page(export())]  # fmt: skip
    assert [(one.sentence, one.level, one.progress) for one in told] == [
        ("It waits to be made.", "unknown", 2),
        ("It waits for 3 segments to come back from the archive, 2 can be read already.", "unknown", 2),
        ("It is being made.", "unknown", 42),
        ("It failed, and nothing of it is left.", "bad", None),
        ("It was never made, and its time is over.", "unknown", None),
        ("It has expired, and cannot be downloaded any more.", "unknown", None),
        ("It is ready.", "good", None),
    ]
    assert [camera.state for camera in told[2].cameras] == ["63 % cut", "cut"]
    assert (told[3].failure, told[3].failure_code) == ("no room", "work_folder_full")
    assert ("expired", "2026-03-07 12:00:00 UTC, 3 days ago") in told[5].facts
    assert told[6].says == ("It can be downloaded for another 6 days.",)


def test_a_camera_without_footage_is_named() -> None:
    told = page(export(), (CUT[0], ExportCamera(1, YARD, "empty", 1.0, None)))
    assert told.says[1] == "Nothing was recorded in this range by Yard."
    assert [(camera.state, camera.is_empty) for camera in told.cameras] == [
        ("", False), ("nothing was recorded in this range", True)
    ]  # fmt: skip


def test_a_request_that_was_refused_says_whose_it_was() -> None:
    asked = {"reason": "incident 44", "created_by": "bob", "triggered_by": "bob", "request": None, "camera_ids": ()}
    refused = export(status="FAILED", completed_at=None, failure="no x", failure_code="request_refused", **asked)
    told = page(refused, ())
    assert (told.title, told.sentence, told.level) == ("Export that was refused", "The request was refused.", "bad")
    assert told.failure == "no x"
    assert told.facts[:2] == (("reason", "incident 44"), ("asked for by", "bob"))
    nameless = page(replace(refused, reason=None, created_by=None, triggered_by=None), ())
    assert nameless.facts[:2] == (("reason", "none was given"), ("asked for by", "nobody was named"))
