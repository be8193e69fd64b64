"""The figures of an estate at one moment: what metrics, alarms, the daily report and the Estate page are made of.

They are read from summaries that the catalogue keeps up to date (`catalogue/tallies.py`), never by going through the
footage, so that they take as long for ten million segments as for ten thousand. Counts since ever come from history in
the catalogue: a restart loses nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from reelkeeper.catalogue.tally_records import (
    LATENCY_BOUNDS,
    CameraDay,
    CameraFigures,
    DeletionTotals,
    Durations,
    ExportTotals,
    RetrievalTotals,
    TransferTotals,
    Usage,
    UsageDay,
)
from reelkeeper.model import StoreKind, StoreName

__all__ = [
    "LATENCY_BOUNDS",
    "CameraDay",
    "CameraFigures",
    "DeletionTotals",
    "Durations",
    "ExportTotals",
    "Figures",
    "Health",
    "RetrievalTotals",
    "RolloutFigures",
    "StoreFigures",
    "TransferTotals",
    "Usage",
    "UsageDay",
]

Health = Literal["healthy", "unreachable", "foreign", "unknown"]
"""Of a store: it answers; it does not; its marker names another catalogue, or is gone; nobody has looked yet."""


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """One store. Bytes and replicas are those of Usage; what stands here is beside it."""

    name: StoreName
    kind: StoreKind
    bucket: str  # or the root of a file system
    health: Health
    health_reason: str | None  # None: it is healthy
    health_since: datetime | None
    looked_at: datetime | None
    quota_bytes: int | None
    orphans: int
    orphan_bytes: int
    quarantined_orphans: int
    quarantined_bytes: int
    condemned: int
    condemned_bytes: int
    pending_retirement: int  # replicas that have a day to leave on
    monthly_usd: Decimal | None  # of what it holds now; None: nothing says what it costs
    reconciled_at: datetime | None
    reconcile_outcome: str | None


@dataclass(frozen=True, slots=True)
class RolloutFigures:
    """The ramp, and what it has not reached yet. `oldest_unmigrated` is the start of the oldest segment that policy
    wants in the cloud now and the cloud has not; None: there is none."""

    mode: str
    ratio: float  # 0–1, in force now
    target_ratio: float  # of the last of the ramp's steps
    last_action: str | None
    last_decided_at: datetime | None
    unmigrated: int
    oldest_unmigrated: datetime | None
    last_decided_by: str | None = None  # a person, or `ramp.BY_ITSELF`
    last_reason: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """All of it, at `now`."""

    now: datetime
    estate: str
    stores: tuple[StoreFigures, ...]
    usage: tuple[Usage, ...]
    cameras: tuple[CameraFigures, ...]
    transfers: tuple[TransferTotals, ...]  # since ever
    deletions: tuple[DeletionTotals, ...]
    retrievals: tuple[RetrievalTotals, ...]
    exports: tuple[ExportTotals, ...]
    rollout: RolloutFigures
    queued: Mapping[str, int] = field(default_factory=dict)  # items that wait, by job: ingest, migrate, repair, tier
    exports_under_way: int = 0  # that wait or are worked on
    quarantined_files: int = 0  # of landing zones
    oldest_unverified: datetime | None = None  # when the copy that was proved longest ago was proved
    unprotected_segments: int = 0  # with doubted replicas and no available one; what only waits for deletion is none
    costs_trouble: str | None = None  # why no cost is known at all; None: nothing hinders

    def monthly_usd(self) -> Decimal | None:
        """Of all stores; None when nothing says what any of them costs."""
        known = [store.monthly_usd for store in self.stores if store.monthly_usd is not None]
        return sum(known, Decimal(0)) if known else None
