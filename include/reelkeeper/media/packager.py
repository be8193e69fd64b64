"""Shaka Packager: CMAF files with one set of segments, and the HLS and DASH playlists over them."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from reelkeeper.errors import MediaError, MediaTimeout, WorkFolderFull
from reelkeeper.media import launch
from reelkeeper.media.binaries import program
from reelkeeper.media.command import Command, Limits
from reelkeeper.media.ladder import Made

HLS, DASH, AUDIO = "hls.m3u8", "dash.mpd", "audio"
_LAST_LINES = 12
_CANNOT_WRITE = "(FILE_FAILURE)"  # its own code; it ends with the same number whatever went wrong


def pack(
    renditions: Sequence[Made], sound: Path | None, folder: Path, output: str, *, segment_seconds: float, limits: Limits
) -> Command:
    """Write `hls.m3u8`, `dash.mpd` and, for each rendition and for the sound, an MP4 file and its HLS playlists.

    They lie in the new folder `folder / output`. The inputs lie in `folder`; no name of them may hold a comma or an
    equals sign, which separate the packager's fields. MediaError with its last words; MediaTimeout; WorkFolderFull.
    """
    (folder / output).mkdir()
    arguments = [
        *_descriptors(renditions, sound, output),
        "--segment_duration", f"{segment_seconds:g}",
        "--hls_master_playlist_output", f"{output}/{HLS}", "--mpd_output", f"{output}/{DASH}",
        "--per_playlist_target_duration",  # as the standard has it, not the longest of all playlists
        "--use_fake_clock_for_muxer",  # no creation times: the same footage makes the same bytes
        "--io_cache_size", f"{1 << 20}",  # of each file: 32 times less than usual, and quicker by that
        "--single_threaded",  # else the numbers in the manifest are given out by chance
        "--temp_dir", ".", "--quiet",
    ]  # fmt: skip
    started = time.monotonic()
    _run(arguments, folder, limits)
    if sound:
        _play_sound_by_default(folder / output / HLS)
    return Command(("packager", *arguments), time.monotonic() - started)


def iframes_of(made: Made) -> str:
    """The name of the playlist of a rendition's key frames alone, for winding fast."""
    return f"{made.name}_iframes.m3u8"


def _descriptors(renditions: Sequence[Made], sound: Path | None, output: str) -> Iterator[str]:
    for made in renditions:
        yield (
            f"in={made.path.name},stream=video,output={output}/{made.name}.mp4,"
            f"playlist_name={made.name}.m3u8,iframe_playlist_name={iframes_of(made)}"
        )
    if sound:
        yield (
            f"in={sound.name},stream=audio,output={output}/{AUDIO}.mp4,playlist_name={AUDIO}.m3u8,"
            f"hls_group_id={AUDIO},hls_name={AUDIO}"
        )


def _play_sound_by_default(playlist: Path) -> None:
    """The packager makes a track the default one by its language alone, and nobody knows the language of a camera."""
    text, default = playlist.read_text(encoding="utf-8"), "DEFAULT=NO,AUTOSELECT=YES"
    if text.count(default) != 1:
        raise MediaError(f"playlist {playlist.name!r} has {text.count(default)} tracks of sound: expected 1")
    playlist.write_text(text.replace(default, "DEFAULT=YES,AUTOSELECT=YES"), encoding="utf-8")


def _run(arguments: list[str], folder: Path, limits: Limits) -> None:
    launcher = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(limits.bytes)]
    with subprocess.Popen(
        [*launcher, str(program("packager")), *arguments], cwd=folder,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            said = process.communicate(timeout=limits.seconds)[1].decode(errors="replace")
        except subprocess.TimeoutExpired as exc:
            raise MediaTimeout(f"packager was not done after {limits.seconds:g} s: expected it to be") from exc
        finally:
            process.kill()
    if process.returncode:
        last_words = "\n".join(said.splitlines()[-_LAST_LINES:])
        if _CANNOT_WRITE in last_words:
            raise WorkFolderFull(f"packager cannot write, as when no space is left: {last_words}")
        how = f"was killed by signal {-process.returncode}" if process.returncode < 0 else "failed"
        raise MediaError(f"packager {how}: {last_words}")
