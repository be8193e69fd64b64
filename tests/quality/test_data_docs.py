"""The page that a check leaves, as people see it: in a browser that can reach nobody."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reelkeeper.catalogue.quality import QualityResult
from reelkeeper.policy.quality import EXPECTATIONS, Name, Suite
from reelkeeper.quality.data_docs import Page, render
from reelkeeper.quality.statements import Part
from tests.browser import BROWSER, browser

HOSTILE = "<img src=x onerror=alert(1)>"
ID = "6c8e55f5-6873-5826-96fd-5c5d75523674"
PATH = f"media/demo/loading-bay-behind-the-hall/2026/03/09/20260309T120000Z_{ID}_with_sound_and_marks.mp4"
NOW = datetime(2026, 3, 10, 6, tzinfo=UTC)
PAGE = Page("Quality of the catalogue", "harbour", "manual__1", "Footage of three days.", NOW, "1.24.1", 2)


def results() -> list[QualityResult]:
    found = {
        each.name: QualityResult(each.suite, each.name, each.severity, True, 1440, 0, 1.0) for each in EXPECTATIONS
    }
    found[Name.SEGMENT_OVERLAPS] = QualityResult(
        Suite.SEGMENTS, Name.SEGMENT_OVERLAPS, "fail", False, 1440, 2, 1.0,
        [{"segment_id": ID, "camera": HOSTILE, "start_time": f"2026-03-09T12:0{number}:00+00:00",
          "end_time": "2026-03-09T12:02:00+00:00", "overlaps_segment_id": ID,
          "overlaps_start_time": "2026-03-09T12:00:00+00:00", "overlaps_end_time": "2026-03-09T12:02:00+00:00",
          "overlap_seconds": 7.5} for number in (0, 1)],
        "reports/check_catalogue/2026-03-10/manual__1/segment_overlaps-2.csv",
    )  # fmt: skip
    found[Name.REPLICA_MATCHES] = QualityResult(
        Suite.REPLICAS, Name.REPLICA_MATCHES, "warn", True, 1440, 1, 0.9,
        [{"segment_id": ID, "store": "cloud", "path": PATH, "checksum": "5" * 64, "expected_checksum": "6" * 64}],
    )  # fmt: skip
    found[Name.CAMERA_COVERAGE] = QualityResult(
        Suite.CAMERAS, Name.CAMERA_COVERAGE, "warn", False, 100, 8, 0.95, [{"camera": "gate", "coverage_ratio": None}]
    )
    return list(found.values())


def asked(found: list[QualityResult]) -> tuple[list[QualityResult], list[Part]]:
    return found, [Part("2026-03-09", "looked", f"SELECT '<{result.expectation}>'") for result in found]


def page(found: list[QualityResult]) -> str:
    return render(PAGE, *asked(found))


def test_it_says_what_came_of_each() -> None:
    text = page(results())
    assert "Of 26 expectations 1 failed and 1 only warned." in text
    assert '<a href="segment_overlaps-2.csv">All wrong rows' in text
    assert "8 wrong; 100 looked at; 95 % of them must be right" in text
    assert HOSTILE not in text
    assert '<td data-name="start time">2026-03-09 12:00:00Z</td>' in text
    assert "&lt;segment_overlaps&gt;" in text
    assert "The query that finds the wrong rows (here of 2026-03-09)" in text
    assert "The first 1 wrong rows (segment_overlaps-2.csv)" in render(replace(PAGE, report_rows=1), *asked(results()))
    well = page([QualityResult(each.suite, each.name, each.severity, True, 1, 0, 1.0) for each in EXPECTATIONS])
    assert "All 26 expectations are met." in well
    assert "✗" not in well


def test_what_is_long_comes_last() -> None:
    text = page(results())
    overlaps, matches = (re.findall(r"<th>([^<]*)</th>", text[text.index(f'<article id="{name}"') :])
                         for name in (Name.SEGMENT_OVERLAPS, Name.REPLICA_MATCHES))  # fmt: skip
    times = ["start time", "end time", "overlaps start time", "overlaps end time"]
    assert overlaps[:8] == [*times, "overlap seconds", "segment id", "camera", "overlaps segment id"]
    assert matches[:5] == ["store", "segment id", "path", "checksum", "expected checksum"]


@pytest.mark.servers
@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False)])
def test_it_needs_nothing_from_elsewhere_and_fits(tmp_path: Path, width: int, dark: bool) -> None:
    path = tmp_path / "data_docs.html"
    path.write_text(page(results()))
    with browser(tmp_path / "profile") as tab:
        tab.call("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0)
        tab.look(width=width, dark=dark)
        tab.open(path.as_uri())
        assert tab.requests == [path.as_uri()]
        assert tab.complaints == []
        assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        tables = "[...document.querySelectorAll('.scroll')]"
        assert tab.evaluate(f"{tables}.every(one => one.scrollWidth <= one.clientWidth)")
        assert tab.evaluate("document.querySelectorAll('article').length") == len(EXPECTATIONS)
        assert tab.evaluate("document.querySelectorAll('script, link, img, iframe').length") == 0
        light_ink, dark_ink = "rgb(29, 29, 27)", "rgb(237, 237, 234)"
        assert tab.evaluate("getComputedStyle(document.body).color") == (dark_ink if dark else light_ink)
