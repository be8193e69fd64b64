"""Playlists of packaged footage: HLS (m3u8) and DASH (MPD), and the same with signed URLs."""

import re
from collections.abc import Callable
from functools import cache
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree as ET

from reelkeeper.errors import MediaError

Sign = Callable[[str], str]
"""From a file's path, relative to the playlist's folder, to its URL."""
_URI = re.compile(r'(?<=[:,]URI=")[^"]*(?=")')
_DURATION = re.compile(r"^#EXTINF:([0-9.]+)", re.MULTILINE)
_MPD = "urn:mpeg:dash:schema:mpd:2011"
_URL_ATTRIBUTES = ("media", "sourceURL", "index")


def signed(playlist: str, sign: Sign) -> str:
    """The playlist with every relative URI in it replaced by what `sign` makes of it; byte ranges stay as they are.

    `sign` is asked once for each file. A variant of an HLS master playlist is a playlist itself, whose files a player
    looks for beside it: let `sign` answer `*.m3u8` with a URL where that playlist is served signed, too.

    MediaError when the text is neither kind of playlist, names a file that is not below its folder, or builds its URLs
    by a template, which nobody can sign.
    """

    @cache
    def url(uri: str) -> str:
        return _fit_for_a_playlist(sign(_path(uri)))

    text = playlist.lstrip("\ufeff \t\r\n")
    if text.startswith("#EXTM3U"):
        return "".join(_signed_line(line, url) for line in playlist.splitlines(keepends=True))
    if text.startswith("<"):
        return _signed_mpd(text, url)
    raise MediaError(f"text starts with {text[:20]!r}: expected an HLS playlist or a DASH manifest")


def segment_durations(playlist: str) -> tuple[float, ...]:
    """How long each segment of an HLS media playlist lasts, in seconds."""
    return tuple(float(seconds) for seconds in _DURATION.findall(playlist))


def _signed_line(line: str, url: Sign) -> str:
    if line.startswith("#EXT"):
        return _URI.sub(lambda match: url(match.group()), line)
    uri = line.strip()
    return line if not uri or uri.startswith("#") else line.replace(uri, url(uri))


def _signed_mpd(text: str, url: Sign) -> str:
    if "<!DOCTYPE" in text:
        raise MediaError("manifest has a document type, which a DASH manifest never has: expected none")
    try:
        # Without a document type there are no entities that could grow or reach out.
        root = ET.fromstring(text.encode())  # noqa: S314
    except ET.ParseError as exc:
        raise MediaError(f"manifest is no XML ({exc}): expected a DASH manifest") from exc
    if root.tag != f"{{{_MPD}}}MPD":
        raise MediaError(f"document's first element is {root.tag!r}: expected that of a DASH manifest")
    if next(root.iter(f"{{{_MPD}}}SegmentTemplate"), None) is not None:
        raise MediaError("manifest builds its URLs by a SegmentTemplate: expected a BaseURL or a SegmentList")
    for element in root.iter():
        if element.tag == f"{{{_MPD}}}BaseURL":
            element.text = url((element.text or "").strip())
        for name in _URL_ATTRIBUTES:
            if name in element.attrib:
                element.set(name, url(element.attrib[name]))
    ET.register_namespace("", _MPD)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _path(uri: str) -> str:
    parts = urlsplit(uri)
    path = unquote(parts.path)
    leaves = path.startswith("/") or ".." in path.split("/")
    if not path or leaves or parts.scheme or parts.netloc or parts.query or parts.fragment:
        raise MediaError(f"playlist names {uri!r}: expected the relative path of a file below its folder")
    return path


def _fit_for_a_playlist(url: str) -> str:
    if re.search(r"[\s\"\x00-\x1f]", url) or not url:
        raise MediaError("a signed URL is empty, or has a space or a quotation mark: expected them percent-encoded")
    return url
