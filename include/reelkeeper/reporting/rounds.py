"""What one round of metrics tells: the figures of the moment, and what days and alarms add to them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from reelkeeper.model import CameraId
from reelkeeper.reporting.figures import Figures


@dataclass(frozen=True, slots=True)
class Round:
    """All that metrics are made of, at `figures.now`."""

    figures: Figures
    recorded_seconds: Mapping[CameraId, float] = field(default_factory=dict)
    """How much of the last whole UTC day each camera recorded; a camera that is missing recorded nothing."""
    forecast_bytes: Mapping[str, float] = field(default_factory=dict)
    """Of all stores, on the days of `policy.forecast.horizons`; empty where the history is too short."""
    forecast_usd: Mapping[str, float] = field(default_factory=dict)
    """What all holdings will cost in a month, in US dollars, on the same days."""
    month_bill_usd: float | None = None
    """What storage costs in this calendar month, as far as it is known and forecast; None: no price is known."""
    alarms: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """How many subjects an alarm has in a state, by its name and the state, for each name and state there is."""
    silent_cameras: int | None = None  # None: nobody watches
