"""Transfers in the catalogue: what is to be copied, who copies it, and what came of it.

An item is pending, then claimed by a worker for the time of a lease, then done or failed. One that a dead run left is
abandoned, and its segment requested anew.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from reelkeeper.catalogue.records import (
    Batch,
    BatchCounts,
    TransferFailure,
    TransferItem,
    TransferPlan,
    TransferResult,
)
from reelkeeper.catalogue.session import Session
from reelkeeper.model import BatchId, Replica, SegmentId, StoreName, TimeRange

STALE_AFTER = timedelta(hours=6)
"""How long an item of another run must have lain untouched, and without a lease, before a plan takes it over."""
PRIORITY_INTERVAL = 0
PRIORITY_FALLBACK = 10
PRIORITY_LATE = 20
PRIORITY_READ = 30
"""Lower goes first: the run's own interval, then what fell back at ingest, came late, or was read locally."""


class Transfers:
    """Batches of segments on their way to a store, and the history of every attempt."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def plan(
        self,
        run_id: str,
        *,
        source_store: StoreName,
        destination_store: StoreName,
        interval: TimeRange | None,
        bucket_below: int,
        ended_before: datetime,
        batch_size: int,
        batch_bytes: int,
        include_requests: bool,
        dry_run: bool,
        max_batches: int = 1000,
        stale_after: timedelta = STALE_AFTER,
    ) -> TransferPlan:
        """Put the segments that are to be copied into batches for `run_id`.

        Wanted is a segment that starts in the interval (None: ever) or, with `include_requests`, was requested; whose
        rollout bucket is below `bucket_below`; which ended by `ended_before`; with an available replica in the
        source, none in the destination (a lost one does not count) and no transfer to it under way. The interval's
        go first, then requests by priority, and the older first. Plans for one destination take turns, so that no
        segment is on its way to it twice. Planning again returns the run's batches that have open items, and new ones only for
        what has become wanted since, failed items included. Items that another run left (untouched for `stale_after`
        and under no lease) are taken over.

        A batch has at most `batch_size` segments and, unless a single one is larger, `batch_bytes` bytes. A dry run
        changes nothing and counts what would be planned anew.
        """
        raise NotImplementedError

    def claim(self, batch_id: BatchId, limit: int, lease: timedelta) -> list[TransferItem]:
        """Up to `limit` open items of a batch, for this worker alone until the lease ends. Empty: none is left.

        Items whose lease has ended are claimed anew; `attempts` tells the claims apart. An item whose source replica
        is no longer available fails here, and one whose destination has been filled meanwhile is done.
        """
        raise NotImplementedError

    def extend(self, batch_id: BatchId, items: Sequence[TransferItem], lease: timedelta) -> int:
        """Renew the lease of claimed items, from now. How many of them the same claims still hold."""
        raise NotImplementedError

    def finish(self, results: Sequence[TransferResult], *, retire_source_after: datetime | None) -> None:
        """Record what became of claimed items, all or nothing.

        Success stores the replica, points the segment's reads at it, drops the segment's migration request and sets the
        source replica's retirement date, unless that has one or `retire_source_after` is None. Every attempt is added
        to the history. A failure counts only for the claim that made it; a success counts always.
        """
        raise NotImplementedError

    def counts(self, batch_ids: Sequence[BatchId]) -> BatchCounts:
        """How far the batches are, together."""
        raise NotImplementedError

    def request(self, segments: Sequence[tuple[SegmentId, datetime]], priority: int, reason: str) -> None:
        """Ask the next migration to take segments (id, start time); `reason` is 'fallback', 'late' or 'read'.

        Asking again keeps the more urgent request.
        """
        raise NotImplementedError

    def batches(self, job: str, run_id: str) -> list[Batch]:
        """All batches of a run, in the order planned; `job` is 'ingest' or 'migrate'."""
        raise NotImplementedError

    def get(self, batch_id: BatchId) -> Batch:
        """The batch with this id. LookupError when there is none: an id always comes from a plan."""
        raise NotImplementedError

    def made(self, batch_id: BatchId) -> list[Replica]:
        """The replicas that a batch claims to have made, as they stand now, by start time."""
        raise NotImplementedError

    def failures(self, batch_ids: Sequence[BatchId], limit: int) -> list[TransferFailure]:
        """The first `limit` items of the batches that failed for good, by start time."""
        raise NotImplementedError
