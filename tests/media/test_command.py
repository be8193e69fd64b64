"""ffmpeg reads and writes what it was given and nothing else, within its limits, and does not outlive who asked."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import ffmpeg
import pytest

from reelkeeper.errors import MediaError, MediaTimeout, WorkFolderFull
from reelkeeper.media.command import Limits, file_url, run

pytestmark = pytest.mark.encodes

LIMITS = Limits(seconds=30)
TEST_PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=160x120:r=10:d=3")
ENDLESS = ("-f", "lavfi", "-i", "testsrc2=s=640x480:r=100:d=100000")


def test_it_runs_and_tells_how_far_it_is(tmp_path: Path) -> None:
    target = tmp_path / "a';$(touch x) |b %03d.mp4"
    heard: list[float] = []
    stream = ffmpeg.input("testsrc2=s=160x120:r=10:d=3", f="lavfi").filter("scale", 80, -2)
    done = run(stream.output(file_url(target), vcodec="libx264"), limits=LIMITS, progress=heard.append)
    assert heard
    assert heard[-1] == pytest.approx(3.0, abs=0.3)
    assert (done.arguments[0], done.arguments[-1]) == ("ffmpeg", f"file:{target}")
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_it_is_fed(tmp_path: Path) -> None:
    frame = bytes(160 * 120 * 3 // 2)
    raw = ("-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "160x120", "-r", "10", "-i", "pipe:0")
    run([*raw, file_url(tmp_path / "x.mp4")], limits=LIMITS, stdin=(frame for _ in range(300)))
    assert (tmp_path / "x.mp4").stat().st_size

    def broken() -> Iterator[bytes]:
        yield frame
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run([*raw, file_url(tmp_path / "y.mp4")], limits=LIMITS, stdin=broken())
    with pytest.raises(MediaError, match="ended with exit code"):  # it ends before it was fed
        run([*raw, file_url(tmp_path / "no" / "y.mp4")], limits=LIMITS, stdin=(frame for _ in range(10_000)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-i", "http://x/y", "file:z.mp4"), "input 'http://x/y' is not given"),
        (("-i", "concat:a|b", "file:z.mp4"), "input 'concat:a|b'"),
        (("-i", "file:x", "tcp://x"), "output 'tcp://x'"),
        (("-i", "file:x", "z.mp4"), "output 'z.mp4'"),
        (("-f", "lavfi", "-i", "movie=/etc/passwd", "file:z.mp4"), "filter 'movie'"),
        (("-f", "lavfi", "-i", "color=red", "-i", "movie=x", "file:z.mp4"), "input 'movie=x'"),
        (("-i", "file:x", "-vf", "scale=80:-2,subtitles=x", "file:z.mp4"), "filter 'subtitles'"),
        (("-i", "file:x", "-filter_complex", "[0]scale=w='a,b';[1]amovie@m=x[o]", "file:z.mp4"), "filter 'amovie'"),
        (("-i", "file:x", "-x264-params", "crf=3:stats=x", "file:z.mp4"), "key of 'x264-params' 'stats'"),
        (("-i", "file:x", "-attach", "/etc/passwd", "file:z.mkv"), "option '-attach'"),
        (("-i", "file:x", "-f", "tee", "file:z"), "format 'tee'"),
        (("-i", "file:x", "file:z.mp4", "-ss"), "option '-ss' has no value"),
    ],
)
def test_arguments_that_are_not_on_the_list(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(MediaError) as error:
        run(arguments, limits=LIMITS)
    assert message in str(error.value)


def test_what_is_there_is_not_taken_for_a_result(tmp_path: Path) -> None:
    """Without `-y` ffmpeg asks, nobody answers, and the old file stays: with some versions that is a success."""
    old = tmp_path / "x.mp4"
    old.write_bytes(b"old")
    for outputs in ([old], [tmp_path / "new.mp4", old]):
        with pytest.raises(MediaError, match=r"file 'x\.mp4' exists: expected none where ffmpeg is to write"):
            run([*TEST_PICTURE, *map(file_url, outputs)], limits=LIMITS)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x.mp4": b"old"}
    run([*TEST_PICTURE, "-y", file_url(old)], limits=LIMITS)
    run(["-i", file_url(old), "-c", "copy", file_url(tmp_path / "y.mp4")], limits=LIMITS)  # an input may be there
    assert (tmp_path / "y.mp4").stat().st_size > 3


def test_a_playlist_opens_nothing_else(tmp_path: Path) -> None:
    """What calls itself footage and names an address is not followed."""
    (tmp_path / "x.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1:9/a.ts\n")
    with pytest.raises(MediaError, match="ended with exit code"):
        run(["-i", file_url(tmp_path / "x.mp4"), file_url(tmp_path / "y.mp4")], limits=LIMITS)


def test_limits(tmp_path: Path) -> None:
    with pytest.raises(MediaTimeout, match=r"was not done after 0\.3 s"):
        run([*ENDLESS, file_url(tmp_path / "x.mp4")], limits=Limits(seconds=0.3))
    with pytest.raises(MediaError, match="more than 100000 bytes"):
        run([*ENDLESS, "-c:v", "rawvideo", file_url(tmp_path / "x.mkv")], limits=Limits(bytes=100_000))
    with pytest.raises(WorkFolderFull, match="no space is left"):
        run([*TEST_PICTURE, "-f", "matroska", "-y", "file:/dev/full"], limits=LIMITS)


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    """Killed by -9, the parent cannot clean up: the system does."""
    script = (
        "import sys; from pathlib import Path\n"
        "from reelkeeper.media.command import Limits, run\n"
        "run(sys.argv[1:], limits=Limits(), progress=lambda _: print('on', flush=True))\n"
    )
    target = tmp_path / "endless.mkv"
    arguments = [*ENDLESS, "-c:v", "rawvideo", "-f", "matroska", file_url(target)]
    with subprocess.Popen([sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == b"on\n"
        children = running(str(target))
        assert len(children) == 2, "the parent and ffmpeg"
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    until = time.monotonic() + 5
    while running(str(target)) and time.monotonic() < until:
        time.sleep(0.02)
    assert running(str(target)) == []


def running(name: str) -> list[int]:
    """The processes that were given a name as an argument."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                if name in (folder / "cmdline").read_text(errors="replace"):
                    found.append(int(folder.name))
            except OSError:
                continue
    return found
