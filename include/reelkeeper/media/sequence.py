"""Several cameras one after another, in one file."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

from reelkeeper.media.command import Limits, Seconds
from reelkeeper.media.composed_file import join, write
from reelkeeper.media.composing import Cell, Composed, Tile, common_rate, look
from reelkeeper.media.overlay import Overlay, Patch, Sheet, lay
from reelkeeper.model import TimeRange

_SECONDS_OF_A_GAP = 3


def sequence(
    tiles: Sequence[Tile], wanted: TimeRange, target: Path, *, work: Path, limits: Limits, clock: bool = True,
    watermark: str = "", size: tuple[int, int] = (1920, 1080), audio: bool = True, progress: Seconds | None = None,
) -> Composed:  # fmt: skip
    """What each camera saw in `wanted`, one after another, as H.264 in `target` (.mp4, .mkv or .ts).

    Its name is burned in, with `clock` the time, too. A gap, or a camera without footage, is black with the name and
    the time for three seconds; the longer rest of it is left out. Smaller pictures keep their shape in one of `size`.
    With `audio`, each camera is heard; the file has none where no camera has. `limits` hold for each camera. `work`
    holds parts. ValueError without a camera; MediaError, MediaTimeout, WorkFolderFull.
    """
    if not tiles:
        raise ValueError("no camera: expected at least one")
    width, height = size[0] // 2 * 2, size[1] // 2 * 2
    seen = [look(tile.cut.path) if tile.cut else None for tile in tiles]
    rate = common_rate(each for each in seen if each)
    is_heard = audio and any(each.has_audio for each in seen if each)
    overlays = [Overlay(tile.name, clock, watermark) for tile in tiles]
    cells = [
        Cell(
            tile, footage, wanted, width=width, height=height, rate=rate, labels=overlay,
            brief=ceil(rate * _SECONDS_OF_A_GAP), threads=0,
        )
        for tile, footage, overlay in zip(tiles, seen, overlays, strict=True)
    ]  # fmt: skip
    commands, past = [], Fraction(0)
    with _parts(len(tiles), work) as parts:
        for cell, overlay, part in zip(cells, overlays, parts, strict=True):
            picture, drawn = _picture(cell, overlay.patches(width, height), wanted)
            commands.append(
                write(
                    picture.filter("setpts", f"N/({rate})/TB"), cell.audio() if is_heard else None, part, work=work,
                    limits=limits, progress=_after(past, progress), frames=cell.frames, rate=rate, stdin=drawn,
                )
            )  # fmt: skip
            past += cell.frames / rate
        lengths = [cell.frames / rate for cell in cells]
        join(list(zip(parts, lengths, strict=True)), target, work=work)
    return Composed(target, width, height, rate, sum(cell.frames for cell in cells), is_heard, tuple(commands))


def _picture(cell: Cell, marks: Sequence[Patch], wanted: TimeRange) -> tuple[Any, Iterator[bytes] | None]:
    """What a camera saw, with what is laid over it; and what ffmpeg reads for that."""
    sheet = Sheet([*cell.patches, *marks], wanted.start)
    layers = iter(sheet.layers())
    picture = cell.video(layers)
    for patch in marks:
        picture = lay(picture, next(layers), patch.places)
    return picture, sheet.pictures(wanted.duration)


@contextmanager
def _parts(count: int, work: Path) -> Iterator[list[Path]]:
    """Names for the cameras' files, which are gone afterwards."""
    parts = [work / f"part-{number}.mp4" for number in range(count)]
    try:
        yield parts
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def _after(past: Fraction, progress: Seconds | None) -> Seconds | None:
    return (lambda seconds: progress(float(past) + seconds)) if progress else None
