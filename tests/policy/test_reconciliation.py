"""When an orphan is ripe, when a store is sick, and what a key names."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelkeeper.model import SegmentId, Tenant, media_key, thumbnail_key
from reelkeeper.policy.reconciliation import OrphanTerms, is_our_key, is_ripe, is_sick, own_prefixes, segment_named

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TERMS = OrphanTerms(sightings=2, min_age=timedelta(hours=24))


@given(sightings=st.integers(0, 5), age=st.timedeltas(timedelta(days=-400), timedelta(days=400)))
def test_ripe_is_often_seen_and_old(sightings: int, age: timedelta) -> None:
    assert is_ripe(sightings, NOW - age, NOW, TERMS) == (sightings >= 2 and age >= timedelta(hours=24))


@given(
    sightings=st.integers(2, 5),
    age=st.timedeltas(timedelta(0), timedelta(days=3)),
    wrong_by=st.timedeltas(timedelta(days=-900), timedelta(days=900)),
)
def test_a_clock_that_is_wrong_for_both_changes_nothing(sightings: int, age: timedelta, wrong_by: timedelta) -> None:
    assert is_ripe(sightings, NOW - age, NOW, TERMS) == is_ripe(sightings, NOW - age + wrong_by, NOW + wrong_by, TERMS)


@pytest.mark.parametrize(
    ("absent", "replicas", "sick"),
    [(99, 99, False), (100, 2000, True), (100, 2001, False), (101, 2001, True), (1000, 1000, True), (0, 0, False)],
)
def test_sick_is_many_and_a_large_share(absent: int, replicas: int, sick: bool) -> None:
    assert is_sick(absent, replicas, count=100, ratio=0.05) == sick


@given(replicas=st.integers(1, 10**7), count=st.integers(1, 1000), ratio=st.floats(0.001, 1))
def test_a_store_that_lacks_all_is_sick_from_the_count_on(replicas: int, count: int, ratio: float) -> None:
    assert is_sick(replicas, replicas, count=count, ratio=ratio) == (replicas >= count)


def test_our_keys_name_their_segment() -> None:
    identity = SegmentId(uuid4())
    key = media_key(Tenant("acme"), "gate", NOW, identity, "mp4")
    for path in (key, f"cool/{key}", f"quarantine/{key}", thumbnail_key(key)):
        assert segment_named(path) == identity
    for path in ("media/a.mp4", f"media/{identity}.mp4", f"media/_{identity}", f"{key}/", key.upper()):
        assert segment_named(path) is None


def test_what_is_ours() -> None:
    assert own_prefixes([]) == ("media/", "thumbnails/")
    assert own_prefixes(["cool/", "cold/", "cool/"]) == ("media/", "thumbnails/", "cold/media/", "cool/media/")


def test_our_keys_have_the_form_of_ours() -> None:
    key = media_key(Tenant("acme"), "gate", NOW, SegmentId(uuid4()), "mp4")
    prefixes = own_prefixes(["cool/"])
    assert all(is_our_key(path, prefixes) for path in (key, f"cool/{key}", thumbnail_key(key)))
    for path in (f"cold/{key}", f"media/{key}", f"{key}.part", key.upper(), "media/a.mp4", key.replace("/03/", "/04/")):
        assert not is_our_key(path, prefixes)
