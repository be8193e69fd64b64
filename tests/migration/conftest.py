"""Footage on a disk and in the catalogue, ready to be migrated to a store that the estate takes for a cloud."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest

from demo.segments import ingested
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.migration.job import MigrationPlan, plan_migration
from reelkeeper.model import (
    BatchId,
    Camera,
    Key,
    Replica,
    ReplicaState,
    Segment,
    StoreKind,
    StoreName,
    Tenant,
    TimeRange,
    camera_id,
    segment_id,
)
from reelkeeper.policy.rollout import Percentage
from reelkeeper.settings import Estate, Placement, Rollout, StoreSettings
from reelkeeper.stores.body import Body
from reelkeeper.stores.filesystem import FilesystemStore
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import Store
from tests.migration.steps import Failing
from tests.sql import run_sql
from tests.stores.conftest import FaultyProxy

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
HOUR = TimeRange(START, START + timedelta(hours=1))
NOW = START + timedelta(days=1)


@dataclass
class Archive:
    """An estate with a disk, a catalogue, and whatever store stands for the cloud."""

    catalogue: Catalogue
    dsn: str
    root: Path
    stores: dict[str, Store] = field(default_factory=dict)
    percentage: float = 100
    mode: str = "hybrid"

    @property
    def estate(self) -> Estate:
        return Estate(
            stores=(
                StoreSettings(name="disk", kind=StoreKind.FILESYSTEM, root=self.root),
                StoreSettings(name="cloud", kind=StoreKind.MINIO, bucket="recordings", concurrency=8),
            ),
            placement=Placement(mode=self.mode, local_store="disk", cloud_store="cloud"),  # type: ignore[arg-type]
            rollout=Rollout(percentage=Percentage.of(self.percentage)),
        )

    def open_store(self, name: str) -> Store:
        return self.stores[name]

    def open_catalogue(self) -> Catalogue:
        return Catalogue(lambda: psycopg2.connect(self.dsn))

    def record(
        self,
        number: int,
        *,
        start: datetime = START,
        step: timedelta = timedelta(seconds=10),
        camera: str = "gate",
        size_bytes: int = 1000,
    ) -> list[Segment]:
        """`number` segments of a camera, one after another: bytes on the disk, rows in the catalogue."""
        tenant = Tenant("default")
        owner = Camera(camera_id(tenant, camera), tenant, camera, camera.title())
        self.catalogue.cameras.register([owner])
        made = []
        for index in range(number):
            begin = start + index * step
            body = Body.of_bytes((segment_id(owner.id, begin).bytes * (size_bytes // 16 + 1))[:size_bytes])
            given = ingested(owner, begin, step, store=StoreName("disk"), size_bytes=size_bytes, checksum=body.sha256)
            self.stores["disk"].write(given.replica.path, body)
            made.append(given)
        if made:
            self.catalogue.segments.record(BatchId(uuid4()), made)
        return [given.segment for given in made]

    def plan(self, run_id: str = "run 1", interval: TimeRange | None = HOUR, **options: object) -> MigrationPlan:
        options = {"now": lambda: NOW} | options
        return plan_migration(self.estate, self.catalogue, run_id=run_id, interval=interval, **options)  # type: ignore[arg-type]

    def replicas(self, segment: Segment) -> dict[str, Replica]:
        name = (segment.id, segment.start_time)
        return {replica.store: replica for replica in self.catalogue.replicas.of_segments([name]).get(segment.id, [])}

    def sql(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """Rows straight from the database, past the repositories."""
        return run_sql(self.dsn, statement, values)

    def _sha256(self, replica: Replica) -> str:
        return Body.of_bytes(b"".join(self.stores[replica.store].read(replica.path))).sha256

    def history(self) -> dict[str, int]:
        """Rows of the history by outcome."""
        return dict(self.sql("SELECT outcome, count(*) FROM transfers GROUP BY outcome"))  # type: ignore[arg-type]

    def assert_migrated(self, segments: list[Segment]) -> None:
        """Each is in the cloud once, byte for byte, on record once, and still on the disk."""
        checksums = {segment.id: segment.checksum for segment in segments}
        by_segment = self.catalogue.replicas.of_segments([(segment.id, segment.start_time) for segment in segments])
        assert by_segment.keys() == checksums.keys()
        for replicas in by_segment.values():
            assert [(r.store, r.state) for r in replicas] == [
                ("cloud", ReplicaState.AVAILABLE), ("disk", ReplicaState.AVAILABLE)
            ]  # fmt: skip
        every = [replica for replicas in by_segment.values() for replica in replicas]
        with ThreadPoolExecutor(8) as pool:
            for replica, sha256 in zip(every, pool.map(self._sha256, every), strict=True):
                assert sha256 == checksums[replica.segment_id]
        succeeded = self.sql("SELECT segment_id, count(*) FROM transfers WHERE outcome = 'succeeded' GROUP BY 1")
        assert sorted(succeeded) == sorted((str(segment.id), 1) for segment in segments)
        in_cloud = [stat.key for stat in self.stores["cloud"].list("media/")]
        assert len(in_cloud) == len(set(in_cloud)) == len(segments)


@pytest.fixture
def archive(catalogue: Catalogue, catalogue_dsn: str, tmp_path: Path) -> Archive:
    """An estate whose cloud is a memory store."""
    disk = FilesystemStore(StoreName("disk"), tmp_path / "disk")
    list(disk.set_up())
    cloud = MemoryStore(StoreName("cloud"))
    return Archive(catalogue, catalogue_dsn, tmp_path / "disk", {"disk": disk, "cloud": cloud})


@pytest.fixture
def spoil(archive: Archive) -> Callable[[Segment, bytes], None]:
    """Puts other bytes in the place of a segment's on the disk."""

    def put(segment: Segment, data: bytes) -> None:
        path: Key = archive.replicas(segment)["disk"].path
        (archive.root / path).write_bytes(data)

    return put


@pytest.fixture
def faulty() -> Iterator[Callable[[str | None], FaultyProxy]]:
    """Starts proxies that answer as told; they stop with the test."""
    with ExitStack() as stack:
        yield lambda target: stack.enter_context(FaultyProxy(target))


@pytest.fixture
def cloud(archive: Archive) -> Failing:
    store = Failing()
    archive.stores["cloud"] = store
    return store


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of milliseconds between the tries of an object."""
    from reelkeeper.stores import retry, transfer

    monkeypatch.setattr(transfer, "retrying", lambda **options: retry.retrying(first_wait_seconds=0.002, **options))
