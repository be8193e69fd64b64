"""The work of one migration task: copy a batch's segments to their destination, and record what became of each.

Order (invariant 3): write → verify → record. A kill between any two leaves claims whose lease ends, and objects that
the next try meets, compares and takes for its own. Several workers may share a batch: each claims some items at a time,
and stays until those of the others are settled, so that one that died is stood in for.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from time import monotonic, sleep

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.records import Batch, TransferItem, TransferRecord, TransferResult
from reelkeeper.errors import (
    AccessDenied,
    BeingDeleted,
    ObjectNotFound,
    PermanentError,
    ReelkeeperError,
    SourceCorrupted,
    StoreUnavailable,
    TransientError,
)
from reelkeeper.media_options import media_options
from reelkeeper.model import BatchId, Progress, Replica, ReplicaState, SegmentId, StoreName
from reelkeeper.policy.restoration import needs_restore
from reelkeeper.pricing import WritePlace, WritePlaces
from reelkeeper.settings import Estate, StoreSettings
from reelkeeper.stores.breaker import HOPELESS
from reelkeeper.stores.protocols import Store
from reelkeeper.stores.retry import retrying
from reelkeeper.stores.transfer import Transfer, Transferred, Verify, transfer_all

log = logging.getLogger(__name__)

_MOST_CLAIMS = 3
"""How often a segment is claimed whose transfer fails transiently while its stores work, before it fails for good.
A refused access counts like a transient failure."""
_CLAIM_ITEMS = 500
_CLAIM_BYTES = 2**28
"""The most that is claimed at once: another worker finds something to share, and a killed one holds up little."""
_RECORD_ITEMS = 1000
_RECORD_SECONDS = 2.0
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


def barred(estate: Estate, destination: StoreSettings) -> str | None:
    """Why nothing may go to the store as the estate is set now; None when it may."""
    if estate.is_local(destination) or estate.placement.mode in ("cloud", "hybrid"):
        return None
    return f"placement.mode is {estate.placement.mode!r}: nothing goes to store {destination.name!r}"


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
        worker = _Worker(
            catalogue,
            open_store,
            batch,
            _Terms(
                verify or estate.migration.verify,
                delete_local,
                lease or estate.lease,
                now,
                current_estate or (lambda: estate),
            ),
            progress,
        )
        try:
            worker.run()
        finally:
            worker.settle()
    return worker.result()


@dataclass(frozen=True, slots=True)
class _Terms:
    """How a call of `transfer_batch` works."""

    verify: Verify
    delete_local: bool
    lease: timedelta
    now: Callable[[], datetime]
    current_estate: Callable[[], Estate]


class _Worker:
    """One worker on one batch."""

    def __init__(
        self,
        catalogue: Catalogue,
        open_store: Callable[[str], Store],
        batch: Batch,
        terms: _Terms,
        progress: Progress | None,
    ) -> None:
        if batch.store is None:
            raise ValueError(
                f"batch {str(batch.id)!r} of job {batch.job!r} has no store: expected one of job 'migrate'"
            )
        self._transfers, self._replicas = catalogue.transfers, catalogue.replicas
        self._open_store, self._batch, self._terms, self._progress = open_store, batch, terms, progress
        self._destination = terms.current_estate().store(batch.store)
        self._places = WritePlaces(terms.current_estate())
        self._retry = retrying()
        self._in_hand: dict[SegmentId, TransferItem] = {}  # claimed by us, and not settled in the catalogue
        self._results: list[TransferResult] = []  # to be recorded
        self._suspects: list[Replica] = []  # source replicas that are not as recorded
        self._again: list[TransferResult] = []  # for the task's next try: held to the end, or this one would claim them
        self._dropped: ReelkeeperError | None = None  # a store is not asked any more
        self._first_error: ReelkeeperError | None = None  # of those to try again
        self._left = 0
        self._barred: str | None = None
        self._source: StoreName | None = None
        self._succeeded = self._failed = self._succeeded_bytes = self._archived = 0
        self._items_done = self._bytes_done = 0
        self._recorded_at = self._extended_at = self._ask_mode_at = monotonic()

    def run(self) -> None:
        """Work until nothing of the batch is open, or nothing more may be done."""
        counts = self._retry(self._transfers.counts, [self._batch.id])
        self._items_done, self._bytes_done = counts.done + counts.failed, counts.bytes_done
        while not self._stops():
            items = self._claim()
            if items:
                self._transfer(items)
            elif self._others_are_at_work():
                sleep(_POLL_SECONDS)
                self._keep_up()
            else:
                return

    def settle(self) -> None:
        """Record what is known, and give back every claim that is left."""
        self._record()
        for again in self._again:
            # One bad sector must not keep a run from ever ending; a store that was dropped is not the segment's fault.
            for_good = self._dropped is None and again.item.attempts >= _MOST_CLAIMS
            self._failed += for_good
            self._results.append(replace(again, retry=not for_good, may_pass=for_good))
        self._again = []
        known = {result.item.segment_id for result in self._results}
        untried = [item for name, item in self._in_hand.items() if name not in known]
        self._results += [TransferResult(item, None, None, retry=True) for item in untried]
        self._left = sum(result.retry for result in self._results)
        self._record()
        self._tell()

    def result(self) -> BatchResult:
        """What was done. Raises the error that keeps the batch from being complete, if there is one."""
        if isinstance(self._dropped, PermanentError):
            raise self._dropped
        error = self._dropped or self._first_error
        if error is not None and self._left:
            raise StoreUnavailable(
                f"{self._left} of {self._batch.item_count} segments of batch {str(self._batch.id)!r} are left for the "
                f"next try: {error}"
            ) from error
        if self._archived:
            log.warning("%d replicas of batch %s are in classes of store %r that must be restored before they can be "
                        "read: they are read from the local copies, for migration.local_retention_days",
                        self._archived, self._batch.id, self._destination.name)  # fmt: skip
        return BatchResult(
            self._batch.id, self._succeeded, self._failed, self._succeeded_bytes, self._barred, self._archived,
            self._source,
        )  # fmt: skip

    # --- claiming -----------------------------------------------------------------------------------------------------

    def _stops(self) -> bool:
        """Whether nothing more may be begun: the mode forbids it, or a store was dropped."""
        return self._is_barred() or self._dropped is not None

    def _is_barred(self) -> bool:
        """Whether the mode forbids to go on; it is asked about once a second."""
        if self._barred is None and monotonic() >= self._ask_mode_at:
            self._ask_mode_at = monotonic() + _MODE_SECONDS
            self._barred = barred(self._terms.current_estate(), self._destination)
            if self._barred:
                log.warning("batch %s stops: %s", self._batch.id, self._barred)
        return self._barred is not None

    def _claim(self) -> list[TransferItem]:
        usual_bytes = self._batch.size_bytes // self._batch.item_count
        most = min(_CLAIM_ITEMS, max(self._destination.concurrency, _CLAIM_BYTES // max(usual_bytes, 1)))
        items = self._retry(self._transfers.claim, self._batch.id, most, self._terms.lease)
        self._in_hand.update((item.segment_id, item) for item in items)
        return items

    def _others_are_at_work(self) -> bool:
        counts = self._retry(self._transfers.counts, [self._batch.id])
        return counts.pending > 0 or counts.claimed > len(self._in_hand)

    # --- copying ------------------------------------------------------------------------------------------------------

    def _transfer(self, items: list[TransferItem]) -> None:
        """Copy these segments and what else can be claimed."""
        self._source = items[0].source_store
        source = self._open_store(self._source)
        before = self._bytes_done
        with closing(
            transfer_all(
                source,
                self._open_store(self._destination.name),
                self._claimed(items),
                concurrency=self._destination.concurrency,
                verify=self._terms.verify,
                progress=lambda read: self._keep_up(before + read),
                now=self._terms.now,
            )
        ) as outcomes:
            for outcome in outcomes:
                self._take(outcome)
                if len(self._results) >= _RECORD_ITEMS or monotonic() - self._recorded_at >= _RECORD_SECONDS:
                    self._record()
                if self._is_barred():  # what is under way is given up, and stays in the queue
                    break
        self._record()

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
                place = self._place(item)
                options = media_options(self._destination, item.extension, place.storage_class)
                yield Transfer(
                    item.source_path, item.destination_path, item.size_bytes, item.checksum, options, (item, place)
                )
            items = [] if self._stops() else self._claim()

    def _place(self, item: TransferItem) -> WritePlace:
        """The tier to write to. An archive is for what can be read at its source for a while, and not read back."""
        estate = self._terms.current_estate()
        stays = estate.migration.local_retention_days > 0 or not self._terms.delete_local
        return self._places.choose(
            self._destination, size_bytes=item.size_bytes, start_time=item.start_time,
            retention_days=item.retention_days, now=self._terms.now(),
            readable=self._reads_back or not (stays and estate.is_local(estate.store(item.source_store))),
        )  # fmt: skip

    @cached_property
    def _reads_back(self) -> bool:
        """Whether what is written is read. Taken for so where the store does not answer: the transfers tell of that."""
        if self._terms.verify == "read_back":
            return True
        try:
            return not self._open_store(self._destination.name).attests_writes
        except ReelkeeperError:
            return True

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
            self._results.append(TransferResult(item, record, replica))
            self._succeeded += 1
            self._archived += needs_restore(place.storage_class)
            self._succeeded_bytes += item.size_bytes
        elif isinstance(error, (TransientError, AccessDenied, *HOPELESS)):
            # A refused access may be about one object, or a right that somebody is about to give back.
            if isinstance(error, HOPELESS):
                self._dropped = self._dropped or error
            self._first_error = self._first_error or error
            self._again.append(TransferResult(item, record, None, retry=True))
            return
        else:
            log.warning("segment %s cannot be copied to store %r: %s", item.segment_id, item.destination_store, error)
            if isinstance(error, SourceCorrupted) or (isinstance(error, ObjectNotFound) and self._is_gone(item)):
                self._suspects.append(_source_of(item))
            self._results.append(TransferResult(item, record, None))
            self._failed += 1
        self._items_done += 1
        self._bytes_done += item.size_bytes

    def _is_gone(self, item: TransferItem) -> bool:
        """Whether it is the source that has no such object, and not the destination that lacks something."""
        try:
            self._open_store(item.source_store).stat(item.source_path)
        except ObjectNotFound:
            return True
        except ReelkeeperError:  # unknown
            return False
        return False

    # --- keeping the catalogue up -------------------------------------------------------------------------------------

    def _keep_up(self, bytes_read: int = 0) -> None:
        """What is due now and then: record results, renew claims, tell progress."""
        if monotonic() - self._recorded_at >= _RECORD_SECONDS:
            self._record()
        if monotonic() - self._extended_at >= self._terms.lease.total_seconds() / 3:
            self._extended_at = monotonic()
            self._retry(self._transfers.extend, self._batch.id, list(self._in_hand.values()), self._terms.lease)
        self._tell(bytes_read)

    def _tell(self, bytes_read: int = 0) -> None:
        if self._progress:
            total = self._batch.size_bytes
            done = min(max(self._bytes_done, bytes_read), total)
            self._progress(self._items_done, self._batch.item_count, done, total)

    def _record(self) -> None:
        """Record the results at hand in one transaction. Doing it twice changes nothing: a lost answer does no harm."""
        self._recorded_at = monotonic()
        if not self._results:
            return
        refused = self._retry(
            self._transfers.finish,
            self._results,
            retire_source_after=self._retire_source_after(),
            serves_requests=self._terms.current_estate().placement.cloud_store == self._destination.name,
        )
        self._retry(self._replicas.suspect, self._suspects)
        self._suspects = []
        self._refuse(refused)
        held = {result.item.segment_id for result in refused}
        for result in self._results:
            if result.item.segment_id not in held:
                self._in_hand.pop(result.item.segment_id, None)
        self._results = []

    def _refuse(self, refused: list[TransferResult]) -> None:
        """What was copied, or found, where a deletion was decided meanwhile may be gone: the next try makes it anew."""
        for result in refused:
            item = result.item
            error = BeingDeleted(
                f"{item.destination_path!r} in store {item.destination_store!r} is being deleted: the copy is not "
                "recorded, and made anew later"
            )
            log.warning("segment %s: %s", item.segment_id, error)
            self._first_error = self._first_error or error
            record = result.record and replace(result.record, error_code=error.code, error=str(error))
            self._again.append(TransferResult(item, record, None, retry=True))
            self._succeeded -= 1
            self._succeeded_bytes -= item.size_bytes
            self._items_done -= 1
            self._bytes_done -= item.size_bytes

    def _retire_source_after(self) -> datetime | None:
        estate = self._terms.current_estate()
        source = self._results[0].item.source_store
        if not self._terms.delete_local or not estate.is_local(estate.store(source)):
            return None
        return self._terms.now() + timedelta(days=estate.migration.local_retention_days)


def _source_of(item: TransferItem) -> Replica:
    return Replica(
        item.segment_id, item.start_time, item.source_store, item.source_path, item.size_bytes, item.checksum,
        ReplicaState.SUSPICIOUS, verified_at=None,
    )  # fmt: skip
