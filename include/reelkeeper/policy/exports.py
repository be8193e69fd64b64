"""What an export may be: a request as somebody gave it, checked whole, so that all that is wrong is told at once.

Nothing here knows which cameras there are: `exporting.request` looks them up.
"""

import re
from base64 import b32encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address
from typing import Any, Literal, get_args
from uuid import UUID

from reelkeeper.errors import RequestRefused
from reelkeeper.model import TimeRange, utc

Format = Literal["mp4", "mkv", "ts", "zip"]
Quality = Literal["original", "1080p", "720p", "480p"]
Layout = Literal["separate", "mosaic", "sequence"]
ShownGaps = Literal["join", "black"]
Packaging = Literal["none", "hls_dash"]

HEIGHTS: Mapping[Quality, int | None] = {"original": None, "1080p": 1080, "720p": 720, "480p": 480}
"""Pixels that a picture has at most; None: as it is."""
MOSAIC_CAMERAS = 16
"""Most cameras of one mosaic."""
_LONGEST_TEXT = 120
_LONGEST_REASON = 2000
_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class ExportLimits:
    """What one export may be at most."""

    duration: timedelta = timedelta(days=3)
    cameras: int = 16
    expiry_days: int = 7  # where none is asked for
    most_expiry_days: int = 365


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What somebody wants to have, and why."""

    cameras: tuple[str, ...]  # slugs or ids, as they were named
    time_range: TimeRange
    reason: str
    created_by: str
    format: Format = "mp4"
    quality: Quality = "original"
    layout: Layout = "separate"
    gaps: ShownGaps = "join"
    watermark: str | None = None  # the text; None: no watermark
    burns_time: bool = False
    burns_camera: bool = False
    packaging: Packaging = "none"
    ladder: bool = False
    expires_in: timedelta = timedelta(days=7)
    ip_address: str | None = None
    user_agent: str | None = None

    @property
    def is_composed(self) -> bool:
        """Whether the cameras' cuts are parts of something else, and not themselves what people get."""
        return self.layout != "separate" or self.format == "zip"

    @property
    def height(self) -> int | None:
        """Pixels that the picture has at most; None: as it is."""
        return HEIGHTS[self.quality]


def watermark_id(export: UUID) -> str:
    """What stands in the picture beside the watermark and leads back to the export: `7K2M-QX4A`."""
    letters = b32encode(sha256(export.bytes).digest())[:8].decode()
    return f"{letters[:4]}-{letters[4:]}"


def read_request(given: Mapping[str, object], *, limits: ExportLimits, now: datetime) -> ExportRequest:
    """The request that these fields make, those of the form of `generate_export`. What is None or missing is as usual.

    RequestRefused with all that is wrong, each with the field, its value and what was expected.
    """
    read = _Reader(given)
    limit = limits.cameras
    cameras = read.names("camera_ids", most=limit)
    start, end = read.time("start_time"), read.time("end_time")
    time_range = _time_range(read, start, end, limits, now)
    form: Format = read.choice("format", "mp4", get_args(Format))
    layout: Layout = read.choice("layout", "separate", get_args(Layout))
    packaging: Packaging = read.choice("packaging", "none", get_args(Packaging))
    has_watermark, text = read.flag("watermark"), read.text("watermark_text", most=_LONGEST_TEXT)
    ladder = read.flag("ladder")
    days = read.days("expiry_days", limits.expiry_days, limits.most_expiry_days)
    by = read.text("created_by", most=_LONGEST_TEXT, required=True)
    if form == "zip" and layout != "separate":
        read.wrong("format", "'separate' as layout: a zip holds one file for each camera")
    if layout == "mosaic" and len(cameras) > MOSAIC_CAMERAS:
        read.wrong("camera_ids", f"at most {MOSAIC_CAMERAS} cameras in a mosaic")
    if packaging != "none" and (form == "zip" or (layout == "separate" and len(cameras) > 1)):
        read.wrong("packaging", "'none' for several files: a playlist shows one picture (a mosaic, a sequence, or one "
                   "camera)")  # fmt: skip
    if ladder and packaging == "none":
        read.wrong("ladder", "false without packaging")
    if text and not has_watermark:
        read.wrong("watermark_text", "none without a watermark: set watermark to true")
    quality: Quality = read.choice("quality", "original", get_args(Quality))
    gaps: ShownGaps = read.choice("gaps", "join", get_args(ShownGaps))
    reason = read.text("reason", most=_LONGEST_REASON, required=True)
    burns_time, burns_camera = read.flag("burn_in_time"), read.flag("burn_in_camera")
    address, agent = read.address("ip_address"), read.text("user_agent", most=1000)
    if read.problems or time_range is None:
        raise RequestRefused(*read.problems)
    return ExportRequest(
        cameras, time_range, reason, by, form, quality, layout, gaps,
        (text or f"exported by {by}")[:_LONGEST_TEXT] if has_watermark else None,
        burns_time, burns_camera, packaging, ladder, timedelta(days=days), address, agent or None,
    )  # fmt: skip


def _time_range(
    read: "_Reader", start: datetime | None, end: datetime | None, limits: ExportLimits, now: datetime
) -> TimeRange | None:
    if end is not None and end > utc(now):
        read.wrong("end_time", f"a time that is not after now, {utc(now).isoformat(timespec='seconds')}")
    if start is None or end is None:
        return None
    if end <= start:
        read.wrong("end_time", f"a time after start_time, {start.isoformat()}")
        return None
    if end - start > limits.duration:
        read.wrong("end_time", f"a range of at most {limits.duration}, 'exports.max_hours' of estate.toml; this one is "
                   f"{end - start}")  # fmt: skip
    return TimeRange(start, end)


class _Reader:
    """Reads fields one by one, and notes what is wrong with each."""

    def __init__(self, given: Mapping[str, object]) -> None:
        self._given = given
        self.problems: list[str] = []

    def wrong(self, field: str, expected: str) -> None:
        self.problems.append(f"{field} is {self._given.get(field)!r}: expected {expected}")

    def names(self, field: str, *, most: int) -> tuple[str, ...]:
        value = self._given.get(field)
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, Sequence) or not all(isinstance(name, str) and name.strip() for name in names):
            self.wrong(field, "names or ids of cameras, at least one")
            return ()
        found = tuple(str(name).strip() for name in names)
        if not 1 <= len(found) <= most:
            self.wrong(field, f"1 to {most} cameras ('exports.max_cameras' of estate.toml)")
        if len(set(found)) < len(found):
            self.wrong(field, "each camera once")
        return found

    def time(self, field: str) -> datetime | None:
        value = self._given.get(field)
        try:
            moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
            return utc(moment)
        except (ValueError, OverflowError):
            self.wrong(field, "an ISO 8601 time with a zone, such as '2026-01-31T20:00:00Z'")
            return None

    def choice(self, field: str, usual: str, choices: Sequence[str]) -> Any:
        value = self._given.get(field)
        if value in (None, ""):
            return usual
        if value not in choices:
            self.wrong(field, f"one of {list(choices)}")
            return usual
        return value

    def flag(self, field: str) -> bool:
        value = self._given.get(field)
        if value is not None and not isinstance(value, bool):
            self.wrong(field, "true or false")
        return value is True

    def text(self, field: str, *, most: int, required: bool = False) -> str:
        value = self._given.get(field)
        if value is None:
            value = ""
        if not isinstance(value, str) or len(value) > most or _CONTROL.search(value.replace("\n", " ")):
            self.wrong(field, f"a text of at most {most} characters, without control characters")
            return ""
        if required and not value.strip():
            self.wrong(field, "a text: it stands in the manifest")
        return value.strip()

    def days(self, field: str, usual: int, most: int) -> int:
        value = self._given.get(field)
        if value is None:
            return usual
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            self.wrong(field, f"a whole number of days from 1 to {most}")
            return usual
        return value

    def address(self, field: str) -> str | None:
        value = self._given.get(field)
        if value in (None, ""):
            return None
        try:
            return str(ip_address(str(value)))
        except ValueError:
            self.wrong(field, "an IP address")
            return None
