"""`[quality]`: what is expected of the catalogue."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from reelkeeper.policy import quality
from reelkeeper.settings.sections.section import Section
from reelkeeper.settings.values import Ratio, Seconds, Whole


class Demand(Section):
    """What becomes of an expectation that is not met."""

    severity: Literal["fail", "warn"] | None = None
    """fail: the run fails. warn: it only tells. By default the expectation's own, which docs/operations.md lists."""
    mostly: Ratio = 1.0
    """Share of the rows looked at that must be right: 0.999 means one of a thousand may be wrong."""


class Quality(Section):
    """What is expected of the catalogue (`check_catalogue`), and of what a run of `ingest_recordings` took in."""

    expectations: Mapping[quality.Name, Demand] = Field(default_factory=dict)
    """Expectations that count differently: `expectations.camera_coverage = { severity = "fail", mostly = 0.9 }`."""
    check_ingest: bool = True
    """Whether each run of `ingest_recordings` that took something in checks it at once. That takes some seconds."""
    window_days: Annotated[Whole, Field(ge=1, le=366)] = 3
    """How many days before today each check looks at, beside today."""
    cycle_days: Annotated[Whole, Field(ge=1, le=366)] = 30
    """In how many days the older footage is gone through once: with 30, each check looks at every thirtieth day of
    it."""
    overlap_seconds: Annotated[Seconds, Field(ge=0)] = 2
    """By how much segments of one camera may overlap: a recorder that cuts at key frames repeats some, and many name
    their files by whole seconds."""
    clock_minutes: Annotated[Seconds, Field(ge=0)] = 10
    """How far a camera's clock may be ahead of ours."""
    min_bytes_per_second: Annotated[Seconds, Field(ge=0)] = 10
    """Bytes that a second of footage has at least."""
    max_bytes_per_second: Annotated[Seconds, Field(gt=0)] = 125_000_000
    """Bytes that a second of footage has at most: a gigabit."""
    silent_hours: Annotated[Whole, Field(gt=0)] | None = None
    """How long ago the last segment of a camera in service may have ended; by default `alarms.camera_silent_hours`."""
    in_service_days: Annotated[Whole, Field(gt=0, le=366)] = 30
    """A camera that has recorded nothing for so long is not in service any more: nothing is expected of it."""
    out_of_service: tuple[str, ...] = ()
    """Cameras that are not in service, by slug or tenant/slug: nothing is expected of them while they stand here."""
    min_coverage_ratio: Ratio = 0.9
    """Share of a day that a camera in service records. Cameras that record on motion alone need less."""
    stuck_hours: Annotated[Whole, Field(gt=0)] = 72
    """How long a transfer or an export may wait without a sign of life, or an export stay after it expired."""
    reconciled_hours: Annotated[Whole, Field(gt=0)] = 50
    """How long ago a store may have been held against its listing: `reconcile_stores` runs daily."""
    max_listing_difference_ratio: Ratio = 0.001
    """Share of a store's objects that may be orphans, and of its rows that may lack their object."""
    examples: Annotated[Whole, Field(gt=0, le=200)] = 10
    """How many wrong rows the log, the error and the page show of each expectation; its report has all of them."""
    report_rows: Annotated[Whole, Field(gt=0)] = 100_000
    """Most rows of such a report."""
    timeout_minutes: Annotated[Whole, Field(gt=0)] = 10
    """How long one query of a check may take. It asks about a month of footage or history at most."""
    history_days: Annotated[Whole, Field(gt=0)] = 400
    """How long the catalogue keeps what earlier checks found."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        least, most = self.min_bytes_per_second, self.max_bytes_per_second
        if least >= most:
            got = f"got {least:.15g} and {most:.15g}"
            raise ValueError(f"expected 'min_bytes_per_second' below 'max_bytes_per_second'; {got}")
        return self
