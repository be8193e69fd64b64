"""The files of a batch that a worker has claimed, and the threads that work on them."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import TypeVar

from tenacity import Retrying

from reelkeeper.catalogue.landing import Landing
from reelkeeper.catalogue.records import Batch, LandingFile
from reelkeeper.errors import ReelkeeperError

T = TypeVar("T")
R = TypeVar("R")

_FIRST_CLAIM, _MOST_CLAIMED = 32, 512
_CLAIM_SECONDS = 10.0
"""How long the work on one claim should take."""
_POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Terms:
    """How a call of `ingest_batch` works."""

    lease: timedelta
    now: Callable[[], datetime]
    sleep: Callable[[float], None]
    retry: Retrying


class Claims:
    """Claims some files at a time, and renews their lease while they are worked on.

    Not for several threads: the catalogue has one connection.
    """

    def __init__(self, landing: Landing, batch: Batch, terms: Terms, *, most: int = _MOST_CLAIMED) -> None:
        """`most`: files to claim at once, where each takes room until it is settled."""
        self._landing, self._batch, self._terms, self._most = landing, batch, terms, most
        self._in_hand: dict[str, LandingFile] = {}  # claimed by us, and not settled in the catalogue
        self.put_back: list[LandingFile] = []
        """Files that could not be taken in for now, pending again. This worker does not claim them a second time."""
        self._extended_at = monotonic()
        self.items_done = self.bytes_done = 0
        self.lost = False
        """Whether somebody else has taken over a file of the last chunk."""

    def chunks(self) -> Iterator[list[LandingFile]]:
        """Files to work on, until none of the batch is open. Waits while others hold claims: they may have died."""
        size = min(_FIRST_CLAIM, self._most)
        while True:
            started = monotonic()
            files = self._terms.retry(
                self._landing.claim, self._batch.id, size, self._terms.lease, passing_over=self._passing_over()
            )
            self._in_hand = {file.path: file for file in files}
            self._extended_at = monotonic()
            self.lost = False
            if files:
                yield files
                rate = len(files) / max(monotonic() - started, 0.001)
                size = min(max(int(rate * _CLAIM_SECONDS), _FIRST_CLAIM), self._most)
            elif self._others_are_at_work():
                self._terms.sleep(_POLL_SECONDS)
            else:
                return

    def each(
        self, pool: Executor, work: Callable[[T], R], items: Iterable[T]
    ) -> Iterator[tuple[T, R | ReelkeeperError]]:
        """Each item with the result of `work`, or its error, as they come. Anything else that is raised passes."""
        futures: dict[Future[R], T] = {pool.submit(work, item): item for item in items}
        try:
            while futures:
                done, _ = wait(futures, timeout=self._terms.lease.total_seconds() / 4, return_when=FIRST_COMPLETED)
                self._renew()
                for future in done:
                    item = futures.pop(future)
                    try:
                        yield item, future.result()
                    except ReelkeeperError as error:
                        yield item, error
        finally:
            for future in futures:
                future.cancel()

    def settled(self, file: LandingFile) -> None:
        """What became of the file stands in the catalogue."""
        self._in_hand.pop(file.path, None)
        self.items_done += 1
        self.bytes_done += file.size_bytes

    def let_go(self, file: LandingFile) -> None:
        """The file cannot be taken in for now; whether somebody tries again is decided when the batch is through."""
        self._terms.retry(self._landing.put_back, self._batch.id, [file])
        self.put_back.append(file)
        self.settled(file)

    def _passing_over(self) -> list[str]:
        return [file.path for file in self.put_back]

    def _renew(self) -> None:
        if self._in_hand and monotonic() - self._extended_at >= self._terms.lease.total_seconds() / 4:
            self._extended_at = monotonic()
            files = list(self._in_hand.values())
            extended = self._terms.retry(self._landing.extend, self._batch.id, files, self._terms.lease)
            self.lost = self.lost or extended < len(files)

    def _others_are_at_work(self) -> bool:
        return self._terms.retry(self._landing.open_files, self._batch.id, passing_over=self._passing_over()) > 0
