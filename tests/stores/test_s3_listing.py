"""Pages of a bucket's listing, as servers write them."""

from datetime import UTC, datetime
from typing import Any

import boto3
import botocore.utils
import pytest
from botocore.awsrequest import AWSResponse

from reelkeeper.stores.s3_listing import list_objects

PAGE = """<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><IsTruncated>false</IsTruncated>
<EncodingType>url</EncodingType>{}</ListBucketResult>"""
OBJECT = """<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>&quot;0&quot;</ETag><Size>7</Size></Contents>"""


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> list[bytes]:
        return [self._body]


def listed(*objects: tuple[str, str]) -> list[tuple[str, int, datetime]]:
    """What a listing makes of these keys and times."""
    client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    body = PAGE.format("".join(OBJECT.format(*one) for one in objects)).encode()

    def answer(**_: Any) -> AWSResponse:
        return AWSResponse("http://there", 200, {}, _Raw(body))  # type: ignore[arg-type]

    client.meta.events.register("before-send.s3.ListObjectsV2", answer)
    return [
        (found.key, found.size_bytes, found.last_modified) for found in list_objects(client, "cloud", "b", "", 1000)
    ]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T10:00:00.123Z", datetime(2026, 3, 1, 10, 0, 0, 123000, tzinfo=UTC)),
        ("2026-03-01T10:00:00Z", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("2026-03-01T10:00:00.999999Z", datetime(2026, 3, 1, 10, 0, 0, 999999, tzinfo=UTC)),
        ("2026-03-01T12:00:00+02:00", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("1969-12-31T23:59:59Z", datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_times_are_read_without_guessing(monkeypatch: pytest.MonkeyPatch, text: str, moment: datetime) -> None:
    monkeypatch.setattr(botocore.utils.dateutil.parser, "parse", None)  # which takes a twentieth of a millisecond each
    assert listed(("a", text), ("b", text)) == [("a", 7, moment), ("b", 7, moment)]


def test_times_of_another_form_are_left_to_boto3() -> None:
    assert listed(("a", "Sun, 01 Mar 2026 10:00:00 GMT")) == [("a", 7, datetime(2026, 3, 1, 10, tzinfo=UTC))]


def test_keys_stay_as_they_are() -> None:
    key = "%3CLastModified%3E2026-03-01T10:00:00Z%3C/LastModified%3E%20a%2B%25"
    (found,) = listed((key, "2026-03-01T10:00:00Z"))
    assert found[0] == "<LastModified>2026-03-01T10:00:00Z</LastModified> a+%"
