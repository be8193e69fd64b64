"""The full encode: for a smaller picture, for what is burned in, and where footage cannot be cut by copying."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from itertools import count as numbers
from math import ceil
from pathlib import Path
from typing import Any

import ffmpeg

from reelkeeper.errors import MediaError, NoFootage
from reelkeeper.media.arranging import arrange
from reelkeeper.media.assembling import assemble
from reelkeeper.media.command import Command, Limits, Seconds, file_url, run
from reelkeeper.media.counting import Counted, NotRight, count
from reelkeeper.media.filling import Filling, Filmed, make_black
from reelkeeper.media.holes import MICROSECOND, holes
from reelkeeper.media.overlay import Overlay, Sheet, lay
from reelkeeper.media.pieces import Cut, Gaps, Piece
from reelkeeper.media.planning import Plan, Span, encoded_only
from reelkeeper.media.retiming import timed
from reelkeeper.media.sound_anew import encode_sound, needs_encoding
from reelkeeper.media.source import Source, shown_size
from reelkeeper.media.spans import Encoded, frame_times, seek_options, steps_back
from reelkeeper.media.timeline import OPEN_AT_ONCE, Placed, Timeline, lay_out
from reelkeeper.media.writing import part_of
from reelkeeper.model import TimeRange

_QUALITY = 20
"""Constant rate factor: what was recorded cannot be told from it."""
_KEY_FRAME_SECONDS = 2
_LOOKS = 3
"""How often pieces are arranged anew for what could not be decoded; by then nothing is left that could not."""
_Unseen = Mapping[Source, Sequence[TimeRange]]
_STRETCH = 8
"""Pixels by which a picture may be stretched."""
_BLACK_RATE = 5
"""Pictures a second where nothing moves but the time."""


def encode(
    pieces: Sequence[Piece], wanted: TimeRange, target: Path, *, work: Path, limits: Limits, height: int | None = None,
    overlay: Overlay | None = None, gaps: Gaps = "join", progress: Seconds | None = None, why: str = "",
) -> Cut:  # fmt: skip
    """Every frame of `wanted`, at its time, encoded anew as H.264; sound is copied, where it can be.

    `height`, in pixels, never enlarges. Where the picture changes its size from one segment to another, all are shown
    in the size of the first, with black beside those of another shape. `why` is told in the result. Errors as in
    `cutting.cut`.
    """
    part = part_of(target)
    with ExitStack() as stack:
        new = _names(target, work, stack)
        stack.callback(part.unlink, missing_ok=True)
        commands: list[Command] = []
        opened = _Opener(new, stack, commands, stays_open=len(pieces) <= OPEN_AT_ONCE, limits=limits)

        def arranged(unseen: _Unseen) -> Timeline | None:
            return arrange(
                pieces, wanted, gaps, opened=opened, planner=encoded_only, looks_inside=True, unseen=unseen
            )  # fmt: skip

        first = arranged({})
        if first is None:
            raise no_footage(wanted)
        size = _size(first.placed[0].plan.source, height)

        def film(placed: Placed) -> _Made | None:
            return _encode_piece(placed, next(new), size, overlay, limits, progress)

        filmed, overlaps = _film_all(first, arranged, film)
        encoded = {made.plan.head: made.encoded for made in filmed if made.plan.head}
        if not encoded:
            raise MediaError(
                f"none of the frames from {first.placed[0].plan.first_moment.isoformat()} on can be decoded"
            )
        commands += [made.command for made in encoded.values()]
        plans = [made.plan for made in filmed]
        timeline = lay_out(plans, wanted, overlaps, gaps)
        fillings = _fillings(timeline, wanted, size, overlay, new, limits, commands) if timeline.has_black else []
        counted, frames = _joined(timeline, encoded, part, fillings, next(new), limits, commands)
        part.replace(target)
    return Cut(
        target, "h264", counted.width, counted.height, frames, plans[0].first_moment, plans[-1].last_moment,
        timeline.gaps, timeline.overlaps, "encoded", why or _reason(height, overlay), tuple(commands),
    )  # fmt: skip


class _Opener:
    """Opens each piece once; one whose file does not say when its pictures are shown is made into one that does, by a
    command that joins `commands`. `stack` closes them."""

    def __init__(
        self, new: Iterator[Path], stack: ExitStack, commands: list[Command], *, stays_open: bool, limits: Limits
    ) -> None:
        self._new, self._stack, self._commands = new, stack, commands
        self._stays_open, self._limits = stays_open, limits
        self._sources: dict[Piece, Source] = {}

    def __call__(self, piece: Piece) -> Source:
        if piece not in self._sources:
            source, retimed = timed(piece, next(self._new), stays_open=self._stays_open, limits=self._limits)
            self._stack.callback(source.close)
            self._commands.extend([retimed] if retimed else [])
            self._sources[piece] = source
        return self._sources[piece]


def _joined(
    timeline: Timeline, encoded: Mapping[Span, Encoded], part: Path, fillings: Sequence[Filling], heard: Path,
    limits: Limits, commands: list[Command],
) -> tuple[Counted, int]:  # fmt: skip
    """Write the file `part`, and look at it: what it holds, and how many frames. `heard` is for sound that is encoded,
    whose command joins `commands`."""
    is_anew = needs_encoding(timeline, part)
    if is_anew:
        commands.append(encode_sound(timeline, heard, limits=limits))
    written = assemble(
        timeline, encoded, part, fillings=fillings, sound=heard if is_anew else None, limits=limits, progress=None
    )
    try:
        return count(part, timeline, written.frames), written.frames
    except NotRight as reason:
        raise MediaError(f"the file that was encoded is not what it should be: {reason}") from reason


def _names(target: Path, work: Path, stack: ExitStack) -> Iterator[Path]:
    """Names for files on the way, which do not stay."""
    for number in numbers():
        name = work / f"{target.stem}-{number}.mp4"
        stack.callback(name.unlink, missing_ok=True)
        yield name


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


@dataclass(frozen=True, slots=True)
class _Made:
    """A piece encoded anew, and its plan: with the first and the last frame that could be decoded. `holes`: between
    them, where none could."""

    plan: Plan
    encoded: Encoded
    holes: tuple[TimeRange, ...]


def _film_all(
    timeline: Timeline, arranged: Callable[[_Unseen], Timeline | None], film: Callable[[Placed], _Made | None]
) -> tuple[list[_Made], tuple[TimeRange, ...]]:
    """Encode what was arranged, and overlaps. What cannot be decoded is known only then: it becomes a gap, or another
    piece gives it."""
    made: dict[Span, _Made | None] = {}
    unseen: dict[Source, list[TimeRange]] = {}
    for _ in range(_LOOKS):
        plans = {placed.plan.head: placed for placed in timeline.placed if placed.plan.head}
        made |= {span: film(placed) for span, placed in plans.items() if span not in made}
        found = [(span.source, _not_seen(placed.plan, made[span], timeline)) for span, placed in plans.items()]
        if not any(ranges for _, ranges in found):
            break
        for source, ranges in found:
            unseen.setdefault(source, []).extend(ranges)
        again = arranged(unseen)
        if again is None:
            return [], ()
        timeline = again
    return [one for span in plans if (one := made[span])], timeline.overlaps


def _not_seen(plan: Plan, made: _Made | None, timeline: Timeline) -> list[TimeRange]:
    """What of a plan's time has no picture, and makes a difference to how pieces are arranged."""
    if made is None:
        found = [(plan.first_moment, plan.end_moment)]
    else:
        found = [(plan.first_moment, made.plan.first_moment - MICROSECOND), (made.plan.end_moment, plan.end_moment)]
    edges = [TimeRange(start, end) for start, end in found if start < end] if timeline.overlaps else []
    return [*edges, *(made.holes if made else ())]


def _encode_piece(
    placed: Placed, file: Path, size: tuple[int, int], overlay: Overlay | None, limits: Limits,
    progress: Seconds | None,
) -> _Made | None:  # fmt: skip
    """None when none of its frames can be decoded."""
    plan = placed.plan
    span = plan.head
    assert span is not None

    def tell(done: float) -> None:
        if progress:
            progress(min(float(placed.start) + done, float(placed.end)))

    seen: list[int] = []
    for back in steps_back(span):
        before = seen[:1], seen[-1:]
        shown = TimeRange(plan.first_moment, plan.end_moment)
        command = _film(_wanted(span, size, back), file, size, overlay, shown, span.source, limits, tell)
        seen = sorted(frame_times(file, span.source.time_base))
        if seen and (seen[0] == 0 or (seen[:1], seen[-1:]) == before):  # what is not there after another step never is
            break
    if not seen:
        return None
    source = span.source
    dark = tuple(
        TimeRange(source.moment(span.first + hole.start), source.moment(span.first + hole.end) - MICROSECOND)
        for hole in holes(seen, source.time_base, source.interval)
    )
    return _Made(_as_seen(plan, seen[0], seen[-1]), Encoded(file, span.first, command), dark)


def _wanted(span: Span, size: tuple[int, int], back: float) -> Any:
    """The span's frames, in `size`, from time 0 on."""
    source = span.source
    video = ffmpeg.input(file_url(source.piece.path), **seek_options(span, back))[str(source.video_index)]
    video = video.filter("trim", start_pts=span.first, end_pts=span.end).filter("setpts", f"PTS-{span.first}")
    video = video.filter("scale", *(inner := _within(size, shown_size(source)))).filter("setsar", 1)
    if inner != size:
        video = video.filter("pad", *size, (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2)
    return video.filter("format", "yuv420p")


def _within(size: tuple[int, int], own: tuple[int, int]) -> tuple[int, int]:
    """The largest size of the same shape as `own` that fits in; what is all but of that shape fills it."""
    factor = min(size[0] / own[0], size[1] / own[1])
    fitting = (max(round(own[0] * factor / 2) * 2, 2), max(round(own[1] * factor / 2) * 2, 2))
    is_alike = size[0] - fitting[0] <= _STRETCH and size[1] - fitting[1] <= _STRETCH
    return size if is_alike else fitting


def _as_seen(plan: Plan, first: int, last: int) -> Plan:
    """The plan for the frames that are there; ticks since its own first one."""
    assert plan.head is not None
    begin, stop = plan.head.first + first, plan.head.first + last
    shown_for = max(round(plan.interval / plan.source.time_base), 1)
    end = plan.end if stop == plan.last else min(stop + shown_for, plan.end)
    return replace(plan, first=begin, last=stop, end=end, before=plan.before if first == 0 else None)


def _fillings(
    timeline: Timeline, wanted: TimeRange, size: tuple[int, int], overlay: Overlay | None, new: Iterator[Path],
    limits: Limits, commands: list[Command],
) -> list[Filling]:  # fmt: skip
    """Black, with what is burned in: time goes on where there is no footage."""
    plain = make_black("h264", size, "yuv420p", next(new), profile="High", set_id=31, limits=limits)
    commands.append(plain.command)
    if not overlay:
        return [plain] * len(timeline.black)
    found: list[Filling] = []
    source = timeline.placed[0].plan.source
    for start, end in timeline.black:
        if end == start:
            found.append(plain)
            continue
        file = next(new)
        begin = wanted.start + timedelta(seconds=float(start))
        shown = TimeRange(begin, wanted.start + timedelta(seconds=float(end)))
        graph = f"color=black:s={size[0]}x{size[1]}:r={_BLACK_RATE}:d={float(end - start):.6f}"
        black = ffmpeg.input(graph, f="lavfi").filter("settb", f"{source.time_base}").filter("format", "yuv420p")
        commands.append(_film(black, file, size, overlay, shown, source, limits, None))
        found.append(Filmed(file))
    return found


def _film(
    video: Any, file: Path, size: tuple[int, int], overlay: Overlay | None, shown: TimeRange, source: Source,
    limits: Limits, progress: Seconds | None,
) -> Command:  # fmt: skip
    """Encode a stream that begins at its time 0, and is shown in a range of wall time."""
    patches = overlay.patches(*size) if overlay else []
    sheet = Sheet(patches, shown.start)
    for patch, layer in zip(patches, sheet.layers(), strict=True):
        video = lay(video, layer, patch.places)
    output = ffmpeg.output(
        video, file_url(file), f="mp4", **{"c:v": "libx264"}, preset="veryfast", crf=_QUALITY, pix_fmt="yuv420p",
        g=ceil(Fraction(source.rate) * _KEY_FRAME_SECONDS), fps_mode="passthrough", enc_time_base=f"{source.time_base}",
        video_track_timescale=source.time_base.denominator, map_metadata=-1, fflags="+bitexact", flags="+bitexact",
    )  # fmt: skip
    return run(
        output.global_args("-copyts", "-y"), limits=limits, progress=progress, stdin=sheet.pictures(shown.duration)
    )
