"""An estate small enough to be counted by hand: two stores, three cameras, a dozen transfers."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from reelkeeper.catalogue.export_records import Export
from reelkeeper.model import CameraId, Key, ReplicaState, StoreKind, StoreName, Tier, TimeRange
from reelkeeper.policy.exports import ExportRequest
from reelkeeper.reporting.figures import (
    LATENCY_BOUNDS,
    CameraFigures,
    DeletionTotals,
    Durations,
    ExportTotals,
    Figures,
    RetrievalTotals,
    RolloutFigures,
    StoreFigures,
    TransferTotals,
    Usage,
)
from reelkeeper.reporting.rounds import Round

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
LOCAL, CLOUD = StoreName("local"), StoreName("cloud")
CAMERAS = tuple(CameraId(UUID(int=number)) for number in (1, 2, 3))


def lasted(*seconds: float) -> Durations:
    """Durations of things that took so long."""
    classes = [0] * (len(LATENCY_BOUNDS) + 1)
    for duration in seconds:
        classes[sum(bound < duration for bound in LATENCY_BOUNDS)] += 1
    return Durations(len(seconds), sum(seconds), tuple(classes))


def store(name: StoreName, kind: StoreKind, **others: object) -> StoreFigures:
    usual: dict[str, object] = {
        "bucket": "/srv/footage", "health": "healthy", "health_reason": None, "health_since": NOW - timedelta(days=9),
        "looked_at": NOW - timedelta(seconds=30), "quota_bytes": None, "orphans": 0, "orphan_bytes": 0,
        "quarantined_orphans": 0, "quarantined_bytes": 0, "condemned": 0, "condemned_bytes": 0,
        "pending_retirement": 0, "monthly_usd": None, "reconciled_at": None, "reconcile_outcome": None,
    }  # fmt: skip
    return StoreFigures(name=name, kind=kind, **(usual | others))  # type: ignore[arg-type]


def figures(now: datetime = NOW) -> Figures:
    """The estate at `now`."""
    return Figures(
        now=now,
        estate="test",
        stores=(
            store(LOCAL, StoreKind.FILESYSTEM, quota_bytes=10**12, pending_retirement=4, condemned=1,
                  condemned_bytes=50, reconciled_at=now - timedelta(hours=10), reconcile_outcome="acted"),
            store(CLOUD, StoreKind.S3, bucket="footage", health="unreachable", health_reason="store_timeout",
                  orphans=2, orphan_bytes=20, quarantined_orphans=1, quarantined_bytes=7,
                  monthly_usd=Decimal("12.50")),
        ),
        usage=(
            Usage(LOCAL, "acme", Tier.HOT, None, ReplicaState.AVAILABLE, 10, 1000),
            Usage(LOCAL, "acme", Tier.HOT, None, ReplicaState.LOST, 1, 100),
            Usage(LOCAL, "beta", Tier.HOT, None, ReplicaState.AVAILABLE, 2, 200),
            Usage(CLOUD, "acme", Tier.COOL, "STANDARD_IA", ReplicaState.AVAILABLE, 5, 500),
            Usage(CLOUD, "acme", Tier.HOT, "STANDARD", ReplicaState.SUSPICIOUS, 1, 40),
        ),
        cameras=(
            CameraFigures(CAMERAS[1], "acme", "yard", "Yard", 3, 300, now - timedelta(hours=30)),
            CameraFigures(CAMERAS[0], "acme", "gate", "Gate", 10, 1000, now - timedelta(minutes=5)),
            CameraFigures(CAMERAS[2], "beta", "hall", "Hall", 0, 0, None),
        ),
        transfers=(
            TransferTotals("ingest", LOCAL, "succeeded", None, False, 1000, lasted(0.04, 0.2, 0.2)),
            TransferTotals("ingest", LOCAL, "succeeded", None, True, 100, lasted(400)),
            TransferTotals("migrate", CLOUD, "succeeded", None, False, 540, lasted(1.0, 1.5)),
            TransferTotals("migrate", CLOUD, "failed", "access_denied", False, 0, lasted(0.1)),
            TransferTotals("migrate", CLOUD, "failed", "store_timeout", False, 0, lasted(30, 31)),
            TransferTotals("ingest", CLOUD, "failed", "Zeus said no", False, 0, lasted(2)),
            TransferTotals("tier", CLOUD, "succeeded", None, False, 500, lasted(3)),
        ),
        deletions=(
            DeletionTotals(LOCAL, "expired", 6, 600),
            DeletionTotals(LOCAL, "retired", 1, 100),
            DeletionTotals(LOCAL, "temp", 3, 30),
            DeletionTotals(LOCAL, "moved", 1, 100),
            DeletionTotals(CLOUD, "export", 2, 40),
        ),
        retrievals=(
            RetrievalTotals(CLOUD, "succeeded", None, 7, 700, lasted(0.3, 0.4, 2.0, 45.0)),  # of 3 nobody knows
            RetrievalTotals(CLOUD, "failed", "store_timeout", 2, 200, lasted(90.0, 91.0)),
            RetrievalTotals(CLOUD, "failed", "source_corrupted", 1, 100, lasted(0.2)),
        ),
        exports=(
            ExportTotals("PENDING", lasted(0, 0, 0)),
            ExportTotals("COMPLETED", lasted(20, 70)),
            ExportTotals("FAILED", lasted(5)),
        ),
        rollout=RolloutFigures("hybrid", 0.25, 1.0, "advance", now - timedelta(days=1), 3, now - timedelta(hours=2)),
        queued={"ingest": 0, "migrate": 12, "repair": 1, "tier": 0},
        exports_under_way=1,
        quarantined_files=2,
        oldest_unverified=now - timedelta(days=3),
        unprotected_segments=1,
    )  # fmt: skip


def taken(now: datetime = NOW) -> Round:
    """A round of it: the gate recorded 18 hours of yesterday, the yard 6; the hall never did."""
    return Round(
        figures(now),
        recorded_seconds={CAMERAS[0]: 64_800.0, CAMERAS[1]: 21_600.0},
        recorded_before=frozenset(CAMERAS[:2]),
        forecast_bytes={"month_end": 5000.0, "in_30_days": 6000.0},
        forecast_usd={"month_end": 13.0, "in_30_days": 14.0},
        month_bill_usd=12.75,
        alarms={("store_unreachable", "firing"): 1, ("store_unreachable", "acknowledged"): 0},
        store_alarms={(LOCAL, "store_unreachable"): False, (CLOUD, "store_unreachable"): True},
        silent_cameras=1,
        alarms_judged_at=now - timedelta(minutes=2),
    )


def export(**others: object) -> Export:
    """A mosaic of two cameras, of an hour of yesterday; done."""
    when = TimeRange(NOW - timedelta(days=1), NOW - timedelta(hours=23))
    request = ExportRequest(("a", "b"), when, "case 7", "mara", layout="mosaic")
    usual: dict[str, object] = {
        "id": UUID(int=7), "tenant": "acme", "status": "COMPLETED", "camera_ids": CAMERAS, "request": request,
        "watermark_id": None, "store": StoreName("local"), "run_id": "manual__1", "attempt": 1, "progress": 100,
        "triggered_by": "admin", "created_at": NOW - timedelta(hours=2), "started_at": NOW, "updated_at": NOW,
        "completed_at": NOW, "expires_at": NOW + timedelta(days=6), "failure_code": None, "failure": None,
        "file_path": Key("exports/7/a.mp4"), "file_size": 2048, "file_hash": None, "download_url": None,
        "manifest_path": None, "thumbnail_path": None, "contact_sheet_path": None, "reason": "case 7",
        "created_by": "mara",
    }  # fmt: skip
    return Export(**(usual | others))  # type: ignore[arg-type]
