"""An estate of two disks with real footage whose frames carry a counter: what the tests of exports have in common."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import av
import numpy as np
import psycopg2
import pytest
from numpy.typing import NDArray

from demo.segments import ingested
from demo.video import read_counter
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.exporting.job import (
    Asked,
    Export,
    accept_export,
    compose_export,
    cut_camera,
    deliver_export,
    export_id,
    fail_export,
)
from reelkeeper.media.signing import Signer
from reelkeeper.model import (
    BatchId,
    Camera,
    Segment,
    StoreKind,
    StoreName,
    Tenant,
    camera_id,
)
from reelkeeper.settings import Estate, Exports, Placement, StoreSettings
from reelkeeper.stores.body import Body
from reelkeeper.stores.filesystem import FilesystemStore
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import Store
from tests.conftest import Footage
from tests.owning import owned
from tests.sql import run_sql

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
SECONDS, RATE = 2, 10  # of a segment: its length, and frames a second
STEP = timedelta(seconds=SECONDS)
NOW = datetime(2026, 3, 2, tzinfo=UTC)
DISK, CLOUD = StoreName("disk"), StoreName("cloud")
TENANT = Tenant("default")


@dataclass
class Rig:
    """The estate, and the steps of an export as its tasks take them. Exports lie in the store `cloud`."""

    root: Path
    dsn: str
    footage: Footage
    terms: dict[str, Any] = field(default_factory=dict)  # of [exports]
    signer: Signer = field(default_factory=Signer.create)

    def __post_init__(self) -> None:
        self.catalogue = Catalogue(lambda: psycopg2.connect(self.dsn))
        disk = FilesystemStore(DISK, self.root / "disk")
        list(disk.set_up())
        self.stores: dict[str, Store] = {DISK: disk, CLOUD: MemoryStore(CLOUD)}
        for store in self.stores.values():
            owned(store, self.catalogue)

    @property
    def estate(self) -> Estate:
        return Estate(
            stores=(
                StoreSettings(name=DISK, kind=StoreKind.FILESYSTEM, root=self.root / "disk"),
                StoreSettings(name=CLOUD, kind=StoreKind.MINIO, bucket="recordings"),
            ),
            placement=Placement(mode="hybrid", local_store=DISK, cloud_store=CLOUD),
            exports=Exports(**({"work_directory": self.work} | self.terms)),
        )

    @property
    def work(self) -> Path:
        path = self.root / "work"
        path.mkdir(exist_ok=True)
        return path

    def open_store(self, name: str) -> Store:
        return self.stores[name]

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows straight from the database, past the repositories."""
        return run_sql(self.dsn, statement, values)

    def record(
        self,
        indexes: Sequence[int],
        *,
        camera: str = "gate",
        stores: Sequence[StoreName] = (DISK,),
        first_frame: int = 0,
    ) -> list[Segment]:
        """Segments of two seconds, each at its place of the day; the counter runs through them."""
        owner = Camera(camera_id(TENANT, camera), TENANT, camera, camera.title())
        self.catalogue.cameras.register([owner])
        made = []
        for index in indexes:
            begin = START + index * STEP
            first = first_frame + index * SECONDS * RATE
            path = self.footage.make(f"export-{first}.mp4", seconds=SECONDS, frame_rate=RATE, first_frame=first)
            body = Body.of_bytes(path.read_bytes())
            for store in stores:
                one = ingested(owner, begin, STEP, store=store, size_bytes=body.size_bytes, checksum=body.sha256)
                self.stores[store].write(one.replica.path, body)
                made.append(one)
        self.catalogue.segments.record(BatchId(uuid4()), made)
        return list({each.segment.id: each.segment for each in made}.values())

    # --- the steps of an export ---------------------------------------------------------------------------------------

    def accept(
        self, *cameras: str, run_id: str = "run", expect_ready: Callable[[], object] = lambda: None, **fields: Any
    ) -> Export:
        given = {
            "camera_ids": list(cameras) or ["gate"], "start_time": "2026-03-01T10:00:00Z",
            "end_time": "2026-03-01T10:00:08Z", "reason": "incident 42", "created_by": "ann",
        } | fields  # fmt: skip
        identity = UUID(given.pop("export_id", str(export_id(run_id))))
        asked = Asked(identity, TENANT, run_id, given)
        return accept_export(self.estate, self.catalogue, self.open_store, asked, now=NOW, expect_ready=expect_ready)

    def cut(self, export: Export, number: int = 0) -> Any:
        return cut_camera(
            self.estate, self.catalogue, self.open_store, export.id, number, run_id=str(export.run_id),
            now=lambda: NOW + timedelta(minutes=1),
        )  # fmt: skip

    def compose(self, export: Export) -> Any:
        return compose_export(
            self.estate, self.catalogue, self.open_store, export.id, run_id=str(export.run_id), now=lambda: NOW
        )

    def deliver(self, export: Export) -> Export:
        return deliver_export(
            self.estate, self.catalogue, self.open_store, export.id, signer=self.signer,
            link=lambda identity: f"https://airflow/exports/{identity}", run_id=str(export.run_id), now=NOW,
        )  # fmt: skip

    def fail(self, export: Export, why: str = "no reason") -> bool:
        return fail_export(self.catalogue, self.open_store, export, "stopped", why, run_id="run", now=NOW)

    def made(self, *cameras: str, **fields: Any) -> Export:
        """An export from its request to its delivery."""
        export = self.accept(*cameras, **fields)
        for number in range(len(export.camera_ids)):
            self.cut(export, number)
        self.compose(export)
        return self.deliver(export)

    # --- what came of it ----------------------------------------------------------------------------------------------

    def held(self) -> list[str]:
        """Why footage is held."""
        return [reason for (reason,) in self.sql("SELECT reason FROM held_footage")]

    def objects(self) -> set[str]:
        """The objects of all exports."""
        return {stat.key for stat in self.stores[CLOUD].list("exports/")}

    def fetched(self, export: Export) -> dict[str, Path]:
        """The export's files as somebody downloads them, by kind; of several of a kind the first."""
        folder = self.root / "downloaded" / str(export.id)
        found: dict[str, Path] = {}
        for file in self.catalogue.exports.files(export.id):
            path = folder / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(self.stores[file.store].read(file.path)))
            found.setdefault(file.kind, path)
        return found


def counters(path: Path) -> list[int]:
    """The numbers that the frames of a file carry, in order; also of those that an edit list hides."""
    with av.open(str(path), options={"ignore_editlist": "1"}) as container:
        return [read_counter(_luma(frame)) for frame in container.decode(video=0)]


def _luma(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """Its brightness as it was decoded: to convert a small picture takes longer than to decode it."""
    plane = frame.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]


@pytest.fixture
def rig(tmp_path: Path, catalogue_dsn: str, footage: Footage) -> Iterator[Rig]:
    made = Rig(tmp_path, catalogue_dsn, footage)
    yield made
    made.catalogue.close()
