"""Time without a picture is told, closed up or filled wherever it lies, and never where another file has a picture."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from demo.video import read_counter
from reelkeeper.errors import NoFootage
from reelkeeper.media.command import Limits
from reelkeeper.media.cutting import Cut, Piece, cut
from reelkeeper.media.encoding import encode
from reelkeeper.media.holes import holes
from reelkeeper.model import TimeRange

pytestmark = pytest.mark.encodes

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
B_FRAMES = ("-preset", "veryfast", "-bf", "2")
BOTH = pytest.mark.parametrize("how", [cut, encode])


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def span(start: float, end: float) -> TimeRange:
    return TimeRange(after(start), after(end))


@pytest.fixture
def camera(footage: Any) -> Callable[..., Piece]:
    """A segment that lasts `ends - begin` seconds by the catalogue, and whose camera was away in between. The counter
    of a frame says how many tenths of a second it lies after START."""

    def make(begin: float, *seen: tuple[float, float], ends: float, suffix: str = "mp4") -> Piece:
        kept = "+".join(f"between(n,{round((a - begin) * 10)},{round((b - begin) * 10) - 1})" for a, b in seen)
        name = f"holes-{begin}-{seen}.{suffix}".replace(" ", "")
        options = (*B_FRAMES, "-vf", f"select='{kept}'", "-fps_mode", "passthrough")
        seconds = seen[-1][1] - begin
        path = footage.make(name, seconds=seconds, frame_rate=10, first_frame=round(begin * 10), options=options)
        return Piece(path, span(begin, ends))

    return make


def make(pieces: Sequence[Piece], wanted: TimeRange, target: Path, how: Any = cut, **more: Any) -> Cut:
    made: Cut = how(pieces, wanted, target, work=target.parent, limits=Limits(seconds=60), **more)
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    return made


def shown(path: Path) -> list[tuple[int, float]]:
    with av.open(str(path)) as container:
        frames: Iterator[Any] = container.decode(video=0)
        return [(read_counter(frame.to_ndarray(format="gray")), float(frame.time)) for frame in frames]


def tenths(*seen: tuple[float, float]) -> list[int]:
    return [number for start, end in seen for number in range(round(start * 10), round(end * 10))]


@BOTH
@pytest.mark.parametrize("gaps", ["join", "keep", "black"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_hole_within_a_segment(camera: Any, tmp_path: Path, how: Any, gaps: Any, suffix: str) -> None:
    piece = camera(0, (0, 3.5), (6.2, 8), ends=8, suffix=suffix)
    made = make([piece], span(0.45, 7.5), tmp_path / "clip.mp4", how, gaps=gaps)
    assert made.gaps == (span(3.5, 6.2),)
    assert (made.first_frame, made.last_frame) == (after(0.5), after(7.4))
    if how is cut and suffix != "ts":  # a seek into a hole of a transport stream ends anywhere
        assert made.method == "smart", made.why
    seen = shown(made.path)
    pictures = [(number, time) for number, time in seen if number]
    assert [number for number, _ in pictures] == tenths((0.5, 3.5), (6.2, 7.5))
    assert (len(seen) > len(pictures)) == (gaps == "black")
    if gaps == "join":
        places = [place / 10 for place in range(len(seen))]
    else:
        places = [number / 10 - 0.45 for number, _ in pictures]
    assert [time for _, time in pictures] == pytest.approx(places, abs=0.001)
    with av.open(str(made.path)) as container:
        video: Any = container.streams.video[0]
        assert float(video.duration * video.time_base) == pytest.approx(places[-1] - places[0] + 0.1, abs=0.002)


@BOTH
def test_a_range_that_begins_or_ends_in_a_hole(camera: Any, tmp_path: Path, how: Any) -> None:
    piece = camera(0, (0, 3.5), (6.2, 8), ends=8)
    made = make([piece], span(4.7, 7), tmp_path / "clip.mp4", how)
    assert (made.gaps, made.first_frame) == ((span(4.7, 6.2),), after(6.2))
    made = make([piece], span(2, 5), tmp_path / "clip.mp4", how)
    assert (made.gaps, made.last_frame) == ((span(3.5, 5),), after(3.4))
    with pytest.raises(NoFootage):
        make([piece], span(4, 6), tmp_path / "clip.mp4", how)


@BOTH
def test_a_file_that_cannot_be_decoded_from_its_beginning(footage: Any, tmp_path: Path, how: Any) -> None:
    whole = footage.make("whole.ts", seconds=5.0, options=(*B_FRAMES, "-g", "20")).read_bytes()
    torn = tmp_path / "torn" / "torn.ts"
    torn.parent.mkdir()
    third_packet, middle = 3 * 188, len(whole) // 188 // 10 * 188
    torn.write_bytes(whole[:third_packet] + whole[middle:])
    target = tmp_path / "out" / "clip.mp4"
    target.parent.mkdir()
    made = make([Piece(torn, span(0, 4.5))], span(0, 3), target, how)
    late = (made.first_frame - START).total_seconds()
    assert late > 1
    assert shown(made.path)[0][0] == 20, "the next picture where decoding starts"
    assert made.gaps == (TimeRange(START, made.first_frame),)


@BOTH
def test_what_another_file_shows_is_no_gap(camera: Any, tmp_path: Path, how: Any) -> None:
    """A segment within another one's range, which has a hole there, or ends early."""
    inner = camera(2.5, (2.5, 5.5), ends=5.5)
    holed = camera(0, (0, 3), (6, 8), ends=8)
    short = camera(0, (0, 2), ends=8)
    for outer, first, gaps in ((holed, 3.0, ((5.5, 6.0),)), (short, 2.5, ((2.0, 2.5), (5.5, 8.0)))):
        made = make([inner, outer], span(0.15, 8), tmp_path / "clip.mp4", how, gaps="keep")
        assert made.gaps == tuple(span(*gap) for gap in gaps)
        parts = [(0.2, min(first, 3.0 if outer is holed else 2.0)), (first, 5.5), *([(6, 8)] if outer is holed else [])]
        seen = shown(made.path)
        assert [number for number, _ in seen] == tenths(*parts)
        assert [time for _, time in seen] == pytest.approx([number / 10 - 0.15 for number, _ in seen], abs=0.001)
        assert made.overlaps == ((span(2.5, 3.0),) if outer is holed else ())


def test_a_later_segment_with_a_hole_gives_way(camera: Any, tmp_path: Path) -> None:
    """The earlier one still lasts, and shows what the later one, which takes over, does not."""
    pieces = [camera(0, (0, 5), ends=5), camera(2, (2, 2.5), (4.5, 7), ends=7)]
    made = make(pieces, span(0, 7), tmp_path / "clip.mp4")
    assert made.gaps == ()
    assert [number for number, _ in shown(made.path)] == tenths((0, 7))


def test_what_cannot_be_decoded_is_a_hole(camera: Any, tmp_path: Path) -> None:
    """And where another file shows it, it is none."""
    whole = camera(0, (0, 6), ends=6)
    data = bytearray(whole.path.read_bytes())
    with av.open(str(whole.path)) as container:
        packets: Iterator[Any] = container.demux(video=0)
        for packet in packets:
            if packet.size and 2 <= round(float(packet.pts * packet.time_base), 3) < 4:
                data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    damaged = Piece(tmp_path / "damaged" / "damaged.mp4", whole.range)
    damaged.path.parent.mkdir()
    damaged.path.write_bytes(data)
    target = tmp_path / "out" / "clip.mp4"
    target.parent.mkdir()
    for gaps, offset in (("join", 2.0), ("keep", 0.0)):
        made = make([damaged], span(0.5, 6), target, encode, gaps=gaps)
        assert made.gaps == (span(2, 4),)
        seen = shown(made.path)
        assert [number for number, _ in seen] == tenths((0.5, 2), (4, 6))
        assert seen[-1][1] == pytest.approx(5.4 - offset, abs=0.001)
    made = make([damaged, camera(1, (1, 4.5), ends=4.5)], span(0.5, 6), target, encode)
    assert made.gaps == ()
    assert [number for number, _ in shown(made.path)] == tenths((0.5, 6))


def test_what_is_a_hole() -> None:
    def found(*times: float) -> list[tuple[float, float]]:
        ticks = [round(time * 1000) for time in times]
        return [(hole.start / 1000, hole.end / 1000) for hole in holes(ticks, Fraction(1, 1000), Fraction(1, 10))]

    tenth = [number / 10 for number in range(20)]
    assert found() == found(3.0) == found(*tenth) == []
    assert found(*tenth, 2.9) == []
    assert found(*tenth, 3.0) == [(2.0, 3.0)]
    assert found(*tenth, *range(4, 100, 2)) == [], "from here on a frame every other second"
    assert found(*range(0, 20, 2), 30, 32) == [(20.0, 30.0)]
    assert found(0.0, 5.0) == [(0.1, 5.0)]
