"""A file of footage at a glance: frames of it, evenly spread, each with its time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from reelkeeper.errors import InvalidFootage
from reelkeeper.media.lettering import text_image
from reelkeeper.media.probe import open_footage, video_stream
from reelkeeper.media.thumbnail import Thumbnail, as_jpeg, upright
from reelkeeper.model import TimeRange, utc

_MARGIN = 12
_STEPS_BACK = (0.0, 2.0, 10.0, 1e9)
"""Seconds."""
_GROUND, _INK = (24, 24, 24), (235, 235, 235, 255)


@dataclass(frozen=True, slots=True)
class _Still:
    image: Image.Image
    seconds: float  # since the file's first frame


def contact_sheet(
    path: Path, *, start: datetime | None = None, gaps: Sequence[TimeRange] = (), title: str = "", columns: int = 4,
    rows: int = 4, width: int = 1600,
) -> Thumbnail:  # fmt: skip
    """A JPEG of `columns` × `rows` frames, from the first to about the last one, `width` pixels wide in all.

    Each carries its own time: in UTC where `start`, the wall time of the file's first frame, is given, otherwise since
    the beginning. `gaps` are those that the file closes up. There are fewer frames where the file has fewer.
    InvalidFootage `no_picture` when no frame can be decoded.
    """
    picture_width = (width - _MARGIN * (columns + 1)) // columns
    try:
        with open_footage(path) as container:
            stream = video_stream(container)
            stills = list(_stills(container, stream, columns * rows, picture_width)) if stream else []
    except av.FFmpegError as exc:
        raise InvalidFootage(
            f"footage cannot be decoded ({exc.strerror}): expected pictures", code="no_picture"
        ) from exc
    if not stills:
        raise InvalidFootage("no frame of the footage can be decoded: expected one", code="no_picture")
    are_close = stills[-1].seconds < 2 * len(stills)
    captions = [_caption(still.seconds, start, gaps, "milliseconds" if are_close else "seconds") for still in stills]
    return as_jpeg(_arrange(stills, captions, title, columns=min(columns, len(stills)), picture_width=picture_width))


def _stills(container: InputContainer, stream: VideoStream, count: int, width: int) -> Iterator[_Still]:
    """Frames in order, none twice. A key frame stands for what is near it: one picture's work, not one group's."""
    stream.thread_type = "AUTO"
    pixel_shape = stream.sample_aspect_ratio or Fraction(1)
    first = next(container.decode(stream), None)
    if first is None:
        return
    begin, seconds = first.time or 0.0, _seconds(container, stream)
    step = seconds / max(count - 1, 1)
    yield _Still(upright(first, pixel_shape, width), 0.0)
    last = 0.0
    for number in range(1, count):
        wanted = number * step
        frame = _frame_near(
            container, stream, begin, wanted, earliest=max(wanted - step / 2, last), latest=wanted + step / 2
        )
        seconds_in = (frame.time or 0.0) - begin if frame else 0.0
        if frame is None or seconds_in <= last:
            continue
        last = seconds_in
        yield _Still(upright(frame, pixel_shape, width), last)


def _frame_near(
    container: InputContainer, stream: VideoStream, begin: float, wanted: float, *, earliest: float, latest: float
) -> VideoFrame | None:
    """The key frame before `wanted` (seconds) if it is after `earliest`, else the frame at `wanted`, or the last."""
    assert stream.time_base is not None
    found: VideoFrame | None = None
    for back in _STEPS_BACK:
        target = max(wanted - back, 0.0)
        container.seek(int((begin + target) / stream.time_base), stream=stream)
        for found in container.decode(stream):
            seconds = (found.time or 0.0) - begin
            if seconds >= wanted - 0.001 or (found.key_frame and seconds > earliest):
                break
        # A container without an index may be entered too late to find a key frame.
        if not target or (found and (found.time or 0.0) - begin <= latest):
            break
    return found


def _seconds(container: InputContainer, stream: VideoStream) -> float:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / 1_000_000 if container.duration else 0.0


def _caption(
    seconds: float, start: datetime | None, gaps: Sequence[TimeRange], exact_to: Literal["seconds", "milliseconds"]
) -> str:
    moment = utc(start) if start else datetime.min.replace(tzinfo=UTC)
    begin, moment = moment, moment + timedelta(seconds=seconds)
    for gap in sorted(gaps) if start else ():
        if begin < gap.start <= moment:
            moment += gap.duration
    shown = moment.replace(tzinfo=None).isoformat(" ", exact_to)
    return f"{shown} UTC" if start else shown.partition(" ")[2]


def _arrange(
    stills: Sequence[_Still], captions: Sequence[str], title: str, *, columns: int, picture_width: int
) -> Image.Image:
    letters = max(picture_width // 20, 10)
    head = (
        text_image(title, letters * 3 // 2, colour=_INK, max_width=columns * picture_width) if title.strip() else None
    )
    texts = [text_image(caption, letters, colour=_INK, max_width=picture_width) for caption in captions]
    cell_height = max(still.image.height for still in stills) + texts[0].height + _MARGIN
    top = _MARGIN + (head.height + _MARGIN if head else 0)
    rows = -(-len(stills) // columns)
    size = (_MARGIN + columns * (picture_width + _MARGIN), top + rows * (cell_height + _MARGIN // 2))
    sheet = Image.new("RGB", size, _GROUND)
    if head:
        sheet.paste(head, (_MARGIN, _MARGIN), head)
    for number, (still, text) in enumerate(zip(stills, texts, strict=True)):
        left = _MARGIN + number % columns * (picture_width + _MARGIN)
        upper = top + number // columns * (cell_height + _MARGIN // 2)
        sheet.paste(still.image, (left, upper))
        sheet.paste(text, (left, upper + still.image.height + _MARGIN // 3), text)
    return sheet
