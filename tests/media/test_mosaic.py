"""Cameras stand side by side on one clock: what is shown together happened together, and what is missing is black."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from demo.video import read_counter
from reelkeeper.errors import MediaError
from reelkeeper.media.command import Limits
from reelkeeper.media.composing import Composed, Tile, dark
from reelkeeper.media.cutting import cut
from reelkeeper.media.encoding import encode
from reelkeeper.media.mosaic import grid, mosaic
from reelkeeper.media.overlay import Overlay
from reelkeeper.media.pieces import Cut, Piece
from reelkeeper.media.sequence import sequence
from reelkeeper.model import TimeRange

pytestmark = pytest.mark.encodes

START = datetime(2026, 11, 21, 23, 59, 58, tzinfo=UTC)
LIMITS = Limits(seconds=60)
BLACK = 17


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def a_cut(path: Path, first: float, last: float, *gaps: tuple[float, float]) -> Cut:
    ranges = tuple(TimeRange(after(start), after(end)) for start, end in gaps)
    return Cut(path, "h264", 160, 90, 1, after(first), after(last), ranges, (), "copied", "", ())


@pytest.fixture
def camera(footage: Any) -> Callable[..., Tile]:
    """A camera whose frame counter says how many of its frames lie between START and the frame."""

    def make(
        name: str, *, begin: float = 0.0, end: float = 4.0, rate: int = 10, height: int = 90, audio: bool = False,
        gap: tuple[float, float] | None = None, suffix: str = "mp4",
    ) -> Tile:  # fmt: skip
        options: tuple[str, ...] = ()
        if gap:
            skipped = f"gte(t,{gap[0] - begin - 0.01})*lt(t,{gap[1] - begin - 0.01})"
            options = ("-vf", f"select='not({skipped})'", "-fps_mode", "passthrough")
        file = f"camera-{begin}-{end}-{rate}-{height}-{audio}-{gap}.{suffix}".replace(" ", "")
        path = footage.make(
            file, seconds=end - begin, frame_rate=rate, height=height, audio=audio, first_frame=round(begin * rate),
            options=options,
        )  # fmt: skip
        edges = [] if begin == 0 else [(0.0, begin)]
        return Tile(name, a_cut(path, begin, end - 1 / rate, *edges, *([gap] if gap else [])))

    return make


def luma(path: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]


def heard_in(path: Path) -> NDArray[np.float32]:
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray().mean(axis=0) for frame in container.decode(audio=0)])


def tile_of(picture: NDArray[np.uint8], number: int, columns: int, width: int = 160, height: int = 90) -> Any:
    row, column = divmod(number, columns)
    return picture[row * height : (row + 1) * height, column * width : (column + 1) * width]


def make(tiles: list[Tile], tmp_path: Path, seconds: float = 4.0, suffix: str = "mp4", **more: Any) -> Composed:
    more = {"size": (320, 180), **more}
    wanted = TimeRange(START, after(seconds))
    return mosaic(tiles, wanted, tmp_path / f"mosaic.{suffix}", work=tmp_path, limits=LIMITS, **more)


def test_tiles_agree_at_every_instant(camera: Any, tmp_path: Path) -> None:
    """One late, one with a gap, one slower; frames of the fastest rate."""
    tiles = [
        camera("on time", rate=20), camera("late", begin=1.3), camera("gap", gap=(1.5, 3.2)), camera("slow", rate=5),
    ]  # fmt: skip
    made = make(tiles, tmp_path)
    assert (made.width, made.height, made.frame_rate, made.frames) == (320, 180, 20, 80)
    pictures = luma(made.path)
    assert len(pictures) == 80
    missing = [(0.0, 0.0), (0.0, 1.3), (1.5, 3.2), (0.0, 0.0)]
    for number, picture in enumerate(pictures):
        now = number / 20
        for index, rate in enumerate((20, 10, 10, 5)):
            tile = tile_of(picture, index, 2)
            if missing[index][0] - 0.001 <= now < missing[index][1] - 0.001:
                assert np.percentile(tile[:30], 99) <= BLACK, (index, number)
                assert tile[30:60].max() > 150, "its name and the time stand in the middle"
            else:
                assert abs(read_counter(tile) / rate - now) <= 1 / rate, (index, number)


def test_the_file_tells_nothing_but_the_picture(camera: Any, tmp_path: Path) -> None:
    made = make([camera("a"), camera("b")], tmp_path)
    with av.open(str(made.path)) as container:
        assert set(container.metadata) <= {"major_brand", "minor_version", "compatible_brands"}
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
        assert container.duration == 4_000_000
        assert container.start_time == 0
    assert made.path.read_bytes().find(b"moov") < made.path.read_bytes().find(b"mdat")
    assert (made.width, made.height) == (320, 90)
    assert str(tmp_path) not in made.path.read_bytes().decode("latin-1")
    assert {path.name for path in tmp_path.iterdir()} == {"mosaic.mp4"}


@pytest.mark.parametrize("codec", ["pcm_mulaw", "pcm_alaw", "pcm_s16le"])
def test_cameras_whose_sound_is_a_telephone_s(footage: Any, tmp_path: Path, codec: str) -> None:
    """Their cuts are Matroska files, which hold few of such codecs."""
    sound = ("-c:a", codec, "-ar", "8000", "-ac", "1")
    path = footage.make(f"{codec}.mkv", seconds=2.0, height=90, audio=True, options=sound)
    wanted = TimeRange(after(0.6), after(1.6))
    for how in (cut, encode):
        part = how(
            [Piece(path, TimeRange(START, after(2)))], wanted, tmp_path / f"{how.__name__}.mkv", work=tmp_path,
            limits=LIMITS, gaps="keep",
        )  # fmt: skip
        assert part.frames == 10
    tiles = [Tile("a", part), Tile("b", part)]
    made = mosaic(tiles, wanted, tmp_path / "m.mp4", work=tmp_path, limits=LIMITS, size=(320, 180), audio=0)
    assert [read_counter(tile_of(picture, 1, 2)) for picture in luma(made.path)] == list(range(6, 16))
    assert np.abs(heard_in(made.path)).max() > 0.01


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_other_containers_and_an_own_start_within_a_second(camera: Any, tmp_path: Path, suffix: str) -> None:
    """Sources, too, whose containers start their clocks elsewhere."""
    tiles = [camera("a", suffix=suffix), camera("late", begin=1.0, suffix=suffix)]
    wanted = TimeRange(START, after(2.55))
    made = mosaic(tiles, wanted, tmp_path / f"m.{suffix}", work=tmp_path, limits=LIMITS, size=(320, 180), clock=True)
    pictures = luma(made.path)
    assert len(pictures) == made.frames == 26
    assert [read_counter(tile_of(picture, 0, 2)) for picture in pictures] == list(range(26))
    assert [read_counter(tile_of(picture, 1, 2)) for picture in pictures[10:]] == list(range(10, 26))


def test_the_burned_in_time_is_that_of_each_frame(camera: Any, tmp_path: Path) -> None:
    """From a start within a second, across midnight: of all times around, the right one is the most alike."""
    tile = camera("a", end=3.0)
    begin = START + timedelta(seconds=0.4)
    cut = a_cut(tile.cut.path, 0.4, 3.3)
    made = mosaic(
        [Tile("Gate", cut)], TimeRange(begin, begin + timedelta(seconds=3)), tmp_path / "m.mp4", work=tmp_path,
        limits=LIMITS, size=(320, 180), clock=True,
    )  # fmt: skip
    (patch,) = Overlay(clock=True).patches(320, 180)
    (face,) = patch.clocks
    ((left, top),) = patch.places
    faces = [np.asarray(face.draw(START + timedelta(seconds=second)).convert("L"), np.float64) for second in range(5)]
    for number, picture in enumerate(luma(made.path)):
        shown = picture[top : top + patch.height, left : left + patch.width].astype(np.float64)
        alike = [np.corrcoef(shown.ravel(), face.ravel())[0, 1] for face in faces]
        assert int(np.argmax(alike)) == int(0.4 + number / 10 + 1e-9), (number, alike)


def test_a_camera_without_footage_is_black_with_its_name(camera: Any, tmp_path: Path) -> None:
    made = make([camera("a"), Tile("Łódź 'gate'; [in],:\\ $(reboot) %n", None)], tmp_path, names=True, clock=True)
    for picture in luma(made.path):
        tile = tile_of(picture, 1, 2)
        assert np.percentile(tile[:25], 99) <= BLACK
        assert tile[60:].max() > 150
    assert not any("reboot" in argument for command in made.commands for argument in command.arguments)
    nobody = make([Tile("a", None)], tmp_path, seconds=1.5)
    assert (nobody.frames, len(luma(nobody.path))) == (8, 8)


def test_sixteen_cameras(camera: Any, tmp_path: Path) -> None:
    tiles = [camera(f"camera {number}", end=1.0) for number in range(15)] + [Tile("none", None)]
    made = make(tiles, tmp_path, seconds=1.0, size=(640, 360), names=True, clock=True, watermark="POLICE\nwm-1")
    assert (made.width, made.height) == (640, 360)
    for number, picture in enumerate(luma(made.path)):
        counters = {read_counter(tile_of(picture, index, 4)) for index in (0, 1, 2, 3, 8, 9, 10, 11)}
        assert counters == {number}
    with pytest.raises(ValueError, match="17 tiles: expected 1 to 16"):
        make([tiles[0]] * 17, tmp_path)


def test_a_picture_keeps_its_shape(camera: Any, tmp_path: Path) -> None:
    made = make([camera("square", end=1.0, height=160)], tmp_path, seconds=1.0)
    for number, picture in enumerate(luma(made.path)):
        assert picture[:, :68].max() <= BLACK
        assert picture[:, 252:].max() <= BLACK
        assert read_counter(picture[:, 70:250]) == number


def test_one_tile_is_heard_as_long_as_the_picture_lasts(camera: Any, tmp_path: Path) -> None:
    made = make([camera("silent"), camera("heard", begin=1.0, end=3.0, audio=True)], tmp_path, audio=1)
    assert made.has_audio
    sound = heard_in(made.path)
    loud = np.abs(sound[: 4 * 48000].reshape(40, 4800)).max(axis=1) > 0.02
    assert list(loud[:9]) == [False] * 9
    assert all(loud[11:29])
    assert list(loud[31:]) == [False] * 9
    assert abs(len(sound) / 48000 - 4) < 2048 / 48000
    assert not make([camera("silent"), camera("b")], tmp_path, audio=0).has_audio


def test_a_long_gap_is_not_kept_in_memory(camera: Any, tmp_path: Path) -> None:
    """What is laid over a tile keeps pace with the others: with an ended picture, ffmpeg made all of a gap at once."""
    made = make([camera("a"), camera("gap", gap=(1.5, 3.2))], tmp_path, names=True, clock=True, watermark="x")
    (graph,) = (argument for argument in made.commands[0].arguments if "xstack" in argument)
    tiles, canvas = graph.split("xstack")
    assert "end_frame=1[" not in tiles
    assert "end_frame=1[" in canvas
    assert not any("pad=160:90" in part for part in canvas.split(";"))


def test_a_failure_leaves_no_file(camera: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    whole = camera("a").cut.path.read_bytes()
    broken.write_bytes(whole[:-2000])
    with pytest.raises(MediaError):
        mosaic(
            [camera("a")], TimeRange(START, after(4)), tmp_path / "m.mp4", work=tmp_path, size=(320, 180),
            limits=Limits(seconds=60, bytes=2000),
        )  # fmt: skip
    assert not (tmp_path / "m.mp4").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"broken.mp4"}


def test_a_gap_in_the_sound_is_silence_made_bit_by_bit(footage: Any, tmp_path: Path) -> None:
    """An hour of it at once would take 1.4 GB. The gap is in the packet times, as a cut leaves it."""
    pieces = [
        Piece(
            footage.make(f"heard-{first}.mp4", width=160, height=90, first_frame=first, audio=True),
            TimeRange(after(first / 10), after(first / 10 + 2)),
        )
        for first in (0, 40)
    ]
    wanted = TimeRange(START, after(6))
    heard = cut(pieces, wanted, tmp_path / "cut.mp4", work=tmp_path, limits=LIMITS, gaps="keep")
    made = mosaic([Tile("a", heard)], wanted, tmp_path / "m.mp4", work=tmp_path, limits=LIMITS, size=(160, 90), audio=0)
    assert any("ainterleave" in argument for argument in made.commands[0].arguments)
    sound = heard_in(made.path)
    assert abs(len(sound) / 48000 - 6) < 2048 / 48000
    loud = np.abs(sound[: 6 * 48000].reshape(60, 4800)).max(axis=1) > 0.02
    assert all(loud[:19])
    assert not any(loud[21:39])
    assert all(loud[41:59])


def test_thousands_of_gaps(camera: Any, tmp_path: Path) -> None:
    """Their description is longer than an argument may be. Each lasts two frames of three."""
    tile = camera("a", rate=5, end=4.0)
    frames = 12_000
    cut = a_cut(tile.cut.path, 0, frames / 5, *((first / 5 + 0.2, first / 5 + 0.6) for first in range(0, frames, 3)))
    made = make([Tile("a", cut)], tmp_path, seconds=frames / 5, size=(32, 18))
    [graph] = [argument for argument in made.commands[0].arguments if "between" in argument]
    assert len(graph) > 128 * 1024, "and it is told"
    with av.open(str(made.path)) as container:
        planes = [frame.planes[0] for frame in container.decode(video=0)]
        lit = [bytes(plane)[-plane.line_size] > 60 for plane in planes]  # the left lower corner
    assert lit == [number % 3 == 0 for number in range(frames)]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_what_was_cut_is_composed(footage: Any, tmp_path: Path, suffix: str) -> None:
    """Two segments, 1.4 s apart, cut within frames; beside them one that begins and ends within the range."""
    pieces = [
        Piece(footage.make(f"piece-{first}.mp4", width=160, height=90, first_frame=first), TimeRange(begin, end))
        for first, begin, end in ((0, START, after(2)), (34, after(3.4), after(5.4)))
    ]
    wanted = TimeRange(after(0.55), after(4.95))
    tiles = [
        Tile(
            str(number), cut(share, wanted, tmp_path / f"{number}.{suffix}", work=tmp_path, limits=LIMITS, gaps="keep")
        )
        for number, share in enumerate((pieces, pieces[1:]))
    ]
    made = mosaic(tiles, wanted, tmp_path / f"m.{suffix}", work=tmp_path, limits=LIMITS, size=(320, 180))
    pictures = luma(made.path)
    assert len(pictures) == made.frames == 44
    for number, picture in enumerate(pictures):
        now = 0.55 + number / 10
        counters = [read_counter(tile_of(picture, index, 2)) for index in (0, 1)]
        assert counters[0] == 0 if 2 < now < 3.35 else abs(counters[0] / 10 - now) <= 0.1
        assert counters[1] == 0 if now < 3.35 else counters[1] == counters[0]


def test_cameras_one_after_another(camera: Any, tmp_path: Path) -> None:
    """Of a gap of 3.6 s three are shown; who has no footage has three seconds, too; all are heard, or silent."""
    tiles = [camera("a", end=5.0, gap=(0.9, 4.5)), Tile("none", None), camera("b", end=5.0, audio=True)]
    told: list[float] = []
    made = sequence(
        tiles, TimeRange(START, after(5)), tmp_path / "s.mp4", work=tmp_path, limits=LIMITS, size=(160, 90),
        progress=told.append,
    )  # fmt: skip
    pictures = luma(made.path)
    assert len(pictures) == made.frames == 44 + 30 + 50
    assert [read_counter(picture) for picture in pictures[:9]] == list(range(9))
    assert all(picture[:30].max() <= BLACK for picture in pictures[9:39])
    assert [read_counter(picture) for picture in pictures[39:44]] == list(range(45, 50))
    assert all(picture[:30].max() <= BLACK for picture in pictures[44:74])
    assert [read_counter(picture) for picture in pictures[74:]] == list(range(50))
    sound = heard_in(made.path)
    assert abs(len(sound) / 48000 - 12.4) < 2048 / 48000
    assert np.abs(sound[: 72 * 4800]).max() < 0.02
    assert np.abs(sound[76 * 4800 : 122 * 4800].reshape(46, 4800)).max(axis=1).min() > 0.02
    assert told == sorted(told)
    assert told[-1] <= 12.4
    assert {path.name for path in tmp_path.iterdir()} == {"s.mp4"}


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, (1, 1, 1920, 1080)), (2, (2, 1, 960, 540)), (3, (2, 2, 960, 540)), (4, (2, 2, 960, 540)),
     (5, (3, 2, 640, 360)), (9, (3, 3, 640, 360)), (10, (4, 3, 480, 270)), (16, (4, 4, 480, 270))],
)  # fmt: skip
def test_the_grid_follows_from_the_count(count: int, expected: tuple[int, int, int, int]) -> None:
    assert grid(count, (1920, 1080)) == expected


@given(
    gaps=st.lists(st.tuples(st.floats(0, 10), st.floats(0.01, 3)), max_size=5),
    rate=st.sampled_from([Fraction(5), Fraction(25), Fraction(30000, 1001)]),
)
@settings(max_examples=50, deadline=None)
def test_dark_frames_are_disjoint_and_those_of_the_gaps(gaps: list[tuple[float, float]], rate: Fraction) -> None:
    cut = a_cut(Path("x.mp4"), 0, 10, *((start, start + length) for start, length in gaps))
    frames = dark(cut, TimeRange(START, after(10)), rate, 1 / rate)
    assert all(end < later for (_, end), (later, _) in pairwise(frames))
    for start, end in frames:
        assert start < end
        assert any(abs(float(start / rate) - gap) <= 1 / rate for gap, _ in gaps)
