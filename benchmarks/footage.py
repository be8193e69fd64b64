"""Footage for the benchmarks of exports, and what the processes that work on it take."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from reelkeeper.media.binaries import program

RATE = 25
LOOP_SECONDS = 10
_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Ran:
    """What one or more processes took that ran at the same time, with all that they started."""

    seconds: float  # on the wall, until the last one had ended
    cpu_seconds: float
    peak_mib: float  # what several processes share is counted for each
    said: tuple[str, ...]  # on standard output

    @property
    def cores(self) -> float:
        """How many cores were at work, on average."""
        return self.cpu_seconds / self.seconds


def watched(*commands: Sequence[str], **environment: str) -> Ran:
    """Run commands at the same time, to their end. RuntimeError when one fails."""
    started, peak, cpu = time.monotonic(), 0, 0.0
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env={**os.environ, **environment})
        for command in commands
    ]
    left = {each.pid: each for each in running}
    while left:
        peak = max(peak, sum(_memory(pid) for pid in left))
        for pid in list(left):
            ended, status, usage = os.wait4(pid, os.WNOHANG)  # tells of its own children, too
            if ended:
                left.pop(pid).returncode = os.waitstatus_to_exitcode(status)
                cpu += usage.ru_utime + usage.ru_stime
        time.sleep(_LOOK_SECONDS)
    seconds = time.monotonic() - started
    said = []
    for each in running:
        assert each.stdout is not None
        with each.stdout as heard:
            said.append(heard.read().decode())
        if each.returncode:
            raise RuntimeError(f"{each.args!r} ended with exit code {each.returncode}")
    return Ran(seconds, cpu, peak / 1024**2, tuple(said))


def ffmpeg(*arguments: object) -> list[str]:
    """A command of plain ffmpeg, which overwrites what is there."""
    return [str(program("ffmpeg")), "-nostdin", "-v", "error", "-y", *map(str, arguments)]


def make_segments(folder: Path, seconds: int) -> None:
    """`0.mp4` and `1.mp4`: 1080p25 H.264 with B-frames at 4 Mbit/s, with sound, of so many seconds each; made unless
    they are there. The same ten seconds again and again: a few milliseconds of sound longer than their pictures, so
    that a segment has somewhat fewer than 25 frames for each of its seconds."""
    if all((folder / f"{index}.mp4").exists() for index in range(2)):
        return
    print("making two segments …", file=sys.stderr)
    loop = folder / "loop.mp4"
    subprocess.run(ffmpeg(
        "-f", "lavfi", "-i", f"testsrc2=s=1920x1080:r={RATE}:d={LOOP_SECONDS},noise=alls=12:allf=t",
        "-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={LOOP_SECONDS}", "-pix_fmt", "yuv420p",
        "-c:v", "libx264", "-preset", "veryfast", "-b:v", "4M", "-maxrate", "4M", "-bufsize", "8M",
        "-g", 2 * RATE, "-bf", "2", "-c:a", "aac", "-b:a", "64k", loop,
    ), check=True)  # fmt: skip
    rounds = -(-seconds // LOOP_SECONDS) - 1
    subprocess.run(
        ffmpeg("-stream_loop", rounds, "-i", loop, "-t", seconds, "-c", "copy", folder / "0.mp4"), check=True
    )
    shutil.copyfile(folder / "0.mp4", folder / "1.mp4")


def _memory(pid: int) -> int:
    """Bytes that a process and its children have; what they share is counted for each."""
    found = 0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                found += each.memory_info().rss
    return found
