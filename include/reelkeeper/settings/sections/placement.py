"""`[placement]`, `[rollout]` and `[migration]`: where footage goes."""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from reelkeeper.policy.rollout import Percentage
from reelkeeper.settings.sections.section import Section
from reelkeeper.settings.values import Percent, Ratio, Seconds, Size, Whole


class Placement(Section):
    """Where footage goes."""

    mode: Literal["local", "cloud", "hybrid", "milestone"] = "hybrid"
    """local: nothing goes to the cloud. cloud: everything does. hybrid: what the rollout wants does.
    milestone: the VMS alone records; nothing is ingested."""
    local_store: str
    """The primary store, on premises: of kind filesystem or minio (of any kind when mode is local)."""
    cloud_store: str | None = None
    """Where the rollout sends footage; needed in modes cloud and hybrid."""
    at_ingest: Literal["local", "rollout"] = "local"
    """local: footage lands in the local store and the migration copies it. rollout: what the rollout (or mode cloud)
    wants in the cloud is written there at once, and to the local store only when the cloud fails."""
    thumbnail_store: str | None = None
    """By default the local store."""
    export_store: str | None = None
    """Where exports and reports are kept; by default the cloud store, else the local store."""

    @property
    def exports_in(self) -> str:
        """The name of the store that keeps exports and reports."""
        return self.export_store or self.cloud_store or self.local_store


class Rollout(Section):
    """The percentage ramp that sends segments to the cloud."""

    percentage: Percent = Percentage(0)
    """Share of segments that mode hybrid wants in the cloud, 0 to 100: 10 means 10 %, 0.1 means 0.1 %. Raising it only
    adds segments. `advance_rollout` goes on from here; a change of this value starts the ramp anew from it."""
    steps: tuple[Percent, ...] = tuple(Percentage(percent * 100) for percent in (10, 25, 50, 75, 100))
    """The percentages that the ramp goes through, rising."""
    advance: Literal["automatic", "ask", "hold"] = "hold"
    """What `advance_rollout` does when all is well: takes the next step, asks a person, or stays. It steps back by
    itself in each case but hold, in which it only tells."""
    dwell_hours: Annotated[Whole, Field(gt=0)] = 168
    """How long a step is watched before the next."""
    window_minutes: Annotated[Whole, Field(gt=0, le=1440)] = 5
    """Over how long a failure rate is measured."""
    max_failure_ratio: Ratio = 0.05
    """Share of a window's transfers to the cloud that may fail: above it the ramp steps back."""
    max_upload_seconds: Annotated[Seconds, Field(gt=0)] = 30
    """Mean time of an upload above which the ramp does not go on."""
    min_transfers: Annotated[Whole, Field(gt=0)] = 100
    """Fewer transfers than this in a dwell time (or a tenth of it in a window) say nothing."""

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not self.steps or any(one >= other for one, other in pairwise(self.steps)):
            raise ValueError(f"expected rising 'steps', such as [10, 25, 50, 75, 100]; got {[*map(str, self.steps)]}")
        return self


class Migration(Section):
    """How `migrate_recordings` copies segments to the cloud."""

    interval: Literal["hour", "day"] = "hour"
    """How much history one run takes, scheduled or of a backfill. day is for backfills of years: new footage then waits
    for the end of its day. It may be changed at any time: what runs of the other interval copied is not copied again,
    and what they left is taken up. But a backfill passes over each date at which a run of the other interval stands: a
    run by hand, with times, takes such days."""
    older_than_minutes: Annotated[Whole, Field(ge=0)] = 60
    """Only segments that ended at least this long ago are migrated."""
    catch_up_days: Annotated[Whole, Field(ge=0, le=366)] = 7
    """How far before its own interval a scheduled run takes what earlier runs left or never planned (a pause, an
    outage, a time in mode local, a lower percentage). 0: its interval alone."""
    batch_size: Annotated[Whole, Field(gt=0, le=100_000)] = 1000
    """Most segments of one task."""
    batch_bytes: Size = 8 * 2**30
    """Most bytes of one task."""
    local_retention_days: Annotated[Whole, Field(ge=0)] = 30
    """How long a local copy stays after its cloud copy was verified."""
    max_failure_ratio: Ratio = 0.05
    """Share of transfers that may fail before the gate fails the run: 0.05 means 5 %."""
    verify: Literal["auto", "read_back"] = "auto"
    """auto: trust a store that was seen to refuse wrong checksums, read back from the others.
    read_back: always read back (a cloud provider charges for it)."""
