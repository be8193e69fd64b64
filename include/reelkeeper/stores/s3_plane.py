"""What stores that speak S3 share: bytes by way of obstore, listing, copying, uploads and set-up by way of boto3."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

from reelkeeper.errors import (
    AccessDenied,
    BucketNotFound,
    InvalidKey,
    ObjectExists,
    ObjectNotFound,
    ReelkeeperError,
    StoreUnavailable,
)
from reelkeeper.model import Key, StoreKind, StoreName, canonical_key
from reelkeeper.stores import s3_data, s3_trial
from reelkeeper.stores.body import CHUNK_BYTES, Body, BodyFailed
from reelkeeper.stores.bucket_options import BucketOptions
from reelkeeper.stores.guard import Guard
from reelkeeper.stores.owner import MARKER_KEY, mark_bucket, read_owner
from reelkeeper.stores.protocols import Change, Check, ObjectStat, Owner, Store, Upload, WriteOptions
from reelkeeper.stores.rights import check_rights, try_out
from reelkeeper.stores.s3_admin import Bucket
from reelkeeper.stores.s3_copying import Copier
from reelkeeper.stores.s3_errors import boto3_errors, boto3_refusal, quoted_refusal
from reelkeeper.stores.s3_listing import list_objects, list_uploads
from reelkeeper.stores.s3_writing import SINGLE_PUT_BYTES, attributes_of, put_at_once, put_parts
from reelkeeper.stores.trial import Trial

if TYPE_CHECKING:
    from obstore import Attributes

_FEWEST_DELETED, _MOST_DELETED = 100, 1000
"""Keys of one request of a bulk deletion: as few as make for enough requests at once, within these bounds."""


class S3Plane(ABC):
    """What stores that speak S3 share. A subclass asks its provider's client for the rest."""

    name: StoreName
    kind: StoreKind

    def __init__(self, name: StoreName, bucket: str, data: s3_data.DataPlanes, options: BucketOptions) -> None:
        self.name = name
        self._bucket = bucket
        self._data = data
        self._options = options
        self._guard = Guard(name, options.may_delete)
        self._refuses_to_overwrite = Trial(self._try_to_overwrite)
        self._attests = Trial(lambda: s3_trial.refuses_wrong_checksums(self._boto3, name, bucket))

    # --- what only the provider's client tells ------------------------------------------------------------------------

    @abstractmethod
    def stat(self, key: Key) -> ObjectStat: ...

    @abstractmethod
    def _delete_some(self, keys: Sequence[Key]) -> Mapping[Key, Exception]:
        """Delete at most a thousand objects in one request; those that failed."""

    @abstractmethod
    def _require_bucket(self) -> None:
        """Look at the bucket: return when it answers well, else raise what is wrong with it or with us."""

    @abstractmethod
    def _make_bucket(self) -> bool:
        """Make the bucket. False when it is ours already; BucketOwnedByOther, AccessDenied …"""

    @property
    @abstractmethod
    def _boto3(self) -> Any:
        """A boto3 client of the server."""

    # --- reading ------------------------------------------------------------------------------------------------------

    def read(self, key: Key) -> Iterator[bytes]:
        with self._answers(f"read {key!r}"):
            stream = iter(obstore.get(self._data.brief, canonical_key(key)).stream(min_chunk_size=CHUNK_BYTES))
        while True:
            with self._answers(f"read {key!r}"):
                chunk = next(stream, None)
            if chunk is None:
                return
            yield bytes(chunk)

    def read_range(self, key: Key, offset: int, length: int) -> bytes:
        if not length:
            return b""
        try:
            with self._answers(f"read {key!r}"):
                return obstore.get_range(self._data.brief, canonical_key(key), start=offset, length=length).to_bytes()
        except ReelkeeperError as exc:
            refusal = quoted_refusal(exc.__cause__) if exc.__cause__ else None
            if refusal and refusal.status == 416:  # the range starts at the object's end, or after it
                return b""
            raise

    # --- writing ------------------------------------------------------------------------------------------------------

    def write(self, key: Key, body: Body, options: WriteOptions = WriteOptions()) -> None:
        """Small objects in one request that refuses to overwrite. Larger ones, and all on a server that cannot refuse,
        are looked for first: another writer of the same key between that look and the end of the write is replaced.
        """
        canonical_key(key)
        attributes = attributes_of(body, options, cache_control=self._options.cache_control)
        is_small = body.size_bytes <= SINGLE_PUT_BYTES
        refuses = is_small and self._refuses_to_overwrite()
        if not refuses:
            self._refuse_existing(key)
        try:
            with self._answers(f"write {key!r}"):
                if is_small:
                    put_at_once(self._data, key, body, attributes, refuse_existing=refuses)
                else:
                    put_parts(self._data, key, body, attributes)
        except BodyFailed as failed:
            raise failed.error from None

    @property
    def attests_writes(self) -> bool:
        return self._attests()

    def _refuse_existing(self, key: Key) -> None:
        with self._answers(f"look at {key!r}"):
            try:
                obstore.head(self._data.brief, key)
            except FileNotFoundError:  # or the bucket is: what follows will tell
                return
        raise ObjectExists(f"store {self.name!r} already has {key!r}")

    def _try_to_overwrite(self) -> bool:
        """Whether the server honours If-None-Match."""
        with self._answers("try out a write under temp/"):
            return s3_trial.refuses_to_overwrite(self._data.brief)

    # --- listing, copying, deleting -----------------------------------------------------------------------------------

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        found = list_objects(self._boto3, self.name, self._bucket, prefix, self._options.page_size)
        return (stat for stat in found if stat.key != MARKER_KEY)

    def copy(self, source: Key, destination: Key) -> None:
        """Metadata comes along; the destination gets the standard class."""
        canonical_key(source)
        self._refuse_existing(canonical_key(destination))
        self._copier.copy(source, self._head(source), destination, refuse=self._refuses_to_overwrite())

    def delete(self, keys: Sequence[Key]) -> Mapping[Key, Exception]:
        """In bulk requests, several at once."""
        self._guard.deleting(keys)
        failed: dict[Key, Exception] = {}
        todo = []
        for key in keys:
            try:
                todo.append(canonical_key(key))
            except InvalidKey as exc:
                failed[key] = exc
        at_once = self._options.concurrency
        size = min(max(-(-len(todo) // at_once), _FEWEST_DELETED), _MOST_DELETED)
        requests = [todo[start : start + size] for start in range(0, len(todo), size)]
        if len(requests) < 2:
            return {**failed, **(self._delete_some(todo) if todo else {})}
        with ThreadPoolExecutor(min(at_once, len(requests)), thread_name_prefix="delete") as pool:
            for some in pool.map(self._delete_some, requests):
                failed.update(some)
        return failed

    # --- uploads and the clock ----------------------------------------------------------------------------------------

    def clock(self) -> datetime:
        return Bucket(self._boto3, self.name, self._bucket).clock()

    def stale_uploads(self, older_than: timedelta) -> Iterator[Upload]:
        before = self.clock() - older_than
        for upload in list_uploads(self._boto3, self.name, self._bucket, self._options.page_size):
            if upload.started_at < before:
                yield upload

    def abort_upload(self, upload: Upload) -> None:
        from botocore.exceptions import ClientError

        self._guard.removing(f"abort the upload of {upload.key!r}")
        with boto3_errors(self.name, f"abort the upload of {upload.key!r}"):
            try:
                self._boto3.abort_multipart_upload(Bucket=self._bucket, Key=upload.key, UploadId=upload.id)
            except ClientError as exc:
                if boto3_refusal(exc).code != "NoSuchUpload":
                    raise

    def keeps_versions(self) -> bool:
        return Bucket(self._boto3, self.name, self._bucket).keeps_versions()

    # --- set-up -------------------------------------------------------------------------------------------------------

    def owner(self) -> Owner | None:
        return read_owner(self)

    def set_up(self, owner: Owner | None = None, *, take_over: bool = False) -> Iterable[Change]:
        made = Change(f"bucket {self._bucket!r}", self._ensure_bucket())
        marked = [mark_bucket(self, owner, self._write_marker, take_over=take_over)] if owner else []
        bucket = Bucket(self._boto3, self.name, self._bucket)
        return [
            made,
            *marked,
            *bucket.ensure_lifecycle(temp_days=self._options.temp_days),
            *bucket.ensure_cors(self._options.cors_origins),
        ]

    def check(self) -> Iterable[Check]:
        bucket = Bucket(self._boto3, self.name, self._bucket)
        found = [try_out("bucket", self._describe_bucket), bucket.check_clock()]
        if found[0].ok:
            found += [*bucket.check_rules(temp_days=self._options.temp_days), *check_rights(cast("Store", self))]
        return found

    def _write_marker(self, text: bytes) -> None:
        attributes: Attributes = {"Content-Type": "application/json", "Cache-Control": "no-store"}
        with self._answers("write its marker"):
            obstore.put(self._data.brief, MARKER_KEY, text, attributes=attributes, use_multipart=False)

    def _describe_bucket(self) -> str:
        self._require_bucket()
        return self._bucket

    def _ensure_bucket(self) -> bool:
        """Make the bucket if need be. Whether it was made now."""
        try:
            self._require_bucket()
        except BucketNotFound:
            return self._make_bucket()
        except AccessDenied:
            self._make_bucket()  # is refused as BucketOwnedByOther when that is why
            raise
        return False

    # --- inside -------------------------------------------------------------------------------------------------------

    def _head(self, key: Key) -> Mapping[str, Any]:
        """boto3's answer to a HEAD. ObjectNotFound."""
        from botocore.exceptions import ClientError

        with boto3_errors(self.name, f"look at {key!r}"):
            try:
                head: Mapping[str, Any] = self._boto3.head_object(Bucket=self._bucket, Key=canonical_key(key))
            except ClientError as exc:
                status = boto3_refusal(exc).status
                if status in (400, 404):  # an answer to a HEAD does not say why
                    self._require_bucket()
                if status == 404:
                    raise ObjectNotFound(f"store {self.name!r} has no object {key!r}") from exc
                raise
        return head

    @property
    def _copier(self) -> Copier:
        return Copier(self._boto3, self.name, self._bucket, concurrency=self._options.concurrency)

    # --- errors -------------------------------------------------------------------------------------------------------

    @contextmanager
    def _answers(self, what: str) -> Iterator[None]:
        """Map what obstore raises in the block."""
        try:
            yield
        except ReelkeeperError:
            raise
        except (BaseError, OSError, ValueError) as exc:
            raise self._error(exc, what) from exc

    def _error(self, exc: Exception, what: str) -> ReelkeeperError:
        refusal = quoted_refusal(exc)
        if refusal and (refusal.code or refusal.status == 429 or refusal.status >= 500):
            return refusal.error(self.name, what)
        if isinstance(exc, (AlreadyExistsError, PreconditionError)):
            return ObjectExists(f"store {self.name!r} could not {what}: an object is there already")
        try:
            self._require_bucket()
        except ReelkeeperError as cause:
            return cause
        if isinstance(exc, FileNotFoundError):
            return ObjectNotFound(f"store {self.name!r} could not {what}: there is no such object")
        if refusal:
            return refusal.error(self.name, what)
        return StoreUnavailable(f"store {self.name!r} could not {what}: {str(exc).splitlines()[0]}")
