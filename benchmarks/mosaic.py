"""What a mosaic of sixteen cameras costs beside plain ffmpeg, which tells no name and no time.

    python -m benchmarks.mosaic [--seconds 10] [--runs 3]

Sixteen files of 1080p25 H.264 side by side in one picture of 1920 × 1080 pixels, on one clock; ours burns in each
camera's name and the time. Each contestant runs in a process of its own; its memory and its CPU are those of all that
it starts.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from benchmarks.footage import RATE, Ran, ffmpeg, make_segments, watched
from reelkeeper.media.command import Limits
from reelkeeper.media.composing import Tile
from reelkeeper.media.cutting import Piece, cut
from reelkeeper.media.mosaic import mosaic
from reelkeeper.model import TimeRange

START = datetime(2026, 3, 1, tzinfo=UTC)
TILES, COLUMNS, WIDTH, HEIGHT = 16, 4, 480, 270


def main() -> int:
    """Exit 1 when the mosaic lacks frames."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(_compose(asked.one, asked.seconds)))
        return 0
    with tempfile.TemporaryDirectory(prefix="reelkeeper-bench-") as scratch:
        folder = Path(scratch)
        make_segments(folder, asked.seconds)
        for number in range(TILES):
            os.link(folder / "0.mp4", folder / f"camera{number}.mp4")
        return _compare(folder, asked.seconds, asked.runs)


def _compare(folder: Path, seconds: int, runs: int) -> int:
    load = os.getloadavg()[0]
    own = [sys.executable, "-m", "benchmarks.mosaic", "--one", str(folder), "--seconds", str(seconds)]
    plain, ours = [], []
    for _ in range(runs):
        plain.append(watched(_plainly(folder)))
        ours.append(watched(own))
    frames, expected = json.loads(ours[-1].said[0])["frames"], seconds * RATE
    print(
        f"{TILES} cameras of 1080p{RATE} in one picture of {COLUMNS * WIDTH} × {COLUMNS * HEIGHT}, {seconds} s; "
        f"{os.cpu_count()} cores, load {load:.1f} before the start; medians of {runs}; {date.today()}.\n"  # noqa: DTZ011
    )
    print("| what | wall time | fastest–slowest | CPU | cores used | peak memory |\n|---|---:|---:|---:|---:|---:|")
    print(_row("`ffmpeg` with `xstack`: no name, no time, no gap", plain))
    print(_row("mosaic with names and time, its process included", ours))
    print(f"\n{frames} frames: {'yes' if frames == expected else '**no**'}, {expected}.")
    return 0 if frames == expected else 1


def _row(what: str, ran: list[Ran]) -> str:
    seconds = [each.seconds for each in ran]
    return (
        f"| {what} | {statistics.median(seconds):.1f} s | {min(seconds):.1f}–{max(seconds):.1f} s | "
        f"{statistics.median(each.cpu_seconds for each in ran):.1f} s | "
        f"{statistics.median(each.cores for each in ran):.2f} | {max(each.peak_mib for each in ran):.0f} MiB |"
    )


def _compose(folder: Path, seconds: int) -> dict[str, int]:
    wanted = TimeRange(START, START + timedelta(seconds=seconds))
    # Its packets are copied: what a mosaic is made of is cut beforehand, and that is measured elsewhere.
    part = cut(
        [Piece(folder / "0.mp4", wanted)], wanted, folder / "part.mp4", work=folder, limits=Limits(), gaps="keep"
    )
    tiles = [Tile(f"Camera {number}", replace(part, path=folder / f"camera{number}.mp4")) for number in range(TILES)]
    made = mosaic(tiles, wanted, folder / "mosaic.mp4", work=folder, limits=Limits(), names=True, clock=True)
    return {"frames": made.frames}


def _plainly(folder: Path) -> list[str]:
    inputs = [item for number in range(TILES) for item in ("-i", folder / f"camera{number}.mp4")]
    places = "|".join(f"{number % COLUMNS * WIDTH}_{number // COLUMNS * HEIGHT}" for number in range(TILES))
    scaled = ";".join(f"[{number}:v]scale={WIDTH}:{HEIGHT}[t{number}]" for number in range(TILES))
    stacked = "".join(f"[t{number}]" for number in range(TILES)) + f"xstack=inputs={TILES}:layout={places}"
    return ffmpeg(*inputs, "-filter_complex", f"{scaled};{stacked}", "-c:v", "libx264", "-preset", "veryfast",
                  "-crf", 23, folder / "plain.mp4")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
