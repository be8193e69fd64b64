"""Which days a check looks at."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelkeeper.model import TimeRange
from reelkeeper.policy.quality import EXPECTATIONS, Name, Suite, days_looked_at, is_met, named, parts_of, together

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


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), max_size=12))
def test_ranges_together_hold_the_same_instants_once(spans: list[tuple[int, int]]) -> None:
    ranges = [TimeRange(NOW + first * DAY, NOW + (first + length) * DAY) for first, length in spans]

    def days(of: list[TimeRange]) -> list[datetime]:
        return [each.start + number * DAY for each in of for number in range(each.duration // DAY)]

    joined = together(ranges)
    assert days(joined) == sorted(set(days(ranges)))
    assert all(one.end <= other.start for one, other in pairwise(joined))


def test_no_part_is_longer_than_a_month_of_the_past() -> None:
    january, february = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    march, end = datetime(2026, 3, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
    days = [TimeRange(january + 3 * DAY, january + 4 * DAY), TimeRange(january + 29 * DAY, january + 30 * DAY),
            TimeRange(january + 30 * DAY, january + 31 * DAY), TimeRange(february, end)]  # fmt: skip
    assert parts_of(days, now=NOW) == [
        days[0], TimeRange(january + 29 * DAY, february), TimeRange(february, march), TimeRange(march, end)
    ]  # fmt: skip
    half = TimeRange(datetime(2025, 12, 15, 6, tzinfo=UTC), january)
    assert parts_of([half], now=NOW) == [half]


@given(
    starts=st.lists(st.integers(0, 900), unique=True, max_size=40).map(sorted),
    now=st.integers(0, 900).map(lambda day: datetime(2024, 1, 1, 7, tzinfo=UTC) + day * DAY),
)
def test_parts_leave_nothing_out_and_ask_nothing_twice(starts: list[int], now: datetime) -> None:
    first = datetime(2024, 1, 1, tzinfo=UTC)
    ranges = [TimeRange(first + day * DAY, first + (day + 1) * DAY) for day in starts]
    parts = parts_of(ranges, now=now)
    days = [part.start + number * DAY for part in parts for number in range(part.duration // DAY)]
    assert days == [each.start for each in ranges]
    past = [part for part in parts if part.end <= now]
    assert all((part.end - timedelta.resolution).month == part.start.month for part in past)
    assert all(part.duration <= 31 * DAY for part in past)


@pytest.mark.parametrize(
    ("looked_at", "wrong", "mostly", "met"),
    [(0, 0, 1.0, True), (1, 1, 1.0, False), (1, 1, 0.0, True), (100, 93, 0.07, True), (100, 94, 0.07, False),
     (10**15, 1, 1.0, False), (10**7, 10**6, 0.9, True), (10**7, 10**6 + 1, 0.9, False)],
)  # fmt: skip
def test_what_must_be_right_is_counted_to_the_row(looked_at: int, wrong: int, mostly: float, met: bool) -> None:
    assert is_met(looked_at=looked_at, wrong=wrong, mostly=mostly) is met


def test_suites_by_name() -> None:
    assert named([]) == tuple(Suite)
    assert named(["stores"]) == (Suite.STORES,)
    with pytest.raises(ValueError, match="shops"):
        named(["shops"])


def test_each_name_is_an_expectation_and_once() -> None:
    assert sorted(each.name for each in EXPECTATIONS) == sorted(Name)
