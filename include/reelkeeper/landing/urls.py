"""A landing zone that is a list of URLs, each of one video, fetched by yt-dlp.

The list has one URL a line, or one JSON object with `url` and a sidecar's fields; `#` starts a comment. URLs often
carry secrets, by any name. Rows and messages know a URL without user, password and fragment, and of a parameter that is
not known to be harmless a hash of its value alone, which still tells two videos apart. The list alone has it whole.
"""

import errno
import logging
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256 as new_sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import ValidationError

from reelkeeper.errors import (
    BucketNotFound,
    InvalidFootage,
    ObjectNotFound,
    ReelkeeperError,
    StoreFull,
    StoreUnavailable,
)
from reelkeeper.landing.folder import LONGEST_PATH
from reelkeeper.landing.sidecar import Sidecar
from reelkeeper.landing.source import Fetched, Found, moment_of

log = logging.getLogger(__name__)

_HARMLESS = re.compile(
    r"(video|clip|cam|camera|channel|episode|list|playlist|recording|segment|stream|track)(_?id)?|id|v|index|part|page|"
    r"start|end|begin|stop|from|to|t|time|date|day|hour|duration|format|quality|lang|version(_?id)?",
    re.IGNORECASE,
)
"""Parameters that say which video is meant; all others may be a key to it."""
_SIGNATURE = re.compile(
    r"x-(amz|goog)-.*|sig|signature|expires|policy|key-pair-id|googleaccessid|awsaccesskeyid", re.IGNORECASE
)
"""Parameters of the clouds' signed URLs: anew each time that the same video is signed."""
_SILENT = logging.getLogger(f"{__name__}.yt_dlp")
"""yt-dlp's messages hold URLs whole, so none reaches a log: what matters is in the error."""
_SILENT.setLevel(logging.CRITICAL + 1)
_SOCKET_TIMEOUT_SECONDS = 30
_GONE = range(400, 500)
_TRY_LATER = {408, 425, 429}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class UrlLine(Sidecar):
    """One line of the list."""

    url: str

    def check_file(self, name: str, size_bytes: int) -> None:
        """The name of a download is ours, so only its size can disagree."""
        self.check_size(size_bytes)


class UrlSource:
    """The videos of a list, downloaded to `folder`, where an interrupted download is taken up again.

    The list is its owner's: nothing is taken out of it. The catalogue knows which of its lines are done.
    """

    settles = True  # the list may be being written

    def __init__(self, zone: str, url_list: Path, folder: Path | None = None, ffmpeg: Path | None = None) -> None:
        self._zone = zone
        self._list = url_list
        self._folder = folder or Path(tempfile.gettempdir()) / "reelkeeper-downloads"
        self._ffmpeg = ffmpeg

    def scan(self) -> Iterator[Found]:
        for path in self._read_list():
            yield _found(path)

    def look_again(self, found: Sequence[Found]) -> list[Found | None]:
        now = self._read_list()
        return [seen if seen.path in now else None for seen in found]

    def look(self, path: str) -> Found | None:
        return _found(path) if path in self._lines else None

    def sidecar(self, path: str) -> Sidecar | None:
        line = self._line(path)
        return line if isinstance(line, UrlLine) else None

    def fetch(self, path: str) -> Fetched:
        line = self._line(path)
        if isinstance(line, InvalidFootage):
            raise line
        scheme = urlsplit(line.url).scheme.lower()
        if scheme not in ("http", "https"):
            raise InvalidFootage(f"URL {path!r} has scheme {scheme!r}: expected http or https", code="bad_url")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            info = self._download(line.url, path)
            file = Path(info["requested_downloads"][0]["filepath"])
            facts = file.stat()
        except ReelkeeperError:  # some are OSErrors too
            raise
        except OSError as exc:
            raise self._folder_error(path, exc) from exc
        return Fetched(
            file, file.name, facts.st_size, moment_of(facts.st_mtime_ns), None, is_temporary=True,
            start=_start(info) or moment_of(facts.st_mtime_ns),
        )  # fmt: skip

    def discard(self, fetched: Fetched, *, finished: bool) -> None:
        """A download that is to be tried again stays: it need not come over the network twice."""
        if finished:
            fetched.path.unlink(missing_ok=True)

    def close(self) -> None:
        """What is left of downloads is for the next try."""

    # --- inside -------------------------------------------------------------------------------------------------------

    @cached_property
    def _lines(self) -> Mapping[str, UrlLine | InvalidFootage]:
        return self._read_list()

    def _line(self, path: str) -> UrlLine | InvalidFootage:
        if path not in self._lines:
            raise ObjectNotFound(f"landing zone {self._zone!r}: {path!r} is no longer in the list")
        return self._lines[path]

    def _read_list(self) -> Mapping[str, UrlLine | InvalidFootage]:
        """The lines by URL without secrets."""
        try:
            texts = self._list.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError as exc:
            raise BucketNotFound(f"landing zone {self._zone!r}: list {str(self._list)!r} does not exist") from exc
        except OSError as exc:
            raise StoreUnavailable(f"landing zone {self._zone!r}: cannot read its list: {exc.strerror}") from exc
        lines: dict[str, UrlLine | InvalidFootage] = {}
        for number, text in enumerate(map(str.strip, texts), start=1):
            if text and not text.startswith("#"):
                path, line = _parse(text, number)
                if path in lines:
                    log.warning("zone %r: line %d has the URL of an earlier one, left out", self._zone, number)
                lines.setdefault(path, line)
        return lines

    def _download(self, url: str, path: str) -> Mapping[str, Any]:
        from yt_dlp import YoutubeDL
        from yt_dlp.utils import YoutubeDLError

        name = new_sha256(path.encode()).hexdigest()[:32]
        options: dict[str, Any] = {
            "cachedir": False, "outtmpl": {"default": str(self._folder / f"{name}.%(ext)s")}, "updatetime": True,
            "noplaylist": True, "quiet": True, "noprogress": True, "no_warnings": True, "logger": _SILENT,
            "socket_timeout": _SOCKET_TIMEOUT_SECONDS, "retries": 2, "fragment_retries": 2, "extractor_retries": 2,
        }  # fmt: skip
        if self._ffmpeg is not None:
            options["ffmpeg_location"] = str(self._ffmpeg)
        try:
            with YoutubeDL(options) as downloader:
                info = downloader.extract_info(url, download=False)
                if not info or "entries" in info:
                    raise InvalidFootage(f"URL {path!r} leads to a list: expected one video", code="bad_url")
                done: Mapping[str, Any] = downloader.process_ie_result(info, download=True)
                return done
        except YoutubeDLError as exc:
            raise self._error(path, exc) from None  # its text, and that of its causes, may hold the URL whole

    def _error(self, path: str, error: Exception) -> ReelkeeperError:
        """By what lies at the bottom. Only what the URL itself is to blame for ends in quarantine."""
        from yt_dlp.networking.exceptions import HTTPError, RequestError
        from yt_dlp.utils import UnsupportedError

        causes = list(_causes(error))
        cause = next((one for one in causes if isinstance(one, (RequestError, UnsupportedError, OSError))), causes[-1])
        if isinstance(cause, HTTPError):
            cause.close()
            what = f"URL {path!r} answered HTTP status {cause.status}"
            if cause.status in _GONE and cause.status not in _TRY_LATER:
                return InvalidFootage(f"{what}: expected a video", code="unavailable")
            return StoreUnavailable(what)
        if isinstance(cause, UnsupportedError):
            return InvalidFootage(f"URL {path!r} leads to no video that yt-dlp can fetch: expected one", code="bad_url")
        if isinstance(cause, OSError) and not isinstance(cause, RequestError):
            return self._folder_error(path, cause)
        return StoreUnavailable(f"URL {path!r} gave no whole video ({type(cause).__name__})")

    def _folder_error(self, path: str, error: OSError) -> ReelkeeperError:
        text = f"download folder {str(self._folder)!r} cannot hold {path!r}: {error.strerror or type(error).__name__}"
        return StoreFull(text) if error.errno in _NO_ROOM else StoreUnavailable(text)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, as yt-dlp tells: it wraps errors in `exc_info` and `cause`."""
    seen: set[int] = set()
    left: BaseException | None = error
    while left is not None and id(left) not in seen:
        seen.add(id(left))
        yield left
        wrapped = (getattr(left, "exc_info", None) or (None, None))[1] or getattr(left, "cause", None)
        left = wrapped if isinstance(wrapped, BaseException) else left.__cause__ or left.__context__


def without_secrets(url: str) -> str:
    """The URL as rows and logs may know it: see the module."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    parameters = parse_qsl(parts.query, keep_blank_values=True)
    query = urlencode([_without_secret(*one) for one in parameters if not _SIGNATURE.fullmatch(one[0])])
    return urlunsplit((parts.scheme, host, parts.path, query, ""))


def _without_secret(key: str, value: str) -> tuple[str, str]:
    if _HARMLESS.fullmatch(key):
        return key, value
    if not value:  # `?s3cr3t`: the name is the value
        return _short_hash(key), ""
    return key, _short_hash(value)


def _shortened(url: str) -> str:
    """The URL as a row's path, which its index holds only up to some length."""
    return url if len(url.encode()) <= LONGEST_PATH else f"{url[:200]}...{_short_hash(url)}"


def _short_hash(text: str) -> str:
    return new_sha256(text.encode()).hexdigest()[:12]


def _parse(text: str, number: int) -> tuple[str, UrlLine | InvalidFootage]:
    try:
        if not text.isprintable():
            raise ValueError("control characters")
        line = UrlLine.model_validate_json(text) if text.startswith("{") else UrlLine(url=text)
        return _shortened(without_secrets(line.url)), line
    except (ValidationError, ValueError) as exc:
        keys = sorted({str(part) for error in exc.errors() for part in error["loc"]}) if hasattr(exc, "errors") else []
        name = f"line-{new_sha256(text.encode()).hexdigest()[:16]}"  # the text itself may hold a secret
        return name, InvalidFootage(
            f"line {number} of the list is neither a URL nor a JSON object with 'url' and a sidecar's fields"
            + (f" (wrong: {keys})" if keys else ""),
            code="bad_url",
        )


def _found(path: str) -> Found:
    """A URL names its video: it has one version."""
    return Found(path, 0, datetime(1970, 1, 1, tzinfo=UTC))


def _start(info: Mapping[str, Any]) -> datetime | None:
    """When the page, or the server by Last-Modified, says that the video began or came to be."""
    for key in ("timestamp", "release_timestamp"):
        if info.get(key) is not None:
            return datetime.fromtimestamp(info[key], UTC)
    if re.fullmatch(r"\d{8}", info.get("upload_date") or ""):
        return datetime.strptime(info["upload_date"], "%Y%m%d").replace(tzinfo=UTC)
    return None
