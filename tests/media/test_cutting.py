"""A clip holds the frames of its range and no other: a counter in each picture is read back, hidden ones too."""

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demo.video import read_counter
from reelkeeper.errors import InvalidFootage, MediaError, MediaTimeout, NoFootage, WorkFolderFull
from reelkeeper.media.binaries import program
from reelkeeper.media.command import Limits
from reelkeeper.media.cutting import Cut, Piece, cut
from reelkeeper.media.encoding import encode
from reelkeeper.media.overlay import Overlay
from reelkeeper.model import TimeRange

MANY = int(os.environ.get("REELKEEPER_TEST_CUTS", "0"))
"""Examples of the property test; a few, unless this says more."""
START = datetime(2026, 3, 29, 0, 59, 58, tzinfo=UTC)
"""Two seconds before clocks jump in Europe: nothing of it may show."""
LIMITS = Limits(seconds=60)
RATE = 10
B_FRAMES = ("-preset", "veryfast", "-bf", "2")
KINDS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "baseline": ("mp4", "libx264", ("-profile:v", "baseline")),
    "b-frames": ("mp4", "libx264", B_FRAMES),
    "b-frames-mkv": ("mkv", "libx264", B_FRAMES),
    "b-frames-ts": ("ts", "libx264", B_FRAMES),
    "open-gop": ("mp4", "libx264", ("-preset", "veryfast", "-bf", "3", "-x264-params", "open-gop=1:b-pyramid=normal")),
    "hevc": ("mp4", "libx265", ("-x265-params", "log-level=none:bframes=0")),
    "hevc-open": ("mp4", "libx265", ("-x265-params", "log-level=none:bframes=3:open-gop=1")),
    "hevc-mkv": ("mkv", "libx265", ("-x265-params", "log-level=none:bframes=3:open-gop=0")),
    "mjpeg": ("mp4", "mjpeg", ()),
}


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def span(start: float, end: float) -> TimeRange:
    return TimeRange(after(start), after(end))


@dataclass(frozen=True)
class Shown:
    """What a decoder finds in a file."""

    counters: list[int]
    times: list[float]
    sound: tuple[float, float] | None  # its start and its end


def shown(path: Path, **options: str) -> Shown:
    with av.open(f"file:{path}", options=options) as container:
        frames = [
            (read_counter(frame.to_ndarray(format="gray")), float(frame.time)) for frame in container.decode(video=0)
        ]
    with av.open(f"file:{path}") as container:
        sound = [
            (float(packet.pts * packet.time_base), float(packet.duration * packet.time_base))
            for packet in container.demux(container.streams.audio)
            if packet.size
        ]
    heard = (sound[0][0], sound[-1][0] + sound[-1][1]) if sound else None
    return Shown([number for number, _ in frames], [time for _, time in frames], heard)


def expected(start: float, end: float, *, of: Sequence[int]) -> list[int]:
    """The counters in a range: counter n stands n tenths of a second after START."""
    return [number for number in of if start - 1e-9 <= number / RATE < end - 1e-9]


@pytest.fixture
def camera(footage: Any) -> Callable[..., Piece]:
    """One segment of a camera whose counter says how many tenths of a second its frame lies after START."""

    def make(kind: str = "b-frames", begin: float = 0.0, seconds: float = 4.0, **more: Any) -> Piece:
        suffix, codec, options = KINDS[kind]
        options += more.pop("options", ())
        name = f"cut-{kind}-{begin}-{seconds}-{'-'.join(map(str, more.values()))}{len(options)}.{suffix}"
        path = footage.make(
            name,
            seconds=seconds,
            frame_rate=RATE,
            codec=codec,
            first_frame=round(begin * RATE),
            options=options,
            **more,
        )
        return Piece(path, span(begin, begin + seconds))

    return make


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Cut]:
    """Cut, and look for what is hidden: behind edit lists, between the packets, in the folders."""

    def cut_it(
        pieces: Sequence[Piece], start: float, end: float, name: str = "clip.mp4", how: Any = cut, **more: Any
    ) -> Cut:
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        target = tmp_path / name
        made: Cut = how(pieces, span(start, end), target, work=work, limits=LIMITS, **more)
        seen = shown(target)
        assert shown(target, ignore_editlist="1").counters == seen.counters if name.endswith("mp4") else True
        assert made.frames == len(seen.counters)
        assert not list(work.iterdir())
        assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [name]
        assert all(before < later for before, later in pairwise(seen.times))
        return made

    return cut_it


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_frames_of_the_range_and_no_other(camera: Any, make: Any, kind: str, suffix: str) -> None:
    made = make([camera(kind)], 0.55, 3.25, f"clip.{suffix}")
    assert shown(made.path).counters == expected(0.55, 3.25, of=range(40))
    assert (made.first_frame, made.last_frame) == (after(0.6), after(3.2))
    assert made.method == {"mjpeg": "encoded" if suffix == "ts" else "copied"}.get(kind, "smart"), made.why
    assert (made.gaps, made.overlaps) == ((), ())
