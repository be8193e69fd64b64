"""What several charts have in common: axes of times, bytes and money, bars that are one shape, short tables."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, TypeVar

from reelkeeper.reporting.drawing import Canvas
from reelkeeper.wording import usd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_Row = TypeVar("_Row")


def moments(times: Sequence[date | datetime]) -> list[float]:
    """Times as matplotlib counts them: days since 1970 in UTC. A date is its first instant."""
    return [_instant(each).timestamp() / 86_400 for each in times]


def _instant(moment: date | datetime) -> datetime:
    return moment if isinstance(moment, datetime) else datetime.combine(moment, time(), UTC)


def byte_unit(largest: int) -> tuple[str, int]:
    """The unit in which to show bytes up to `largest`, and how many bytes it is."""
    power = 0
    while power < len(_UNITS) - 1 and largest >= 1024 ** (power + 1):
        power += 1
    return _UNITS[power], 1024**power


def bars(
    axes: "Axes", x: Sequence[float], layers: Sequence[Sequence[float]], colours: Sequence[str], *, width: float
) -> None:
    """Bars from `x` on, `width` days wide, each colour's as one shape: a month of hours is one element, not 700.

    `layers` lie upon each other.
    """
    floor = [0.0] * len(x)
    for heights, colour in zip(layers, colours, strict=True):
        rectangles(
            axes,
            [(left, low, width, height) for left, low, height in zip(x, floor, heights, strict=True)],
            colour,
        )
        floor = [low + height for low, height in zip(floor, heights, strict=True)]


def rectangles(axes: "Axes", boxes: Sequence[tuple[float, float, float, float]], colour: str) -> None:
    """Filled rectangles (left, bottom, width, height) of one colour, as one shape."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path
    from numpy import array

    if not boxes:
        return
    corners = array([
        [(left, low), (left, low + height), (left + width, low + height), (left + width, low)]
        for left, low, width, height in boxes
    ])  # fmt: skip
    axes.add_patch(PathPatch(Path.make_compound_path_from_polys(corners), facecolor=colour, edgecolor="none"))


def money_axis(axes: "Axes", largest: float) -> None:
    """Let the y axis go from nothing to a little above `largest` US dollars, however little that is."""
    from matplotlib.ticker import FuncFormatter

    axes.set_ylim(0, (largest or 0.01) * 1.12)
    axes.locator_params(axis="y", nbins=5)

    def told(amount: float, _: object) -> str:
        return f"{amount:,.0f}" if largest >= 10 else usd(round(amount, 12)).removesuffix(" USD")

    axes.yaxis.set_major_formatter(FuncFormatter(told))


def span_days(canvas: Canvas, axes: "Axes", first: date, last: date) -> None:
    """Let the x axis go from one day to another; one day alone has room beside it."""
    start, end = moments([first, last])
    margin = 0.6 if first == last else 0
    axes.set_xlim(start - margin, end + margin)
    canvas.days(axes)


def thinned(rows: Sequence[_Row], *, most: int = 31) -> list[_Row]:
    """At most so many of the rows, evenly apart, the first and the last among them."""
    if len(rows) <= most:
        return [*rows]
    return [rows[round(position * (len(rows) - 1) / (most - 1))] for position in range(most)]
