"""Which classes are restored, how fast they can be, and when to look again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelkeeper.errors import ConfigurationError
from reelkeeper.policy.prices import load_prices, shipped_prices
from reelkeeper.policy.restoration import SPEEDS, USUAL_TIMES, needs_restore, next_look, speed_for, usual_time

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def test_the_classes_and_speeds_are_those_that_have_prices() -> None:
    prices = load_prices(shipped_prices())
    restored = {
        name: set(price.retrieval) for lists in prices.values() for name, price in lists.classes.items()
        if price.must_restore
    }  # fmt: skip
    assert restored == {name: set(speeds) for name, speeds in USUAL_TIMES.items()}
    known = {name for lists in prices.values() for name in lists.classes}
    assert {name for name in known if needs_restore(name)} == set(USUAL_TIMES)
    assert not needs_restore(None)


@pytest.mark.parametrize(
    ("storage_class", "speed", "told"),
    [
        ("GLACIER", "expedited", "1–5 min"),
        ("GLACIER", "standard", "3–5 h"),
        ("GLACIER", "bulk", "5–12 h"),
        ("DEEP_ARCHIVE", "expedited", "12 h"),
        ("DEEP_ARCHIVE", "bulk", "48 h"),
    ],
)
def test_usual_times(storage_class: str, speed: str, told: str) -> None:
    assert str(usual_time(storage_class, speed_for(storage_class, speed))) == told  # type: ignore[arg-type]


def test_a_class_lacks_a_speed() -> None:
    assert speed_for("DEEP_ARCHIVE", "expedited") == "standard"
    with pytest.raises(ConfigurationError, match=r"speed 'expedited' of class 'DEEP_ARCHIVE': expected one of"):
        usual_time("DEEP_ARCHIVE", "expedited")
    with pytest.raises(ConfigurationError, match="'STANDARD' needs no restore"):
        speed_for("STANDARD", "bulk")


@given(
    st.sampled_from([(name, speed) for name, speeds in USUAL_TIMES.items() for speed in speeds]),
    st.floats(min_value=0, max_value=200),
)
def test_looks_are_neither_early_nor_rare_nor_many(restore: tuple[str, str], hours: float) -> None:
    usual = usual_time(restore[0], restore[1])  # type: ignore[arg-type]
    now = NOW + timedelta(hours=hours)
    look = next_look(NOW, NOW + usual.most, now)
    assert look >= now + timedelta(minutes=1)
    assert look >= NOW + usual.most / 2
    assert look <= max(NOW + usual.most / 2, now + timedelta(minutes=30))


def test_speeds_are_in_order() -> None:
    for speeds in USUAL_TIMES.values():
        times = [speeds[speed].most for speed in SPEEDS if speed in speeds]
        assert times == sorted(times)
