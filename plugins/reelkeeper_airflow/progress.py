"""How far a job is, as log lines that come now and then."""

from collections.abc import Callable
from time import monotonic
from typing import Protocol

from reelkeeper.wording import duration, size


class Logs(Protocol):
    """A logger: the standard library's, or a task's own."""

    def info(self, event: str, *args: object) -> None: ...


class ProgressLog:
    """A `Progress` that logs share, rate and the time that is left, at most every `every_seconds`, and at the end."""

    def __init__(
        self, log: Logs, what: str, *, every_seconds: float = 5.0, clock: Callable[[], float] = monotonic
    ) -> None:
        """`what` is counted: "segments"."""
        self._log, self._what, self._every, self._clock = log, what, every_seconds, clock
        self._started = self._told = clock()
        self._first_bytes: int | None = None
        self._last: tuple[int, int, int, int] | None = None

    def __call__(self, items_done: int, items_total: int, bytes_done: int, bytes_total: int) -> None:
        if self._first_bytes is None:
            self._first_bytes = bytes_done  # what an earlier try has done does not count for the rate
        state = (items_done, items_total, bytes_done, bytes_total)
        now = self._clock()
        ended = items_done >= items_total and bytes_done >= bytes_total
        if state == self._last or (not ended and now - self._told < self._every):
            return
        self._told, self._last = now, state
        rate = (bytes_done - self._first_bytes) / max(now - self._started, 0.001)
        left = f", {duration((bytes_total - bytes_done) / rate)} left" if rate and not ended else ""
        share = bytes_done / bytes_total if bytes_total else items_done / max(items_total, 1)
        self._log.info(
            "%d of %d %s, %s of %s (%.0f %%), %s/s%s",
            items_done, items_total, self._what, size(bytes_done), size(bytes_total), 100 * share, size(rate), left,
        )  # fmt: skip


class ShareLog:
    """Told how much of a task is done, from 0 to 1, it logs the percents, at most every `every_seconds`."""

    def __init__(
        self, log: Logs, what: str, *, every_seconds: float = 5.0, clock: Callable[[], float] = monotonic
    ) -> None:
        self._log, self._what, self._every, self._clock = log, what, every_seconds, clock
        self._started = self._told = clock()

    def __call__(self, done_ratio: float) -> None:
        now = self._clock()
        if done_ratio < 1 and now - self._told < self._every:
            return
        self._told = now
        taken = now - self._started
        left = f", {duration(taken / done_ratio - taken)} left" if 0 < done_ratio < 1 else ""
        self._log.info("%s: %.0f %%%s", self._what, 100 * done_ratio, left)
