"""What is expected of the catalogue, as data, and which footage a check of it looks at.

The SQL of an expectation stands in sql/quality under the same name; it gives the rows that are wrong.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Literal

from reelkeeper.model import TimeRange

Severity = Literal["fail", "warn"]
"""Of an expectation that is not met: the run fails, or only tells."""


class Suite(StrEnum):
    """What a group of expectations is about."""

    SEGMENTS = "segments"
    REPLICAS = "replicas"
    TRANSFERS = "transfers"
    EXPORTS = "exports"
    CAMERAS = "cameras"
    STORES = "stores"


class Name(StrEnum):
    """An expectation."""

    SEGMENT_RANGES = "segment_ranges"
    SEGMENT_OVERLAPS = "segment_overlaps"
    SEGMENT_CLOCKS = "segment_clocks"
    SEGMENT_CHECKSUMS = "segment_checksums"
    SEGMENT_SIZES = "segment_sizes"
    SEGMENT_BITRATES = "segment_bitrates"
    SEGMENT_FIELDS = "segment_fields"
    SEGMENT_RETENTION = "segment_retention"
    VERIFIED_REPLICA = "verified_replica"
    REPLICA_MATCHES = "replica_matches"
    REPLICA_CHECKSUMS = "replica_checksums"
    REPLICA_SIZES = "replica_sizes"
    REPLICA_FIELDS = "replica_fields"
    REPLICA_PATHS = "replica_paths"
    TRANSFER_FIELDS = "transfer_fields"
    TRANSFER_SIZES = "transfer_sizes"
    TRANSFER_RESULTS = "transfer_results"
    TRANSFER_QUEUE = "transfer_queue"
    EXPORT_FIELDS = "export_fields"
    EXPORT_FILES = "export_files"
    EXPORT_PROGRESS = "export_progress"
    EXPORT_EXPIRY = "export_expiry"
    CAMERA_SILENCE = "camera_silence"
    CAMERA_COVERAGE = "camera_coverage"
    STORE_RECONCILED = "store_reconciled"
    STORE_LISTING = "store_listing"


@dataclass(frozen=True, slots=True)
class Expectation:
    """One thing that is expected of every row of what it looks at."""

    name: Name
    suite: Suite
    looks_at: str  # the query of sql/quality/looked_at.sql
    says: str  # for people
    severity: Severity = "fail"  # unless estate.toml says otherwise


def _of(suite: Suite, looks_at: str, **says: str) -> list[Expectation]:
    return [Expectation(Name(name), suite, looks_at, text) for name, text in says.items()]


EXPECTATIONS: tuple[Expectation, ...] = (
    *_of(
        Suite.SEGMENTS,
        "looked_segments",
        segment_ranges="A segment ends after it starts, and lasts for a day at most.",
        segment_overlaps="No segment of a camera starts before all that began earlier have ended.",
        segment_clocks="No segment ends in the future.",
        segment_checksums="A segment's checksum is a SHA-256, and not that of no bytes.",
        segment_sizes="A segment has bytes.",
        segment_fields="A segment has all that is required, and is read from a store of the estate.",
        segment_retention="It is known how long a segment is kept.",
    ),
    Expectation(
        Name.SEGMENT_BITRATES,
        Suite.SEGMENTS,
        "looked_segments",
        "A segment is neither too small nor too large for how long it lasts.",
        "warn",
    ),
    *_of(
        Suite.REPLICAS,
        "looked_segments",
        verified_replica="A segment has one verified replica at least, unless its retention is over.",
    ),
    *_of(
        Suite.REPLICAS,
        "looked_replicas",
        replica_matches="A replica has the size and the checksum of its segment.",
        replica_checksums="A replica's checksum is a SHA-256.",
        replica_sizes="A replica has bytes.",
        replica_fields="A replica has all that is required, and its store is one of the estate.",
        replica_paths="No two replicas share an object.",
    ),
    *_of(
        Suite.TRANSFERS,
        "looked_transfers",
        transfer_fields="A transfer has all that is required.",
        transfer_sizes="A transfer that succeeded moved all bytes of its segment.",
        transfer_results="A transfer that succeeded left a replica.",
    ),
    *_of(Suite.TRANSFERS, "looked_queue", transfer_queue="No transfer waits for too long."),
    *_of(
        Suite.EXPORTS,
        "looked_exports",
        export_fields="An export has all that is required.",
        export_files="The files of an export that is done have bytes and a SHA-256; file and manifest are recorded.",
        export_progress="No export is under way for too long.",
    ),
    Expectation(
        Name.EXPORT_EXPIRY, Suite.EXPORTS, "looked_exports", "No export is there for long after it expired.", "warn"
    ),
    *_of(Suite.CAMERAS, "looked_cameras", camera_silence="No camera in service has gone silent."),
    Expectation(
        Name.CAMERA_COVERAGE,
        Suite.CAMERAS,
        "looked_camera_days",
        "A camera in service records enough of each day.",
        "warn",
    ),
    *_of(
        Suite.STORES,
        "looked_stores",
        store_reconciled="Each store was held against its listing lately, and not doubted.",
        store_listing="A store's rows and its objects agree.",
    ),
)

DATED = ("looked_segments", "looked_replicas", "looked_transfers", "looked_camera_days")
"""What is looked at a part of time after another: the rest is little, and looked at once."""
INGESTED = {"looked_segments": "ingested_segments", "looked_replicas": "ingested_replicas"}
"""The queries that take the place of these where a run of ingest is checked."""

_DAY = timedelta(days=1)
END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)


def is_met(*, looked_at: int, wrong: int, mostly: float) -> bool:
    """Whether at least the share `mostly` of the rows that were looked at are right, to the row."""
    return looked_at - wrong >= Decimal(repr(mostly)) * looked_at


def days_looked_at(now: datetime, *, window_days: int, cycle_days: int, oldest: datetime | None) -> list[TimeRange]:
    """The UTC days that a check at `now` looks at: today and `window_days` before it, and every `cycle_days`-th day of
    the older footage, another one each day, so that all of it is looked at once in so many days. And what is dated
    later than today, as one range.

    Ascending. `oldest` is the start of the oldest footage; None: there is none.
    """
    today = now.astimezone(UTC).date()
    first = today - timedelta(days=window_days)
    days = [first + timedelta(days=number) for number in range(window_days + 1)]
    if oldest is not None:
        older = range(oldest.astimezone(UTC).toordinal(), first.toordinal())
        ahead = (today.toordinal() - older.start) % cycle_days
        days = [date.fromordinal(day) for day in older[ahead::cycle_days]] + days
    ranges = [_range_of(day) for day in days]
    return [*ranges, TimeRange(ranges[-1].end, END_OF_TIME)]


def together(ranges: Iterable[TimeRange]) -> list[TimeRange]:
    """The same instants as ascending ranges that do not overlap; those that only touch stay apart."""
    joined: list[TimeRange] = []
    for each in sorted(ranges, key=lambda one: one.start):
        if joined and each.start < joined[-1].end:
            joined[-1] = TimeRange(joined[-1].start, max(joined[-1].end, each.end))
        else:
            joined.append(each)
    return joined


def parts_of(ranges: Sequence[TimeRange], *, now: datetime) -> list[TimeRange]:
    """Ascending ranges as a check asks for them, one after another: joined where they touch, and cut where each month
    until `now` begins, so that no query reads more than a month of the past."""
    joined: list[TimeRange] = []
    for each in ranges:
        touches = joined and joined[-1].end == each.start
        joined[-1:] = [TimeRange(joined[-1].start, each.end)] if touches else [*joined[-1:], each]
    return [part for each in joined for part in _by_month(each, now)]


def _by_month(time_range: TimeRange, now: datetime) -> list[TimeRange]:
    cuts = [time_range.start]
    while (month := _next_month(cuts[-1])) < min(time_range.end, now):
        cuts.append(month)
    return [TimeRange(start, end) for start, end in pairwise([*cuts, time_range.end])]


def _next_month(moment: datetime) -> datetime:
    return datetime(moment.year + moment.month // 12, moment.month % 12 + 1, 1, tzinfo=UTC)


def _range_of(day: date) -> TimeRange:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return TimeRange(start, start + _DAY)


def named(names: Sequence[str]) -> tuple[Suite, ...]:
    """The suites of these names, all of them where none is named. ValueError for another name."""
    return tuple(Suite(name) for name in names) or tuple(Suite)
