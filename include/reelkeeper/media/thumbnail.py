"""One picture that stands for a segment or an export."""

from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from reelkeeper.errors import InvalidFootage
from reelkeeper.media.probe import open_footage, video_stream

_QUALITY = 80


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A JPEG picture; width and height in pixels."""

    jpeg: bytes
    width: int
    height: int


def make_thumbnail(path: Path, *, width: int = 320) -> Thumbnail:
    """The key frame nearest before the middle of the footage, else its first picture, `width` pixels wide.

    It stands upright and in its true proportions, whatever the file says about rotation and pixel shape.
    InvalidFootage `no_picture` when no frame can be decoded.
    """
    try:
        with open_footage(path) as container:
            stream = video_stream(container)
            frame = stream and (_middle_frame(container, stream) or _first_frame(path))
            if not stream or not frame:
                raise InvalidFootage("no frame of the footage can be decoded: expected one", code="no_picture")
            return as_jpeg(upright(frame, stream.sample_aspect_ratio or Fraction(1), width))
    except av.FFmpegError as exc:
        raise InvalidFootage(
            f"footage cannot be decoded ({exc.strerror}): expected a picture", code="no_picture"
        ) from exc


def _middle_frame(container: InputContainer, stream: VideoStream) -> VideoFrame | None:
    """Decodes key frames alone: one picture's work, not one group's."""
    stream.codec_context.skip_frame = "NONKEY"
    try:
        if container.duration:
            container.seek((container.start_time or 0) + container.duration // 2)
        return next(container.decode(stream), None)
    except av.FFmpegError:  # a damaged middle, or a container that cannot seek: the start may do
        return None


def _first_frame(path: Path) -> VideoFrame | None:
    with open_footage(path) as container:
        return next(container.decode(video=0), None)


def upright(frame: VideoFrame, pixel_shape: Fraction, width: int) -> Image.Image:
    """The frame `width` pixels wide, upright and in its true proportions."""
    shown_width, shown_height = float(frame.width * pixel_shape), float(frame.height)
    lies_on_its_side = frame.rotation % 180 == 90
    scale = width / (shown_height if lies_on_its_side else shown_width)
    image: Image.Image = frame.to_image(  # type: ignore[no-untyped-call]  # PyAV leaves it so
        width=max(round(shown_width * scale), 1), height=max(round(shown_height * scale), 1)
    )
    return image.rotate(frame.rotation, expand=True) if frame.rotation else image


def as_jpeg(image: Image.Image) -> Thumbnail:
    """The picture, compressed."""
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return Thumbnail(buffer.getvalue(), image.width, image.height)
