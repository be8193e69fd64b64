"""Replicas in stores of every kind and in a catalogue, to be verified."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
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
    camera_id,
    segment_id,
)
from reelkeeper.settings import Estate, Placement, StoreSettings, Verification
from reelkeeper.stores.body import Body
from reelkeeper.stores.filesystem import FilesystemStore
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import Store, WriteOptions
from reelkeeper.verification.job import Scope, StoreVerified, verify_store
from tests.owning import owned
from tests.sql import run_sql
from tests.stores.conftest import _set_up_rig as _set_up_rig  # noqa: PLC0414
from tests.stores.conftest import rig as rig  # noqa: PLC0414 - a fixture, and what it needs

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = START + timedelta(days=60)


@dataclass
class Shelf:
    """An estate of two stores, `disk` and `cloud`, whose replicas were all proved at `START`, one after another."""

    catalogue: Catalogue
    dsn: str
    root: Path
    stores: dict[str, Any]
    budget: int = 2**30
    method: str = "hash"
    cycle_days: int = 30
    price_list: str = ""  # of the cloud
    now: datetime = NOW
    asked: list[Key] = field(default_factory=list)

    @property
    def estate(self) -> Estate:
        return Estate(
            stores=(StoreSettings(name="disk", kind=StoreKind.FILESYSTEM, root=self.root, concurrency=4),
                    StoreSettings(name="cloud", kind=StoreKind.MINIO, bucket="recordings", concurrency=4,
                                  price_list=self.price_list)),
            placement=Placement(mode="hybrid", local_store="disk", cloud_store="cloud"),
            verification=Verification(method=self.method, bytes_per_run=self.budget, cycle_days=self.cycle_days),
        )  # fmt: skip

    def record(
        self,
        number: int,
        *stores: str,
        camera: str = "gate",
        size_bytes: int = 1000,
        start: datetime = START,
        storage_class: str | None = None,
        prefix: str = "",
    ) -> list[Segment]:
        """`number` segments of a minute: bytes in each of the stores (by default both), and rows."""
        tenant = Tenant("default")
        owner = Camera(camera_id(tenant, camera), tenant, camera, camera.title())
        self.catalogue.cameras.register([owner])
        made = []
        for index in range(number):
            begin = start + timedelta(minutes=index)
            body = Body.of_bytes((segment_id(owner.id, begin).bytes * (size_bytes // 16 + 1))[:size_bytes])
            for name in stores or ("disk", "cloud"):
                one = ingested(
                    owner, begin, timedelta(minutes=1), store=StoreName(name), size_bytes=size_bytes,
                    checksum=body.sha256, path=f"{name}/{camera}/{begin.isoformat()}", storage_class=storage_class,
                )  # fmt: skip
                replica = replace(one.replica, path=Key(prefix + one.replica.path))
                self.stores[name].write(replica.path, body, WriteOptions(storage_class=storage_class))
                made.append(replace(one, replica=replica))
        first = [one for one in made if one.replica.store == (stores or ("disk",))[0]]
        self.catalogue.segments.record(BatchId(uuid4()), first)
        self.catalogue.repairs.find([one.replica for one in made])
        self.sql("UPDATE replicas SET created_at = start_time")
        return [one.segment for one in first]

    def open_store(self, name: str) -> Store:
        return owned(self.stores[name], self.catalogue)

    def verify(
        self, store: str = "disk", run_id: str = "run", started: datetime | None = None, **scope: Any
    ) -> StoreVerified:
        return verify_store(
            self.estate, lambda: Catalogue(lambda: psycopg2.connect(self.dsn)), self.open_store, store,
            Scope(**scope), run_id=run_id, started=started or self.now, now=lambda: self.now,
        )  # fmt: skip

    def replica(self, segment: Segment, store: str = "disk") -> Replica:
        name = (segment.id, segment.start_time)
        return {r.store: r for r in self.catalogue.replicas.of_segments([name])[segment.id]}[StoreName(store)]

    def states(self, store: str = "disk") -> dict[str, int]:
        return dict(self.sql("SELECT state, count(*) FROM replicas WHERE store = %s GROUP BY 1", store))

    def proved(self, store: str = "disk") -> int:
        """How many were proved since they were recorded."""
        return self.sql("SELECT count(*) FROM replicas WHERE store = %s AND verified_at > start_time", store)[0][0]

    def rewrite(self, segment: Segment, change: Callable[[bytes], bytes | None], store: str = "disk") -> None:
        """Put other bytes in the place of a replica's; None: none."""
        path, held = self.replica(segment, store).path, self.stores[store]
        changed = change(b"".join(held.read(path)))
        assert held.delete([path]) == {}
        if changed is not None:
            held.write(path, Body.of_bytes(changed))

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows straight from the database, past the repositories."""
        return run_sql(self.dsn, statement, values)


@pytest.fixture
def shelf(catalogue: Catalogue, catalogue_dsn: str, tmp_path: Path) -> Shelf:
    """A disk, and a cloud in memory."""
    disk = FilesystemStore(StoreName("disk"), tmp_path / "disk")
    list(disk.set_up())
    owned(disk, catalogue)
    stores: dict[str, Store] = {"disk": disk, "cloud": MemoryStore(StoreName("cloud"))}
    return Shelf(catalogue, catalogue_dsn, tmp_path / "disk", stores)


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waits between tries."""
    from reelkeeper.stores import presence
    from reelkeeper.stores.retry import retrying
    from reelkeeper.verification import looking

    for module in (looking, presence):
        monkeypatch.setattr(module, "retrying", lambda **more: retrying(first_wait_seconds=0, **more))
