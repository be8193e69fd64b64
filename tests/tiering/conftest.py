"""An estate whose stores have tiers: a disk with folders, a store with the classes of AWS, a second disk."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
import pytest

from demo.segments import ingested
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.model import (
    BatchId,
    Camera,
    Key,
    Replica,
    Segment,
    StoreKind,
    StoreName,
    Tenant,
    Tier,
    camera_id,
    segment_id,
)
from reelkeeper.settings import Estate, Placement, StoreSettings, Tiering, TierPlace
from reelkeeper.stores.body import Body
from reelkeeper.stores.filesystem import FilesystemStore
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import Store, WriteOptions
from reelkeeper.tiering.job import TierPlan, TierResult, plan_tiers, tier_batch
from tests.owning import owned
from tests.sql import run_sql

NOW = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)
TENANT = Tenant("default")


@dataclass
class Vault:
    """Footage of all ages in stores with tiers."""

    catalogue: Catalogue
    dsn: str
    root: Path
    stores: dict[str, Store] = field(default_factory=dict)
    mode: str = "hybrid"
    tiering: Tiering = field(default_factory=Tiering)
    now: datetime = NOW
    disk: dict[str, Any] = field(default_factory=dict)  # more of its settings
    cloud: dict[str, Any] = field(default_factory=dict)

    @property
    def estate(self) -> Estate:
        tiers = {
            Tier.HOT: TierPlace(usd_per_gb_month=Decimal("0.05")),
            Tier.COOL: TierPlace(prefix="cool/", usd_per_gb_month=Decimal("0.02")),
            Tier.COLD: TierPlace(store="second", usd_per_gb_month=Decimal("0.01")),
        }
        return Estate(
            stores=(
                StoreSettings(
                    name="disk", kind=StoreKind.FILESYSTEM, root=self.root / "disk", tiers=tiers, **self.disk
                ),
                StoreSettings(name="second", kind=StoreKind.FILESYSTEM, root=self.root / "second"),
                StoreSettings(name="cloud", kind=StoreKind.S3, bucket="recordings", concurrency=4, **self.cloud),
            ),
            placement=Placement(mode=self.mode, local_store="disk", cloud_store="cloud"),  # type: ignore[arg-type]
            tiering=self.tiering,
        )

    def open_store(self, name: str) -> Store:
        return owned(self.stores[name], self.catalogue)

    def open_catalogue(self) -> Catalogue:
        return Catalogue(lambda: psycopg2.connect(self.dsn))

    def record(
        self, store: str, *ages: float, size_bytes: int = 10_000, retention_days: int | None = None,
        camera: str = "gate", tier: Tier = Tier.HOT, storage_class: str | None = None,
        days_in_tier: float | None = None,
    ) -> list[Segment]:  # fmt: skip
        """One segment for each age in days, with a replica in `store`: its object, and its rows.

        The rows claim `size_bytes`, which cost as much; the object of a cloud has them only below a megabyte.
        """
        owner = Camera(camera_id(TENANT, camera), TENANT, camera, camera.title(), retention_days)
        self.catalogue.cameras.register([owner])
        made = []
        for age in ages:
            start = self.now - timedelta(days=age, seconds=10)
            body = Body.of_bytes((segment_id(owner.id, start).bytes * (size_bytes // 16 + 1))[:size_bytes])
            given = ingested(
                owner, start, timedelta(seconds=10), store=StoreName(store), size_bytes=size_bytes, checksum=body.sha256
            )
            self.stores[store].write(given.replica.path, body, WriteOptions(storage_class=storage_class))
            made.append(given)
        self.catalogue.segments.record(BatchId(uuid4()), made)
        since = self.now - timedelta(days=days_in_tier) if days_in_tier is not None else None
        for each in made:
            self.sql(
                "UPDATE replicas SET created_at = start_time, tier = %s, tier_since = %s, storage_class = %s"
                " WHERE segment_id = %s",
                (tier, since, storage_class, str(each.segment.id)),
            )
        return [each.segment for each in made]

    def plan(self, run_id: str = "run 1", **options: Any) -> TierPlan:
        return plan_tiers(self.estate, self.catalogue, self.open_store, run_id=run_id, now=lambda: self.now, **options)

    def move(self, run_id: str = "run 1", **options: Any) -> list[TierResult]:
        """Every batch of a run."""
        return [self.work(batch.id, run_id, **options) for batch in self.catalogue.tier_moves.batches(run_id)]

    def work(self, batch_id: BatchId, run_id: str = "run 1", **options: Any) -> TierResult:
        return tier_batch(
            self.estate, self.open_catalogue, self.open_store, batch_id, run_id=run_id, now=lambda: self.now, **options
        )

    def replicas(self, segment: Segment) -> dict[str, Replica]:
        name = (segment.id, segment.start_time)
        return {replica.store: replica for replica in self.catalogue.replicas.of_segments([name]).get(segment.id, [])}

    def replica(self, segment: Segment) -> Replica:
        (found,) = self.replicas(segment).values()
        return found

    def holds(self, replica: Replica) -> bool:
        """Whether the replica's object has the bytes on record."""
        return Body.of_bytes(b"".join(self.stores[replica.store].read(replica.path))).sha256 == replica.checksum

    def pointed(self, segment: Segment) -> tuple[str, Key]:
        """Where a read of the segment goes first."""
        return self.sql("SELECT storage_backend, storage_path FROM segments WHERE id = %s", (str(segment.id),))[0]  # type: ignore[return-value]

    def sql(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """Rows straight from the database, past the repositories."""
        return run_sql(self.dsn, statement, values)


@pytest.fixture
def vault(catalogue: Catalogue, catalogue_dsn: str, tmp_path: Path) -> Vault:
    made = Vault(catalogue, catalogue_dsn, tmp_path)
    for name in ("disk", "second"):
        store = FilesystemStore(StoreName(name), tmp_path / name)
        list(store.set_up())
        made.stores[name] = store
    made.stores["cloud"] = MemoryStore(StoreName("cloud"))
    return made
