"""Times in names become instants in UTC; where local time names two or none, only a witness decides."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelkeeper.errors import InvalidFootage
from reelkeeper.landing.stamps import Stamp, parse_stamp

BERLIN, NEW_YORK, LORD_HOWE = (ZoneInfo(n) for n in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe"))
ZONES = st.sampled_from([ZoneInfo("UTC"), BERLIN, NEW_YORK, LORD_HOWE])
MOMENTS = st.integers(631152000 * 10**6, 4102444800 * 10**6).map(
    lambda microseconds: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
)
HOUR = timedelta(hours=1)


def parsed(text: str, zone: ZoneInfo = BERLIN) -> Stamp:
    stamp = parse_stamp(text, zone)
    assert stamp is not None
    return stamp


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("20260330T023000Z", datetime(2026, 3, 30, 2, 30, tzinfo=UTC)),
        ("2026-03-30T02:30:00Z", datetime(2026, 3, 30, 2, 30, tzinfo=UTC)),
        ("2026-03-30T02-30-00Z", datetime(2026, 3, 30, 2, 30, tzinfo=UTC)),
        ("2026-03-30_02.30.00.25Z", datetime(2026, 3, 30, 2, 30, 0, 250000, tzinfo=UTC)),
        ("20260330T023000,000001Z", datetime(2026, 3, 30, 2, 30, 0, 1, tzinfo=UTC)),
        ("2026-03-30T02:30:00+02:00", datetime(2026, 3, 30, 0, 30, tzinfo=UTC)),
        ("2026-03-30T02-30-00-05-00", datetime(2026, 3, 30, 7, 30, tzinfo=UTC)),
        ("20260330T023000-0500", datetime(2026, 3, 30, 7, 30, tzinfo=UTC)),
        ("20260330T023000+0545", datetime(2026, 3, 29, 20, 45, tzinfo=UTC)),
        ("20260330023000", datetime(2026, 3, 30, 0, 30, tzinfo=UTC)),
        ("20260130 023000", datetime(2026, 1, 30, 1, 30, tzinfo=UTC)),
    ],
)
def test_stamps(text: str, instant: datetime) -> None:
    assert parsed(text).instants == (instant,)


@pytest.mark.parametrize(
    "text", ["", "2026-13-01T00-00-00", "20260230T000000", "20260101T250000", "20260101T006000", "00000101T000000",
             "20260101T000000-0001", "2026-01-01", "20260101T0000"],
)  # fmt: skip
def test_what_is_no_stamp(text: str) -> None:
    assert parse_stamp(text, BERLIN) is None


@given(moment=MOMENTS, zone=ZONES)
def test_with_an_offset_every_instant_survives(moment: datetime, zone: ZoneInfo) -> None:
    local = moment.astimezone(zone)
    for text in (moment.isoformat().replace("+00:00", "Z"), local.isoformat(), moment.isoformat().replace(":", "-")):
        assert parsed(text, zone).instants == (moment,)


@given(moment=MOMENTS, zone=ZONES)
def test_without_an_offset_no_instant_is_lost(moment: datetime, zone: ZoneInfo) -> None:
    """Whatever a recorder in the zone writes, its instant is among those that the stamp may mean."""
    stamp = parsed(moment.astimezone(zone).replace(tzinfo=None).isoformat(), zone)
    assert moment in stamp.instants
    assert (stamp.doubt is None) == (len(stamp.instants) == 1)
    assert stamp.doubt != "nonexistent_time"
    length = timedelta(minutes=5)
    assert stamp.resolve(duration=length, modified_at=moment + length) == moment


@pytest.mark.parametrize(
    ("zone", "twice", "never", "shift"),
    [
        (BERLIN, "2026-10-25T02:30:00", "2026-03-29T02:30:00", HOUR),
        (NEW_YORK, "2026-11-01T01:30:00", "2026-03-08T02:30:00", HOUR),
        (LORD_HOWE, "2026-04-05T01:45:00", "2026-10-04T02:15:00", HOUR / 2),
    ],
)
def test_both_transitions(zone: ZoneInfo, twice: str, never: str, shift: timedelta) -> None:
    for text, doubt in ((twice, "ambiguous_time"), (never, "nonexistent_time")):
        stamp = parsed(text, zone)
        first, second = stamp.instants
        assert (stamp.doubt, second - first) == (doubt, shift)
        length = timedelta(minutes=10)
        for instant in stamp.instants:  # each of the two hours' files finds its own
            assert stamp.resolve(duration=length, modified_at=instant + length) == instant
        for unhelpful in (datetime(2030, 1, 1, tzinfo=UTC), first + length + timedelta(minutes=3)):
            with pytest.raises(InvalidFootage, match=r"expected a sidecar or a name with an offset") as error:
                stamp.resolve(duration=length, modified_at=unhelpful)
            assert error.value.code == doubt


@pytest.mark.parametrize(
    ("zone", "before", "after"),
    [
        (BERLIN, "2026-10-25T01:59:50", "2026-10-25T03:00:00"),
        (NEW_YORK, "2026-11-01T00:59:50", "2026-11-01T02:00:00"),
        (BERLIN, "2026-03-29T01:59:50", "2026-03-29T03:00:00"),
        (NEW_YORK, "2026-03-08T01:59:50", "2026-03-08T03:00:00"),
    ],
)
def test_the_edges_of_a_transition_are_not_in_doubt(zone: ZoneInfo, before: str, after: str) -> None:
    first, second = parsed(before, zone), parsed(after, zone)
    assert first.doubt is second.doubt is None
    gap = second.instants[0] - first.instants[0]
    assert gap == (timedelta(seconds=10) if "-03-" in before else 2 * HOUR + timedelta(seconds=10))
