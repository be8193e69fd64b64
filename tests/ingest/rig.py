"""A small estate that takes footage in: a landing zone, a local store on disk, a cloud store in memory."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

from tenacity import Retrying

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.ingest.job import IngestPlan, IngestResult, ingest_batch, plan_ingest, summarise
from reelkeeper.model import StoreName
from reelkeeper.settings import Estate
from reelkeeper.stores.filesystem import FilesystemStore
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import Store
from reelkeeper.stores.retry import retrying

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def name(number: int, suffix: str = "mp4") -> str:
    """The name of the n-th ten-second file after START."""
    return f"{START + timedelta(seconds=10 * number):%Y%m%dT%H%M%SZ}.{suffix}"


@dataclass(eq=False)
class Rig:
    """An estate in a temporary folder, and what a test does to it."""

    root: Path
    open_catalogue: Callable[[], Catalogue]
    footage: Any
    connect: Callable[[], Any]
    cloud: Any = field(default_factory=lambda: MemoryStore(StoreName("cloud")))
    zone: dict[str, Any] = field(default_factory=dict)
    placement: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    now: datetime = NOW
    lease: timedelta | None = None
    retry: Retrying = field(default_factory=lambda: retrying(first_wait_seconds=0.001))
    runs: Iterator[int] = field(default_factory=count)
    slept: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.landing.mkdir(exist_ok=True)
        self.local.set_up()

    @property
    def landing(self) -> Path:
        return self.root / "landing"

    @property
    def local(self) -> FilesystemStore:
        return FilesystemStore(StoreName("local"), self.root / "local")

    @property
    def estate(self) -> Estate:
        zone = {"name": "zone", "path": self.landing, "settle_seconds": 0.01} | self.zone
        return Estate.model_validate(
            {
                "stores": [
                    {"name": "local", "kind": "filesystem", "root": self.root / "local"},
                    {"name": "cloud", "kind": "s3", "bucket": "footage"},
                ],
                "landing_zones": [{key: value for key, value in zone.items() if value is not None}],
                "placement": {"local_store": "local", "cloud_store": "cloud"} | self.placement,
            }
            | self.settings
        )

    def open_store(self, name: str) -> Store:
        return {"local": self.local, "cloud": self.cloud}[name]

    def lands(self, path: str, *, number: int = 0, suffix: str = "mp4", data: bytes | None = None) -> Path:
        """A file arrives in the landing zone: real footage, another for each `number`, or `data`."""
        file = self.landing / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if data is None:
            shutil.copyfile(self.footage.make(f"ingest-{number}.{suffix}", first_frame=number * 100), file)
        else:
            file.write_bytes(data)
        return file

    def plan(self, **more: Any) -> IngestPlan:
        arguments: dict[str, Any] = {"run_id": f"run {next(self.runs)}", "sleep": self.slept.append} | more
        with self.open_catalogue() as catalogue:
            return plan_ingest(self.estate, catalogue, self.open_store, "zone", **arguments)

    def batch(self, batch_id: Any, **more: Any) -> IngestResult:
        arguments: dict[str, Any] = {"now": lambda: self.now, "retry": self.retry, "lease": self.lease} | more
        return ingest_batch(self.estate, self.open_catalogue, self.open_store, batch_id, **arguments)

    def run(self, **more: Any) -> IngestResult:
        """A whole run: plan, then every batch."""
        return summarise(self.batch(batch.id) for batch in self.plan(**more).batches)

    def rows(self, query: str) -> list[Any]:
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("SET search_path = reelkeeper; SET timezone = 'UTC'; " + query)
            return cursor.fetchall()

    def replica_digests(self) -> dict[str, str]:
        """Store and path of every replica, with the SHA-256 of what really lies there; compared with its row's."""
        digests = {}
        for store, path, checksum, state in self.rows("SELECT store, path, checksum, state FROM replicas"):
            data = b"".join(self.open_store(store).read(path))
            assert sha256(data).hexdigest() == checksum
            assert state == "available"
            digests[f"{store}:{path}"] = checksum
        return digests

    def left(self) -> list[str]:
        """What is still in the zone, quarantine included."""
        return sorted(str(path.relative_to(self.landing)) for path in self.landing.rglob("*") if path.is_file())
