"""Which packets of a piece can be copied, and which frames near the edges have to be encoded anew."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from reelkeeper.media.holes import LEAST_SECONDS, holes, holes_among
from reelkeeper.media.source import Shot, Source
from reelkeeper.model import TimeRange

_FIRST_LOOK_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Span:
    """Frames of one source that are encoded anew: those shown in `[first, end)`, in ticks."""

    source: Source
    first: int
    end: int
    decode_from: int  # the time of a picture where decoding can start
    frames: tuple[int, ...] = ()  # their times; empty where nobody counted them


@dataclass(frozen=True, slots=True)
class Copied:
    """Packets that are copied: from the picture shown at `access` on, in the stream's order, up to the one shown at
    `stop` (None: the file's end), but none that is shown before `first`. All in ticks."""

    access: int
    first: int
    stop: int | None
    anew: bool  # decoding starts at a picture whose leading pictures are left out


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of one piece. `first`, `last` and `end`: of its wanted frames, in ticks; the last one is shown until
    `end`, which is not after the wanted end. `before`: until when the frame before the first one is shown; None: there
    is none."""

    source: Source
    first: int
    last: int
    end: int
    head: Span | None
    copied: Copied | None
    tail: Span | None
    before: int | None

    @property
    def first_moment(self) -> datetime:
        return self.source.moment(self.first)

    @property
    def last_moment(self) -> datetime:
        return self.source.moment(self.last)

    @property
    def end_moment(self) -> datetime:
        return self.source.moment(self.end)

    @property
    def interval(self) -> Fraction:
        """Seconds from one frame to the next, as a rule."""
        return self.source.interval


def plan(source: Source, wanted: TimeRange) -> Plan | None:
    """How to take the frames of `wanted` out of a source. None when it has none."""
    lo, hi = max(source.ticks(wanted.start), source.first), source.ticks(wanted.end)
    if hi <= lo:
        return None
    shots, found = _find_access(source, lo, hi)
    if found is None:
        return _all_encoded(source, shots, lo, hi)
    access, first = found
    head = _span(source, _decodable(shots), lo, first)
    ending, tail_shots = _find_end(source, shots, access, first, hi)
    if ending is None:
        return _all_encoded(source, source.window(lo, hi), lo, hi)
    stop, tail_frames, last, end = ending
    tail = Span(source, tail_frames[0], tail_frames[-1] + 1, tail_shots[0].pts, tail_frames) if tail_frames else None
    copied = Copied(access.pts, first, stop, anew=access.access == "open")
    begin = head.first if head else first
    return Plan(source, begin, last, end, head, copied, tail, _before(source, shots, begin))


def encoded_only(source: Source, wanted: TimeRange) -> Plan | None:
    """As `plan`, with every frame encoded anew; only what lies near the edges is looked at."""
    lo, hi = max(source.ticks(wanted.start), source.first), source.ticks(wanted.end)
    if hi <= lo:
        return None
    starts = _decodable(source.window(lo, lo + 1))
    ends = _decodable(source.window(hi - 1, hi))
    firsts = [shot.pts for shot in starts if lo <= shot.pts < hi and not shot.hidden]
    lasts = [shot.pts for shot in ends if lo <= shot.pts < hi and not shot.hidden]
    if not firsts or not lasts:
        return None
    span = Span(source, min(firsts), max(lasts) + 1, starts[0].pts)
    end, before = _end(source, ends, max(lasts), hi), _before(source, starts, min(firsts))
    return Plan(source, min(firsts), max(lasts), end, span, None, None, before)


def _find_access(source: Source, lo: int, hi: int) -> tuple[list[Shot], tuple[Shot, int] | None]:
    """The first picture where copying can start, and the time of the first frame that is copied with it."""
    look = int(_FIRST_LOOK_SECONDS / source.time_base) + 1
    until = lo
    while until < hi:
        until = min(until + look, hi)
        look *= 4
        shots = source.window(lo, until)
        for index, shot in enumerate(shots):
            if shot.access == "none" or shot.hidden or not lo <= shot.pts < until:
                continue
            leading = [other.pts for other in shots[index + 1 :] if other.pts < shot.pts]
            if shot.access == "closed" and all(pts >= lo for pts in leading):
                return shots, (shot, min([shot.pts, *leading]))
            return shots, (shot, shot.pts)
    return shots, None


def _find_end(
    source: Source, shots: list[Shot], access: Shot, first: int, hi: int
) -> tuple[tuple[int | None, tuple[int, ...], int, int] | None, list[Shot]]:
    """Where copying stops, the frames to be encoded after it, the last wanted frame, and until when it is shown.

    Copying can stop wherever all that came is shown before all that is still wanted: nothing that was copied leans on
    what was not. What remains are the few frames shown before a picture that is not wanted, and that lean on it.
    """
    window = source.window(hi - 1, hi)
    while True:
        after = _from(window, access)
        copied, tail = _longest_copy(after, first, hi)
        decodable = window[0].access == "closed" or not tail or window[0].pts <= tail[0]
        if decodable or window[0].pts <= shots[0].pts:
            break
        window = source.window(tail[0], hi)
    wanted = [shot.pts for shot in after if first <= shot.pts < hi and not shot.hidden]
    if not wanted or (copied == 0 and after[0] == access):
        return None, window
    stop = after[copied].pts if copied < len(after) else None
    return (stop, tail, max(wanted), _end(source, after, max(wanted), hi)), window


def _from(window: list[Shot], access: Shot) -> list[Shot]:
    """The window without what comes before `access`, if that is in it."""
    for index, shot in enumerate(window):
        if shot.pts == access.pts:
            return window[index:]
    return window


def _longest_copy(shots: Sequence[Shot], first: int, hi: int) -> tuple[int, tuple[int, ...]]:
    """How many packets can be copied, and the wanted frames that then remain."""
    never = hi + 1
    still_wanted = [never] * (len(shots) + 1)  # the earliest wanted frame from here on
    for index in reversed(range(len(shots))):
        shot = shots[index]
        is_wanted = first <= shot.pts < hi and not shot.hidden
        still_wanted[index] = min(still_wanted[index + 1], shot.pts if is_wanted else never)
    count, shown = 0, first - 1
    for index, shot in enumerate(shots):
        if shot.pts >= hi or shot.hidden:
            break
        shown = max(shown, shot.pts)
        if shown < still_wanted[index + 1]:
            count = index + 1
    rest = sorted(shot.pts for shot in shots[count:] if first <= shot.pts < hi and not shot.hidden)
    return count, tuple(rest)


def _all_encoded(source: Source, shots: list[Shot], lo: int, hi: int) -> Plan | None:
    usable = _decodable(shots)
    span = _span(source, usable, lo, hi)
    if span is None:
        return None
    last = span.frames[-1]
    before = _before(source, usable, span.first)
    return Plan(source, span.first, last, _end(source, usable, last, hi), span, None, None, before)


def _span(source: Source, shots: list[Shot], lo: int, end: int) -> Span | None:
    frames = tuple(sorted(shot.pts for shot in shots if lo <= shot.pts < end and not shot.hidden))
    return Span(source, frames[0], frames[-1] + 1, shots[0].pts, frames) if frames else None


def _decodable(shots: list[Shot]) -> list[Shot]:
    """The shots from the first picture on where decoding can start, without those that lean on what came before it."""
    for index, shot in enumerate(shots):
        if shot.access == "closed":
            return shots[index:]
        if shot.access == "open":
            return [other for other in shots[index:] if other.pts >= shot.pts]
    return []


def _end(source: Source, shots: list[Shot], last: int, hi: int) -> int:
    """Until when the last frame is shown: till the next one or a hole, if there is one, and no longer than wanted. What
    the file says of its very last frame may be how long the camera was away."""
    times = sorted(shot.pts for shot in shots if not shot.hidden)
    is_very_last = times[-1] <= last
    if is_very_last:
        own = next((shot.duration for shot in shots if shot.pts == last), 0)
        times.append(last + max(own or round(source.interval / source.time_base), 1))
    following = next(pts for pts in times if pts > last)
    least = 0 if is_very_last else LEAST_SECONDS
    found = holes(times, source.time_base, source.interval, least=least)
    return min([following, *(hole.start for hole in found if hole.last == last), hi])


def _before(source: Source, shots: list[Shot], first: int) -> int | None:
    """Until when the frame before `first` is shown: none, where it cannot be decoded."""
    usable = _decodable(shots)
    if not any(shot.pts < first and not shot.hidden for shot in usable):
        return None
    return next((hole.start for hole in holes_among(source, usable) if hole.end == first), first)
