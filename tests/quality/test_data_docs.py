"""The page that a check leaves, as people see it: in a browser that can reach nobody."""

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
NOW = datetime(2026, 3, 10, 6, tzinfo=UTC)
PAGE = Page("Quality of the catalogue", "harbour", "manual__1", "Footage of three days.", NOW, "1.24.1", 2)


def results() -> list[QualityResult]:
    found = {
        each.name: QualityResult(each.suite, each.name, each.severity, True, 1440, 0, 1.0) for each in EXPECTATIONS
    }
    found[Name.SEGMENT_OVERLAPS] = QualityResult(
        Suite.SEGMENTS, Name.SEGMENT_OVERLAPS, "fail", False, 1440, 2, 1.0,
        [{"segment_id": f"{number}" * 8, "camera": HOSTILE, "overlap_seconds": 7.5} for number in (1, 2)],
        "reports/check_catalogue/2026-03-10/manual__1/segment_overlaps-2.csv",
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
    assert "&lt;segment_overlaps&gt;" in text
    assert "The query that finds the wrong rows (here of 2026-03-09)" in text
    assert "The first 1 wrong rows (segment_overlaps-2.csv)" in render(replace(PAGE, report_rows=1), *asked(results()))
    well = page([QualityResult(each.suite, each.name, each.severity, True, 1, 0, 1.0) for each in EXPECTATIONS])
    assert "All 26 expectations are met." in well
    assert "✗" not in well


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
        assert tab.evaluate("document.querySelectorAll('article').length") == len(EXPECTATIONS)
        assert tab.evaluate("document.querySelectorAll('script, link, img, iframe').length") == 0
        light_ink, dark_ink = "rgb(29, 29, 27)", "rgb(237, 237, 234)"
        assert tab.evaluate("getComputedStyle(document.body).color") == (dark_ink if dark else light_ink)
