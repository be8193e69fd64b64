"""What the catalogue's tests share: footage that exists only as rows, and catalogues of other workers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import Any

import psycopg2
import pytest

from demo.segments import ingested
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.records import (
    Ingested,
    LandingFile,
    TransferItem,
    TransferPlan,
    TransferRecord,
    TransferResult,
)
from reelkeeper.model import (
    BatchId,
    Camera,
    Replica,
    ReplicaState,
    Sha256,
    StoreName,
    Tenant,
    camera_id,
)

START = datetime(2026, 3, 1, tzinfo=UTC)
LOCAL, CLOUD = StoreName("local"), StoreName("cloud")


@dataclass
class Maker:
    """Makes cameras and footage, and records them through the catalogue as an ingest would."""

    catalogue: Catalogue
    start: datetime = START
    numbers: Iterator[int] = field(default_factory=count)

    def camera(self, slug: str = "gate", tenant: str = "default") -> Camera:
        given = Camera(camera_id(Tenant(tenant), slug), Tenant(tenant), slug, slug.title())
        return self.catalogue.cameras.register([given])[0]

    def ingested(
        self,
        camera: Camera,
        start: datetime = START,
        *,
        data: bytes = b"footage",
        store: StoreName = LOCAL,
        size_bytes: int = 1000,
        reason: str | None = None,
        zone: str = "zone",
        path: str | None = None,
    ) -> Ingested:
        return ingested(
            camera, start, timedelta(minutes=1), store=store, size_bytes=size_bytes,
            checksum=Sha256(sha256(data).hexdigest()), zone=zone,
            path=path or f"{camera.slug}/{next(self.numbers):06}.mp4", reason=reason, with_history=True,
        )  # fmt: skip

    def recorded(self, ingested: list[Ingested]) -> list[Ingested]:
        """The same footage after it was planned, claimed and recorded."""
        for zone in sorted({item.file.zone for item in ingested}):
            items = {item.file.path: item for item in ingested if item.file.zone == zone}
            run = f"ingest {next(self.numbers)}"
            files = [item.file for item in items.values()]
            for batch in self.plan(run, zone, files):
                for file in self.catalogue.landing.claim(batch, len(files), timedelta(minutes=1)):
                    self.catalogue.segments.record(batch, [items[file.path]])
        return ingested

    def plan(self, run: str, zone: str, files: list[LandingFile]) -> list[BatchId]:
        batches = self.catalogue.landing.plan(run, zone, files, batch_files=1000, batch_bytes=10**12, max_batches=1000)
        return [batch.id for batch in batches]

    def plan_transfers(self, run: str, **more: Any) -> TransferPlan:
        """A plan to copy everything to the cloud, unless told otherwise."""
        terms = {
            "source_store": LOCAL, "destination_store": CLOUD, "interval": None, "bucket_below": 10_000,
            "ended_before": datetime(2030, 1, 1, tzinfo=UTC), "batch_size": 1000, "batch_bytes": 10**12,
            "include_requests": True, "dry_run": False,
        }  # fmt: skip
        catalogue = more.pop("catalogue", self.catalogue)
        return catalogue.transfers.plan(run, **terms | more)

    @staticmethod
    def copied(item: TransferItem, *, at: datetime = START) -> TransferResult:
        """A claimed item, as an engine that copied it hands it back."""
        replica = Replica(
            item.segment_id, item.start_time, item.destination_store, item.destination_path, item.size_bytes,
            item.checksum, ReplicaState.AVAILABLE, at,
        )  # fmt: skip
        return TransferResult(item, Maker._attempt(item, at), replica)

    @staticmethod
    def not_copied(
        item: TransferItem, *, error_code: str = "store_timeout", retry: bool = False, at: datetime = START
    ) -> TransferResult:
        """A claimed item, as an engine that failed to copy it hands it back."""
        record = replace(Maker._attempt(item, at), error_code=error_code, error="it took too long")
        return TransferResult(item, record, None, retry)

    @staticmethod
    def _attempt(item: TransferItem, at: datetime) -> TransferRecord:
        return TransferRecord(
            item.segment_id, item.start_time, item.source_store, item.destination_store, item.size_bytes, at, at
        )

    def minutes(self, camera: Camera, number: int, start: datetime = START, **more: Any) -> list[Ingested]:
        """`number` segments of one minute each, one after another."""
        return [self.ingested(camera, start + timedelta(minutes=i), **more) for i in range(number)]


@pytest.fixture
def make(catalogue: Catalogue) -> Maker:
    return Maker(catalogue)


@pytest.fixture
def sql(catalogue_dsn: str) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    """Runs a statement on the test's database, past the repositories; its rows, if it has any."""
    with closing(psycopg2.connect(catalogue_dsn, options="-c search_path=reelkeeper")) as connection:
        connection.autocommit = True

        def run(statement: str, values: object = None) -> list[tuple[Any, ...]]:
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                return cursor.fetchall() if cursor.description else []

        yield run


@pytest.fixture
def another(catalogue_dsn: str) -> Iterator[Callable[[], Catalogue]]:
    """Opens the catalogue as another worker would, by a connection of its own."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(Catalogue(lambda: psycopg2.connect(catalogue_dsn)))
