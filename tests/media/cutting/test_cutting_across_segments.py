"""A clip of several segments: their joints, the time between them, and what differs from one to the next."""

from typing import Any

import av
import pytest

from reelkeeper.media.cutting import Piece
from tests.media.cutting.clips import RATE, THREE, expected, shown, span, three

pytestmark = pytest.mark.encodes


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
