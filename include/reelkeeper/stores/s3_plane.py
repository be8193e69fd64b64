"""What stores that speak S3 share: obstore's fast data plane for the bytes, and the set-up of a bucket.

Requests carry CRC64NVME and leave the payload out of the signature: of all ways it costs both sides the least, and a
server that checks it (`attests_writes`) proves the bytes as well as one that checks SHA-256.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store as DataPlane

from reelkeeper.errors import (
    AccessDenied,
    BucketNotFound,
    ObjectExists,
    ObjectNotFound,
    ReelkeeperError,
    StoreUnavailable,
)
from reelkeeper.model import Key, StoreName, canonical_key
from reelkeeper.stores import s3_trial
from reelkeeper.stores.access import S3Keys
from reelkeeper.stores.body import CHUNK_BYTES, Body
from reelkeeper.stores.protocols import META_SHA256, Change, Check, ObjectStat, Store, WriteOptions
from reelkeeper.stores.rights import check_rights, try_out
from reelkeeper.stores.s3_admin import Bucket
from reelkeeper.stores.s3_errors import quoted_refusal

if TYPE_CHECKING:
    from obstore import Attributes
    from obstore.store import ClientConfig, S3Config, S3Credential

SINGLE_PUT_BYTES = 8 * 2**20
"""Up to this size an object goes in one request, which can refuse to overwrite; larger ones go in parts."""
PART_BYTES = 16 * 2**20
PARTS_AT_ONCE = 2
"""A write holds at most one part more than this in memory."""
_MOST_PARTS = 10_000
CONNECT_TIMEOUT = timedelta(seconds=5)
READ_TIMEOUT = timedelta(seconds=120)
BRIEF_PUT_BYTES = 2**20
"""What has been sent well inside `READ_TIMEOUT` on every line that is of use."""
UPLOAD_TIMEOUT = READ_TIMEOUT + timedelta(seconds=PART_BYTES / (16 * 2**10))
"""Of a request that sends more: all transfers share the uplink, so one may come down to 16 KiB a second."""
_WHOLE_TIMEOUT = timedelta(days=1)


class DataPlanes(NamedTuple):
    """obstore's clients of a bucket. They do not retry: one policy (`retry.py`) does, or tries would multiply.

    `brief` gives up when the server is silent for `READ_TIMEOUT`. That clock also runs while a body is being sent, so
    that a slow line looks like a silent server: larger bodies go by `patient`, which only bounds each request as a
    whole by `UPLOAD_TIMEOUT`. Either notices within a minute that a host is gone: TCP's keepalive is on.
    """

    brief: DataPlane
    patient: DataPlane


def data_planes(
    bucket: str,
    *,
    endpoint_url: str | None,
    region: str,
    credentials: Callable[[], S3Keys],
) -> DataPlanes:
    """The clients of a bucket. Connects to nothing yet."""

    def provide() -> "S3Credential":
        keys = credentials()
        return {
            "access_key_id": keys.access_key,
            "secret_access_key": keys.secret_key,
            "token": keys.session_token,
            "expires_at": keys.expires_at,
        }

    config: S3Config = {
        "region": region,
        "checksum_algorithm": "crc64nvme",
        "unsigned_payload": True,
        # A dot in a bucket's name breaks the certificate of a virtual host; other servers than AWS have no such hosts.
        "virtual_hosted_style_request": endpoint_url is None and "." not in bucket,
    }
    if endpoint_url:
        config["endpoint"] = endpoint_url
    client_options: ClientConfig = {
        "allow_http": (endpoint_url or "").startswith("http://"),
        "connect_timeout": CONNECT_TIMEOUT,
    }

    def client(timeouts: "ClientConfig") -> DataPlane:
        return DataPlane(
            bucket,
            config=config,
            client_options={**client_options, **timeouts},
            credential_provider=provide,
            retry_config={"max_retries": 0},
        )

    return DataPlanes(
        brief=client({"read_timeout": READ_TIMEOUT, "timeout": _WHOLE_TIMEOUT}),  # a large object over a slow line
        patient=client({"timeout": UPLOAD_TIMEOUT}),
    )


class S3Plane(ABC):
    """What stores that speak S3 share. A subclass asks its provider's client for the rest."""

    name: StoreName

    def __init__(
        self,
        name: StoreName,
        bucket: str,
        data: DataPlanes,
        *,
        cache_control: str,
        cors_origins: Sequence[str],
        temp_days: int,
    ) -> None:
        self.name = name
        self._bucket = bucket
        self._data, self._uploads = data
        self._cache_control = cache_control
        self._cors_origins = cors_origins
        self._temp_days = temp_days
        self._trial_lock = threading.Lock()
        self._refuses_existing: bool | None = None
        self._attests: bool | None = None

    # --- what only the provider's client tells ------------------------------------------------------------------------

    @abstractmethod
    def stat(self, key: Key) -> ObjectStat: ...

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
            stream = iter(obstore.get(self._data, canonical_key(key)).stream(min_chunk_size=CHUNK_BYTES))
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
                return obstore.get_range(self._data, canonical_key(key), start=offset, length=length).to_bytes()
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
        attributes: Attributes = {"Cache-Control": options.cache_control or self._cache_control}
        if options.content_type:
            attributes["Content-Type"] = options.content_type
        if options.storage_class:
            attributes["Storage-Class"] = options.storage_class
        attributes.update(options.metadata)
        attributes[META_SHA256] = body.sha256
        if body.size_bytes > SINGLE_PUT_BYTES:
            self._write_parts(key, body, attributes)
        else:
            self._write_at_once(key, body, attributes)

    @property
    def attests_writes(self) -> bool:
        with self._trial_lock:
            if self._attests is None:
                self._attests = s3_trial.refuses_wrong_checksums(self._boto3, self.name, self._bucket)
            return self._attests

    def _write_at_once(self, key: Key, body: Body, attributes: "Attributes") -> None:
        data = body.whole()
        refuses = self._refuses_to_overwrite()
        if not refuses:
            self._refuse_existing(key)
        with self._answers(f"write {key!r}"):
            obstore.put(
                self._data if body.size_bytes <= BRIEF_PUT_BYTES else self._uploads,
                key,
                data,
                attributes=attributes,
                mode="create" if refuses else "overwrite",
                use_multipart=False,
            )

    def _write_parts(self, key: Key, body: Body, attributes: "Attributes") -> None:
        self._refuse_existing(key)
        part_bytes = max(PART_BYTES, -(-body.size_bytes // _MOST_PARTS))
        errors: list[BaseException] = []

        def chunks() -> Iterator[bytes]:
            try:
                yield from body.chunks()
            except BaseException as exc:
                errors.append(exc)
                raise

        try:
            with self._answers(f"write {key!r}"):
                obstore.put(
                    self._uploads,
                    key,
                    chunks(),
                    attributes=attributes,
                    use_multipart=True,
                    chunk_size=part_bytes,
                    max_concurrency=PARTS_AT_ONCE,
                )
        except BaseException:
            if errors:  # the body's error is the caller's, not the store's
                raise errors[0] from None
            raise

    def _refuse_existing(self, key: Key) -> None:
        with self._answers(f"look at {key!r}"):
            try:
                obstore.head(self._data, key)
            except FileNotFoundError:  # or the bucket is: what follows will tell
                return
        raise ObjectExists(f"store {self.name!r} already has {key!r}")

    def _refuses_to_overwrite(self) -> bool:
        """Whether the server honours If-None-Match, found out by trying once in a process."""
        if self._refuses_existing is None:
            with self._trial_lock:
                if self._refuses_existing is None:
                    with self._answers("try out a write under temp/"):
                        self._refuses_existing = s3_trial.refuses_to_overwrite(self._data)
        return self._refuses_existing

    # --- set-up -------------------------------------------------------------------------------------------------------

    def set_up(self) -> Iterable[Change]:
        made = self._ensure_bucket()
        bucket = Bucket(self._boto3, self.name, self._bucket)
        return [
            Change(f"bucket {self._bucket!r}", made),
            *bucket.ensure_lifecycle(temp_days=self._temp_days),
            *bucket.ensure_cors(self._cors_origins),
        ]

    def check(self) -> Iterable[Check]:
        bucket = Bucket(self._boto3, self.name, self._bucket)
        found = [try_out("bucket", self._describe_bucket), bucket.check_clock()]
        if found[0].ok:
            found += [*bucket.check_rules(), *check_rights(cast("Store", self))]
        return found

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
