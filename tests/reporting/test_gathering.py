"""Figures of an estate that is counted by hand, out of a real catalogue."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
import pytest

from demo.segments import ingested
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.deletions import Gone
from reelkeeper.catalogue.orphans import Orphan
from reelkeeper.catalogue.reconciliations import Outcome, Reconciliation
from reelkeeper.catalogue.records import Ingested, TransferItem, TransferRecord, TransferResult
from reelkeeper.catalogue.retrievals import Retrieval
from reelkeeper.catalogue.store_health import Look
from reelkeeper.model import (
    Camera,
    Key,
    Replica,
    ReplicaState,
    Sha256,
    StoreKind,
    StoreName,
    Tenant,
    Tier,
    TimeRange,
    camera_id,
)
from reelkeeper.policy.rollout import Percentage
from reelkeeper.ramp import set_percentage
from reelkeeper.reading import locate
from reelkeeper.reporting.figures import (
    CameraDay,
    CameraFigures,
    DeletionTotals,
    Durations,
    RetrievalTotals,
    TransferTotals,
    Usage,
    UsageDay,
)
from reelkeeper.reporting.gathering import camera_days, fold, gather, take_stock, transfer_hours, usage_days
from reelkeeper.settings import Costs, Estate, Placement, Rollout, StoreSettings, TierPlace

START = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
NOW = START + timedelta(hours=2)
LOCAL, CLOUD = StoreName("local"), StoreName("cloud")
QUARTER = 250_000_000
"""Bytes of each segment: four are a gigabyte."""


def estate(percentage: int = 100, **placement: Any) -> Estate:
    """A local store at a dollar a gigabyte and month, and one of AWS."""
    return Estate(
        name="plant",
        stores=(
            StoreSettings(name=LOCAL, kind=StoreKind.MINIO, bucket="footage", quota=10**12,
                          tiers={Tier.HOT: TierPlace(usd_per_gb_month=Decimal(1))}),
            StoreSettings(name=CLOUD, kind=StoreKind.S3, bucket="videos"),
        ),
        placement=Placement(**{"mode": "hybrid", "local_store": LOCAL, "cloud_store": CLOUD} | placement),
        rollout=Rollout(percentage=Percentage(percentage * 100)),
    )  # fmt: skip


@pytest.fixture
def cameras(catalogue: Catalogue) -> list[Camera]:
    tenant = Tenant("acme")
    given = [Camera(camera_id(tenant, slug), tenant, slug, slug.title()) for slug in ("gate", "hall", "yard")]
    return catalogue.cameras.register(given)


@pytest.fixture
def footage(catalogue: Catalogue, cameras: list[Camera]) -> list[Ingested]:
    """Four minutes in the local store, the first three of the gate; the yard's last one is over midnight, in part."""
    starts = [(cameras[0], START + timedelta(minutes=i)) for i in range(3)]
    starts.append((cameras[2], datetime(2026, 2, 28, 23, 59, 45, tzinfo=UTC)))
    items = [
        ingested(camera, start, timedelta(minutes=1), store=LOCAL, size_bytes=QUARTER, checksum=Sha256("0" * 64),
                 with_history=True)
        for camera, start in starts
    ]  # fmt: skip
    batch = catalogue.landing.plan(
        "run", "zone", [item.file for item in items], batch_files=9, batch_bytes=10**12, max_batches=1
    )[0]
    catalogue.landing.claim(batch.id, 9, timedelta(minutes=1))
    catalogue.segments.record(batch.id, items)
    return items


def migrate(catalogue: Catalogue, *, took: float, finished_at: datetime, failed: int = 0) -> list[TransferItem]:
    """Copy all that is not in the cloud, but for the last `failed`; each took so many seconds."""
    plan = catalogue.transfers.plan(
        f"run {finished_at}", source_store=LOCAL, destination_store=CLOUD,
        interval=TimeRange(START - timedelta(days=9), NOW), bucket_below=10_000, ended_before=NOW, batch_size=9,
        batch_bytes=10**12, include_requests=False, dry_run=False,
    )  # fmt: skip
    items = sorted(catalogue.transfers.claim(plan.batches[0].id, 9, timedelta(minutes=1)), key=lambda i: i.start_time)
    began = finished_at - timedelta(seconds=took)
    results = []
    for number, item in enumerate(items):
        record = TransferRecord(item.segment_id, item.start_time, LOCAL, CLOUD, item.size_bytes, began, finished_at)
        replica = Replica(item.segment_id, item.start_time, CLOUD, item.destination_path, item.size_bytes,
                          item.checksum, ReplicaState.AVAILABLE, finished_at, "STANDARD")  # fmt: skip
        if number >= len(items) - failed:
            record = replace(record, error_code="store_timeout", error="it took too long")
            results.append(TransferResult(item, record, None))
        else:
            results.append(TransferResult(item, record, replica))
    catalogue.transfers.finish(results, retire_source_after=NOW + timedelta(days=30))
    return items


def classes(**counted: int) -> tuple[int, ...]:
    """Numbers by latency class: `le_10` are those up to ten seconds."""
    names = ("0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30", "60", "120", "300", "inf")
    return tuple(counted.get(f"le_{name}", 0) for name in names)


def test_what_there_is_and_what_happened(catalogue: Catalogue, cameras: list[Camera], footage: list[Ingested]) -> None:
    migrate(catalogue, took=7, finished_at=NOW - timedelta(minutes=4), failed=1)
    figures = gather(estate(), catalogue, now=NOW)
    assert figures.estate == "plant"
    assert figures.usage == (
        Usage(CLOUD, "acme", Tier.HOT, "STANDARD", ReplicaState.AVAILABLE, 3, 3 * QUARTER),
        Usage(LOCAL, "acme", Tier.HOT, None, ReplicaState.AVAILABLE, 4, 4 * QUARTER),
    )
    gate, hall, yard = cameras
    assert figures.cameras == (
        CameraFigures(gate.id, "acme", "gate", "Gate", 3, 3 * QUARTER, START + timedelta(minutes=3)),
        CameraFigures(hall.id, "acme", "hall", "Hall", 0, 0, None),
        CameraFigures(yard.id, "acme", "yard", "Yard", 1, QUARTER, datetime(2026, 3, 1, 0, 0, 45, tzinfo=UTC)),
    )
    migrated = TransferTotals("migrate", CLOUD, "succeeded", None, False, 3 * QUARTER,
                              Durations(3, 21.0, classes(le_10=3)))  # fmt: skip
    failed = TransferTotals("migrate", CLOUD, "failed", "store_timeout", False, QUARTER,
                            Durations(1, 7.0, classes(le_10=1)))  # fmt: skip
    taken_in = TransferTotals("ingest", LOCAL, "succeeded", None, False, 4 * QUARTER,
                              Durations(4, 4.0, classes(le_1=4)))  # fmt: skip
    assert set(figures.transfers) == {migrated, failed, taken_in}
    assert figures.queued == {"ingest": 0, "migrate": 0, "repair": 0, "tier": 0}
    hours = transfer_hours(catalogue, START, NOW)
    assert set(hours) == {START, NOW - timedelta(hours=1)}
    assert set(hours[NOW - timedelta(hours=1)]) == {migrated, failed}


def test_the_state_of_stores(catalogue: Catalogue, footage: list[Ingested]) -> None:
    migrate(catalogue, took=1, finished_at=NOW)
    catalogue.store_health.record([Look(CLOUD, "unreachable", "store_timeout", NOW)])
    orphans = [Orphan(Key(f"media/{name}"), 10, START) for name in "ab"]
    catalogue.orphans.sight(CLOUD, orphans, run_id="run", now=NOW)
    catalogue.reconciliations.record(Reconciliation(
        "run", CLOUD, Outcome.AGREED, 1, 1, 0, 1, 2, 20, 0, 0, 0, None, START, NOW - timedelta(minutes=9)
    ))  # fmt: skip
    local, cloud = gather(estate(), catalogue, now=NOW).stores
    assert (local.name, local.kind, local.bucket, local.quota_bytes) == (LOCAL, StoreKind.MINIO, "footage", 10**12)
    assert (local.health, local.health_since, local.orphans, local.reconciled_at) == ("unknown", None, 0, None)
    assert (local.pending_retirement, cloud.pending_retirement) == (4, 0)
    assert (cloud.health, cloud.health_reason, cloud.looked_at) == ("unreachable", "store_timeout", NOW)
    assert (cloud.orphans, cloud.orphan_bytes, cloud.quarantined_orphans) == (2, 20, 0)
    assert (cloud.reconciled_at, cloud.reconcile_outcome) == (NOW - timedelta(minutes=9), "agreed")
    assert float(local.monthly_usd or 0) == pytest.approx(1.0)  # a gigabyte, at a dollar
    assert float(cloud.monthly_usd or 0) == pytest.approx(10**9 / 2**30 * 0.023)  # AWS' first price, by GiB


def test_what_the_rollout_has_not_reached(catalogue: Catalogue, footage: list[Ingested]) -> None:
    buckets = {item.segment.start_time: item.segment.rollout_bucket for item in footage}
    oldest_first = sorted(buckets)
    for percentage in (0, 1, 50, 100):
        wanted = [start for start in oldest_first if buckets[start] < percentage * 100]
        rollout = gather(estate(percentage), catalogue, now=NOW).rollout
        assert (rollout.mode, rollout.ratio, rollout.target_ratio) == ("hybrid", percentage / 100, 1.0)
        assert (rollout.unmigrated, rollout.oldest_unmigrated) == (len(wanted), wanted[0] if wanted else None)
    migrate(catalogue, took=1, finished_at=NOW, failed=1)
    rollout = gather(estate(), catalogue, now=NOW).rollout
    assert (rollout.unmigrated, rollout.oldest_unmigrated) == (1, oldest_first[-1])
    assert gather(estate(0, mode="cloud"), catalogue, now=NOW).rollout.unmigrated == 1


def test_the_last_decision_is_told_with_who_and_why(catalogue: Catalogue) -> None:
    assert gather(estate(50), catalogue, now=NOW).rollout.last_decided_by is None
    set_percentage(
        estate(50), catalogue, Percentage(1000), reason="less is enough", decided_by="ann", run_id="r", now=NOW
    )
    rollout = gather(estate(50), catalogue, now=NOW).rollout
    assert (rollout.last_action, rollout.last_decided_at, rollout.last_decided_by, rollout.last_reason) == (
        "step_back", NOW, "ann", "less is enough"
    )  # fmt: skip
    local = gather(estate(mode="local"), catalogue, now=NOW).rollout
    assert (local.ratio, local.unmigrated, local.oldest_unmigrated) == (0.0, 0, None)


def test_what_is_not_safe(catalogue: Catalogue, footage: list[Ingested]) -> None:
    items = migrate(catalogue, took=1, finished_at=NOW)
    figures = gather(estate(), catalogue, now=NOW)
    assert (figures.unprotected_segments, figures.oldest_unverified) == (0, footage[3].segment.start_time)
    names = [(item.segment_id, item.start_time) for item in items]
    copies = catalogue.replicas.of_segments(names)
    catalogue.replicas.suspect([copies[items[0].segment_id][0], *copies[items[1].segment_id]])
    figures = gather(estate(), catalogue, now=NOW)
    assert figures.unprotected_segments == 1  # the other has a good copy left
    assert figures.oldest_unverified == items[0].start_time  # its local one
    assert sum(u.replicas for u in figures.usage if u.state is ReplicaState.SUSPICIOUS) == 3


def test_what_is_read_and_what_is_deleted_is_counted_for_ever(catalogue: Catalogue, footage: list[Ingested]) -> None:
    locate(estate(), catalogue, footage[0].segment.id, now=NOW)
    migrate(catalogue, took=1, finished_at=NOW)
    for _ in range(2):
        locate(estate(), catalogue, footage[0].segment.id, now=NOW)
    gone = [Gone(CLOUD, f"temp/{number}", "temp", 5, START) for number in range(3)]
    catalogue.deletions.record(gone, run_id="run", now=NOW)
    for _ in range(2):
        figures = gather(estate(), catalogue, now=NOW)
        assert figures.retrievals == (  # who reads elsewhere tells nobody how long it took
            RetrievalTotals(CLOUD, "succeeded", None, 2, 2 * QUARTER, Durations()),
            RetrievalTotals(LOCAL, "succeeded", None, 1, QUARTER, Durations()),
        )
        assert figures.deletions == (DeletionTotals(CLOUD, "temp", 3, 15),)
        fold(catalogue)


def test_how_long_reading_took_is_counted_where_it_is_known(catalogue: Catalogue, footage: list[Ingested]) -> None:
    export, first, second = uuid4(), footage[0].segment, footage[1].segment
    locate(estate(), catalogue, first.id, now=NOW)
    read = [
        Retrieval(first.id, first.start_time, LOCAL, QUARTER, NOW, NOW + timedelta(seconds=0.25)),
        Retrieval(second.id, second.start_time, LOCAL, QUARTER, NOW, NOW + timedelta(seconds=400.5)),
        Retrieval(second.id, second.start_time, CLOUD, QUARTER, NOW, NOW + timedelta(seconds=7), "store_timeout"),
    ]
    for retrievals in (read[:1], read, []):  # a call that is repeated, as its answer was lost, adds nothing
        catalogue.retrievals.record(export, retrievals)
    for _ in range(2):
        assert gather(estate(), catalogue, now=NOW).retrievals == (
            RetrievalTotals(CLOUD, "failed", "store_timeout", 1, QUARTER, Durations(1, 7.0, classes(le_10=1))),
            RetrievalTotals(LOCAL, "succeeded", None, 3, 3 * QUARTER,
                            Durations(2, 400.75, classes(**{"le_0.25": 1, "le_inf": 1}))),
        )  # fmt: skip
        fold(catalogue)


def test_days_are_kept(catalogue: Catalogue, cameras: list[Camera], footage: list[Ingested]) -> None:
    today = NOW.date()
    take_stock(estate(), catalogue, now=NOW - timedelta(days=1))
    take_stock(estate(), catalogue, now=NOW)
    migrate(catalogue, took=1, finished_at=NOW)
    taken = take_stock(estate(), catalogue, now=NOW)
    assert taken == gather(estate(), catalogue, now=NOW)
    days = usage_days(catalogue, today - timedelta(days=1), today)
    assert [(day.day, day.store, day.tier, day.replicas, day.size_bytes) for day in days] == [
        (today - timedelta(days=1), LOCAL, Tier.HOT, 4, 4 * QUARTER),
        (today, CLOUD, Tier.HOT, 4, 4 * QUARTER),
        (today, LOCAL, Tier.HOT, 4, 4 * QUARTER),
    ]
    assert isinstance(days[0], UsageDay)
    assert float(days[0].monthly_usd or 0) == pytest.approx(1.0)
    gate, _, yard = cameras
    assert camera_days(catalogue, date(2026, 2, 1), today, [yard.id]) == [
        CameraDay(yard.id, date(2026, 2, 28), 1, 15.0, QUARTER // 4),
        CameraDay(yard.id, date(2026, 3, 1), 1, 45.0, QUARTER * 3 // 4),
    ]
    assert camera_days(catalogue, today, today, [gate.id]) == [CameraDay(gate.id, today, 3, 180.0, 3 * QUARTER)]


def test_price_lists_that_cannot_be_read_hinder_nothing_but_costs(
    catalogue: Catalogue, footage: list[Ingested], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    unpriced = estate().model_copy(update={"costs": Costs(prices=tmp_path / "prices.toml")})
    told = take_stock(unpriced, catalogue, now=NOW)
    assert (told.unprotected_segments, [store.monthly_usd for store in told.stores]) == (0, [None, None])
    assert told.monthly_usd() is None
    [record] = [record for record in caplog.records if "prices.toml" in record.getMessage()]
    assert record.levelname == "ERROR"
    assert "costs.prices" in (told.costs_trouble or "")
    assert str(tmp_path) not in (told.costs_trouble or "")  # people see it who need not know of folders
    [day] = usage_days(catalogue, NOW.date(), NOW.date())
    assert (day.size_bytes, day.monthly_usd) == (4 * QUARTER, None)
    (tmp_path / "prices.toml").write_text("nonsense")
    assert gather(unpriced, catalogue, now=NOW).costs_trouble == told.costs_trouble


def test_figures_are_of_one_moment(catalogue: Catalogue, catalogue_dsn: str, footage: list[Ingested]) -> None:
    with Catalogue(lambda: psycopg2.connect(catalogue_dsn)) as reader:
        with reader.tallies.one_moment():
            before = reader.tallies.usage(), reader.tallies.transfers()
            migrate(catalogue, took=1, finished_at=NOW)
            fold(catalogue)
            assert (reader.tallies.usage(), reader.tallies.transfers()) == before
        assert reader.tallies.usage() != before[0]
