"""Where a player finds a video: the answer that clients of video platforms expect."""

import json
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Playback:
    """One video's URLs and what is known of it. None stands for what there is not."""

    video_id: str
    url: str  # what plays everywhere: the plain file, else the HLS playlist
    thumbnail_url: str | None
    hls_url: str | None
    mp4_url: str | None
    dash_url: str | None
    adaptive_bitrate: bool  # a player finds more than one rendition in the playlists
    storage_class: str

    def to_json(self) -> str:
        """Under the names that existing clients read."""
        return json.dumps({
            "videoId": self.video_id,
            "url": self.url,
            "thumbnailUrl": self.thumbnail_url,
            "urls": {"hls": self.hls_url, "mp4": self.mp4_url, "dash": self.dash_url},
            "adaptiveBitrate": self.adaptive_bitrate,
            "storageClass": self.storage_class,
        }, ensure_ascii=False)  # fmt: skip


def playback(
    video_id: str, *, url: Callable[[str], str], storage_class: str, mp4: str | None = None, hls: str | None = None,
    dash: str | None = None, thumbnail: str | None = None, renditions: int = 1,
) -> Playback:  # fmt: skip
    """The answer for a video whose objects have the keys `mp4`, `hls`, `dash` and `thumbnail` (None: it has no such).

    `url` makes a key's URL (on the CDN's domain when there is one, signed or not); it is asked once a key.
    `renditions`: how many there are of the pictures. ValueError when there is neither a file nor an HLS playlist.
    """
    urls = {key: url(key) for key in (mp4, hls, dash, thumbnail) if key is not None}
    main = mp4 or hls
    if main is None:
        raise ValueError(f"video {video_id!r} has neither an MP4 file nor an HLS playlist: expected one to play")
    return Playback(
        video_id=video_id,
        url=urls[main],
        thumbnail_url=urls.get(thumbnail or ""),
        hls_url=urls.get(hls or ""),
        mp4_url=urls.get(mp4 or ""),
        dash_url=urls.get(dash or ""),
        adaptive_bitrate=renditions > 1 and (hls or dash) is not None,
        storage_class=storage_class,
    )
