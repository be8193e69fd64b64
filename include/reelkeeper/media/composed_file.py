"""How a composed picture becomes a file."""

import errno
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import av
import ffmpeg
from av.container import OutputContainer

from reelkeeper.errors import MediaError, WorkFolderFull
from reelkeeper.media.command import Command, Limits, Seconds, file_url, run
from reelkeeper.media.probe import open_footage, video_stream

_KEY_FRAME_SECONDS = 2
_CONTAINER_OPTIONS: dict[str, dict[str, str | int]] = {
    ".mp4": {"movflags": "+faststart"}, ".mkv": {}, ".ts": {"muxdelay": 0, "muxpreload": 0},
}  # fmt: skip


def write(
    video: Any, audio: Any | None, target: Path, *, work: Path, limits: Limits, frames: int, rate: Fraction,
    stdin: Iterator[bytes] | None, progress: Seconds | None,
) -> Command:  # fmt: skip
    """So many frames of `video`, as H.264, and `audio` as AAC, without a word about where they come from."""
    container = _CONTAINER_OPTIONS[target.suffix]
    seconds = float(frames / rate)

    def tell(done: float) -> None:
        if progress and done <= seconds + 1:  # it says nonsense once its endless inputs are ended
            progress(min(done, seconds))

    streams = [video.filter("trim", end_frame=frames), *([audio] if audio is not None else [])]
    output = ffmpeg.output(
        *streams, file_url(_unfinished_name(target, work)), **{"c:v": "libx264", "c:a": "aac", "b:a": "96k"},
        preset="veryfast", crf=23, pix_fmt="yuv420p", color_range="tv", g=ceil(rate * _KEY_FRAME_SECONDS),
        fps_mode="passthrough", map_metadata=-1, map_chapters=-1, fflags="+bitexact", flags="+bitexact", **container,
    )  # fmt: skip
    with _unfinished(target, work) as unfinished:
        command = run(output.global_args("-copyts", "-y"), limits=limits, progress=tell, stdin=stdin)
        _expect_frames(unfinished, frames)
    return command


def join(parts: Sequence[tuple[Path, Fraction]], target: Path, *, work: Path) -> None:
    """Files of `write` one after another, packet by packet; with each, how many seconds it takes."""
    options = {key: str(value) for key, value in _CONTAINER_OPTIONS[target.suffix].items()}
    with (
        _unfinished(target, work) as unfinished,
        av.open(f"file:{unfinished}", "w", options={**options, "fflags": "+bitexact"}) as joined,
    ):
        _copy(parts, joined)


@contextmanager
def _unfinished(target: Path, work: Path) -> Iterator[Path]:
    """A file that becomes `target` at the end; gone after an error. MediaError, WorkFolderFull."""
    unfinished = _unfinished_name(target, work)
    try:
        yield unfinished
        shutil.move(unfinished, target)
    except (OSError, av.FFmpegError) as exc:
        if exc.errno == errno.ENOSPC:
            raise WorkFolderFull(f"no space is left for {target.name!r}") from exc
        if isinstance(exc, av.FFmpegError):
            raise MediaError(f"{target.name!r} cannot be written: {exc.strerror}") from exc
        raise
    finally:
        unfinished.unlink(missing_ok=True)


def _unfinished_name(target: Path, work: Path) -> Path:
    return work / f"unfinished-{target.name}"


def _expect_frames(path: Path, expected: int) -> None:
    with open_footage(path) as container:
        stream = video_stream(container)
        frames = sum(1 for packet in container.demux(stream) if packet.size) if stream else 0
    if frames != expected:
        raise MediaError(f"ffmpeg made {frames} frames: expected {expected}")


def _copy(parts: Sequence[tuple[Path, Fraction]], joined: OutputContainer) -> None:
    streams: list[Any] = []
    latest: dict[int, Fraction] = {}
    past = Fraction(0)
    for path, seconds in parts:
        with open_footage(path) as part:
            streams = streams or [joined.add_stream_from_template(stream) for stream in part.streams]
            for packet in part.demux():
                if packet.dts is None or packet.pts is None:  # the mark of the end
                    continue
                index, shift = packet.stream_index, round(past / packet.time_base)
                packet.dts, packet.pts = packet.dts + shift, packet.pts + shift
                time = packet.dts * packet.time_base
                if index in latest and time <= latest[index]:  # audio that runs in lies over what ran out
                    continue
                latest[index] = time
                packet.stream = streams[index]
                joined.mux(packet)
        past += seconds
