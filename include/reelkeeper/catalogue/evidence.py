"""What the catalogue says about condemned objects when they are judged, and what it holds still meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from reelkeeper.catalogue.condemnations import Condemnation, named, rows_of, segments_of, span_of
from reelkeeper.catalogue.mapping import replica_of
from reelkeeper.catalogue.session import Session
from reelkeeper.catalogue.transfers import STALE_AFTER
from reelkeeper.model import CameraId, Replica, SegmentId, StoreName
from reelkeeper.policy.retention import footage_named


@dataclass(frozen=True, slots=True)
class KeptFootage:
    """A segment, as far as its retention goes."""

    segment_id: SegmentId
    camera_id: CameraId
    start_time: datetime
    end_time: datetime
    retention_days: int | None  # None: the estate's default
    transfer_under_way: bool
    created_at: datetime  # when it came in


class Evidence:
    """What decides about condemned objects. Calls that hold rows do so until the outermost transaction ends."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def replicas(self, store: StoreName, condemned: Sequence[Condemnation]) -> dict[str, Replica]:
        """The replicas that stand condemned, by path; nobody changes them meanwhile."""
        given = named(condemned)
        if not given:
            return {}
        rows = self._session.rows("hold_condemned_replicas", store=store, rows=rows_of(given), **span_of(given))
        return {row.path: replica_of(row, row.segment_id) for row in rows}

    def good_copies(self, condemned: Sequence[Condemnation]) -> dict[SegmentId, list[Replica]]:
        """The available replicas of the segments of what is condemned; nobody suspects or condemns them meanwhile."""
        given = named(condemned)
        found: dict[SegmentId, list[Replica]] = {}
        if given:
            for row in self._session.rows("hold_good_copies", rows=segments_of(given), **span_of(given)):
                found.setdefault(row.segment_id, []).append(replica_of(row, row.segment_id))
        return found

    def footage(self, condemned: Sequence[Condemnation]) -> dict[SegmentId, KeptFootage]:
        """The segments of what is condemned, as far as they are there; their cameras' retention is held."""
        given = named(condemned)
        if not given:
            return {}
        rows = self._session.rows(
            "footage_of_segments", rows=segments_of(given), stale_after=STALE_AFTER, **span_of(given)
        )
        return {
            row.segment_id: KeptFootage(
                row.segment_id,
                row.camera_id,
                row.start_time,
                row.end_time,
                row.retention_days,
                row.transfer_under_way,
                row.created_at,
            )
            for row in rows
        }

    def known(self, store: StoreName, paths: Sequence[str]) -> set[str]:
        """Which of these paths of a store the catalogue knows as a replica's or a thumbnail's."""
        if not paths:
            return set()
        segments = [known.segment_id for path in paths if (known := footage_named(path))]
        rows = self._session.rows("known_paths", store=store, paths=list(paths), segment_ids=segments)
        return {row.path for row in rows}
