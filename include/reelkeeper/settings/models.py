"""The sections of `estate.toml`. The text under each field is what docs/configuration.md says about it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reelkeeper.errors import ConfigurationError
from reelkeeper.model import StoreKind, StoreName, Tenant, Tier
from reelkeeper.policy import quality
from reelkeeper.policy.alarms import AlarmName
from reelkeeper.policy.costs import RESTORED_CLASSES
from reelkeeper.policy.rollout import Percentage
from reelkeeper.settings.values import (
    BUILT_IN_PATTERNS,
    Bucket,
    Endpoint,
    Extension,
    KeyPrefix,
    LogLevel,
    MailAddress,
    Money,
    Name,
    Percent,
    Ratio,
    Seconds,
    Size,
    TimeZoneName,
    WebBase,
    Whole,
)

_USUAL_CONNECTION = {
    StoreKind.FILESYSTEM: "fs_default",
    StoreKind.MINIO: "minio_default",
    StoreKind.S3: "aws_default",
    StoreKind.GCS: "google_cloud_default",
    StoreKind.MEMORY: "memory_default",
}
_USUAL_CHANNEL = {
    "smtp": "smtp_default", "slack": "slack_default", "sns": "aws_default", "webhook": "http_default",
}  # fmt: skip
_USUAL_REGION = {StoreKind.GCS: "us-central1"}
_USUAL_PRICES = {StoreKind.S3: "aws:us-east-1", StoreKind.GCS: "gcs:us-central1"}
_USUAL_TIERS = {
    StoreKind.S3: {Tier.HOT: "STANDARD", Tier.COOL: "STANDARD_IA", Tier.COLD: "GLACIER_IR", Tier.ARCHIVE: "GLACIER"},
    StoreKind.GCS: {Tier.HOT: "STANDARD", Tier.COOL: "NEARLINE", Tier.COLD: "COLDLINE", Tier.ARCHIVE: "ARCHIVE"},
}
_ON_THIS_MACHINE = (StoreKind.FILESYSTEM, StoreKind.MEMORY)


class Section(BaseModel):
    """A table of the file: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, use_attribute_docstrings=True)


class TierPlace(Section):
    """Where a store keeps a tier: in a storage class, under a prefix, or in another store of the estate."""

    storage_class: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{1,31}$")] | None = None
    """The provider's name of the class, for stores of kind s3 and gcs."""
    prefix: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,47}/$")] | None = None
    """What stands before the key, `cool/` say, for a server or disk that maps folders to slower media."""
    store: str | None = None
    """Another store, of the same or another kind: a second bucket or disk."""
    usd_per_gb_month: Annotated[Money, Field(ge=0)] | None = None
    """What a gigabyte (10^9 bytes) costs there in a month; needed where there is no price list, on own hardware."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        given = [name for name in ("storage_class", "prefix", "store") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"expected at most one of 'storage_class', 'prefix', 'store'; got {given}")
        return self


class StoreSettings(Section):
    """A named place that holds objects. One of kind filesystem needs `root`, one of kind minio, s3 or gcs `bucket`."""

    name: Name
    """What the catalogue, the pools and the other sections call it. Never change it once footage is in it."""
    kind: StoreKind
    """filesystem, minio (MinIO and every other S3-compatible server), s3 (AWS) or gcs. memory is for tests."""
    connection: str = ""
    """Airflow connection id; by default the kind's usual one: fs_default, minio_default, aws_default or
    google_cloud_default."""
    root: Path | None = None
    """Folder of a filesystem store, absolute."""
    bucket: Bucket | None = None
    """Bucket of a minio, s3 or gcs store. `setup_estate` makes it if it is missing."""
    region: str = ""
    """Where the bucket lives; by default us-east-1, or us-central1 for gcs."""
    endpoint_url: Endpoint | None = None
    """Address of a server that is not the provider's own; by default the connection's."""
    public_endpoint_url: Endpoint | None = None
    """Address in signed URLs, where people reach a minio or s3 server by another one than the workers do."""
    queue: str | None = None
    """Worker queue whose workers can see this store, as a disk is seen by one machine."""
    pool_slots: Annotated[Whole, Field(gt=0)] = 4
    """How many tasks may use the store at once (an Airflow pool of this size)."""
    concurrency: Annotated[Whole, Field(gt=0, le=256)] = 16
    """How many objects one task moves at once."""
    cors_origins: tuple[str, ...] = ()
    """Web origins that may read objects by signed URL."""
    cache_control: str = "private, max-age=3600"
    """The Cache-Control header of objects."""
    temp_days: Annotated[Whole, Field(gt=0)] = 7
    """Days after which a lifecycle rule deletes what is under temp/."""
    deletion: Literal["allowed", "forbidden"] = "allowed"
    """forbidden: nothing is deleted from this store, by no DAG and for no reason. The switch for an emergency: it holds
    from the next chunk of deletions on."""
    quota: Size | None = None
    """Most bytes of footage. Above it leaves the oldest that has another verified copy or is past its retention."""
    tiers: Mapping[Tier, TierPlace] = Field(default_factory=dict)
    """Where the tiers are: `tiers.COOL = { storage_class = "STANDARD_IA" }`. By default those of AWS or Google for
    kinds s3 and gcs, and none for the others: there nothing moves until it is told where to."""
    price_list: str = ""
    """What the store costs, by the name of a price list; by default aws:us-east-1 for kind s3 and gcs:us-central1 for
    gcs, none for the others."""

    def __hash__(self) -> int:
        return hash((self.name, self.kind, self.root, self.bucket))

    @property
    def store_name(self) -> StoreName:
        return StoreName(self.name)

    @property
    def pool(self) -> str:
        """The Airflow pool of the store."""
        return f"store_{self.name}"

    @property
    def tier_prefixes(self) -> tuple[str, ...]:
        """Under which its tiers keep their objects, those that have a prefix."""
        return tuple(place.prefix for place in self.tiers.values() if place.prefix)

    @model_validator(mode="after")
    def _fits_kind(self) -> Self:
        if self.kind is StoreKind.FILESYSTEM:
            if self.root is None or not self.root.is_absolute():
                raise ValueError("expected an absolute 'root' for a filesystem store")
        elif self.kind is not StoreKind.MEMORY and not self.bucket:
            raise ValueError(f"expected a 'bucket' for a store of kind {str(self.kind)!r}")
        alien = ("bucket", "endpoint_url") if self.kind in _ON_THIS_MACHINE else ("root",)
        if given := [key for key in alien if getattr(self, key) is not None]:
            raise ValueError(f"a store of kind {str(self.kind)!r} has no {' or '.join(map(repr, given))}")
        if self.public_endpoint_url and self.kind not in (StoreKind.MINIO, StoreKind.S3):
            raise ValueError(f"a store of kind {str(self.kind)!r} has no 'public_endpoint_url'")
        if not self.connection:
            object.__setattr__(self, "connection", _USUAL_CONNECTION[self.kind])
        if not self.region:
            object.__setattr__(self, "region", _USUAL_REGION.get(self.kind, "us-east-1"))
        if not self.price_list:
            object.__setattr__(self, "price_list", _USUAL_PRICES.get(self.kind, ""))
        self._check_tiers()
        return self

    def _check_tiers(self) -> None:
        has_classes = self.kind in _USUAL_TIERS
        for tier, place in self.tiers.items():
            if place.storage_class and not has_classes:
                raise ValueError(f"tiers.{tier}: a store of kind {str(self.kind)!r} has no storage classes: expected "
                                 "'prefix' or 'store'")  # fmt: skip
            if place.storage_class in RESTORED_CLASSES and place.usd_per_gb_month is not None:
                raise ValueError(f"tiers.{tier}: expected no 'usd_per_gb_month' for class {place.storage_class!r}, "
                                 "whose restores cost as well: give a price list (costs.prices)")  # fmt: skip
            if tier is Tier.HOT and (place.prefix or place.store):
                raise ValueError("tiers.HOT: expected neither 'prefix' nor 'store': it is the store itself")
            if tier is not Tier.HOT and not (place.storage_class or place.prefix or place.store):
                raise ValueError(f"tiers.{tier}: expected one of 'storage_class', 'prefix', 'store'")
            if place.usd_per_gb_month is None and not place.storage_class and not self.price_list:
                raise ValueError(f"tiers.{tier}: expected 'usd_per_gb_month', as no price list knows what it costs")
        if self.tiers and not has_classes and Tier.HOT not in self.tiers:
            raise ValueError("expected tiers.HOT with 'usd_per_gb_month' beside the other tiers: what moves away saves "
                             "its price")  # fmt: skip
        usual = {tier: TierPlace(storage_class=name) for tier, name in _USUAL_TIERS.get(self.kind, {}).items()}
        object.__setattr__(self, "tiers", {**usual, **self.tiers})


class LandingZone(Section):
    """A place where recordings arrive: a folder, a prefix of a store, or a list of URLs."""

    name: Name
    """What the catalogue and the form of `ingest_recordings` call it."""
    path: Path | None = None
    """A folder, absolute."""
    store: str | None = None
    """A store whose `prefix` is the zone (the bucket that recorders upload to; its objects are read from there)."""
    prefix: str = ""
    """The start of the keys in `store` that are the zone."""
    urls: Path | None = None
    """A text file of one URL a line, or of JSON lines with a sidecar's fields and `url`; fetched by yt-dlp."""
    handling: Literal["move", "copy", "adopt"] = "move"
    """move: the file leaves the zone once it is recorded. copy: it stays. adopt: it is registered where it lies, in the
    filesystem store that holds it, without moving a byte."""
    patterns: tuple[str, ...] = BUILT_IN_PATTERNS
    """Names of built-in path patterns, or regular expressions with the groups `camera` and `start`
    (or `year month day hour minute second`). Tried in order."""
    timezone: TimeZoneName = "UTC"
    """IANA zone of stamps that carry no offset."""
    camera: str | None = None
    """The camera of all files, where paths do not name one."""
    register_cameras: bool = True
    """Whether a camera that the catalogue does not know is registered, or its files are quarantined."""
    extensions: tuple[Extension, ...] = ("mp4", "ts", "mkv", "mov", "avi", "m4v", "webm")
    """Files with other extensions are left alone."""
    settle_seconds: Annotated[Seconds, Field(ge=0, le=3600)] = 60
    """How long a file must not have changed, between two looks, before it is taken. Must exceed the longest pause that
    a recorder makes within a file: one that writes on after its file was taken has it split in two."""
    quarantine_after_minutes: Annotated[Whole, Field(ge=0, le=10_080)] = 15
    """How long nobody may have written to a file of a folder before it is quarantined as empty, truncated, unreadable
    or without duration: its recorder may have stalled and not closed it yet. Must be more than clocks differ."""
    queue: str | None = None
    """Worker queue whose workers can see the folder."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in ("path", "store", "urls") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected exactly one of 'path', 'store', 'urls'; got {given or 'none'}")
        for key in ("path", "urls"):
            value: Path | None = getattr(self, key)
            if value is not None and not value.is_absolute():
                raise ValueError(f"expected an absolute {key!r}; got {str(value)!r}")
        if self.handling == "adopt" and self.path is None:
            raise ValueError("expected a 'path' inside a filesystem store for handling 'adopt'")
        if self.prefix and self.store is None:
            raise ValueError("expected a 'store' with 'prefix'")
        return self


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


class Ingest(Section):
    """How landing zones are worked through."""

    batch_files: Annotated[Whole, Field(gt=0, le=100_000)] = 1000
    """Most files of one task."""
    batch_bytes: Size = 8 * 2**30
    """Most bytes of one task."""
    max_batches: Annotated[Whole, Field(gt=0, le=1000)] = 64
    """Most batches of one run; the rest waits for the next."""
    max_failure_ratio: Ratio = 0.5
    """Share of files that may end in quarantine or error before the run fails: 0.5 means half."""
    download_directory: Path | None = None
    """Folder in which zones of URLs keep what they fetch until it is ingested, absolute; by default a temporary one."""

    @model_validator(mode="after")
    def _absolute(self) -> Self:
        if self.download_directory is not None and not self.download_directory.is_absolute():
            raise ValueError(f"expected an absolute 'download_directory'; got {str(self.download_directory)!r}")
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


class InitialTier(Section):
    """The tier in which footage that is kept so long is written to a store."""

    up_to_days: Annotated[Whole, Field(gt=0)] | None = None
    """Retention in days up to which it holds; left out in the last one: all that is kept longer."""
    tier: Tier
    """HOT, COOL, COLD or ARCHIVE."""


class TierStep(Section):
    """The tier that footage of an age belongs in."""

    after_days: Annotated[Whole, Field(gt=0)]
    """Days after the end of the segment."""
    tier: Tier
    """COOL, COLD or ARCHIVE."""


class Tiering(Section):
    """How footage moves to cheaper tiers, where that saves money."""

    stores: tuple[str, ...] | None = None
    """The stores in which it moves; by default every one that has tiers."""
    initial: tuple[InitialTier, ...] = (
        InitialTier(up_to_days=7, tier=Tier.HOT),
        InitialTier(up_to_days=30, tier=Tier.COOL),
        InitialTier(up_to_days=90, tier=Tier.COLD),
        InitialTier(tier=Tier.ARCHIVE),
    )
    """The tier in which footage is written, by its retention. The cost model may choose a warmer one. An archived copy
    must be restored before it can be read; the local copy is read meanwhile."""
    moves: tuple[TierStep, ...] = (
        TierStep(after_days=7, tier=Tier.COOL),
        TierStep(after_days=30, tier=Tier.COLD),
        TierStep(after_days=90, tier=Tier.ARCHIVE),
    )
    """The tier that footage belongs in by its age. A move that would lose money is not made."""
    approve_above_usd: Annotated[Money, Field(ge=0)] = Decimal(100)
    """One-off cost above which a person must approve a run in the Airflow UI: of what it moves, and of what pays as
    well and is left for later runs."""
    batch_size: Annotated[Whole, Field(gt=0, le=100_000)] = 1000
    """Most replicas of one task."""
    max_batches: Annotated[Whole, Field(gt=0, le=1000)] = 64
    """Most batches of one run; the rest waits for the next."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        ends = [step.up_to_days for step in self.initial]
        if not ends or None in ends[:-1] or ends[-1] is not None or sorted(filter(None, ends)) != ends[:-1]:
            raise ValueError(f"expected 'initial' with rising 'up_to_days', and a last one without; got {ends}")
        ranks = [list(Tier).index(step.tier) for step in self.moves]
        days = [step.after_days for step in self.moves]
        if sorted(set(days)) != days or sorted(set(ranks)) != ranks or 0 in ranks:
            raise ValueError("expected 'moves' with rising 'after_days' to ever colder tiers below HOT; got "
                             f"{[(step.after_days, str(step.tier)) for step in self.moves]}")  # fmt: skip
        return self


class Restore(Section):
    """How archived footage is made readable again."""

    speed: Literal["expedited", "standard", "bulk"] = "standard"
    """The provider's retrieval option, when none is asked for."""
    days: Annotated[Whole, Field(gt=0, le=365)] = 7
    """How long the restored copy stays."""
    budget_usd: Annotated[Money, Field(ge=0)] = Decimal(50)
    """Most that one run may cost, by the estimate; above it nothing is requested."""


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


class Exports(Section):
    """What people may export, and what that may take."""

    max_hours: Annotated[Whole, Field(gt=0, le=24 * 366)] = 72
    """The longest range of one export."""
    max_cameras: Annotated[Whole, Field(gt=0, le=256)] = 16
    """Most cameras of one export. A mosaic has at most 16."""
    expiry_days: Annotated[Whole, Field(gt=0, le=3650)] = 7
    """How long an export lives, when nothing else is asked for."""
    max_expiry_days: Annotated[Whole, Field(gt=0, le=3650)] = 365
    """The longest life that may be asked for."""
    work_directory: Path | None = None
    """Folder of the workers in which footage is cut, absolute; by default a temporary one."""
    work_bytes: Size = 64 * 2**30
    """Most bytes of that folder that one task takes: for sources that are fetched from a server, and for its result."""
    task_hours: Annotated[Seconds, Field(gt=0, le=168)] = 6
    """Longest that one task may cut or compose."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.work_directory is not None and not self.work_directory.is_absolute():
            raise ValueError(f"expected an absolute 'work_directory'; got {str(self.work_directory)!r}")
        if self.expiry_days > self.max_expiry_days:
            raise ValueError("expected 'expiry_days' not above 'max_expiry_days'")
        return self


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
    """Age of an object, by its store's clock, below which it is nobody's orphan yet."""
    sightings: Annotated[Whole, Field(ge=2)] = 2
    """In how many runs an orphan must have been seen before it goes to quarantine."""
    quarantine_days: Annotated[Whole, Field(ge=1)] = 30
    """How long an orphan stays in quarantine before it is deleted."""
    sick_count: Annotated[Whole, Field(gt=0)] = 100
    """A store that lacks so many replicas at once, and the share below, is taken for sick: nothing is concluded."""
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


class Costs(Section):
    """What storage costs."""

    prices: Path | None = None
    """A price list of your own, absolute, in the form of the one that comes with Reelkeeper; its lists are added to
    those, or take their place."""


class Delivery(Section):
    """How people get at what the stores hold, by signed URLs or a CDN, and what proves an export."""

    url_seconds: Annotated[Whole, Field(gt=0)] = 3600
    """How long a signed URL lives when nothing else is asked for; never longer than the credential that signs it, or
    than seven days."""
    cdn_base_url: WebBase | None = None
    """Address of a CDN that serves a store's objects by their keys."""
    cdn_store: str | None = None
    """The store behind the CDN; by default the cloud store, or else the local one."""
    cdn_prefixes: tuple[KeyPrefix, ...] = ("media/", "thumbnails/")
    """The keys that are read by way of the CDN; the others by signed URLs of their store. Exports are left out, because
    a URL that is not signed neither ends nor asks who comes: add "exports/" with `cloudfront_key_id`."""
    cloudfront_key_id: Annotated[str, Field(pattern=r"^[A-Z0-9]{5,40}$")] | None = None
    """Id of the CloudFront public key (or key pair) whose private key signs the CDN's URLs; without it they are not
    signed."""
    cloudfront_connection: str = "reelkeeper_cloudfront"
    """Airflow connection id, of type reelkeeper_key: the private key of `cloudfront_key_id`, RSA in PEM."""
    signing_connection: str = "reelkeeper_signing"
    """Airflow connection id, of type reelkeeper_key: the private key that signs manifests, Ed25519 in PEM."""
    upload_prefixes: tuple[KeyPrefix, ...] = ("uploads/", "temp/")
    """Where a signed URL may put a new object."""
    largest_upload: Size = 5 * 2**30
    """Most bytes that a link of our own takes (one to a filesystem store). The API server keeps an upload in its
    temporary folder, $TMPDIR, until it is whole."""

    @model_validator(mode="after")
    def _with_a_base(self) -> Self:
        if self.cloudfront_key_id and not self.cdn_base_url:
            raise ValueError("expected 'cdn_base_url', the CloudFront distribution's address, with 'cloudfront_key_id'")
        return self


class Metrics(Section):
    """Where metrics go. docs/metrics.md lists them; docs/operations.md says how a Prometheus reads them."""

    publish: tuple[Literal["prometheus", "pushgateway", "textfile", "cloudwatch", "airflow"], ...] = (
        "prometheus", "airflow",
    )  # fmt: skip
    """prometheus: the API server answers GET /reelkeeper/metrics. pushgateway, textfile, cloudwatch: `report_metrics`
    sends or writes them every 15 minutes. airflow: it gives the main ones to Airflow's own StatsD or OpenTelemetry,
    where that is on."""
    scrape_connection: str = "reelkeeper_metrics"
    """Airflow connection id, of type reelkeeper_token: the token by which a Prometheus reads the metrics. Without it
    only those may who see the runs of `report_metrics`."""
    pushgateway_url: WebBase | None = None
    """Address of a Prometheus Pushgateway."""
    textfile: Path | None = None
    """File for node_exporter's textfile collector, absolute, ending in .prom; its folder must be there."""
    cloudwatch_namespace: Annotated[str, Field(pattern=r"^[A-Za-z0-9.\-_/#:]{1,255}$")] = "SPARC/VideoStorage"
    """CloudWatch's namespace. Two estates in one account need two. Those that begin with AWS/ are Amazon's."""
    cloudwatch_region: str = ""
    """Where the metrics are kept; by default the connection's region, or else us-east-1."""
    cloudwatch_connection: str = "aws_default"
    """Airflow connection id, of type aws. It needs the right cloudwatch:PutMetricData."""
    queue: str | None = None
    """Worker queue of the task that publishes: that of the machine whose node_exporter reads `textfile`, say."""
    cameras: Annotated[Whole, Field(ge=0, le=100_000)] = 500
    """How many cameras have series of their own in Prometheus; those beyond are counted together, as "other"."""
    tenants: Annotated[Whole, Field(ge=0, le=10_000)] = 50
    """How many tenants have series of their own."""

    @model_validator(mode="after")
    def _has_what_it_publishes_to(self) -> Self:
        for way, key in (("pushgateway", "pushgateway_url"), ("textfile", "textfile")):
            if way in self.publish and getattr(self, key) is None:
                raise ValueError(f"expected {key!r} with {way!r} in 'publish'")
        if self.cloudwatch_namespace.startswith("AWS/"):
            raise ValueError(f"expected a 'cloudwatch_namespace' of your own; got {self.cloudwatch_namespace!r}")
        if self.textfile is not None and (not self.textfile.is_absolute() or self.textfile.suffix != ".prom"):
            raise ValueError(f"expected an absolute 'textfile' that ends in .prom; got {str(self.textfile)!r}")
        return self


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
    """In how many days the older footage is gone through once: each check looks at every so-many-th day of it."""
    overlap_seconds: Annotated[Seconds, Field(ge=0)] = 2
    """By how much segments of one camera may overlap: a recorder that cuts at key frames repeats some, and many name
    their files by whole seconds."""
    clock_minutes: Annotated[Seconds, Field(ge=0)] = 10
    """How far a camera's clock may be ahead."""
    min_bytes_per_second: Annotated[Seconds, Field(ge=0)] = 10
    """Bytes that a second of footage has at least."""
    max_bytes_per_second: Annotated[Seconds, Field(gt=0)] = 125_000_000
    """Bytes that a second of footage has at most: a gigabit."""
    silent_hours: Annotated[Whole, Field(gt=0)] | None = None
    """How long ago the last segment of a camera in service may have ended; by default `alarms.camera_silent_hours`."""
    in_service_days: Annotated[Whole, Field(gt=0, le=366)] = 30
    """A camera that has recorded nothing for so long is not in service any more: nothing is expected of it."""
    out_of_service: tuple[str, ...] = ()
    """Cameras that are not in service, by slug or tenant/slug: nobody waits so long for them."""
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
    timeout_minutes: Annotated[Whole, Field(gt=0)] = 30
    """How long one expectation's query may take."""
    history_days: Annotated[Whole, Field(gt=0)] = 400
    """How long the catalogue knows what earlier checks found."""


class DailyReport(Section):
    """The page that `report_estate` writes each day. retention.report_days says how long it is kept."""

    hour: Annotated[Whole, Field(ge=0, le=23)] = 7
    """The UTC hour at which it is written: after the night's jobs, and after `check_catalogue`."""


class AlarmChannel(Section):
    """Who is told of alarms, and by what: an Airflow connection has the address of its server, and its secrets."""

    name: Name
    """What the catalogue calls it. Under a new name nobody is told again of what fires already."""
    kind: Literal["smtp", "slack", "sns", "webhook"]
    """smtp: mail. slack: an incoming webhook of Slack. sns: a topic of Amazon SNS. webhook: a POST of JSON."""
    connection: str = ""
    """Airflow connection id; by default the kind's usual one: smtp_default, slack_default, aws_default or
    http_default."""
    to: tuple[MailAddress, ...] = ()
    """Whom mail is for."""
    sender: MailAddress | None = None
    """From whom mail is; by default as the connection says (`from_email`)."""
    topic: Annotated[str, Field(pattern=r"^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]+$")] | None = None
    """ARN of the SNS topic."""
    path: str = ""
    """What follows the connection's address in a webhook's URL. It is no secret: a token belongs in the connection."""
    least: Literal["warning", "critical"] = "warning"
    """warning: every alarm. critical: only what cannot wait."""

    @model_validator(mode="after")
    def _fits_kind(self) -> Self:
        needed = {"smtp": "to", "sns": "topic"}.get(self.kind)
        if needed and not getattr(self, needed):
            raise ValueError(f"expected {needed!r} for a channel of kind {self.kind!r}")
        others = {"to": "smtp", "sender": "smtp", "topic": "sns", "path": "webhook"}
        if alien := [key for key, kind in others.items() if kind != self.kind and getattr(self, key)]:
            raise ValueError(f"a channel of kind {self.kind!r} has no {' or '.join(map(repr, alien))}")
        if not self.connection:
            object.__setattr__(self, "connection", _USUAL_CHANNEL[self.kind])
        return self


class Alarms(Section):
    """What is wrong enough to tell people, and whom. docs/operations.md says what each alarm means."""

    off: tuple[AlarmName, ...] = ()
    """Alarms that are not watched."""
    notify: tuple[AlarmChannel, ...] = ()
    """Who is told, each an `[[alarms.notify]]` table. Empty: nobody; they are on the Estate page all the same."""
    watch_minutes: Annotated[Whole, Field(ge=5, le=1440)] = 20
    """Over how long before a round uploads are looked at: more than the time between two rounds."""
    window_minutes: Annotated[Whole, Field(gt=0, le=1440)] = 5
    """Over how long a share of failures is measured; the worst such window of the time above counts."""
    max_failure_ratio: Ratio = 0.05
    """Share of a window's uploads to a store that may fail: 0.05 means 5 %."""
    min_transfers: Annotated[Whole, Field(gt=0)] = 20
    """Fewer uploads than this in a window say nothing of failures, and fewer in all nothing of times."""
    max_upload_seconds: Annotated[Seconds, Field(gt=0)] = 30
    """Mean time that an upload to a store may take."""
    budget_usd: Annotated[Money, Field(gt=0)] | None = None
    """What storage may cost a month, now or as forecast for 30 days from now; left out, there is no budget."""
    unverified_days: Annotated[Whole, Field(gt=0)] = 45
    """How long ago the copy that waits longest may have been proved to be good: more than verification.cycle_days."""
    camera_silent_hours: Annotated[Whole, Field(gt=0)] = 24
    """How long a camera may be without footage. Count the time in which footage comes in."""
    camera_forgotten_days: Annotated[Whole, Field(gt=0)] = 30
    """A camera that is silent for so long counts as out of service: its alarm is over."""
    recover_minutes: Annotated[Whole, Field(ge=0, le=1440)] = 30
    """How long all must be well again before an alarm is over."""
    remind_hours: Annotated[Whole, Field(ge=0)] = 24
    """After how long people are told again of a critical alarm that nobody has acknowledged; 0: never."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        names = [channel.name for channel in self.notify]
        if len(set(names)) != len(names):
            raise ValueError(f"expected another 'name' for each channel of 'notify'; got {names}")
        if self.camera_silent_hours >= 24 * self.camera_forgotten_days:
            raise ValueError("expected 'camera_silent_hours' below 'camera_forgotten_days'")
        if self.window_minutes > self.watch_minutes:
            raise ValueError("expected 'window_minutes' not above 'watch_minutes'")
        return self


class Catalogue(Section):
    """Where the catalogue is. Address and credentials are the Airflow connection's."""

    connection: str = "reelkeeper_catalogue"
    """Airflow connection id, of type postgres."""
    db_schema: Annotated[str, Field(alias="schema", pattern=r"^[a-z_][a-z0-9_]{0,62}$")] = "reelkeeper"
    """PostgreSQL schema of the tables."""


class Estate(Section):
    """The whole configuration."""

    name: Name = "estate"
    """What reports and logs call the estate."""
    tenant: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")] = "default"
    """Whose footage it is, where nothing else says so; it stands in every key."""
    log_level: LogLevel = "INFO"
    """What Reelkeeper's own log lines must at least be: DEBUG, INFO, WARN, ERROR."""
    rehearsal: bool = False
    """Whether the DAGs that move and delete take a `clock` of their own, to try out what they will do in a month.
    For a demo or a test only: with a clock in the future footage is deleted early."""
    lease_seconds: Annotated[Whole, Field(ge=2, le=3600)] = 60
    """How long what a worker has claimed is its own without a word from it. It renews that in time; what a killed one
    had is taken up by the next try after this long."""
    stores: tuple[StoreSettings, ...]
    """The stores, each a `[[stores]]` table."""
    landing_zones: tuple[LandingZone, ...] = ()
    """The landing zones, each a `[[landing_zones]]` table."""
    placement: Placement
    rollout: Rollout = Rollout()
    ingest: Ingest = Ingest()
    migration: Migration = Migration()
    tiering: Tiering = Tiering()
    restore: Restore = Restore()
    exports: Exports = Exports()
    retention: Retention = Retention()
    retention_caps: RetentionCaps = RetentionCaps()
    reconcile: Reconcile = Reconcile()
    reconcile_caps: ReconcileCaps = ReconcileCaps()
    verification: Verification = Verification()
    costs: Costs = Costs()
    delivery: Delivery = Delivery()
    metrics: Metrics = Metrics()
    daily_report: DailyReport = DailyReport()
    alarms: Alarms = Alarms()
    quality: Quality = Quality()
    catalogue: Catalogue = Catalogue()

    @property
    def tenant_name(self) -> Tenant:
        return Tenant(self.tenant)

    @property
    def lease(self) -> timedelta:
        """`lease_seconds`."""
        return timedelta(seconds=self.lease_seconds)

    def store(self, name: str) -> StoreSettings:
        """The store of this name. ConfigurationError that lists the names there are."""
        for store in self.stores:
            if store.name == name:
                return store
        raise ConfigurationError(f"unknown store {name!r}: expected one of {[store.name for store in self.stores]}")

    def stores_by_queue(self) -> dict[str | None, list[str]]:
        """The names of the stores by the worker queue that sees them; None: any worker does."""
        queues: dict[str | None, list[str]] = {}
        for store in self.stores:
            queues.setdefault(store.queue, []).append(store.name)
        return queues

    def is_local(self, store: StoreSettings) -> bool:
        """Whether a store counts as local, in use in every mode: the primary store of whatever kind, and every disk."""
        return store.name == self.placement.local_store or store.kind in _ON_THIS_MACHINE

    def retire_others_after(self, store: str, now: datetime) -> datetime | None:
        """When the local copies may leave of what is verified in a store at `now`; None when that is a local one, too.

        ConfigurationError for a store that the estate does not know.
        """
        if self.is_local(self.store(store)):
            return None
        return now + timedelta(days=self.migration.local_retention_days)

    def zone(self, name: str) -> LandingZone:
        """The landing zone of this name. ConfigurationError that lists the names there are."""
        for zone in self.landing_zones:
            if zone.name == name:
                return zone
        raise ConfigurationError(
            f"unknown landing zone {name!r}: expected one of {[zone.name for zone in self.landing_zones]}"
        )
