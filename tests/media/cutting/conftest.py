"""Cameras whose pictures are counted, and the making of clips."""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from reelkeeper.media.cutting import Cut, Piece, cut
from tests.media.cutting.clips import LIMITS, MORE_KINDS, RATE, shown, span


@pytest.fixture
def camera(footage: Any) -> Callable[..., Piece]:
    """One segment of a camera whose counter says how many tenths of a second its frame lies after START."""

    def make(kind: str = "b-frames", begin: float = 0.0, seconds: float = 4.0, **more: Any) -> Piece:
        suffix, codec, options = MORE_KINDS[kind]
        options += more.pop("options", ())
        name = f"cut-{kind}-{begin}-{seconds}-{'-'.join(map(str, more.values()))}{len(options)}.{suffix}"
        path = footage.make(
            name,
            seconds=seconds,
            frame_rate=RATE,
            codec=codec,
            first_frame=round(begin * RATE),
            options=options,
            **more,
        )
        return Piece(path, span(begin, begin + seconds))

    return make


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Cut]:
    """Cut, and look for what is hidden: behind edit lists, between the packets, in the folders."""

    def cut_it(
        pieces: Sequence[Piece], start: float, end: float, name: str = "clip.mp4", how: Any = cut, **more: Any
    ) -> Cut:
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        target = tmp_path / name
        made: Cut = how(pieces, span(start, end), target, work=work, limits=LIMITS, **more)
        seen = shown(target)
        assert shown(target, ignore_editlist="1").counters == seen.counters if name.endswith("mp4") else True
        assert made.frames == len(seen.counters)
        if made.method != "encoded":
            assert sum(map(int, re.findall(r"\d+", made.why))) == made.frames, "where each comes from is told"
        assert not list(work.iterdir())
        assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [name]
        assert all(before < later for before, later in pairwise(seen.times))
        return made

    return cut_it
