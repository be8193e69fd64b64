"""Several cameras side by side, on one clock."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import ffmpeg

from reelkeeper.media.command import Command, Limits, Seconds, file_url, run
from reelkeeper.media.composing import Cell, Composed, Tile, common_rate, frames_in, look
from reelkeeper.media.overlay import Overlay, Patch, Sheet, lay
from reelkeeper.model import TimeRange

MOST_TILES = 16
_KEY_FRAME_SECONDS = 2
_CONTAINER_OPTIONS: dict[str, dict[str, str | int]] = {
    ".mp4": {"movflags": "+faststart"}, ".mkv": {}, ".ts": {"muxdelay": 0, "muxpreload": 0},
}  # fmt: skip


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
    columns, rows, width, height = grid(len(tiles), size)
    seen = [look(tile.cut.path) if tile.cut else None for tile in tiles]
    rate = common_rate(each for each in seen if each)
    labels = Overlay(name="each tile's" if names else "", clock=clock)
    cells = [
        Cell(tile, footage, wanted, width=width, height=height, rate=rate, labels=labels)
        for tile, footage in zip(tiles, seen, strict=True)
    ]
    corners = [(number % columns * width, number // columns * height) for number in range(len(tiles))]
    marks = Overlay(watermark=watermark).patches(columns * width, rows * height)
    marks += _labels(tiles, labels, corners, width, height)
    patches = [*(patch for cell in cells for patch in cell.patches), *marks]
    sheet = Sheet(patches, wanted.start) if patches else None
    layers = iter(sheet.layers() if sheet else ())
    picture = _stack([cell.video(layers) for cell in cells], corners)
    for patch in marks:
        picture = lay(picture, next(layers), patch.places)
    heard = seen[audio] if audio is not None else None
    has_audio = audio is not None and heard is not None and heard.has_audio
    frames = frames_in(wanted, rate)
    streams = [picture, *([cells[audio].audio()] if audio is not None and has_audio else [])]
    command = _write(
        streams, target, work=work, limits=limits, progress=progress, frames=frames, rate=rate,
        stdin=sheet.pictures(wanted.duration + timedelta(seconds=1)) if sheet else None,
    )  # fmt: skip
    return Composed(target, columns * width, rows * height, rate, frames, has_audio, (command,))


def grid(count: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Columns, rows, and the width and height of a tile in pixels: shaped as `size`, as large as fits, even."""
    columns = next(number for number in range(1, count + 1) if number * number >= count)
    return columns, -(-count // columns), size[0] // columns // 2 * 2, size[1] // columns // 2 * 2


def _labels(
    tiles: Sequence[Tile], labels: Overlay, corners: Sequence[tuple[int, int]], width: int, height: int
) -> Iterator[Patch]:
    """What `labels` says, in each tile. The time is the same in all of them: it is drawn once."""
    clocks = []
    for tile, (left, top) in zip(tiles, corners, strict=True):
        for patch in replace(labels, name=tile.name if labels.name else "").patches(width, height):
            there = replace(patch, places=tuple((left + x, top + y) for x, y in patch.places))
            if patch.clock is None:
                yield there
            else:
                clocks.append(there)
    if clocks:
        yield replace(clocks[0], places=tuple(place for patch in clocks for place in patch.places))


def _stack(videos: Sequence[Any], corners: Sequence[tuple[int, int]]) -> Any:
    if len(videos) == 1:
        return videos[0]
    layout = "|".join(f"{left}_{top}" for left, top in corners)
    return ffmpeg.filter(videos, "xstack", inputs=len(videos), layout=layout, fill="black")


def _write(
    streams: Iterable[Any], target: Path, *, work: Path, limits: Limits, frames: int, rate: Fraction,
    stdin: Iterator[bytes] | None, progress: Seconds | None,
) -> Command:  # fmt: skip
    """H.264 and AAC, without a word about where they come from."""
    unfinished = work / f"unfinished{target.suffix}"
    container = _CONTAINER_OPTIONS[target.suffix]
    seconds = float(frames / rate)

    def tell(done: float) -> None:
        if progress and done <= seconds + 1:  # it says nonsense once its endless inputs are ended
            progress(min(done, seconds))

    output = ffmpeg.output(
        *streams, file_url(unfinished), **{"c:v": "libx264", "c:a": "aac", "b:a": "96k", "frames:v": frames},
        preset="veryfast", crf=23, pix_fmt="yuv420p", color_range="tv", g=ceil(rate * _KEY_FRAME_SECONDS),
        fps_mode="passthrough", map_metadata=-1, map_chapters=-1, fflags="+bitexact", flags="+bitexact", **container,
    )  # fmt: skip
    try:
        command = run(output.global_args("-copyts", "-y"), limits=limits, progress=tell, stdin=stdin)
        shutil.move(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)
    return command
