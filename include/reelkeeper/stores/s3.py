"""A store in a bucket of AWS S3, or of a server that behaves as it does."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from reelkeeper.errors import BucketNotFound, RegionMismatch
from reelkeeper.model import Key, Sha256, StoreKind, StoreName, canonical_key
from reelkeeper.stores import s3_archive, s3_data
from reelkeeper.stores.access import S3Access
from reelkeeper.stores.bucket_options import BucketOptions
from reelkeeper.stores.protocols import ObjectStat, Readability, RestoreSpeed
from reelkeeper.stores.s3_copying import class_of, require_moved, sha256_of
from reelkeeper.stores.s3_errors import Refusal, boto3_errors, boto3_refusal
from reelkeeper.stores.s3_plane import S3Plane
from reelkeeper.stores.signing import SignedUrl, as_attachment, signed_for

_FIRST_REGION = "us-east-1"
"""The region that AWS takes for granted: a bucket there is made without naming it."""


class S3Store(S3Plane):
    """Objects in one bucket."""

    kind = StoreKind.S3

    def __init__(
        self, name: StoreName, bucket: str, access: S3Access, options: BucketOptions = BucketOptions()
    ) -> None:
        data = s3_data.data_planes(
            bucket, endpoint_url=access.endpoint_url, region=access.region, credentials=access.credentials
        )
        super().__init__(name, bucket, data, options)
        self._access = access
        self._client = access.client
        self._signer = access.signer or access.client

    def stat(self, key: Key) -> ObjectStat:
        head = self._head(key)
        sha256 = sha256_of(head)
        return ObjectStat(
            key,
            head["ContentLength"],
            head["LastModified"].astimezone(UTC),
            class_of(head),
            Sha256(sha256) if sha256 else None,
        )

    # --- storage classes ----------------------------------------------------------------------------------------------

    def set_class(self, key: Key, storage_class: str) -> None:
        head = self._head(key)
        if class_of(head) == storage_class:
            return
        self._copier.set_class(key, head, storage_class)
        require_moved(self.name, key, head, self._head(key), storage_class)

    def restore(self, key: Key, *, days: int, speed: RestoreSpeed) -> None:
        s3_archive.restore(self._client, self.name, self._bucket, key, self._head(key), days=days, speed=speed)

    def readability(self, key: Key) -> Readability:
        return s3_archive.readability(self._head(key))

    def presign(
        self, key: Key, *, method: Literal["GET", "PUT"] = "GET", expires_in: timedelta, filename: str | None = None
    ) -> SignedUrl:
        operation = {"GET": "get_object", "PUT": "put_object"}[method]
        now = datetime.now(UTC)
        life = signed_for(expires_in, expires_at=self._access.credentials().ends(now), now=now)
        saved_as = {"ResponseContentDisposition": as_attachment(filename)} if filename and method == "GET" else {}
        with boto3_errors(self.name, f"sign a URL of {key!r}"):
            url: str = self._signer.generate_presigned_url(
                operation,
                Params={"Bucket": self._bucket, "Key": canonical_key(key), **saved_as},
                ExpiresIn=int(life.total_seconds()),
            )
        return SignedUrl(url, now + life)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _delete_some(self, keys: Sequence[Key]) -> Mapping[Key, Exception]:
        with boto3_errors(self.name, f"delete {len(keys)} objects"):
            answer = self._client.delete_objects(
                Bucket=self._bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
            )
        status = answer["ResponseMetadata"]["HTTPStatusCode"]
        return {
            Key(error["Key"]): Refusal(status, error["Code"], None, error["Message"]).error(
                self.name, f"delete {error['Key']!r}"
            )
            for error in answer.get("Errors", [])
        }

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
