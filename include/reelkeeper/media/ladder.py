"""Renditions of footage for players: the footage itself where players take it, and smaller ones beside it.

A player changes between renditions at key frames that all of them have at the same times. Where the largest one is the
footage itself, its key frames are given, and the others follow it; where all are encoded, they are set by the clock.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import av
import ffmpeg

from reelkeeper.errors import InvalidFootage
from reelkeeper.media.command import Command, Limits, Seconds, file_url, run
from reelkeeper.media.probe import open_footage, video_stream

_PLAYED_PIXELS = {"h264": {"yuv420p", "yuvj420p"}, "hevc": {"yuv420p", "yuvj420p", "yuv420p10le"}}
"""What players decode, by codec: not 4:2:2, 4:4:4 or H.264 of 10 bits."""
_PLAYED_AUDIO = {"aac"}
_KEY_FRAME_SECONDS = 2.0  # between key frames by the clock, at most: how finely a player can seek
_NO_LIMIT = 1 << 30  # frames between key frames that nobody asked for


@dataclass(frozen=True, slots=True)
class Rendition:
    """One rung of a ladder: the picture's height in pixels, and the bits per second it may take (None: any)."""

    height: int
    bits_per_second: int | None = None

    def __post_init__(self) -> None:
        if self.height < 2 or self.height % 2:
            raise ValueError(f"height of a rendition is {self.height} pixels: expected an even number above 0")
        if self.bits_per_second is not None and self.bits_per_second <= 0:
            raise ValueError(f"bits_per_second of a rendition is {self.bits_per_second}: expected a number above 0")


LADDER = (
    Rendition(1080, 5_000_000), Rendition(720, 2_800_000), Rendition(480, 1_400_000), Rendition(360, 800_000),
)  # fmt: skip
"""The usual one, for those who ask for a ladder and for no certain one."""


@dataclass(frozen=True, slots=True)
class Footage:
    """What matters of a file for its packaging."""

    path: Path
    video_codec: str
    audio_codec: str | None
    height: int  # pixels, as shown: upright
    seconds: float | None
    why_not_played: str | None  # why players do not take its pictures as they are; None: they do


@dataclass(frozen=True, slots=True)
class Made:
    """A rendition in an MP4 file of its own. `encoded`: its packets are not the footage's."""

    name: str
    path: Path
    video_codec: str  # h264 or hevc
    encoded: bool


def look(path: Path) -> Footage:
    """InvalidFootage `no_video` or `no_picture` when there is no picture that can be decoded."""
    try:
        with open_footage(path) as container:
            stream = video_stream(container)
            if stream is None:
                raise InvalidFootage("file has no video stream: expected one", code="no_video")
            frame = next(container.decode(stream), None)
            if frame is None:
                raise InvalidFootage("no frame of the footage can be decoded: expected one", code="no_picture")
            audio = container.streams.audio
            return Footage(
                path=path,
                video_codec=stream.codec_context.name,
                audio_codec=audio[0].codec_context.name if audio else None,
                height=frame.width if frame.rotation % 180 else frame.height,
                seconds=container.duration / 1_000_000 if container.duration else None,
                why_not_played=_why_not_played(stream.codec_context.name, frame.format.name, frame.rotation),
            )
    except av.FFmpegError as exc:
        raise InvalidFootage(
            f"footage cannot be decoded ({exc.strerror}): expected a picture", code="no_picture"
        ) from exc


def _why_not_played(codec: str, pixels: str, rotation: int) -> str | None:
    if codec not in _PLAYED_PIXELS:
        return f"players do not take {codec}"
    if pixels not in _PLAYED_PIXELS[codec]:
        return f"players do not take {codec} with pixels of {pixels}"
    return "its pictures lie on their side" if rotation else None


def why_sound_is_encoded(footage: Footage) -> str | None:
    """None: it is not, or there is none."""
    codec = footage.audio_codec
    return None if codec is None or codec in _PLAYED_AUDIO else f"players do not take sound in {codec}"


def make(
    footage: Footage, folder: Path, ladder: Sequence[Rendition], *, copied: bool, segment_seconds: float,
    limits: Limits, progress: Seconds | None,
) -> tuple[list[Made], Path | None, Command]:  # fmt: skip
    """Write the renditions, the largest first, and the sound, as MP4 files in `folder`, in one run of ffmpeg.

    `copied`: the largest is the footage's own packets. Returns the renditions, the file of the sound (None: there is
    none) and what ran.
    """
    whole = ffmpeg.input(file_url(footage.path))
    made, outputs = [], []
    key_frames = "source" if copied else _by_the_clock(segment_seconds)
    for rung, is_copied in _renditions(footage, ladder, copied=copied):
        codec = footage.video_codec if is_copied else "h264"
        name = f"{codec}_{rung.height}p"
        one = Made(name, folder / f"{name}.mp4", codec, encoded=not is_copied)
        options = _copying(codec) if is_copied else _encoding(rung, footage, key_frames)
        made.append(one)
        outputs.append(_output(whole["V:0"], one.path, options))
    sound = folder / "sound.mp4" if footage.audio_codec else None
    if sound:
        is_played = why_sound_is_encoded(footage) is None
        outputs.append(_output(whole["a:0"], sound, {"c:a": "copy"} if is_played else {"c:a": "aac", "b:a": "128k"}))
    command = run(ffmpeg.merge_outputs(*outputs).overwrite_output(), limits=limits, progress=progress)
    return made, sound, command


def _renditions(footage: Footage, ladder: Sequence[Rendition], *, copied: bool) -> Iterator[tuple[Rendition, bool]]:
    """Each with whether it is the footage's own packets; never larger than the footage."""
    own_height = footage.height - footage.height % 2
    asked = {rung.height: rung for rung in ladder}
    own = asked.get(own_height, Rendition(own_height))
    yield own, copied
    for rung in sorted(ladder, key=lambda rung: -rung.height):
        if rung.height < own_height or (rung is own and copied and footage.video_codec != "h264"):
            yield rung, False


def _by_the_clock(segment_seconds: float) -> str:
    """A key frame at every segment's start, and between them at equal distances."""
    every = segment_seconds / ceil(segment_seconds / _KEY_FRAME_SECONDS)
    return f"expr:gte(t,n_forced*{every:.6f})"


def _copying(codec: str) -> dict[str, Any]:
    return {"c:v": "copy", **({"tag:v": "hvc1"} if codec == "hevc" else {})}


def _encoding(rung: Rendition, footage: Footage, key_frames: str) -> dict[str, Any]:
    is_smaller = rung.height < footage.height - 1
    # Width is rounded to an even number; of an odd height the last line is cut off.
    size = (
        f"scale=-2:{rung.height}:out_range=tv" if is_smaller else "crop=trunc(iw/2)*2:trunc(ih/2)*2,scale=out_range=tv"
    )
    rate = rung.bits_per_second
    return {
        "c:v": "libx264", "preset": "veryfast", "profile:v": "high", "crf": 23, "vf": f"{size},format=yuv420p",
        **({"maxrate": rate, "bufsize": rate * 2} if rate else {}),
        "g": _NO_LIMIT, "sc_threshold": 0, "force_key_frames": key_frames,
        "fps_mode": "vfr",  # the frames' own times: none is made up, none left out
    }  # fmt: skip


def _output(stream: Any, path: Path, options: dict[str, Any]) -> Any:
    return ffmpeg.output(stream, file_url(path), map_metadata=-1, map_chapters=-1, fflags="+bitexact", **options)
