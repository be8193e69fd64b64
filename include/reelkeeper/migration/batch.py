"""The work of one migration task: copy a batch's segments to their destination, and record what became of each.

Order (invariant 3): write → verify → record. A kill between any two leaves claims whose lease ends, and objects that
the next try meets, compares and takes for its own. Several workers may share a batch: each claims some items at a time,
and stays until those of the others are settled, so that one that died is stood in for. `recording` has the half that
speaks with the catalogue.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.records import Batch, TransferItem, TransferRecord
from reelkeeper.errors import (
    AccessDenied,
    ObjectNotFound,
    PermanentError,
    ReelkeeperError,
    SourceCorrupted,
    StoreUnavailable,
    TransientError,
)
from reelkeeper.media_options import media_options
from reelkeeper.migration.placing import Placing
from reelkeeper.migration.recording import Recorder
from reelkeeper.migration.terms import Terms
from reelkeeper.model import BatchId, Progress, Replica, ReplicaState, StoreName
from reelkeeper.pricing import WritePlace
from reelkeeper.settings import Estate
from reelkeeper.stores.breaker import HOPELESS
from reelkeeper.stores.protocols import Store
from reelkeeper.stores.retry import retrying
from reelkeeper.stores.transfer import Transfer, Transferred, Verify, transfer_all

log = logging.getLogger(__name__)

_POLL_SECONDS = 1.0
_MODE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What one call of `transfer_batch` did. The state of the whole batch stands in the catalogue."""

    batch_id: BatchId
    succeeded: int
    failed: int  # for good
    succeeded_bytes: int
    barred: str | None = None  # why the rest of the batch was left alone; nothing of it is lost
    archived: int = 0  # of those that succeeded: must be restored before the copy can be read
    source: StoreName | None = None  # what was read; None: nothing was


def transfer_batch(
    estate: Estate,
    open_catalogue: Callable[[], Catalogue],
    open_store: Callable[[str], Store],
    batch_id: BatchId,
    *,
    verify: Verify | None = None,
    delete_local: bool = True,
    progress: Progress | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    current_estate: Callable[[], Estate] | None = None,
    lease: timedelta | None = None,
) -> BatchResult:
    """Copy what is open in a batch, and return when nothing of it is.

    `verify` overrides the estate's. With `delete_local` the source copies of a local store get their retirement date,
    `local_retention_days` after now; without, they stay for good. `current_estate` is asked again about once
    a second, so that setting the mode to local stops the work. Segments that cannot be copied are recorded as failed,
    and the rest goes on; a source copy that is gone or has other bytes becomes `suspicious`: no read is sent to it.

    Raises, after all else is recorded: StoreUnavailable when segments are back in the queue for the task's next try;
    the store's own PermanentError (BucketNotFound, AccessDenied …) when it cannot be used at all.
    """
    with open_catalogue() as catalogue:
        batch = retrying()(catalogue.transfers.get, batch_id)
        terms = Terms(
            verify or estate.migration.verify, delete_local, lease or estate.lease, now,
            current_estate or (lambda: estate),
        )  # fmt: skip
        worker = _Worker(catalogue, open_store, batch, terms, progress)
        try:
            worker.run()
        finally:
            worker.settle()
    return worker.result()


class _Worker:
    """One worker on one batch."""

    def __init__(
        self,
        catalogue: Catalogue,
        open_store: Callable[[str], Store],
        batch: Batch,
        terms: Terms,
        progress: Progress | None,
    ) -> None:
        if batch.store is None:
            raise ValueError(
                f"batch {str(batch.id)!r} of job {batch.job!r} has no store: expected one of job 'migrate'"
            )
        self._open_store, self._batch, self._terms = open_store, batch, terms
        self._destination = terms.current_estate().store(batch.store)
        self._placing = Placing(self._destination, open_store, terms)
        self._recorder = Recorder(catalogue, batch, self._destination, terms, progress)
        self._dropped: ReelkeeperError | None = None  # a store is not asked any more
        self._barred: str | None = None
        self._source: StoreName | None = None
        self._ask_mode_at = monotonic()

    def run(self) -> None:
        """Work until nothing of the batch is open, or nothing more may be done."""
        while not self._stops():
            items = self._recorder.claim()
            if items:
                self._transfer(items)
            elif self._recorder.others_are_at_work():
                sleep(_POLL_SECONDS)
                self._recorder.keep_up()
            else:
                return

    def settle(self) -> None:
        """Record what is known, and give back every claim that is left."""
        self._recorder.settle(store_was_dropped=self._dropped is not None)

    def result(self) -> BatchResult:
        """What was done. Raises the error that keeps the batch from being complete, if there is one."""
        if isinstance(self._dropped, PermanentError):
            raise self._dropped
        done = self._recorder
        error = self._dropped or done.first_error
        if error is not None and done.left:
            raise StoreUnavailable(
                f"{done.left} of {self._batch.item_count} segments of batch {str(self._batch.id)!r} are left for the "
                f"next try: {error}"
            ) from error
        if done.archived:
            log.warning("%d replicas of batch %s are in classes of store %r that must be restored before they can be "
                        "read: they are read from the local copies, for migration.local_retention_days",
                        done.archived, self._batch.id, self._destination.name)  # fmt: skip
        return BatchResult(
            self._batch.id, done.succeeded, done.failed, done.succeeded_bytes, self._barred, done.archived, self._source
        )

    # --- whether to go on ---------------------------------------------------------------------------------------------

    def _stops(self) -> bool:
        """Whether nothing more may be begun: the mode forbids it, or a store was dropped."""
        return self._is_barred() or self._dropped is not None

    def _is_barred(self) -> bool:
        """Whether the mode forbids to go on; it is asked about once a second."""
        if self._barred is None and monotonic() >= self._ask_mode_at:
            self._ask_mode_at = monotonic() + _MODE_SECONDS
            self._barred = self._terms.current_estate().barred(self._destination)
            if self._barred:
                log.warning("batch %s stops: %s", self._batch.id, self._barred)
        return self._barred is not None

    # --- copying ------------------------------------------------------------------------------------------------------

    def _transfer(self, items: list[TransferItem]) -> None:
        """Copy these segments and what else can be claimed."""
        self._source = items[0].source_store
        source = self._open_store(self._source)
        before = self._recorder.bytes_done
        with closing(
            transfer_all(
                source,
                self._open_store(self._destination.name),
                self._claimed(items),
                concurrency=self._destination.concurrency,
                verify=self._terms.verify,
                progress=lambda read: self._recorder.keep_up(before + read),
                now=self._terms.now,
            )
        ) as outcomes:
            for outcome in outcomes:
                self._take(outcome)
                self._recorder.record_what_is_due()
                if self._is_barred():  # what is under way is given up, and stays in the queue
                    break
        self._recorder.record()

    def _claimed(self, items: list[TransferItem]) -> Iterator[Transfer[tuple[TransferItem, WritePlace]]]:
        source = items[0].source_store
        while items:
            for item in items:
                if item.source_store != source:
                    raise ValueError(
                        f"batch {str(self._batch.id)!r} has two sources: {source!r}, {item.source_store!r}"
                    )
                if self._dropped:
                    return
                place = self._placing.choose(item)
                options = media_options(self._destination, item.extension, place.storage_class)
                yield Transfer(
                    item.source_path, item.destination_path, item.size_bytes, item.checksum, options, (item, place)
                )
            items = [] if self._stops() else self._recorder.claim()

    # --- what became of it --------------------------------------------------------------------------------------------

    def _take(self, outcome: Transferred[tuple[TransferItem, WritePlace]]) -> None:
        (item, place), error = outcome.transfer.token, outcome.error
        if error is not None and not outcome.attempts:
            self._dropped = self._dropped or error
            return
        record = TransferRecord(
            item.segment_id, item.start_time, item.source_store, item.destination_store, item.size_bytes,
            outcome.started_at, outcome.finished_at,
            error_code=error.code if error else None, error=str(error) if error else None,
        )  # fmt: skip
        if error is None:
            if outcome.existing is not None:
                place = place.of_existing(self._destination, outcome.existing.storage_class)
            replica = Replica(
                item.segment_id, item.start_time, item.destination_store, item.destination_path, item.size_bytes,
                item.checksum, ReplicaState.AVAILABLE, verified_at=outcome.finished_at,
                storage_class=place.storage_class, tier=place.tier,
            )  # fmt: skip
            self._recorder.take_copy(item, record, replica)
        elif isinstance(error, (TransientError, AccessDenied, *HOPELESS)):
            # A refused access may be about one object, or a right that somebody is about to give back.
            if isinstance(error, HOPELESS):
                self._dropped = self._dropped or error
            self._recorder.try_again(item, record, error)
        else:
            log.warning("segment %s cannot be copied to store %r: %s", item.segment_id, item.destination_store, error)
            is_wrong = isinstance(error, SourceCorrupted) or (isinstance(error, ObjectNotFound) and self._is_gone(item))
            self._recorder.take_failure(item, record, source_is_wrong=is_wrong)

    def _is_gone(self, item: TransferItem) -> bool:
        """Whether it is the source that has no such object, and not the destination that lacks something."""
        try:
            self._open_store(item.source_store).stat(item.source_path)
        except ObjectNotFound:
            return True
        except ReelkeeperError:  # unknown
            return False
        return False
