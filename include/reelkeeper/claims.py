"""What a worker has claimed of a batch, kept its own by a lease, and the threads that work on it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Generic, Protocol, TypeVar

from tenacity import Retrying

from reelkeeper.catalogue.records import Batch
from reelkeeper.errors import ReelkeeperError
from reelkeeper.model import BatchId

T = TypeVar("T")
R = TypeVar("R")

_FIRST_CLAIM, _MOST_CLAIMED = 32, 512
_CLAIM_SECONDS = 10.0
"""How long the work on one claim should take."""
_POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Terms:
    """How a worker works on a batch."""

    lease: timedelta
    now: Callable[[], datetime]
    sleep: Callable[[float], None]
    retry: Retrying


class Claimable(Protocol):
    """One item of a batch."""

    @property
    def claim_name(self) -> str:
        """What names it in its batch."""

    @property
    def size_bytes(self) -> int: ...


C = TypeVar("C", bound=Claimable)


class Ledger(Protocol[C]):
    """The repository that knows who has claimed what of a batch."""

    def claim(
        self, batch_id: BatchId, limit: int, lease: timedelta, /, *, passing_over: Sequence[str] = ()
    ) -> list[C]: ...
    def extend(self, batch_id: BatchId, items: Sequence[C], lease: timedelta, /) -> int: ...
    def put_back(self, batch_id: BatchId, items: Sequence[C], /) -> None: ...
    def open_items(self, batch_id: BatchId, /, *, passing_over: Sequence[str] = ()) -> int: ...


class Claims(Generic[C]):
    """Claims some items at a time, and renews their lease while they are worked on.

    Not for several threads: the catalogue has one connection.
    """

    def __init__(self, ledger: Ledger[C], batch: Batch, terms: Terms, *, most: int = _MOST_CLAIMED) -> None:
        """`most`: items to claim at once, where each takes room until it is settled."""
        self._ledger, self._batch, self._terms, self._most = ledger, batch, terms, most
        self._in_hand: dict[str, C] = {}  # claimed by us, and not settled in the catalogue
        self.put_back: list[C] = []
        """Items that could not be worked on for now, pending again. This worker does not claim them a second time."""
        self._extended_at = monotonic()
        self.items_done = self.bytes_done = 0
        self.lost = False
        """Whether somebody else has taken over an item of the last chunk."""

    def chunks(self) -> Iterator[list[C]]:
        """Items to work on, until none of the batch is open. Waits while others hold claims: they may have died."""
        size = min(_FIRST_CLAIM, self._most)
        while True:
            started = monotonic()
            items = self._terms.retry(
                self._ledger.claim, self._batch.id, size, self._terms.lease, passing_over=self._passing_over()
            )
            self._in_hand = {item.claim_name: item for item in items}
            self._extended_at = monotonic()
            self.lost = False
            if items:
                yield items
                rate = len(items) / max(monotonic() - started, 0.001)
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
                self.renew()
                for future in done:
                    item = futures.pop(future)
                    try:
                        yield item, future.result()
                    except ReelkeeperError as error:
                        yield item, error
        finally:
            for future in futures:
                future.cancel()

    def settled(self, item: C) -> None:
        """What became of the item stands in the catalogue."""
        self._in_hand.pop(item.claim_name, None)
        self.items_done += 1
        self.bytes_done += item.size_bytes

    def let_go(self, item: C) -> None:
        """The item cannot be worked on for now; whether somebody tries again is decided when the batch is through."""
        self._terms.retry(self._ledger.put_back, self._batch.id, [item])
        self.put_back.append(item)
        self.settled(item)

    def _passing_over(self) -> list[str]:
        return [item.claim_name for item in self.put_back]

    def renew(self) -> None:
        """Renew the leases when it is time; to be called now and then by whoever does not use `each`."""
        if self._in_hand and monotonic() - self._extended_at >= self._terms.lease.total_seconds() / 4:
            self._extended_at = monotonic()
            items = list(self._in_hand.values())
            extended = self._terms.retry(self._ledger.extend, self._batch.id, items, self._terms.lease)
            self.lost = self.lost or extended < len(items)

    def _others_are_at_work(self) -> bool:
        return self._terms.retry(self._ledger.open_items, self._batch.id, passing_over=self._passing_over()) > 0
