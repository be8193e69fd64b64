"""The chart of coverage: how much of each day each camera recorded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from reelkeeper.model import CameraId
from reelkeeper.reporting.drawing import Canvas, Chart, draw, ink, shown
from reelkeeper.reporting.figures import CameraDay, CameraFigures
from reelkeeper.reporting.plotting import moments, rectangles
from reelkeeper.wording import counted, percent

_DAY = timedelta(days=1)
_DAY_SECONDS = 86_400
_WELL = 0.99
_CLASSES = ((_WELL, "99 %"), (0.95, "95 %"), (0.8, "80 %"), (0.5, "50 %"), (0.0, "less"))
"""From which ratio on each shade holds, and its name; one more shade is for a day without any footage."""
_ROW = 19  # pixels of a camera


@dataclass(frozen=True, slots=True)
class CameraCoverage:
    """One camera's coverage of each of some days: a ratio 0 to 1; None before it first recorded."""

    name: str
    days: tuple[float | None, ...]

    @property
    def mean(self) -> float | None:
        """Of the days since it first recorded; None when it never did."""
        known = [ratio for ratio in self.days if ratio is not None]
        return sum(known) / len(known) if known else None


def camera_coverage(
    cameras: Sequence[CameraFigures],
    recorded: Sequence[CameraDay],
    began: Mapping[CameraId, date],
    *,
    first: date,
    now: datetime,
) -> list[CameraCoverage]:
    """How much of each day from `first` to today each camera recorded, the worst camera first.

    Of today the time until `now` counts. `began`: the first day of which there is footage of each camera, also where
    that is before `first`: it is expected from then on. Footage that overlaps counts twice, up to the whole day.
    """
    by_camera: dict[CameraId, dict[date, CameraDay]] = {camera.id: {} for camera in cameras}
    for each in recorded:
        by_camera.setdefault(each.camera_id, {})[each.day] = each
    days = [first + number * _DAY for number in range((now.astimezone(UTC).date() - first).days + 1)]
    found = [CameraCoverage(camera.name, tuple(_ratios(began.get(camera.id), by_camera[camera.id], days, now)))
             for camera in cameras]  # fmt: skip
    return sorted(found, key=lambda each: (1.0 if each.mean is None else each.mean, each.name))


def _ratios(
    begins: date | None, recorded: Mapping[date, CameraDay], days: Sequence[date], now: datetime
) -> list[float | None]:
    ratios: list[float | None] = []
    for day in days:
        passed = min((now - datetime.combine(day, time(), UTC)).total_seconds(), _DAY_SECONDS)
        if begins is None or day < begins or passed <= 0:
            ratios.append(None)
        else:
            seconds = recorded[day].recorded_seconds if day in recorded else 0.0
            ratios.append(min(seconds / passed, 1.0))
    return ratios


def coverage_map(cameras: Sequence[CameraCoverage], *, first: date, most: int = 25) -> Chart:
    """Coverage by camera and day, from `first` on, of at most so many cameras; they come in the order to be shown in,
    the worst first."""
    told = [camera for camera in cameras if camera.mean is not None]
    shown_ones, rest = told[:most], told[most:]
    return draw(
        "coverage",
        title=_title(told),
        description="A field for each camera and day in UTC, the camera with the least footage on top: the darker (on "
                    "dark ground: the lighter), the more of the day is missing; a cross where there is no footage at "
                    "all; empty before a camera's first day. Footage that overlaps counts twice, up to the whole day."
                    f"{_left_out(rest)}",
        paint=lambda canvas: _paint(canvas, shown_ones, first),
        height=96 + _ROW * len(shown_ones),
        empty=None if told else "no footage yet",
        columns=("camera", "mean", "days below 99 %", "days without footage", "worst day (UTC)"),
        rows=[_row(camera, first) for camera in shown_ones],
    )  # fmt: skip


def _paint(canvas: Canvas, cameras: Sequence[CameraCoverage], first: date) -> None:
    from matplotlib.patches import Patch

    axes = canvas.axes(left=104 if canvas.is_narrow else 150, right=24, top=50 if canvas.is_narrow else 34, bottom=46)
    (origin,) = moments([first])
    boxes: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name, _ in _shades()}
    crosses: list[tuple[float, float]] = []
    for row, camera in enumerate(cameras):
        for number, ratio in enumerate(camera.days):
            if ratio is not None:
                boxes[_shade(ratio)].append((origin + number + 0.04, row + 0.06, 0.92, 0.88))
            if ratio == 0:
                crosses.append((origin + number + 0.5, row + 0.5))
    for name, some in boxes.items():
        rectangles(axes, some, ink(name))
    axes.plot([x for x, _ in crosses], [y for _, y in crosses], linestyle="", marker="x", color=ink("ground"),
              markersize=4 if canvas.is_narrow else 6, markeredgewidth=1.2)  # fmt: skip
    axes.set_xlim(origin, origin + len(cameras[0].days))
    axes.set_ylim(len(cameras), 0)
    axes.grid(visible=False)
    axes.set_yticks(
        [row + 0.5 for row in range(len(cameras))],
        labels=[shown(camera.name, 13 if canvas.is_narrow else 20) for camera in cameras],
    )
    canvas.days(axes, within=0.5)
    handles = [Patch(color=ink(name)) for name, _ in _shades()]
    names = [label for _, label in _shades()]
    canvas.legend(axes, handles, names, columns=3 if canvas.is_narrow else 0)


def _shades() -> list[tuple[str, str]]:
    """Each shade of the palette with its meaning."""
    named = [(f"missing-{number}", f"from {name}" if ratio else name) for number, (ratio, name) in enumerate(_CLASSES)]
    return [*named, (f"missing-{len(_CLASSES)}", "none")]


def _shade(ratio: float) -> str:
    if ratio == 0:
        return f"missing-{len(_CLASSES)}"
    return f"missing-{next(number for number, (least, _) in enumerate(_CLASSES) if ratio >= least)}"


def _title(cameras: Sequence[CameraCoverage]) -> str:
    if not cameras:
        return "No camera has recorded yet"
    days = counted(len(cameras[0].days), "day")
    well = sum((camera.mean or 0) >= _WELL for camera in cameras)
    if well == len(cameras):
        return f"{counted(well, 'camera has', 'cameras have')} footage of at least {percent(_WELL)} of the last {days}"
    return (f"{well:,} of {counted(len(cameras), 'camera')} have footage of at least {percent(_WELL)} of the last "
            f"{days}; the least has {shown(cameras[0].name, 40)}, {percent(cameras[0].mean or 0)}")  # fmt: skip


def _left_out(rest: Sequence[CameraCoverage]) -> str:
    if not rest:
        return ""
    return (f" {counted(len(rest), 'more camera is', 'more cameras are')} not shown, with footage of at least "
            f"{percent(rest[0].mean or 0)}.")  # fmt: skip


def _row(camera: CameraCoverage, first: date) -> tuple[str, ...]:
    known = [(ratio, number) for number, ratio in enumerate(camera.days) if ratio is not None]
    worst, when = min(known)
    below = sum(ratio < _WELL for ratio, _ in known)
    return (
        camera.name, percent(camera.mean or 0), str(below), str(sum(ratio == 0 for ratio, _ in known)),
        f"{first + when * _DAY:%Y-%m-%d}: {percent(worst)}" if below else "",
    )  # fmt: skip
