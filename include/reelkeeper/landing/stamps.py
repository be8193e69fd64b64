"""Times as they stand in names of files and folders.

A stamp without an offset is local time. Where clocks go back an hour happens twice, and where they go forward an hour
does not happen: such a stamp names two instants, and only another witness can tell which is meant. Guessing would date
footage wrongly, or let one hour's footage meet the other's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from reelkeeper.errors import InvalidFootage
from reelkeeper.model import utc

WITNESS_TOLERANCE = timedelta(seconds=120)
"""How near to the footage's end a file's time of modification must be to witness which of two instants is meant."""

DATE = r"\d{4}-\d\d-\d\d|\d{8}"
TIME = r"\d\d[-:._]\d\d[-:._]\d\d(?:[.,]\d{1,6})?|\d{6}(?:[.,]\d{1,6})?"
_HOURS, _MINUTES = r"(?:0\d|1[0-4])", r"(?:00|15|30|45)"
OFFSET = rf"Z|z|\+{_HOURS}[-:]?{_MINUTES}|-{_HOURS}[-:]{_MINUTES}|(?<=T\d{{6}})-{_HOURS}{_MINUTES}"
"""Only offsets that exist, and `-0100` only after a basic stamp: elsewhere it is more likely a running number."""
_STAMP = re.compile(rf"(?P<date>{DATE})[T_ -]?(?P<time>{TIME})(?P<offset>{OFFSET})?")
_PARTS = ("year", "month", "day", "hour", "minute", "second")
_WHY = {
    "ambiguous_time": "happened twice, as the clocks went back",
    "nonexistent_time": "did not happen, as the clocks went forward",
}


@dataclass(frozen=True, slots=True)
class Stamp:
    """A start time as a name gives it: one instant in UTC, or two where local time leaves that open."""

    instants: tuple[datetime, ...]
    text: str
    doubt: Literal["ambiguous_time", "nonexistent_time"] | None = None

    @classmethod
    def at(cls, moment: datetime) -> "Stamp":
        """An instant that nobody doubts."""
        return cls((utc(moment),), moment.isoformat())

    def resolve(self, *, duration: timedelta, modified_at: datetime) -> datetime:
        """The instant, in UTC.

        Of two, the one whose footage, `duration` long, would have ended when the file was last modified; InvalidFootage
        with the doubt as its code when that fits neither or both.
        """
        if self.doubt is None:
            return self.instants[0]
        fitting = [at for at in self.instants if abs(at + duration - modified_at) <= WITNESS_TOLERANCE]
        if len(fitting) != 1:
            raise InvalidFootage(
                f"local time {self.text!r} {_WHY[self.doubt]}: expected a sidecar or a name with an offset "
                f"(it may be {' or '.join(at.isoformat() for at in self.instants)})",
                code=self.doubt,
            )
        return fitting[0]


def parse_stamp(text: str, zone: ZoneInfo) -> Stamp | None:
    """The ISO 8601 stamp that `text` is, basic or extended, `-`, `.` or `_` for `:`. None when it is not one."""
    match = _STAMP.fullmatch(text)
    if match is None:
        return None
    date, digits = match["date"].replace("-", ""), re.sub(r"[-:_]", "", match["time"])
    clock, _, fraction = re.sub(r"^(\d\d)\.(\d\d)\.(\d\d)", r"\1\2\3", digits).replace(",", ".").partition(".")
    return _stamp(
        text, (date[:4], date[4:6], date[6:], clock[:2], clock[2:4], clock[4:]), fraction, match["offset"], zone
    )


def stamp_of_groups(groups: Mapping[str, str | None], zone: ZoneInfo) -> Stamp | None:
    """The stamp of a match with the group `start`, or the groups `year month day hour minute second`."""
    if groups.get("start"):
        return parse_stamp(str(groups["start"]), zone)
    parts = [groups.get(part) for part in _PARTS]
    if not all(parts):
        return None
    texts = tuple(str(part) for part in parts)
    return _stamp("{}-{}-{} {}:{}:{}".format(*texts), texts, "", None, zone)


def _stamp(text: str, parts: tuple[str, ...], fraction: str, offset: str | None, zone: ZoneInfo) -> Stamp | None:
    try:
        year, month, day, hour, minute, second = (int(part) for part in parts)
        wall = datetime(year, month, day, hour, minute, second, int(fraction.ljust(6, "0") or 0), tzinfo=UTC)
        if offset is None:
            return _local(text, wall.replace(tzinfo=zone))
        return Stamp((wall - _offset(offset),), text)
    except (ValueError, OverflowError):  # month 13, 25 o'clock, the year 0
        return None


def _offset(text: str) -> timedelta:
    if text in ("Z", "z"):
        return timedelta(0)
    digits = re.sub(r"\D", "", text)
    return timedelta(hours=int(digits[:2]), minutes=int(digits[2:])) * (-1 if text[0] == "-" else 1)


def _local(text: str, wall: datetime) -> Stamp:
    first, second = (wall.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return Stamp((first,), text)
    happens = first.astimezone(wall.tzinfo).replace(tzinfo=None) == wall.replace(tzinfo=None)
    return Stamp(tuple(sorted((first, second))), text, "ambiguous_time" if happens else "nonexistent_time")
