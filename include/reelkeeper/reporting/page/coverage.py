"""Cameras on the page: who is silent, and how much of the last days each has recorded.

A camera is silent when no footage of it has come in for too long, and out of service when that is very long ago.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from reelkeeper.model import CameraId
from reelkeeper.reporting.figures import CameraDay, CameraFigures
from reelkeeper.reporting.page.safety import Level
from reelkeeper.wording import ago, counted, percent, size

STRIP_DAYS = 14
PAGE_CAMERAS = 25
_ORDER = {"silent": 0, "recording": 1, "new": 2, "out of service": 3}
_LEVELS: dict[str, Level] = {"silent": "bad", "recording": "good", "new": "unknown", "out of service": "unknown"}
_SHADES = (0.0, 0.5, 0.9, 0.99)
"""From what ratio on a day has the next darker shade."""


@dataclass(frozen=True, slots=True)
class Silence:
    """How long a camera may be without footage until it is silent, and until it is out of service."""

    silent_after: timedelta
    forgotten_after: timedelta

    def of(self, camera: CameraFigures, now: datetime) -> Literal["recording", "silent", "out of service", "new"]:
        """How a camera is."""
        if camera.last_end is None:
            return "new"
        quiet = now - camera.last_end
        if quiet > self.forgotten_after:
            return "out of service"
        return "silent" if quiet > self.silent_after else "recording"


@dataclass(frozen=True, slots=True)
class DayCell:
    """One day of a camera. `shade` 0: nothing recorded, 4: nearly all; None: before its first footage."""

    number: int
    shade: int | None
    title: str


@dataclass(frozen=True, slots=True)
class CameraView:
    """One camera, worded."""

    tenant: str
    slug: str
    name: str
    level: Level
    last: str
    segments: str
    held: str
    days: tuple[DayCell, ...]
    covered: str  # of the whole days of the strip since its first footage; "–": there is none yet


@dataclass(frozen=True, slots=True)
class CamerasPage:
    """What of the cameras one page shows."""

    cameras: tuple[CameraFigures, ...]
    query: str
    found: int
    silent: int  # of those found
    number: int
    numbers: int  # pages in all, 1 at least

    @property
    def previous(self) -> int | None:
        return self.number - 1 if self.number > 1 else None

    @property
    def next(self) -> int | None:
        return self.number + 1 if self.number < self.numbers else None


def choose(
    cameras: Iterable[CameraFigures], *, query: str, number: int, silence: Silence, now: datetime
) -> CamerasPage:
    """The cameras of one page of those whose name, slug or tenant has `query` in it: the silent ones first, then those
    that record, both by name; those without footage and those out of service last. A page beyond the last one is the
    last one.
    """
    wanted = query.strip().casefold()
    found = [(_ORDER[silence.of(camera, now)], camera.tenant, camera.slug, camera) for camera in cameras
             if not wanted or wanted in f"{camera.tenant}/{camera.slug}\n{camera.name}".casefold()]  # fmt: skip
    found.sort(key=lambda one: one[:3])
    silent = sum(order == _ORDER["silent"] for order, *_ in found)
    numbers = max(-(-len(found) // PAGE_CAMERAS), 1)
    number = min(max(number, 1), numbers)
    shown = [camera for *_, camera in found[(number - 1) * PAGE_CAMERAS : number * PAGE_CAMERAS]]
    return CamerasPage(tuple(shown), query.strip(), len(found), silent, number, numbers)


def strip_days(now: datetime) -> tuple[date, ...]:
    """The days of a strip, today the last."""
    today = now.astimezone(UTC).date()
    return tuple(today - timedelta(days=back) for back in reversed(range(STRIP_DAYS)))


def views(
    cameras: Sequence[CameraFigures],
    days: Iterable[CameraDay],
    began: Mapping[CameraId, date],
    *,
    silence: Silence,
    now: datetime,
) -> tuple[CameraView, ...]:
    """Cameras with their strips; `days` has those of `strip_days(now)` on which they recorded, in any order, and
    `began` the first day of which there is footage at all: nothing is expected of a camera before."""
    recorded: dict[CameraId, dict[date, CameraDay]] = defaultdict(dict)
    for day in days:
        recorded[day.camera_id][day.day] = day
    return tuple(_view(camera, recorded[camera.id], began.get(camera.id), silence, now) for camera in cameras)


def _view(
    camera: CameraFigures, recorded: dict[date, CameraDay], began: date | None, silence: Silence, now: datetime
) -> CameraView:
    strip = strip_days(now)
    ratios = [None if began is None or day < began else _ratio(recorded.get(day), day, now) for day in strip]
    cells = tuple(_cell(number, day, ratio, is_today=day == strip[-1])
                  for number, (day, ratio) in enumerate(zip(strip, ratios, strict=True)))  # fmt: skip
    state = silence.of(camera, now)
    # Of its first day nobody knows from when on a camera should have recorded, and today is not over.
    whole = [ratio for day, ratio in zip(strip[:-1], ratios, strict=False) if ratio is not None and day != began]
    since = ago(camera.last_end, now) if camera.last_end else ""
    last = {
        "silent": f"silent for {since}", "recording": f"{since} ago", "new": "no footage yet",
        "out of service": f"out of service, last {since} ago",
    }[state]  # fmt: skip
    return CameraView(
        camera.tenant, camera.slug, camera.name, _LEVELS[state], last, counted(camera.segments, "segment"),
        size(camera.size_bytes), cells, percent(sum(whole) / len(whole)) if whole else "–",
    )  # fmt: skip


def _ratio(day: CameraDay | None, on: date, now: datetime) -> float:
    """How much of a day was recorded; of today, of what has passed of it."""
    if day is None:
        return 0.0
    midnight = datetime.combine(on, time(), UTC)
    passed = min((now - midnight).total_seconds(), 86_400.0)
    return min(day.recorded_seconds / passed, 1.0) if passed > 0 else 0.0


def _cell(number: int, day: date, ratio: float | None, *, is_today: bool) -> DayCell:
    if ratio is None:
        return DayCell(number, None, f"{day}: before its first footage")
    shade = sum(ratio > bound for bound in _SHADES)
    so_far = " so far" if is_today else ""
    return DayCell(number, shade, f"{day}: {percent(ratio)} recorded{so_far}")
