"""Small videos for the demo and the tests, by ffmpeg; the synthetic ones carry a frame counter that code can read."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reelkeeper.media.binaries import Program, program

COUNTER_BITS = 16
"""The counter is a row of this many squares along the top, lowest bit left: white is 1, black is 0."""
_WHITE, _BLACK = 235, 16


def run(name: Program, *arguments: str | Path, stdin: Iterator[bytes] | None = None) -> None:
    """Run ffmpeg or ffprobe; RuntimeError with what it said when it fails."""
    command = [str(program(name)), "-nostdin" if stdin is None else "-hide_banner", "-loglevel", "error"]
    process = subprocess.Popen(
        [*command, *map(str, arguments)], stdin=subprocess.PIPE if stdin else subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        if stdin is not None:
            assert process.stdin is not None
            for chunk in stdin:
                process.stdin.write(chunk)
            process.stdin.close()
    except BrokenPipeError:  # it ended early: its message, below, says why
        process.stdin = None
    message = process.stderr.read().decode(errors="replace")
    process.stderr.close()
    if process.wait():
        raise RuntimeError(f"{name} ended with exit code {process.returncode}: {message.strip()}")


def counter_frame(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """One frame as YUV 4:2:0 planes, flat: the counter on top, a bar that moves below, a grey ground."""
    luma = np.full((height, width), 90, np.uint8)
    side = width // COUNTER_BITS
    for bit in range(COUNTER_BITS):
        luma[:side, bit * side : (bit + 1) * side] = _WHITE if number >> bit & 1 else _BLACK
    left = number * 4 % (width - side)
    luma[side * 2 :, left : left + side] = 180
    return np.concatenate([luma.ravel(), np.full(width * height // 2, 128, np.uint8)])


def read_counter(luma: NDArray[np.uint8]) -> int:
    """The number that `counter_frame` drew, from a decoded frame's luma plane (height × width)."""
    side = luma.shape[1] // COUNTER_BITS
    squares = luma[side // 4 : side * 3 // 4, : side * COUNTER_BITS].reshape(
        side * 3 // 4 - side // 4, COUNTER_BITS, side
    )
    bright = squares[:, :, side // 4 : side * 3 // 4].mean(axis=(0, 2)) > (_WHITE + _BLACK) / 2
    return int(sum(1 << bit for bit, on in enumerate(bright) if on))


def make_video(
    path: Path, *, seconds: float = 2.0, frame_rate: int = 10, width: int = 160, height: int = 120,
    codec: str = "libx264", audio: bool = False, first_frame: int = 0, options: tuple[str, ...] = (),
) -> Path:  # fmt: skip
    """Write a video whose container follows from the name's suffix; `options` go to ffmpeg before the path."""
    frames = round(seconds * frame_rate)
    source = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{width}x{height}", "-r", str(frame_rate), "-i", "pipe:0"]
    if audio:
        source += ["-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={frames / frame_rate}"]
    encode = ["-c:v", codec, *(("-preset", "ultrafast") if codec in ("libx264", "libx265") else ())]
    encode += ["-g", str(frame_rate), *(("-c:a", "aac", "-b:a", "48k") if audio else ())]
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = (counter_frame(number, width, height).tobytes() for number in range(first_frame, first_frame + frames))
    run("ffmpeg", "-y", *source, *encode, *options, path, stdin=pictures)
    return path
