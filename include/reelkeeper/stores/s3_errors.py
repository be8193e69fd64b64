"""What servers of the S3 protocol refuse, as errors of the core: by code and status, never by a message's words."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from reelkeeper.errors import (
    AccessDenied,
    BucketNotFound,
    BucketOwnedByOther,
    ConfigurationError,
    CredentialsNotFound,
    InvalidKey,
    ObjectArchived,
    ObjectExists,
    ObjectNotFound,
    PermanentError,
    ReelkeeperError,
    RegionMismatch,
    StoreFull,
    StoreTimeout,
    StoreUnavailable,
    TransferCorrupted,
)

_CODES: Mapping[type[ReelkeeperError], str] = {
    AccessDenied: "AccessDenied AllAccessDisabled AccountProblem AccountSuspended ExpiredToken InvalidAccessKeyId "
    "InvalidClientTokenId InvalidSecurity InvalidToken NotSignedUp RequestExpired RequestTimeTooSkewed "
    "SignatureDoesNotMatch TokenRefreshRequired Unauthorized UnauthorizedAccess XMinioAccessKeyDisabled",
    BucketNotFound: "NoSuchBucket",
    BucketOwnedByOther: "BucketAlreadyExists",
    ConfigurationError: "InvalidBucketName InvalidStorageClass",
    InvalidKey: "KeyTooLongError KeyTooLong XMinioInvalidObjectName",
    ObjectArchived: "InvalidObjectState ObjectNotInActiveTierError",
    ObjectExists: "PreconditionFailed",
    ObjectNotFound: "NoSuchKey NoSuchVersion NotFound",
    RegionMismatch: "IllegalLocationConstraintException PermanentRedirect",
    StoreFull: "QuotaExceeded XMinioAdminBucketQuotaExceeded XMinioStorageFull InsufficientStorage",
    StoreTimeout: "RequestTimeout RequestTimeoutException XMinioRequestTimedout",
    StoreUnavailable: "Busy ConditionalRequestConflict InternalError InternalFailure OperationAborted "
    "RequestLimitExceeded RequestThrottled ServiceUnavailable SlowDown SlowDownRead SlowDownWrite TemporaryRedirect "
    "Throttling ThrottlingException TooManyRequests XMinioServerNotInitialized",
    TransferCorrupted: "BadDigest InvalidDigest XAmzContentChecksumMismatch XAmzContentSHA256Mismatch IncompleteBody",
}
_ERRORS = {code: error for error, codes in _CODES.items() for code in codes.split()}
_STATUSES: Mapping[int, type[ReelkeeperError]] = {
    301: RegionMismatch,
    401: AccessDenied,
    403: AccessDenied,
    408: StoreTimeout,
    412: ObjectExists,
    429: StoreUnavailable,
    501: PermanentError,
    504: StoreTimeout,
    507: StoreFull,
}
_HINTS = {
    "RequestTimeTooSkewed": "; set this machine's clock",
    "ExpiredToken": "; renew the connection's session token",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that was not success. `code` is None where the answer had no body, as that to a HEAD."""

    status: int
    code: str | None = None
    region: str | None = None  # where the bucket lives, when the answer says so
    message: str = ""

    def error(self, store: str, what: str) -> ReelkeeperError:
        """The error that a caller gets: `store` could not do `what`."""
        kind = _ERRORS.get(self.code or "") or _STATUSES.get(self.status)
        if kind is None:
            kind = StoreUnavailable if self.status >= 500 else PermanentError
        if self.region and (kind is RegionMismatch or self.code == "AuthorizationHeaderMalformed"):
            return RegionMismatch(f"store {store!r} could not {what}: its bucket lives in region {self.region!r}")
        if self.code == "AuthorizationHeaderMalformed":
            kind = AccessDenied
        answer = " ".join(filter(None, (str(self.status), repr(self.code) if self.code else "", self.message)))
        return kind(f"store {store!r} could not {what}: the server answered {answer}{_HINTS.get(self.code or '', '')}")


def quoted_refusal(exc: BaseException) -> Refusal | None:
    """The answer that an exception of obstore quotes; None when it has none, as when no server answered.

    obstore's classes tell little, but its text holds the status and, unless the request was a HEAD, the whole error
    document of the protocol, whose code is read here.
    """
    text = str(exc)
    status = re.search(r"status code: (\d{3})\b", text)
    if status is None:
        return None
    found = {name: re.search(rf"<{name}>([^<]*)</{name}>", text) for name in ("Code", "Region", "Message")}
    code, region, message = (match[1] if match else None for match in found.values())
    return Refusal(int(status[1]), code, region, message or "")


@contextmanager
def boto3_errors(store: str, what: str) -> Iterator[None]:
    """Map what boto3 raises in the block."""
    from botocore import exceptions as boto

    try:
        yield
    except boto.ClientError as exc:
        raise boto3_refusal(exc).error(store, what) from exc
    except (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError) as exc:
        raise CredentialsNotFound(f"store {store!r} could not {what}: {exc}") from exc
    except (boto.ConnectTimeoutError, boto.ReadTimeoutError) as exc:
        raise StoreTimeout(f"store {store!r} could not {what}: {exc}") from exc
    except (boto.ConnectionError, boto.HTTPClientError, boto.EndpointConnectionError) as exc:
        raise StoreUnavailable(f"store {store!r} could not {what}: {exc}") from exc
    except boto.ParamValidationError as exc:
        raise ConfigurationError(f"store {store!r} could not {what}: {exc}") from exc


def boto3_refusal(exc: Any) -> Refusal:
    """The answer inside boto3's ClientError."""
    error = exc.response.get("Error", {})
    facts = exc.response.get("ResponseMetadata", {})
    code = error.get("Code")
    region = facts.get("HTTPHeaders", {}).get("x-amz-bucket-region") or error.get("Region")
    return Refusal(
        facts.get("HTTPStatusCode", 0),
        None if code and code.isdigit() else code,  # the answer to a HEAD has no document, so boto3 repeats its status
        region,
        error.get("Message", ""),
    )


@contextmanager
def minio_errors(store: str, what: str) -> Iterator[None]:
    """Map what MinIO's client raises in the block."""
    import urllib3
    from minio.error import InvalidResponseError, S3Error, ServerError

    try:
        yield
    except S3Error as exc:
        raise _minio_refusal(exc).error(store, what) from exc
    except ServerError as exc:
        raise Refusal(exc.status_code, message=str(exc)).error(store, what) from exc
    except InvalidResponseError as exc:
        raise StoreUnavailable(f"store {store!r} could not {what}: what answered does not speak S3: {exc}") from exc
    except (urllib3.exceptions.HTTPError, ConnectionError) as exc:
        cause = exc.reason if isinstance(exc, urllib3.exceptions.MaxRetryError) else exc
        refused = urllib3.exceptions.NewConnectionError  # urllib3 counts it among the timeouts
        is_timeout = isinstance(cause, urllib3.exceptions.TimeoutError) and not isinstance(cause, refused)
        kind = StoreTimeout if is_timeout else StoreUnavailable
        raise kind(f"store {store!r} could not {what}: {exc}") from exc


def _minio_refusal(exc: Any) -> Refusal:
    region = exc.response.headers.get("x-amz-bucket-region") if exc.response is not None else None
    status = exc.response.status if exc.response is not None else 0
    return Refusal(status, exc.code, region, exc.message or "")
