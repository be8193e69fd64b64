"""A store in a bucket of MinIO, or of another S3-compatible server that one's own people run.

Deleting, looking and signing go through MinIO's client. It cannot go on with a listing whose page failed, loses
metadata when it copies in parts, drops parts of other people's lifecycle rules, and has no calls for CORS, unfinished
uploads, wrong checksums or the server's clock: those go through boto3's.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Literal

from minio.deleteobjects import DeleteObject
from minio.error import S3Error

from reelkeeper.errors import BucketNotFound, ObjectNotFound
from reelkeeper.model import Key, Sha256, StoreKind, StoreName, canonical_key
from reelkeeper.stores import s3_data
from reelkeeper.stores.access import BOTO3_CONFIG, MinioAccess, S3Keys
from reelkeeper.stores.bucket_options import BucketOptions
from reelkeeper.stores.protocols import META_SHA256, ObjectStat
from reelkeeper.stores.s3_errors import Refusal, minio_errors
from reelkeeper.stores.s3_plane import S3Plane
from reelkeeper.stores.signing import SignedUrl, as_attachment, signed_for


class MinioStore(S3Plane):
    """Objects in one bucket."""

    kind = StoreKind.MINIO

    def __init__(
        self, name: StoreName, bucket: str, access: MinioAccess, options: BucketOptions = BucketOptions()
    ) -> None:
        self._keys = keys = S3Keys(access.access_key, access.secret_key, access.session_token)
        data = s3_data.data_planes(
            bucket, endpoint_url=access.endpoint_url, region=access.region, credentials=lambda: keys
        )
        super().__init__(name, bucket, data, options)
        self._access = access
        self._client = access.client
        self._signer = access.signer or access.client

    def stat(self, key: Key) -> ObjectStat:
        canonical_key(key)
        with minio_errors(self.name, f"look at {key!r}"):
            try:
                found = self._client.stat_object(self._bucket, key)
            except S3Error as exc:
                if exc.code not in ("NoSuchKey", "NoSuchObject"):
                    raise
                self._require_bucket()  # the client says the same when the bucket is missing
                raise ObjectNotFound(f"store {self.name!r} has no object {key!r}") from exc
        headers = {name.lower(): value for name, value in (found.metadata or {}).items()}
        sha256 = headers.get(f"x-amz-meta-{META_SHA256}")
        return ObjectStat(
            key,
            int(found.size or 0),
            _utc(found.last_modified),
            headers.get("x-amz-storage-class", "STANDARD"),
            Sha256(sha256) if sha256 else None,
        )

    def presign(
        self, key: Key, *, method: Literal["GET", "PUT"] = "GET", expires_in: timedelta, filename: str | None = None
    ) -> SignedUrl:
        now = datetime.now(UTC)
        life = signed_for(expires_in, expires_at=self._keys.ends(now), now=now)
        saved_as: Any = (
            {"response-content-disposition": as_attachment(filename)} if filename and method == "GET" else None
        )
        with minio_errors(self.name, f"sign a URL of {key!r}"):
            url = self._signer.get_presigned_url(
                method, self._bucket, canonical_key(key), expires=life, response_headers=saved_as
            )
        return SignedUrl(url, now + life)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _delete_some(self, keys: Sequence[Key]) -> Mapping[Key, Exception]:
        failed: dict[Key, Exception] = {}
        with minio_errors(self.name, f"delete {len(keys)} objects"):
            for error in self._client.remove_objects(self._bucket, [DeleteObject(key) for key in keys]):
                key = Key(error.name or "")
                failed[key] = Refusal(200, error.code, None, error.message or "").error(self.name, f"delete {key!r}")
        return failed

    @cached_property
    def _boto3(self) -> Any:
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self._access.endpoint_url,
            region_name=self._access.region,
            aws_access_key_id=self._access.access_key,
            aws_secret_access_key=self._access.secret_key,
            aws_session_token=self._access.session_token,
            config=Config(**BOTO3_CONFIG, s3={"addressing_style": "path"}),
        )

    def _require_bucket(self) -> None:
        with minio_errors(self.name, f"use bucket {self._bucket!r}"):
            try:
                exists = self._client.bucket_exists(self._bucket)
            except S3Error as exc:
                if exc.code == "AccessDenied":
                    next(self._client.list_objects(self._bucket), None)  # is refused with a code that tells more
                raise
            if not exists:
                raise BucketNotFound(f"bucket {self._bucket!r} of store {self.name!r} does not exist")

    def _make_bucket(self) -> bool:
        with minio_errors(self.name, f"make bucket {self._bucket!r}"):
            try:
                self._client.make_bucket(self._bucket, location=self._access.region)
            except S3Error as exc:
                if exc.code != "BucketAlreadyOwnedByYou":
                    raise
                return False
        return True


def _utc(moment: datetime | None) -> datetime:
    assert moment is not None  # a server always tells
    return moment.astimezone(UTC)
