"""The SQL of the expectations, for one check: what is looked at, and which rows of it are wrong."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.model import TimeRange
from reelkeeper.policy.quality import EXPECTATIONS, INGEST_SUITES, Expectation, Severity, Suite
from reelkeeper.settings import Demand, Estate

INGESTED = "ingested_segments"
"""The query of sql/quality that takes the place of ranges where a run of ingest is checked."""


@dataclass(frozen=True, slots=True)
class Demanded:
    """An expectation, what becomes of it when it is not met, and its SQL. `wrong_rows` reads from `looked`, which is
    the name of what `looks_at` gives."""

    expectation: Expectation
    severity: Severity
    mostly: float
    looks_at: str
    wrong_rows: str

    @property
    def statement(self) -> str:
        """All of it, as one statement."""
        return f"WITH looked AS ({self.looks_at}) {self.wrong_rows}"


def of_days(
    estate: Estate, catalogue: Catalogue, suites: Collection[Suite], days: Sequence[TimeRange], *, now: datetime
) -> list[Demanded]:
    """What these suites expect of the footage of some days, and of what has no day. Errors of the catalogue."""
    ranges = {"firsts": [day.start for day in days], "lasts": [day.end for day in days]}
    values = _values(estate, now) | ranges | {"looks_ahead": False}
    return [_demanded(estate, catalogue, one, one.looks_at, values) for one in EXPECTATIONS if one.suite in suites]


def of_ingest(estate: Estate, catalogue: Catalogue, run_id: str, *, now: datetime) -> list[Demanded]:
    """What is expected of that which a run of ingest took in. Errors of the catalogue."""
    values = _values(estate, now) | {"run_id": run_id, "looks_ahead": True}
    return [_demanded(estate, catalogue, one, INGESTED, values) for one in EXPECTATIONS if one.suite in INGEST_SUITES]


def _demanded(
    estate: Estate, catalogue: Catalogue, expectation: Expectation, looks_at: str, values: Mapping[str, object]
) -> Demanded:
    demand = estate.quality.expectations.get(expectation.name, Demand())
    return Demanded(
        expectation,
        demand.severity or expectation.severity,
        demand.mostly,
        catalogue.quality.statement(looks_at, **values),
        catalogue.quality.statement(expectation.name, **values),
    )


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
