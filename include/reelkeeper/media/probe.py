"""What is in a file of footage, by PyAV: in process, without a fork for each file."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from reelkeeper.errors import InvalidFootage
from reelkeeper.media.structure import check_complete
from reelkeeper.model import MAX_SEGMENT_DURATION, MediaInfo

_CONTAINERS = {
    "mov,mp4,m4a,3gp,3g2,mj2": "mp4", "matroska,webm": "matroska", "mpegts": "mpegts", "avi": "avi", "flv": "flv",
    "asf": "asf", "mpeg": "mpeg", "mxf": "mxf", "ogg": "ogg", "dv": "dv", "h264": "h264", "hevc": "hevc",
}  # fmt: skip
"""The demuxer's name → what we call the container. Nothing else is opened: a playlist (HLS, concat) that calls itself
.mp4 would make the demuxer read other files or addresses, and a picture is no footage."""
_RAW = {"h264", "hevc"}
"""Streams without timestamps: their duration is the number of frames at the rate that the stream names, if it does."""
_NO_RATE = Fraction(7919, 1000)
"""Told to raw demuxers as their default rate, so that a rate of the stream's own can be told from the default."""
_OPTIONS = {
    "format_whitelist": ",".join(name for names in _CONTAINERS for name in names.split(",")),
    "protocol_whitelist": "file",
    "framerate": f"{_NO_RATE.numerator}/{_NO_RATE.denominator}",
}


def open_footage(path: Path) -> InputContainer:
    """The file, opened for demuxing: only known containers, and no other file or address. `av.FFmpegError`, OSError."""
    # "file:" keeps a name such as "concat:a|b" from being taken for a protocol.
    return av.open(f"file:{path}", options=dict(_OPTIONS), metadata_errors="replace")


def probe(path: Path, *, size_bytes: int, needs_duration: bool = True) -> MediaInfo:
    """What is in the file of `size_bytes`.

    InvalidFootage with code `empty`, `truncated`, `unreadable`, `no_video`, `no_duration` or `too_long`. Where the
    caller knows the duration from elsewhere, `needs_duration=False` gives 0 instead of `no_duration`. OSError passes
    through when the file cannot be opened at all.
    """
    check_complete(path, size_bytes)
    try:
        with open_footage(path) as container:
            return _describe(container, path, needs_duration=needs_duration)
    except av.FFmpegError as exc:
        if isinstance(exc, (FileNotFoundError, PermissionError)):
            raise
        raise InvalidFootage(
            f"file of {size_bytes} bytes cannot be read as footage ({exc.strerror}): "
            f"expected one of {sorted(_CONTAINERS.values())}",
            code="unreadable",
        ) from exc


def video_stream(container: InputContainer) -> VideoStream | None:
    """The first stream of moving pictures. A cover picture is not one."""
    pictures = av.stream.Disposition.attached_pic
    return next((stream for stream in container.streams.video if not stream.disposition & pictures), None)


def _describe(container: InputContainer, path: Path, *, needs_duration: bool) -> MediaInfo:
    stream = video_stream(container)
    if stream is None or not stream.codec_context.width or not stream.codec_context.height:
        kinds = sorted({other.type for other in container.streams})
        raise InvalidFootage(f"file has no video stream but {kinds}: expected one", code="no_video")
    name = container.format.name
    frame_rate = _frame_rate(stream, raw=name in _RAW)
    seconds = _duration(container, stream, is_constant=frame_rate is not None)
    if seconds is None and needs_duration:
        raise InvalidFootage(
            f"neither the {_CONTAINERS[name]} container nor its packets say how long the footage is: expected "
            f"timestamps, or a sidecar with 'end_time' or 'duration_seconds'",
            code="no_duration",
        )
    if seconds is not None and seconds > MAX_SEGMENT_DURATION.total_seconds():
        raise InvalidFootage(
            f"footage lasts {seconds:.0f} s: expected at most {MAX_SEGMENT_DURATION.total_seconds():.0f} s",
            code="too_long",
        )
    return MediaInfo(
        container=_container(name, container.metadata, path),
        video_codec=stream.codec_context.name,
        width=stream.codec_context.width,
        height=stream.codec_context.height,
        frame_rate=frame_rate,
        duration_seconds=seconds or 0.0,
        has_audio=bool(container.streams.audio),
    )


def _container(format_name: str, metadata: Mapping[str, str], path: Path) -> str:
    if metadata.get("major_brand", "").strip() == "qt":
        return "mov"
    if format_name == "matroska,webm" and path.suffix.lower() == ".webm":
        return "webm"
    return _CONTAINERS[format_name]


def _frame_rate(stream: VideoStream, *, raw: bool) -> float | None:
    """Frames per second; None where the rate varies or nobody knows it."""
    if raw:
        rate = stream.codec_context.framerate
        return float(rate) if rate and rate != _NO_RATE else None
    average, base = stream.average_rate, stream.base_rate
    if not average or not base:
        return None
    # Interlaced footage has a base of two fields a frame. A measured average is not exact to the last digit.
    constant = any(abs(average * fields / base - 1) < Fraction(1, 100) for fields in (1, 2))
    return float(average) if constant else None


def _duration(container: InputContainer, stream: VideoStream, *, is_constant: bool) -> float | None:
    """Seconds of the video stream: from the headers, else from every packet.

    MP4 headers count decoding time, which ends too early where frames are reordered and the rate varies.
    """
    if container.format.name in _RAW:
        return _raw_duration(container, stream)
    stated = _stated_duration(container, stream)
    if stated and is_constant:
        return stated
    measured = _packet_duration(container, stream)
    return max(stated, measured) if stated and measured else stated or measured


def _stated_duration(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration and stream.duration > 0 and stream.time_base:
        return float(stream.duration * stream.time_base)
    # The container's duration is that of its longest stream.
    if container.duration and container.duration > 0 and len(container.streams) == 1:
        return container.duration / 1_000_000
    return None


def _raw_duration(container: InputContainer, stream: VideoStream) -> float | None:
    rate = stream.codec_context.framerate
    if not rate or rate == _NO_RATE:
        return None
    frames = sum(1 for packet in container.demux(stream) if packet.size)
    return float(frames / rate) or None


def _packet_duration(container: InputContainer, stream: VideoStream) -> float | None:
    """From the first frame shown to the end of the last one."""
    first: int | None = None
    end = last = 0
    length = 0
    for packet in container.demux(stream):
        if packet.pts is None:
            continue
        first = packet.pts if first is None else min(first, packet.pts)
        if packet.pts >= last or not end:
            last = packet.pts
            length = packet.duration or length
            end = last + length
    if first is None or end <= first or not stream.time_base:
        return None
    return float((end - first) * stream.time_base)
