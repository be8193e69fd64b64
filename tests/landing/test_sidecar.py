"""A sidecar is checked before it is believed."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reelkeeper.errors import InvalidFootage
from reelkeeper.landing.sidecar import parse_sidecar

GOOD = {
    "camera_id": "gate", "start_time": "2026-03-01T00:00:00Z", "end_time": "2026-03-01T00:01:00Z",
    "file_path": "C:\\records\\a.mp4", "size_bytes": 1000, "duration_seconds": 60, "codec": "h264",
}  # fmt: skip


def test_all_fields() -> None:
    sidecar = parse_sidecar(json.dumps(GOOD).encode(), name="a.mp4.json")
    assert (sidecar.camera_id, sidecar.start_time) == ("gate", datetime(2026, 3, 1, tzinfo=UTC))
    assert sidecar.duration == timedelta(minutes=1)
    sidecar.check_file("a.mp4", 1000)
    assert parse_sidecar(b"{}", name="a.mp4.json").duration is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"start_time": "2026-03-01T00:00:00"}, "start_time"),
        ({"start_time": 1772323200}, "start_time"),
        ({"end_time": "2026-02-01T00:00:00Z"}, "'end_time' is not after 'start_time'"),
        ({"start_time": None}, "'end_time' without 'start_time'"),
        ({"duration_seconds": 90}, "60.0 s apart"),
        ({"duration_seconds": -1}, "duration_seconds"),
        ({"start_time": None, "end_time": None, "duration_seconds": 1e300}, "duration_seconds"),
        ({"start_time": "0001-01-01T00:00:00+23:00"}, "outside the years"),
        ({"size_bytes": "many"}, "size_bytes"),
        ({"camera_id": "  "}, "camera_id"),
        ({"camera_id": "a\x00b"}, "camera_id"),
    ],
)
def test_wrong_fields_are_named(change: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidFootage, match=r"sidecar 'a.mp4.json' is wrong") as error:
        parse_sidecar(json.dumps(GOOD | change).encode(), name="a.mp4.json")
    assert told in str(error.value)
    assert error.value.code == "bad_sidecar"


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b" " * (2**20 + 1), b'{"camera_id": "\\ud800"}']
)
def test_what_is_no_sidecar(data: bytes) -> None:
    with pytest.raises(InvalidFootage) as error:
        parse_sidecar(data, name="a.mp4.json")
    assert error.value.code == "bad_sidecar"


@pytest.mark.parametrize(
    ("name", "size_bytes", "code"),
    [("b.mp4", 1000, "bad_sidecar"), ("a.mp4", 999, "truncated"), ("a.mp4", 1001, "bad_sidecar")],
)
def test_it_must_tell_of_this_file(name: str, size_bytes: int, code: str) -> None:
    with pytest.raises(InvalidFootage) as error:
        parse_sidecar(json.dumps(GOOD).encode(), name="a.mp4.json").check_file(name, size_bytes)
    assert error.value.code == code
