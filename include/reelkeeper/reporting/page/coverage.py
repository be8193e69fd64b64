"""Cameras on the page: who is silent, and how much of the last days each has recorded."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from reelkeeper.model import CameraId
from reelkeeper.reporting.figures import CameraDay, CameraFigures
from reelkeeper.reporting.page.safety import Level
from reelkeeper.wording import ago, counted, percent, size

STRIP_DAYS = 14
PAGE_CAMERAS = 25
_SHADES = (0.0, 0.5, 0.9, 0.99)
"""From what ratio on a day has the next darker shade."""


@dataclass(frozen=True, slots=True)
class DayCell:
    """One day of a camera. `shade` 0: nothing recorded, 4: nearly all."""

    number: int
    shade: int
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
    covered: str  # of the whole days of the strip


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
    cameras: Iterable[CameraFigures], *, query: str, number: int, silent_after: timedelta, now: datetime
) -> CamerasPage:
    """The cameras of one page of those whose name, slug or tenant has `query` in it: the silent ones first, the longest
    silent of them first of all, then by name. A page beyond the last one is the last one.
    """
    wanted = query.strip().casefold()
    found = [camera for camera in cameras
             if wanted in f"{camera.tenant}/{camera.slug}\n{camera.name}".casefold()]  # fmt: skip
    quiet = [camera for camera in found if _is_silent(camera, silent_after, now)]
    others = [camera for camera in found if not _is_silent(camera, silent_after, now)]
    quiet.sort(key=lambda camera: (camera.last_end or now, camera.tenant, camera.slug))
    others.sort(key=lambda camera: (camera.last_end is None, camera.tenant, camera.slug))
    numbers = max(-(-len(found) // PAGE_CAMERAS), 1)
    number = min(max(number, 1), numbers)
    shown = [*quiet, *others][(number - 1) * PAGE_CAMERAS : number * PAGE_CAMERAS]
    return CamerasPage(tuple(shown), query.strip(), len(found), len(quiet), number, numbers)


def strip_days(now: datetime) -> tuple[date, ...]:
    """The days of a strip, today the last."""
    today = now.astimezone(UTC).date()
    return tuple(today - timedelta(days=back) for back in reversed(range(STRIP_DAYS)))


def views(
    cameras: Sequence[CameraFigures], days: Iterable[CameraDay], *, silent_after: timedelta, now: datetime
) -> tuple[CameraView, ...]:
    """Cameras with their strips; `days` has those of `strip_days(now)` on which they recorded, in any order."""
    recorded: dict[CameraId, dict[date, CameraDay]] = defaultdict(dict)
    for day in days:
        recorded[day.camera_id][day.day] = day
    return tuple(_view(camera, recorded[camera.id], silent_after, now) for camera in cameras)


def _is_silent(camera: CameraFigures, silent_after: timedelta, now: datetime) -> bool:
    return camera.last_end is not None and now - camera.last_end > silent_after


def _view(
    camera: CameraFigures, recorded: dict[date, CameraDay], silent_after: timedelta, now: datetime
) -> CameraView:  # fmt: skip
    strip = strip_days(now)
    ratios = [_ratio(recorded.get(day), day, now) for day in strip]
    cells = tuple(_cell(number, day, ratio, day == strip[-1])
                  for number, (day, ratio) in enumerate(zip(strip, ratios, strict=True)))  # fmt: skip
    whole = ratios[:-1]
    level: Level = "unknown" if camera.last_end is None else "good"
    last = "no footage yet"
    if camera.last_end:
        silent = _is_silent(camera, silent_after, now)
        level = "bad" if silent else "good"
        last = f"silent for {ago(camera.last_end, now)}" if silent else f"{ago(camera.last_end, now)} ago"
    return CameraView(
        camera.tenant, camera.slug, camera.name, level, last, counted(camera.segments, "segment"),
        size(camera.size_bytes), cells, percent(sum(whole) / len(whole)),
    )  # fmt: skip


def _ratio(day: CameraDay | None, on: date, now: datetime) -> float:
    """How much of a day was recorded; of today, of what has passed of it."""
    if day is None:
        return 0.0
    midnight = datetime.combine(on, time(), UTC)
    passed = min((now - midnight).total_seconds(), 86_400.0)
    return min(day.recorded_seconds / passed, 1.0) if passed > 0 else 0.0


def _cell(number: int, day: date, ratio: float, is_today: bool) -> DayCell:
    shade = sum(ratio > bound for bound in _SHADES)
    so_far = " so far" if is_today else ""
    return DayCell(number, shade, f"{day}: {percent(ratio)} recorded{so_far}")
