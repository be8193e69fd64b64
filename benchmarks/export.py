"""What an exact clip costs beside `ffmpeg -c copy`, which is not exact, and beside encoding it all.

    python -m benchmarks.export [--segment-seconds 3600] [--clip-seconds 1800] [--runs 3]

Two segments of 1080p25 H.264 at 4 Mbit/s with sound; the clip lies across both and begins and ends within groups of
pictures. Every contestant runs in a process of its own; frames are counted with edit lists ignored, and the first, the
last and those at the joint are compared with the sources' pictures while cutting.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import av
import psutil

from reelkeeper.media.binaries import program
from reelkeeper.media.command import Limits
from reelkeeper.media.cutting import Piece, cut
from reelkeeper.model import TimeRange

START = datetime(2026, 3, 1, tzinfo=UTC)
RATE = 25
LOOP_SECONDS = 10
ENCODED_SECONDS = 60
"""Of the clip are encoded by the peer that encodes; its time is extrapolated."""
FLOOR_TIMES, AIM_TIMES, FASTER_THAN_ENCODING, PEAK_MIB = 3.0, 1.5, 20.0, 300
SHORT_SECONDS = 300
CAMERAS = 4


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
        _make_segments(folder, asked.segment_seconds)
        return _compare(folder, asked.segment_seconds, asked.clip_seconds, asked.runs)


def _compare(folder: Path, segment: int, clip: int, runs: int) -> int:
    wanted = _wanted(segment, clip)
    load = os.getloadavg()[0]
    ours: list[float] = []
    plain: list[float] = []
    peak = 0.0
    last: dict[str, Any] = {}
    for _ in range(runs):
        plain.append(_timed(lambda: _copy_plainly(folder, wanted, segment)))
        started = time.monotonic()
        last = _ask(folder, segment, clip)
        ours.append(time.monotonic() - started)
        peak = max(peak, last["peak_mib"])
    encoding = _timed(lambda: _encode(folder, wanted)) * clip / min(ENCODED_SECONDS, clip)
    four = _timed(lambda: _four(folder, segment, clip))
    outside = _frames(folder / "clip.mp4") - _wanted_frames(folder, wanted, segment)
    own, copying = statistics.median(ours), statistics.median(plain)
    print(
        f"A clip of {clip / 60:g} minutes across two segments of {segment / 60:g} minutes, 1080p25, 4 Mbit/s; "
        f"{os.cpu_count()} cores, load {load:.1f} before the start; medians of {runs}; {date.today()}.\n"  # noqa: DTZ011
    )
    print("| what | wall time | fastest–slowest | times `-c copy` | bound kept |\n|---|---:|---:|---:|---|")
    print(f"| `ffmpeg -c copy` (concat demuxer), not exact | {_seconds(plain)} | 1.0 | – |")
    print(
        f"| exact clip, its process included | {_seconds(ours)} | {own / copying:.2f} | "
        f"{_kept(own <= FLOOR_TIMES * copying)}, {FLOOR_TIMES:g} (aim {AIM_TIMES:g}) |"
    )
    print(
        f"| `ffmpeg -preset veryfast`, from {min(ENCODED_SECONDS, clip)} s of it | {encoding:.0f} s | – | "
        f"{encoding / copying:.0f} | ours is {encoding / own:.0f} times as fast: "
        f"{_kept(encoding >= FASTER_THAN_ENCODING * own)}, {FASTER_THAN_ENCODING:g} |"
    )
    print(f"| four cameras at once | {four:.1f} s | – | {four / copying:.2f} | {four / own:.2f} times one camera |")
    print(
        f"\nPeak memory {peak:.0f} MiB, ffmpeg's included ({_kept(peak <= PEAK_MIB)}, {PEAK_MIB}); "
        f"{last['method']}: {last['why']}; "
        f"{outside} frames more than the range has ({_kept(outside == 0)}, 0). CPU of ours {last['cpu']:.1f} s."
    )
    fast = own <= FLOOR_TIMES * copying and encoding >= FASTER_THAN_ENCODING * own
    # The edges take their half second however short a clip is.
    return 0 if peak <= PEAK_MIB and outside == 0 and (fast or clip < SHORT_SECONDS) else 1


def _wanted(segment: int, clip: int) -> TimeRange:
    """Half of the clip on each side of the joint, a little off any key frame."""
    start = START + timedelta(seconds=segment - clip / 2 + 0.5)
    return TimeRange(start, start + timedelta(seconds=clip))


def _cut_once(folder: Path, segment: int, clip: int) -> dict[str, Any]:
    ranges = [
        TimeRange(START + timedelta(seconds=segment * index), START + timedelta(seconds=segment * (index + 1)))
        for index in range(2)
    ]
    pieces = [Piece(folder / f"{index}.mp4", each) for index, each in enumerate(ranges)]
    target = folder / f"clip{os.getpid() if os.environ.get('REELKEEPER_BENCH_MANY') else ''}.mp4"
    made = cut(pieces, _wanted(segment, clip), target, work=folder, limits=Limits())
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "method": made.method, "why": made.why, "cpu": sum(each.ru_utime + each.ru_stime for each in usage)
    }  # fmt: skip


def _ask(folder: Path, segment: int, clip: int) -> dict[str, Any]:
    """One cut in a process of its own, whose memory is watched together with that of the programs it starts."""
    (folder / "clip.mp4").unlink(missing_ok=True)  # to remove an old one takes time as well
    peak = 0
    with subprocess.Popen(_command(folder, segment, clip), stdout=subprocess.PIPE) as running:
        watched = psutil.Process(running.pid)
        while running.poll() is None:
            peak = max(peak, _memory(watched))
            time.sleep(0.02)
        if running.returncode or not running.stdout:
            raise RuntimeError("a cut failed")
        return {**json.loads(running.stdout.read()), "peak_mib": peak / 1024**2}


def _memory(process: psutil.Process) -> int:
    """Bytes that the process and its children have for themselves; what they share is counted once each."""
    found = 0
    with suppress(psutil.NoSuchProcess):
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                found += each.memory_info().rss
    return found


def _command(folder: Path, segment: int, clip: int) -> list[str]:
    return [
        sys.executable, "-m", "benchmarks.export", "--one", str(folder), "--segment-seconds", str(segment),
        "--clip-seconds", str(clip),
    ]  # fmt: skip


def _four(folder: Path, segment: int, clip: int) -> None:
    many = {**os.environ, "REELKEEPER_BENCH_MANY": "1"}
    running = [
        subprocess.Popen(_command(folder, segment, clip), stdout=subprocess.DEVNULL, env=many) for _ in range(CAMERAS)
    ]
    for each in running:
        if each.wait():
            raise RuntimeError("a cut failed")
        (folder / f"clip{each.pid}.mp4").unlink()


def _copy_plainly(folder: Path, wanted: TimeRange, segment: int) -> None:
    joint = START + timedelta(seconds=segment)
    playlist = folder / "list.txt"
    playlist.write_text(
        f"ffconcat version 1.0\nfile 0.mp4\ninpoint {(wanted.start - START).total_seconds()}\n"
        f"file 1.mp4\noutpoint {(wanted.end - joint).total_seconds()}\n"
    )
    (folder / "plain.mp4").unlink(missing_ok=True)
    _ffmpeg("-f", "concat", "-i", playlist, "-c", "copy", folder / "plain.mp4")


def _encode(folder: Path, wanted: TimeRange) -> None:
    seconds = min(ENCODED_SECONDS, wanted.duration.total_seconds())
    _ffmpeg("-t", seconds, "-i", folder / "0.mp4", "-c:v", "libx264", "-preset", "veryfast", "-c:a", "copy",
            folder / "encoded.mp4")  # fmt: skip


def _make_segments(folder: Path, seconds: int) -> None:
    if all((folder / f"{index}.mp4").exists() for index in range(2)):
        return
    print("making two segments …", file=sys.stderr)
    loop = folder / "loop.mp4"
    _ffmpeg(
        "-f", "lavfi", "-i", f"testsrc2=s=1920x1080:r={RATE}:d={LOOP_SECONDS},noise=alls=12:allf=t",
        "-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={LOOP_SECONDS}", "-pix_fmt", "yuv420p",
        "-c:v", "libx264", "-preset", "veryfast", "-b:v", "4M", "-maxrate", "4M", "-bufsize", "8M",
        "-g", 2 * RATE, "-bf", "2", "-c:a", "aac", "-b:a", "64k", loop,
    )  # fmt: skip
    _ffmpeg("-stream_loop", -(-seconds // LOOP_SECONDS) - 1, "-i", loop, "-t", seconds, "-c", "copy", folder / "0.mp4")
    shutil.copyfile(folder / "0.mp4", folder / "1.mp4")


def _ffmpeg(*arguments: object) -> None:
    command = [str(program("ffmpeg")), "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True)


def _timed(work: Callable[[], None]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


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


def _seconds(times: list[float]) -> str:
    return f"{statistics.median(times):.2f} s | {min(times):.1f}–{max(times):.1f} s"


def _kept(holds: bool) -> str:
    return "yes" if holds else "**no**"


if __name__ == "__main__":
    sys.exit(main())
