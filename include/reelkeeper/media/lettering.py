"""Text as pictures. Whatever a name holds, it is pixels when ffmpeg sees it."""

import unicodedata
from functools import lru_cache

from anyascii import anyascii
from PIL import Image, ImageDraw, ImageFont
from PIL.ImageFont import FreeTypeFont

_FONTS = (
    "NotoSans-Regular.ttf", "DejaVuSans.ttf", "LiberationSans-Regular.ttf", "NotoSansCJK-Regular.ttc",
    "NotoSansArabic-Regular.ttf", "NotoSansHebrew-Regular.ttf", "NotoSansDevanagari-Regular.ttf", "Arial.ttf",
    "Arial Unicode.ttf", "msyh.ttc",
)  # fmt: skip
"""Where the machine has them. None is needed: the font that comes with Pillow has the letters of ASCII."""
_NOBODY_HAS = "\U0010ffff"
_CUT_OFF = "..."
_WHITE = (255, 255, 255, 255)
_PLATE = (0, 0, 0, 150)

Colour = tuple[int, int, int, int]
"""Red, green, blue and opacity, 0–255."""


def text_image(text: str, size: int, *, colour: Colour = _WHITE, max_width: int | None = None) -> Image.Image:
    """`text` on one line on a transparent ground, as tall as any text of this size (in pixels), at most `max_width`
    pixels wide: what is too long ends in '...'."""
    font, line = _fitted(_clean(text), size, max_width)
    ascent, descent = font.getmetrics()
    image = Image.new("RGBA", (max(round(font.getlength(line)), 1), ascent + descent), (*colour[:3], 0))
    ImageDraw.Draw(image).text((0, ascent), line, font=font, fill=colour, anchor="ls")
    return image


def plate(text: str, size: int, *, max_width: int) -> Image.Image:
    """`text` in white on a dark plate that lets some of the picture through: readable on light and on dark."""
    margin = max(size // 4, 2)
    letters = text_image(text, size, max_width=max_width - 2 * margin)
    ground = Image.new("RGBA", even_size(letters.width + 2 * margin, letters.height + margin), _PLATE)
    ground.alpha_composite(letters, (margin, (ground.height - letters.height) // 2))
    return ground


def stamp(text: str, *, width: int, height: int, opacity: float) -> Image.Image:
    """The lines of `text`, as large as fits into `width` × `height` pixels: white with a dark rim, of one opacity."""
    lines = [_clean(line) for line in text.splitlines() if _clean(line)] or [" "]
    size = max(height // len(lines) * 3 // 4, 6)
    while size > 6 and max(_font(line, size)[0].getlength(_font(line, size)[1]) for line in lines) > width - 4:
        size -= 1
    image = Image.new("RGBA", even_size(width, height), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        font, shown = _fitted(line, size, width - 4)
        draw.text(
            (width / 2, height * (2 * number + 1) / (2 * len(lines))), shown, font=font, anchor="mm", fill=_WHITE,
            stroke_width=max(size // 14, 1), stroke_fill=(0, 0, 0, 255),
        )  # fmt: skip
    image.putalpha(image.getchannel("A").point(lambda value: round(value * opacity)))
    return image


def even_size(width: float, height: float) -> tuple[int, int]:
    """Rounded up to even numbers: pixels of colour cover two by two of brightness."""
    return -(-int(width) // 2) * 2, -(-int(height) // 2) * 2


def _clean(text: str) -> str:
    """On one line, without characters that are not seen or that turn the order of others."""
    flat = " ".join(unicodedata.normalize("NFC", text).split())
    return "".join(character for character in flat if unicodedata.category(character)[0] != "C")


def _fitted(line: str, size: int, max_width: int | None) -> tuple[FreeTypeFont, str]:
    font, shown = _font(line, size)
    if max_width is None or font.getlength(shown) <= max_width:
        return font, shown
    while shown and font.getlength(shown + _CUT_OFF) > max_width:
        shown = shown[:-1]
    return font, shown.rstrip() + _CUT_OFF


@lru_cache(maxsize=256)
def _font(line: str, size: int) -> tuple[FreeTypeFont, str]:
    """The font that has most letters of the line, and the line with those that it lacks in letters of ASCII."""
    pillows = ImageFont.load_default(size)
    assert isinstance(pillows, FreeTypeFont)
    if line.isascii():
        return pillows, line
    installed = (font for name in _FONTS if (font := _installed(name, size)) is not None)
    choices = [(font, _lacking(font, line)) for font in (*installed, pillows)]
    font, lacking = min(choices, key=lambda choice: len(choice[1]))
    return font, "".join(anyascii(letter) if letter in lacking else letter for letter in line)


@lru_cache(maxsize=64)
def _installed(name: str, size: int) -> FreeTypeFont | None:
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None


def _lacking(font: FreeTypeFont, line: str) -> set[str]:
    """A letter that a font lacks is drawn as its sign for that."""
    sign = bytes(font.getmask(_NOBODY_HAS))
    return {letter for letter in line if not letter.isspace() and bytes(font.getmask(letter)) == sign}
