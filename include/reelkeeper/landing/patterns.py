"""What a path says about its footage: the camera, and when it starts."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from reelkeeper.errors import InvalidFootage
from reelkeeper.landing.stamps import DATE, OFFSET, TIME, Stamp, parse_stamp, stamp_of_groups

_UTC = ZoneInfo("UTC")
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@dataclass(frozen=True, slots=True)
class PathFacts:
    """What a path says. None: it does not say."""

    start: Stamp
    camera: str | None = None
    tenant: str | None = None


Pattern = Callable[[str, ZoneInfo], PathFacts | None]
"""Reads a path inside a zone, `/`-separated, with the time zone of stamps that carry no offset."""

_REELKEEPER = re.compile(
    r"(?:(?:^|.*/)media/(?P<tenant>[^/]+)/|^(?:.*/)?)(?P<camera>[^/]+)/\d{4}/\d\d/\d\d/"
    rf"(?P<start>\d{{8}}T\d{{6}}Z)_{_UUID}\.[a-z0-9]+"
)
_FRIGATE = re.compile(
    r"(?:.*/)?(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)/(?P<hour>\d\d)/(?P<camera>[^/]+)/"
    r"(?P<minute>\d\d)\.(?P<second>\d\d)\.[A-Za-z0-9]+"
)
_ISO_STAMP = re.compile(rf"(?<!\d)(?:{DATE})[T_ -]?(?:{TIME})(?:{OFFSET})?(?!\d)")
_ISO_DATE = re.compile(rf"(?:{DATE})")
_ISO_TIME = re.compile(rf"(?<!\d)(?:{TIME})(?:{OFFSET})?(?!\d)")
_DATE_FOLDER = re.compile(rf"(?:{DATE}|\d{{4}}-\d\d|\d{{1,4}})")
_SEPARATORS = " _-.@+()[]"


def pattern(text: str) -> Pattern:
    """The built-in pattern of this name, else the regular expression, which must match a whole path or its end.

    `reelkeeper`: our own keys. `frigate`: `recordings/YYYY-MM-DD/HH/camera/MM.SS.mp4` in UTC. `iso`: an ISO 8601 stamp
    in the name or a folder, or a date folder and a time in the name.
    """
    if text == "reelkeeper":
        return lambda path, _: _by_groups(_REELKEEPER.fullmatch(path), _UTC)
    if text == "frigate":
        return lambda path, _: _by_groups(_FRIGATE.fullmatch(path), _UTC)
    if text == "iso":
        return _iso
    custom = re.compile(text)
    return lambda path, zone: _by_groups(custom.search(path), zone)


def read_path(path: str, patterns: Sequence[Pattern], zone: ZoneInfo) -> PathFacts | None:
    """What the first pattern that fits says about `path`; None when none fits."""
    return next((facts for read in patterns if (facts := read(path, zone)) is not None), None)


def require_tenant(facts: PathFacts, tenant: str) -> None:
    """InvalidFootage `wrong_tenant` when the path belongs to another tenant."""
    if facts.tenant not in (None, tenant):
        raise InvalidFootage(
            f"path belongs to tenant {facts.tenant!r}: expected this estate's tenant {tenant!r}", code="wrong_tenant"
        )


def _by_groups(match: re.Match[str] | None, zone: ZoneInfo) -> PathFacts | None:
    if match is None:
        return None
    groups = match.groupdict()
    start = stamp_of_groups(groups, zone)
    return None if start is None else PathFacts(start, groups.get("camera") or None, groups.get("tenant"))


def _iso(path: str, zone: ZoneInfo) -> PathFacts | None:
    """The deepest part of the path with a whole stamp, else a time in the name below a folder that is a date.

    The camera is what stands before the stamp, else the nearest folder above that is not a date.
    """
    parts = path.split("/")
    parts[-1] = parts[-1].rsplit(".", 1)[0]
    for depth in range(len(parts) - 1, -1, -1):
        if (match := _ISO_STAMP.search(parts[depth])) and (start := parse_stamp(match[0], zone)):
            return PathFacts(start, _camera(parts[depth][: match.start()], parts[:depth]))
    return _iso_by_date_folder(parts, zone)


def _iso_by_date_folder(parts: Sequence[str], zone: ZoneInfo) -> PathFacts | None:
    folders, name = parts[:-1], parts[-1]
    match = _ISO_TIME.search(name)
    date = next((folder for folder in reversed(folders) if _ISO_DATE.fullmatch(folder)), None)
    start = parse_stamp(f"{date}T{match[0]}", zone) if match and date else None
    if not match or not start:
        return None
    return PathFacts(start, _camera(name[: match.start()], folders))


def _camera(prefix: str, folders: Sequence[str]) -> str | None:
    if named := prefix.strip(_SEPARATORS):
        return named
    return next((folder for folder in reversed(folders) if not _DATE_FOLDER.fullmatch(folder)), None)
