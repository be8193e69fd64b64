"""Moves between tiers in the catalogue: what a plan wants moved, who moves it, and what came of it.

A move is pending, then claimed by a worker for the time of a lease, then done, failed, or dropped because it is not
wanted any more. A plan is frozen: what was estimated, and approved, is what is done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from reelkeeper.catalogue.mapping import batch_of, bounds, replica_of
from reelkeeper.catalogue.records import Batch
from reelkeeper.catalogue.session import Rows, Session
from reelkeeper.model import BatchId, Key, Replica, SegmentId, StoreName, Tier


@dataclass(frozen=True, slots=True)
class TierSum:
    """Moves of one kind, or what does not move: how many, and for how much."""

    outcome: str  # taken, pays; waits, loses, held, archived, copied
    store: StoreName
    from_tier: Tier
    to_tier: Tier
    replicas: int
    size_bytes: int
    one_off_usd: float = 0.0
    saving_usd: float = 0.0
    example: tuple[int, int, int] | None = None  # of the largest: bytes, days in its tier, days that it is still kept


@dataclass(frozen=True, slots=True)
class TierItem:
    """One claimed move, with its replica as it stands now."""

    batch_id: BatchId
    replica: Replica
    to_tier: Tier
    extension: str
    attempts: int
    is_held: bool
    other_stores: frozenset[str] = field(default=frozenset())  # that have a replica of the segment

    @property
    def claim_name(self) -> str:
        return str(self.replica.segment_id)

    @property
    def size_bytes(self) -> int:
        return self.replica.size_bytes


@dataclass(frozen=True, slots=True)
class Placed:
    """A replica in its new tier, verified there."""

    item: TierItem
    store: StoreName
    path: Key
    storage_class: str | None
    tier: Tier  # as the store that it is in now has it

    @property
    def is_copy(self) -> bool:
        """Whether the object that it was before is still there."""
        return (self.store, self.path) != (self.item.replica.store, self.item.replica.path)


@dataclass(frozen=True, slots=True)
class TierCounts:
    """How far a run's moves are."""

    pending: int
    claimed: int
    done: int
    failed: int
    dropped: int

    @property
    def open(self) -> int:
        return self.pending + self.claimed


@dataclass(frozen=True, slots=True)
class TierFailure:
    """A move that failed for good, for a person to read."""

    segment_id: SegmentId
    start_time: datetime
    store: StoreName
    from_tier: Tier
    to_tier: Tier
    error_code: str
    error: str


class TierMoves:
    """Moves between tiers. A `Ledger` of claims."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def batches(self, run_id: str) -> list[Batch]:
        """The batches of a run, in the order planned."""
        return [batch_of(row) for row in self._session.rows("batches_of_run", job="tier", run_id=run_id)]

    def planned(self, run_id: str) -> list[TierSum]:
        """What a run planned, and did not drop."""
        return [sum_of(row, "taken") for row in self._session.rows("planned_tier_moves", run_id=run_id)]

    def done(self, run_id: str) -> list[TierSum]:
        """What a run has moved."""
        return [sum_of(row, "taken") for row in self._session.rows("done_tier_moves", run_id=run_id)]

    def counts(self, run_id: str) -> TierCounts:
        """How far a run's moves are."""
        return TierCounts(*self._session.row("tier_move_counts", run_id=run_id))

    def failures(self, run_id: str, limit: int) -> list[TierFailure]:
        """The first `limit` moves of a run that failed for good, by start time."""
        return [TierFailure(*row) for row in self._session.rows("tier_move_failures", run_id=run_id, limit=limit)]

    def drop(self, run_id: str, why: str) -> int:
        """What the run has not begun is not wanted: how many moves."""
        return self._session.execute("drop_tier_moves", run_id=run_id, why=why)

    # --- claims -------------------------------------------------------------------------------------------------------

    def claim(
        self, batch_id: BatchId, limit: int, lease: timedelta, /, *, passing_over: Sequence[str] = ()
    ) -> list[TierItem]:
        """Up to `limit` open moves of a batch, for this worker alone until the lease ends. Empty: none is left.

        What is in its new tier already is done; what is no longer available in the tier that it was to leave is
        dropped.
        """
        while True:
            with self._session.transaction():
                rows = self._session.rows(
                    "claim_tier_moves", batch_id=batch_id, limit=limit, lease=lease,
                    passing_over=list(passing_over),
                )  # fmt: skip
                items = self._detailed(batch_id, rows) if rows else []
            if items or not rows:
                return items

    def extend(self, batch_id: BatchId, items: Sequence[TierItem], lease: timedelta, /) -> int:
        """Renew the lease of claimed moves, from now. How many of them the same claims still hold."""
        return self._session.execute("extend_tier_claims", batch_id=batch_id, rows=_claims(items), lease=lease)

    def put_back(self, batch_id: BatchId, items: Sequence[TierItem], /) -> None:
        """End claims on moves that could not be made for now: another try may claim them."""
        self.settle(batch_id, items, "pending")

    def open_items(self, batch_id: BatchId, /, *, passing_over: Sequence[str] = ()) -> int:
        """How many moves of a batch are pending or claimed by anybody, without those of these segments."""
        row = self._session.row("open_tier_moves", batch_id=batch_id, passing_over=list(passing_over))
        count: int = row.open
        return count

    def settle(
        self, batch_id: BatchId, items: Sequence[TierItem], state: str, *, code: str | None = None,
        error: str | None = None,
    ) -> None:  # fmt: skip
        """What became of moves that did not happen: `failed`, `dropped`, or `pending` again."""
        rows = [
            {"segment_id": item.replica.segment_id, "attempts": item.attempts, "state": state, "error_code": code,
             "error": error}
            for item in items
        ]  # fmt: skip
        self._session.execute("settle_tier_moves", batch_id=batch_id, rows=Rows(rows))

    def place(self, batch_id: BatchId, placed: Sequence[Placed], *, now: datetime) -> list[Placed]:
        """Record verified replicas in their new tiers; those for which it held, all or nothing.

        One that was moved meanwhile stays as it is, and is not among them; nor is a copy of one that was condemned or
        suspected, while a class that changed in place is recorded all the same. The move of each that is recorded is
        done. What their objects were before is the caller's to condemn, in the same transaction.
        """
        if not placed:
            return []
        span = bounds(each.item.replica.start_time for each in placed)
        with self._session.transaction():
            rows = self._session.rows("place_replicas", rows=Rows([_place(each) for each in placed]), now=now, **span)
            found = {row.segment_id for row in rows}
            done = [each for each in placed if each.item.replica.segment_id in found]
            names = Rows([{"segment_id": each.item.replica.segment_id} for each in done])
            self._session.execute("complete_tier_moves", batch_id=batch_id, rows=names)
        return done

    def _detailed(self, batch_id: BatchId, claimed: Sequence[Any]) -> list[TierItem]:
        names = Rows([{"segment_id": row.segment_id, "start_time": row.start_time, "store": row.store}
                      for row in claimed])  # fmt: skip
        span = bounds(row.start_time for row in claimed)
        found = {row.segment_id: row for row in self._session.rows("tier_move_details", rows=names, **span)}
        there, gone, items = list[Any](), list[Any](), list[TierItem]()
        for row in sorted(claimed, key=lambda row: (row.start_time, row.segment_id)):
            detail = found.get(row.segment_id)
            if detail is not None and detail.tier == row.to_tier:
                there.append(row)
            elif detail is None or detail.state != "available" or detail.tier != row.from_tier:
                gone.append(row)
            else:
                items.append(_item(row, detail))
        self._settle_rows(batch_id, there, "done", None)
        self._settle_rows(batch_id, gone, "dropped", "it is no longer available in the tier that it was to leave")
        return items

    def _settle_rows(self, batch_id: BatchId, rows: Sequence[Any], state: str, error: str | None) -> None:
        if rows:
            told = [{"segment_id": row.segment_id, "attempts": row.attempts, "state": state, "error": error}
                    for row in rows]  # fmt: skip
            self._session.execute("settle_tier_moves", batch_id=batch_id, rows=Rows(told))


def sum_of(row: Any, outcome: str | None = None) -> TierSum:
    """A row of moves of one kind."""
    example = getattr(row, "example", None)
    return TierSum(
        outcome or row.outcome, StoreName(row.store), Tier(row.from_tier), Tier(row.to_tier), row.replicas,
        row.size_bytes, row.one_off_usd or 0.0, row.saving_usd or 0.0, tuple(example) if example else None,
    )  # fmt: skip


def _item(row: Any, detail: Any) -> TierItem:
    return TierItem(
        BatchId(row.batch_id), replica_of(detail, row.segment_id), Tier(row.to_tier), detail.extension, row.attempts,
        detail.is_held, frozenset(detail.other_stores),
    )  # fmt: skip


def _claims(items: Sequence[TierItem]) -> Rows:
    return Rows([{"segment_id": item.replica.segment_id, "attempts": item.attempts} for item in items])


def _place(placed: Placed) -> Mapping[str, object]:
    replica = placed.item.replica
    return {
        "segment_id": replica.segment_id, "start_time": replica.start_time, "store": replica.store,
        "path": replica.path, "to_store": placed.store, "to_path": placed.path, "to_tier": placed.tier,
        "storage_class": placed.storage_class,
    }  # fmt: skip
