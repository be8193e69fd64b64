"""The circuit breaker: a store that keeps failing is dropped for the rest of a batch.

One sick endpoint would otherwise cost every further object its three tries and its place in the error budget. A breaker
lives as long as one batch in one worker: the task's next try asks the store anew.
"""

import threading

from reelkeeper.errors import (
    AccessDenied,
    BucketNotFound,
    BucketOwnedByOther,
    CredentialsNotFound,
    ReelkeeperError,
    RegionMismatch,
    StoreFull,
    StoreNotOurs,
    StoreUnavailable,
    TransientError,
)
from reelkeeper.model import StoreName

FAILURES_IN_A_ROW = 5

HOPELESS = (BucketNotFound, BucketOwnedByOther, CredentialsNotFound, RegionMismatch, StoreFull, StoreNotOurs)
"""What one object has met every further one would meet."""


class Breaker:
    """Watches one store. Safe for threads.

    The store is dropped after `failures_in_a_row` objects that failed transiently, each after all its tries, without
    one success between them; or at the first error that holds for the whole store. A refused access counts like a
    transient failure, as it may be about one object (a file's mode, a policy on a prefix).
    """

    def __init__(self, store: StoreName, *, failures_in_a_row: int = FAILURES_IN_A_ROW) -> None:
        self.store = store
        self._limit = failures_in_a_row
        self._lock = threading.Lock()
        self._failures = 0
        self._cause: ReelkeeperError | None = None

    @property
    def cause(self) -> ReelkeeperError | None:
        """The failure that made the store be dropped; None while it is in use."""
        return self._cause

    def error(self) -> ReelkeeperError | None:
        """What to answer instead of asking the store; None while it is in use.

        Of the cause's class, so that it says the same about retrying.
        """
        cause = self._cause
        if cause is None:
            return None
        kind = type(cause) if not isinstance(cause, TransientError) else StoreUnavailable
        error = kind(f"store {self.store!r} was dropped for this batch, not asked again: {cause}")
        error.__cause__ = cause
        return error

    def require(self) -> None:
        """Raises `error()` once the store is dropped."""
        if dropped := self.error():
            raise dropped

    def succeeded(self) -> None:
        """The store did what was asked of it, or answered sensibly about one object."""
        if self._failures:
            with self._lock:
                self._failures = 0

    def failed(self, error: ReelkeeperError) -> None:
        """The store failed for one object, after all tries."""
        if not isinstance(error, (TransientError, AccessDenied, *HOPELESS)):
            self.succeeded()
            return
        with self._lock:
            self._failures += 1
            if self._cause is None and (self._failures >= self._limit or isinstance(error, HOPELESS)):
                self._cause = error
