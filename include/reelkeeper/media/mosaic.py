"""Several cameras side by side, on one clock."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ffmpeg
import numpy as np

from reelkeeper.media.command import Limits, Seconds
from reelkeeper.media.composed_file import write
from reelkeeper.media.composing import Cell, Composed, Tile, common_rate, look
from reelkeeper.media.overlay import Overlay, Patch, Sheet, lay
from reelkeeper.model import TimeRange

MOST_TILES = 16
_SEAM = 2
"""Pixels between two pictures."""


def mosaic(
    tiles: Sequence[Tile], wanted: TimeRange, target: Path, *, work: Path, limits: Limits, names: bool = False,
    clock: bool = False, watermark: str = "", size: tuple[int, int] = (1920, 1080), audio: int | None = None,
    progress: Seconds | None = None,
) -> Composed:  # fmt: skip
    """The cameras' pictures of `wanted` side by side, as H.264 in `target` (.mp4, .mkv or .ts), which then is whole.

    At any instant every tile shows what its camera saw then, to within a frame. A camera without footage is black, with
    its name and the time. `names` and `clock` burn in both elsewhere, too; `watermark` lies over the whole picture.
    `size` is the largest one, in pixels: few tiles leave no empty row. `audio`: the number of the tile to be heard.
    `work` holds the unfinished file. ValueError unless there are 1 to 16 tiles; MediaError, MediaTimeout,
    WorkFolderFull.
    """
    if not 1 <= len(tiles) <= MOST_TILES:
        raise ValueError(f"{len(tiles)} tiles: expected 1 to {MOST_TILES}")
    seen = [look(tile.cut.path) if tile.cut else None for tile in tiles]
    columns, rows, width, height = grid(len(tiles), size)
    labels = Overlay(name="each tile's" if names else "", clock=clock)
    rate = common_rate(each for each in seen if each)
    seam = _SEAM if len(tiles) > 1 else 0
    cells = [
        Cell(tile, each, wanted, width=width, height=height, rate=rate, labels=labels, number=number, seam=seam)
        for number, (tile, each) in enumerate(zip(tiles, seen, strict=True))
    ]
    corners = [(number % columns * width, number // columns * height) for number in range(len(tiles))]
    marks = Overlay(watermark=watermark).patches(columns * width, rows * height)
    marks += _labels(tiles, labels, columns, width, height)
    sheet = Sheet([*(patch for cell in cells for patch in cell.patches), *marks], wanted.start)
    layers = iter(sheet.layers())
    picture = _stack([cell.video(layers) for cell in cells], corners)
    for patch in marks:
        picture = lay(picture, next(layers), patch.places)
    heard = cells[audio].audio() if audio is not None and cells[audio].has_audio else None
    command = write(
        picture, heard, target, work=work, limits=limits, progress=progress, frames=cells[0].frames, rate=rate,
        stdin=sheet.pictures(wanted.duration),
    )  # fmt: skip
    return Composed(target, columns * width, rows * height, rate, cells[0].frames, heard is not None, (command,))


def grid(count: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Columns, rows, and the width and height of a tile in pixels: shaped as `size`, as large as fits, even."""
    columns = next(number for number in range(1, count + 1) if number * number >= count)
    return columns, -(-count // columns), size[0] // columns // 2 * 2, size[1] // columns // 2 * 2


def _labels(tiles: Sequence[Tile], labels: Overlay, columns: int, width: int, height: int) -> Iterator[Patch]:
    """What `labels` says, in each tile. The times of a row are one strip across it: each second's costs little then."""
    rows: dict[int, list[Patch]] = {}
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        for patch in replace(labels, name=tile.name if labels.name else "").patches(width, height):
            there = replace(patch, places=tuple((column * width + x, row * height + y) for x, y in patch.places))
            if patch.clocks:
                rows.setdefault(row, []).append(there)
            else:
                yield there
    for times in rows.values():
        first = times[0]
        (left, top), (right, _) = first.places[0], times[-1].places[0]
        strip = np.zeros((first.height, right - left + first.width, 4), np.uint8)
        clocks = tuple(replace(first.clocks[0], left=patch.places[0][0] - left) for patch in times)
        yield Patch(strip, ((left, top),), clocks)


def _stack(videos: Sequence[Any], corners: Sequence[tuple[int, int]]) -> Any:
    if len(videos) == 1:
        return videos[0]
    layout = "|".join(f"{left}_{top}" for left, top in corners)
    return ffmpeg.filter(videos, "xstack", inputs=len(videos), layout=layout, fill="black")
