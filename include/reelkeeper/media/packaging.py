"""Footage made ready for players: HLS and DASH playlists over one set of CMAF segments.

There is one file for each rendition, read by byte ranges: few objects, and every URL can be signed. Footage that
players take as it is (H.264, HEVC, AAC) is packed as it is; any other (MJPEG, G.711, …) is encoded.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from reelkeeper.errors import MediaError
from reelkeeper.media.command import Command, Limits
from reelkeeper.media.ladder import Footage, Made, Rendition, look, make, why_sound_is_encoded
from reelkeeper.media.packager import AUDIO, DASH, HLS, iframes_of, pack
from reelkeeper.media.playlists import segment_durations

_OUTPUT = "package"
_MAKING = 0.8  # of the time; the rest is packing
Share = Callable[[float], None]
"""Told how much of the work is done, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Packed:
    """One rendition: a CMAF file. `encoded`: its packets are not the source's."""

    name: str
    path: Path
    video_codec: str  # h264 or hevc
    encoded: bool


@dataclass(frozen=True, slots=True)
class Package:
    """What a player needs. It starts with `hls` or with `dash`; both play the same files.

    `files` are all of them, in an order in which none names a later one: write them to a store in that order. Paths in
    the playlists are relative, so the folder may lie anywhere.
    """

    hls: Path
    dash: Path
    files: tuple[Path, ...]
    renditions: tuple[Packed, ...]  # the largest first
    has_audio: bool
    why: str  # the source was encoded, in words for a person; "" where its own packets were packed
    commands: tuple[Command, ...]


def package(
    source: Path, target: Path, *, work: Path, ladder: Sequence[Rendition] = (), segment_seconds: float = 6.0,
    limits: Limits = Limits(), progress: Share | None = None,
) -> Package:  # fmt: skip
    """Pack the first video stream of `source`, and its first audio stream, into the new folder `target`.

    Without a ladder there is one rendition: the source's own. With one there are the smaller rungs, too (nothing is
    scaled up), as H.264 with key frames at the same times, so that a player can change between renditions at every
    segment; beside HEVC a rung of its own height as well, for players without HEVC. A segment starts at the first key
    frame after each multiple of `segment_seconds`. Audio is packed once.

    `work`, a folder on `target`'s file system, holds about three times the package meanwhile; `target` appears whole or
    not at all. `limits` hold for each of the two programs. InvalidFootage when no picture can be decoded; MediaError
    when `target` exists, or a program fails; what `command.run` raises.
    """
    if target.exists():
        raise MediaError(f"folder {str(target)!r} exists: expected a new one for the package")
    if segment_seconds <= 0:
        raise ValueError(f"segment_seconds is {segment_seconds}: expected a number above 0")
    footage = look(source)
    with TemporaryDirectory(dir=work, prefix="package-") as scratch:
        job = _Job(footage, Path(scratch), ladder, segment_seconds, limits, progress)
        made, why, commands = job.run()
        shutil.move(Path(scratch, _OUTPUT), target)
    has_audio = footage.audio_codec is not None
    return Package(
        hls=target / HLS,
        dash=target / DASH,
        files=tuple(target / name for name in _names(made, has_audio=has_audio)),
        renditions=tuple(Packed(one.name, target / f"{one.name}.mp4", one.video_codec, one.encoded) for one in made),
        has_audio=has_audio,
        why="; ".join(reason for reason in (why, why_sound_is_encoded(footage)) if reason),
        commands=tuple(commands),
    )


@dataclass(frozen=True, slots=True)
class _Job:
    footage: Footage
    folder: Path
    ladder: Sequence[Rendition]
    segment_seconds: float
    limits: Limits
    progress: Share | None

    def run(self) -> tuple[list[Made], str | None, list[Command]]:
        """The renditions, packed in the folder `package`, why the source's own pictures are not among them (None: they
        are), and what ran."""
        why = self.footage.why_not_played
        made, commands = self._attempt(copied=why is None)
        if why is None and not self._is_aligned(made):
            why = "its segments would not start with a picture that can be shown by itself"
            shutil.rmtree(self.folder / _OUTPUT)
            made, again = self._attempt(copied=False)
            commands += again
        return made, why, commands

    def _attempt(self, *, copied: bool) -> tuple[list[Made], list[Command]]:
        made, sound, making = make(
            self.footage, self.folder, self.ladder, copied=copied, segment_seconds=self.segment_seconds,
            limits=self.limits, progress=self._tell_making,
        )  # fmt: skip
        self._tell(_MAKING)
        packing = pack(made, sound, self.folder, _OUTPUT, segment_seconds=self.segment_seconds, limits=self.limits)
        self._tell(1.0)
        return made, [making, packing]

    def _is_aligned(self, made: Sequence[Made]) -> bool:
        """Whether the segments of all renditions that a player may change between start at the same times.

        They do not where a picture that is shown before a key frame comes after it in the file, or where the source
        marks pictures as key frames that a decoder does not take for such. Players do not change between codecs.
        """
        playlists = [self.folder / _OUTPUT / f"{one.name}.m3u8" for one in made if one.video_codec == "h264"]
        return len({segment_durations(playlist.read_text(encoding="utf-8")) for playlist in playlists}) <= 1

    def _tell_making(self, seconds: float) -> None:
        if self.footage.seconds:
            self._tell(min(seconds / self.footage.seconds, 1.0) * _MAKING)

    def _tell(self, share: float) -> None:
        if self.progress:
            self.progress(share)


def _names(made: Sequence[Made], *, has_audio: bool) -> Iterator[str]:
    tracks = [*(one.name for one in made), *([AUDIO] if has_audio else [])]
    yield from (f"{track}.mp4" for track in tracks)
    yield from (f"{track}.m3u8" for track in tracks)
    yield from (iframes_of(one) for one in made)
    yield from (HLS, DASH)
