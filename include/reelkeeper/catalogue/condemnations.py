"""Condemnations in the catalogue: objects whose deletion is decided and counted, until they are deleted or spared.

condemn → grace → delete the bytes → forget. `retention.deleting` is the engine; this is what it knows and records.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reelkeeper.catalogue.mapping import bounds, names_of
from reelkeeper.catalogue.partitions import HISTORY
from reelkeeper.catalogue.session import Rows, Session
from reelkeeper.model import SegmentId, Sha256, StoreName
from reelkeeper.policy.retention import Reason

_BEFORE_ALL = "-infinity"


@dataclass(frozen=True, slots=True)
class Condemned:
    """An object that is to go. A replica, thumbnail or moved replica's old object names its segment."""

    store: StoreName
    path: str  # as the store has it; an orphan's need not be canonical
    reason: Reason
    size_bytes: int
    segment_id: SegmentId | None = None
    start_time: datetime | None = None  # of the segment
    modified_at: datetime | None = None  # of an object without a row, by the store's clock, when it was last looked at


@dataclass(frozen=True, slots=True)
class Condemnation:
    """A condemned object, as it stands in the catalogue."""

    object: Condemned
    run_id: str  # that condemned it
    condemned_at: datetime
    delete_after: datetime

    @property
    def path(self) -> str:
        return self.object.path


@dataclass(frozen=True, slots=True)
class Which:
    """Which of the condemned objects a caller of the engine may let go: those of some reasons, or of one run."""

    reasons: Collection[Reason] = tuple(Reason)
    run_id: str | None = None  # that condemned them; None: any

    @property
    def bound(self) -> dict[str, object]:
        return {"reasons": sorted(self.reasons), "condemned_by": self.run_id}


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a worker has come among what is due in a store: it does not meet again what it left."""

    delete_after: datetime | None = None
    path: str = ""


@dataclass(frozen=True, slots=True)
class Deleted:
    """A condemned object that is gone from its store."""

    condemnation: Condemnation
    checksum: Sha256 | None = None  # where it was known


class Condemnations:
    """What is condemned. Calls that hold rows do so until the outermost transaction ends: group them in one."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def condemn(self, objects: Sequence[Condemned], *, run_id: str, now: datetime, delete_after: datetime) -> int:
        """Decide the deletion of objects, all or nothing; how many that were not condemned before.

        Replicas (reasons expired, retired, quota) must be where they are said to be; from now on no reader gets them.
        The caller has counted what goes, and held it against the caps. ValueError for a grace that ends before `now`,
        or an object that must name its segment and does not.
        """
        if delete_after < now:
            raise ValueError(f"delete_after {delete_after.isoformat()!r} is before now, {now.isoformat()!r}")
        replicas = [thing for thing in objects if thing.reason.is_replica]
        others = [thing for thing in objects if not thing.reason.is_replica]
        if nameless := [thing for thing in replicas if thing.segment_id is None or thing.start_time is None]:
            raise ValueError(f"replica {nameless[0].path!r} names no segment: expected its id and start time")
        terms = {"run_id": run_id, "now": now, "delete_after": delete_after}
        with self._session.transaction():
            taken: list[Any] = []
            if replicas:
                span = bounds(thing.start_time for thing in replicas if thing.start_time is not None)
                taken = self._session.rows("condemn_replicas", rows=rows_of(replicas), **terms, **span)
                self._session.execute("point_away", rows=_places(taken), **span)
            condemned = self._session.execute("condemn_objects", rows=rows_of(others), **terms) if others else 0
        return len(taken) + condemned

    def due(self, store: StoreName, which: Which, *, now: datetime) -> tuple[int, int]:
        """How many objects, and bytes, of a kind are due in a store."""
        row = self._session.row("condemned_due", store=store, now=now, **which.bound)
        return row.objects, row.size_bytes

    def claim(self, store: StoreName, which: Which, *, now: datetime, after: Cursor, limit: int) -> list[Condemnation]:
        """Up to `limit` of a kind that are due in a store, behind the cursor, for this transaction alone."""
        rows = self._session.rows(
            "claim_condemned",
            store=store,
            now=now,
            after=after.delete_after or _BEFORE_ALL,
            after_path=after.path,
            limit=limit,
            **which.bound,
        )
        return [condemnation_of(row) for row in rows]

    def clock(self) -> datetime:
        """What time it is by the server's clock."""
        told: datetime = self._session.row("catalogue_clock").now
        return told

    def hold(self, store: StoreName, paths: Sequence[str]) -> list[Condemnation]:
        """What stands condemned at these paths, for this transaction alone; waits for whoever has it."""
        return [
            condemnation_of(row) for row in self._session.rows("hold_condemnations", store=store, paths=list(paths))
        ]

    # --- while a chunk is judged (the evidence is in `evidence.py`) ---------------------------------------------------

    def stay_connected(self) -> None:
        """Let this transaction wait for a slow store: neither the server nor the network in between cuts it off."""
        self._session.rows("stay_connected")

    def promise_to_locks(self) -> None:
        """From here to the end of the transaction no lock is placed: what is read about locks stays true.

        May be asked again, and passes at once then. CatalogueUnavailable when the connection broke meanwhile, and the
        promise with it.
        """
        self._session.rows("promise_to_locks")

    def take_turns_moving(self, store: StoreName) -> None:
        """From here to the end of the transaction nobody else deletes one of the two places of what was moved in a
        store: waits for whoever does. Call it before `promise_to_locks`."""
        self._session.rows("take_turns_moving", store=store)

    # --- what becomes of it -------------------------------------------------------------------------------------------

    def forget(self, store: StoreName, deleted: Sequence[Deleted], *, run_id: str, now: datetime) -> None:
        """The objects are gone: a row of history for each, and the rows of what is gone go, all or nothing.

        A segment goes with its last replica; its thumbnail is condemned then. Call `prepare_history` before the
        transaction.
        """
        if not deleted:
            return
        gone = [thing.condemnation.object for thing in deleted]
        paths = [thing.path for thing in gone]
        replicas = [thing for thing in gone if thing.reason.is_replica]
        thumbnails = [thing for thing in gone if thing.reason is Reason.THUMBNAIL and thing.segment_id is not None]
        orphans = [thing.path for thing in gone if thing.reason is Reason.ORPHAN]
        with self._session.transaction():
            rows = Rows([_history(thing, run_id, now) for thing in deleted])
            self._session.execute("insert_deletions", rows=rows)
            self._session.execute("drop_condemnations", store=store, paths=paths)
            if replicas:
                self._forget_replicas(store, replicas, run_id, now)
            if thumbnails:
                self._session.execute("drop_thumbnails", store=store, rows=rows_of(thumbnails), **span_of(thumbnails))
            if orphans:
                self._session.execute("forget_orphans", store=store, paths=orphans)
                self._session.execute("drop_quarantined_orphans", store=store, paths=orphans)

    def prepare_history(self, now: datetime) -> None:
        """Make the month of `now` in the history, if it is not there; not inside a transaction that holds rows."""
        self._session.ensure_partitions(HISTORY, [now])

    def postpone(self, store: StoreName, why: Mapping[str, str]) -> None:
        """These could not be deleted, or not yet: why, by path."""
        if why:
            rows = Rows([{"path": path, "error": error} for path, error in why.items()])
            self._session.execute("postpone_condemned", store=store, rows=rows)

    def spare(
        self, store: StoreName, good: Mapping[str, bool], condemned: Sequence[Condemnation], now: datetime
    ) -> None:
        """These stay, all or nothing. A replica is available again where `good` (by path) says that a look found its
        object as recorded and it was not doubted before; else it is suspicious."""
        replicas = [thing for thing in named(condemned) if thing.reason.is_replica]
        with self._session.transaction():
            if replicas:
                rows = Rows([
                    {"segment_id": thing.segment_id, "start_time": thing.start_time, "path": thing.path,
                     "is_good": good.get(thing.path, False)}
                    for thing in replicas
                ])  # fmt: skip
                self._session.execute("spare_replicas", store=store, rows=rows, now=now, **span_of(replicas))
            self._session.execute("drop_condemnations", store=store, paths=[thing.path for thing in condemned])

    def _forget_replicas(self, store: StoreName, gone: Sequence[Condemned], run_id: str, now: datetime) -> None:
        span, segments = span_of(gone), segments_of(gone)
        self._session.rows("hold_segments", rows=segments, **span)
        self._session.execute("drop_condemned_replicas", store=store, rows=rows_of(gone), **span)
        empty = self._session.rows("drop_empty_segments", rows=segments, run_id=run_id, now=now, **span)
        if empty:
            names = names_of([(row.segment_id, row.start_time) for row in empty])
            self._session.execute("drop_segments", rows=names, **span)


def condemnation_of(row: Any) -> Condemnation:
    """From a row of `condemnations`."""
    thing = Condemned(
        row.store, row.path, Reason(row.reason), row.size_bytes, row.segment_id, row.start_time, row.modified_at
    )
    return Condemnation(thing, row.run_id, row.condemned_at, row.delete_after)


def named(condemned: Sequence[Condemnation]) -> list[Condemned]:
    """Those that name their segment."""
    return [thing.object for thing in condemned if thing.object.segment_id is not None]


def rows_of(objects: Sequence[Condemned]) -> Rows:
    """For queries that take condemned objects."""
    columns = ("store", "path", "reason", "size_bytes", "segment_id", "start_time", "modified_at")
    return Rows([{column: getattr(thing, column) for column in columns} for thing in objects])


def segments_of(objects: Sequence[Condemned]) -> Rows:
    """The segments of the objects, each once."""
    names = {thing.segment_id: thing.start_time for thing in objects if thing.segment_id and thing.start_time}
    return names_of(list(names.items()))


def span_of(objects: Sequence[Condemned]) -> dict[str, datetime]:
    """The first and the last start of their segments."""
    return bounds(thing.start_time for thing in objects if thing.start_time is not None)


def _places(rows: Sequence[Any]) -> Rows:
    return Rows([{"segment_id": row.segment_id, "start_time": row.start_time, "store": row.store} for row in rows])


def _history(deleted: Deleted, run_id: str, now: datetime) -> Mapping[str, object]:
    thing = deleted.condemnation.object
    return {
        "store": thing.store,
        "path": thing.path,
        "segment_id": thing.segment_id,
        "start_time": thing.start_time,
        "reason": thing.reason,
        "size_bytes": thing.size_bytes,
        "checksum": deleted.checksum,
        "run_id": run_id,
        "condemned_at": deleted.condemnation.condemned_at,
        "deleted_at": now,
    }
