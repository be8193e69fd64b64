"""Trying again at the client's level: three tries, waits of 1 s → 2 s → 4 s with jitter, on transient errors only.

One policy for all clients of stores and catalogue; an SDK's own retries are switched off, or tries would multiply. What
still fails after this is for the task's retries, minutes later.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from tenacity import Retrying, retry_if_exception, sleep_using_event, stop_after_attempt, wait_exponential_jitter

from reelkeeper.errors import StillGrowing, TransientError

TRIES = 3
FIRST_WAIT_SECONDS = 1.0
_tried_once: ContextVar[bool] = ContextVar("tried_once", default=False)


@contextmanager
def without_retries() -> Iterator[None]:
    """What this thread calls in here is tried once: somebody waits for the answer, and asks again by himself."""
    token = _tried_once.set(True)
    try:
        yield
    finally:
        _tried_once.reset(token)


def worth_retrying(error: BaseException) -> bool:
    """Whether the same call may succeed some seconds later. A file that still grows needs longer: it is deferred."""
    return isinstance(error, TransientError) and not isinstance(error, StillGrowing)


def retrying(
    *, tries: int = TRIES, first_wait_seconds: float | None = None, stopped: threading.Event | None = None
) -> Retrying:
    """A tenacity caller: `retrying()(function, *arguments)` returns the result, or raises the last error as it is.

    The wait doubles from `first_wait_seconds` (None: FIRST_WAIT_SECONDS) up to four times it, each with jitter of up to
    one `first_wait_seconds` more, which keeps many clients from coming back in step. Setting `stopped` ends a wait at
    once. Threads may share it. One made inside `without_retries()` tries once.
    """
    first = FIRST_WAIT_SECONDS if first_wait_seconds is None else first_wait_seconds
    return Retrying(
        sleep=sleep_using_event(stopped or threading.Event()),
        stop=stop_after_attempt(1 if _tried_once.get() else tries),
        wait=wait_exponential_jitter(multiplier=first, max=4 * first, jitter=first),
        retry=retry_if_exception(worth_retrying),
        reraise=True,
    )
