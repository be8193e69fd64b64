"""Footage whose file does not say when pictures are shown gets times: raw streams, and AVI with reordered pictures."""

from fractions import Fraction
from pathlib import Path

from reelkeeper.errors import InvalidFootage
from reelkeeper.media.clock import seconds
from reelkeeper.media.command import Command, Limits, file_url, run
from reelkeeper.media.pieces import Piece
from reelkeeper.media.probe import open_footage, video_stream
from reelkeeper.media.source import Source, packets

NO_TIMES = "the file does not say when its pictures are shown"
_RAW = {"h264", "hevc"}
_QUALITY = 16


def says_times(source: Source) -> bool:
    """Whether the packets' times can be believed. AVI has none: those that a demuxer makes up ignore reordering."""
    return source.says_all_times and not (source.container == "avi" and source.reorders)


def timed(piece: Piece, target: Path, *, stays_open: bool, limits: Limits) -> tuple[Source, Command | None]:
    """The piece's source; where it has no times, that of a file made of it, with its frames evenly over its range."""
    try:
        source = Source(piece, stays_open=stays_open)
    except InvalidFootage as exc:
        if exc.code != "no_times":
            raise
    else:
        if says_times(source):
            return source, None
        source.close()
    command = _retime(piece, target, limits)
    return Source(Piece(target, piece.range), stays_open=stays_open), command


def _retime(piece: Piece, target: Path, limits: Limits) -> Command:
    with open_footage(piece.path) as container:
        video = video_stream(container)
        if video is None:
            raise InvalidFootage("file has no video stream: expected one", code="no_video")
        index = video.index
        is_raw = container.format.name in _RAW
        frames = sum(1 for _ in packets(container, video))
    rate = (Fraction(max(frames, 1)) / seconds(piece.range.duration)).limit_denominator(100_000)
    return run(
        [*(["-framerate", str(rate)] if is_raw else []), "-i", file_url(piece.path), "-map", f"0:{index}",
         "-map", "0:a:0?", "-c:a", "copy", "-c:v", "libx264", "-preset", "veryfast", "-crf", str(_QUALITY), "-bf", "0",
         "-f", "matroska", "-y", file_url(target)],
        limits=limits,
    )  # fmt: skip
