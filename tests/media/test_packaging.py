"""HLS and DASH play every frame of the source, and nothing else, from one set of segments."""

import hashlib
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree as ET

import av
import m3u8
import pytest

from demo.video import make_video, read_counter
from reelkeeper.errors import InvalidFootage, MediaError, MediaTimeout
from reelkeeper.media.binaries import program
from reelkeeper.media.command import Limits
from reelkeeper.media.ladder import LADDER, Made, Rendition
from reelkeeper.media.packager import pack
from reelkeeper.media.packaging import Package, package

pytestmark = pytest.mark.encodes

FRAMES, RATE = 70, 10
NS = {"mpd": "urn:mpeg:dash:schema:mpd:2011"}
B_FRAMES = ("-preset", "medium", "-bf", "2", "-x264-params", "scenecut=0")
SMALL = (Rendition(60), Rendition(240), Rendition(90, 100_000))
NASTY = 'it\'s; $(touch pwned) a,b=c|%d {x} "q" #1\n\\ ümlaut'


@dataclass(frozen=True)
class Segment:
    data: bytes  # with the initialisation before it: what a decoder needs
    seconds: float


def ffmpeg(*arguments: object) -> None:
    subprocess.run(
        [str(program("ffmpeg")), "-v", "error", "-y", *map(str, arguments)], check=True, stdin=subprocess.DEVNULL
    )


@pytest.fixture(scope="module")
def h264(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sources") / "h264.mp4"
    return make_video(path, seconds=FRAMES / RATE, frame_rate=RATE, audio=True, options=B_FRAMES)


@pytest.fixture(scope="module")
def ladder(h264: Path, tmp_path_factory: pytest.TempPathFactory) -> Package:
    work = tmp_path_factory.mktemp("work")
    return package(h264, work / "packed", work=work, ladder=SMALL, segment_seconds=2)


def of_hls(playlist: Path) -> list[Segment]:
    parsed = m3u8.load(str(playlist))
    [start] = parsed.segment_map
    segments, end = [], 0
    for entry in parsed.segments:
        length, _, offset = entry.byterange.partition("@")
        begin = int(offset) if offset else end
        end = begin + int(length)
        header = _bytes(playlist.parent / start.uri, *_range(start.byterange))
        segments.append(Segment(header + _bytes(playlist.parent / entry.uri, begin, end), entry.duration))
    return segments


def of_dash(folder: Path, representation: ET.Element) -> list[Segment]:
    """By the segment index that the manifest points to."""
    path = folder / representation.findtext("mpd:BaseURL", "", NS)
    base = representation.find("mpd:SegmentBase", NS)
    start, end = (int(number) for number in base.get("indexRange").split("-"))
    first, last = (int(number) for number in base.find("mpd:Initialization", NS).get("range").split("-"))
    header, index = _bytes(path, first, last + 1), _bytes(path, start, end + 1)
    assert index[4:8] == b"sidx"
    scale, width = int.from_bytes(index[16:20]), 8 if index[8] else 4
    count_at = 20 + 2 * width + 2
    begin, segments = end + 1, []
    for number in range(int.from_bytes(index[count_at : count_at + 2])):
        at = count_at + 2 + 12 * number
        size, ticks = int.from_bytes(index[at : at + 4]), int.from_bytes(index[at + 4 : at + 8])
        segments.append(Segment(header + _bytes(path, begin, begin + size), ticks / scale))
        begin += size
    assert begin == path.stat().st_size
    return segments


def manifest(packed: Package) -> ET.Element:
    return ET.fromstring(packed.dash.read_text())  # noqa: S314


def representations(packed: Package) -> dict[str, ET.Element]:
    root = manifest(packed)
    return {found.findtext("mpd:BaseURL", "", NS): found for found in root.iter(f"{{{NS['mpd']}}}Representation")}


def _range(text: str) -> tuple[int, int]:
    length, _, offset = text.partition("@")
    return int(offset), int(offset) + int(length)


def _bytes(path: Path, start: int, end: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        data = file.read(end - start)
    assert len(data) == end - start
    return data


def pictures(data: bytes) -> Iterator[av.VideoFrame]:
    with av.open(BytesIO(data)) as container:
        yield from container.decode(video=0)


def counters(data: bytes) -> list[int]:
    # A picture of 90 lines has a counter of blurred, not of fewer squares: it is enlarged to be read.
    return [
        read_counter(frame.reformat(width=160, height=120, format="gray8").to_ndarray()) for frame in pictures(data)
    ]


def packets(path: Path, kind: str) -> list[tuple[float, str]]:
    """Of one stream, in the file's order: when each is shown, and the digest of its bytes."""
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[0]
        return [
            (round(float(packet.pts * packet.time_base), 4), hashlib.sha256(bytes(packet)).hexdigest())
            for packet in container.demux(stream) if packet.pts is not None
        ]  # fmt: skip


def test_both_playlists_name_the_same_segments_and_each_decodes_by_itself(ladder: Package) -> None:
    named = representations(ladder)
    assert set(named) == {"h264_120p.mp4", "h264_90p.mp4", "h264_60p.mp4", "audio.mp4"}
    for rendition in ladder.renditions:
        segments = of_hls(rendition.path.with_suffix(".m3u8"))
        assert segments == of_dash(rendition.path.parent, named[rendition.path.name])
        shown = [counters(segment.data) for segment in segments]
        assert [number for numbers in shown for number in numbers] == list(range(FRAMES))
        assert [len(numbers) / RATE for numbers in shown] == [segment.seconds for segment in segments] == [2, 2, 2, 1]
    assert {frame.height for one in ladder.renditions for frame in pictures(one.path.read_bytes())} == {120, 90, 60}


def test_the_playlists_say_what_is_there(ladder: Package, h264: Path) -> None:
    master = m3u8.load(str(ladder.hls))
    assert master.is_variant
    assert [(entry.uri, entry.stream_info.resolution) for entry in master.playlists] == [
        ("h264_120p.m3u8", (160, 120)), ("h264_90p.m3u8", (120, 90)), ("h264_60p.m3u8", (80, 60)),
    ]  # fmt: skip
    [sound] = master.media
    assert (sound.uri, sound.default, sound.autoselect) == ("audio.m3u8", "YES", "YES")
    assert {entry.stream_info.audio for entry in master.playlists} == {sound.group_id}
    for name in [*(entry.uri for entry in master.playlists), sound.uri]:
        parsed = m3u8.load(str(ladder.hls.parent / name))
        assert parsed.is_endlist
        assert parsed.playlist_type == "vod"
        longest = max(entry.duration for entry in parsed.segments)
        assert round(longest) <= parsed.target_duration < longest + 1
        assert sum(entry.duration for entry in parsed.segments) == pytest.approx(FRAMES / RATE, abs=0.03)
    assert len(master.iframe_playlists) == 3
    for entry in master.iframe_playlists:
        assert [counters(one.data) for one in of_hls(ladder.hls.parent / entry.uri)] == [[0], [20], [40], [60]]
    assert manifest(ladder).get("mediaPresentationDuration") == "PT7S"
    assert set(ladder.files) == set(ladder.hls.parent.iterdir())
    assert ladder.files[-2:] == (ladder.hls, ladder.dash)


def test_nothing_is_changed_that_players_take_as_it_is(ladder: Package, h264: Path) -> None:
    assert [rendition.encoded for rendition in ladder.renditions] == [False, True, True]
    assert ladder.why == ""
    assert packets(ladder.renditions[0].path, "video") == packets(h264, "video")
    assert packets(ladder.hls.parent / "audio.mp4", "audio") == packets(h264, "audio")


def test_the_same_footage_makes_the_same_bytes(ladder: Package, h264: Path, tmp_path: Path) -> None:
    """So that a package that is made again can be written to a store again."""
    shares: list[float] = []
    again = package(
        h264, tmp_path / "again", work=tmp_path, ladder=SMALL, segment_seconds=2, progress=shares.append
    )  # fmt: skip
    assert [file.name for file in again.files] == [file.name for file in ladder.files]
    assert [file.read_bytes() for file in again.files] == [file.read_bytes() for file in ladder.files]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def test_nothing_is_scaled_up(h264: Path, tmp_path: Path) -> None:
    packed = package(h264, tmp_path / "packed", work=tmp_path, ladder=LADDER)
    assert [(one.name, one.encoded) for one in packed.renditions] == [("h264_120p", False)]


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_other_containers(h264: Path, tmp_path: Path, suffix: str) -> None:
    source = tmp_path / f"source.{suffix}"
    ffmpeg("-i", h264, "-c", "copy", source)
    packed = package(source, tmp_path / "packed", work=tmp_path, segment_seconds=2)
    segments = of_hls(packed.renditions[0].path.with_suffix(".m3u8"))
    assert [number for segment in segments for number in counters(segment.data)] == list(range(FRAMES))
    assert not packed.renditions[0].encoded
    shown = sorted(when for when, _ in packets(packed.renditions[0].path, "video"))
    assert [round(when - shown[0], 2) for when in shown] == [frame / RATE for frame in range(FRAMES)]


def test_hevc_is_kept_and_has_h264_beside_it(tmp_path: Path) -> None:
    source = make_video(
        tmp_path / "hevc.mp4", seconds=4, codec="libx265", options=("-tag:v", "hev1", "-x265-params", "log-level=none")
    )
    packed = package(
        source, tmp_path / "packed", work=tmp_path, ladder=(Rendition(120), Rendition(60)), segment_seconds=2
    )
    assert [(one.name, one.video_codec, one.encoded) for one in packed.renditions] == [
        ("hevc_120p", "hevc", False), ("h264_120p", "h264", True), ("h264_60p", "h264", True),
    ]  # fmt: skip
    assert packets(packed.renditions[0].path, "video") == packets(source, "video")
    assert b"hvc1" in packed.renditions[0].path.read_bytes()[:2000]  # what Apple's players ask for
    codecs = [entry.stream_info.codecs.partition(".")[0] for entry in m3u8.load(str(packed.hls)).playlists]
    assert codecs == ["hvc1", "avc1", "avc1"]
    assert not packed.has_audio
    assert [one.get("codecs", "").partition(".")[0] for one in representations(packed).values()] == codecs
    for one in packed.renditions:
        assert counters(one.path.read_bytes()) == list(range(40))


def test_mjpeg_and_telephone_sound_are_encoded_from_a_name_full_of_traps(tmp_path: Path) -> None:
    folder = tmp_path / NASTY
    source = make_video(
        folder / f"{NASTY}.mkv", seconds=4, codec="mjpeg", audio=True,
        options=("-c:a", "pcm_alaw", "-ar", "8000", "-color_range", "pc"),
    )  # fmt: skip
    packed = package(source, folder / "packed $1", work=folder, ladder=(Rendition(60),), segment_seconds=2)
    assert packed.why == "players do not take mjpeg; players do not take sound in pcm_alaw"
    assert [(one.name, one.encoded) for one in packed.renditions] == [("h264_120p", True), ("h264_60p", True)]
    for one in packed.renditions:
        segments = of_hls(one.path.with_suffix(".m3u8"))
        assert [segment.seconds for segment in segments] == [2, 2]
        assert [number for segment in segments for number in counters(segment.data)] == list(range(40))
    with av.open(str(packed.hls.parent / "audio.mp4")) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        assert sum(frame.samples for frame in container.decode(audio=0)) == pytest.approx(4 * 8000, abs=2048)
    assert not list(tmp_path.rglob("pwned"))


def test_pictures_that_lie_on_their_side_are_set_upright(h264: Path, tmp_path: Path) -> None:
    """Players of fragments heed no rotation that a header asks for."""
    source = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", "90", "-i", h264, "-t", "2", "-c", "copy", source)
    packed = package(source, tmp_path / "packed", work=tmp_path, ladder=(Rendition(80),), segment_seconds=2)
    assert packed.why == "its pictures lie on their side"
    shapes = [{(frame.width, frame.height) for frame in pictures(one.path.read_bytes())} for one in packed.renditions]
    assert shapes == [{(120, 160)}, {(60, 80)}]


def test_a_ladder_is_encoded_whole_where_segments_of_the_source_do_not_start_cleanly(
    h264: Path, tmp_path: Path
) -> None:
    """Groups of pictures that reach into the one before: a player could not change renditions there."""
    source = tmp_path / "open.mp4"
    ffmpeg("-i", h264, "-an", "-c:v", "libx264", "-x264-params", "open-gop=1:keyint=10:bframes=3:b-adapt=0", source)
    packed = package(source, tmp_path / "packed", work=tmp_path, ladder=SMALL, segment_seconds=2)
    assert all(one.encoded for one in packed.renditions)
    assert "would not start with a picture" in packed.why
    lengths = {tuple(one.seconds for one in of_hls(made.path.with_suffix(".m3u8"))) for made in packed.renditions}
    assert lengths == {(2, 2, 2, 1)}
    assert counters(packed.renditions[0].path.read_bytes()) == list(range(FRAMES))


def test_varying_frame_rates_keep_their_times_in_every_rendition(h264: Path, tmp_path: Path) -> None:
    source = tmp_path / "varying.mkv"
    ffmpeg("-i", h264, "-an", "-vf", r"select=gt(mod(n\,7)\,1)", "-fps_mode", "vfr", "-g", "17", source)
    packed = package(source, tmp_path / "packed", work=tmp_path, ladder=(Rendition(60),), segment_seconds=2)
    assert [one.encoded for one in packed.renditions] == [False, True]
    times = defaultdict(list)
    for one in packed.renditions:
        shown = sorted(when for when, _ in packets(one.path, "video"))
        times[tuple(round(when - shown[0], 2) for when in shown)].append(one.name)
        assert counters(one.path.read_bytes()) == [number for number in range(FRAMES) if number % 7 > 1]
    [(when, both)] = times.items()
    assert len(both) == 2
    assert when[:6] == (0, 0.1, 0.2, 0.3, 0.4, 0.7)


def test_what_fails_leaves_nothing(h264: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(MediaError, match="expected a new one"):
        package(h264, tmp_path / "there", work=tmp_path)
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(b"\x00\x00\x00\x18ftypisom" + bytes(2000))
    with pytest.raises(InvalidFootage):
        package(noise, tmp_path / "packed", work=tmp_path)
    with pytest.raises(MediaError, match="more than 1000 bytes"):
        package(h264, tmp_path / "packed", work=tmp_path, limits=Limits(bytes=1000))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["noise.mp4", "there"]


def test_the_packager_is_stopped_in_time_and_heard_when_it_fails(h264: Path, tmp_path: Path) -> None:
    (tmp_path / "noise.mp4").write_bytes(bytes(5000))
    with pytest.raises(MediaError, match=r"packager failed: .*container type"):
        pack([Made("h264_120p", tmp_path / "noise.mp4", "h264", encoded=False)], None, tmp_path, "a",
             segment_seconds=2, limits=Limits())  # fmt: skip
    shutil.copy(h264, tmp_path / "source.mp4")
    made = Made("h264_120p", tmp_path / "source.mp4", "h264", encoded=False)
    with pytest.raises(MediaTimeout, match="packager was not done"):
        pack([made], None, tmp_path, "b", segment_seconds=2, limits=Limits(seconds=0.01))
    with pytest.raises(MediaError, match="packager was killed by signal"):
        pack([made], None, tmp_path, "c", segment_seconds=2, limits=Limits(bytes=1000))


def test_a_rendition_has_an_even_height_and_a_rate_above_nothing() -> None:
    with pytest.raises(ValueError, match="even number"):
        Rendition(719)
    with pytest.raises(ValueError, match="above 0"):
        Rendition(720, 0)
