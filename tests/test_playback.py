"""The answer that clients of video platforms expect."""

import json

import pytest

from reelkeeper.playback import playback


def url(key: str) -> str:
    return f"https://cdn.example/{key}"


def test_the_whole_answer() -> None:
    answer = playback(
        "42", url=url, storage_class="STANDARD_IA", mp4="e/a.mp4", hls="e/p/hls.m3u8", dash="e/p/dash.mpd",
        thumbnail="e/a.jpg", renditions=3,
    )  # fmt: skip
    assert json.loads(answer.to_json()) == {
        "videoId": "42",
        "url": "https://cdn.example/e/a.mp4",
        "thumbnailUrl": "https://cdn.example/e/a.jpg",
        "urls": {
            "hls": "https://cdn.example/e/p/hls.m3u8",
            "mp4": "https://cdn.example/e/a.mp4",
            "dash": "https://cdn.example/e/p/dash.mpd",
        },
        "adaptiveBitrate": True,
        "storageClass": "STANDARD_IA",
    }


def test_what_a_video_lacks_is_null() -> None:
    answer = json.loads(playback("42", url=url, storage_class="STANDARD", mp4="a.mp4", renditions=3).to_json())
    assert answer["urls"] == {"hls": None, "mp4": "https://cdn.example/a.mp4", "dash": None}
    assert (answer["thumbnailUrl"], answer["adaptiveBitrate"]) == (None, False)
    packaged = playback("42", url=url, storage_class="STANDARD", hls="hls.m3u8", dash="dash.mpd")
    assert (packaged.url, packaged.adaptive_bitrate) == ("https://cdn.example/hls.m3u8", False)
    with pytest.raises(ValueError, match="expected one to play"):
        playback("42", url=url, storage_class="STANDARD", dash="dash.mpd")
