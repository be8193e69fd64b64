"""What a server of the S3 protocol really checks, found out by trying it under temp/. Nothing stays behind."""

import secrets
from contextlib import suppress
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store as DataPlane

from reelkeeper.errors import PermanentError, ReelkeeperError, TransferCorrupted
from reelkeeper.stores.s3_errors import boto3_errors, quoted_refusal

_DATA = b"reelkeeper was here\n"
_RIGHT_CRC64NVME = "bhCav4FpBxM="
_WRONG_CRC64NVME = "AAAAAAAAAAA="


def refuses_to_overwrite(data: DataPlane) -> bool:
    """Whether a write that must not overwrite is refused where an object is. obstore's errors pass through."""
    key = f"temp/trial-{secrets.token_hex(12)}"
    try:
        obstore.put(data, key, _DATA, mode="create", use_multipart=False)
        obstore.put(data, key, _DATA, mode="create", use_multipart=False)
    except (AlreadyExistsError, PreconditionError):
        return True
    except BaseError as exc:
        refusal = quoted_refusal(exc)
        if refusal and refusal.status == 501:  # the server knows that it cannot
            return False
        raise
    finally:
        with suppress(BaseError, OSError):
            obstore.delete(data, key)
    return False


def refuses_wrong_checksums(client: Any, store: str, bucket: str) -> bool:
    """Whether the server refuses a wrong CRC64NVME, and only a wrong one, of an object and of a part of one.

    The core's errors when the server does not answer, or denies access to temp/.
    """
    key = f"temp/trial-{secrets.token_hex(12)}"
    upload = None
    try:
        if not _accepts(store, client.put_object, Bucket=bucket, Key=key, ChecksumCRC64NVME=_RIGHT_CRC64NVME):
            return False
        if _accepts(store, client.put_object, Bucket=bucket, Key=f"{key}-wrong", ChecksumCRC64NVME=_WRONG_CRC64NVME):
            return False
        with boto3_errors(store, "try out an upload under temp/"):
            upload = client.create_multipart_upload(Bucket=bucket, Key=key, ChecksumAlgorithm="CRC64NVME")["UploadId"]
        part = {"Bucket": bucket, "Key": key, "UploadId": upload, "PartNumber": 1}
        return _accepts(store, client.upload_part, **part, ChecksumCRC64NVME=_RIGHT_CRC64NVME) and not _accepts(
            store, client.upload_part, **part, ChecksumCRC64NVME=_WRONG_CRC64NVME
        )
    finally:
        _clean_up(client, bucket, [key, f"{key}-wrong"], upload)


def _accepts(store: str, request: Any, **arguments: Any) -> bool:
    """Whether the server takes the request. Refusals for any other reason than what it says are raised."""
    try:
        with boto3_errors(store, "try out a checksum under temp/"):
            request(Body=_DATA, **arguments)
    except ReelkeeperError as exc:
        if type(exc) in (TransferCorrupted, PermanentError):  # a wrong digest, or something not understood
            return False
        raise
    return True


def _clean_up(client: Any, bucket: str, keys: list[str], upload: str | None) -> None:
    """As far as it goes: what stays falls to the lifecycle rules of temp/."""
    from botocore.exceptions import BotoCoreError, ClientError

    with suppress(BotoCoreError, ClientError):
        if upload:
            client.abort_multipart_upload(Bucket=bucket, Key=keys[0], UploadId=upload)
        for key in keys:
            client.delete_object(Bucket=bucket, Key=key)
