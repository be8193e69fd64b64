"""Replicas in the catalogue."""

from collections.abc import Sequence
from datetime import datetime

from reelkeeper.catalogue.mapping import bounds, names_of, replica_of
from reelkeeper.catalogue.session import Rows, Session
from reelkeeper.model import Replica, SegmentId, StoreName


class Replicas:
    """The copies of segments in stores."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def of_segments(self, names: Sequence[tuple[SegmentId, datetime]]) -> dict[SegmentId, list[Replica]]:
        """All replicas of the segments with these (id, start time), by store name. A segment without any is absent."""
        found: dict[SegmentId, list[Replica]] = {}
        if names:
            span = bounds(start for _, start in names)
            for row in self._session.rows("replicas_of_segments", rows=names_of(names), **span):
                found.setdefault(row.segment_id, []).append(replica_of(row, row.segment_id))
        return found

    def by_path(self, store: StoreName, paths: Sequence[str]) -> dict[str, Replica]:
        """The replicas that lie at these paths of a store."""
        rows = self._session.rows("replicas_by_path", store=store, paths=list(paths))
        return {row.path: replica_of(row, row.segment_id) for row in rows}

    def any_in(self, store: StoreName) -> bool:
        """Whether the store holds a replica, as far as the catalogue knows."""
        return bool(self._session.row("any_replica_in", store=store).found)

    def reclass(self, seen: Sequence[Replica], *, now: datetime) -> int:
        """Record the storage class and tier in which these objects were seen, and that none of them is restored.

        Whatever their state; one that has another path by now stays as it is. How many there were.
        """
        if not seen:
            return 0
        columns = ("segment_id", "start_time", "store", "path", "storage_class", "tier")
        rows = Rows([{column: getattr(replica, column) for column in columns} for replica in seen])
        return self._session.execute(
            "reclass_replicas", rows=rows, now=now, **bounds(replica.start_time for replica in seen)
        )

    def suspect(self, replicas: Sequence[Replica]) -> None:
        """A look did not find these as recorded: the available ones become suspicious. One that has another path by
        now was moved while it was looked for, and stays as it is.

        The other replicas of their segments lose the retirement date that they got when these seemed safe, and reads
        ask one of those that are available first.
        """
        if not replicas:
            return
        columns = ("segment_id", "start_time", "store", "path")
        rows = Rows([{column: getattr(replica, column) for column in columns} for replica in replicas])
        span = bounds(replica.start_time for replica in replicas)
        with self._session.transaction():
            self._session.execute("suspect_replicas", rows=rows, **span)
            self._session.execute("point_away", rows=rows, **span)
