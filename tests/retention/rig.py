"""An estate of a disk and a cloud with footage in both: what the tests of deletion have in common."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg2

from demo.segments import ingested
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.condemnations import Condemned
from reelkeeper.catalogue.records import Thumbnail
from reelkeeper.errors import ObjectNotFound
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
    media_key,
    segment_id,
    thumbnail_key,
)
from reelkeeper.policy.retention import Reason
from reelkeeper.retention.deleting import DeletionResult, delete_condemned
from reelkeeper.settings import Estate, Placement, StoreSettings
from reelkeeper.stores.body import Body
from reelkeeper.stores.filesystem import FilesystemStore
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import Store
from tests.owning import owned
from tests.sql import run_sql

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
STEP = timedelta(minutes=1)
NOW = datetime(2026, 4, 1, tzinfo=UTC)  # 31 days later: inside the retention of 90
LATE = datetime(2026, 7, 1, tzinfo=UTC)  # all of it is over
DISK, CLOUD = StoreName("disk"), StoreName("cloud")
TENANT = Tenant("default")


@dataclass
class Rig:
    """An estate with real bytes; `settings` change the stores, `sections` the rest of it."""

    root: Path
    dsn: str
    stores: dict[str, Store] = field(default_factory=dict)
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    sections: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.stores:
            disk = FilesystemStore(DISK, self.root / "disk")
            list(disk.set_up())
            self.stores |= {DISK: disk, CLOUD: MemoryStore(CLOUD)}
        self.catalogue = self.open_catalogue()
        for store in self.stores.values():
            owned(store, self.catalogue)

    @property
    def estate(self) -> Estate:
        more = {DISK: {}, CLOUD: {}} | self.settings
        return Estate(
            stores=(
                StoreSettings(name=DISK, kind=StoreKind.FILESYSTEM, root=self.root / "disk", **more[DISK]),
                StoreSettings(name=CLOUD, kind=StoreKind.MINIO, bucket="recordings", concurrency=4, **more[CLOUD]),
            ),
            placement=Placement(mode="hybrid", local_store=DISK, cloud_store=CLOUD),
            **self.sections,
        )

    def open_store(self, name: str) -> Store:
        return owned(self.stores[name], self.catalogue)

    def open_catalogue(self) -> Catalogue:
        return Catalogue(lambda: psycopg2.connect(self.dsn))

    def camera(self, slug: str = "gate", retention_days: int | None = None) -> Camera:
        given = Camera(camera_id(TENANT, slug), TENANT, slug, slug.title(), retention_days)
        self.catalogue.cameras.upsert([given])
        return given

    def record(
        self,
        number: int,
        *,
        camera: str = "gate",
        start: datetime = START,
        stores: tuple[StoreName, ...] = (DISK, CLOUD),
        thumbnails: bool = False,
        size_bytes: int = 100,
        retention_days: int | None = None,
    ) -> list[Segment]:
        """`number` segments of a minute, one after another: bytes in each store, and rows."""
        owner = self.camera(camera, retention_days)
        made = []
        for index in range(number):
            begin = start + index * STEP
            body = Body.of_bytes((segment_id(owner.id, begin).bytes * (size_bytes // 16 + 1))[:size_bytes])
            for store in stores:
                one = ingested(owner, begin, STEP, store=store, size_bytes=size_bytes, checksum=body.sha256)
                self.stores[store].write(one.replica.path, body)
                made.append(one)
        if made:
            self.catalogue.segments.record(BatchId(uuid4()), made)
            self.sql("UPDATE segments SET created_at = start_time WHERE camera_id = %s", (str(owner.id),))
        segments = list({one.segment.id: one.segment for one in made}.values())
        if thumbnails:
            for segment in segments:
                self.thumbnail(segment, camera)
        return segments

    def thumbnail(self, segment: Segment, camera: str) -> Key:
        key = thumbnail_key(media_key(TENANT, camera, segment.start_time, segment.id, "mp4"))
        self.stores[DISK].write(key, Body.of_bytes(b"picture"))
        self.catalogue.thumbnails.record([Thumbnail(segment.id, segment.start_time, DISK, key, 320, 240)])
        return key

    def export(
        self, status: str, *, camera: UUID | None = None, expires_at: datetime = NOW, store: StoreName | None = None
    ) -> UUID:
        """An export of the first minute, as its row stands."""
        identity = uuid4()
        self.sql(
            "INSERT INTO exports (id, tenant, camera_ids, start_time, end_time, format, reason, status, store,"
            " file_path, expires_at, completed_at, created_by)"
            " VALUES (%s, 'default', ARRAY[%s::uuid], %s, %s, 'mp4', 'r', %s, %s, 'a', %s, %s, 'me')",
            (str(identity), str(camera or uuid4()), START, START + STEP, status, store, expires_at, START),
        )
        return identity

    def replicas(self, segment: Segment) -> dict[str, Replica]:
        name = (segment.id, segment.start_time)
        return {replica.store: replica for replica in self.catalogue.replicas.of_segments([name]).get(segment.id, [])}

    def condemn(
        self, segments: list[Segment], store: StoreName = DISK, reason: Reason = Reason.EXPIRED, *, now: datetime = NOW
    ) -> int:
        """Condemn the replicas of these segments in a store, with no grace."""
        replicas = [self.replicas(segment)[store] for segment in segments]
        things = [Condemned(store, r.path, reason, r.size_bytes, r.segment_id, r.start_time) for r in replicas]
        return self.catalogue.condemnations.condemn(things, run_id="condemning run", now=now, delete_after=now)

    def delete(self, store: StoreName = DISK, *, now: datetime = NOW, **more: Any) -> DeletionResult:
        more = {"run_id": "deleting run", "now": now} | more
        return delete_condemned(self.estate, self.open_catalogue, self.open_store, store, **more)

    def sql(self, statement: str, values: object = None) -> list[tuple[Any, ...]]:
        """Rows straight from the database, past the repositories."""
        return run_sql(self.dsn, statement, values)

    def condemned(self) -> dict[tuple[str, str], str]:
        """What stands condemned: reason by place."""
        return {
            (store, path): reason for store, path, reason in self.sql("SELECT store, path, reason FROM condemnations")
        }

    def history(self) -> dict[tuple[str, str], int]:
        """Rows of the deletion history by store and reason."""
        rows = self.sql("SELECT store, reason, count(*) FROM deletions GROUP BY 1, 2")
        return {(store, reason): number for store, reason, number in rows}

    def keys(self, store: StoreName, prefix: str = "media/") -> set[str]:
        return {stat.key for stat in self.stores[store].list(prefix)}

    def assert_owed_is_there(self, segments: list[Segment], states: tuple[str, ...] = ("available",)) -> None:
        """Each segment has a copy on record, in one of these states, whose bytes are right."""
        for segment in segments:
            good = [
                replica.store
                for replica in self.replicas(segment).values()
                if replica.state in states and self._sha256(replica) == segment.checksum
            ]
            assert good, f"segment {segment.start_time} has no copy left"

    def _sha256(self, replica: Replica) -> str | None:
        try:
            return sha256(b"".join(self.stores[replica.store].read(replica.path))).hexdigest()
        except ObjectNotFound:
            return None
