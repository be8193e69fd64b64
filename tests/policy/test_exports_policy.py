"""A request for an export is checked whole: each field that is wrong is told, with its value and what was expected."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelkeeper.errors import RequestRefused
from reelkeeper.policy.exports import ExportLimits, read_request, watermark_id

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LIMITS = ExportLimits()
USUAL: dict[str, Any] = {
    "camera_ids": ["gate", "yard"], "start_time": "2026-11-21T10:00:00Z", "end_time": "2026-11-21T10:05:00Z",
    "reason": "incident 42", "created_by": "ann",
}  # fmt: skip


def read(**fields: Any) -> Any:
    return read_request(USUAL | fields, limits=LIMITS, now=NOW)


def problems(**fields: Any) -> tuple[str, ...]:
    with pytest.raises(RequestRefused) as refused:
        read(**fields)
    return refused.value.problems


def test_what_is_left_out_is_as_usual() -> None:
    request = read(format=None, watermark=None, expiry_days=None, quality="")
    assert (request.format, request.quality, request.layout, request.gaps) == ("mp4", "original", "separate", "join")
    assert (request.watermark, request.is_composed) == (None, False)
    assert request.expires_in == timedelta(days=7)


def test_a_watermark_without_a_text_names_who_asked() -> None:
    assert read(watermark=True).watermark == "exported by ann"
    assert read(watermark=True, watermark_text=" for the court ").watermark == "for the court"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"camera_ids": []}, "camera_ids is []: expected 1 to 16 cameras"),
        ({"camera_ids": None}, "camera_ids is None: expected names or ids of cameras"),
        ({"camera_ids": ["gate", "gate"]}, "camera_ids is ['gate', 'gate']: expected each camera once"),
        ({"camera_ids": [f"c{n}" for n in range(17)]}, "expected 1 to 16 cameras"),
        ({"start_time": "2026-11-21T10:00:00"}, "start_time is '2026-11-21T10:00:00': expected an ISO 8601 time with"),
        ({"start_time": "yesterday"}, "start_time is 'yesterday': expected an ISO 8601 time with a zone"),
        ({"end_time": None}, "end_time is None: expected an ISO 8601 time with a zone"),
        ({"end_time": "2026-11-21T09:00:00Z"}, "end_time is '2026-11-21T09:00:00Z': expected a time after start_time"),
        ({"end_time": "2026-11-21T10:00:00Z"}, "expected a time after start_time"),
        ({"end_time": "2026-11-21T12:00:01Z"}, "expected a time that is not after now, 2026-11-21T12:00:00+00:00"),
        ({"start_time": "2026-11-01T10:00:00Z"}, "expected a range of at most 3 days, 0:00:00"),
        ({"format": "avi"}, "format is 'avi': expected one of ['mp4', 'mkv', 'ts', 'zip']"),
        ({"quality": "4k"}, "quality is '4k': expected one of"),
        ({"layout": "grid"}, "layout is 'grid': expected one of"),
        ({"gaps": "keep"}, "gaps is 'keep': expected one of ['join', 'black']"),
        ({"format": "zip", "layout": "mosaic"}, "format is 'zip': expected 'separate' as layout"),
        ({"packaging": "hls_dash"}, "packaging is 'hls_dash': expected 'none' for several files"),
        ({"ladder": True}, "ladder is True: expected false without packaging"),
        ({"watermark": "yes"}, "watermark is 'yes': expected true or false"),
        ({"watermark_text": "x"}, "watermark_text is 'x': expected none without a watermark"),
        ({"watermark": True, "watermark_text": "a\x00b"}, "without control characters"),
        ({"watermark": True, "watermark_text": "x" * 121}, "at most 120 characters"),
        ({"reason": " "}, "reason is ' ': expected a text"),
        ({"reason": None}, "reason is None: expected a text"),
        ({"created_by": ""}, "created_by is '': expected a text"),
        ({"expiry_days": 0}, "expiry_days is 0: expected a whole number of days from 1 to 365"),
        ({"expiry_days": True}, "expiry_days is True: expected"),
        ({"ip_address": "localhost"}, "ip_address is 'localhost': expected an IP address"),
    ],
)
def test_what_is_wrong_is_told(fields: dict[str, Any], told: str) -> None:
    [problem] = problems(**fields)
    assert told in problem


def test_all_that_is_wrong_is_told_at_once() -> None:
    found = problems(format="avi", reason="", end_time="2026-11-21T09:00:00Z", camera_ids=[])
    assert [problem.split()[0] for problem in found] == ["camera_ids", "end_time", "format", "reason"]


def test_a_range_over_a_night_in_which_the_clocks_go_back_has_its_hour_twice() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    start = datetime(2026, 10, 25, 1, tzinfo=berlin)
    end = datetime(2026, 10, 25, 4, tzinfo=berlin)
    assert read(start_time=start, end_time=end).time_range.duration == timedelta(hours=4)
    again = read(start_time="2026-10-25T02:30:00+02:00", end_time="2026-10-25T02:30:00+01:00")
    assert again.time_range.duration == timedelta(hours=1)


@given(
    st.dictionaries(
        st.sampled_from([*USUAL, "format", "quality", "layout", "gaps", "watermark", "watermark_text", "burn_in_time",
                         "packaging", "ladder", "expiry_days", "ip_address", "user_agent"]),
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text() | st.integers(), max_size=3)
        | st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5))])),
    )
)  # fmt: skip
def test_any_request_is_read_or_refused(fields: dict[str, Any]) -> None:
    request, told = None, ()
    try:
        request = read(**fields)
    except RequestRefused as error:
        told = error.problems
    assert (request is None) == bool(told)
    assert [problem for problem in told if ": expected " not in problem] == []
    if request is not None:
        assert timedelta(0) < request.time_range.duration <= LIMITS.duration
        assert request.time_range.end <= NOW
        assert request.reason
        assert request.created_by


def test_a_watermark_leads_to_its_export() -> None:
    export = UUID("7f8bbd14-8e0b-4b4e-9a77-6a9b0d0f7a11")
    assert watermark_id(export) == watermark_id(export) != watermark_id(uuid4())
    assert len(watermark_id(export)) == 9
