"""What Google Cloud Storage, or an emulator in its place, really checks: tried under temp/, and cleaned up again."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from google.api_core.exceptions import BadRequest, GoogleAPICallError, PreconditionFailed

_DATA = b"reelkeeper was here\n"
_WRONG_CRC32C = "AAAAAA=="


def refuses_to_overwrite(bucket: Any, how: Mapping[str, Any]) -> bool:
    """Whether a write that must not overwrite is refused where an object is. The client's errors pass through."""
    with _trial(bucket, how) as blob:
        blob.upload_from_string(_DATA, if_generation_match=0, **how)
        try:
            bucket.blob(blob.name).upload_from_string(_DATA, if_generation_match=0, **how)
        except PreconditionFailed:
            return True
        return False


def refuses_wrong_checksums(bucket: Any, how: Mapping[str, Any]) -> bool:
    """Whether a write with a wrong CRC32C, and only such a one, is refused. The client's errors pass through."""
    with _trial(bucket, how) as blob:
        blob.upload_from_string(_DATA, checksum="crc32c", **how)
        wrong = bucket.blob(blob.name)
        wrong.crc32c = _WRONG_CRC32C
        try:
            wrong.upload_from_string(_DATA, checksum=None, **how)
        except BadRequest:
            return True
        return False


@contextmanager
def _trial(bucket: Any, how: Mapping[str, Any]) -> Iterator[Any]:
    blob = bucket.blob(f"temp/trial-{secrets.token_hex(12)}")
    try:
        yield blob
    finally:
        with suppress(GoogleAPICallError):  # what stays falls to the lifecycle rule of temp/
            bucket.blob(blob.name).delete(**how)
