"""The rollout is sticky: what a percentage sends is a subset of what any larger one sends, and 1 % means 1 %."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelkeeper.errors import ConfigurationError
from reelkeeper.model import SegmentId, Tenant, camera_id, segment_id
from reelkeeper.policy.rollout import BUCKETS, Percentage, rollout_bucket, wants_cloud

segments = st.uuids().map(SegmentId)
percentages = st.integers(0, BUCKETS).map(Percentage)


def wanted(ids: list[SegmentId], percentage: Percentage) -> set[SegmentId]:
    return {segment for segment in ids if wants_cloud(rollout_bucket(segment), percentage)}


@given(ids=st.lists(segments, max_size=50), ramp=st.lists(percentages, min_size=2, max_size=6))
def test_a_ramp_up_down_and_up_again_gives_nested_sets(ids: list[SegmentId], ramp: list[Percentage]) -> None:
    for first, second in pairwise(ramp):
        smaller, larger = sorted((first, second))
        assert wanted(ids, smaller) <= wanted(ids, larger)


@given(segment=segments)
def test_none_and_all(segment: SegmentId) -> None:
    bucket = rollout_bucket(segment)
    assert 0 <= bucket < BUCKETS
    assert not wants_cloud(bucket, Percentage.of(0))
    assert wants_cloud(bucket, Percentage.of(100))


@pytest.mark.parametrize(("percentage", "share"), [(1, 0.01), (10, 0.1), (25, 0.25), (50, 0.5), ("0.5", 0.005)])
def test_percent_means_percent(percentage: object, share: float) -> None:
    """Of the segments of one camera, whose ids follow one another in time."""
    camera, start, number = camera_id(Tenant("default"), "gate"), datetime(2026, 1, 1, tzinfo=UTC), 40_000
    ids = [segment_id(camera, start + timedelta(seconds=10 * index)) for index in range(number)]
    spread = 5 * (number * share * (1 - share)) ** 0.5
    assert len(wanted(ids, Percentage.of(percentage))) == pytest.approx(number * share, abs=spread)


def test_buckets_never_change() -> None:
    """These are in every estate's catalogue: another hash would send other footage."""
    assert [rollout_bucket(SegmentId(UUID(int=number))) for number in range(4)] == [4069, 1211, 2232, 710]


@pytest.mark.parametrize("value", [-1, 100.01, 101, "abc", None, True, float("nan"), float("inf"), 0.001, "1 %", ""])
def test_what_is_no_percentage(value: object) -> None:
    with pytest.raises(ConfigurationError, match=r"S3_SPLIT is .*: expected a number from 0 to 100"):
        Percentage.of(value, name="S3_SPLIT")


@pytest.mark.parametrize(
    ("value", "buckets", "text"),
    [(1, 100, "1 %"), (0.5, 50, "0.5 %"), ("12.34", 1234, "12.34 %"), (100, 10_000, "100 %")],
)
def test_percentages_read_and_print(value: object, buckets: int, text: str) -> None:
    assert Percentage.of(value) == Percentage(buckets)
    assert str(Percentage.of(value)) == text
