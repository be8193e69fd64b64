"""What the catalogue's tests share: footage that exists only as rows, and catalogues of other workers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count

import psycopg2
import pytest

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.records import Ingested, LandingFile, TransferRecord
from reelkeeper.model import (
    BatchId,
    Camera,
    MediaInfo,
    Replica,
    ReplicaState,
    Segment,
    Sha256,
    StoreName,
    Tenant,
    camera_id,
    media_key,
    segment_id,
)
from reelkeeper.policy.rollout import rollout_bucket

START = datetime(2026, 3, 1, tzinfo=UTC)
LOCAL = StoreName("local")
MEDIA = MediaInfo("mov", "h264", 1920, 1080, 25.0, 60.0, True)


@dataclass
class Maker:
    """Makes cameras and footage, and records them through the catalogue as an ingest would."""

    catalogue: Catalogue
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
        identity = segment_id(camera.id, start)
        checksum = Sha256(sha256(data).hexdigest())
        segment = Segment(
            identity, camera.id, start, start + timedelta(minutes=1), size_bytes, checksum, "mp4", MEDIA,
            rollout_bucket(identity),
        )  # fmt: skip
        path = path or f"{camera.slug}/{next(self.numbers):06}.mp4"
        key = media_key(camera.tenant, camera.slug, start, identity, "mp4")
        replica = Replica(identity, start, store, key, size_bytes, checksum, ReplicaState.AVAILABLE, start)
        attempt = TransferRecord(identity, start, None, store, size_bytes, start, start + timedelta(seconds=1))
        file = LandingFile(zone, path, size_bytes, start)
        return Ingested(file, segment, replica, (attempt,), reason)

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
        batches = self.catalogue.landing.plan(
            run, zone, files, batch_files=1000, batch_bytes=10**12, max_batches=1000
        )
        return [batch.id for batch in batches]

    def minutes(self, camera: Camera, number: int, start: datetime = START, **more: object) -> list[Ingested]:
        """`number` segments of one minute each, one after another."""
        return [self.ingested(camera, start + timedelta(minutes=i), **more) for i in range(number)]  # type: ignore[arg-type]


@pytest.fixture
def make(catalogue: Catalogue) -> Maker:
    return Maker(catalogue)


@pytest.fixture
def another(catalogue_dsn: str) -> Iterator[Callable[[], Catalogue]]:
    """Opens the catalogue as another worker would, by a connection of its own."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(Catalogue(lambda: psycopg2.connect(catalogue_dsn)))
