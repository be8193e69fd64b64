"""The work of one tiering task: move a batch's replicas to their new tiers, and record what became of each.

`moves` has the ways in which they move. Where they are copied, the object that was there before is condemned. Order
(invariant 3): write → verify → record, and only then condemn. A kill between any two leaves claims whose lease ends and
objects that the next try finds as they should be; a move that fails leaves the replica where it is, valid and readable.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.condemnations import Condemned
from reelkeeper.catalogue.records import Batch
from reelkeeper.catalogue.tier_moves import Placed, TierItem
from reelkeeper.claims import Claims, Terms
from reelkeeper.errors import (
    AccessDenied,
    ObjectNotFound,
    PermanentError,
    ReelkeeperError,
    SourceCorrupted,
    StoreUnavailable,
    TransferCorrupted,
    TransientError,
)
from reelkeeper.model import BatchId, Progress
from reelkeeper.ownership import Ownership
from reelkeeper.policy.retention import Reason
from reelkeeper.pricing import price_lists
from reelkeeper.settings import Estate
from reelkeeper.stores.breaker import HOPELESS, Breaker
from reelkeeper.stores.protocols import Store, Tiers
from reelkeeper.stores.retry import retrying
from reelkeeper.tiering.choices import TieredStore, TierTarget
from reelkeeper.tiering.moves import Move, Mover, Outcome
from reelkeeper.tiering.stores import in_its_class

log = logging.getLogger(__name__)

_MOST_CLAIMS = 3
"""How often a move is claimed that fails transiently while its store works, before it fails for good."""


@dataclass(frozen=True, slots=True)
class TierResult:
    """What one call of `tier_batch` did. The state of the whole batch stands in the catalogue."""

    batch_id: BatchId
    moved: int
    failed: int  # for good; the replicas are where they were
    dropped: int  # not wanted any more
    moved_bytes: int
    barred: str | None = None  # why the rest of the batch was left alone; nothing of it is lost


def tier_batch(
    estate: Estate,
    open_catalogue: Callable[[], Catalogue],
    open_store: Callable[[str], Store],
    batch_id: BatchId,
    *,
    run_id: str,
    progress: Progress | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    current_estate: Callable[[], Estate] | None = None,
    lease: timedelta | None = None,
) -> TierResult:
    """Move what is open in a batch, and return when nothing of it is.

    `current_estate` is asked again before each chunk, so that setting the mode to local stops the work. Moves that
    cannot be made are recorded as failed, and the rest goes on; a replica whose object is gone or has other bytes
    becomes `suspicious`.

    Raises, after all else is recorded: StoreUnavailable when moves are back in the queue for the task's next try; the
    store's own PermanentError (BucketNotFound, StoreFull, StoreNotOurs …) when it cannot be used at all.
    """
    with open_catalogue() as catalogue:
        batch = retrying()(catalogue.transfers.get, batch_id)
        terms = Terms(lease or estate.lease, now, time.sleep, retrying())
        return _Worker(current_estate or (lambda: estate), catalogue, open_store, batch, terms, run_id, progress).run()


class _Worker:
    """One worker on one batch. Stores are asked in threads, the catalogue in the caller's alone."""

    def __init__(
        self,
        current_estate: Callable[[], Estate],
        catalogue: Catalogue,
        open_store: Callable[[str], Store],
        batch: Batch,
        terms: Terms,
        run_id: str,
        progress: Progress | None,
    ) -> None:
        if batch.store is None:
            raise ValueError(f"batch {str(batch.id)!r} of job {batch.job!r} has no store: expected one of job 'tier'")
        self._current_estate, self._catalogue = current_estate, catalogue
        self._batch, self._terms, self._run_id, self._progress = batch, terms, run_id, progress
        estate = current_estate()
        self._tiered = TieredStore(estate, price_lists(estate), estate.store(batch.store))
        self._store = open_store(batch.store)
        self._ownership = Ownership(catalogue, open_store)
        self._claims = Claims(catalogue.tier_moves, batch, terms)
        self._breaker = Breaker(batch.store)
        self._mover = Mover(
            self._tiered, self._store, open_store, ownership=self._ownership, claims=self._claims, terms=terms,
            breaker=self._breaker, verify=lambda: current_estate().migration.verify,
        )  # fmt: skip
        self._moved = self._failed = self._dropped = self._moved_bytes = 0
        self._first_error: ReelkeeperError | None = None
        self._barred: str | None = None

    def run(self) -> TierResult:
        """Work until nothing of the batch is open, or nothing more may be done."""
        self._ownership.require(self._store.name)
        for items in self._claims.chunks():
            self._work_on(items)
            self._tell()
            if self._breaker.error() or (self._barred and all(item.attempts == 1 for item in items)):
                break  # what another try began is looked at in any case
        return self._result()

    def _result(self) -> TierResult:
        dropped, left = self._breaker.error(), len(self._claims.put_back)
        if isinstance(dropped, PermanentError):
            raise dropped
        error = dropped or self._first_error
        if error is not None and left:
            raise StoreUnavailable(
                f"{left} of {self._batch.item_count} replicas of batch {str(self._batch.id)!r} are left for the next "
                f"try: {error}"
            ) from error
        return TierResult(self._batch.id, self._moved, self._failed, self._dropped, self._moved_bytes, self._barred)

    # --- one chunk ----------------------------------------------------------------------------------------------------

    def _work_on(self, items: Sequence[TierItem]) -> None:
        groups: dict[tuple[bool, str], list[Move]] = {}
        for item in items:
            target = self._wanted(item)
            if target is not None:
                groups.setdefault((target.is_carried, target.settings.name), []).append((item, target))
        for moves in groups.values():
            self._record(list(self._mover.move(moves)))

    def _wanted(self, item: TierItem) -> TierTarget | None:
        """Where the replica goes, if that is still wanted and allowed."""
        target = self._tiered.target(item.to_tier)
        unwanted = self._unwanted(item, target)
        if target is not None and unwanted is None:
            self._barred = self._barred or self._forbidden(target)
            if self._barred is None:
                return target
        if item.attempts > 1 and self._has_moved(item):
            return None
        if unwanted is not None:
            self._drop(item, unwanted)
        else:
            self._claims.let_go(item)
        return None

    def _unwanted(self, item: TierItem, target: TierTarget | None) -> str | None:
        if target is None:
            return f"store {self._batch.store!r} has no tier {str(item.to_tier)!r} any more"
        if item.is_held and target.price.must_restore:
            return "it is held, and must stay readable"
        if target.settings.name in item.other_stores:
            return f"store {target.settings.name!r} has a copy of it already"
        return None

    def _has_moved(self, item: TierItem) -> bool:
        """Whether nothing is left to decide: a try that was killed changed the class, which is recorded, or nobody can
        tell, and the next try asks."""
        if not isinstance(self._store, Tiers):
            return False
        try:
            seen = in_its_class(self._store, self._tiered.settings, item.replica, otherwise=item.to_tier)
        except ReelkeeperError as error:
            log.warning("segment %s may be in tier %s already: %s", item.claim_name, item.to_tier, error)
            if self._barred is None:
                self._first_error = self._first_error or error
            self._claims.let_go(item)
            return True
        if seen is None:
            return False
        self._terms.retry(self._catalogue.replicas.reclass, [seen], now=self._terms.now())
        if seen.tier is not item.to_tier:
            return False
        log.warning("segment %s is in tier %s already, where an earlier try put it", item.claim_name, seen.tier)
        self._terms.retry(self._catalogue.tier_moves.settle, self._batch.id, [item], "done")
        self._claims.settled(item)
        self._moved += 1
        self._moved_bytes += item.size_bytes
        return True

    def _forbidden(self, target: TierTarget) -> str | None:
        estate = self._current_estate()
        return TieredStore(estate, {}, estate.store(self._tiered.settings.name)).forbidden(target)

    # --- what became of it --------------------------------------------------------------------------------------------

    def _record(self, outcomes: Sequence[Outcome]) -> None:
        placed = []
        for item, outcome in outcomes:
            if isinstance(outcome, Placed):
                self._breaker.succeeded()
                placed.append(outcome)
            else:
                self._take_error(item, outcome)
        if placed:
            self._settle(placed)

    def _settle(self, placed: Sequence[Placed]) -> None:
        """Record, and condemn what the copies left behind, in one transaction."""
        done = self._terms.retry(self._place, placed)
        names = {each.item.claim_name for each in done}
        for each in placed:
            if each.item.claim_name in names:
                self._claims.settled(each.item)
                self._moved += 1
                self._moved_bytes += each.item.size_bytes
            else:
                self._fail(each.item, "replica_changed", "its replica was condemned, doubted or moved meanwhile, or "
                           "what is at its new place is condemned: it stays where it is")  # fmt: skip

    def _place(self, placed: Sequence[Placed]) -> list[Placed]:
        now, estate = self._terms.now(), self._current_estate()
        with self._catalogue.transaction():
            done = self._catalogue.tier_moves.place(self._batch.id, placed, now=now)
            left = [
                Condemned(
                    each.item.replica.store, each.item.replica.path, Reason.MOVED, each.item.size_bytes,
                    each.item.replica.segment_id, each.item.replica.start_time,
                )
                for each in done
                if each.is_copy
            ]  # fmt: skip
            if left:
                grace = timedelta(hours=estate.retention.grace_hours)
                self._catalogue.condemnations.condemn(left, run_id=self._run_id, now=now, delete_after=now + grace)
        return done

    def _take_error(self, item: TierItem, error: ReelkeeperError) -> None:
        if isinstance(error, (TransientError, AccessDenied, *HOPELESS)) and not isinstance(error, TransferCorrupted):
            self._breaker.failed(error)
            self._first_error = self._first_error or error
            if self._breaker.error() or item.attempts < _MOST_CLAIMS:  # a store that fails is not the segment's fault
                self._claims.let_go(item)
                return
        elif isinstance(error, SourceCorrupted) or (
            isinstance(error, (ObjectNotFound, TransferCorrupted)) and self._is_wrong(item)
        ):
            self._terms.retry(self._catalogue.replicas.suspect, [item.replica])
        self._fail(item, error.code, str(error))

    def _is_wrong(self, item: TierItem) -> bool:
        """Whether the object itself is gone or of another size, and not what it was copied to."""
        try:
            return self._store.stat(item.replica.path).size_bytes != item.size_bytes
        except ObjectNotFound:
            return True
        except ReelkeeperError:  # unknown
            return False

    def _fail(self, item: TierItem, code: str, why: str) -> None:
        log.warning("segment %s stays in tier %s: %s", item.claim_name, item.replica.tier, why)
        settle = self._catalogue.tier_moves.settle
        self._terms.retry(settle, self._batch.id, [item], "failed", code=code, error=why)
        self._claims.settled(item)
        self._failed += 1

    def _drop(self, item: TierItem, why: str) -> None:
        self._terms.retry(self._catalogue.tier_moves.settle, self._batch.id, [item], "dropped", error=why)
        self._claims.settled(item)
        self._dropped += 1

    def _tell(self) -> None:
        if self._progress:
            done = self._claims
            self._progress(done.items_done, self._batch.item_count, done.bytes_done, self._batch.size_bytes)
