"""One camera's part of a composed picture: its footage on the clock, and what stands where there is none."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import islice, pairwise
from math import ceil, floor
from pathlib import Path
from statistics import median
from typing import Any

import ffmpeg
import numpy as np
from PIL import Image

from reelkeeper.errors import MediaError
from reelkeeper.media.clock import seconds
from reelkeeper.media.command import Command, file_url
from reelkeeper.media.lettering import even_size, text_image
from reelkeeper.media.overlay import ClockFace, Overlay, Patch, lay, letter_size
from reelkeeper.media.pieces import Cut
from reelkeeper.media.probe import open_footage, video_stream
from reelkeeper.model import TimeRange

_USUAL_RATES = (
    *map(Fraction, (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 24, 25, 30, 50, 60)),
    Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001),
)  # fmt: skip
"""Frames per second."""
_FASTEST, _WITHOUT_FOOTAGE = Fraction(30), Fraction(5)
_SAMPLE_RATE = 48000
_INTERLEAVED = "1/1000000"
"""The time base in which `ainterleave` gives times, whatever it says."""
_PACKETS_LOOKED_AT = 250
_SUMMED = 8
"""Terms of one sum in an expression that ffmpeg evaluates."""
_GREY = (150, 150, 150, 255)


@dataclass(frozen=True, slots=True)
class Tile:
    """A camera, and its cut of the wanted range made with gaps="keep". None: it has no footage there."""

    name: str
    cut: Cut | None


@dataclass(frozen=True, slots=True)
class Composed:
    """A file made of several cuts, and what made it. Without audio unless it says so."""

    path: Path
    width: int  # pixels
    height: int  # pixels
    frame_rate: Fraction
    frames: int
    has_audio: bool
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Footage:
    """What composing needs to know about a cut's file. Times in seconds, as its packets say them."""

    first_seconds: float
    frame_rate: Fraction
    has_audio: bool


def look(path: Path) -> Footage:
    """MediaError when the file has no pictures."""
    with open_footage(path) as container:
        stream = video_stream(container)
        if stream is None:
            raise MediaError(f"file {path.name!r} has no video stream: expected one")
        packets = islice(container.demux(stream), _PACKETS_LOOKED_AT)
        times = sorted(float(packet.pts * packet.time_base) for packet in packets if packet.pts is not None)
        has_audio = bool(container.streams.audio)
    if not times:
        raise MediaError(f"file {path.name!r} has no frame: expected one")
    steps = [later - earlier for earlier, later in pairwise(times) if later > earlier]
    rate = 1 / median(steps) if steps else 1.0
    return Footage(times[0], min(_USUAL_RATES, key=lambda usual: abs(float(usual) / rate - 1)), has_audio)


def common_rate(footage: Iterable[Footage]) -> Fraction:
    """The fastest camera's rate; half of it where that is more than anybody needs to see side by side."""
    rate = max((each.frame_rate for each in footage), default=_WITHOUT_FOOTAGE)
    while rate > _FASTEST:
        rate /= 2
    return rate


def frames_in(wanted: TimeRange, rate: Fraction) -> int:
    """How many frames of `rate` a file of the range has; the first at its start. At least one."""
    return max(ceil(seconds(wanted.duration) * rate), 1)


def dark(cut: Cut, wanted: TimeRange, rate: Fraction, shown: Fraction) -> list[tuple[int, int]]:
    """The frames without footage, as half-open ranges of their numbers: gaps, and what lies before and after.

    `shown`: seconds from one frame of the camera to its next. A range need not begin with one: less is no gap.
    """
    frame = timedelta(seconds=float(shown))
    gaps = [(gap.start, gap.end) for gap in cut.gaps if gap.duration > frame]
    if cut.first_frame - wanted.start > frame:
        gaps.append((wanted.start, cut.first_frame))
    gaps.append((cut.last_frame + frame, wanted.end))
    joined: list[tuple[int, int]] = []
    for start, end in sorted((_number(start, wanted, rate), _number(end, wanted, rate)) for start, end in gaps):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        elif end > start:
            joined.append((start, end))
    return joined


class Cell:
    """A tile of `width` × `height` pixels at a rate. A gap's card shows what of name and time no label does.

    `seam`: pixels that stay black beside the picture and below it. `brief`: the frames of a gap that are shown, at
    most; None: all. What follows comes earlier then.
    """

    def __init__(
        self, tile: Tile, footage: Footage | None, wanted: TimeRange, *, width: int, height: int, rate: Fraction,
        labels: Overlay, number: int = 0, seam: int = 0, brief: int | None = None, threads: int = 1,
    ) -> None:  # fmt: skip
        self._number, self._seam = number, seam
        self._tile, self._seen, self._wanted, self._rate = tile, footage, wanted, rate
        self._width, self._height = width, height
        self._source = ffmpeg.input(file_url(tile.cut.path), threads=threads) if tile.cut else None
        all_frames = frames_in(wanted, rate)
        self._dark = [(0, all_frames)]
        if tile.cut and footage:
            self._dark = dark(tile.cut, wanted, rate, 1 / footage.frame_rate)
        self._skipped = [
            (start + brief, min(end, all_frames)) for start, end in self._dark if brief and end - start > brief
        ]
        self.frames = all_frames - sum(end - start for start, end in self._skipped)
        self._card = _card("" if labels.name else tile.name, not labels.clock, width, height) if self._dark else None

    @property
    def patches(self) -> list[Patch]:
        """What `video` lays over, or shows instead."""
        return [self._card] if self._card else []

    @property
    def has_audio(self) -> bool:
        return self._seen is not None and self._seen.has_audio

    def video(self, layers: Iterator[Any]) -> Any:
        """The stream on the wanted range's clock, without end. `layers`: those of `patches`, next to come."""
        card = self._whole_tile(next(layers), self._card) if self._card else None
        if self._source is None:
            assert card is not None
            return card.filter("fps", fps=self._rate, start_time=0).filter("tpad", stop=-1, stop_mode="clone")
        video = self._footage()
        if self._skipped:
            video = video.filter("select", f"not({self._between(self._skipped)})")
        return lay(video, card, ((0, 0),), enable=self._between(self._dark)) if card else video

    def audio(self) -> Any:
        """As long as the frames, silent where there is none."""
        until = f"{float(seconds(self._wanted.duration)):.6f}"
        silence = ffmpeg.input(f"anullsrc=r={_SAMPLE_RATE}:cl=stereo:n=1024", f="lavfi")
        if self._source is None or self._seen is None or not self._seen.has_audio:
            return silence.filter("atrim", end=f"{float(self.frames / self._rate):.6f}")
        audio = (
            self._source["a:0"]
            .filter("asetpts", f"PTS+{self._offset() - self._seen.first_seconds:.6f}/TB")
            .filter("aresample", _SAMPLE_RATE)
            .filter("aformat", channel_layouts="stereo", sample_fmts="fltp")
            .filter("asettb", _INTERLEAVED)
        )
        if self._dark:  # `aresample` alone would make a gap's silence in one piece, in memory
            silent = silence.filter("atrim", end=until).filter("aformat", sample_fmts="fltp")
            silent = silent.filter("aselect", self._between(self._dark)).filter("asettb", _INTERLEAVED)
            audio = ffmpeg.filter([audio, silent], "ainterleave")
        audio = (
            audio.filter("aresample", **{"async": 1, "first_pts": 0, "min_hard_comp": 0.025})
            .filter("apad")
            .filter("atrim", end=until)
        )
        if self._skipped:
            audio = (
                audio.filter("asetnsamples", _SAMPLE_RATE // 1000, 0)
                .filter("aselect", f"not({self._between(self._skipped)})")
                .filter("asetpts", "N/SR/TB")
            )
        return audio

    def _between(self, numbers: Sequence[tuple[int, int]]) -> str:
        """True for frames of these half-open ranges of numbers, which are in order: each limit lies half a frame before
        a frame. Many are searched by halves: ffmpeg takes no sum of thousands, and would look at each at each frame."""
        limits = [(self._before(start), self._before(end)) for start, end in numbers]
        if len(limits) <= _SUMMED:
            return "+".join(f"between(t,{start},{end})" for start, end in limits)
        middle = len(numbers) // 2
        earlier, later = self._between(numbers[:middle]), self._between(numbers[middle:])
        return f"if(lt(t,{limits[middle][0]}),{earlier},{later})"

    def _before(self, number: int) -> str:
        return f"{float((number - Fraction(1, 2)) / self._rate):.4f}"

    def _offset(self) -> float:
        assert self._tile.cut is not None
        return float(seconds(self._tile.cut.first_frame - self._wanted.start))

    def _footage(self) -> Any:
        assert self._source is not None
        width, height = self._width - self._seam, self._height - self._seam
        # ffmpeg-python takes two filters with the same arguments for one: the number, times nothing, tells them apart.
        # A picture that does not fit keeps its shape. It is scaled before frames are repeated: each one once.
        return (
            self._source["v:0"]
            .filter("setpts", f"PTS-STARTPTS+{self._offset():.6f}/TB+0*{self._number}")
            .filter(
                "scale", f"max(2,trunc(min({width},{height}*dar)/2+0.01)*2)",
                f"max(2,trunc(min({height},{width}/dar)/2+0.01)*2)", flags="bilinear", out_range="tv",
            )
            .filter("format", "yuv420p")
            .filter("pad", self._width, self._height, -1, -1)
            .filter("setsar", 1)
            .filter("fps", fps=self._rate, start_time=0)
            .filter("tpad", stop=-1, stop_mode="clone")
        )  # fmt: skip

    def _whole_tile(self, layer: Any, card: Patch) -> Any:
        return (
            layer.filter("pad", self._width, self._height, *card.places[0])
            .filter("format", "yuv420p")
            .filter("setsar", 1)
        )


def _card(name: str, clock: bool, width: int, height: int) -> Patch:
    """Name, time and "no footage" below each other, in the middle."""
    size = letter_size(width, height)
    lines = [text_image(name, size * 5 // 4, max_width=width * 9 // 10)] if name.strip() else []
    shown = ClockFace(0, 0, size, on_plate=False).draw(datetime(2000, 1, 1, tzinfo=UTC)) if clock else None
    lines += [*([shown] if shown else []), text_image("no footage", size, colour=_GREY)]
    gap = size // 3
    box = even_size(
        min(max(line.width for line in lines), width), min(sum(line.height + gap for line in lines), height)
    )
    picture = Image.new("RGBA", box, (0, 0, 0, 255))
    top, faces = 0, []
    for line in lines:
        left = max((box[0] - line.width) // 2, 0)
        if line is shown:
            faces.append(ClockFace(left, top, size, on_plate=False))
        else:
            picture.alpha_composite(line, (left, top))
        top += line.height + gap
    return Patch(
        np.asarray(picture), (((width - box[0]) // 4 * 2, (height - box[1]) // 4 * 2),), tuple(faces), is_paced=True
    )


def _number(moment: datetime, wanted: TimeRange, rate: Fraction) -> int:
    """The number of the frame that ffmpeg's `fps` makes of one at `moment`: the nearest, the later one of two."""
    return floor(seconds(moment - wanted.start) * rate + Fraction(1, 2))
