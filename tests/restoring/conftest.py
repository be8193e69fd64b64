"""Archived footage: rows in a catalogue, and a store in memory whose objects must be restored like Glacier's."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from demo.segments import ingested
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.records import Ingested
from reelkeeper.errors import ReelkeeperError
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
    TimeRange,
    camera_id,
    segment_id,
)
from reelkeeper.restoring.job import (
    LookResult,
    RequestResult,
    RestorePlan,
    look_at_restores,
    plan_restore,
    request_restores,
    select,
)
from reelkeeper.settings import Estate, Placement, StoreSettings
from reelkeeper.stores.body import Body
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import RestoreSpeed, WriteOptions

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
START = datetime(2026, 3, 1, tzinfo=UTC)


class Glacier(MemoryStore):
    """A memory store with a clock that the test sets, which remembers what it was asked for."""

    def __init__(self, name: StoreName) -> None:
        super().__init__(name, clock=lambda: self.now)
        self.now = NOW
        self.asked: list[tuple[Key, int, RestoreSpeed]] = []
        self.faults: dict[Key, ReelkeeperError] = {}
        self.after_restore: Callable[[Key], None] = lambda key: None

    def restore(self, key: Key, *, days: int, speed: RestoreSpeed) -> None:
        if fault := self.faults.get(key):
            raise fault
        super().restore(key, days=days, speed=speed)
        self.asked.append((key, days, speed))
        self.after_restore(key)

    def requests(self) -> Counter[Key]:
        """How often each object was asked for."""
        return Counter(key for key, _, _ in self.asked)


@dataclass
class Vault:
    """An estate with a disk and archives of S3, `aws` and `deep`, and the steps of a restore."""

    catalogue: Catalogue
    dsn: str
    stores: dict[str, Glacier] = field(default_factory=lambda: {name: Glacier(StoreName(name)) for name in STORES})
    connection: Connection | None = None

    @property
    def estate(self) -> Estate:
        return Estate(
            stores=(
                StoreSettings(name="disk", kind=StoreKind.MINIO, bucket="disk"),
                *(StoreSettings(name=name, kind=StoreKind.S3, bucket=name, concurrency=4) for name in ("aws", "deep")),
            ),
            placement=Placement(mode="hybrid", local_store="disk", cloud_store="aws"),
        )

    def at(self, moment: datetime) -> datetime:
        """Set the clock of every store."""
        for store in self.stores.values():
            store.now = moment
        return moment

    def record(
        self,
        number: int = 1,
        *,
        camera: str = "gate",
        start: datetime = START,
        size_bytes: int = 2**20,
        stores: tuple[str, ...] = ("aws",),
        classes: dict[str, str] | None = None,
    ) -> list[Segment]:
        """`number` segments of ten minutes, with an archived copy in each store; the objects are tiny."""
        tenant = Tenant("default")
        owner = Camera(camera_id(tenant, camera), tenant, camera, camera.title())
        self.catalogue.cameras.register([owner])
        made: list[Ingested] = []
        for index in range(number):
            begin = start + index * timedelta(minutes=10)
            body = Body.of_bytes(segment_id(owner.id, begin).bytes)
            for place in stores:
                storage_class = (CLASSES | (classes or {}))[place]
                one = ingested(
                    owner, begin, timedelta(minutes=10), store=StoreName(place), size_bytes=size_bytes,
                    checksum=body.sha256, path=f"{place}/{camera}/{begin.isoformat()}", storage_class=storage_class,
                    tier=Tier.ARCHIVE if storage_class in ("GLACIER", "DEEP_ARCHIVE") else Tier.HOT,
                )  # fmt: skip
                self.stores[place].write(one.replica.path, body, WriteOptions(storage_class=storage_class))
                made.append(one)
        self.catalogue.segments.record(BatchId(uuid4()), made)
        return list({item.segment.id: item.segment for item in made}.values())

    def plan(self, run: str = "run", *, now: datetime = NOW, days: int = 7, **options: object) -> RestorePlan:
        """Of all footage, with a budget that is never met, unless told otherwise."""
        chosen = {name: options.pop(name) for name in ("cameras", "time_range", "segment_ids") if name in options}
        everything = {"time_range": TimeRange(START, START + timedelta(days=30))}
        selection = select(self.estate, self.catalogue, **chosen or everything)  # type: ignore[arg-type]
        options = {"budget_usd": Decimal(10**9)} | options
        return plan_restore(self.estate, self.catalogue, selection, days=days, run_id=run, now=now, **options)  # type: ignore[arg-type]

    def request(self, run: str = "run", *, store: str = "aws", now: datetime = NOW) -> RequestResult:
        return request_restores(
            self.estate, self.open_catalogue, self.open_store, StoreName(store), run_id=run, now=self.at(now)
        )

    def look(self, run: str = "run", *, store: str = "aws", now: datetime = NOW) -> LookResult:
        return look_at_restores(
            self.estate, self.open_catalogue, self.open_store, StoreName(store), run_id=run, now=self.at(now)
        )

    def open_catalogue(self) -> Catalogue:
        return Catalogue(lambda: psycopg2.connect(self.dsn))

    def open_store(self, name: str) -> Glacier:
        return self.stores[name]

    def replica(self, segment: Segment, store: str = "aws") -> Replica:
        replicas = self.catalogue.replicas.of_segments([(segment.id, segment.start_time)])[segment.id]
        return next(replica for replica in replicas if replica.store == store)

    def sql(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        """Rows straight from the database, past the repositories."""
        if self.connection is None:
            self.connection = psycopg2.connect(self.dsn, options="-c search_path=reelkeeper")
            self.connection.autocommit = True
        with self.connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall() if cursor.description else []


CLASSES = {"disk": "STANDARD", "aws": "GLACIER", "deep": "DEEP_ARCHIVE"}
STORES = tuple(CLASSES)


@pytest.fixture
def vault(catalogue: Catalogue, catalogue_dsn: str) -> Iterator[Vault]:
    made = Vault(catalogue, catalogue_dsn)
    yield made
    if made.connection is not None:
        made.connection.close()
