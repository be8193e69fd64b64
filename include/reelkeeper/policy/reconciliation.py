"""Reconciliation: what an object without a row, and a row without an object, mean, and when something may be done.

Nothing here deletes or concludes by itself: these are the questions that the job asks before it does.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from reelkeeper.model import SegmentId

MEDIA, THUMBNAILS, QUARANTINE = "media/", "thumbnails/", "quarantine/"
DAMAGED = (f"{QUARANTINE}damaged/", *(f"{QUARANTINE}damaged-{number}/" for number in range(2, 10)))
"""Where copies of damaged objects lie in quarantine, each below the first of these that was free."""
_OUR_KEY = re.compile(
    r"(?:media|thumbnails)/[^/]+/[a-z0-9._-]+/(\d{4})/(\d\d)/(\d\d)/(\d{8})T\d{6}Z_"
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\.[a-z0-9]{1,10}"
)
_NAMES_SEGMENT = re.compile(r"_([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.[a-z0-9]{1,10}$")


@dataclass(frozen=True, slots=True)
class OrphanTerms:
    """When an orphan may go to quarantine."""

    sightings: int  # runs that must have seen it
    min_age: timedelta  # by the store's own clock

    def modified_before(self, store_clock: datetime) -> datetime:
        """An object that was written at this time or earlier is old enough."""
        return store_clock - self.min_age


def is_ripe(sightings: int, modified_at: datetime, store_clock: datetime, terms: OrphanTerms) -> bool:
    """Whether an orphan may go to quarantine: seen often enough, and old by the clock that stamped it.

    One from the future is young: the clock that says so is not to be trusted with a deletion.
    """
    return sightings >= terms.sightings and modified_at <= terms.modified_before(store_clock)


def is_sick(absent: int, replicas: int, *, count: int, ratio: float) -> bool:
    """Whether a store lacks so many of its replicas at once that it is the store that is doubted, and not they.

    It is from `count` on that are also a share of `ratio` (0–1) or more.
    """
    return absent >= count and absent >= Decimal(str(ratio)) * replicas


def own_prefixes(tier_prefixes: Iterable[str]) -> tuple[str, ...]:
    """Where our objects lie in a store whose tiers have these prefixes. What lies elsewhere is somebody else's."""
    return (MEDIA, THUMBNAILS, *(f"{prefix}{MEDIA}" for prefix in sorted(set(tier_prefixes))))


def is_our_key(path: str, prefixes: Iterable[str]) -> bool:
    """Whether a key has the exact form of `media_key` or `thumbnail_key`, below one of our prefixes. Whatever else lies
    there, a customer's own folder named `media` say, is somebody else's."""
    for prefix in prefixes:
        before = prefix.removesuffix(MEDIA) if prefix.endswith(MEDIA) else prefix.removesuffix(THUMBNAILS)
        if path.startswith(prefix) and (found := _OUR_KEY.fullmatch(path.removeprefix(before))):
            return found[1] + found[2] + found[3] == found[4]
    return False


def origin_of(path: str) -> str:
    """Where what lies in quarantine was found, as its key says; any other path itself."""
    prefix = next((prefix for prefix in (*DAMAGED, QUARANTINE) if path.startswith(prefix)), "")
    return path.removeprefix(prefix)


def segment_named(path: str) -> SegmentId | None:
    """The segment whose media or thumbnail a key of ours names, as `media_key` made it; None for any other key."""
    found = _NAMES_SEGMENT.search(path)
    return SegmentId(UUID(found[1])) if found else None
