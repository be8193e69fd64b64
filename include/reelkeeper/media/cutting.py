"""Cutting exactly, without encoding more than the partial groups of pictures at the edges."""

from collections.abc import Sequence
from pathlib import Path

from reelkeeper.media.command import Limits, Seconds
from reelkeeper.media.pieces import Cut, Gaps, Method, Piece
from reelkeeper.model import TimeRange

__all__ = ["Cut", "Gaps", "Method", "Piece", "cut"]


def cut(
    pieces: Sequence[Piece], wanted: TimeRange, target: Path, *, work: Path, limits: Limits, gaps: Gaps = "join",
    progress: Seconds | None = None,
) -> Cut:  # fmt: skip
    """What `pieces`, the segments of one camera, hold of `wanted`, as the file `target` (.mp4, .mkv or .ts)."""
    raise NotImplementedError
