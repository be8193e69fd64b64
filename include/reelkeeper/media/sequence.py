"""Several cameras one after another, in one file."""

from collections.abc import Sequence
from contextlib import ExitStack
from fractions import Fraction
from math import ceil
from pathlib import Path

from reelkeeper.media.command import Limits, Seconds
from reelkeeper.media.composed_file import join, write
from reelkeeper.media.composing import Cell, Composed, Tile, common_rate, look
from reelkeeper.media.overlay import Overlay, Sheet, lay
from reelkeeper.model import TimeRange

_SECONDS_OF_A_GAP = 3


def sequence(
    tiles: Sequence[Tile], wanted: TimeRange, target: Path, *, work: Path, limits: Limits, clock: bool = True,
    watermark: str = "", size: tuple[int, int] = (1920, 1080), audio: bool = True, progress: Seconds | None = None,
) -> Composed:  # fmt: skip
    """What each camera saw in `wanted`, one after another, as H.264 in `target` (.mp4, .mkv or .ts).

    Its name is burned in, with `clock` the time, too. A gap, or a camera without footage, is black with the name and
    the time for three seconds; the longer rest of it is left out. Smaller pictures keep their shape in one of `size`.
    With `audio`, each camera is heard; the file has none where no camera has. `work` holds parts. ValueError without a
    camera; MediaError, MediaTimeout, WorkFolderFull.
    """
    if not tiles:
        raise ValueError("no camera: expected at least one")
    width, height = size[0] // 2 * 2, size[1] // 2 * 2
    seen = [look(tile.cut.path) if tile.cut else None for tile in tiles]
    rate = common_rate(each for each in seen if each)
    is_heard = audio and any(each.has_audio for each in seen if each)
    parts, lengths, commands = [], [Fraction(0)], []
    with ExitStack() as stack:
        for number, (tile, footage) in enumerate(zip(tiles, seen, strict=True)):
            labels = Overlay(tile.name, clock, watermark)
            cell = Cell(
                tile, footage, wanted, width=width, height=height, rate=rate, labels=labels,
                brief=ceil(rate * _SECONDS_OF_A_GAP), threads=0,
            )  # fmt: skip
            part = work / f"part-{number}.mp4"
            stack.callback(part.unlink, missing_ok=True)
            marks = labels.patches(width, height)
            sheet = Sheet([*cell.patches, *marks], wanted.start)
            layers = iter(sheet.layers())
            picture = cell.video(layers)
            for patch in marks:
                picture = lay(picture, next(layers), patch.places)
            done = float(sum(lengths))

            def tell(seconds: float, done: float = done) -> None:
                if progress:
                    progress(done + seconds)

            commands.append(
                write(
                    picture.filter("setpts", f"N/({rate})/TB"), cell.audio() if is_heard else None, part,
                    work=work, limits=limits, progress=tell, frames=cell.frames, rate=rate,
                    stdin=sheet.pictures(wanted.duration),
                )
            )  # fmt: skip
            parts.append(part)
            lengths.append(cell.frames / rate)
        join(list(zip(parts, lengths[1:], strict=True)), target, work=work)
    return Composed(target, width, height, rate, int(sum(lengths) * rate), is_heard, tuple(commands))
