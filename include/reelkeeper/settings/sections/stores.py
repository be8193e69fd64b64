"""`[[stores]]`: where objects are kept."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from reelkeeper.model import StoreKind, StoreName, Tier
from reelkeeper.policy.prices import RESTORED_CLASSES
from reelkeeper.settings.sections.section import Section
from reelkeeper.settings.values import Bucket, Endpoint, Money, Name, Size, Whole

_USUAL_CONNECTION = {
    StoreKind.FILESYSTEM: "fs_default",
    StoreKind.MINIO: "minio_default",
    StoreKind.S3: "aws_default",
    StoreKind.GCS: "google_cloud_default",
    StoreKind.MEMORY: "memory_default",
}
_USUAL_REGION = {StoreKind.GCS: "us-central1"}
_USUAL_PRICES = {StoreKind.S3: "aws:us-east-1", StoreKind.GCS: "gcs:us-central1"}
_USUAL_TIERS = {
    StoreKind.S3: {Tier.HOT: "STANDARD", Tier.COOL: "STANDARD_IA", Tier.COLD: "GLACIER_IR", Tier.ARCHIVE: "GLACIER"},
    StoreKind.GCS: {Tier.HOT: "STANDARD", Tier.COOL: "NEARLINE", Tier.COLD: "COLDLINE", Tier.ARCHIVE: "ARCHIVE"},
}
ON_THIS_MACHINE = (StoreKind.FILESYSTEM, StoreKind.MEMORY)


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
    """Address in signed URLs, where people reach a minio or s3 server by another address than the workers do."""
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
    """Most bytes of footage. Above it the oldest footage leaves that has another verified copy or is past its
    retention."""
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
        alien = ("bucket", "endpoint_url") if self.kind in ON_THIS_MACHINE else ("root",)
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
