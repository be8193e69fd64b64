"""What Google Cloud Storage refuses, as errors of the core: by status and reason, never by a message's words."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from requests.exceptions import RequestException, Timeout

from reelkeeper.errors import (
    AccessDenied,
    CredentialsNotFound,
    ObjectExists,
    ObjectNotFound,
    PermanentError,
    ReelkeeperError,
    StoreFull,
    StoreTimeout,
    StoreUnavailable,
    TransferCorrupted,
)

_STATUSES: Mapping[int, type[ReelkeeperError]] = {
    401: AccessDenied,
    403: AccessDenied,
    404: ObjectNotFound,
    408: StoreTimeout,
    412: ObjectExists,
    429: StoreUnavailable,
    501: PermanentError,
    504: StoreTimeout,
    507: StoreFull,
}
_REASONS: Mapping[str, type[ReelkeeperError]] = {
    "rateLimitExceeded": StoreUnavailable,
    "userRateLimitExceeded": StoreUnavailable,
    "backendError": StoreUnavailable,
    "quotaExceeded": StoreFull,
    "dailyLimitExceeded": StoreFull,
}


@contextmanager
def gcs_errors(store: str, what: str) -> Iterator[None]:
    """Map what google-cloud-storage raises in the block."""
    problem = f"store {store!r} could not {what}"
    try:
        yield
    except GoogleAPICallError as exc:
        raise _error(exc.code or 0, exc.response)(f"{problem}: the server answered {exc}") from exc
    except InvalidResponse as exc:
        raise _error(exc.response.status_code, exc.response)(f"{problem}: the server answered {exc}") from exc
    except DataCorruption as exc:
        raise TransferCorrupted(f"{problem}: {exc}") from exc
    except DefaultCredentialsError as exc:
        raise CredentialsNotFound(f"{problem}: {exc}") from exc
    except RefreshError as exc:
        raise (StoreUnavailable if exc.retryable else AccessDenied)(f"{problem}: {exc}") from exc
    except Timeout as exc:
        raise StoreTimeout(f"{problem}: {exc}") from exc
    except (RequestException, GoogleAuthError, RetryError, ConnectionError) as exc:
        if isinstance(exc, ReelkeeperError):
            raise
        raise StoreUnavailable(f"{problem}: {exc}") from exc


def _error(status: int, response: Any) -> type[ReelkeeperError]:
    for reason in _reasons(response):
        if reason in _REASONS:
            return _REASONS[reason]
    return _STATUSES.get(status) or (StoreUnavailable if status >= 500 else PermanentError)


def _reasons(response: Any) -> list[str]:
    """What the service's error document gives as reasons; nothing when the answer is another's, as a proxy's page."""
    try:
        return [error["reason"] for error in response.json()["error"]["errors"]]
    except (AttributeError, ValueError, LookupError, TypeError):
        return []
