"""What is burned into pictures: the camera's name, the time in UTC, a watermark.

Small pictures, drawn once a second, go to ffmpeg stacked in one sheet through its standard input; it cuts the sheet up
and lays the parts over the footage. The footage's own pixels are touched nowhere else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import ffmpeg
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reelkeeper.media.lettering import even_size, plate, stamp, text_image
from reelkeeper.model import utc

_SECOND = timedelta(seconds=1)
_WATERMARK_OPACITY = 0.38
_WATERMARK_ROWS = 5
_TIME_BASE = 1_000_000

Pixels = NDArray[np.uint8]
"""Height × width × (red, green, blue, opacity)."""


@dataclass(frozen=True, slots=True)
class ClockFace:
    """Where, within a patch, the time is drawn anew each second; `size` in pixels, on a plate or on black."""

    left: int
    top: int
    size: int
    on_plate: bool = True

    def draw(self, moment: datetime) -> Image.Image:
        """As wide at any other time."""
        text = f"{moment:%Y-%m-%d %H:%M:%S} UTC"
        if self.on_plate:
            return plate(text, self.size, max_width=100 * self.size)
        letters = text_image(text, self.size)
        return Image.alpha_composite(Image.new("RGBA", letters.size, (0, 0, 0, 255)), letters)


@dataclass(frozen=True, slots=True)
class Patch:
    """A small picture, even in width and height, and where its left upper corner lies: at even numbers, too."""

    pixels: Pixels
    places: tuple[tuple[int, int], ...]
    clocks: tuple[ClockFace, ...] = ()
    is_paced: bool = False  # drawn anew each second although nothing changes: see `Sheet.layers`

    @property
    def goes_on(self) -> bool:
        return bool(self.clocks) or self.is_paced

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])


@dataclass(frozen=True, slots=True)
class Overlay:
    """What to burn in: a name (empty: none), the time in UTC by the second, a watermark (empty: none; its lines stand
    below each other, such as the text and the export's watermark id).

    Name and time stand at the bottom, left and right. The watermark is repeated so that any part of half the width and
    half the height holds a whole one (from 160 pixels' height on).
    """

    name: str = ""
    clock: bool = False
    watermark: str = ""

    def __bool__(self) -> bool:
        return bool(self.name.strip() or self.clock or self.watermark.strip())

    def patches(self, width: int, height: int) -> list[Patch]:
        """For a picture of `width` × `height` pixels."""
        return [*_labels(self.name, self.clock, width, height), *_watermark(self.watermark, width, height)]


class Sheet:
    """Patches stacked in one picture a second, for one input of ffmpeg. Its time 0 is `start`."""

    def __init__(self, patches: Sequence[Patch], start: datetime) -> None:
        self._patches, self._start = list(patches), utc(start)
        self._width = max((patch.width for patch in patches), default=0)
        self._height = sum(patch.height for patch in patches)

    def layers(self) -> list[Any]:
        """The stream of each patch. Each has to be used, once.

        A picture is shown from its second on. Where the start lies within a second, the first one is shown at once.
        Where nothing changes, a stream ends with its first picture, which stays: over a stream that goes on, ffmpeg
        lays on a copy of each frame. But under one that has ended it runs ahead of what it is put beside, and keeps
        the frames of a whole gap: `Patch.is_paced` is for tiles.
        """
        if not self._patches:
            return []
        sheet = ffmpeg.input(
            "pipe:0", format="rawvideo", pixel_format="rgba", video_size=(self._width, self._height), framerate=1
        )
        past = self._start.microsecond
        stream = (
            sheet.filter("settb", f"1/{_TIME_BASE}")
            .filter("setpts", f"max(0,PTS-{past})")
            .filter("format", "yuva420p")
            .filter_multi_output("split", len(self._patches))
        )
        layers, top = [], 0
        for number, patch in enumerate(self._patches):
            layer = stream.stream(number).filter("crop", patch.width, patch.height, 0, top)
            layers.append(layer if patch.goes_on else layer.filter("trim", end_frame=1))
            top += patch.height
        return layers

    def pictures(self, duration: timedelta) -> Iterator[bytes] | None:
        """What ffmpeg reads for that long: a picture a second, or a single one where no clock runs. None: nothing."""
        return self._drawn(duration) if self._patches else None

    def _drawn(self, duration: timedelta) -> Iterator[bytes]:
        goes_on = any(patch.goes_on for patch in self._patches)
        seconds = -(-(self._start - _floor(self._start) + duration) // _SECOND) if goes_on else 1
        sheet = np.zeros((self._height, self._width, 4), np.uint8)
        for _, pictures in zip(range(seconds), _by_second(self._patches, self._start), strict=False):
            top = 0
            for picture in pictures:
                height, width = picture.shape[:2]
                sheet[top : top + height, :width] = picture
                top += height
            yield sheet.tobytes()


def lay(video: Any, layer: Any, places: Sequence[tuple[int, int]], **options: Any) -> Any:
    """`video` with the picture of `layer` at each of the places (left, top)."""
    if len(places) == 1:
        return ffmpeg.filter([video, layer], "overlay", *places[0], **options)
    copies = layer.filter_multi_output("split", len(places))
    for number, place in enumerate(places):
        video = ffmpeg.filter([video, copies.stream(number)], "overlay", *place, **options)
    return video


def letter_size(width: int, height: int) -> int:
    """Of text on a picture of `width` × `height`, so that the time fits; all in pixels."""
    return max(round(min(6 + height / 40, width / 14)), 7)


def _floor(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def _by_second(patches: Sequence[Patch], start: datetime) -> Iterator[list[Pixels]]:
    """The patches' pictures in the second that holds `start`, in the next one, and so on."""
    moment = _floor(start.astimezone(UTC))
    pictures = [patch.pixels.copy() for patch in patches]
    faces = [(picture, face) for picture, patch in zip(pictures, patches, strict=True) for face in patch.clocks]
    while True:
        drawn: dict[tuple[int, bool], Pixels] = {}
        for picture, face in faces:
            kind = (face.size, face.on_plate)
            if kind not in drawn:
                drawn[kind] = np.asarray(face.draw(moment))
            height, width = drawn[kind].shape[:2]
            room = picture[face.top : face.top + height, face.left : face.left + width]
            room[:] = drawn[kind][: room.shape[0], : room.shape[1]]  # a very small tile has not room for all of it
        yield pictures
        moment += _SECOND


def _labels(name: str, clock: bool, width: int, height: int) -> Iterator[Patch]:
    """Name and time beside each other at the bottom; the name above the time where it would be cut off."""
    size = letter_size(width, height)
    margin = max(size // 3, 2) // 2 * 2
    bottom = height - margin
    clock_left = width - margin
    if clock:
        face = ClockFace(0, 0, size)
        drawn = np.asarray(face.draw(datetime(2000, 1, 1, tzinfo=UTC)))
        clock_left = max(width - margin - drawn.shape[1], 0) // 2 * 2
        yield Patch(drawn, ((clock_left, max(bottom - drawn.shape[0], 0) // 2 * 2),), (face,))
    if name.strip():
        picture = plate(name, size, max_width=width - 2 * margin)
        if clock and margin + picture.width > clock_left - margin:
            bottom -= picture.height + margin
        yield Patch(np.asarray(picture), ((margin, max(bottom - picture.height, 0) // 2 * 2),))


def _watermark(text: str, width: int, height: int) -> Iterator[Patch]:
    """Two to a row, every other row shifted by half the way between two: see `Overlay`."""
    if not text.strip():
        return
    lines = min(len([line for line in text.splitlines() if line.strip()]), 2)
    box = even_size(width / 4 - 6, max(height / 28, 8) * lines)
    picture = stamp(text, width=box[0], height=box[1], opacity=_WATERMARK_OPACITY)
    places = []
    for row in range(_WATERMARK_ROWS):
        top = height * (2 * row + 1) // (2 * _WATERMARK_ROWS) - box[1] // 2
        for share in (1, 5) if row % 2 else (3, 7):
            left = width * share // 8 - box[0] // 2
            places.append((max(left, 0) // 2 * 2, max(top, 0) // 2 * 2))
    yield Patch(np.asarray(picture), tuple(places))
