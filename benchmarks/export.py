"""What an exact clip costs beside `ffmpeg -c copy`, which is not exact, and beside encoding it all.

    python -m benchmarks.export [--segment-seconds 3600] [--clip-seconds 1800] [--runs 3]

Two segments of 1080p25 H.264 at 4 Mbit/s with sound; the clip lies across both and begins and ends within groups of
pictures. Every contestant runs in a process of its own, whose CPU and memory are told with those of all that it starts;
frames are counted with edit lists ignored, and the first, the last and those at the joint are compared with the
sources' pictures while cutting.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import av

from benchmarks.footage import Ran, ffmpeg, make_segments, watched
from reelkeeper.media.command import Limits
from reelkeeper.media.cutting import Piece, cut
from reelkeeper.model import TimeRange

START = datetime(2026, 3, 1, tzinfo=UTC)
ENCODED_SECONDS = 60
"""Of the clip are encoded by the peer that encodes; its time is extrapolated."""
FLOOR_TIMES, AIM_TIMES, FASTER_THAN_ENCODING, PEAK_MIB = 3.0, 1.5, 20.0, 300
SHORT_SECONDS = 300
CAMERAS = 4
BUSY = 0.75
"""Of each core, on average: cameras that are cut at once use all the cores that there are for them."""


def main() -> int:
    """Exit 1 when a bound was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segment-seconds", type=int, default=3600)
    parser.add_argument("--clip-seconds", type=int, default=1800)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the sources are, and stay")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(_cut_once(asked.one, asked.segment_seconds, asked.clip_seconds)))
        return 0
    with tempfile.TemporaryDirectory(prefix="reelkeeper-bench-") as scratch:
        folder = asked.folder or Path(scratch)
        folder.mkdir(exist_ok=True)
        make_segments(folder, asked.segment_seconds)
        return _compare(folder, asked.segment_seconds, asked.clip_seconds, asked.runs)


def _compare(folder: Path, segment: int, clip: int, runs: int) -> int:
    wanted = _wanted(segment, clip)
    load = os.getloadavg()[0]
    ours: list[Ran] = []
    plain: list[Ran] = []
    four: list[Ran] = []
    for _ in range(runs):
        plain.append(_copy_plainly(folder, wanted, segment))
        ours.append(_cut_ours(folder, segment, clip))
        four.append(_cut_four(folder, segment, clip))
    outside = _frames(folder / "clip.mp4") - _wanted_frames(folder, wanted, segment)
    print(
        f"A clip of {clip / 60:g} minutes across two segments of {segment / 60:g} minutes, 1080p25, 4 Mbit/s; "
        f"{os.cpu_count()} cores, load {load:.1f} before the start; medians of {runs}; {date.today()}.\n"  # noqa: DTZ011
    )
    is_quick = _print_table(plain, ours, four, _encode(folder, min(ENCODED_SECONDS, clip)), clip)
    peak, last = max(each.peak_mib for each in ours), json.loads(ours[-1].said[0])
    print(
        f"\nPeak memory {peak:.0f} MiB, ffmpeg's included ({_kept(peak <= PEAK_MIB)}, {PEAK_MIB}), and "
        f"{max(each.peak_mib for each in four):.0f} MiB of {CAMERAS} cameras at once; "
        f"{last['method']}: {last['why']}; "
        f"{outside} frames more than the range has ({_kept(outside == 0)}, 0)."
    )
    # The edges take their half second however short a clip is.
    return 0 if peak <= PEAK_MIB and outside == 0 and (is_quick or clip < SHORT_SECONDS) else 1


def _print_table(plain: list[Ran], ours: list[Ran], four: list[Ran], encoding: Ran, clip: int) -> bool:
    """Whether the bounds of speed are kept."""
    own, copying, many = (statistics.median(each.seconds for each in ran) for ran in (ours, plain, four))
    part = min(ENCODED_SECONDS, clip)
    encoded = encoding.seconds * clip / part
    cores = min(os.cpu_count() or 1, CAMERAS)
    is_near, is_faster = own <= FLOOR_TIMES * copying, encoded >= FASTER_THAN_ENCODING * own
    is_busy = _median_cores(four) >= BUSY * cores
    print(
        "| what | wall time | fastest–slowest | CPU | cores used | times `-c copy` | bound kept |\n"
        "|---|---:|---:|---:|---:|---:|---|"
    )
    print(f"| `ffmpeg -c copy` (concat demuxer), not exact | {_took(plain)} | 1.0 | – |")
    print(
        f"| exact clip, its process included | {_took(ours)} | {own / copying:.2f} | "
        f"{_kept(is_near)}, {FLOOR_TIMES:g} (aim {AIM_TIMES:g}) |"
    )
    print(
        f"| `ffmpeg -preset veryfast`, from {part} s of it | {encoded:.0f} s | – | "
        f"{encoding.cpu_seconds * clip / part:.0f} s | {encoding.cores:.2f} | {encoded / copying:.0f} | ours is "
        f"{encoded / own:.0f} times as fast: {_kept(is_faster)}, {FASTER_THAN_ENCODING:g} |"
    )
    print(
        f"| {CAMERAS} cameras at once | {_took(four)} | {many / copying:.2f} | {many / own:.2f} times one camera; "
        f"cores used: {_kept(is_busy)}, {BUSY * cores:g} of {cores} |"
    )
    return is_near and is_faster and is_busy


def _wanted(segment: int, clip: int) -> TimeRange:
    """Half of the clip on each side of the joint, a little off any key frame."""
    start = START + timedelta(seconds=segment - clip / 2 + 0.5)
    return TimeRange(start, start + timedelta(seconds=clip))


def _cut_once(folder: Path, segment: int, clip: int) -> dict[str, str]:
    ranges = [
        TimeRange(START + timedelta(seconds=segment * index), START + timedelta(seconds=segment * (index + 1)))
        for index in range(2)
    ]
    pieces = [Piece(folder / f"{index}.mp4", each) for index, each in enumerate(ranges)]
    target = folder / f"clip{os.getpid() if os.environ.get('REELKEEPER_BENCH_MANY') else ''}.mp4"
    made = cut(pieces, _wanted(segment, clip), target, work=folder, limits=Limits())
    return {"method": made.method, "why": made.why, "name": target.name}


def _cut_ours(folder: Path, segment: int, clip: int) -> Ran:
    (folder / "clip.mp4").unlink(missing_ok=True)  # to remove an old one takes time as well
    return watched(_command(folder, segment, clip))


def _command(folder: Path, segment: int, clip: int) -> list[str]:
    return [
        sys.executable, "-m", "benchmarks.export", "--one", str(folder), "--segment-seconds", str(segment),
        "--clip-seconds", str(clip),
    ]  # fmt: skip


def _cut_four(folder: Path, segment: int, clip: int) -> Ran:
    ran = watched(*[_command(folder, segment, clip)] * CAMERAS, REELKEEPER_BENCH_MANY="1")
    for said in ran.said:
        (folder / json.loads(said)["name"]).unlink()
    return ran


def _copy_plainly(folder: Path, wanted: TimeRange, segment: int) -> Ran:
    joint = START + timedelta(seconds=segment)
    playlist = folder / "list.txt"
    playlist.write_text(
        f"ffconcat version 1.0\nfile 0.mp4\ninpoint {(wanted.start - START).total_seconds()}\n"
        f"file 1.mp4\noutpoint {(wanted.end - joint).total_seconds()}\n"
    )
    (folder / "plain.mp4").unlink(missing_ok=True)
    return watched(ffmpeg("-f", "concat", "-i", playlist, "-c", "copy", folder / "plain.mp4"))


def _encode(folder: Path, seconds: int) -> Ran:
    return watched(ffmpeg("-t", seconds, "-i", folder / "0.mp4", "-c:v", "libx264", "-preset", "veryfast",
                          "-c:a", "copy", folder / "encoded.mp4"))  # fmt: skip


def _frames(path: Path) -> int:
    with av.open(str(path), options={"ignore_editlist": "1"}) as container:
        return sum(1 for packet in container.demux(video=0) if packet.size)


def _wanted_frames(folder: Path, wanted: TimeRange, segment: int) -> int:
    """Counted in the sources, by the times of their packets."""
    found = 0
    for index in range(2):
        start = START + timedelta(seconds=segment * index)
        with av.open(str(folder / f"{index}.mp4")) as container:
            video = container.streams.video[0]
            base = video.time_base
            assert base is not None
            low, high = (float((each - start).total_seconds() / base) for each in (wanted.start, wanted.end))
            container.seek(max(int(low), 0), stream=video)
            for packet in container.demux(video):
                if packet.pts is not None:
                    found += int(low <= packet.pts < min(high, float(segment / base)))
                    if packet.pts > high + 1 / base:
                        break
    return found


def _took(ran: list[Ran]) -> str:
    seconds = [each.seconds for each in ran]
    return (
        f"{statistics.median(seconds):.2f} s | {min(seconds):.1f}–{max(seconds):.1f} s | "
        f"{statistics.median(each.cpu_seconds for each in ran):.1f} s | {_median_cores(ran):.2f}"
    )


def _median_cores(ran: list[Ran]) -> float:
    return statistics.median(each.cores for each in ran)


def _kept(holds: bool) -> str:
    return "yes" if holds else "**no**"


if __name__ == "__main__":
    sys.exit(main())
