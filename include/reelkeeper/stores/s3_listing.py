"""What is in a bucket of the S3 protocol, page by page, by way of boto3's client.

A page that fails transiently is asked for again: a listing of millions would otherwise start anew for one lost answer.
The server's own mark says where to go on, so that no order of keys is assumed. Of the time that boto3 takes for a page,
most goes into the times of the objects: they are put before it as numbers.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from reelkeeper.errors import StoreUnavailable
from reelkeeper.model import Key
from reelkeeper.stores.protocols import ObjectStat, Upload
from reelkeeper.stores.retry import retrying
from reelkeeper.stores.s3_errors import boto3_errors

_OBJECT_MARKS = {"ContinuationToken": "NextContinuationToken"}
_UPLOAD_MARKS = {"KeyMarker": "NextKeyMarker", "UploadIdMarker": "NextUploadIdMarker"}
"""What a request says to go on, and where the page before told it. A server gives back one mark or both."""
_TIMES = re.compile(rb"(?<=<LastModified>)[^<]+(?=</LastModified>)")


def list_objects(client: Any, store: str, bucket: str, prefix: str, page_size: int) -> Iterator[ObjectStat]:
    """Every object whose key starts with `prefix`."""

    def fetch(marks: Mapping[str, str]) -> Mapping[str, Any]:
        with boto3_errors(store, f"list {prefix!r}"):  # boto3 asks for encoded keys, and decodes them
            page: Mapping[str, Any] = client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=page_size, **marks)
        return page

    client.meta.events.register("before-parse.s3.ListObjectsV2", _times_as_numbers, unique_id="reelkeeper-times")
    for page in _pages(store, fetch, _OBJECT_MARKS):
        for found in page.get("Contents", ()):
            yield ObjectStat(
                Key(found["Key"]),
                found["Size"],
                found["LastModified"].astimezone(UTC),
                found.get("StorageClass", "STANDARD"),
            )


def list_uploads(client: Any, store: str, bucket: str, page_size: int) -> Iterator[Upload]:
    """Every multipart upload that was begun and neither completed nor aborted."""

    def fetch(marks: Mapping[str, str]) -> Mapping[str, Any]:
        with boto3_errors(store, "list multipart uploads"):
            # Not URL-encoded: there are servers that then say so without doing so.
            page: Mapping[str, Any] = client.list_multipart_uploads(Bucket=bucket, MaxUploads=page_size, **marks)
        return page

    for page in _pages(store, fetch, _UPLOAD_MARKS):
        for found in page.get("Uploads", ()):
            yield Upload(found["Key"], found["UploadId"], found["Initiated"].astimezone(UTC))


def _times_as_numbers(response_dict: dict[str, Any], **_: object) -> None:
    """Write the times in a page as seconds since 1970, which botocore reads much more quickly than ISO 8601, as a
    date of any form. What is none of that form stays as it is."""
    body = response_dict["body"]
    if isinstance(body, bytes):
        response_dict["body"] = _TIMES.sub(_as_number, body)


def _as_number(found: re.Match[bytes]) -> bytes:
    try:
        moment = datetime.fromisoformat(found[0].decode())
    except ValueError:
        return found[0]
    return repr(moment.timestamp()).encode() if moment.tzinfo else found[0]


def _pages(
    store: str, fetch: Callable[[Mapping[str, str]], Mapping[str, Any]], marks: Mapping[str, str]
) -> Iterator[Mapping[str, Any]]:
    given: Mapping[str, str] = {}
    while True:
        page = retrying()(fetch, given)
        yield page
        if not page.get("IsTruncated"):
            return
        told = {mark: page[where] for mark, where in marks.items() if page.get(where)}
        if not told or told == given:  # neither an end nor a way on: what was listed is not all
            raise StoreUnavailable(f"store {store!r} says that its listing goes on, and not where")
        given = told
