"""The SQL of the expectations, for one check: what is looked at, and which rows of it are wrong."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.model import MAX_SEGMENT_DURATION, TimeRange
from reelkeeper.policy.quality import DATED, END_OF_TIME, EXPECTATIONS, INGESTED, Expectation, Severity, Suite, parts_of
from reelkeeper.settings import Demand, Estate


@dataclass(frozen=True, slots=True)
class Part:
    """What is asked at once. `wrong_rows` reads from `looked`, which is the name of what `looks_at` gives."""

    what: str  # of what it is, for people
    looks_at: str
    wrong_rows: str
    time_range: TimeRange | None = None  # that it is of; None: of what has no day

    @property
    def statement(self) -> str:
        """All of it, as one statement."""
        return f"WITH looked AS ({self.looks_at}) SELECT * FROM ({self.wrong_rows}) AS wrong"  # noqa: S608  (bound)


@dataclass(frozen=True, slots=True)
class Demanded:
    """An expectation, what becomes of it when it is not met, and its SQL, part by part. Expectations of one suite that
    look at the same have the same parts."""

    expectation: Expectation
    severity: Severity
    mostly: float
    parts: tuple[Part, ...]


def of_days(
    estate: Estate, catalogue: Catalogue, suites: Collection[Suite], days: Sequence[TimeRange], *, now: datetime
) -> list[Demanded]:
    """What these suites expect of the footage and history of some days, and of what has no day. Errors of the
    catalogue."""
    values = _values(estate, now) | {"looks_ahead": False}
    dated = [(_said(each), values | _ends(each), each) for each in parts_of(days, now=now)]
    undated = [("all", values | {"firsts": [day.start for day in days], "lasts": [day.end for day in days]}, None)]
    return [
        _demanded(estate, catalogue, one, one.looks_at, dated if one.looks_at in DATED else undated)
        for one in EXPECTATIONS
        if one.suite in suites
    ]


def of_ingest(
    estate: Estate, catalogue: Catalogue, run_id: str, time_range: TimeRange, *, now: datetime
) -> list[Demanded]:
    """What is expected of that which a run of ingest took in; it starts within `time_range`. Errors of the
    catalogue."""
    parts = [(run_id, _values(estate, now) | _ends(time_range) | {"run_id": run_id, "looks_ahead": True}, time_range)]
    return [
        _demanded(estate, catalogue, one, INGESTED[one.looks_at], parts)
        for one in EXPECTATIONS
        if one.looks_at in INGESTED
    ]


def _demanded(
    estate: Estate, catalogue: Catalogue, expectation: Expectation, looks_at: str,
    parts: Sequence[tuple[str, Mapping[str, object], TimeRange | None]],
) -> Demanded:  # fmt: skip
    demand = estate.quality.expectations.get(expectation.name, Demand())
    bound = catalogue.quality.statement
    return Demanded(
        expectation,
        demand.severity or expectation.severity,
        demand.mostly,
        tuple(
            Part(what, bound(looks_at, **values), bound(expectation.name, **values), time_range)
            for what, values, time_range in parts
        ),
    )


def _ends(time_range: TimeRange) -> dict[str, object]:
    """A range as the queries name it, and how far before and after it a segment that touches it may start."""
    return {
        "first": time_range.start, "last": time_range.end,
        "day_before": time_range.start - MAX_SEGMENT_DURATION, "day_after": time_range.end + MAX_SEGMENT_DURATION,
    }  # fmt: skip


def _said(time_range: TimeRange) -> str:
    first, last = time_range.start.date(), (time_range.end - timedelta.resolution).date()
    if last >= END_OF_TIME.date() - timedelta(days=1):
        return f"{first} and later"
    return str(first) if first == last else f"{first} to {last}"


def _values(estate: Estate, now: datetime) -> dict[str, object]:
    """The thresholds of estate.toml, by the names that the queries have for them."""
    rules = estate.quality
    in_service = timedelta(days=rules.in_service_days)
    return {
        "now": now,
        "stores": [store.name for store in estate.stores],
        "default_days": estate.retention.default_days,
        "overlap_tolerance": timedelta(seconds=rules.overlap_seconds),
        "clock_tolerance": timedelta(minutes=rules.clock_minutes),
        "least_bytes_per_second": rules.min_bytes_per_second,
        "most_bytes_per_second": rules.max_bytes_per_second,
        "in_service_for": in_service,
        "in_service_since": now - in_service,
        "out_of_service": list(rules.out_of_service),
        "silent_after": timedelta(hours=rules.silent_hours or estate.alarms.camera_silent_hours),
        "min_coverage_ratio": rules.min_coverage_ratio,
        "stuck_after": timedelta(hours=rules.stuck_hours),
        "reconciled_within": timedelta(hours=rules.reconciled_hours),
        "max_listing_difference_ratio": rules.max_listing_difference_ratio,
    }
