"""An estate whose stores and catalogue are made to disagree. Time passes by the clock argument, never by waiting."""

import csv
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import StringIO
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.orphans import Orphan
from reelkeeper.catalogue.records import Ingested, LandingFile
from reelkeeper.migration.job import transfer_batch
from reelkeeper.model import BatchId, Key, Replica, Segment, StoreKind, StoreName
from reelkeeper.policy.rollout import Percentage
from reelkeeper.reconciling import moving, quarantining, returning, sighting
from reelkeeper.reconciling.job import Reconciled, reconcile_store
from reelkeeper.reconciling.quarantining import Quarantined, quarantine_orphans
from reelkeeper.reconciling.repairing import plan_repairs
from reelkeeper.reconciling.returning import BroughtBack, bring_back
from reelkeeper.settings import Estate, Placement, ReconcileCaps, Rollout, StoreSettings
from reelkeeper.stores.body import Body
from reelkeeper.stores.filesystem import FilesystemStore
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import Store
from reelkeeper.stores.retry import retrying
from tests.migration.conftest import Archive
from tests.owning import owned

EVERYTHING = ReconcileCaps(soft_count=10**6, soft_ratio=1.0, hard_count=10**6, hard_ratio=1.0)


STRAY = "media/default/gate/2026/03/01/20260301T120000Z_00000000-0000-5000-8000-000000000000.mp4"
"""A key such as ours, of an object that nothing knows."""


@dataclass
class Scene(Archive):
    """Stores `disk`, `cloud` and `reports`, and runs of the job on any of them, so many days from now."""

    caps: ReconcileCaps = EVERYTHING
    deletion: str = "allowed"
    runs: Any = field(default_factory=count)

    @property
    def estate(self) -> Estate:
        shared = {"deletion": self.deletion, "concurrency": 4}
        return Estate(
            stores=(
                StoreSettings(name="disk", kind=StoreKind.FILESYSTEM, root=self.root, **shared),  # type: ignore[arg-type]
                StoreSettings(name="cloud", kind=StoreKind.MINIO, bucket="recordings", **shared),  # type: ignore[arg-type]
                StoreSettings(name="reports", kind=StoreKind.FILESYSTEM, root=self.root.parent / "reports"),
            ),
            placement=Placement(mode="hybrid", local_store="disk", cloud_store="cloud", export_store="reports"),
            rollout=Rollout(percentage=Percentage.of(100)),
            reconcile_caps=self.caps,
        )

    def open_store(self, name: str) -> Store:
        return owned(self.stores[name], self.catalogue)

    # --- the job -----------------------------------------------------------------------------------------------------

    def compare(self, store: str = "disk", *, days: float = 2, run: str | None = None, **more: Any) -> Reconciled:
        shift = timedelta(days=days)
        return reconcile_store(
            self.estate, self.open_catalogue, self.open_store, store,
            run_id=run or f"run {next(self.runs)}", now=datetime.now(UTC) + shift, shift=shift, **more,
        )  # fmt: skip

    def act(self, run: str, store: str = "disk", *, days: float = 2, approved: int = 0) -> Quarantined:
        shift = timedelta(days=days)
        return quarantine_orphans(
            self.estate, self.open_catalogue, self.open_store, store,
            run_id=run, now=datetime.now(UTC) + shift, shift=shift, approved=approved,
        )  # fmt: skip

    def night(self, store: str = "disk", *, days: float = 2) -> tuple[Reconciled, Quarantined]:
        """A whole run: compare, act, repair."""
        run = f"run {next(self.runs)}"
        found = self.compare(store, days=days, run=run)
        acted = self.act(run, store, days=days)
        self.repair(run, store, days=days)
        return found, acted

    def repair(self, run: str, store: str = "disk", *, days: float = 2) -> int:
        """How many replicas were repaired."""
        now = datetime.now(UTC) + timedelta(days=days)
        plan = plan_repairs(self.estate, self.open_catalogue, self.open_store, store, run_id=run, now=now)
        return sum(
            transfer_batch(self.estate, self.open_catalogue, self.open_store, batch.id).succeeded
            for batch in plan.batches
        )

    def back(self, store: str = "disk", **which: Any) -> BroughtBack:
        return bring_back(
            self.estate, self.open_catalogue, self.open_store, store,
            run_id="back", now=datetime.now(UTC) + timedelta(days=4), **which,
        )  # fmt: skip

    # --- what there is -----------------------------------------------------------------------------------------------

    def plant(self, key: str, data: bytes = b"nobody's", store: str = "disk") -> Key:
        self.stores[store].write(Key(key), Body.of_bytes(data))
        return Key(key)

    def take_rows(self) -> int:
        """Forget what the catalogue knows of camera `gate`, as if its ingest had died before it recorded."""
        with self.open_catalogue() as catalogue, catalogue._session.connection() as connection:
            cursor = connection.cursor()
            cursor.execute("DELETE FROM replicas WHERE path LIKE '%/gate/%'")
            gone: int = cursor.rowcount
            cursor.execute("DELETE FROM segments WHERE storage_path LIKE '%/gate/%'")
        return gone

    def record_late(self, segment: Segment, replica: Replica) -> None:
        """As an ingest does."""
        file = LandingFile("zone", replica.path, replica.size_bytes, segment.start_time)
        self.catalogue.segments.record(BatchId(uuid4()), [Ingested(file, segment, replica, ())])

    def listed(self, store: str = "disk", prefix: str = "") -> list[str]:
        return sorted(found.key for found in self.stores[store].list(prefix))

    def orphans(self, store: str = "disk") -> dict[str, Orphan]:
        rows = self.sql("SELECT store, path FROM orphans")
        return self.catalogue.orphans.at(StoreName(store), [str(path) for where, path in rows if where == store])

    def states(self, segment: Segment) -> dict[str, str]:
        return {name: str(replica.state) for name, replica in self.replicas(segment).items()}

    def outcomes(self) -> list[tuple[object, ...]]:
        return self.sql("SELECT store, outcome FROM reconciliations ORDER BY id")

    def findings(self, found: Reconciled) -> list[tuple[str, str]]:
        """The report's rows: what was found where."""
        if found.row.report_path is None:
            return []
        text = b"".join(self.stores["reports"].read(Key(found.row.report_path))).decode()
        return [(row["finding"], row["path"]) for row in csv.DictReader(StringIO(text, newline=""))]

    def assert_bytes(self, segments: list[Segment]) -> None:
        """Each copy of each is available, and its bytes are right."""
        for segment in segments:
            for replica in self.replicas(segment).values():
                assert str(replica.state) == "available"
                assert self._sha256(replica) == segment.checksum

    def copied(self, segments: list[Segment]) -> None:
        """The segments have reached the cloud."""
        for batch in self.plan(f"migration {next(self.runs)}", None).batches:
            transfer_batch(self.estate, self.open_catalogue, self.open_store, batch.id)
        assert all(self.states(segment)["cloud"] == "available" for segment in segments)


@pytest.fixture
def scene(catalogue: Catalogue, catalogue_dsn: str, tmp_path: Path) -> Scene:
    """An estate whose cloud is a memory store."""
    folders = {name: FilesystemStore(StoreName(name), tmp_path / name) for name in ("disk", "reports")}
    for store in folders.values():
        list(store.set_up())
    return Scene(catalogue, catalogue_dsn, tmp_path / "disk", {**folders, "cloud": MemoryStore(StoreName("cloud"))})


@pytest.fixture
def footage(scene: Scene) -> list[Segment]:
    """Twelve segments on the disk."""
    return scene.record(12)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between tries."""
    for module in (sighting, quarantining, returning, moving):
        if hasattr(module, "retrying"):
            monkeypatch.setattr(module, "retrying", lambda **_: retrying(tries=1))
