"""`[retention]`, `[reconcile]`, `[verification]` and the caps: what stays, what goes, what is looked at again."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from reelkeeper.settings.sections.section import Section
from reelkeeper.settings.values import Ratio, Size, Whole


class Caps(Section):
    """How much one run may take away. Each is a count and a ratio of what the store holds; the lower one counts."""

    soft_count: Annotated[Whole, Field(ge=0)] = 10_000
    """Objects above which a person must approve the run in the Airflow UI."""
    soft_ratio: Ratio = 0.05
    """Share of the store's objects above which a person must approve the run."""
    hard_count: Annotated[Whole, Field(ge=0)] = 1_000_000
    """Objects above which the run fails, and nothing is deleted."""
    hard_ratio: Ratio = 0.5
    """Share of the store's objects above which the run fails, and nothing is deleted."""
    ratio_from: Annotated[Whole, Field(ge=0)] = 100
    """Objects that a store must hold for the shares to count: the last one of a store is all of it, and may go."""

    @model_validator(mode="after")
    def _soft_below_hard(self) -> Self:
        if self.soft_count > self.hard_count or self.soft_ratio > self.hard_ratio:
            raise ValueError("expected soft caps not above the hard ones")
        return self


class RetentionCaps(Caps):
    """How much one run of `enforce_retention` may take from one store."""


class ReconcileCaps(Caps):
    """How many orphans one run of `reconcile_stores` may take from one store."""

    soft_count: Annotated[Whole, Field(ge=0)] = 1000
    """Objects above which a person must approve the run in the Airflow UI."""
    soft_ratio: Ratio = 0.01
    """Share of the store's objects above which a person must approve the run."""
    hard_count: Annotated[Whole, Field(ge=0)] = 100_000
    """Objects above which the run fails, and nothing is touched."""
    hard_ratio: Ratio = 0.1
    """Share of the store's objects above which the run fails, and nothing is touched."""
    ratio_from: Annotated[Whole, Field(ge=0)] = 0
    """Objects that a store must hold for the shares to count: orphans in a small store are as odd as in a large one."""


class Retention(Section):
    """How long footage is kept."""

    default_days: Annotated[Whole, Field(gt=0)] = 90
    """Days for cameras that have no retention of their own."""
    min_days_after_ingest: Annotated[Whole, Field(ge=0)] = 7
    """Days that footage is kept from when it came in, however old its date says it is (a camera whose clock was reset,
    an archive that was adopted); not longer than its retention. 0: its date alone counts."""
    grace_hours: Annotated[Whole, Field(ge=0)] = 24
    """How long what was condemned can still be brought back, before its bytes are deleted."""
    upload_hours: Annotated[Whole, Field(ge=1)] = 24
    """Age from which a multipart upload that was not completed is aborted."""
    history_days: Annotated[Whole, Field(ge=1)] = 90
    """How long finished work lists are kept: batches with their items, landing files that left their zone."""
    report_days: Annotated[Whole, Field(ge=1)] = 400
    """How long reports are kept (`reports/…` in the exports store, by the store's clock), and the history of alarms: a
    year's audit finds them."""


class Reconcile(Section):
    """How the catalogue and the stores are held against each other."""

    min_age_hours: Annotated[Whole, Field(ge=24)] = 24
    """Age of an object, by its store's clock, below which it is no orphan yet."""
    sightings: Annotated[Whole, Field(ge=2)] = 2
    """In how many runs an orphan must have been seen before it goes to quarantine."""
    quarantine_days: Annotated[Whole, Field(ge=1)] = 30
    """How long an orphan stays in quarantine before it is deleted."""
    sick_count: Annotated[Whole, Field(gt=0)] = 100
    """A store that lacks at least this many replicas at once, and at least `sick_ratio` of them, is taken for sick:
    nothing is concluded."""
    sick_ratio: Ratio = 0.05
    """The share that goes with `sick_count`."""


class Verification(Section):
    """How `verify_replicas` looks at what is there."""

    method: Literal["auto", "presence", "size", "hash"] = "auto"
    """presence: the object is there. size: and as large as recorded. hash: all its bytes are those recorded; they are
    read whole, which a cloud provider charges for: from the colder classes, monthly, more than those save. auto: hash
    in stores without a price list, size in the others. What is doubted is read whole in any case."""
    bytes_per_run: Size = 256 * 2**30
    """Most bytes that one run reads from one store; the next goes on where it stopped."""
    cycle_days: Annotated[Whole, Field(gt=0)] = 30
    """How old a verification may become: replicas that were verified less long ago are left alone."""
