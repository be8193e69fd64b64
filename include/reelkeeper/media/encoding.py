"""The full encode: for a smaller picture, for what is burned in, and where footage cannot be cut by copying."""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil
from pathlib import Path

import ffmpeg

from reelkeeper.errors import NoFootage
from reelkeeper.media.assembling import assemble
from reelkeeper.media.command import Limits, Seconds, file_url, run
from reelkeeper.media.filling import make_black
from reelkeeper.media.overlay import Overlay, Sheet, lay
from reelkeeper.media.pieces import Cut, Gaps, Piece
from reelkeeper.media.planning import Span, encoded_only
from reelkeeper.media.sound_anew import encode_sound, needs_encoding
from reelkeeper.media.source import Source, shown_size
from reelkeeper.media.spans import Encoded, seek_options
from reelkeeper.media.timeline import Placed, lay_out, shares, sources
from reelkeeper.media.writing import part_of
from reelkeeper.model import TimeRange

_QUALITY = 20
"""Constant rate factor: what was recorded cannot be told from it."""
_KEY_FRAME_SECONDS = 2


def encode(
    pieces: Sequence[Piece], wanted: TimeRange, target: Path, *, work: Path, limits: Limits, height: int | None = None,
    overlay: Overlay | None = None, gaps: Gaps = "join", progress: Seconds | None = None, why: str = "",
) -> Cut:  # fmt: skip
    """Every frame of `wanted`, at its time, encoded anew as H.264; sound is copied, where it can be.

    `height`, in pixels, never enlarges. Where the picture changes its size from one segment to another, all are shown
    in the size of the first. `why` is told in the result. Errors as in `cutting.cut`.
    """
    parts, overlaps = shares(pieces, wanted)
    plans = [found for source, part in sources(parts) if (found := encoded_only(source, part))]
    if not plans:
        raise no_footage(wanted)
    size = _size(plans[0].source, height)
    timeline = lay_out(plans, wanted, overlaps, gaps)
    part = part_of(target)
    files = [work / f"{target.stem}-piece{index}.mp4" for index in range(len(plans))]
    heard = work / f"{target.stem}-sound.mp4"
    dark = work / f"{target.stem}-black.mp4"
    try:
        encoded = {}
        for placed, file in zip(timeline.placed, files, strict=True):
            span, made = _encode_piece(placed, file, size, overlay, limits, progress)
            encoded[span] = made
        black = None
        if timeline.has_black:
            black = make_black("h264", size, "yuv420p", dark, profile="High", set_id=31, limits=limits)
        commands = [made.command for made in encoded.values()]
        if needs_encoding(timeline, target):
            commands.append(encode_sound(timeline, heard, limits=limits))
        frames = assemble(
            timeline, encoded, part, black=black, sound=heard if heard.exists() else None, limits=limits, progress=None
        )
        part.replace(target)
    finally:
        for file in [*files, dark, heard, part]:
            file.unlink(missing_ok=True)
        for found in plans:
            found.source.close()
    return Cut(
        target, "h264", *size, frames, plans[0].first_moment, plans[-1].last_moment, timeline.gaps, timeline.overlaps,
        "encoded", why or _reason(height, overlay), tuple(commands),
    )  # fmt: skip


def no_footage(wanted: TimeRange) -> NoFootage:
    return NoFootage(
        f"no frame of the footage lies in {wanted.start.isoformat()} – {wanted.end.isoformat()}: expected one"
    )


def _reason(height: int | None, overlay: Overlay | None) -> str:
    asked = [*([f"{height} lines"] if height else []), *(["something burned in"] if overlay else [])]
    return f"asked for with {' and '.join(asked)}" if asked else "asked for"


def _size(source: Source, height: int | None) -> tuple[int, int]:
    """Width and height in pixels, both even; upright, and of square pixels where they are not."""
    width, own = shown_size(source)
    shown = min(height or own, own)
    return max(round(width * shown / own / 2) * 2, 2), max(round(shown / 2) * 2, 2)


def _encode_piece(
    placed: Placed, file: Path, size: tuple[int, int], overlay: Overlay | None, limits: Limits,
    progress: Seconds | None,
) -> tuple[Span, Encoded]:  # fmt: skip
    plan = placed.plan
    span = plan.head
    assert span is not None
    source = plan.source
    sheet = Sheet(overlay.patches(*size) if overlay else [], plan.first_moment)
    options = seek_options(span, back=0.0)
    video = ffmpeg.input(file_url(source.piece.path), **options)[str(source.video_index)]
    video = video.filter("trim", start_pts=span.first, end_pts=span.end).filter("setpts", f"PTS-{span.first}")
    video = video.filter("scale", *size).filter("setsar", 1).filter("format", "yuv420p")
    layers = sheet.layers()
    for patch, layer in zip(overlay.patches(*size) if overlay else [], layers, strict=True):
        video = lay(video, layer, patch.places)
    output = ffmpeg.output(
        video, file_url(file), f="mp4", **{"c:v": "libx264"}, preset="veryfast", crf=_QUALITY, pix_fmt="yuv420p",
        g=ceil(Fraction(source.rate) * _KEY_FRAME_SECONDS), fps_mode="passthrough", enc_time_base=f"{source.time_base}",
        video_track_timescale=source.time_base.denominator, map_metadata=-1, fflags="+bitexact", flags="+bitexact",
    )  # fmt: skip

    def tell(done: float) -> None:
        if progress:
            progress(min(float(placed.start) + done, float(placed.end)))

    command = run(
        output.global_args("-copyts", "-y"), limits=limits, progress=tell,
        stdin=sheet.pictures(plan.end_moment - plan.first_moment),
    )  # fmt: skip
    return span, Encoded(file, span.first, command)
