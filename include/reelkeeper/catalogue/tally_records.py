"""Records of the tallies: what there is and what happened, counted."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from reelkeeper.model import CameraId, ReplicaState, StoreName, Tier

LATENCY_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Upper bounds, in seconds, of the classes that durations are counted in; one more class holds what took longer."""


@dataclass(frozen=True, slots=True)
class Durations:
    """How long things took: their number, seconds in all, and the number in each class of LATENCY_BOUNDS and above."""

    count: int = 0
    seconds: float = 0.0
    classes: tuple[int, ...] = (0,) * (len(LATENCY_BOUNDS) + 1)

    @property
    def mean_seconds(self) -> float | None:
        """None without any."""
        return self.seconds / self.count if self.count else None


@dataclass(frozen=True, slots=True)
class Usage:
    """Replicas that have all this in common."""

    store: StoreName
    tenant: str
    tier: Tier
    storage_class: str | None
    state: ReplicaState
    replicas: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class CameraFigures:
    """One camera. `last_end` is the end of its latest segment; None: it has none."""

    id: CameraId
    tenant: str
    slug: str
    name: str
    segments: int
    size_bytes: int
    last_end: datetime | None


@dataclass(frozen=True, slots=True)
class CameraDay:
    """What one camera recorded on one UTC day: `recorded_seconds` of the 86,400; a segment over midnight is in both."""

    camera_id: CameraId
    day: date
    segments: int
    recorded_seconds: float
    size_bytes: int


@dataclass(frozen=True, slots=True)
class TransferTotals:
    """Transfers that have all this in common: since ever, or in a window."""

    job: Literal["ingest", "migrate", "repair", "tier"]
    store: StoreName  # the destination
    outcome: Literal["succeeded", "failed"]
    error_code: str | None
    fallback: bool
    size_bytes: int
    durations: Durations


@dataclass(frozen=True, slots=True)
class DeletionTotals:
    """Objects that we deleted since ever, by store and reason."""

    store: StoreName
    reason: str
    objects: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class RetrievalTotals:
    """Segments that were read for somebody since ever, or could not be, that have all this in common.

    `durations` are those of the segments of which it is known how long they took: of those that were read before that
    was kept, and of those that were read elsewhere, of which we only said where they are, it is not.
    """

    store: StoreName  # that they came from
    outcome: Literal["succeeded", "failed"]
    error_code: str | None
    segments: int
    size_bytes: int
    durations: Durations


@dataclass(frozen=True, slots=True)
class ExportTotals:
    """Exports that came to this status since ever, and how long they took (COMPLETED and FAILED)."""

    status: str
    durations: Durations


@dataclass(frozen=True, slots=True)
class UsageDay:
    """What a store held in one tier at the end of one UTC day (or, of today, at the last round)."""

    day: date
    store: StoreName
    tier: Tier
    replicas: int
    size_bytes: int
    monthly_usd: Decimal | None
