"""Which frames of which piece are shown when: one after another, where one has no picture another one that has."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from reelkeeper.media.holes import without_holes
from reelkeeper.media.pieces import Gaps, Piece, in_order
from reelkeeper.media.planning import Plan
from reelkeeper.media.source import Source
from reelkeeper.media.timeline import Timeline, holes_between, lay_out, shares
from reelkeeper.model import TimeRange

Planner = Callable[[Source, TimeRange], Plan | None]


def arrange(
    pieces: Sequence[Piece], wanted: TimeRange, gaps: Gaps, *, opened: Callable[[Piece], Source], planner: Planner,
    looks_inside: bool, unseen: Mapping[Source, Sequence[TimeRange]] | None = None,
) -> Timeline | None:  # fmt: skip
    """None when no piece has a frame of `wanted`. `looks_inside`: holes within pieces are looked for, which takes
    reading them; else pieces are taken to have none but at the edges of what is taken of them. `unseen`: times in which
    a source is known to have no picture that can be decoded."""
    sources: dict[Piece, Source] = {}

    def plans(piece: Piece, part: TimeRange) -> list[Plan]:
        if piece not in sources:
            sources[piece] = opened(piece)
        source = sources[piece]
        parts = without_holes(source, part) if looks_inside else [part]
        seen = _less(parts, (unseen or {}).get(source, ()))
        return [found for each in seen if (found := planner(source, each))]

    parts, overlaps = shares(pieces, wanted)
    found = [plan for piece, part in parts for plan in plans(piece, part)]
    without = holes_between(found, wanted)
    if without and overlaps:
        own, still_without = dict(parts), without
        for piece in in_order(pieces):
            more = [plan for hole in _seen(piece, own.get(piece), still_without) for plan in plans(piece, hole)]
            if more:
                found = sorted([*found, *more], key=lambda plan: plan.first_moment)
                still_without = holes_between(found, wanted)
    if not found:
        return None
    return lay_out(found, wanted, _less(overlaps, without), gaps, looked_inside=looks_inside)


def _seen(piece: Piece, own: TimeRange | None, without: Iterable[TimeRange]) -> list[TimeRange]:
    """What of the time without footage a piece may have a picture of, although it was not to give it."""
    both = [
        TimeRange(start, end)
        for hole in without
        if (start := max(hole.start, piece.range.start)) < (end := min(hole.end, piece.range.end))
    ]
    return [each for each in both if not (own and own.start <= each.start and each.end <= own.end)]


def _less(ranges: Iterable[TimeRange], without: Iterable[TimeRange]) -> list[TimeRange]:
    """The ranges without those parts in which there was one picture at most."""
    left = list(ranges)
    for hole in without:
        left = [
            TimeRange(start, end)
            for each in left
            for start, end in ((each.start, min(each.end, hole.start)), (max(each.start, hole.end), each.end))
            if start < end
        ]
    return left
