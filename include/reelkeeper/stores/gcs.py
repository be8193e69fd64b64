"""A store in a bucket of Google Cloud Storage. Requests carry CRC32C."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from google.api_core.exceptions import BadRequest, NotFound, RequestRangeNotSatisfiable

from reelkeeper.errors import (
    AccessDenied,
    BucketNotFound,
    ConfigurationError,
    CredentialsNotFound,
    ObjectExists,
    ObjectNotFound,
    PermanentError,
    ReelkeeperError,
    StoreUnavailable,
    TransferCorrupted,
)
from reelkeeper.model import Key, Sha256, StoreKind, StoreName, canonical_key
from reelkeeper.stores import gcs_admin, gcs_trial
from reelkeeper.stores.access import GcsAccess
from reelkeeper.stores.body import Body, BodyFailed
from reelkeeper.stores.bucket_options import BucketOptions
from reelkeeper.stores.gcs_errors import gcs_errors
from reelkeeper.stores.gcs_writing import CHUNK_BYTES, SINGLE_REQUEST_BYTES, TIMEOUT, rewrite, upload
from reelkeeper.stores.guard import Guard
from reelkeeper.stores.owner import MARKER_KEY, mark_bucket, read_owner
from reelkeeper.stores.protocols import META_SHA256, Change, Check, ObjectStat, Owner, WriteOptions
from reelkeeper.stores.retry import retrying
from reelkeeper.stores.rights import check_rights, try_out
from reelkeeper.stores.signing import SignedUrl, as_attachment, signed_for
from reelkeeper.stores.trial import Trial

_NO_RETRY: Mapping[str, Any] = {"timeout": TIMEOUT, "retry": None}
"""One policy (`retry.py`) retries, or tries would multiply."""
_READ_BYTES = 8 * 2**20


class GcsStore:
    """Objects in one bucket."""

    kind = StoreKind.GCS

    def __init__(
        self, name: StoreName, bucket: str, access: GcsAccess, options: BucketOptions = BucketOptions()
    ) -> None:
        self.name = name
        self._client = access.client
        self._bucket = access.client.bucket(bucket)
        self._options = options
        self._guard = Guard(name, options.may_delete)
        self._refuses_to_overwrite = Trial(
            lambda: self._try("a write", lambda: gcs_trial.refuses_to_overwrite(self._bucket, _NO_RETRY))
        )
        self._attests = Trial(
            lambda: self._try("a checksum", lambda: gcs_trial.refuses_wrong_checksums(self._bucket, _NO_RETRY))
        )

    # --- reading ------------------------------------------------------------------------------------------------------

    def stat(self, key: Key) -> ObjectStat:
        blob = self._bucket.blob(canonical_key(key))
        with self._answers(f"look at {key!r}"):
            blob.reload(**_NO_RETRY)
        return _stat_of(blob)

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
        """A page that fails transiently is asked for again, and the listing goes on from there."""

        def fetch(token: str | None) -> Any:
            pages = self._client.list_blobs(
                self._bucket,
                prefix=prefix,
                page_size=self._options.page_size,
                page_token=token,
                fields="items(name,size,updated,storageClass),nextPageToken",
                **_NO_RETRY,
            )
            with gcs_errors(self.name, f"list {prefix!r}"), self._bucket_expected():
                return [_stat_of(blob) for blob in next(pages.pages, ())], pages.next_page_token

        token = None
        while True:
            stats, token = retrying()(fetch, token)
            yield from (stat for stat in stats if stat.key != MARKER_KEY)
            if token is None:
                return

    def clock(self) -> datetime:
        """By the Date of the answer to a request that a right suffices for which we need anyway."""
        with gcs_errors(self.name, "ask for the time"), self._bucket_expected():
            date = gcs_admin.date_of_answer(self._client, self._bucket, TIMEOUT)
        if date is None:
            raise StoreUnavailable(f"store {self.name!r} does not tell the time: expected an answer with a Date")
        return parsedate_to_datetime(date).astimezone(UTC)

    # --- writing ------------------------------------------------------------------------------------------------------

    def write(self, key: Key, body: Body, options: WriteOptions = WriteOptions()) -> None:
        """One request that refuses to overwrite; on a server that cannot refuse (an emulator), a look comes first."""
        blob = self._bucket.blob(canonical_key(key), chunk_size=CHUNK_BYTES)
        blob.cache_control = options.cache_control or self._options.cache_control
        blob.metadata = {**options.metadata, META_SHA256: body.sha256}
        if options.storage_class:
            blob.storage_class = options.storage_class
        if not self._refuses_to_overwrite() or body.size_bytes > SINGLE_REQUEST_BYTES:
            self._refuse_existing(key)
        try:
            with self._answers(f"write {key!r}"):
                upload(blob, body, options.content_type or "application/octet-stream")
        except BodyFailed as failed:
            raise failed.error from None

    @property
    def attests_writes(self) -> bool:
        return self._attests()

    def copy(self, source: Key, destination: Key) -> None:
        """Metadata comes along; the destination gets the bucket's standard class."""
        origin, target = self._bucket.blob(canonical_key(source)), self._bucket.blob(canonical_key(destination))
        self._refuse_existing(destination)
        with self._answers(f"copy {source!r} to {destination!r}"):
            origin.reload(**_NO_RETRY)
            target.metadata, target.cache_control = origin.metadata, origin.cache_control
            target.content_type, target.content_encoding = origin.content_type, origin.content_encoding
            rewrite(origin, target, if_generation_match=0)

    def set_class(self, key: Key, storage_class: str) -> None:
        blob = self._bucket.blob(canonical_key(key))
        with self._answers(f"look at {key!r}"):
            blob.reload(**_NO_RETRY)
        if (blob.storage_class or "STANDARD") == storage_class:
            return
        before, generation = _stat_of(blob), blob.generation
        blob.storage_class = storage_class  # sent with all that is known of it: what is not sent would be lost
        try:
            with self._answers(f"move {key!r} to class {storage_class!r}"):
                rewrite(blob, blob, if_generation_match=generation)
        except PermanentError as exc:
            if isinstance(exc.__cause__, BadRequest):
                raise ConfigurationError(
                    f"store {self.name!r} knows no class {storage_class!r}: expected STANDARD, NEARLINE, COLDLINE or "
                    f"ARCHIVE ({exc})"
                ) from exc
            raise
        after = self.stat(key)
        expected = (storage_class, before.size_bytes, before.sha256)
        if (found := (after.storage_class, after.size_bytes, after.sha256)) != expected:
            raise TransferCorrupted(
                f"store {self.name!r} has {key!r} with class, size and SHA-256 {found} after its move: expected "
                f"{expected}"
            )

    def delete(self, keys: Sequence[Key]) -> Mapping[Key, Exception]:
        """Some at once: a batch request of this service works them off one after the other."""

        def delete_one(key: Key) -> ReelkeeperError | None:
            try:
                with gcs_errors(self.name, f"delete {key!r}"):
                    self._bucket.blob(canonical_key(key)).delete(**_NO_RETRY)
            except ReelkeeperError as exc:
                return exc
            return None

        self._guard.deleting(keys)
        with ThreadPoolExecutor(self._options.concurrency, thread_name_prefix="delete") as pool:
            errors = dict(zip(keys, pool.map(delete_one, keys), strict=True))
        if any(isinstance(error, ObjectNotFound) for error in errors.values()):
            self._require_bucket()
        return {key: error for key, error in errors.items() if error and not isinstance(error, ObjectNotFound)}

    def presign(
        self, key: Key, *, method: Literal["GET", "PUT"] = "GET", expires_in: timedelta, filename: str | None = None
    ) -> SignedUrl:
        life = signed_for(expires_in, expires_at=None, now=(now := datetime.now(UTC)))
        blob = self._bucket.blob(canonical_key(key))
        saved_as = {"response_disposition": as_attachment(filename)} if filename and method == "GET" else {}
        with gcs_errors(self.name, f"sign a URL of {key!r}"):
            try:
                url: str = blob.generate_signed_url(version="v4", expiration=life, method=method, **saved_as)
            except AttributeError as exc:  # how google-auth says that a credential has no private key
                raise CredentialsNotFound(
                    f"store {self.name!r} cannot sign URLs with {type(self._client._credentials).__name__}: "  # noqa: SLF001
                    "expected a service account's key"
                ) from exc
        return SignedUrl(url, now + life)

    def keeps_versions(self) -> bool:
        with gcs_errors(self.name, "look at the bucket's versioning"), self._bucket_expected():
            self._bucket.reload(**_NO_RETRY)
        return bool(self._bucket.versioning_enabled)

    # --- set-up -------------------------------------------------------------------------------------------------------

    def owner(self) -> Owner | None:
        return read_owner(self)

    def set_up(self, owner: Owner | None = None, *, take_over: bool = False) -> Iterable[Change]:
        made = Change(f"bucket {self._bucket.name!r}", self._ensure_bucket())
        marked = [mark_bucket(self, owner, self._write_marker, take_over=take_over)] if owner else []
        try:
            with gcs_errors(self.name, "set the bucket's rules"):
                rules = gcs_admin.ensure_rules(
                    self._bucket, _NO_RETRY, temp_days=self._options.temp_days, cors_origins=self._options.cors_origins
                )
        except PermanentError as exc:  # no right to change buckets, or an emulator that cannot
            rules = [Change(f"lifecycle and CORS rules could not be set: {exc}", changed=False)]
        return [made, *marked, *rules]

    def check(self) -> Iterable[Check]:
        found = [try_out("bucket", self._describe_bucket)]
        if found[0].ok:
            found += [
                *gcs_admin.check(self.name, self._bucket, _NO_RETRY, temp_days=self._options.temp_days),
                *check_rights(self),
            ]
        return found

    def _write_marker(self, text: bytes) -> None:
        blob = self._bucket.blob(MARKER_KEY)
        blob.cache_control = "no-store"
        with self._answers("write its marker"):
            blob.upload_from_string(text, content_type="application/json", **_NO_RETRY)

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
                gcs_admin.make_bucket(self._client, self._bucket, self._options.location, self.name, _NO_RETRY)
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

    def _try(self, what: str, attempt: Callable[[], bool]) -> bool:
        with self._answers(f"try out {what} under temp/"):
            return attempt()

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


def _stat_of(blob: Any) -> ObjectStat:
    """A listing asks for no metadata, so that only `stat` tells our SHA-256."""
    sha256 = (blob.metadata or {}).get(META_SHA256)
    return ObjectStat(
        Key(blob.name),
        int(blob.size),
        blob.updated.astimezone(UTC),
        blob.storage_class or "STANDARD",
        Sha256(sha256) if sha256 else None,
    )
