"""The full encode: for a smaller picture, for what is burned in, and where footage cannot be cut by copying."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from reelkeeper.media.command import Limits, Seconds
from reelkeeper.media.pieces import Cut, Gaps, Piece
from reelkeeper.model import TimeRange


class BurnsIn(Protocol):
    """What is laid over the picture: strips of RGBA pixels, a new one each second."""

    def strip(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Where the strip lies in a picture of `width` × `height` pixels: left, top, its width, its height."""
        ...

    def strips(self, start: datetime, width: int, height: int) -> Iterator[bytes]:
        """RGBA pixels of the strip at `start`, one second later, and so on, as long as they are asked for."""
        ...


def encode(
    pieces: Sequence[Piece], wanted: TimeRange, target: Path, *, work: Path, limits: Limits, height: int | None = None,
    overlay: BurnsIn | None = None, gaps: Gaps = "join", progress: Seconds | None = None,
) -> Cut:  # fmt: skip
    """Every frame of `wanted`, encoded anew as H.264, never larger than the source; `height` in pixels."""
    raise NotImplementedError
