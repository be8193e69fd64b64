"""A contact sheet shows frames from all over a file, each with its own time."""

from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from demo.video import read_counter
from reelkeeper.errors import InvalidFootage
from reelkeeper.media import contact_sheet as module
from reelkeeper.media.contact_sheet import contact_sheet
from reelkeeper.media.lettering import text_image
from reelkeeper.media.thumbnail import Thumbnail
from reelkeeper.model import TimeRange

pytestmark = pytest.mark.encodes

START = datetime(2026, 11, 21, 23, 59, 58, tzinfo=UTC)


@pytest.fixture
def captions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is written below the frames."""
    written: list[str] = []
    caption = module._caption

    def note(*arguments: Any) -> str:
        written.append(caption(*arguments))
        return written[-1]

    monkeypatch.setattr(module, "_caption", note)
    return written


def counters(sheet: Thumbnail, count: int, columns: int, *, title: str = "") -> list[int]:
    """Of pictures of 160 × 120 pixels, in their order."""
    luma = np.asarray(Image.open(BytesIO(sheet.jpeg)).convert("L"))
    top = 12 + (text_image(title, 15).height + 12 if title else 0)
    cell = 120 + text_image("0", 10).height + 12 + 6
    corners = [(top + number // columns * cell, 12 + number % columns * 172) for number in range(count)]
    return [read_counter(luma[row : row + 120, column : column + 160]) for row, column in corners]


def test_frames_are_spread_over_the_file(footage: Any, captions: list[str]) -> None:
    path = footage.make("ten.mp4", seconds=10.0, first_frame=100)
    sheet = contact_sheet(path, start=START, columns=3, rows=2, width=160 * 3 + 12 * 4)
    shown = counters(sheet, 6, 3)
    assert shown[0] == 100
    assert shown == sorted(set(shown))
    assert all(abs(number - (100 + 20 * index)) <= 10 for index, number in enumerate(shown))
    assert captions == [
        f"{START + timedelta(seconds=(number - 100) / 10):%Y-%m-%d %H:%M:%S}.{number % 10}00 UTC" for number in shown
    ]
    assert (sheet.width, Image.open(BytesIO(sheet.jpeg)).format) == (528, "JPEG")


@pytest.mark.parametrize("suffix", ["mkv", "ts", "avi"])
def test_any_container(footage: Any, captions: list[str], suffix: str) -> None:
    sheet = contact_sheet(getattr(footage, suffix), columns=2, rows=2, width=160 * 2 + 12 * 3, title="Łódź; [x]")
    shown = counters(sheet, 4, 2, title="Łódź; [x]")
    assert shown[0] == 0
    assert shown == sorted(set(shown))
    assert captions == [f"00:00:0{number // 10}.{number % 10}00" for number in shown]


def test_gaps_that_a_file_closes_up_count(footage: Any, captions: list[str]) -> None:
    gap = TimeRange(START + timedelta(seconds=1.0), START + timedelta(seconds=3601))
    contact_sheet(footage.mp4, start=START, gaps=[gap], columns=4, rows=1)
    assert [caption[11:19] for caption in captions] == ["23:59:58", "23:59:58", "00:59:59", "00:59:59"]


def test_a_single_frame_and_a_file_without_pictures(footage: Any, captions: list[str], tmp_path: Path) -> None:
    contact_sheet(footage.make("one.mp4", seconds=0.1), start=START)
    assert captions == ["2026-11-21 23:59:58.000 UTC"]
    (tmp_path / "text.mp4").write_bytes(b"no footage at all" * 50)
    with pytest.raises(InvalidFootage) as error:
        contact_sheet(tmp_path / "text.mp4")
    assert error.value.code == "no_picture"
