"""Time within one file that no picture was recorded for: a camera that was away, and came back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise
from statistics import median_high

from reelkeeper.media.source import Shot, Source
from reelkeeper.model import TimeRange

LEAST_SECONDS = 1
_TIMES_LONGER = 2
"""A hole is longer than that, and than so many times what it took from one frame to the next around it."""
_AROUND = 8
MICROSECOND = timedelta(microseconds=1)
"""What a range begins earlier than the frame after a hole: rounding must not lose it."""


class HasHoles(Exception):
    """Pictures that were written next to each other were not seen next to each other."""


@dataclass(frozen=True, slots=True)
class Hole:
    """From `start`, when the frame shown at `last` was over, to the next frame, at `end`; in ticks."""

    last: int
    start: int
    end: int


def holes(times: Sequence[int], base: Fraction, interval: Fraction, *, least: int = LEAST_SECONDS) -> list[Hole]:
    """The holes between frames shown at `times`, in their order, in ticks of `base` seconds. Rates may vary: what lies
    around tells how long a frame is shown; `interval`, in seconds, where nothing does. None is shorter than `least`,
    in seconds."""
    shortest = least / base
    found = []
    for index, (one, other) in enumerate(pairwise(times)):
        if other - one <= shortest:
            continue
        before, after = times[max(index - _AROUND, 0) : index + 1], times[index + 1 : index + 2 + _AROUND]
        steps = [later - earlier for part in (before, after) for earlier, later in pairwise(part)]
        step = median_high(steps) if steps else round(interval / base)
        if other - one > _TIMES_LONGER * step:
            found.append(Hole(one, one + max(step, 1), other))
    return found


def holes_among(source: Source, shots: Sequence[Shot]) -> list[Hole]:
    """Those between the frames of a part of a source."""
    return holes(sorted(shot.pts for shot in shots if not shot.hidden), source.time_base, source.interval)


def without_holes(source: Source, wanted: TimeRange) -> list[TimeRange]:
    """`wanted` without the holes in it; reads the times of all of it."""
    lo, hi = max(source.ticks(wanted.start), source.first), source.ticks(wanted.end)
    if hi <= lo:
        return []
    start, found = wanted.start, []
    for hole in holes_among(source, source.window(lo, hi)):
        if hole.end <= lo or hole.last >= hi:
            continue
        until = min(source.moment(hole.start), wanted.end)
        if hole.last >= lo and start < until:
            found.append(TimeRange(start, until))
        start = source.moment(hole.end) - MICROSECOND
    return [*found, TimeRange(start, wanted.end)] if start < wanted.end else found
