"""NAL units, parameter sets and access points of real streams are found, and put together anew without a loss."""

from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.video import run as ffmpeg
from reelkeeper.media.bitstream import Bitstream, described


def stream_of(path: Path) -> tuple[Bitstream, list[bytes]]:
    """A file's stream, and its key packets."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        own = described(video.codec_context.name, video.codec_context.extradata)
        return own, [bytes(packet) for packet in container.demux(video) if packet.size and packet.is_keyframe]


def h264(footage: Any, name: str, *params: str) -> Path:
    options = ("-preset", "veryfast", "-bf", "2", "-x264-params", ":".join(("keyint=10", *params)))
    path: Path = footage.make(f"bits-{name}.mp4", options=options)
    return path


def hevc(footage: Any, name: str, *params: str) -> Path:
    options = ("-x265-params", ":".join(("log-level=none", "keyint=10", "bframes=2", *params)))
    path: Path = footage.make(f"bits-{name}.mp4", codec="libx265", options=options)
    return path


def test_sets_of_two_streams_in_one_header(footage: Any) -> None:
    source, _ = stream_of(h264(footage, "plain"))
    edge, _ = stream_of(h264(footage, "other-id", "sps-id=31"))
    assert set(source.set_ids()) == {(7, 0), (8, 0)}
    assert set(edge.set_ids()) == {(7, 31), (8, 31)}
    both = source.joined(edge)
    assert both is not None
    assert set(both.set_ids()) == {(7, 0), (7, 31), (8, 0), (8, 31)}
    assert described("h264", both.extradata).sets == both.sets
    assert both.joined(edge) is both, "nothing is added twice"
    assert both.extradata[-4:] == source.extradata[-4:], "what the high profiles say stays"


def test_ids_that_mean_two_things_do_not_go_into_one_header(footage: Any) -> None:
    source, _ = stream_of(h264(footage, "plain"))
    other, _ = stream_of(h264(footage, "other", "ref=1", "cabac=0"))
    assert source.joined(other) is None
    hevc_source, _ = stream_of(hevc(footage, "hevc"))
    hevc_other, _ = stream_of(hevc(footage, "hevc-other", "ctu=16"))
    assert set(hevc_source.set_ids()) == {(32, 0), (33, 0), (34, 0)}
    assert hevc_source.joined(hevc_other) is None
    assert hevc_source.joined(hevc_source) is hevc_source


@pytest.mark.parametrize(
    ("name", "how", "params", "access"),
    [
        ("plain", h264, (), "closed"), ("open", h264, ("open-gop=1",), "open"),
        ("refresh", h264, ("intra-refresh=1",), "none"),
        ("hevc", hevc, ("open-gop=0",), "closed"), ("hevc-open", hevc, ("open-gop=1",), "open"),
    ],
)  # fmt: skip
def test_where_decoding_can_start(footage: Any, tmp_path: Path, name: str, how: Any, params: Any, access: str) -> None:
    """Written with lengths or with start codes."""
    path = how(footage, f"access-{name}", *params)
    ffmpeg("ffmpeg", "-i", path, "-c", "copy", tmp_path / "x.ts")
    for file in (path, tmp_path / "x.ts"):
        own, keys = stream_of(file)
        found = [own.access(key) for key in keys]
        assert found[0] == "closed"
        assert set(found[1:]) <= {access}
        assert len(found) > 1 or access == "none"


def test_a_picture_without_its_leading_ones(footage: Any) -> None:
    own, keys = stream_of(hevc(footage, "access-hevc-open", "open-gop=1"))
    assert own.access(keys[1]) == "open"
    anew = own.starting_anew(keys[1])
    assert own.access(anew) == "closed"
    assert len(anew) == len(keys[1])
    assert own.starting_anew(keys[0]) == keys[0]


@given(
    st.lists(st.binary(min_size=1, max_size=40).filter(lambda unit: b"\x00\x00" not in unit and unit[-1] and unit[0])),
    st.sampled_from([0, 2, 4]),
)
def test_units_come_back(units: list[bytes], length_size: int) -> None:
    stream = Bitstream("h264", b"", length_size, ())
    assert stream.units(stream.packed(units)) == units
