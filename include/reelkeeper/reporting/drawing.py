"""Pictures as SVG: laid out by matplotlib, coloured by the page that shows them.

A colour in a picture is a CSS variable, so that one picture is right on light and on dark ground. Its letters are
letters, in the reader's own font. It is drawn twice, for a screen and for a phone, as neither can be read in the
other's size. Drawing the same again gives the same bytes.
"""

import re
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from io import StringIO
from math import floor
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree as ET

if TYPE_CHECKING:  # importing matplotlib takes a second and 60 MB: only who draws pays it
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE, NARROW = 880, 360
"""Pixels: how wide a picture is on a screen, and on a phone."""
_FONT_PIXELS = 12
_EVERY = (1, 2, 4, 7, 14, 28, 56, 112, 365, 730, 3650, 36_500)
"""How many days the marks of an axis may be apart."""
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_DRAWING = threading.Lock()
"""matplotlib is not made for several threads at a time, and its settings are the whole process's."""
_SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "reelkeeper",
    "text.parse_math": False,  # a camera may be called "$5"
    "font.family": ["DejaVu Sans"],  # comes with matplotlib: text is measured alike everywhere
    "font.size": _FONT_PIXELS,
}


class _Shades(NamedTuple):
    light: str
    dark: str


_PALETTE = {
    "ink": _Shades("#1f2328", "#e6edf3"),
    "muted": _Shades("#59636e", "#9198a1"),
    "grid": _Shades("#d8dee4", "#343b44"),
    "ground": _Shades("#ffffff", "#0d1117"),
    # Okabe and Ito's colours, which people who see red and green alike tell apart; from warm to cold, as the tiers.
    "hot": _Shades("#d55e00", "#d55e00"),
    "cool": _Shades("#e69f00", "#e69f00"),
    "cold": _Shades("#56b4e9", "#56b4e9"),
    "archive": _Shades("#0072b2", "#0072b2"),
    "line": _Shades("#0072b2", "#56b4e9"),
    "bad": _Shades("#c24a00", "#ff8c42"),
    "saved": _Shades("#dfeaf2", "#1b2c3a"),
    # How much is missing, in one hue: it is told apart by lightness alone, and what lacks most stands out most.
    "missing-0": _Shades("#e3edf5", "#16242f"),
    "missing-1": _Shades("#fbd9b5", "#4a2f14"),
    "missing-2": _Shades("#f2a65e", "#7d4514"),
    "missing-3": _Shades("#d9691e", "#b8641f"),
    "missing-4": _Shades("#93380a", "#ee9c50"),
    "missing-5": _Shades("#3d1602", "#ffe0bd"),
}
_PLACES = {name: f"#0a00{number:02x}" for number, name in enumerate(_PALETTE)}
_NAMES = {place: name for name, place in _PLACES.items()}


def ink(name: str) -> str:
    """A colour of the palette, as matplotlib takes it; in the SVG it becomes the page's."""
    return _PLACES[name]


def palette_css() -> str:
    """The palette as CSS variables `--rk-…`, for light and dark; what is printed is light."""
    light = "".join(f"--rk-{name}:{shades.light};" for name, shades in _PALETTE.items())
    dark = "".join(f"--rk-{name}:{shades.dark};" for name, shades in _PALETTE.items() if shades.dark != shades.light)
    return (
        f":root{{color-scheme:light dark;{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
    )


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture with all that stands around it. `columns` and `rows` tell the same in words, for who cannot see it."""

    id: str  # unique on a page; a word of [a-z-]
    title: str  # what it shows, as a sentence without its full stop
    description: str  # how it is to be read
    wide: str  # SVG, an element `<svg>` to stand in HTML
    narrow: str  # the same for a phone
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Canvas:
    """An empty picture, measured in pixels."""

    figure: "Figure"
    width: int
    height: int

    @property
    def is_narrow(self) -> bool:
        return self.width == NARROW

    def axes(self, *, left: int, right: int, top: int, bottom: int) -> "Axes":
        """Axes with margins of so many pixels, in the page's colours, with a faint grid and no frame."""
        axes = self.figure.add_axes((
            left / self.width, bottom / self.height,
            1 - (left + right) / self.width, 1 - (top + bottom) / self.height,
        ))  # fmt: skip
        axes.set_facecolor("none")
        for side, spine in axes.spines.items():
            spine.set_visible(side == "bottom")
            spine.set_color(ink("grid"))
        axes.tick_params(length=0, labelsize=_FONT_PIXELS, labelcolor=ink("muted"))
        axes.grid(visible=True, axis="y", color=ink("grid"), linewidth=1)
        axes.set_axisbelow(True)
        return axes

    def days(self, axes: "Axes", *, within: float = 0.0) -> None:
        """Mark days in UTC on the x axis, whose limits are set: at most as many as can be read, counted back from the
        last. `within`: where in its day a mark stands, from 0 to 1."""
        first, last = axes.get_xlim()
        most = 4 if self.is_narrow else 9
        every = next(days for days in _EVERY if (last - first) / days <= most)
        ticks = [floor(last - within + 1e-9) + within]
        while ticks[-1] - every >= first:
            ticks.append(ticks[-1] - every)
        ticks = [tick for tick in ticks if first <= tick <= last]
        named = [datetime.fromtimestamp(tick * 86_400, UTC) for tick in ticks]
        is_long = last - first > 366
        axes.set_xticks(ticks, labels=[f"{day:%b %Y}" if is_long else f"{day.day} {day:%b}" for day in named])
        axes.set_xlabel("day (UTC)", color=ink("muted"), labelpad=4)

    def unit(self, axes: "Axes", text: str) -> None:
        """Say above the y axis what it counts, and in what."""
        from matplotlib.transforms import ScaledTranslation

        above = ScaledTranslation(0, 8 / self.figure.dpi, self.figure.dpi_scale_trans)
        axes.text(0, 1, text, transform=axes.transAxes + above, ha="left", va="bottom", color=ink("muted"))

    def legend(self, axes: "Axes", handles: "Sequence[Artist]", labels: Sequence[str], *, columns: int = 0) -> None:
        """What the colours mean, above everything."""
        legend = self.figure.legend(
            handles, labels, loc="upper left", ncols=columns or len(labels), frameon=False, borderaxespad=0,
            borderpad=0, handlelength=1.2, handletextpad=0.5, columnspacing=0.9 if self.is_narrow else 1.4,
            labelcolor=ink("ink"), bbox_to_anchor=(axes.get_position().x0, 1 - 4 / self.height),
        )  # fmt: skip
        legend.set_zorder(5)


def draw(
    chart_id: str,
    *,
    title: str,
    description: str,
    paint: Callable[[Canvas], None],
    height: int,
    empty: str | None,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
) -> Chart:
    """A chart that `paint` paints, for each of the two widths, `height` pixels high. When there is nothing to paint,
    the picture says so in the words of `empty` (None: there is something)."""
    if empty is not None:
        paint, height = partial(_say, empty), 72
    wide, narrow = (
        _svg(f"{chart_id}-{size}", title, description, paint, width, height)
        for size, width in (("wide", WIDE), ("narrow", NARROW))
    )
    return Chart(chart_id, title, description, wide, narrow, columns, rows)


def shown(text: str, most: int = 1000) -> str:
    """A text of others as it can stand in a picture: no control characters, not longer than `most`."""
    clean = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return clean if len(clean) <= most else f"{clean[: most - 1].rstrip()}…"


def _say(text: str, canvas: Canvas) -> None:
    canvas.figure.text(0.5, 0.5, text, ha="center", va="center", color=ink("muted"))


def _svg(name: str, title: str, description: str, paint: Callable[[Canvas], None], width: int, height: int) -> str:
    with _DRAWING:
        from matplotlib import rc_context
        from matplotlib.figure import Figure

        with rc_context(_SETTINGS), warnings.catch_warnings():  # type: ignore[arg-type]  # its keys are a Literal
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the reader's font may have it
            figure = Figure(figsize=(width / 72, height / 72), dpi=72)
            figure.patch.set_visible(False)
            paint(Canvas(figure, width, height))
            text = StringIO()
            figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _for_pages(text.getvalue(), name, shown(title), shown(description), width, height)


def _for_pages(svg: str, name: str, title: str, description: str, width: int, height: int) -> str:
    """What matplotlib wrote as an element that can stand in a page beside others: no fixed size, no id that another one
    has, the page's colours and font, and words for who cannot see it."""
    root = ET.fromstring(svg)  # noqa: S314 - matplotlib wrote it just now
    for parent in [*root.iter()]:
        for child in parent.findall(f"{{{_SVG}}}metadata") + parent.findall(f"{{{_SVG}}}style"):
            parent.remove(child)  # a style would hold for the whole page
    _rename(root, name)
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.attrib |= {
        "viewBox": f"0 0 {width} {height}", "role": "img", "aria-labelledby": f"{name}-title {name}-desc",
        "stroke-linejoin": "round", "font-family": "system-ui,sans-serif",
    }  # fmt: skip
    for position, (tag, text) in enumerate((("title", title), ("desc", description))):
        element = ET.Element(f"{{{_SVG}}}{tag}", {"id": f"{name}-{tag}"})
        element.text = text
        root.insert(position, element)
    for element in root.iter():
        if "style" in element.attrib:
            element.set("style", _style(element.attrib["style"]))
    _as_html(root)
    return ET.tostring(root, encoding="unicode", short_empty_elements=False)


def _rename(root: ET.Element, name: str) -> None:
    """Ids that something refers to get names of this picture's own; the others go."""
    text = ET.tostring(root, encoding="unicode")
    used = dict.fromkeys(re.findall(r"url\(#([^)]+)\)", text) + re.findall(r'href="#([^"]+)"', text))
    names = {old: f"{name}-{number}" for number, old in enumerate(used)}
    for element in root.iter():
        for key, value in [*element.attrib.items()]:
            if key == "id":
                del element.attrib[key]
                if value in names:
                    element.set(key, names[value])
            elif key == f"{{{_XLINK}}}href":
                del element.attrib[key]
                element.set("href", f"#{names[value.removeprefix('#')]}")
            elif found := re.fullmatch(r"url\(#(.+)\)", value):
                element.set(key, f"url(#{names[found[1]]})")


def _style(style: str) -> str:
    style = re.sub(r"#0a00[0-9a-f]{2}", lambda found: f"var(--rk-{_NAMES[found[0]]},{_light(found[0])})", style)
    return re.sub(r"font-family:[^;]*; ", "", style)


def _light(place: str) -> str:
    return _PALETTE[_NAMES[place]].light


def _as_html(root: ET.Element) -> None:
    """Names of elements without their namespace: HTML's parser knows that of an `<svg>` by itself."""
    root.set("xmlns", _SVG)
    for element in root.iter():
        element.tag = str(element.tag).removeprefix(f"{{{_SVG}}}")
