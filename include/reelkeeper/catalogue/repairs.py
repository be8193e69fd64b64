"""Repairs in the catalogue: replicas that are lost, found again, or to be copied anew from another store."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from reelkeeper.catalogue.mapping import batch_of, bounds, replica_of, replica_rows
from reelkeeper.catalogue.recording import being_deleted, retire_others_again
from reelkeeper.catalogue.records import TransferPlan
from reelkeeper.catalogue.session import Rows, Session
from reelkeeper.catalogue.transfers import FAILED_REST, STALE_AFTER
from reelkeeper.model import Key, Replica, SegmentId, Sha256, StoreName
from reelkeeper.policy.restoration import USUAL_TIMES

_PAGE = 500


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """Where a replica was before it was moved, and what must be there."""

    path: Key
    segment_id: SegmentId
    start_time: datetime
    size_bytes: int
    checksum: Sha256


class Repairs:
    """What becomes of doubted replicas."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def lose(self, replicas: Sequence[Replica], *, now: datetime) -> int:
        """Another look did not find these suspicious replicas either: they are lost. How many, now."""
        return self._told("lose_replicas", replicas, now)

    def heal(self, replicas: Sequence[Replica], *, now: datetime, retire_others: datetime | None) -> int:
        """The bytes of these doubted replicas were read and are right: they are available again. How many, now.

        Other copies that were to retire before the doubt get the date `retire_others` for it (None: none).
        """
        with self._session.transaction():
            healed = self._told("heal_replicas", replicas, now)
            retire_others_again(self._session, replicas, retire_others)
        return healed

    def find(self, replicas: Sequence[Replica], *, retire_others: datetime | None = None) -> None:
        """Verified objects are replicas that the catalogue had lost, or never got to record. Those that were condemned
        meanwhile are left to a later look. `retire_others` as in `heal`."""
        if not replicas:
            return
        with self._session.transaction():
            doomed = being_deleted(self._session, replicas)
            found = [replica for replica in replicas if (replica.store, replica.path) not in doomed]
            if not found:
                return
            span = bounds(replica.start_time for replica in found)
            places = [{"segment_id": r.segment_id, "start_time": r.start_time, "store": r.store} for r in found]
            self._session.rows("upsert_replicas", rows=replica_rows(found))
            self._session.execute("point_segments", rows=Rows(places), **span)
            retire_others_again(self._session, found, retire_others)

    def left_behind(self, store: StoreName) -> Iterator[list[LeftBehind]]:
        """The old objects in a store of moved replicas that are doubted or lost where they are now, in pages."""
        after = ""
        while rows := self._session.rows("left_behind_after", store=store, after_path=after, limit=_PAGE):
            after = rows[-1].path
            yield [
                LeftBehind(Key(row.path), row.segment_id, row.start_time, row.size_bytes, Sha256(row.checksum))
                for row in rows
            ]

    def recover(self, replica: Replica, *, retire_others: datetime | None = None) -> None:
        """A verified old object, whose condemnation the caller holds, is the replica again, and stays. `retire_others`
        as in `heal`."""
        place = {"segment_id": replica.segment_id, "start_time": replica.start_time, "store": replica.store}
        with self._session.transaction():
            self._session.rows("upsert_replicas", rows=replica_rows([replica]))
            self._session.execute("point_segments", rows=Rows([place]), **bounds([replica.start_time]))
            self._session.execute("drop_condemnations", store=replica.store, paths=[replica.path])
            retire_others_again(self._session, [replica], retire_others)

    def move_lost(self, replica: Replica, moved_to: Key) -> int:
        """The damaged object of a lost replica lies elsewhere now. 0 when the row has changed meanwhile."""
        return self._session.execute(
            "move_lost_replica",
            segment_id=replica.segment_id, start_time=replica.start_time, store=replica.store, path=replica.path,
            moved_to=moved_to,
        )  # fmt: skip

    def repairable(self, store: StoreName, *, sources: Sequence[StoreName], now: datetime) -> Iterator[list[Replica]]:
        """The lost replicas of a store that have an available copy in one of `sources`, in pages."""
        after_start: object = "-infinity"
        after_id = UUID(int=0)
        while rows := self._session.rows(
            "lost_replicas_after",
            store=store, stores=list(sources), archives=list(USUAL_TIMES), now=now,
            after_start=after_start, after_id=after_id, limit=_PAGE,
        ):  # fmt: skip
            after_start, after_id = rows[-1].start_time, rows[-1].segment_id
            yield [replica_of(row, row.segment_id) for row in rows]

    def plan(
        self,
        run_id: str,
        *,
        store: StoreName,
        sources: Sequence[StoreName],
        now: datetime,
        batch_size: int,
        batch_bytes: int,
        max_batches: int,
    ) -> TransferPlan:
        """Put the lost replicas of a store into batches, each from the first of `sources` with a copy to be read.

        Planning again finds the batches of the run that have open items. What a dead run left is taken over; what
        failed lately rests. At most `max_batches` are made.
        """
        with self._session.transaction():
            self._session.rows("lock_planning", what=f"transfers to {store}")
            self._session.execute(
                "abandon_stale_items",
                run_id=run_id, destination_store=store, stale_after=STALE_AFTER, priority=0, serves_requests=False,
            )  # fmt: skip
            self._session.rows(
                "plan_repair_batches",
                run_id=run_id, store=store, stores=list(sources), archives=list(USUAL_TIMES), now=now,
                failed_rest=FAILED_REST, batch_size=batch_size, batch_bytes=batch_bytes, max_batches=max_batches,
            )  # fmt: skip
            rows = self._session.rows("open_repair_batches", run_id=run_id, store=store)
        return TransferPlan(
            tuple(batch_of(row) for row in rows),
            sum(row.open_items for row in rows),
            sum(row.open_bytes for row in rows),
        )

    def _told(self, query: str, replicas: Sequence[Replica], now: datetime) -> int:
        if not replicas:
            return 0
        rows = Rows([
            {"segment_id": r.segment_id, "start_time": r.start_time, "store": r.store, "path": r.path} for r in replicas
        ])  # fmt: skip
        return len(self._session.rows(query, rows=rows, now=now, **bounds(r.start_time for r in replicas)))
