"""Transfers in the catalogue: what is to be copied, who copies it, and what came of it.

An item is pending, then claimed by a worker for the time of a lease, then done or failed. One that a dead run left is
abandoned, and its segment requested anew.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from reelkeeper.catalogue.mapping import batch_of, bounds, history_rows, names_of, replica_of, replica_rows
from reelkeeper.catalogue.partitions import HISTORY
from reelkeeper.catalogue.recording import being_deleted
from reelkeeper.catalogue.records import (
    Batch,
    BatchCounts,
    TransferFailure,
    TransferItem,
    TransferPlan,
    TransferResult,
)
from reelkeeper.catalogue.session import Rows, Session
from reelkeeper.errors import ObjectNotFound
from reelkeeper.model import BatchId, Replica, SegmentId, Sha256, StoreName, TimeRange, media_key
from reelkeeper.policy.restoration import USUAL_TIMES

STALE_AFTER = timedelta(hours=6)
"""How long an item of another run must have lain untouched, and without a lease, before a plan takes it over."""
FAILED_REST = timedelta(days=1)
"""How long a segment that failed for good is left alone by runs that it does not belong to."""
PRIORITY_INTERVAL = 0
PRIORITY_FALLBACK = 10
PRIORITY_LATE = 20
PRIORITY_READ = 30
"""Lower goes first: the run's own interval, then what fell back to the local store at ingest, then what came after its
interval, was never planned or was left by a run that failed, then what was read from the local store."""
PRIORITIES = {"fallback": PRIORITY_FALLBACK, "late": PRIORITY_LATE, "read": PRIORITY_READ}
"""The usual priority of a request, by its reason."""


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
        catch_up_from: datetime | None = None,
        rest_ended_before: datetime | None = None,
        serves_requests: bool = True,
        max_batches: int = 1000,
        stale_after: timedelta = STALE_AFTER,
        has_classes: bool = True,
    ) -> TransferPlan:
        """Put the segments that are to be copied into batches for `run_id`.

        Wanted is a segment that starts in the interval (None: ever), or from `catch_up_from` up to it, or, with
        `include_requests`, was requested; whose rollout bucket is below `bucket_below`; which ended by `ended_before`
        (what is not the interval's by `rest_ended_before`, when given); with an available replica in the source, none
        in the destination (a suspicious or lost one does not count: it is made again, or found to be as it should) and
        no transfer to it under way. What is not the interval's and failed for good within `FAILED_REST` is left alone.
        The interval's go first, then the rest by priority, and the older first. Plans for one destination take turns,
        so that no segment is on its way to it twice. Planning again returns the run's batches that have open items,
        and new ones only for what has become wanted since, failed items of the interval included. Items that another
        run left (untouched for `stale_after` and under no lease) are taken over. Requests ask for a copy in the cloud
        store: a plan for another destination does not touch them (`serves_requests` False). At most `max_batches` of a
        run are open at a time.

        What must be restored at the source first is counted, unless the source has no classes (`has_classes` False).
        A batch has at most `batch_size` segments and, unless a single one is larger, `batch_bytes` bytes. A dry run
        changes nothing and counts what would be planned anew.
        """
        with self._session.transaction():
            self._session.rows("lock_planning", what=f"transfers to {destination_store}")
            if not dry_run:
                self._session.execute(
                    "abandon_stale_items",
                    run_id=run_id,
                    destination_store=destination_store,
                    stale_after=stale_after,
                    priority=PRIORITY_LATE,
                    serves_requests=serves_requests,
                )
                if serves_requests:
                    self._session.execute("drop_answered_requests", destination_store=destination_store)
            open_before = self._session.rows(
                "open_transfer_batches", run_id=run_id, destination_store=destination_store
            )
            self._session.rows("prepare_planning")
            which: dict[str, object] = {
                "source_store": source_store,
                "destination_store": destination_store,
                "catch_up_start": min(interval.start, catch_up_from or interval.start) if interval else "-infinity",
                "interval_start": interval.start if interval else "-infinity",
                "interval_end": interval.end if interval else "infinity",
                "bucket_below": bucket_below,
                "ended_before": ended_before,
                "rest_ended_before": rest_ended_before or ended_before,
                "archives": list(USUAL_TIMES),
                "include_requests": include_requests and serves_requests,
            }
            archived = self._session.row("archived_transfer_sources", **which).segments if has_classes else 0
            made = self._session.rows(
                "plan_transfer_batches",
                run_id=run_id,
                catch_up_priority=PRIORITY_LATE,
                interval_priority=PRIORITY_INTERVAL,
                failed_rest=FAILED_REST,
                batch_size=batch_size,
                batch_bytes=batch_bytes,
                max_batches=max(max_batches - len(open_before), 0),
                dry_run=dry_run,
                **which,
            )
            left = sum(row.item_count for row in made if not row.fits)
            if dry_run:
                fitting = [row for row in made if row.fits]
                items, size = sum(row.item_count for row in fitting), sum(row.size_bytes for row in fitting)
                return TransferPlan((), items, size, left, archived)
            rows = self._session.rows("open_transfer_batches", run_id=run_id, destination_store=destination_store)
        return TransferPlan(
            tuple(batch_of(row) for row in rows),
            sum(row.open_items for row in rows),
            sum(row.open_bytes for row in rows),
            left,
            archived,
        )

    def claim(self, batch_id: BatchId, limit: int, lease: timedelta) -> list[TransferItem]:
        """Up to `limit` open items of a batch, for this worker alone until the lease ends. Empty: none is left.

        Items whose lease has ended are claimed anew; `attempts` tells the claims apart. An item whose source replica
        is no longer available fails here, and one whose destination has been filled meanwhile is done.
        """
        while True:
            with self._session.transaction():
                rows = self._session.rows("claim_transfer_items", batch_id=batch_id, limit=limit, lease=lease)
                items = self._detailed(rows)
            if items or not rows:
                return items

    def extend(self, batch_id: BatchId, items: Sequence[TransferItem], lease: timedelta) -> int:
        """Renew the lease of claimed items, from now. How many of them the same claims still hold."""
        rows = Rows([{"segment_id": item.segment_id, "attempts": item.attempts} for item in items])
        return self._session.execute("extend_transfer_claims", batch_id=batch_id, rows=rows, lease=lease)

    def finish(
        self,
        results: Sequence[TransferResult],
        *,
        retire_source_after: datetime | None,
        serves_requests: bool = True,
    ) -> list[TransferResult]:
        """Record what became of claimed items, all or nothing. Those are returned that succeeded where a deletion is
        decided or under way: nothing of them is recorded, and they stay claimed, to be given back.

        Success stores the replica, points the segment's reads at it, drops the segment's migration request and sets the
        source replica's retirement date, unless that has one or `retire_source_after` is None. A failure counts only
        for the claim that made it; a success counts always. Every failure is added to the history, and of successes
        those whose replica was not there: a repeated call, or two workers that copied the same segment, add one row.
        Migration requests are touched with `serves_requests` only, that is when the destination is the cloud store: one
        is made for each failure that may pass.
        """
        if not results:
            return []
        records = [result.record for result in results if result.record is not None]
        self._session.ensure_partitions(HISTORY, (record.finished_at for record in records))
        with self._session.transaction():
            doomed = being_deleted(self._session, [result.replica for result in results if result.replica])
            refused = [each for each in results if each.replica and (each.replica.store, each.replica.path) in doomed]
            results = [result for result in results if result not in refused]
            made = [(result.item, result.replica) for result in results if result.replica is not None]
            new = self._store(made, retire_source_after) if made else set()
            if serves_requests:
                self._session.execute("answer_requests", segment_ids=[item.segment_id for item, _ in made])
                asked = [(result.item.segment_id, result.item.start_time) for result in results if result.may_pass]
                self.request(asked, PRIORITY_LATE, "failed")
            told = [result for result in results if result.replica is None or result.item.segment_id in new]
            for batch_id in sorted({result.item.batch_id for result in told}):
                attempts = [result.record for result in told if result.item.batch_id == batch_id and result.record]
                rows = history_rows(attempts, job=self.get(batch_id).job, batch_id=batch_id)
                self._session.execute("insert_transfers", rows=Rows(rows))
            returned = [_returned(result) for result in results if result.replica is None]
            self._session.execute("return_transfer_items", rows=Rows(returned))
        return refused

    def counts(self, batch_ids: Sequence[BatchId]) -> BatchCounts:
        """How far the batches are, together."""
        row = self._session.row("transfer_counts", batch_ids=list(batch_ids))
        return BatchCounts(row.pending, row.claimed, row.done, row.failed, row.bytes_done, row.abandoned)

    def archived(self, batch_ids: Sequence[BatchId]) -> int:
        """How many of the replicas that batches have made must be restored before they can be read."""
        row = self._session.row("archived_copies", batch_ids=list(batch_ids), archives=list(USUAL_TIMES))
        count: int = row.replicas
        return count

    def request(self, segments: Sequence[tuple[SegmentId, datetime]], priority: int, reason: str) -> None:
        """Ask the next migration to take segments (id, start time); `reason` is 'fallback', 'late', 'read'
        or 'failed'.

        Asking again keeps the more urgent request.
        """
        rows = {
            segment_id: {"segment_id": segment_id, "start_time": start, "priority": priority, "reason": reason}
            for segment_id, start in segments
        }
        self._session.execute("request_segments", rows=Rows(list(rows.values())))

    def batches(self, job: str, run_id: str) -> list[Batch]:
        """All batches of a run, in the order planned; `job` is 'ingest' or 'migrate'."""
        return [batch_of(row) for row in self._session.rows("batches_of_run", job=job, run_id=run_id)]

    def get(self, batch_id: BatchId) -> Batch:
        """The batch with this id. LookupError when there is none: an id always comes from a plan."""
        for row in self._session.rows("batch_by_id", batch_id=batch_id):
            return batch_of(row)
        raise LookupError(f"no batch {str(batch_id)!r}: expected the id of one that a plan made")

    def made(self, batch_id: BatchId) -> list[Replica]:
        """The replicas that a batch claims to have made, as they stand now, by start time."""
        with self._session.transaction():
            done = self._session.rows("done_transfer_items", batch_id=batch_id)
            if not done:
                return []
            names = [(row.segment_id, row.start_time) for row in done]
            rows = self._session.rows(
                "replicas_of_segments", rows=names_of(names), **bounds(start for _, start in names)
            )
        destinations = {(row.segment_id, row.destination_store) for row in done}
        made = [replica_of(row, row.segment_id) for row in rows if (row.segment_id, row.store) in destinations]
        return sorted(made, key=lambda replica: (replica.start_time, replica.segment_id))

    def failures(self, batch_ids: Sequence[BatchId], limit: int) -> list[TransferFailure]:
        """The first `limit` items of the batches that failed for good, by start time."""
        rows = self._session.rows("transfer_failures", batch_ids=list(batch_ids), limit=limit)
        return [TransferFailure(*row) for row in rows]

    def _detailed(self, claimed: Sequence[Any]) -> list[TransferItem]:
        """The claimed items with what the engine needs; those that cannot or need not be copied are settled here."""
        if not claimed:
            return []
        columns = ("segment_id", "start_time", "source_store", "destination_store")
        details = self._session.rows(
            "transfer_details",
            rows=Rows([{column: getattr(row, column) for column in columns} for row in claimed]),
            **bounds(row.start_time for row in claimed),
        )
        by_id = {row.segment_id: row for row in details}
        gone = [row for row in claimed if row.segment_id not in by_id]
        there = [row for row in claimed if row.segment_id in by_id and by_id[row.segment_id].is_there]
        self._session.execute("return_transfer_items", rows=Rows([_without_source(row) for row in gone]))
        self._session.execute("complete_transfer_items", rows=Rows([_place(row) for row in there]))
        left = [row for row in claimed if row.segment_id in by_id and not by_id[row.segment_id].is_there]
        left.sort(key=lambda row: (row.priority, row.start_time, row.segment_id))
        return [_item_of(row, by_id[row.segment_id]) for row in left]

    def _store(
        self, made: Sequence[tuple[TransferItem, Replica]], retire_source_after: datetime | None
    ) -> set[SegmentId]:
        """Store the replicas that were made, and everything that follows from them. The segments that got a new one."""
        span = bounds(item.start_time for item, _ in made)
        new = self._session.rows("upsert_replicas", rows=replica_rows(replica for _, replica in made))
        places = [
            {"segment_id": replica.segment_id, "start_time": replica.start_time, "store": replica.store}
            for _, replica in made
        ]
        self._session.execute("point_segments", rows=Rows(places), **span)
        if retire_source_after is not None:
            sources = [
                {**place, "store": item.source_store, "copied_to": place["store"]}
                for place, (item, _) in zip(places, made, strict=True)
            ]
            self._session.execute("retire_replicas", rows=Rows(sources), retire_after=retire_source_after, **span)
        self._session.execute("complete_transfer_items", rows=Rows([_place(item) for item, _ in made]))
        return {row.segment_id for row in new}


def _item_of(claimed: Any, detail: Any) -> TransferItem:
    return TransferItem(
        batch_id=claimed.batch_id,
        segment_id=claimed.segment_id,
        start_time=claimed.start_time,
        source_store=claimed.source_store,
        source_path=detail.source_path,
        destination_store=claimed.destination_store,
        destination_path=media_key(
            detail.tenant, detail.slug, claimed.start_time, claimed.segment_id, detail.extension
        ),
        size_bytes=detail.size_bytes,
        checksum=Sha256(detail.checksum),
        extension=detail.extension,
        attempts=claimed.attempts,
        retention_days=detail.retention_days,
    )


def _place(row: Any) -> Mapping[str, object]:
    return {"segment_id": row.segment_id, "destination_store": row.destination_store}


def _without_source(claimed: Any) -> Mapping[str, object]:
    return {
        "batch_id": claimed.batch_id,
        "segment_id": claimed.segment_id,
        "attempts": claimed.attempts,
        "state": "failed",
        "error_code": ObjectNotFound.code,
        "error": f"no available replica in the source store {claimed.source_store!r}: expected one",
    }


def _returned(result: TransferResult) -> Mapping[str, object]:
    """An item that was not copied: for good, or to be tried again."""
    item, record = result.item, result.record
    again = result.retry or record is None
    return {
        "batch_id": item.batch_id,
        "segment_id": item.segment_id,
        "attempts": item.attempts,
        "state": "pending" if again else "failed",
        "error_code": record.error_code if record else None,
        "error": record.error if record else None,
    }
