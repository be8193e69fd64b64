"""A store in a bucket of Google Cloud Storage. Requests carry CRC32C."""

import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from google.api_core.exceptions import Conflict, NotFound, RequestRangeNotSatisfiable

from reelkeeper.errors import (
    AccessDenied,
    BucketNotFound,
    BucketOwnedByOther,
    CredentialsNotFound,
    ObjectExists,
    ObjectNotFound,
    PermanentError,
    ReelkeeperError,
)
from reelkeeper.model import Key, Sha256, StoreKind, StoreName, canonical_key
from reelkeeper.stores import gcs_admin, gcs_trial
from reelkeeper.stores.access import GcsAccess
from reelkeeper.stores.body import Body
from reelkeeper.stores.gcs_errors import gcs_errors
from reelkeeper.stores.protocols import META_SHA256, Change, Check, ObjectStat, WriteOptions
from reelkeeper.stores.rights import check_rights, try_out
from reelkeeper.stores.signing import signed_for

TIMEOUT = (5, 120)
"""Seconds to connect, and between two reads."""
_NO_RETRY: Mapping[str, Any] = {"timeout": TIMEOUT, "retry": None}
"""One policy (`retry.py`) retries, or tries would multiply."""
_SLOWEST_BYTES_PER_SECOND = 16 * 2**10
"""Of a request that sends: all transfers share the uplink."""
_SINGLE_REQUEST_BYTES = 8 * 2**20
_CHUNK_BYTES = 16 * 2**20
"""Of a resumable upload; it is what a write holds in memory."""
_READ_BYTES = 8 * 2**20
_DELETED_AT_ONCE = 8
_PAGE_SIZE = 1000


def _upload_timeout(size_bytes: int) -> tuple[float, float]:
    """As TIMEOUT. What bounds a connection here bounds the sending of a whole request as well, which takes longer."""
    connect, read = TIMEOUT
    return connect + min(size_bytes, _CHUNK_BYTES) / _SLOWEST_BYTES_PER_SECOND, read


class GcsStore:
    """Objects in one bucket."""

    kind = StoreKind.GCS

    def __init__(
        self,
        name: StoreName,
        bucket: str,
        access: GcsAccess,
        *,
        cache_control: str,
        location: str | None = None,
        cors_origins: Sequence[str] = (),
        temp_days: int = 7,
        page_size: int = _PAGE_SIZE,
    ) -> None:
        """`location` is where `set_up` makes the bucket; None leaves it to Google."""
        self.name = name
        self._client = access.client
        self._bucket = access.client.bucket(bucket)
        self._cache_control = cache_control
        self._location = location
        self._cors_origins = cors_origins
        self._temp_days = temp_days
        self._page_size = page_size
        self._trial_lock = threading.Lock()
        self._refuses_existing: bool | None = None
        self._attests: bool | None = None

    # --- reading ------------------------------------------------------------------------------------------------------

    def stat(self, key: Key) -> ObjectStat:
        blob = self._bucket.blob(canonical_key(key))
        with self._answers(f"look at {key!r}"):
            blob.reload(**_NO_RETRY)
        sha256 = (blob.metadata or {}).get(META_SHA256)
        return _stat_of(blob, Sha256(sha256) if sha256 else None)

    def read(self, key: Key) -> Iterator[bytes]:
        """Range by range: objects never change."""
        canonical_key(key)
        offset = 0
        while True:
            chunk = self.read_range(key, offset, _READ_BYTES)
            if chunk:
                yield chunk
            if len(chunk) < _READ_BYTES:
                return
            offset += len(chunk)

    def read_range(self, key: Key, offset: int, length: int) -> bytes:
        if not length:
            return b""
        blob = self._bucket.blob(canonical_key(key))
        try:
            with self._answers(f"read {key!r}"):
                data: bytes = blob.download_as_bytes(
                    start=offset, end=offset + length - 1, raw_download=True, checksum=None, **_NO_RETRY
                )
        except ReelkeeperError as exc:
            if isinstance(exc.__cause__, RequestRangeNotSatisfiable):  # it starts at the object's end, or after it
                return b""
            raise
        return data

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        blobs = iter(
            self._client.list_blobs(
                self._bucket,
                prefix=prefix,
                page_size=self._page_size,
                fields="items(name,size,updated,storageClass),nextPageToken",
                **_NO_RETRY,
            )
        )
        while True:
            with gcs_errors(self.name, f"list {prefix!r}"), self._bucket_expected():
                blob = next(blobs, None)
            if blob is None:
                return
            yield _stat_of(blob)

    # --- writing ------------------------------------------------------------------------------------------------------

    def write(self, key: Key, body: Body, options: WriteOptions = WriteOptions()) -> None:
        """One request that refuses to overwrite; on a server that cannot refuse (an emulator), a look comes first."""
        blob = self._bucket.blob(canonical_key(key), chunk_size=_CHUNK_BYTES)
        blob.cache_control = options.cache_control or self._cache_control
        blob.metadata = {**options.metadata, META_SHA256: body.sha256}
        if options.storage_class:
            blob.storage_class = options.storage_class
        if not self._refuses_to_overwrite() or body.size_bytes > _SINGLE_REQUEST_BYTES:
            self._refuse_existing(key)
        # A small body is proved whole before the request; a large one holds back its last bytes until it is.
        is_small = body.size_bytes <= _SINGLE_REQUEST_BYTES
        source = _Reader(iter([body.whole()]) if is_small else body.chunks())
        try:
            with self._answers(f"write {key!r}"):
                blob.upload_from_file(
                    source,
                    size=body.size_bytes,
                    content_type=options.content_type or "application/octet-stream",
                    if_generation_match=0,
                    checksum="crc32c",
                    timeout=_upload_timeout(body.size_bytes),
                    retry=None,
                )
        except Exception:
            if source.error:  # the body's error is the caller's, not the store's
                raise source.error from None
            raise

    @property
    def attests_writes(self) -> bool:
        with self._trial_lock:
            if self._attests is None:
                with self._answers("try out a checksum under temp/"):
                    self._attests = gcs_trial.refuses_wrong_checksums(self._bucket, _NO_RETRY)
            return self._attests

    def copy(self, source: Key, destination: Key) -> None:
        """Metadata comes along."""
        origin = self._bucket.blob(canonical_key(source))
        self._refuse_existing(canonical_key(destination))
        with self._answers(f"copy {source!r} to {destination!r}"):
            target, token = self._bucket.blob(destination), None
            while True:
                token, _, _ = target.rewrite(origin, token=token, if_generation_match=0, **_NO_RETRY)
                if token is None:
                    return

    def delete(self, keys: Sequence[Key]) -> Mapping[Key, Exception]:
        """Some at once: a batch request of this service works them off one after the other."""

        def delete_one(key: Key) -> ReelkeeperError | None:
            try:
                with gcs_errors(self.name, f"delete {key!r}"):
                    self._bucket.blob(canonical_key(key)).delete(**_NO_RETRY)
            except ReelkeeperError as exc:
                return exc
            return None

        with ThreadPoolExecutor(_DELETED_AT_ONCE, thread_name_prefix="delete") as pool:
            errors = dict(zip(keys, pool.map(delete_one, keys), strict=True))
        if any(isinstance(error, ObjectNotFound) for error in errors.values()):
            self._require_bucket()
        return {key: error for key, error in errors.items() if error and not isinstance(error, ObjectNotFound)}

    def presign(self, key: Key, *, method: str = "GET", expires_in: timedelta) -> str:
        life = signed_for(expires_in, expires_at=None, now=datetime.now(UTC))
        blob = self._bucket.blob(canonical_key(key))
        with gcs_errors(self.name, f"sign a URL of {key!r}"):
            try:
                url: str = blob.generate_signed_url(version="v4", expiration=life, method=method)
            except AttributeError as exc:  # how google-auth says that a credential has no private key
                raise CredentialsNotFound(
                    f"store {self.name!r} cannot sign URLs with {type(self._client._credentials).__name__}: "  # noqa: SLF001
                    "expected a service account's key"
                ) from exc
        return url

    # --- set-up -------------------------------------------------------------------------------------------------------

    def set_up(self) -> Iterable[Change]:
        made = Change(f"bucket {self._bucket.name!r}", self._ensure_bucket())
        try:
            with gcs_errors(self.name, "set the bucket's rules"):
                rules = gcs_admin.ensure_rules(
                    self._bucket, _NO_RETRY, temp_days=self._temp_days, cors_origins=self._cors_origins
                )
        except PermanentError as exc:  # no right to change buckets, or an emulator that cannot
            rules = [Change(f"lifecycle and CORS rules could not be set: {exc}", changed=False)]
        return [made, *rules]

    def check(self) -> Iterable[Check]:
        found = [try_out("bucket", self._describe_bucket)]
        if found[0].ok:
            found += [*gcs_admin.check(self.name, self._bucket, _NO_RETRY), *check_rights(self)]
        return found

    def _describe_bucket(self) -> str:
        self._require_bucket()
        return str(self._bucket.name)

    def _require_bucket(self) -> None:
        """Look at the bucket by a right that we need anyway. BucketNotFound, AccessDenied, …"""
        with gcs_errors(self.name, f"use bucket {self._bucket.name!r}"), self._bucket_expected():
            next(iter(self._client.list_blobs(self._bucket, max_results=1, **_NO_RETRY)), None)

    def _ensure_bucket(self) -> bool:
        """Make the bucket if need be. Whether it was made now."""
        try:
            self._require_bucket()
        except BucketNotFound:
            with gcs_errors(self.name, f"make bucket {self._bucket.name!r}"):
                try:
                    self._client.create_bucket(self._bucket, location=self._location, **_NO_RETRY)
                except Conflict as exc:
                    raise BucketOwnedByOther(
                        f"bucket {self._bucket.name!r} of store {self.name!r} belongs to another project"
                    ) from exc
            return True
        except AccessDenied as exc:
            raise AccessDenied(f"{exc} (bucket names are world-wide: it may belong to another project)") from exc
        return False

    # --- inside -------------------------------------------------------------------------------------------------------

    def _refuse_existing(self, key: Key) -> None:
        try:
            self.stat(key)
        except ObjectNotFound:
            return
        raise ObjectExists(f"store {self.name!r} already has {key!r}")

    def _refuses_to_overwrite(self) -> bool:
        """Whether the server honours if_generation_match=0, found out by trying once in a process."""
        if self._refuses_existing is None:
            with self._trial_lock:
                if self._refuses_existing is None:
                    with self._answers("try out a write under temp/"):
                        self._refuses_existing = gcs_trial.refuses_to_overwrite(self._bucket, _NO_RETRY)
        return self._refuses_existing

    @contextmanager
    def _answers(self, what: str) -> Iterator[None]:
        """Map what the client raises in the block; "not found" may mean the bucket."""
        try:
            with gcs_errors(self.name, what):
                yield
        except ObjectNotFound:
            self._require_bucket()
            raise

    @contextmanager
    def _bucket_expected(self) -> Iterator[None]:
        try:
            yield
        except NotFound as exc:
            raise BucketNotFound(f"bucket {self._bucket.name!r} of store {self.name!r} does not exist") from exc


class _Reader:
    """Chunks as the file that google-cloud-storage reads from. `error` is what the chunks raised."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""
        self._position = 0
        self.error: Exception | None = None

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        parts, missing = [], size if size >= 0 else sys.maxsize
        while missing:
            if not self._rest:
                self._rest = self._next()
                if not self._rest:
                    break
            part, self._rest = self._rest[:missing], self._rest[missing:]
            parts.append(part)
            missing -= len(part)
        data = b"".join(parts)
        self._position += len(data)
        return data

    def _next(self) -> bytes:
        try:
            return next((chunk for chunk in self._chunks if chunk), b"")
        except Exception as exc:
            self.error = exc
            raise


def _stat_of(blob: Any, sha256: Sha256 | None = None) -> ObjectStat:
    return ObjectStat(
        Key(blob.name), int(blob.size), blob.updated.astimezone(UTC), blob.storage_class or "STANDARD", sha256
    )
