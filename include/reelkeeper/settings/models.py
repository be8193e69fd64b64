"""The estate's configuration: `estate.toml`, overridden by environment variables, checked whole before anything runs.

`load_estate` is the only way in. Every error names the key, the value and what was expected, and all errors are told at
once. Secrets are not here: they live in Airflow connections or the environment.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    field_validator,
    model_validator,
)

from reelkeeper.errors import ConfigurationError
from reelkeeper.model import StoreKind, StoreName, Tenant
from reelkeeper.policy.rollout import Percentage

__all__ = ["Estate", "LandingZone", "StoreSettings", "load_estate"]

_SIZE_UNITS = {"B": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


def _size(value: object) -> object:
    """'4 GiB' → bytes."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+)\s*([KMGT]?i?B)\s*", value, re.IGNORECASE)
        if not match or match[2].upper() not in _SIZE_UNITS:
            raise ValueError("expected bytes, or a text such as '512 MiB' or '4 GiB'")
        return int(match[1]) * _SIZE_UNITS[match[2].upper()]
    return value


Size = Annotated[int, BeforeValidator(_size), Field(gt=0)]
"""Bytes, or a text with a binary unit."""
Percent = Annotated[
    Percentage,
    BeforeValidator(lambda value: value if isinstance(value, Percentage) else Percentage.of(value)),
    PlainSerializer(lambda value: value.buckets / 100),
]
"""A number from 0 to 100; 1 means 1 %."""
Ratio = Annotated[float, Field(ge=0, le=1)]
"""A number from 0 to 1; 1 means all."""
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,47}$")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class StoreSettings(_Section):
    """One store. Which keys a kind needs is checked in `_fits_kind`."""

    name: Name
    kind: StoreKind
    connection: str = ""
    """Airflow connection id; by default the kind's usual one."""
    root: Path | None = None
    """Folder of a filesystem store, absolute."""
    bucket: str | None = None
    """Bucket of a minio, s3 or gcs store."""
    region: str = "us-east-1"
    endpoint_url: str | None = None
    """Address of a server that is not the provider's own; by default the connection's."""
    queue: str | None = None
    """Worker queue whose workers can see this store, as a disk is seen by one machine."""
    pool_slots: Annotated[int, Field(gt=0)] = 4
    """How many tasks may use the store at once (an Airflow pool of this size)."""
    concurrency: Annotated[int, Field(gt=0, le=256)] = 16
    """How many objects one task moves at once."""
    cors_origins: tuple[str, ...] = ()
    """Web origins that may read objects by signed URL."""
    cache_control: str = "private, max-age=3600"
    temp_days: Annotated[int, Field(gt=0)] = 7
    """Days after which a lifecycle rule deletes what is under temp/."""

    @property
    def store_name(self) -> StoreName:
        return StoreName(self.name)

    @property
    def pool(self) -> str:
        """The Airflow pool of the store."""
        return f"store_{self.name}"

    @property
    def is_local(self) -> bool:
        return self.kind in (StoreKind.FILESYSTEM, StoreKind.MEMORY)

    @model_validator(mode="after")
    def _fits_kind(self) -> Self:
        if self.kind is StoreKind.FILESYSTEM:
            if self.root is None or not self.root.is_absolute():
                raise ValueError("a filesystem store needs an absolute 'root'")
        elif self.kind is not StoreKind.MEMORY and not self.bucket:
            raise ValueError(f"a {self.kind} store needs a 'bucket'")
        if not self.connection:
            usual = {StoreKind.S3: "aws_default", StoreKind.GCS: "google_cloud_default",
                     StoreKind.FILESYSTEM: "fs_default"}  # fmt: skip
            object.__setattr__(self, "connection", usual.get(self.kind, f"{self.kind}_default"))
        return self


class LandingZone(_Section):
    """A place where recordings arrive: a folder, a prefix of a store, or a list of URLs."""

    name: Name
    path: Path | None = None
    """A folder."""
    store: str | None = None
    """A store whose `prefix` is the zone (the bucket that recorders upload to; its objects are read from there)."""
    prefix: str = ""
    urls: Path | None = None
    """A text file of one URL a line, or of JSON lines with a sidecar's fields and `url`; fetched by yt-dlp."""
    handling: Literal["move", "copy", "adopt"] = "move"
    """move: the file leaves the zone once it is recorded. copy: it stays. adopt: it is registered where it lies, in the
    filesystem store that holds it, without moving a byte."""
    patterns: tuple[str, ...] = ("reelkeeper", "frigate", "iso")
    """Names of built-in path patterns, or regular expressions with the groups `camera` and `start`
    (or `year month day hour minute second`). Tried in order."""
    timezone: str = "UTC"
    """IANA zone of stamps that carry no offset."""
    camera: str | None = None
    """The camera of all files, where paths do not name one."""
    register_cameras: bool = True
    """Whether a camera that the catalogue does not know is registered, or its files are quarantined."""
    extensions: tuple[str, ...] = ("mp4", "ts", "mkv", "mov", "avi", "m4v", "webm")
    settle_seconds: Annotated[float, Field(ge=0, le=3600)] = 10
    """How long a file must not have changed, between two looks, before it is taken."""
    queue: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in ("path", "store", "urls") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected exactly one of 'path', 'store', 'urls'; got {given or 'none'}")
        if self.path is not None and not self.path.is_absolute():
            raise ValueError(f"path {str(self.path)!r}: expected an absolute one")
        if self.handling == "adopt" and self.path is None:
            raise ValueError("handling 'adopt' needs a 'path' inside a filesystem store")
        return self


class Placement(_Section):
    """Where footage goes."""

    mode: Literal["local", "cloud", "hybrid", "milestone"] = "hybrid"
    """local: nothing goes to the cloud. cloud: everything does. hybrid: what the rollout wants does.
    milestone: the VMS alone records; nothing is ingested."""
    local_store: str
    cloud_store: str | None = None
    at_ingest: Literal["local", "rollout"] = "local"
    """local: footage lands in the local store and the migration copies it. rollout: what the rollout (or mode cloud)
    wants in the cloud is written there at once, and to the local store only when the cloud fails."""
    thumbnail_store: str | None = None
    """By default the local store."""


class Rollout(_Section):
    percentage: Percent = Percentage(0)


class Ingest(_Section):
    batch_files: Annotated[int, Field(gt=0, le=100_000)] = 1000
    batch_bytes: Size = 8 * 2**30
    """Most files and bytes of one task."""
    max_batches: Annotated[int, Field(gt=0, le=1000)] = 64
    """Most batches of one run; the rest waits for the next."""
    max_failure_ratio: Ratio = 0.5
    """Share of files that may end in quarantine or error before the run fails."""


class Migration(_Section):
    older_than_minutes: Annotated[int, Field(ge=0)] = 60
    """Only segments that ended at least this long ago are migrated."""
    batch_size: Annotated[int, Field(gt=0, le=100_000)] = 1000
    batch_bytes: Size = 8 * 2**30
    """Most segments and bytes of one task."""
    local_retention_days: Annotated[int, Field(ge=0)] = 30
    """How long a local copy stays after its cloud copy was verified."""
    max_failure_ratio: Ratio = 0.05
    """Share of transfers that may fail before the gate fails the run."""
    verify: Literal["auto", "read_back"] = "auto"
    """auto: trust a store that was seen to refuse wrong checksums, read back from the others.
    read_back: always read back (a cloud provider charges for it)."""


class Retention(_Section):
    default_days: Annotated[int, Field(gt=0)] = 90


class Catalogue(_Section):
    connection: str = "reelkeeper_catalogue"
    db_schema: Annotated[str, Field(alias="schema", pattern=r"^[a-z_][a-z0-9_]{0,62}$")] = "reelkeeper"


class Estate(_Section):
    """The whole configuration."""

    name: Name = "estate"
    tenant: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")] = "default"
    stores: tuple[StoreSettings, ...]
    landing_zones: tuple[LandingZone, ...] = ()
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

    def zone(self, name: str) -> LandingZone:
        """The landing zone of this name. ConfigurationError that lists the names there are."""
        for zone in self.landing_zones:
            if zone.name == name:
                return zone
        raise ConfigurationError(
            f"unknown landing zone {name!r}: expected one of {[zone.name for zone in self.landing_zones]}"
        )
