"""Restoring: which copies must be restored before they can be read, how fast a class can be, and when to look again.

The classes, their retrieval options and usual times are Amazon S3's:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html (read 2026-11-21).
Google's archive class is read at once, and other servers have no classes: nothing there is ever restored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import get_args

from reelkeeper.errors import ConfigurationError
from reelkeeper.model import Replica, ReplicaState, utc
from reelkeeper.policy.prices import Speed

SPEEDS: tuple[Speed, ...] = get_args(Speed)
"""The provider's retrieval options, the fastest first."""

_LEAST_PAUSE = timedelta(minutes=1)
_MOST_PAUSE = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, order=True)
class UsualTime:
    """How long a restore usually takes. The provider promises none of it."""

    most: timedelta
    least: timedelta

    def __str__(self) -> str:
        """`3–5 h`, `1–5 min`, `12 h`."""
        unit, name = (timedelta(hours=1), "h") if self.most >= timedelta(hours=1) else (timedelta(minutes=1), "min")
        least, most = self.least // unit, self.most // unit
        return f"{most} {name}" if least == most else f"{least}–{most} {name}"


def _hours(least: int, most: int) -> UsualTime:
    return UsualTime(least=timedelta(hours=least), most=timedelta(hours=most))


USUAL_TIMES: Mapping[str, Mapping[Speed, UsualTime]] = {
    "GLACIER": {
        "expedited": UsualTime(least=timedelta(minutes=1), most=timedelta(minutes=5)),
        "standard": _hours(3, 5),
        "bulk": _hours(5, 12),
    },
    "DEEP_ARCHIVE": {"standard": _hours(12, 12), "bulk": _hours(48, 48)},
}
"""The storage classes that must be restored, and the speeds that each has."""


def needs_restore(storage_class: str | None) -> bool:
    """Whether objects of this class cannot be read until they are restored."""
    return storage_class in USUAL_TIMES


def can_be_read(replica: Replica, now: datetime) -> bool:
    """Whether the bytes of a replica can be asked for now, as far as its class goes."""
    if not needs_restore(replica.storage_class):
        return True
    return replica.readable_until is not None and replica.readable_until > utc(now)


def is_served(replica: Replica) -> bool:
    """Whether a replica may be read or restored at all: one that is doubted may, as unknown is not missing."""
    return replica.state in (ReplicaState.AVAILABLE, ReplicaState.SUSPICIOUS)


def speed_for(storage_class: str, wished: Speed) -> Speed:
    """The wished speed, or the next slower one that the class has. ConfigurationError for a class without restores."""
    has = _speeds_of(storage_class)
    return next(speed for speed in SPEEDS[SPEEDS.index(wished) :] if speed in has)


def usual_time(storage_class: str, speed: Speed) -> UsualTime:
    """How long a restore from a class usually takes. ConfigurationError for a class or speed that there is not."""
    has = _speeds_of(storage_class)
    if speed not in has:
        raise ConfigurationError(f"speed {speed!r} of class {storage_class!r}: expected one of {[*has]}")
    return has[speed]


def next_look(requested_at: datetime, expected_at: datetime, now: datetime) -> datetime:
    """When to look again at a restore that is under way.

    From half of its usual time on, every twentieth of it, but at least a minute and at most half an hour apart: looks
    cost requests, and a restore that is found late costs days of a copy that nobody reads.
    """
    usual = expected_at - requested_at
    pause = min(max(usual / 20, _LEAST_PAUSE), _MOST_PAUSE)
    return max(requested_at + usual / 2, now + pause)


def _speeds_of(storage_class: str) -> Mapping[Speed, UsualTime]:
    if storage_class not in USUAL_TIMES:
        raise ConfigurationError(f"storage class {storage_class!r} needs no restore: expected one of {[*USUAL_TIMES]}")
    return USUAL_TIMES[storage_class]
