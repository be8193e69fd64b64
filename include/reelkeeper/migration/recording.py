"""What one worker has claimed of a batch and what became of it, kept up in the catalogue while it copies."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from time import monotonic

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.records import Batch, TransferItem, TransferRecord, TransferResult
from reelkeeper.errors import BeingDeleted, ReelkeeperError
from reelkeeper.migration.terms import Terms
from reelkeeper.model import Progress, Replica, ReplicaState, SegmentId
from reelkeeper.policy.restoration import needs_restore
from reelkeeper.settings import StoreSettings
from reelkeeper.stores.retry import retrying

log = logging.getLogger(__name__)

_MOST_CLAIMS = 3
"""How often a segment is claimed whose transfer fails transiently while its stores work, before it fails for good.
A refused access counts like a transient failure."""
_CLAIM_ITEMS = 500
_CLAIM_BYTES = 2**28
"""The most that is claimed at once: another worker finds something to share, and a killed one holds up little."""
_RECORD_ITEMS = 1000
_RECORD_SECONDS = 2.0


class Recorder:
    """Claims items, renews their lease, and records results some at a time. Not for several threads."""

    def __init__(
        self, catalogue: Catalogue, batch: Batch, destination: StoreSettings, terms: Terms, progress: Progress | None
    ) -> None:
        self._transfers, self._replicas = catalogue.transfers, catalogue.replicas
        self._batch, self._destination, self._terms, self._progress = batch, destination, terms, progress
        self._retry = retrying()
        self._in_hand: dict[SegmentId, TransferItem] = {}  # claimed by us, and not settled in the catalogue
        self._results: list[TransferResult] = []  # to be recorded
        self._suspects: list[Replica] = []  # source replicas that are not as recorded
        self._again: list[TransferResult] = []  # for the task's next try: held to the end, or this one would claim them
        self.first_error: ReelkeeperError | None = None
        """The first error of those to try again."""
        self.left = 0
        """How many were given back for the task's next try."""
        self.succeeded = self.failed = self.succeeded_bytes = self.archived = 0
        counts = self._retry(self._transfers.counts, [batch.id])
        self._items_done, self.bytes_done = counts.done + counts.failed, counts.bytes_done  # of the whole batch
        self._recorded_at = self._extended_at = monotonic()

    # --- claims -------------------------------------------------------------------------------------------------------

    def claim(self) -> list[TransferItem]:
        """Some items to work on; empty when none of the batch is open, or others hold them."""
        usual_bytes = self._batch.size_bytes // self._batch.item_count
        most = min(_CLAIM_ITEMS, max(self._destination.concurrency, _CLAIM_BYTES // max(usual_bytes, 1)))
        items = self._retry(self._transfers.claim, self._batch.id, most, self._terms.lease)
        self._in_hand.update((item.segment_id, item) for item in items)
        return items

    def others_are_at_work(self) -> bool:
        """Whether another worker holds items of the batch, or has given some back."""
        counts = self._retry(self._transfers.counts, [self._batch.id])
        return counts.pending > 0 or counts.claimed > len(self._in_hand)

    def settle(self, *, store_was_dropped: bool) -> None:
        """Record what is known, and give back every claim that is left."""
        self.record()
        for again in self._again:
            # One bad sector must not keep a run from ever ending; a store that was dropped is not the segment's fault.
            for_good = not store_was_dropped and again.item.attempts >= _MOST_CLAIMS
            self.failed += for_good
            self._results.append(replace(again, retry=not for_good, may_pass=for_good))
        self._again = []
        known = {result.item.segment_id for result in self._results}
        untried = [item for name, item in self._in_hand.items() if name not in known]
        self._results += [TransferResult(item, None, None, retry=True) for item in untried]
        self.left = sum(result.retry for result in self._results)
        self.record()
        self._tell()

    # --- results ------------------------------------------------------------------------------------------------------

    def take_copy(self, item: TransferItem, record: TransferRecord, replica: Replica) -> None:
        """The item was copied."""
        self._results.append(TransferResult(item, record, replica))
        self.succeeded += 1
        self.archived += needs_restore(replica.storage_class)
        self.succeeded_bytes += item.size_bytes
        self._count(item)

    def take_failure(self, item: TransferItem, record: TransferRecord, *, source_is_wrong: bool) -> None:
        """The item cannot be copied. When its source is not as recorded, that becomes `suspicious`."""
        if source_is_wrong:
            self._suspects.append(_source_of(item))
        self._results.append(TransferResult(item, record, None))
        self.failed += 1
        self._count(item)

    def try_again(self, item: TransferItem, record: TransferRecord | None, error: ReelkeeperError) -> None:
        """The item could not be copied for now."""
        self.first_error = self.first_error or error
        self._again.append(TransferResult(item, record, None, retry=True))

    def _count(self, item: TransferItem, sign: int = 1) -> None:
        self._items_done += sign
        self.bytes_done += sign * item.size_bytes

    # --- keeping the catalogue up -------------------------------------------------------------------------------------

    def keep_up(self, bytes_read: int = 0) -> None:
        """What is due now and then: record results, renew claims, tell progress."""
        if monotonic() - self._recorded_at >= _RECORD_SECONDS:
            self.record()
        if monotonic() - self._extended_at >= self._terms.lease.total_seconds() / 3:
            self._extended_at = monotonic()
            self._retry(self._transfers.extend, self._batch.id, list(self._in_hand.values()), self._terms.lease)
        self._tell(bytes_read)

    def record_what_is_due(self) -> None:
        """Record the results at hand when there are many, or when it is time."""
        if len(self._results) >= _RECORD_ITEMS or monotonic() - self._recorded_at >= _RECORD_SECONDS:
            self.record()

    def record(self) -> None:
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

    def _refuse(self, refused: Iterable[TransferResult]) -> None:
        """What was copied, or found, where a deletion was decided meanwhile may be gone: the next try makes it anew."""
        for result in refused:
            item = result.item
            error = BeingDeleted(
                f"{item.destination_path!r} in store {item.destination_store!r} is being deleted: the copy is not "
                "recorded, and made anew later"
            )
            log.warning("segment %s: %s", item.segment_id, error)
            self.try_again(
                item, result.record and replace(result.record, error_code=error.code, error=str(error)), error
            )
            self.succeeded -= 1
            self.succeeded_bytes -= item.size_bytes
            self._count(item, -1)

    def _retire_source_after(self) -> datetime | None:
        estate = self._terms.current_estate()
        source = self._results[0].item.source_store
        if not self._terms.delete_local or not estate.is_local(estate.store(source)):
            return None
        return self._terms.now() + timedelta(days=estate.migration.local_retention_days)

    def _tell(self, bytes_read: int = 0) -> None:
        if self._progress:
            total = self._batch.size_bytes
            done = min(max(self.bytes_done, bytes_read), total)
            self._progress(self._items_done, self._batch.item_count, done, total)


def _source_of(item: TransferItem) -> Replica:
    return Replica(
        item.segment_id, item.start_time, item.source_store, item.source_path, item.size_bytes, item.checksum,
        ReplicaState.SUSPICIOUS, verified_at=None,
    )  # fmt: skip
