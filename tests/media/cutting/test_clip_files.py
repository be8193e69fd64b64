"""What a clip is as a file, and how it is encoded anew: burned in, within limits, on a full disk, after a kill."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import pytest

from demo.video import read_counter
from reelkeeper.errors import InvalidFootage, MediaError, MediaTimeout, WorkFolderFull
from reelkeeper.media.command import Limits
from reelkeeper.media.cutting import Piece, cut
from reelkeeper.media.encoding import encode
from reelkeeper.media.overlay import Overlay
from tests.media.cutting.clips import LIMITS, RATE, THREE, after, expected, shown, span, three

pytestmark = pytest.mark.encodes


@pytest.mark.parametrize("height", [None, 60, 480])
def test_encoding_keeps_every_frame_and_never_enlarges(camera: Any, make: Any, height: int | None) -> None:
    for gaps in ("join", "keep"):
        made = make(three(camera, audio=True), 0.45, 6.55, how=encode, height=height, gaps=gaps)
        assert (made.method, made.width, made.height) == ("encoded", *((80, 60) if height == 60 else (160, 120)))
        seen = shown(made.path)
        assert seen.sound
        if height != 60:  # too small for the counter to be read
            assert seen.counters == expected(0.45, 6.55, of=THREE)
        places = range(made.frames) if gaps == "join" else [number - 4.5 for number in expected(0.45, 6.55, of=THREE)]
        assert seen.times == pytest.approx([place / RATE for place in places], abs=0.001)


def test_what_is_burned_in_leaves_the_rest_alone(camera: Any, make: Any) -> None:
    made = make(three(camera), 0.45, 6.55, how=encode, overlay=Overlay(clock=True, name="gate"))
    assert shown(made.path).counters == expected(0.45, 6.55, of=THREE)
    assert made.why == "asked for with something burned in"


def test_black_has_the_time_burned_in_too(camera: Any, make: Any) -> None:
    made = make(three(camera), -1.5, 8.0, how=encode, overlay=Overlay(clock=True), gaps="black")
    with av.open(str(made.path)) as container:
        pictures = [
            (round(float(frame.time) - 1.5, 2), frame.to_ndarray(format="gray")) for frame in container.decode(video=0)
        ]
    black = [picture for time, picture in pictures if 4 <= time < 5]
    assert len(black) == 5
    assert all((picture[:100] < 20).all() and (picture[100:] > 150).any() for picture in black)
    assert [read_counter(picture) for time, picture in pictures if 5 <= time < 7] == list(range(50, 70))


def test_nothing_is_told_of_the_source(footage: Any, make: Any, tmp_path: Path) -> None:
    secret = ("-metadata", "title=secret", "-metadata:s:v", "language=fra", "-metadata", "comment=secret",
              "-metadata", "creation_time=2020-01-01T00:00:00Z", "-metadata", "location=+52.5+013.4/")  # fmt: skip
    piece = Piece(footage.make("told.mp4", seconds=3.0, audio=True, options=secret), span(0, 3))
    for how in (cut, encode):
        made = make([piece], 0.55, 2.5, how=how)
        assert b"secret" not in made.path.read_bytes()
        with av.open(str(made.path)) as container:
            told = {**container.metadata, **container.streams.video[0].metadata, **container.streams.audio[0].metadata}
        assert set(told) <= {"major_brand", "minor_version", "compatible_brands", "language", "handler_name"}
        assert told["language"] == "und"
        made.path.unlink()


def test_ffmpegs_last_words_are_not_told(camera: Any, make: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """Why a clip was encoded stands in the manifest; what ffmpeg said names folders of this machine."""
    monkeypatch.setattr("reelkeeper.media.spans._EDGE_QUALITY", {"h264": "none"})
    made = make([camera()], 0.45, 2.5)
    assert made.method == "encoded"
    assert made.why.startswith("edges could not be encoded as ")
    assert str(tmp_path) not in made.why
    assert "ffmpeg" not in made.why


def test_the_same_cut_is_the_same_file(camera: Any, make: Any) -> None:
    pieces = three(camera, audio=True)
    first = make(pieces, 0.45, 6.55).path.read_bytes()
    assert make(pieces, 0.45, 6.55).path.read_bytes() == first


NAME = "a b';$(touch x) `id` |&\"%03d ä\n.mp4"


def test_names_mean_nothing(camera: Any, make: Any, tmp_path: Path) -> None:
    odd = tmp_path / "in" / NAME
    odd.parent.mkdir()
    odd.write_bytes(camera().path.read_bytes())
    made = make([Piece(odd, span(0, 4))], 0.55, 3.25, f"out{NAME}")
    assert shown(made.path).counters == expected(0.55, 3.25, of=range(40))
    made = make(
        [Piece(odd, span(0, 4))], 0.55, 3.25, f"out{NAME}", how=encode, overlay=Overlay(name=NAME, watermark=NAME)
    )
    assert made.frames == 27


def test_limits(camera: Any, tmp_path: Path) -> None:
    pieces, target = three(camera), tmp_path / "clip.mp4"
    for how in (cut, encode):
        with pytest.raises(MediaTimeout, match="was not done after"):
            how(pieces, span(0.45, 6.55), target, work=tmp_path, limits=Limits(seconds=0.0))
        with pytest.raises(MediaError, match="more than 100 bytes"):
            how(pieces, span(0.45, 6.55), target, work=tmp_path, limits=Limits(bytes=100))
    assert not list(tmp_path.iterdir())


def test_no_footage_at_all(tmp_path: Path, camera: Any) -> None:
    broken = tmp_path / "x.mp4"
    broken.write_bytes(b"no video")
    with pytest.raises(InvalidFootage, match="cannot be read"):
        cut([Piece(broken, span(0, 4))], span(0, 1), tmp_path / "y.mp4", work=tmp_path, limits=LIMITS)
    damaged = bytearray(camera().path.read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + 200] = bytes(200)
    (tmp_path / "d.mp4").write_bytes(damaged)
    made = cut(
        [Piece(tmp_path / "d.mp4", span(0, 4))], span(0.55, 3.25), tmp_path / "y.mp4", work=tmp_path, limits=LIMITS
    )
    assert made.frames >= 20


def test_a_disk_that_is_really_full(camera: Any, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        for how, suffix in ((cut, "mp4"), (encode, "mkv")):
            with pytest.raises(WorkFolderFull, match="no space is left"):
                how(three(camera), span(0.45, 6.55), disk / f"clip.{suffix}", work=tmp_path, limits=LIMITS)
            assert not list(disk.iterdir())
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_cut_that_was_killed_is_made_again(camera: Any, make: Any, tmp_path: Path) -> None:
    """What kill -9 leaves is in the way of nothing, and is not taken for a clip."""
    pieces = three(camera)
    script = (
        "import os, sys\n"
        "from datetime import datetime\n"
        "from pathlib import Path\n"
        "from reelkeeper.media import cutting\n"
        "from reelkeeper.media.command import Limits\n"
        "from reelkeeper.model import TimeRange\n"
        "def die(*_): os.kill(os.getpid(), 9)\n"
        "cutting.check = die\n"
        "moment = datetime.fromisoformat\n"
        "three = zip(*[iter(sys.argv[5:])] * 3)\n"
        "pieces = [cutting.Piece(Path(path), TimeRange(moment(a), moment(b))) for path, a, b in three]\n"
        "wanted = TimeRange(moment(sys.argv[3]), moment(sys.argv[4]))\n"
        "cutting.cut(pieces, wanted, Path(sys.argv[1]), work=Path(sys.argv[2]), limits=Limits())\n"
    )
    work = tmp_path / "work"
    work.mkdir()
    named = [str(part) for piece in pieces for part in (piece.path, piece.range.start, piece.range.end)]
    arguments = [str(tmp_path / "clip.mp4"), str(work), str(after(0.45)), str(after(6.55)), *named]
    killed = subprocess.run([sys.executable, "-c", script, *arguments], check=False)
    assert killed.returncode == -9
    assert not (tmp_path / "clip.mp4").exists()
    assert list(work.iterdir())
    made = make(pieces, 0.45, 6.55)
    assert shown(made.path).counters == expected(0.45, 6.55, of=THREE)
