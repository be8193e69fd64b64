"""Restores in the catalogue: which archived replicas were asked for, by whom they are waited for, until when they last.

A restore is planned, then requested, then readable, then ended; or it failed. A replica has at most one that is under
way, for which any number of runs may wait.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Literal
from uuid import UUID

from reelkeeper.catalogue.mapping import bounds, replica_of
from reelkeeper.catalogue.session import Rows, Session
from reelkeeper.errors import CatalogueUnavailable
from reelkeeper.model import CameraId, Key, Replica, SegmentId, StoreName, TimeRange
from reelkeeper.policy.prices import Speed

_PAGE = 2000
_NO_ID = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Selection:
    """Segments by camera, range and id; None does not restrict. A range takes what shares an instant with it."""

    camera_ids: tuple[CameraId, ...] | None = None
    time_range: TimeRange | None = None
    segment_ids: tuple[SegmentId, ...] | None = None


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A restore of a replica that was planned and has not ended."""

    id: int
    state: Literal["planned", "requested", "readable"]
    speed: Speed
    days: int
    cost_usd: float  # as estimated
    run_id: str  # of the run that planned it
    readable_until: datetime | None
    extend_until: datetime | None  # a later end that is wanted already
    expected_at: datetime | None
    is_waited_for: bool  # by the run that asks

    @property
    def until(self) -> datetime | None:
        """When its copy ends, as far as is known; None before it was asked for."""
        asked = self.expected_at and self.expected_at + timedelta(days=self.days)
        ends = [end for end in (self.readable_until or asked, self.extend_until) if end is not None]
        return max(ends, default=None)

    def is_over(self, now: datetime) -> bool:
        """Whether its copy is gone, as `Restores.end` would find."""
        ends = self.readable_until
        if self.state == "requested" and self.expected_at is not None:
            ends = self.expected_at + timedelta(days=self.days)
        return self.state != "planned" and ends is not None and ends <= now


@dataclass(frozen=True, slots=True)
class Candidate:
    """A selected segment with its replicas, each with its restore under way."""

    segment_id: SegmentId
    start_time: datetime
    replicas: tuple[tuple[Replica, UnderWay | None], ...]


@dataclass(frozen=True, slots=True)
class PlannedRestore:
    """A restore that a plan wants."""

    replica: Replica
    speed: Speed
    days: int
    cost_usd: float


@dataclass(frozen=True, slots=True)
class SharedRestore:
    """A restore under way for which one more run is to wait."""

    id: int
    days: int  # at least, if it is still planned
    extend_until: datetime | None  # a later end, if it was asked for already
    cost_usd: float  # what the sharing costs


@dataclass(frozen=True, slots=True)
class Restore:
    """A restore that is to be asked for or looked at."""

    id: int
    state: Literal["planned", "requested", "readable"]
    speed: Speed
    days: int
    planned_at: datetime  # by the last run that wanted it and found it planned
    requested_at: datetime | None
    expected_at: datetime | None
    extend_until: datetime | None  # the end that its copy must have and perhaps has not
    segment_id: SegmentId
    start_time: datetime
    store: StoreName
    path: Key
    replica: Replica | None  # None: it is no longer there, or lies elsewhere


@dataclass(frozen=True, slots=True)
class RestoreRecord:
    """What became of a restore.

    `extend_until` is an end that its copy must have and perhaps has not; `extended_until` the end that it has by now.
    """

    restore: Restore
    state: Literal["requested", "readable", "failed"]
    at: datetime
    expected_at: datetime | None = None
    readable_until: datetime | None = None
    extended_until: datetime | None = None
    extend_until: datetime | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class RestoreCounts:
    """How the restores stand that a run waits for."""

    planned: int
    requested: int
    readable: int
    failed: int
    ended: int
    extended: int  # of the readable ones: a later end is wanted, and not asked for yet
    readable_bytes: int
    cost_usd: float  # of those that the run planned itself, as estimated
    readable_until: datetime | None  # when the first of the readable ones ends

    @property
    def open(self) -> int:
        """How many the run still has to wait for."""
        return self.planned + self.requested + self.extended


@dataclass(frozen=True, slots=True)
class RestoreFailure:
    """A restore that failed, for a person to read."""

    segment_id: SegmentId
    start_time: datetime
    store: StoreName
    path: Key
    error: str


class Restores:
    """Archived replicas that were asked for."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def lock(self) -> None:
        """Wait until no other plan of restores is under way; held until the transaction ends."""
        self._session.rows("lock_planning", what="restores")

    def candidates(self, selection: Selection, run_id: str, *, page: int = _PAGE) -> Iterator[list[Candidate]]:
        """The selected segments, oldest first, a page at a time."""
        times, ids = selection.time_range, selection.segment_ids
        after: tuple[Any, UUID] = ("-infinity", _NO_ID)
        while True:
            rows = self._session.rows(
                "restore_candidates",
                run_id=run_id,
                camera_ids=None if selection.camera_ids is None else list(selection.camera_ids),
                segment_ids=None if ids is None else list(ids),
                range_start=times.start if times else "-infinity",
                range_end=times.end if times else "infinity",
                after_start=after[0],
                after_id=after[1],
                limit=page,
            )
            found = [
                Candidate(SegmentId(segment), start, tuple(_replica(row) for row in some if row.store is not None))
                for (segment, start), some in groupby(rows, key=lambda row: (row.wanted_id, row.wanted_start))
            ]
            if found:
                yield found
            if len(found) < page:
                return
            after = (found[-1].start_time, found[-1].segment_id)

    def plan(
        self, run_id: str, planned: Sequence[PlannedRestore], shared: Sequence[SharedRestore], now: datetime
    ) -> None:
        """Add restores, and make the run wait for them and for those of others.

        To be called under `lock`. CatalogueUnavailable when one that was to be shared has just ended: plan again.
        """
        if planned:
            rows = [_row(each) for each in planned]
            self._session.execute("insert_restores", rows=Rows(rows), run_id=run_id, now=now)
        if shared:
            columns = ("id", "days", "extend_until", "cost_usd")
            rows = [{column: getattr(each, column) for column in columns} for each in shared]
            found = self._session.execute("share_restores", rows=Rows(rows), run_id=run_id, now=now)
            if found < len(shared):
                raise CatalogueUnavailable(f"{len(shared) - found} restores ended while they were planned: try again")

    def forget_settled(self, run_id: str) -> None:
        """Let a run that plans anew not wait for restores that failed or ended."""
        self._session.execute("forget_settled_wishes", run_id=run_id)

    def claim(self, run_id: str, store: StoreName, *, above: int, limit: int) -> list[Restore]:
        """Up to `limit` restores with an id above `above` that are to be asked for, for this transaction alone."""
        rows = self._session.rows("claim_restores", run_id=run_id, store=store, above=above, limit=limit)
        return [_restore(row) for row in rows]

    def under_way(self, run_id: str, store: StoreName, *, above: int, limit: int) -> list[Restore]:
        """Up to `limit` restores with an id above `above` that are not settled: to be asked for, or asked for."""
        rows = self._session.rows("restores_under_way", run_id=run_id, store=store, above=above, limit=limit)
        return [_restore(row) for row in rows]

    def record(self, records: Sequence[RestoreRecord]) -> None:
        """Record what became of restores, and until when their replicas can be read."""
        if not records:
            return
        readable = [each.restore for each in records if each.state == "readable"]
        with self._session.transaction():
            self._session.execute("record_restores", rows=Rows([_recorded(each) for each in records]))
            if readable:
                span = bounds(restore.start_time for restore in readable)
                self._session.execute("open_replicas", restore_ids=[restore.id for restore in readable], **span)

    def end(self, now: datetime) -> int:
        """Mark those whose copy is gone, and their replicas as archived again. How many."""
        return int(self._session.row("end_restores", now=now).ended)

    def counts(self, run_id: str) -> RestoreCounts:
        """How the restores stand that a run waits for."""
        return RestoreCounts(*self._session.row("restore_counts", run_id=run_id))

    def failures(self, run_id: str, limit: int) -> list[RestoreFailure]:
        """The first `limit` restores of a run that failed."""
        return [RestoreFailure(*row) for row in self._session.rows("restore_failures", run_id=run_id, limit=limit)]


def _replica(row: Any) -> tuple[Replica, UnderWay | None]:
    under_way = None
    if row.restore_id is not None:
        under_way = UnderWay(
            row.restore_id, row.restore_state, row.speed, row.days, row.cost_usd, row.restore_run_id,
            row.restored_until, row.extend_until, row.expected_at, row.is_waited_for,
        )  # fmt: skip
    return replica_of(row, SegmentId(row.wanted_id)), under_way


def _restore(row: Any) -> Restore:
    return Restore(
        row.id, row.restore_state, row.speed, row.days, row.planned_at, row.requested_at, row.expected_at,
        row.extend_until, SegmentId(row.wanted_id), row.wanted_start, row.wanted_store, row.wanted_path,
        None if row.store is None else replica_of(row, SegmentId(row.wanted_id)),
    )  # fmt: skip


def _row(planned: PlannedRestore) -> dict[str, object]:
    columns = ("segment_id", "start_time", "store", "path", "size_bytes")
    return {column: getattr(planned.replica, column) for column in columns} | {
        "speed": planned.speed, "days": planned.days, "cost_usd": planned.cost_usd,
    }  # fmt: skip


def _recorded(record: RestoreRecord) -> dict[str, object]:
    return {
        "id": record.restore.id,
        "state": record.state,
        "requested_at": record.at,
        "expected_at": record.expected_at,
        "readable_at": record.at if record.state == "readable" else None,
        "readable_until": record.readable_until,
        "extended_until": record.extended_until,
        "extend_until": record.extend_until,
        "error": record.error,
    }
