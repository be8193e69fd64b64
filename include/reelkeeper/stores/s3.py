"""A store in a bucket of AWS S3, or of a server that behaves as it does."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from reelkeeper.errors import (
    BucketNotFound,
    InvalidKey,
    ObjectNotFound,
    RegionMismatch,
)
from reelkeeper.model import Key, Sha256, StoreKind, StoreName, canonical_key
from reelkeeper.stores.access import S3Access
from reelkeeper.stores.protocols import META_SHA256, ObjectStat
from reelkeeper.stores.s3_errors import Refusal, boto3_errors, boto3_refusal
from reelkeeper.stores.s3_plane import S3Plane, data_planes
from reelkeeper.stores.signing import signed_for

_DELETED_AT_ONCE = 1000
_PAGE_SIZE = 1000
_FIRST_REGION = "us-east-1"
"""The region that AWS takes for granted: a bucket there is made without naming it."""


class S3Store(S3Plane):
    """Objects in one bucket."""

    kind = StoreKind.S3

    def __init__(
        self,
        name: StoreName,
        bucket: str,
        access: S3Access,
        *,
        cache_control: str,
        cors_origins: Sequence[str] = (),
        temp_days: int = 7,
        page_size: int = _PAGE_SIZE,
    ) -> None:
        data = data_planes(
            bucket, endpoint_url=access.endpoint_url, region=access.region, credentials=access.credentials
        )
        super().__init__(
            name, bucket, data, cache_control=cache_control, cors_origins=cors_origins, temp_days=temp_days
        )
        self._access = access
        self._client = access.client
        self._page_size = page_size

    def stat(self, key: Key) -> ObjectStat:
        from botocore.exceptions import ClientError

        canonical_key(key)
        with boto3_errors(self.name, f"look at {key!r}"):
            try:
                head = self._client.head_object(Bucket=self._bucket, Key=key)
            except ClientError as exc:
                status = boto3_refusal(exc).status
                if status in (400, 404):  # an answer to a HEAD does not say why
                    self._require_bucket()
                if status == 404:
                    raise ObjectNotFound(f"store {self.name!r} has no object {key!r}") from exc
                raise
        metadata = {name.lower(): value for name, value in head["Metadata"].items()}
        return ObjectStat(
            key,
            head["ContentLength"],
            head["LastModified"].astimezone(UTC),
            head.get("StorageClass", "STANDARD"),  # not sent for the standard class
            Sha256(metadata[META_SHA256]) if META_SHA256 in metadata else None,
        )

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        pages = iter(
            self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix, PaginationConfig={"PageSize": self._page_size}
            )
        )
        while True:
            with boto3_errors(self.name, f"list {prefix!r}"):
                page = next(pages, None)
            if page is None:
                return
            for found in page.get("Contents", []):
                yield ObjectStat(
                    Key(found["Key"]),
                    found["Size"],
                    found["LastModified"].astimezone(UTC),
                    found.get("StorageClass", "STANDARD"),
                )

    def delete(self, keys: Sequence[Key]) -> Mapping[Key, Exception]:
        failed: dict[Key, Exception] = {}
        todo = []
        for key in keys:
            try:
                todo.append(canonical_key(key))
            except InvalidKey as exc:
                failed[key] = exc
        for start in range(0, len(todo), _DELETED_AT_ONCE):
            some = todo[start : start + _DELETED_AT_ONCE]
            with boto3_errors(self.name, f"delete {len(some)} objects"):
                answer = self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": [{"Key": key} for key in some], "Quiet": True}
                )
            for error in answer.get("Errors", []):
                key = Key(error["Key"])
                refusal = Refusal(answer["ResponseMetadata"]["HTTPStatusCode"], error["Code"], None, error["Message"])
                failed[key] = refusal.error(self.name, f"delete {key!r}")
        return failed

    def copy(self, source: Key, destination: Key) -> None:
        """Up to 5 GiB, the most that S3 copies in one request. Metadata comes along."""
        canonical_key(source)
        self._refuse_existing(canonical_key(destination))
        with boto3_errors(self.name, f"copy {source!r} to {destination!r}"):
            self._client.copy_object(
                Bucket=self._bucket,
                Key=destination,
                CopySource={"Bucket": self._bucket, "Key": source},
                IfNoneMatch="*",
            )

    def presign(self, key: Key, *, method: str = "GET", expires_in: timedelta) -> str:
        operation = {"GET": "get_object", "PUT": "put_object"}[method]
        life = signed_for(expires_in, expires_at=self._access.credentials().expires_at, now=datetime.now(UTC))
        with boto3_errors(self.name, f"sign a URL of {key!r}"):
            url: str = self._client.generate_presigned_url(
                operation,
                Params={"Bucket": self._bucket, "Key": canonical_key(key)},
                ExpiresIn=int(life.total_seconds()),
            )
        return url

    # --- inside -------------------------------------------------------------------------------------------------------

    @property
    def _boto3(self) -> Any:
        return self._client

    def _require_bucket(self) -> None:
        from botocore.exceptions import ClientError

        with boto3_errors(self.name, f"use bucket {self._bucket!r}"):
            try:
                answer = self._client.head_bucket(Bucket=self._bucket)
            except ClientError as exc:
                refusal = boto3_refusal(exc)
                if refusal.status == 404:
                    raise BucketNotFound(f"bucket {self._bucket!r} of store {self.name!r} does not exist") from exc
                if refusal.code is None and refusal.status in (400, 403):
                    self._client.list_objects_v2(Bucket=self._bucket, MaxKeys=1)  # is refused with a code
                raise
        region = answer.get("BucketRegion")
        if region and region != self._access.region:
            raise RegionMismatch(
                f"bucket {self._bucket!r} of store {self.name!r} lives in region {region!r}: "
                f"expected {self._access.region!r}, the store's region"
            )

    def _make_bucket(self) -> bool:
        from botocore.exceptions import ClientError

        region = self._access.region
        place = {} if region == _FIRST_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        with boto3_errors(self.name, f"make bucket {self._bucket!r}"):
            try:
                self._client.create_bucket(Bucket=self._bucket, **place)
            except ClientError as exc:
                if boto3_refusal(exc).code != "BucketAlreadyOwnedByYou":
                    raise
                return False
        return True
