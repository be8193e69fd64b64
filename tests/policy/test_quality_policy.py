"""Which days a check looks at."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelkeeper.model import TimeRange
from reelkeeper.policy.quality import EXPECTATIONS, Name, Suite, days_looked_at, days_of, named

DAY = timedelta(days=1)
NOW = datetime(2026, 3, 10, 6, tzinfo=UTC)


def test_the_last_days_and_what_is_dated_later() -> None:
    days = days_looked_at(NOW, window_days=2, cycle_days=30, oldest=None)
    assert [day.start.day for day in days[:-1]] == [8, 9, 10]
    assert all(day.duration == DAY for day in days[:-1])
    assert (days[-1].start, days[-1].end.year) == (datetime(2026, 3, 11, tzinfo=UTC), 9999)


def test_a_day_of_the_older_ones() -> None:
    oldest = datetime(2026, 3, 1, 23, tzinfo=UTC)
    days = days_looked_at(NOW, window_days=2, cycle_days=4, oldest=oldest)
    assert [day.start.day for day in days[:-1]] == [2, 6, 8, 9, 10]
    days = days_looked_at(NOW + DAY, window_days=2, cycle_days=4, oldest=oldest)
    assert [day.start.day for day in days[:-1]] == [3, 7, 9, 10, 11]


@given(
    age=st.integers(0, 500), window=st.integers(1, 20), cycle=st.integers(1, 30),
    now=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC)),  # noqa: DTZ001
)  # fmt: skip
def test_every_day_has_its_turn_in_a_cycle(age: int, window: int, cycle: int, now: datetime) -> None:
    oldest = now - age * DAY
    seen: set[datetime] = set()
    for day in range(cycle):
        ranges = days_looked_at(now + day * DAY, window_days=window, cycle_days=cycle, oldest=oldest)
        starts = [each.start for each in ranges]
        assert starts == sorted(set(starts))  # none twice
        assert all(one.end <= other.start for one, other in pairwise(ranges))
        assert len(ranges) <= window + 2 + age // cycle + 1
        seen.update(starts)
    first = datetime(oldest.year, oldest.month, oldest.day, tzinfo=UTC)
    today = datetime(now.year, now.month, now.day, tzinfo=UTC)
    assert seen >= {first + number * DAY for number in range((today - first).days + 1)}


def test_a_range_is_cut_at_midnight() -> None:
    start, end = datetime(2026, 3, 1, 6, tzinfo=UTC), datetime(2026, 3, 3, 0, tzinfo=UTC)
    assert days_of(TimeRange(start, end)) == [
        TimeRange(start, datetime(2026, 3, 2, tzinfo=UTC)), TimeRange(datetime(2026, 3, 2, tzinfo=UTC), end)
    ]  # fmt: skip
    assert days_of(TimeRange(start, start + timedelta(hours=1))) == [TimeRange(start, start + timedelta(hours=1))]


def test_suites_by_name() -> None:
    assert named([]) == tuple(Suite)
    assert named(["stores"]) == (Suite.STORES,)
    with pytest.raises(ValueError, match="shops"):
        named(["shops"])


def test_each_name_is_an_expectation_and_once() -> None:
    assert sorted(each.name for each in EXPECTATIONS) == sorted(Name)
