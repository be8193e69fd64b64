"""What is burned in can be read, is true at each second, and harms nothing whatever a name holds."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from reelkeeper.media import lettering
from reelkeeper.media.lettering import plate, stamp, text_image
from reelkeeper.media.overlay import Overlay, Sheet

pytestmark = pytest.mark.encodes

MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
SIZES = st.tuples(st.integers(60, 1000), st.integers(80, 600)).map(lambda size: (size[0] * 2, size[1] * 2))


def darkest_and_brightest(image: Image.Image, ground: int) -> tuple[float, float]:
    """Of the picture laid on a grey."""
    laid = Image.alpha_composite(Image.new("RGBA", image.size, (ground, ground, ground, 255)), image)
    luma = np.asarray(laid.convert("L"))
    return float(np.percentile(luma, 1)), float(luma.max())


@pytest.mark.parametrize("ground", [0, 90, 128, 200, 255])
def test_labels_can_be_read_on_any_ground(ground: int) -> None:
    dark, bright = darkest_and_brightest(plate("Entrance north", 20, max_width=400), ground)
    assert bright - dark > 130


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_a_watermark_can_be_seen_on_any_ground_and_lets_the_picture_through(ground: int) -> None:
    dark, bright = darkest_and_brightest(stamp("POLICE\nwm-1f", width=300, height=60, opacity=0.38), ground)
    assert 40 < max(bright, ground) - min(dark, ground) < 160


@given(
    size=SIZES,
    text=st.sampled_from(["POLICE\nwm-4f2a9c1077de", "x", "a very long text that nobody can fit in\nid\nmore"]),
)
@settings(max_examples=15, deadline=None)
def test_any_quarter_of_the_picture_holds_a_whole_watermark(size: tuple[int, int], text: str) -> None:
    width, height = size
    (patch,) = Overlay(watermark=text).patches(width, height)
    for left in np.linspace(0, width / 2, 9):
        for top in np.linspace(0, height / 2, 9):
            assert any(
                left <= x and x + patch.width <= left + width / 2 and top <= y and y + patch.height <= top + height / 2
                for x, y in patch.places
            ), (left, top, patch.width, patch.height, patch.places)


@given(name=st.text(max_size=40), size=SIZES, clock=st.booleans())
@settings(max_examples=25, deadline=None)
def test_any_name_becomes_pixels_within_the_picture(name: str, size: tuple[int, int], clock: bool) -> None:
    width, height = size
    for patch in Overlay(name=name, clock=clock).patches(width, height):
        assert patch.width % 2 == patch.height % 2 == 0
        for left, top in patch.places:
            assert left % 2 == top % 2 == 0
            assert left + patch.width <= width
            assert top + patch.height <= height


def test_names_nobody_has_letters_for_become_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never a row of boxes, which would be the same for each camera."""
    monkeypatch.setattr(lettering, "_FONTS", ())
    lettering._font.cache_clear()
    assert lettering._font("Łódź 正門", 20)[1] == "Lodz ZhengMen"
    names = ["北門", "南門", "Вход", "Выход", "بوابة", "🚪"]
    assert len({bytes(text_image(name, 20).tobytes()) for name in names}) == len(names)
    lettering._font.cache_clear()


def test_what_is_not_seen_or_turns_the_text_is_left_out() -> None:
    assert text_image("a\u202eb\x00\n\tc\u200b", 20).tobytes() == text_image("ab c", 20).tobytes()


def test_a_long_name_is_cut_off_and_says_so() -> None:
    image = text_image("corridor " * 20, 20, max_width=150)
    assert image.width <= 150
    assert lettering._fitted("corridor " * 20, 20, 150)[1].endswith("...")


def test_the_time_is_true_at_each_second_across_midnight() -> None:
    (patch,) = Overlay(clock=True).patches(640, 360)
    (face,) = patch.clocks
    sheet = Sheet([patch], MIDNIGHT - timedelta(seconds=1.25))
    for number, picture in enumerate(sheet.pictures(timedelta(seconds=4)) or ()):
        assert picture == face.draw(MIDNIGHT + timedelta(seconds=number - 2)).tobytes()


def test_the_clock_takes_any_zone_and_says_utc() -> None:
    (patch,) = Overlay(clock=True).patches(640, 360)
    (face,) = patch.clocks
    (picture,) = (
        Sheet([patch], datetime.fromisoformat("2026-10-25T02:30:00+01:00")).pictures(timedelta(seconds=0.5)) or ()
    )
    assert picture == face.draw(datetime(2026, 10, 25, 1, 30, tzinfo=UTC)).tobytes()
    assert len({face.draw(MIDNIGHT + timedelta(seconds=second)).size for second in range(0, 86400, 977)}) == 1


def test_a_sheet_has_a_picture_for_each_second_that_is_begun() -> None:
    sheet = Sheet(Overlay("Gate", clock=True).patches(640, 360), MIDNIGHT - timedelta(seconds=0.5))
    pictures = list(sheet.pictures(timedelta(seconds=2)) or ())
    assert len(pictures) == 3
    assert len(set(pictures)) == 3
    still = Sheet(Overlay("Gate", watermark="wm").patches(640, 360), MIDNIGHT)
    assert len(list(still.pictures(timedelta(hours=24)) or ())) == 1
    assert Sheet([], MIDNIGHT).pictures(timedelta(seconds=2)) is None
