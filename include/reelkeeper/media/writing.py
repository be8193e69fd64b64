"""The file that is being made, packet by packet."""

import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from heapq import heappop, heappush
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from reelkeeper.errors import MediaError, MediaTimeout, WorkFolderFull
from reelkeeper.media.bitstream import Bitstream
from reelkeeper.media.command import Limits, Seconds
from reelkeeper.media.orientation import Orientation, display_matrix

if TYPE_CHECKING:
    from av.packet import Packet

FORMATS = {".mp4": "mp4", ".mkv": "matroska", ".ts": "mpegts"}
_CODECS = {
    "mp4": {"h264", "hevc", "mjpeg", "mpeg4", "vp9", "av1", "aac", "mp3", "mp2", "ac3", "eac3", "opus", "flac", "alac"},
    "mpegts": {"h264", "hevc", "mpeg2video", "aac", "mp2", "mp3", "ac3", "eac3"},
    "matroska": {
        "h264", "hevc", "mjpeg", "mpeg1video", "mpeg2video", "mpeg4", "vp8", "vp9", "av1", "libdav1d", "aac", "mp3",
        "mp3float", "mp2", "mp2float", "ac3", "eac3", "opus", "libopus", "vorbis", "flac", "alac", "pcm_s16le",
        "pcm_s16be", "pcm_s24le", "pcm_u8",
    },
}  # fmt: skip
_TAGS = {("h264", True): "avc3", ("h264", False): "avc1", ("hevc", True): "hev1", ("hevc", False): "hvc1"}
_CHECK_EVERY = 256  # packets
_NULL_PACKET = b"\x47\x1f\xff\x10" + b"\xff" * 184
"""Of a transport stream (ISO 13818-1, 2.4.3.3): there to be passed over."""
_KNOWN_FROM = 32
"""So many packets are enough for a transport stream to be known as one."""
Kind = TypeVar("Kind", VideoStream, AudioStream)


class CannotCopy(Exception):
    """Packets cannot stand in one file as they are; the message says why, for a person."""


def holds(suffix: str, codec: str) -> bool:
    """Whether files of that suffix can hold a codec in a way that players know."""
    return codec in _CODECS[FORMATS[suffix]]


def part_of(target: Path) -> Path:
    """The name under which a file is made; it gets its own when it is whole."""
    return target.with_name(f".{target.stem}.part{target.suffix}")


@dataclass(frozen=True, slots=True)
class Written:
    """How many pictures a file has, and how many of them were copied."""

    frames: int
    copied: int


@dataclass(frozen=True, slots=True)
class Header:
    """What the video stream of the file says of itself."""

    template: VideoStream  # of an open file
    bitstream: Bitstream | None  # None: a codec without parameter sets
    in_band: bool  # parameter sets stand before each access point, since they change
    time_base: Fraction
    orientation: Orientation
    depth: int  # how many pictures may be shown before one that precedes them in the stream
    interval: int  # ticks from one frame to the next, as a rule


class Writer:
    """Takes packets in the stream's order with the time they are shown at; makes the times of decoding itself.

    Those of the sources do not fit together: they differ by how many pictures an encoder keeps back. Here a picture is
    decoded when the one `depth` places before it is shown, which is what encoders do, and is never late.
    """

    def __init__(
        self, target: Path, header: Header, audio: AudioStream | None, *, limits: Limits, progress: Seconds | None
    ) -> None:
        self.frames = self.copied = 0
        self._suffix = target.suffix
        self.bytes = 0
        self._limits, self._progress = limits, progress
        self._deadline = time.monotonic() + limits.seconds
        self.time_base, self._depth, self._interval = header.time_base, header.depth, header.interval
        self._shown: list[int] = []  # a heap
        self._first, self._since_start = 0, 0
        self._last_dts: int | None = None
        self._packets = 0
        self._feed: Iterator[Packet[Any]] | None = None
        self._fed = 0
        self._container = av.open(
            f"file:{target}", "w", format=FORMATS[target.suffix.lower()], options={"fflags": "+bitexact"}
        )
        self._video = self._like(header.template)
        self._video.time_base = header.time_base
        if header.orientation:
            self._video.set_display_matrix(display_matrix(header.orientation))
        if header.bitstream is not None:
            self._video.codec_context.extradata = header.bitstream.extradata
            if target.suffix.lower() == ".mp4":
                self._video.codec_context.codec_tag = _TAGS[header.bitstream.codec, header.in_band]
        self._audio = self._like(audio) if audio else None
        self.audio_base = Fraction(1, audio.codec_context.sample_rate) if audio else Fraction(1)
        if self._audio:
            self._audio.time_base = self.audio_base

    def _like(self, template: Kind) -> Kind:
        """A stream of the file's own; CannotCopy when files of its kind cannot hold the codec."""
        try:
            return self._container.add_stream_from_template(template)
        except ValueError as exc:
            raise CannotCopy(f"a {self._suffix} file cannot hold {template.codec_context.name}") from exc

    def feed(self, container: InputContainer) -> None:
        """Take the sound of a file on the same clock, as the pictures go on."""
        self._feed = (packet for packet in container.demux(container.streams.audio[0]) if packet.size)

    def video(self, packet: "Packet[Any]", pts: int, duration: int) -> None:
        """A packet of video that is shown at `pts`; ticks of `time_base`."""
        if self._depth:
            heappush(self._shown, pts)
            if not self._since_start:
                self._first = pts
            self._since_start += 1
            if len(self._shown) > self._depth:
                dts = heappop(self._shown)
            else:
                dts = self._first - (self._depth + 1 - self._since_start) * self._interval
        else:
            dts = pts
        if dts > pts or (self._last_dts is not None and dts <= self._last_dts):
            raise CannotCopy("its pictures are not in an order that can be told beforehand")
        self._last_dts = dts
        packet.stream = self._video
        packet.time_base = self.time_base
        packet.pts, packet.dts, packet.duration = pts, dts, duration
        self.frames += 1
        self._write(packet)
        if self._feed is not None and pts >= self._fed:
            self._take_sound(pts)
        if not self._packets % _CHECK_EVERY and self._progress:
            self._progress(max(float(pts * self.time_base), 0.0))

    def _take_sound(self, until: int | None) -> None:
        """What is heard before a tick of the video's clock; None: all that is left."""
        at = until * self.time_base if until is not None else None
        for packet in self._feed or ():
            if packet.pts is not None and packet.pts >= 0:  # before is what an encoder needs to begin
                self.audio(packet, packet.pts, packet.duration or 0)
                if at is not None and packet.pts * self.audio_base > at:
                    break
        self._fed = (until or 0) + round(1 / self.time_base)

    def restart(self) -> None:
        """A hole in time follows: what comes after it is not decoded before it."""
        self._shown.clear()
        self._since_start = 0

    def audio(self, packet: "Packet[Any]", pts: int, duration: int) -> None:
        """A packet of sound that is heard at `pts`; ticks of `audio_base`."""
        packet.stream = self._audio
        packet.time_base = self.audio_base
        packet.pts = packet.dts = pts
        packet.duration = duration
        self._write(packet)

    def _write(self, packet: "Packet[Any]") -> None:
        self.bytes += packet.size
        try:
            self._container.mux_one(packet)
        except av.FFmpegError as exc:
            raise _refused(exc, self._suffix) from exc
        self._packets += 1
        if not self._packets % _CHECK_EVERY:
            if self.bytes > self._limits.bytes:
                raise MediaError(f"more than {self._limits.bytes} bytes were to be written: expected at most that")
            if time.monotonic() > self._deadline:
                raise MediaTimeout(f"cutting was not done after {self._limits.seconds:g} s: expected it to be")

    def finish(self) -> None:
        """Write what is left of the sound."""
        self._take_sound(None)

    def close(self) -> None:
        """Write the index."""
        self._container.close()


@contextmanager
def writing(target: Path, *arguments: Any, **options: Any) -> Iterator[Writer]:
    """A Writer of `target`, closed at the end. WorkFolderFull when the disk is; on any error the file is removed."""
    try:
        writer = Writer(target, *arguments, **options)
        try:
            yield writer
            writer.finish()
        finally:
            writer.close()
        if target.suffix.lower() == ".ts":
            _fill_up(target)
    except BaseException as exc:
        target.unlink(missing_ok=True)
        if isinstance(exc, av.FFmpegError) or (isinstance(exc, OSError) and exc.errno == errno.ENOSPC):
            raise _refused(exc, target.suffix) from exc
        raise


def _fill_up(target: Path) -> None:
    """Players take a transport stream of a few packets for something else: null packets follow, which mean nothing."""
    with target.open("ab") as file:
        missing = _KNOWN_FROM - file.tell() // len(_NULL_PACKET)
        file.write(_NULL_PACKET * max(missing, 0))


def _refused(exc: av.FFmpegError | OSError, suffix: str) -> Exception:
    if exc.errno == errno.ENOSPC:
        return WorkFolderFull("no space is left for the file that is being cut")
    return CannotCopy(f"its packets cannot be written to a {suffix} file ({exc.strerror})")
