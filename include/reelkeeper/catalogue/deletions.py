"""The history of deletions in the catalogue, and the house-keeping of other history."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reelkeeper.catalogue.condemnations import Condemnation, condemnation_of
from reelkeeper.catalogue.partitions import HISTORY
from reelkeeper.catalogue.session import Rows, Session
from reelkeeper.model import CameraId, SegmentId, StoreName


@dataclass(frozen=True, slots=True)
class DeletedAmount:
    """What a run took from a store for one reason."""

    store: StoreName
    reason: str
    objects: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Gone:
    """An object, or a stale upload, that no row stood for and that was deleted."""

    store: StoreName
    path: str
    reason: str  # 'temp', 'report', 'upload' or 'export'
    size_bytes: int
    since: datetime  # when it was made, by the store's clock


@dataclass(frozen=True, slots=True)
class HouseKept:
    """How many rows of finished work were forgotten."""

    batches: int
    landing_files: int
    restores: int


class Deletions:
    """What is gone because we deleted it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def of_run(self, run_id: str, *, since: datetime) -> list[DeletedAmount]:
        """What a run deleted since a time, by store and reason."""
        return [_amount(row) for row in self._session.rows("deletions_of_run", run_id=run_id, since=since)]

    def condemned_by(self, run_id: str) -> list[DeletedAmount]:
        """What a run condemned and still waits for its deletion, by store and reason."""
        return [_amount(row) for row in self._session.rows("condemned_by_run", run_id=run_id)]

    def record(self, gone: Sequence[Gone], *, run_id: str, now: datetime) -> None:
        """Add what no row stood for to the history."""
        if not gone:
            return
        self._session.ensure_partitions(HISTORY, [now])
        rows = [
            {
                "store": thing.store,
                "path": thing.path,
                "segment_id": None,
                "start_time": None,
                "reason": thing.reason,
                "size_bytes": thing.size_bytes,
                "checksum": None,
                "run_id": run_id,
                "condemned_at": thing.since,
                "deleted_at": now,
            }
            for thing in gone
        ]
        self._session.execute("insert_deletions", rows=Rows(rows))

    def condemned(
        self,
        store: StoreName,
        *,
        after_path: str,
        limit: int,
        segment_id: SegmentId | None = None,
        camera_id: CameraId | None = None,
        run_id: str | None = None,
    ) -> list[Condemnation]:
        """A page of what is condemned in a store and can be brought back, by path: of a segment, of a camera, by a run;
        what is None does not choose."""
        rows = self._session.rows(
            "condemned_where",
            store=store,
            after_path=after_path,
            limit=limit,
            segment_id=segment_id,
            camera_id=camera_id,
            run_id=run_id,
        )
        return [condemnation_of(row) for row in rows]

    def keep_house(self, *, history_from: datetime, zones_that_empty: Sequence[str]) -> HouseKept:
        """Forget finished work that is older: batches with their items, files that left these zones, ended restores."""
        return HouseKept(
            self._session.row("drop_finished_batches", history_from=history_from).rows,
            self._session.row("drop_gone_landing_files", history_from=history_from, zones=list(zones_that_empty)).rows,
            self._session.row("drop_ended_restores", history_from=history_from).rows,
        )


def _amount(row: Any) -> DeletedAmount:
    return DeletedAmount(row.store, row.reason, row.objects, row.size_bytes)
