"""How pictures are turned and mirrored when they are shown: a camera that hangs on its side says so in its files."""

from collections.abc import Sequence
from math import atan2, degrees
from struct import unpack
from typing import Any

import av
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

Orientation = tuple[int, ...]
"""The upper left quarter of the display matrix, by rows, as 16.16 numbers; empty where it is shown as it lies."""
_AS_IT_LIES = (1 << 16, 0, 0, 1 << 16)


def orientation(frame: VideoFrame) -> Orientation:
    """How a decoded picture is to be shown."""
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return ()
    matrix = unpack("=9i", bytes(data))
    found = (matrix[0], matrix[1], matrix[3], matrix[4])
    return () if found == _AS_IT_LIES else found


def first_orientation(packets: Sequence[Any], video: VideoStream) -> Orientation:
    """That of the first picture of a stream that can be decoded from its first packets."""
    for packet in packets:
        if not packet.is_keyframe:
            continue
        try:
            frames = [*packet.decode(), *video.codec_context.decode(None)]
        except av.FFmpegError:  # damaged: the next one may tell
            frames = []
        video.codec_context.flush_buffers()
        if frames:
            return orientation(frames[0])
    return ()


def display_matrix(shown: Orientation) -> list[int]:
    """The whole of it, for a file."""
    return [shown[0], shown[1], 0, shown[2], shown[3], 0, 0, 0, 1 << 30]


def turn(shown: Orientation) -> int:
    """Degrees counter-clockwise."""
    return round(-degrees(atan2(shown[1], shown[0]))) if shown else 0
