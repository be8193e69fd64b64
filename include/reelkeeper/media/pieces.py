"""What is cut, and what comes of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from reelkeeper.media.command import Command
from reelkeeper.model import TimeRange

Gaps = Literal["join", "keep", "black"]
"""What becomes of time without footage: `join` closes it up; `keep` keeps it in the packet times, so that the file's
time 0 is the wanted start and each frame stands at its wall time; `black` is `keep`, filled with black."""
Method = Literal["copied", "smart", "encoded"]
"""`copied`: every packet is the source's; `smart`: all but those near the edges are; `encoded`: none is."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment's file on this machine, and the segment's range: its first frame was seen at `range.start`."""

    path: Path
    range: TimeRange


@dataclass(frozen=True, slots=True)
class Cut:
    """What a camera saw in a range, as one file that holds nothing else.

    A frame belongs to the range when start ≤ its wall time < end; its wall time is its segment's start plus its own
    time since the segment's first frame. `frames` counts them, those of black filling included. Gaps are the
    times of the wanted range in which no piece has a picture, also within one; overlaps are those of which two pieces
    have pictures, and only one's are in the file.
    """

    path: Path
    video_codec: str
    width: int  # pixels
    height: int  # pixels
    frames: int
    first_frame: datetime  # wall time
    last_frame: datetime  # wall time
    gaps: tuple[TimeRange, ...]
    overlaps: tuple[TimeRange, ...]
    method: Method
    why: str  # of the method, in words for a person
    commands: tuple[Command, ...]


def in_order(pieces: Sequence[Piece]) -> list[Piece]:
    """By start; of two with the same start the longer one first."""
    return sorted(pieces, key=lambda piece: (piece.range.start, -piece.range.duration))
