"""One segment's file as frames with times, read only where it has to be."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from math import ceil
from statistics import median
from typing import Any

import av
from av.container import InputContainer
from av.stream import Discard
from av.video.stream import VideoStream

from reelkeeper.errors import InvalidFootage
from reelkeeper.media.bitstream import Access, Bitstream, described
from reelkeeper.media.clock import seconds
from reelkeeper.media.orientation import Orientation, first_orientation, turn
from reelkeeper.media.pieces import Piece
from reelkeeper.media.probe import open_footage, video_stream

REORDERED = 16
"""No picture is shown later than this many others that follow it in the stream (H.264 A.3, H.265 A.4)."""
_STEPS_BACK = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)  # seconds
_NALS = {"h264", "hevc"}
REWIND = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
"""Demuxers that find the first packet again, whatever was read before."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One packet of video: its times in ticks, and what it is."""

    pts: int
    duration: int
    access: Access
    hidden: bool  # an edit list says that it is not shown


@dataclass(frozen=True, slots=True)
class Look:
    """What all pieces of one cut must share for their pictures to be copied into one stream."""

    codec: str
    width: int
    height: int
    pixel_format: str
    pixel_shape: Fraction
    orientation: Orientation

    def __str__(self) -> str:
        turned = f" shown turned by {turn(self.orientation)}°" if self.orientation else ""
        return f"{self.codec} {self.width}x{self.height} {self.pixel_format}{turned}"


@dataclass(frozen=True, slots=True)
class Hearing:
    """What all pieces of one cut must share for their sound to be copied into one track."""

    codec: str
    rate: int  # samples a second
    channels: int
    extradata: bytes


class Source:
    """A piece's file. InvalidFootage when it is none.

    Opening a long file means reading its index, so that one that was read stays open for the next reading; `close` ends
    that. Readings in several threads do not disturb each other.
    """

    def __init__(self, piece: Piece, *, stays_open: bool = True) -> None:
        self.piece = piece
        self._stays_open = stays_open
        self._idle: list[InputContainer] = []
        self.says_all_times = True  # as far as its packets were looked at
        with self.opened() as (container, video):
            context = video.codec_context
            self.container = container.format.name
            self.video_index = video.index
            self.time_base = video.time_base or Fraction(1, 90_000)
            self.codec = context.name
            self.bitstream: Bitstream | None = described(self.codec, context.extradata) if self.codec in _NALS else None
            beginning = _beginning(container, video)
            self.look = Look(
                self.codec, context.width, context.height, str(context.pix_fmt),
                video.sample_aspect_ratio or Fraction(1), first_orientation(beginning, video),
            )  # fmt: skip
            self.sound = _hearing(container)
            self.profile = context.profile
            self.is_interlaced = str(context.field_order).lower() not in ("0", "1", "unknown", "progressive")
            self.reorders = int(getattr(context, "reorder_depth", 0) or 0)
            self.rate = video.average_rate or video.guessed_rate or Fraction(25)
            shown = sorted(packet.pts for packet in beginning if _is_shown(packet))
            self.first: int = shown[0]
            self.interval = _interval(shown, self.time_base) or 1 / Fraction(self.rate)
            """Seconds from one frame to the next, as a rule."""

    @contextmanager
    def opened(self, at: int | None = None) -> Iterator[tuple[InputContainer, VideoStream]]:
        """The file and its stream of moving pictures, to be read from its beginning on, or from where what is shown at
        the tick `at` can be decoded (in a transport stream: about there), if that is later."""
        if at is not None and at <= self.first:
            at = None
        try:
            idle = self._idle.pop() if self._idle and (at is not None or self.container in REWIND) else None
            container = idle or open_footage(self.piece.path)
            try:
                video = video_stream(container)
                if video is None:
                    raise InvalidFootage("file has no video stream: expected one", code="no_video")
                if at is not None:
                    container.seek(at, stream=video)
                elif idle:
                    container.seek(self.first - int(1 / self.time_base), stream=video)
                yield container, video
            except BaseException:
                container.close()
                raise
        except av.FFmpegError as exc:
            if isinstance(exc, (FileNotFoundError, PermissionError)):
                raise
            raise InvalidFootage(
                f"footage from {self.piece.range.start.isoformat()} cannot be read ({exc.strerror})", code="unreadable"
            ) from exc
        if not self._stays_open:
            container.close()
            return
        for stream in container.streams:
            stream.discard = Discard.default
        self._idle.append(container)

    def close(self) -> None:
        """Close what is open and not being read."""
        while self._idle:
            self._idle.pop().close()

    def ticks(self, moment: datetime) -> int:
        """The first time, in ticks, that is not before `moment`."""
        return self.first + ceil(seconds(moment - self.piece.range.start) / self.time_base)

    def moment(self, pts: int) -> datetime:
        """The wall time of a frame."""
        return self.piece.range.start + timedelta(microseconds=float((pts - self.first) * self.time_base * 1_000_000))

    def window(self, from_pts: int, until_pts: int) -> list[Shot]:
        """The packets in the stream's order, from one where decoding starts and that is shown at or before
        `from_pts` (else from the file's first), until no picture before `until_pts` can follow."""
        for back in _STEPS_BACK:
            shots = self._read(from_pts - int(back / self.time_base), until_pts)
            if shots and shots[0].access != "none" and shots[0].pts <= from_pts:
                return shots
            if from_pts - back / self.time_base < self.first:
                break
        return self._read(None, until_pts)

    def _read(self, from_pts: int | None, until_pts: int) -> list[Shot]:
        shots: list[Shot] = []
        after = 0
        with self.opened(from_pts) as (container, video):
            for packet in packets(container, video):
                if packet.pts is None:
                    self.says_all_times = False
                    continue
                shot = self._shot(packet)
                if not shots and shot.access == "none" and from_pts is not None:
                    continue  # a seek may land between pictures where decoding starts
                shots.append(shot)
                after = after + 1 if shot.pts >= until_pts else 0
                if after > REORDERED:
                    break
        return shots

    def _shot(self, packet: Any) -> Shot:
        access: Access = "none"
        if packet.is_keyframe:
            access = self.bitstream.access(bytes(packet)) if self.bitstream else "closed"
        return Shot(packet.pts, packet.duration or 0, access, packet.is_discard)


def _hearing(container: InputContainer) -> Hearing | None:
    if not container.streams.audio:
        return None
    context = container.streams.audio[0].codec_context
    return Hearing(context.name, context.sample_rate, context.channels, context.extradata or b"")


def _beginning(container: InputContainer, video: VideoStream) -> list[Any]:
    """The packets among which that of the picture is that is shown first."""
    found: list[Any] = []
    shown = 0
    for packet in packets(container, video):
        found.append(packet)
        shown += _is_shown(packet)
        if shown > REORDERED:
            break
    if not shown:
        raise InvalidFootage("none of its packets says when it is shown", code="no_times")
    return found


def _is_shown(packet: Any) -> bool:
    return packet.pts is not None and not packet.is_discard


def _interval(times: list[int], base: Fraction) -> Fraction:
    """Seconds from one to the next, as a rule; 0 when there is but one. An average would count holes."""
    return Fraction(median([later - one for one, later in pairwise(times)] or [0])) * base


def packets(container: InputContainer, video: VideoStream) -> Iterator[Any]:
    """The packets of video alone; those of other streams are not read where the container allows it."""
    for stream in container.streams:
        if stream.index != video.index and stream.type in ("audio", "video"):
            stream.discard = Discard.all
    return (packet for packet in container.demux(video) if packet.size)


def shown_size(source: Source) -> tuple[int, int]:
    """Width and height, in pixels, of its picture as it is shown: upright, its pixels made square."""
    look = source.look
    wide = round(look.width * look.pixel_shape)
    return (look.height, wide) if turn(look.orientation) % 180 == 90 else (wide, look.height)
