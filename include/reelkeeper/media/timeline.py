"""Where the frames of each piece stand in the file, and what of the wanted time has no footage, or twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from reelkeeper.media.clock import seconds
from reelkeeper.media.pieces import Gaps, Piece, in_order
from reelkeeper.media.planning import Plan
from reelkeeper.model import TimeRange

OPEN_AT_ONCE = 16
"""Files that stay open between two readings; an export of a day may have thousands."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A plan in the file: `start` and `end` of its footage, in seconds of the file."""

    plan: Plan
    start: Fraction
    end: Fraction
    joins_next: bool  # the next piece follows without a hole in the file's time


@dataclass(frozen=True, slots=True)
class Timeline:
    """What is in the file, in its order. `black`: in seconds of the file, what is filled before each piece, and after
    the last one; empty where nothing is. `looked_inside`: there is no hole within a piece."""

    placed: tuple[Placed, ...]
    gaps: tuple[TimeRange, ...]
    overlaps: tuple[TimeRange, ...]
    black: tuple[tuple[Fraction, Fraction], ...] = ()
    looked_inside: bool = True

    @property
    def has_black(self) -> bool:
        return any(end > start for start, end in self.black)


def shares(pieces: Sequence[Piece], wanted: TimeRange) -> tuple[list[tuple[Piece, TimeRange]], list[TimeRange]]:
    """Which part of `wanted` each piece is to give, and where pieces overlap.

    Where one begins while another still lasts, it takes over: footage is best left off at an end, where next to nothing
    has to be encoded. One that ends before the other does is left out, unless it is needed after all: see `arrange`.
    """
    used: list[Piece] = []
    overlaps: list[TimeRange] = []
    for piece in in_order(pieces):
        if piece.range.start >= wanted.end:
            continue
        before = used[-1] if used else None
        if before and piece.range.start < before.range.end:
            until = min(piece.range.end, before.range.end, wanted.end)
            if until > max(piece.range.start, wanted.start):
                overlaps.append(TimeRange(max(piece.range.start, wanted.start), until))
            if piece.range.end <= before.range.end:
                continue
        used.append(piece)
    parts = []
    for index, piece in enumerate(used):
        end = min([wanted.end, *(later.range.start for later in used[index + 1 : index + 2])])
        if end > max(piece.range.start, wanted.start):
            parts.append((piece, TimeRange(wanted.start, end)))
    return parts, overlaps


def holes_between(plans: Sequence[Plan], wanted: TimeRange) -> list[TimeRange]:
    """The time of `wanted` without a picture, before, between and after the plans'."""
    if not plans:
        return [wanted]
    holes = [hole for index in range(len(plans)) if (hole := _hole_before(plans, index, wanted))]
    if (rest := wanted.end - plans[-1].end_moment) > timedelta(seconds=float(plans[-1].interval)):
        holes.append(TimeRange(wanted.end - rest, wanted.end))
    return holes


def lay_out(
    plans: Sequence[Plan], wanted: TimeRange, overlaps: Sequence[TimeRange], gaps: Gaps, *, looked_inside: bool = True
) -> Timeline:
    """Put the pieces on the file's clock."""
    starts: list[Fraction] = []
    ends: list[Fraction] = []
    for index, plan in enumerate(plans):
        if gaps != "join":
            start = seconds(plan.first_moment - wanted.start)
        elif not index:
            start = Fraction(0)
        else:
            hole = _hole_before(plans, index, wanted)
            between = Fraction(0) if hole else seconds(plan.first_moment - plans[index - 1].end_moment)
            start = ends[-1] + max(between, Fraction(0))
        starts.append(start)
        ends.append(start + (plan.end - plan.first) * plan.source.time_base)
    placed = tuple(
        Placed(plan, start, end, index + 1 < len(plans) and starts[index + 1] - end <= plan.interval)
        for index, (plan, start, end) in enumerate(zip(plans, starts, ends, strict=True))
    )
    black = _black(placed, wanted) if gaps == "black" else ()
    return Timeline(placed, tuple(holes_between(plans, wanted)), tuple(overlaps), black, looked_inside)


def _black(placed: Sequence[Placed], wanted: TimeRange) -> tuple[tuple[Fraction, Fraction], ...]:
    edges = [Fraction(0), *(each.end for each in placed)]
    starts = [*(each.start for each in placed), seconds(wanted.duration)]
    slack = placed[0].plan.interval
    return tuple(
        (edge, start) if start - edge > slack else (start, start) for edge, start in zip(edges, starts, strict=True)
    )


def _hole_before(plans: Sequence[Plan], index: int, wanted: TimeRange) -> TimeRange | None:
    """The time without footage before a plan, when it is longer than from one frame to the next."""
    plan = plans[index]
    if index:
        since = plans[index - 1].end_moment
    elif plan.before is not None:
        since = max(plan.source.moment(plan.before), wanted.start)
    else:
        since = wanted.start
    if plan.first_moment - since > timedelta(seconds=float(plan.interval)):
        return TimeRange(since, plan.first_moment)
    return None
