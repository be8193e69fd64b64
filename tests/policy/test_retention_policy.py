"""Retention as a decision: whatever the facts, the last good copy of what is owed stays, and a lock always wins."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelkeeper.model import CameraId, ReplicaState, SegmentId, StoreName, Tenant, TimeRange, media_key, quarantine_key
from reelkeeper.policy.retention import (
    Copy,
    Footage,
    Lock,
    Reason,
    Ruling,
    covers,
    footage_named,
    may_delete,
    may_delete_stranger,
)

START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CAMERAS = [CameraId(UUID(int=number)) for number in range(3)]
SEGMENTS = [SegmentId(UUID(int=10 + number)) for number in range(3)]
RANGE = TimeRange(START, START + MINUTE)

moments = st.integers(-5, 5).map(lambda minutes: START + minutes * MINUTE / 2)
locks = st.builds(
    Lock,
    st.sampled_from(["legal_hold", "export"]),
    st.just("case"),
    st.none() | st.sampled_from(CAMERAS),
    st.none() | st.sampled_from(SEGMENTS),
    st.none() | moments,
    st.none() | moments,
)
copies = st.lists(
    st.builds(
        Copy, st.sampled_from([StoreName("a"), StoreName("b")]), st.sampled_from(ReplicaState), st.booleans(),
        st.sampled_from([None, True, False]),
    ),
    max_size=3,
)  # fmt: skip
footage = st.builds(
    Footage, st.sampled_from(SEGMENTS), st.sampled_from(CAMERAS), st.just(RANGE),
    st.integers(1, 100).map(lambda days: timedelta(days=days)), st.booleans(),
)  # fmt: skip
nows = st.integers(0, 200).map(lambda days: RANGE.end + timedelta(days=days))


@given(reason=st.sampled_from(Reason), kept=footage, others=copies, held=st.lists(locks, max_size=3), now=nows)
def test_the_last_good_copy_of_what_is_owed_is_never_deleted(reason, kept, others, held, now) -> None:
    verdict = may_delete(reason, kept, others, held, now=now)
    good = [copy for copy in others if copy.state is ReplicaState.AVAILABLE and copy.is_verified and copy.seen]
    if verdict.ruling is Ruling.DELETE:
        assert good or (reason in (Reason.EXPIRED, Reason.THUMBNAIL) and not kept.is_owed(now))
        assert not any(covers(lock, kept.camera_id, kept.segment_id, kept.time_range) for lock in held)
        assert not kept.transfer_under_way
        assert reason not in (Reason.EXPIRED, Reason.THUMBNAIL) or not kept.is_owed(now)
    assert verdict.why


@given(kept=footage, others=copies, now=nows)
def test_expired_means_that_the_retention_is_over_counted_from_the_end(kept, others, now) -> None:
    verdict = may_delete(Reason.EXPIRED, kept, others, [], now=now)
    is_over = now >= kept.time_range.end + kept.retention
    assert (verdict.ruling is Ruling.DELETE) == (is_over and not kept.transfer_under_way)


def test_what_has_just_come_in_is_kept_for_some_days_but_not_longer_than_its_retention() -> None:
    came = START + timedelta(days=1000)
    for retention, expected in ((90, 7), (3, 3)):
        kept = Footage(SEGMENTS[0], CAMERAS[0], RANGE, timedelta(days=retention), False, came, timedelta(days=7))
        assert kept.owed_until == came + timedelta(days=expected)
    fresh = Footage(SEGMENTS[0], CAMERAS[0], RANGE, timedelta(days=90), False, RANGE.end, timedelta(days=7))
    assert fresh.owed_until == RANGE.end + timedelta(days=90)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, True),
        (RANGE.end, None, False),  # half-open on both sides
        (RANGE.end - timedelta(microseconds=1), None, True),
        (None, RANGE.start, False),
        (None, RANGE.start + timedelta(microseconds=1), True),
        (RANGE.start - MINUTE, RANGE.end + MINUTE, True),
    ],
)
def test_a_lock_covers_what_shares_an_instant_with_its_range(start, end, expected: bool) -> None:
    lock = Lock("legal_hold", "case", CAMERAS[0], None, start, end)
    assert covers(lock, CAMERAS[0], SEGMENTS[0], RANGE) is expected
    assert not covers(lock, CAMERAS[1], SEGMENTS[0], RANGE)


def test_a_key_tells_its_footage_wherever_the_object_lies() -> None:
    key = media_key(Tenant("acme"), "gate", START, SEGMENTS[0], "mp4")
    for path in (key, quarantine_key(key), f"cool/{key}", "thumbnails/" + key.removeprefix("media/")[:-3] + "jpg"):
        named = footage_named(path)
        assert named is not None
        assert (named.tenant, named.camera_slug, named.segment_id) == ("acme", "gate", SEGMENTS[0])
        assert named.time_range.start == START
    for path in ("media/acme/gate/odd.mp4", "media/a/b/2026/13/41/20261341T000000Z_" + str(SEGMENTS[0]) + ".mp4", "x"):
        assert footage_named(path) is None


@given(held=st.lists(locks, max_size=3), camera=st.none() | st.sampled_from(CAMERAS))
def test_an_object_that_nothing_knows_is_held_by_what_its_key_names(held, camera) -> None:
    named = footage_named(media_key(Tenant("acme"), "gate", START, SEGMENTS[0], "mp4"))
    assert named is not None
    verdict = may_delete_stranger(named, camera, held)
    if camera is not None:
        covered = any(covers(lock, camera, named.segment_id, named.time_range) for lock in held)
        assert (verdict.ruling is Ruling.SPARE) == covered
    if may_delete_stranger(None, None, held).ruling is Ruling.DELETE:
        assert not any(lock.camera_id is None and lock.segment_id is None for lock in held)
