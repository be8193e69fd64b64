"""The sections of `estate.toml`. The text under each field is what docs/configuration.md says about it."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reelkeeper.errors import ConfigurationError
from reelkeeper.model import StoreKind, StoreName, Tenant
from reelkeeper.policy.rollout import Percentage
from reelkeeper.settings.values import (
    BUILT_IN_PATTERNS,
    Bucket,
    Endpoint,
    Extension,
    LogLevel,
    Name,
    Percent,
    Ratio,
    Seconds,
    Size,
    TimeZoneName,
    Whole,
)

_USUAL_CONNECTION = {
    StoreKind.FILESYSTEM: "fs_default",
    StoreKind.MINIO: "minio_default",
    StoreKind.S3: "aws_default",
    StoreKind.GCS: "google_cloud_default",
    StoreKind.MEMORY: "memory_default",
}
_USUAL_REGION = {StoreKind.GCS: "us"}
_ON_THIS_MACHINE = (StoreKind.FILESYSTEM, StoreKind.MEMORY)


class Section(BaseModel):
    """A table of the file: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, use_attribute_docstrings=True)


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
    """Where the bucket lives; by default us-east-1, or us for gcs."""
    endpoint_url: Endpoint | None = None
    """Address of a server that is not the provider's own; by default the connection's."""
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

    @property
    def store_name(self) -> StoreName:
        return StoreName(self.name)

    @property
    def pool(self) -> str:
        """The Airflow pool of the store."""
        return f"store_{self.name}"

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
        if not self.connection:
            object.__setattr__(self, "connection", _USUAL_CONNECTION[self.kind])
        if not self.region:
            object.__setattr__(self, "region", _USUAL_REGION.get(self.kind, "us-east-1"))
        return self


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


class Rollout(Section):
    """The percentage ramp that sends segments to the cloud."""

    percentage: Percent = Percentage(0)
    """Share of segments that mode hybrid wants in the cloud, 0 to 100: 10 means 10 %, 0.1 means 0.1 %. Raising it only
    adds segments."""


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

    older_than_minutes: Annotated[Whole, Field(ge=0)] = 60
    """Only segments that ended at least this long ago are migrated."""
    catch_up_days: Annotated[Whole, Field(ge=0, le=366)] = 7
    """How far before its own hour a scheduled run takes what earlier runs left or never planned (a pause, an outage, a
    time in mode local, a lower percentage). 0: its hour alone."""
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


class Retention(Section):
    """How long footage is kept."""

    default_days: Annotated[Whole, Field(gt=0)] = 90
    """Days for cameras that have no retention of their own."""


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
    stores: tuple[StoreSettings, ...]
    """The stores, each a `[[stores]]` table."""
    landing_zones: tuple[LandingZone, ...] = ()
    """The landing zones, each a `[[landing_zones]]` table."""
    placement: Placement
    rollout: Rollout = Rollout()
    ingest: Ingest = Ingest()
    migration: Migration = Migration()
    retention: Retention = Retention()
    catalogue: Catalogue = Catalogue()

    @property
    def tenant_name(self) -> Tenant:
        return Tenant(self.tenant)

    def store(self, name: str) -> StoreSettings:
        """The store of this name. ConfigurationError that lists the names there are."""
        for store in self.stores:
            if store.name == name:
                return store
        raise ConfigurationError(f"unknown store {name!r}: expected one of {[store.name for store in self.stores]}")

    def is_local(self, store: StoreSettings) -> bool:
        """Whether a store counts as local, in use in every mode: the primary store of whatever kind, and every disk."""
        return store.name == self.placement.local_store or store.kind in _ON_THIS_MACHINE

    def zone(self, name: str) -> LandingZone:
        """The landing zone of this name. ConfigurationError that lists the names there are."""
        for zone in self.landing_zones:
            if zone.name == name:
                return zone
        raise ConfigurationError(
            f"unknown landing zone {name!r}: expected one of {[zone.name for zone in self.landing_zones]}"
        )
