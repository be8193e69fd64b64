"""The footage that clips are cut from, and what is read back of them: a counter stands in each picture."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import av

from demo.video import read_counter
from reelkeeper.media.binaries import program
from reelkeeper.media.command import Limits
from reelkeeper.media.cutting import Piece
from reelkeeper.model import TimeRange

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
REGULAR = ("-preset", "veryfast", "-x264-params", "open-gop=1:scenecut=0:bframes=3:b-adapt=0")
MORE_KINDS = KINDS | {"open-gop-regular": ("mp4", "libx264", REGULAR)}
"""With one that copying cannot always begin at."""


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
    lasts: float | None  # seconds of the pictures, by the file's own word


def shown(path: Path, **options: str) -> Shown:
    with av.open(f"file:{path}", options=options) as container:
        frames = [
            (read_counter(frame.to_ndarray(format="gray")), float(frame.time)) for frame in container.decode(video=0)
        ]
    with av.open(f"file:{path}") as container:
        video = container.streams.video[0]
        lasts = float(video.duration * video.time_base) if video.duration else None
        sound = [
            (float(packet.pts * packet.time_base), float(packet.duration * packet.time_base))
            for packet in container.demux(container.streams.audio)
            if packet.size
        ]
    heard = (sound[0][0], sound[-1][0] + sound[-1][1]) if sound else None
    return Shown([number for number, _ in frames], [time for _, time in frames], heard, lasts)


def ffprobe(path: Path, *arguments: str) -> str:
    command = [program("ffprobe"), "-v", "error", "-select_streams", "v:0", *arguments, path]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def pictures(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]


def expected(start: float, end: float, *, of: Sequence[int]) -> list[int]:
    """The counters in a range: counter n stands n tenths of a second after START."""
    return [number for number in of if start - 1e-9 <= number / RATE < end - 1e-9]


def three(camera: Any, kind: str = "b-frames", **more: Any) -> list[Piece]:
    """0–2, 2–4 and, after a second without footage, 5–7; not in their order."""
    pieces = [camera(kind, begin, 2.0, **more) for begin in (0.0, 2.0, 5.0)]
    return [pieces[2], pieces[0], pieces[1]]


THREE = [*range(40), *range(50, 70)]
