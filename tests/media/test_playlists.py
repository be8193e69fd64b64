"""Every URI of a playlist is signed, byte ranges stay, and what cannot be signed is refused."""

from xml.etree import ElementTree as ET

import m3u8
import pytest

from reelkeeper.errors import MediaError
from reelkeeper.media.playlists import segment_durations, signed

MASTER = """#EXTM3U
## Generated
#EXT-X-INDEPENDENT-SEGMENTS

#EXT-X-MEDIA:TYPE=AUDIO,URI="audio.m3u8",GROUP-ID="audio",NAME="audio",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="1"

#EXT-X-STREAM-INF:BANDWIDTH=56053,CODECS="avc1.64000a,mp4a.40.2",RESOLUTION=160x120,AUDIO="audio"
h264_120p.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=2110,CODECS="avc1.64000a",URI="h264_120p_iframes.m3u8"
"""
MEDIA = """#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:7
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-MAP:URI="sub/a%20b.mp4",BYTERANGE="876@0"
#EXTINF:6.000,
#EXT-X-BYTERANGE:4510@956
sub/a%20b.mp4
#EXTINF:6.400,a title, sub/a.mp4
#EXT-X-BYTERANGE:4079
sub/a%20b.mp4
#EXT-X-ENDLIST
"""
MPD = """<?xml version="1.0" encoding="UTF-8"?>
<!--Generated-->
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period id="0"><AdaptationSet id="0">
<Representation id="0"><BaseURL>a.mp4</BaseURL>
  <SegmentBase indexRange="876-955"><Initialization range="0-875"/></SegmentBase></Representation>
<Representation id="1"><SegmentList><Initialization sourceURL="init.mp4" range="0-99"/>
  <SegmentURL media="1.m4s" mediaRange="5-9"/></SegmentList></Representation>
</AdaptationSet></Period></MPD>
"""
SIGNED = "https://cdn.example/x/{}?Expires=1&Signature=a~b_%2F"


def sign(name: str) -> str:
    return SIGNED.format(name.replace(" ", "%20"))


def test_a_master_playlist() -> None:
    parsed = m3u8.loads(signed(MASTER, sign))
    assert parsed.media[0].uri == sign("audio.m3u8")
    assert parsed.playlists[0].uri == sign("h264_120p.m3u8")
    assert parsed.iframe_playlists[0].uri == sign("h264_120p_iframes.m3u8")
    assert signed(MASTER, lambda name: name) == MASTER


def test_a_media_playlist_keeps_its_byte_ranges_and_asks_once_for_each_file() -> None:
    asked: list[str] = []

    def count(name: str) -> str:
        asked.append(name)
        return sign(name)

    parsed = m3u8.loads(signed(MEDIA, count))
    assert asked == ["sub/a b.mp4"]
    assert (parsed.segment_map[0].uri, parsed.segment_map[0].byterange) == (sign("sub/a b.mp4"), "876@0")
    assert [(one.uri, one.byterange) for one in parsed.segments] == [
        (sign("sub/a b.mp4"), "4510@956"),
        (sign("sub/a b.mp4"), "4079"),
    ]
    assert parsed.segments[1].title == "a title, sub/a.mp4"
    assert segment_durations(MEDIA) == (6.0, 6.4)
    assert signed(MEDIA.replace("\n", "\r\n"), sign) == signed(MEDIA, sign).replace("\n", "\r\n")


def test_a_manifest() -> None:
    text = signed(MPD, sign)
    space = "{urn:mpeg:dash:schema:mpd:2011}"
    root = ET.fromstring(text)  # noqa: S314
    assert root.findtext(f".//{space}BaseURL") == sign("a.mp4")
    [first, second] = root.iter(f"{space}Initialization")
    assert first.attrib == {"range": "0-875"}
    assert second.attrib == {"sourceURL": sign("init.mp4"), "range": "0-99"}
    assert root.find(f".//{space}SegmentURL").attrib == {"media": sign("1.m4s"), "mediaRange": "5-9"}
    assert text.startswith("<?xml")
    assert "<MPD xmlns=" in text  # players of little learning look for the name without a prefix


@pytest.mark.parametrize(
    "uri",
    ["https://elsewhere.example/a.mp4", "/etc/passwd", "../a.mp4", "sub/%2e%2e/%2e%2e/a.mp4", "a.mp4?x=1", "data:,x",
     "//host/a.mp4", "%2Fetc/passwd"],
)  # fmt: skip
def test_only_files_of_its_own_folder_are_signed(uri: str) -> None:
    for playlist in (MEDIA.replace("sub/a%20b.mp4", uri), MPD.replace("a.mp4", uri)):
        with pytest.raises(MediaError, match="below its folder"):
            signed(playlist, sign)


@pytest.mark.parametrize(
    ("text", "message"),
    [("hello", "expected an HLS playlist"), ("", "expected an HLS playlist"), ("<MPD", "no XML"),
     ("<html/>", "first element"),
     (MPD.replace("<MPD", "<!DOCTYPE MPD><MPD"), "document type"),
     (MPD.replace("SegmentList", "SegmentTemplate"), "SegmentTemplate")],
)  # fmt: skip
def test_what_cannot_be_signed_is_refused(text: str, message: str) -> None:
    with pytest.raises(MediaError, match=message):
        signed(text, sign)


@pytest.mark.parametrize("url", ["", 'https://a"b', "https://a b", "https://a\nb"])
def test_a_url_that_would_break_a_playlist_is_refused(url: str) -> None:
    with pytest.raises(MediaError, match="percent-encoded"):
        signed(MEDIA, lambda _: url)
