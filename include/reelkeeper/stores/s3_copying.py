"""Copies inside a bucket of the S3 protocol, and moves between its storage classes, by way of boto3's client.

The bytes stay at the server. Above `MOST_AT_ONCE` it copies in parts, and everything that goes with an object (headers,
metadata, tags, locks) is then told anew; so it is for a move between classes, since some servers refuse to copy an
object onto itself unless it is.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from reelkeeper.errors import ConfigurationError, ReelkeeperError, TransferCorrupted
from reelkeeper.model import Key
from reelkeeper.stores.protocols import META_SHA256
from reelkeeper.stores.s3_errors import boto3_errors

MOST_AT_ONCE = 5 * 2**30
"""The most bytes that S3 copies in one request."""
PART_BYTES = 512 * 2**20
_MOST_PARTS = 10_000
_KEPT = (
    "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires", "Metadata",
    "WebsiteRedirectLocation", "ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled", "ObjectLockMode",
    "ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus",
)  # fmt: skip
"""What the answer to a HEAD calls by the name that a request gives it."""


_STANDARD = {"StorageClass": "STANDARD"}
"""What AWS takes where no class is told; other servers keep that of the source."""


def class_of(head: Mapping[str, Any]) -> str:
    """The storage class that the answer to a HEAD tells; it is not sent for the standard one."""
    return str(head.get("StorageClass") or "STANDARD")


def sha256_of(head: Mapping[str, Any]) -> str | None:
    """Our SHA-256 in the answer to a HEAD. Some servers change the case of names."""
    return {name.lower(): value for name, value in head["Metadata"].items()}.get(META_SHA256)


class Copier:
    """Copies inside one bucket. All methods raise the core's errors; `head` is boto3's answer about the source."""

    def __init__(self, client: Any, store: str, bucket: str, *, concurrency: int) -> None:
        self._client = client
        self._store = store
        self._bucket = bucket
        self._concurrency = concurrency

    def copy(self, source: Key, head: Mapping[str, Any], destination: Key, *, refuse: bool) -> None:
        """Metadata comes along; the destination gets the standard class. `refuse`: the server says ObjectExists."""
        condition = {"IfNoneMatch": "*"} if refuse else {}
        what = f"copy {source!r} to {destination!r}"
        if head["ContentLength"] > MOST_AT_ONCE:
            self._copy_parts(source, head, destination, what, _STANDARD, condition)
            return
        with boto3_errors(self._store, what):
            self._client.copy_object(**self._named(source, head, destination), **_STANDARD, **condition)

    def set_class(self, key: Key, head: Mapping[str, Any], storage_class: str) -> None:
        """Copy an object onto itself in another class. It is there with the old one, or with the new one."""
        what = f"move {key!r} to class {storage_class!r}"
        if head["ContentLength"] > MOST_AT_ONCE:
            self._copy_parts(key, head, key, what, {"StorageClass": storage_class}, {})
            return
        with boto3_errors(self._store, what):
            self._client.copy_object(
                **self._named(key, head, key), **_kept(head), MetadataDirective="REPLACE", StorageClass=storage_class
            )

    def _named(self, source: Key, head: Mapping[str, Any], destination: Key) -> dict[str, Any]:
        return {
            "Bucket": self._bucket,
            "Key": destination,
            "CopySource": {"Bucket": self._bucket, "Key": source},
            "CopySourceIfMatch": head["ETag"],  # the very object that was looked at
        }

    def _copy_parts(
        self, source: Key, head: Mapping[str, Any], destination: Key, what: str,
        settings: Mapping[str, str], condition: Mapping[str, str],
    ) -> None:  # fmt: skip
        with boto3_errors(self._store, what):
            target = {"Bucket": self._bucket, "Key": destination}
            settings = {**_kept(head), **self._tags(source, head), **settings}
            target["UploadId"] = self._client.create_multipart_upload(**target, **settings)["UploadId"]
            try:
                parts = self._parts(source, head, destination, target["UploadId"])
                self._client.complete_multipart_upload(**target, MultipartUpload={"Parts": parts}, **condition)
            except BaseException:
                with suppress(ReelkeeperError), boto3_errors(self._store, what):  # else the bucket's rule does
                    self._client.abort_multipart_upload(**target)
                raise

    def _parts(self, source: Key, head: Mapping[str, Any], destination: Key, upload: str) -> list[dict[str, Any]]:
        size = head["ContentLength"]
        part_bytes = max(PART_BYTES, -(-size // _MOST_PARTS))

        def copy_part(number: int) -> dict[str, Any]:
            first = (number - 1) * part_bytes
            answer = self._client.upload_part_copy(
                **self._named(source, head, destination), UploadId=upload, PartNumber=number,
                CopySourceRange=f"bytes={first}-{min(first + part_bytes, size) - 1}",
            )  # fmt: skip
            return {"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]}

        with ThreadPoolExecutor(self._concurrency, thread_name_prefix="copy") as pool:
            return list(pool.map(copy_part, range(1, -(-size // part_bytes) + 1)))

    def _tags(self, source: Key, head: Mapping[str, Any]) -> dict[str, str]:
        if not head.get("TagCount"):
            return {}
        tags = self._client.get_object_tagging(Bucket=self._bucket, Key=source)["TagSet"]
        return {"Tagging": urlencode([(tag["Key"], tag["Value"]) for tag in tags])}


def require_moved(
    store: str, key: Key, before: Mapping[str, Any], after: Mapping[str, Any], storage_class: str
) -> None:
    """Prove a move between classes by what a HEAD told before and after it.

    ConfigurationError when the server took the class and keeps none, TransferCorrupted when it is another object now.
    """
    if class_of(after) != storage_class:
        raise ConfigurationError(
            f"store {store!r} keeps {key!r} in class {class_of(after)!r} after its move: expected {storage_class!r}; "
            "the server does not know such classes"
        )
    facts = [(head["ContentLength"], sha256_of(head)) for head in (before, after)]
    if facts[0] != facts[1]:
        raise TransferCorrupted(
            f"store {store!r} has {key!r} with size and SHA-256 {facts[1]} after its move to class {storage_class!r}: "
            f"expected {facts[0]}"
        )


def _kept(head: Mapping[str, Any]) -> dict[str, Any]:
    return {name: head[name] for name in _KEPT if head.get(name)}
