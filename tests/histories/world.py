"""An estate in memory, its catalogue in PostgreSQL, its jobs, and what is true about the footage behind their backs.

`World` keeps its own books: the bytes of every segment that was recorded, until when it is owed, who holds it. After
every step it looks into the stores past all interfaces.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg2

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.records import Ingested, LandingFile
from reelkeeper.ingest.keeping import Keeper
from reelkeeper.landing.source import Fetched
from reelkeeper.migration.job import plan_migration, transfer_batch, verify_batch
from reelkeeper.model import (
    BatchId,
    Camera,
    Key,
    MediaInfo,
    Segment,
    SegmentId,
    Sha256,
    StoreKind,
    StoreName,
    Tenant,
    Tier,
    camera_id,
    media_key,
    segment_id,
)
from reelkeeper.policy.prices import shipped_prices
from reelkeeper.policy.rollout import Percentage, rollout_bucket
from reelkeeper.ramp import current_percentage
from reelkeeper.reconciling.job import reconcile_store
from reelkeeper.reconciling.quarantining import quarantine_orphans
from reelkeeper.reconciling.repairing import plan_repairs
from reelkeeper.retention.deleting import delete_condemned
from reelkeeper.retention.holds import place_hold, release_hold
from reelkeeper.retention.job import bring_back, condemn_due
from reelkeeper.settings import (
    Costs,
    Estate,
    Migration,
    Placement,
    Reconcile,
    ReconcileCaps,
    Retention,
    RetentionCaps,
    Rollout,
    StoreSettings,
    Tiering,
    TierPlace,
    TierStep,
)
from reelkeeper.stores.body import Body
from reelkeeper.stores.retry import retrying
from reelkeeper.tiering.job import plan_tiers, tier_batch
from reelkeeper.verification.job import Scope, verify_store
from tests.histories.faults import Connections, Fault, Faults, FaultyStore
from tests.owning import owned

START = datetime(2026, 3, 1, tzinfo=UTC)
TENANT = Tenant("default")
MEDIA = MediaInfo("mov", "h264", 160, 120, 10.0, 60.0, has_audio=False)
RETENTION = {"gate": 12, "yard": None}
"""Days, by camera; None: the estate's."""
DEFAULT_DAYS = 20
STORES = ("disk", "cloud")
_JOBS = ("ingest", "migrate", "tier", "verify", "reconcile", "retain", "bring_back")
_TABLES = (
    "condemnations", "deletions", "tier_moves", "transfer_items", "transfers", "restores", "orphans", "reconciliations",
    "migration_requests", "thumbnails", "replicas", "segments", "landing_files", "batches", "locks", "exports",
    "rollout_steps", "cameras",
)  # fmt: skip


def free_prices() -> str:
    """The prices of AWS without fees and minimums, so that small footage moves, too."""
    text = shipped_prices()
    text = text[: text.index('[lists."gcs')]
    text = re.sub(r'^(put|get|transition|read)(_\w+) = ".*"', r'\1\2 = "0"', text, flags=re.MULTILINE)
    return re.sub(r"^(minimum_\w+|overhead_\w+) = [\d_]+", r"\1 = 0", text, flags=re.MULTILINE)


@dataclass
class Recording:
    """A segment as the world knows it."""

    segment: Segment
    camera: str
    data: bytes

    @property
    def owed_until(self) -> datetime:
        return self.segment.end_time + timedelta(days=RETENTION[self.camera] or DEFAULT_DAYS)


@dataclass
class World:
    """The estate, at one moment of its own clock."""

    dsn: str
    folder: Path
    now: datetime = START
    mode: str = "hybrid"
    at_ingest: str = "local"
    quota: int | None = None
    faults: Faults = field(default_factory=Faults)
    made: dict[SegmentId, Recording] = field(default_factory=dict)  # all that the cameras ever recorded
    landing: dict[SegmentId, Recording] = field(default_factory=dict)  # not ingested, as far as the ingest knows
    recorded: dict[SegmentId, Recording] = field(default_factory=dict)
    holds: dict[UUID, tuple[str, set[SegmentId]]] = field(default_factory=dict)  # camera, what it found or came later
    runs: int = 0
    _last: tuple[str, tuple[Any, ...]] | None = None  # the last job, without its fault
    _is_again: bool = False

    def __post_init__(self) -> None:
        self.stores = {name: FaultyStore(StoreName(name), self.faults, lambda: self.now) for name in STORES}
        self._looking = psycopg2.connect(self.dsn, options="-c search_path=reelkeeper")
        self._looking.autocommit = True
        self.connect = Connections(self.dsn, self.faults)
        self.prices = self.folder / "prices.toml"
        if not self.prices.exists():
            self.prices.write_text(free_prices())
        self.cameras = {
            slug: Camera(camera_id(TENANT, slug), TENANT, slug, slug.title(), days) for slug, days in RETENTION.items()
        }
        for table in _TABLES:
            self.sql(f"DELETE FROM {table}")  # noqa: S608 - a name of ours
        with self.catalogue() as catalogue:
            for store in self.stores.values():
                owned(store, catalogue)
            catalogue.cameras.register([*self.cameras.values()])

    @property
    def estate(self) -> Estate:
        cents = {tier: Decimal(str(price)) for tier, price in ((Tier.HOT, 0.02), (Tier.COOL, 0.01))}
        disk = StoreSettings(
            name="disk", kind=StoreKind.FILESYSTEM, root=Path("/footage"), concurrency=2, quota=self.quota,
            tiers={Tier.HOT: TierPlace(usd_per_gb_month=cents[Tier.HOT]),
                   Tier.COOL: TierPlace(prefix="cool/", usd_per_gb_month=cents[Tier.COOL])},
        )  # fmt: skip
        cloud = StoreSettings(name="cloud", kind=StoreKind.S3, bucket="recordings", concurrency=2)
        steps = ((2, Tier.COOL), (4, Tier.COLD), (8, Tier.ARCHIVE))
        return Estate(
            stores=(disk, cloud),
            placement=Placement(mode=self.mode, local_store="disk", cloud_store="cloud", at_ingest=self.at_ingest),
            rollout=Rollout(percentage=Percentage.of(80)),
            migration=Migration(older_than_minutes=0, local_retention_days=3, max_failure_ratio=1),
            retention=Retention(default_days=DEFAULT_DAYS, grace_hours=24, min_days_after_ingest=0),
            retention_caps=RetentionCaps(soft_ratio=1, hard_ratio=1),
            reconcile=Reconcile(quarantine_days=2),
            reconcile_caps=ReconcileCaps(soft_ratio=1, hard_ratio=1),
            tiering=Tiering(moves=tuple(TierStep(after_days=days, tier=tier) for days, tier in steps)),
            costs=Costs(prices=self.prices),
        )  # fmt: skip

    def catalogue(self) -> Catalogue:
        return Catalogue(self.connect)

    def open_store(self, name: str) -> FaultyStore:
        return self.stores[name]

    def clock(self) -> datetime:
        return self.now

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Past everything."""
        with self._looking.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        self.connect.close()
        self._looking.close()

    # --- jobs: each may be broken by a fault --------------------------------------------------------------------------

    @contextmanager
    def job(self, name: str, fault: Fault | None) -> Iterator[str]:
        """The id of a run, in which the fault happens. Afterwards its workers are dead, and their leases over."""
        if not self._is_again:
            self.runs += 1
        with self.faults.during(fault):
            yield f"{name} {self.runs}"
        self.sql("UPDATE transfer_items SET claimed_until = now() - interval '1 s' WHERE state = 'claimed'")
        self.sql("UPDATE tier_moves SET claimed_until = now() - interval '1 s' WHERE state = 'claimed'")

    def again(self, fault: Fault | None = None) -> None:
        """The last task is tried again, in its run."""
        if self._last:
            name, arguments = self._last
            self._is_again = True
            getattr(self, name)(*arguments, fault)
            self._is_again = False

    def do(self, name: str, *arguments: Any) -> None:
        """A step of a history."""
        getattr(self, name)(*arguments)
        if name in _JOBS:
            self._last = name, arguments[:-1]
        self.check()

    def ingest(self, camera: str, fault: Fault | None = None) -> None:
        """A camera has recorded a minute; it and what was not taken in before is ingested."""
        begin = (self.now - timedelta(hours=1)).replace(microsecond=0)
        identity = segment_id(self.cameras[camera].id, begin)
        body = Body.of_bytes(f"{camera} {begin.isoformat()} ".encode() * 20)
        segment = Segment(identity, self.cameras[camera].id, begin, begin + timedelta(minutes=1), body.size_bytes,
                          body.sha256, "mp4", MEDIA, rollout_bucket(identity))  # fmt: skip
        if identity not in self.made:
            self.made[identity] = self.landing[identity] = Recording(segment, camera, b"".join(body.open()))
        with self.job("ingest", fault), self.catalogue() as catalogue:
            keeper = Keeper(self.estate, self.open_store, percentage=current_percentage(self.estate, catalogue),
                            retry=retrying(), now=self.clock)  # fmt: skip
            for one in list(self.landing.values()):
                path = self.folder / f"{one.segment.id}.mp4"
                path.write_bytes(one.data)
                self._take_in(catalogue, keeper, one, path)
                del self.landing[one.segment.id]

    def _take_in(self, catalogue: Catalogue, keeper: Keeper, one: Recording, path: Path) -> None:
        segment, camera = one.segment, self.cameras[one.camera]
        key = media_key(TENANT, one.camera, segment.start_time, segment.id, "mp4")
        fetched = Fetched(path, path.name, segment.size_bytes, segment.start_time, Sha256(segment.checksum), False)
        kept = keeper.keep(segment, key, fetched, may_link=False, retention_days=camera.retention_days)
        file = LandingFile("zone", path.name, segment.size_bytes, segment.start_time)
        reason = "fallback" if kept.fell_back else None
        made = Ingested(file, segment, kept.replica, kept.attempts, reason)
        retrying()(catalogue.segments.record, BatchId(uuid4()), [made])

    def migrate(self, fault: Fault | None = None) -> None:
        with self.job("migrate", fault) as run_id:
            with self.catalogue() as catalogue:
                plan = plan_migration(self.estate, catalogue, run_id=run_id, interval=None, now=self.clock)
            self._transfer([batch.id for batch in plan.batches])
            for batch in plan.batches:
                verify_batch(self.estate, self.catalogue, self.open_store, batch.id)

    def _transfer(self, batch_ids: list[BatchId]) -> None:
        for batch_id in batch_ids:
            transfer_batch(self.estate, self.catalogue, self.open_store, batch_id, now=self.clock)

    def tier(self, fault: Fault | None = None) -> None:
        with self.job("tier", fault) as run_id:
            with self.catalogue() as catalogue:
                plan = plan_tiers(self.estate, catalogue, self.open_store, run_id=run_id, now=self.clock)
            for batch in plan.batches:
                tier_batch(self.estate, self.catalogue, self.open_store, batch.id, run_id=run_id, now=self.clock)

    def verify(self, store: str, fault: Fault | None = None) -> None:
        with self.job("verify", fault) as run_id:
            verify_store(self.estate, self.catalogue, self.open_store, store, Scope(everything=True), run_id=run_id,
                         started=self.now, now=self.clock)  # fmt: skip

    def reconcile(self, store: str, fault: Fault | None = None) -> None:
        with self.job("reconcile", fault) as run_id:
            terms: dict[str, Any] = {"run_id": run_id, "now": self.now}
            reconcile_store(self.estate, self.catalogue, self.open_store, store, **terms)
            quarantine_orphans(self.estate, self.catalogue, self.open_store, store, approved=10_000, **terms)
            repairs = plan_repairs(self.estate, self.catalogue, self.open_store, store, **terms)
            self._transfer([batch.id for batch in repairs.batches])

    def retain(self, store: str, fault: Fault | None = None) -> None:
        """enforce_retention: what is due is condemned, what was condemned a day ago is deleted."""
        with self.job("retain", fault) as run_id:
            with self.catalogue() as catalogue:
                condemn_due(self.estate, catalogue, store, run_id=run_id, now=self.now, approved=10_000)
            delete_condemned(self.estate, self.catalogue, self.open_store, store, run_id=run_id, now=self.now)

    def bring_back(self, store: str, camera: str, fault: Fault | None = None) -> None:
        with self.job("bring back", fault):
            bring_back(self.estate, self.catalogue, self.open_store, store, now=self.now,
                       camera_id=self.cameras[camera].id)  # fmt: skip

    def hold(self, camera: str) -> None:
        with self.catalogue() as catalogue:
            [placed] = place_hold(catalogue, TENANT, reason="case 1", created_by="ann", now=self.now, cameras=[camera])
        held = {name for name, one in self.recorded.items() if one.camera == camera and self.good_copies(name)}
        self.holds[placed.id] = (camera, held)

    def switch(self, mode: str) -> None:
        """Somebody sets placement.mode."""
        self.mode = mode

    def release(self) -> None:
        if self.holds:
            identity = next(iter(self.holds))
            with self.catalogue() as catalogue:
                release_hold(catalogue, identity, released_by="ann", now=self.now)
            del self.holds[identity]

    # --- what happens by itself ---------------------------------------------------------------------------------------

    def wait(self, hours: int) -> None:
        """Time passes, for the catalogue's own clock as well."""
        self.now += timedelta(hours=hours)
        self.age_work_lists(hours)

    def age_work_lists(self, hours: int) -> None:
        """What runs left open is older by the catalogue's clock."""
        self.sql("UPDATE transfer_items SET updated_at = updated_at - make_interval(hours => %s)", hours)
        self.sql("UPDATE tier_moves SET updated_at = updated_at - make_interval(hours => %s)", hours)
        self.sql("UPDATE batches SET created_at = created_at - make_interval(hours => %s)", hours)

    def harm(self, store: str, which: int, truncate: bool) -> None:
        """A disk loses an object, or the end of it; never the last good copy that the catalogue has a row for."""
        candidates = sorted(
            (identity, path)
            for identity in self.recorded
            if len(copies := self.good_copies(identity)) > 1
            for name, path in copies
            if name == store
        )
        if candidates:
            _, path = candidates[which % len(candidates)]
            found = self.stores[store]._objects.pop(path)
            if truncate:
                stat = replace(found.stat, size_bytes=found.stat.size_bytes - 1, last_modified=self.now)
                self.stores[store]._objects[path] = replace(found, data=found.data[:-1], stat=stat)

    def litter(self, store: str) -> None:
        """Somebody leaves an object below our prefix that no row knows."""
        identity = segment_id(self.cameras["gate"].id, self.now)
        key = media_key(TENANT, "gate", self.now, identity, "mp4")
        if key not in self.stores[store]._objects:
            self.stores[store].write(key, Body.of_bytes(b"litter"))

    # --- what must be true --------------------------------------------------------------------------------------------

    def good_copies(self, identity: SegmentId) -> list[tuple[str, Key]]:
        """Where objects lie that a row of the segment points at, and that hold its bytes."""
        data = self.recorded[identity].data
        rows = self.sql("SELECT store, path FROM replicas WHERE segment_id = %s ORDER BY 1, 2", str(identity))
        return [
            (store, path)
            for store, path in rows
            if (found := self.stores[store]._objects.get(path)) is not None and found.data == data
        ]

    def is_owed(self, identity: SegmentId) -> bool:
        one = self.recorded[identity]
        return self.now < one.owed_until or any(identity in held for _, held in self.holds.values())

    def check(self) -> None:
        """The last verified copy of what is still owed is there. What was newly recorded joins the books."""
        rows = {UUID(identity) for (identity,) in self.sql("SELECT id::text FROM segments")}
        for identity in rows - self.recorded.keys():
            one = self.recorded[SegmentId(identity)] = self.made[SegmentId(identity)]
            for camera, held in self.holds.values():
                if camera == one.camera:
                    held.add(one.segment.id)
        for identity in list(self.recorded):
            if self.is_owed(identity):
                assert identity in rows, f"the catalogue has forgotten {self.told(identity)}"
                assert self.good_copies(identity), f"no copy is left of {self.told(identity)}"
            elif identity not in rows:
                del self.recorded[identity]

    def picture(self) -> tuple[object, ...]:
        """Everything that a job may change and that is not a time."""
        objects = {name: sorted((key, found.stat.storage_class) for key, found in store._objects.items()
                                if not key.startswith("reports/"))
                   for name, store in self.stores.items()}  # fmt: skip
        replicas = self.sql("SELECT segment_id, store, path, state, tier FROM replicas ORDER BY 1, 2")
        return objects, replicas, self.sql("SELECT store, path, reason FROM condemnations ORDER BY 1, 2")

    def states(self, identity: SegmentId) -> set[str]:
        """Of the segment's replicas."""
        return {state for (state,) in self.sql("SELECT state FROM replicas WHERE segment_id = %s", str(identity))}

    def told(self, identity: SegmentId) -> str:
        one = self.recorded[identity]
        rows = self.sql("SELECT store, path, state FROM replicas WHERE segment_id = %s", str(identity))
        gone = self.sql("SELECT store, path, reason, run_id FROM deletions WHERE segment_id = %s", str(identity))
        return (f"{one.camera} {one.segment.start_time}, owed until {one.owed_until}, at {self.now}: "
                f"replicas {rows}, deletions {gone}")  # fmt: skip
