"""The tallies in the catalogue: what there is and what happened, counted as it changes.

What is read is a tally with the changes that are not yet folded into it, so it holds at that moment, however long ago
the last fold was. Folding keeps the changes few.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any

from reelkeeper.catalogue.session import Rows, Session
from reelkeeper.catalogue.tally_records import (
    LATENCY_BOUNDS,
    CameraDay,
    CameraFigures,
    DeletionTotals,
    Durations,
    ExportTotals,
    RetrievalTotals,
    TransferTotals,
    Usage,
    UsageDay,
)
from reelkeeper.model import CameraId, ReplicaState, StoreName, Tier

_FOLDS = (
    "fold_usage",
    "fold_placement",
    "fold_cameras",
    "settle_last_ends",
    "fold_transfers",
    "fold_deletions",
    "fold_retrievals",
    "fold_exports",
)
_RECOUNTS = (
    "recount_usage",
    "recount_placement_buckets",
    "recount_placement_days",
    "recount_camera_days",
    "recount_cameras",
    "doubt_last_ends",
    "settle_last_ends",
    "recount_transfer_hours",
    "recount_transfers",
    "recount_deletions",
    "recount_retrievals",
)
_UNTIMED = -1
"""The latency class of what nobody knows the duration of."""


@dataclass(frozen=True, slots=True)
class Leavings:
    """What lies in a store beside footage that is kept."""

    orphans: int = 0
    orphan_bytes: int = 0
    quarantined: int = 0
    quarantined_bytes: int = 0
    condemned: int = 0
    condemned_bytes: int = 0


class Tallies:
    """Counts that triggers keep; none of the reads goes through the footage."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # --- keeping them -------------------------------------------------------------------------------------------------

    def fold(self) -> None:
        """Add the changes so far to the tallies. Folds take turns; writers do not wait."""
        with self._session.transaction():
            self._session.rows("lock_planning", what="tallies")
            for query in _FOLDS:
                self._session.execute(query)

    def drift(self) -> dict[str, int]:
        """How many counts of each tally differ from what the rows say: none, unless rows were changed past the
        triggers. Goes through all footage."""
        with self._session.transaction():
            self._session.rows("prepare_recount")
            return {row.tally: row.counts for row in self._session.rows("tally_drift")}

    def recount(self) -> None:
        """Make right what drifted. Goes through all footage, several times; writers do not wait. What exports came to,
        and what was read without its duration being known, has no rows to count again."""
        with self._session.transaction():
            self._session.rows("lock_planning", what="tallies")
            self._session.rows("prepare_recount")
            for query in (*_FOLDS, *_RECOUNTS):
                self._session.execute(query)

    def tidy(self) -> None:
        """Fold, and forget counts of what there is none of any more."""
        with self._session.transaction():
            self.fold()
            self._session.execute("drop_empty_tallies")

    def note_retrieval(self, store: StoreName, size_bytes: int) -> None:
        """Somebody was told to read a segment from this store: how long that takes nobody will know."""
        self._session.execute("note_retrieval", store=store, size_bytes=size_bytes)

    def keep_day(self, day: date, rows: Sequence[UsageDay]) -> None:
        """These are what stores hold on a day, in place of what was told of it before."""
        told = [asdict(row) | {"day": row.day.isoformat(), "monthly_usd": _text(row.monthly_usd)} for row in rows]
        with self._session.transaction():
            self._session.rows("lock_planning", what="tallies")
            self._session.execute("drop_usage_day", day=day)
            self._session.execute("insert_usage_day", rows=Rows(told))

    # --- what there is ------------------------------------------------------------------------------------------------

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """All that is read inside was true at one moment. Not inside another transaction; nothing may be changed."""
        with self._session.transaction():
            self._session.read_one_moment()
            yield

    def usage(self) -> tuple[list[Usage], dict[StoreName, int]]:
        """What stores hold, and how many replicas of each have a day to leave on."""
        rows = self._session.rows("tallied_usage")
        retiring: dict[StoreName, int] = {}
        for row in rows:
            retiring[row.store] = retiring.get(row.store, 0) + row.retiring
        usage = [
            Usage(row.store, row.tenant, Tier(row.tier), row.storage_class, ReplicaState(row.state), row.replicas,
                  row.size_bytes)
            for row in rows
        ]  # fmt: skip
        return usage, retiring

    def cameras(self) -> list[CameraFigures]:
        """Every camera, by tenant and slug."""
        return [CameraFigures(**row._asdict()) for row in self._session.rows("tallied_cameras")]

    def camera_days(self, first: date, last: date, cameras: Sequence[CameraId] | None = None) -> list[CameraDay]:
        """What cameras (None: all) recorded on each UTC day from `first` to `last`, by camera and day; a day without
        footage is absent."""
        rows = self._session.rows(
            "tallied_camera_days", first_day=first, last_day=last, camera_ids=None if cameras is None else list(cameras)
        )
        return [CameraDay(row.camera_id, row.day, row.segments, row.microseconds / 1e6, row.size_bytes) for row in rows]

    def first_days(self, cameras: Sequence[CameraId] | None = None) -> dict[CameraId, date]:
        """The first UTC day of which there is footage, of each of these cameras (None: all) that has any."""
        camera_ids = None if cameras is None else list(cameras)
        return {row.camera_id: row.day for row in self._session.rows("first_camera_days", camera_ids=camera_ids)}

    def recorded_before(self, day: date) -> frozenset[CameraId]:
        """The cameras of which there is footage of a UTC day before this one."""
        return frozenset(row.camera_id for row in self._session.rows("cameras_recorded_before", day=day))

    def unplaced(self, store: StoreName, buckets: int) -> tuple[int, datetime | None]:
        """How many segments with a rollout bucket below `buckets` have no available replica in a store, and the start
        of the oldest of them."""
        count: int = self._session.row("unplaced_segments", store=store, buckets=buckets).segments
        oldest = self._session.rows("oldest_unplaced_segment", store=store, buckets=buckets) if count else []
        return count, oldest[0].start_time if oldest else None

    def unprotected(self) -> int:
        """How many segments have doubted copies and no available one. What only waits for its deletion is none."""
        count: int = self._session.row("unprotected_segments").segments
        return count

    def oldest_proof(self, stores: Sequence[StoreName]) -> datetime | None:
        """When the copy in these stores that was proved longest ago was proved; None without any."""
        moment: datetime | None = self._session.row("oldest_proof", stores=list(stores)).proved_at
        return moment

    def queued(self) -> dict[str, int]:
        """How many items wait or are under way, by job."""
        return {row.job: row.items for row in self._session.rows("queued_items")}

    def quarantined_files(self) -> int:
        """How many files of landing zones are in quarantine."""
        count: int = self._session.row("quarantined_files").files
        return count

    def leavings(self) -> dict[StoreName, Leavings]:
        """What lies in each store beside footage that is kept; a store without any is absent."""
        return {
            row.store: Leavings(**{name: getattr(row, name) for name in Leavings.__dataclass_fields__})
            for row in self._session.rows("store_leavings")
        }

    def last_reconciliations(self, stores: Sequence[StoreName]) -> dict[StoreName, tuple[datetime, str]]:
        """When each of these stores was last reconciled, and the outcome."""
        rows = self._session.rows("last_reconciliations", stores=list(stores))
        return {row.store: (row.finished_at, row.outcome) for row in rows}

    # --- what happened ------------------------------------------------------------------------------------------------

    def transfers(self) -> list[TransferTotals]:
        """Since ever."""
        return _transfer_totals(self._session.rows("tallied_transfers"))

    def transfer_hours(self, since: datetime, until: datetime) -> dict[datetime, list[TransferTotals]]:
        """By the full hour that they finished in, of the hours that start in `[since, until)`; none is empty."""
        rows = self._session.rows("tallied_transfer_hours", since=since, until=until)
        return {hour: _transfer_totals(each) for hour, each in groupby(rows, lambda row: row.hour)}

    def deletions(self) -> list[DeletionTotals]:
        """Since ever."""
        return [DeletionTotals(**row._asdict()) for row in self._session.rows("tallied_deletions")]

    def retrievals(self) -> list[RetrievalTotals]:
        """Since ever."""
        rows = self._session.rows("tallied_retrievals")
        return [
            _retrieval_totals(list(each))
            for _, each in groupby(rows, lambda row: (row.store, row.outcome, row.error_code))
        ]

    def exports(self) -> list[ExportTotals]:
        """Since ever."""
        rows = self._session.rows("tallied_exports")
        return [
            ExportTotals(status, _durations((row.latency_class, row.exports, row.microseconds) for row in each))
            for status, each in groupby(rows, lambda row: row.status)
        ]

    def usage_days(self, first: date, last: date) -> list[UsageDay]:
        """What stores held at the end of each UTC day from `first` to `last`, as far as it was looked at."""
        rows = self._session.rows("usage_days", first_day=first, last_day=last)
        return [UsageDay(**row._asdict() | {"tier": Tier(row.tier)}) for row in rows]


def _transfer_totals(rows: Iterable[Any]) -> list[TransferTotals]:
    """From rows by latency class, in the order of what else they are counted by."""

    def key(row: Any) -> tuple[Any, ...]:
        return row.job, row.store, row.outcome, row.error_code, row.fallback

    totals = []
    for (job, store, outcome, error_code, fallback), each in groupby(rows, key):
        classes = list(each)
        durations = _durations((row.latency_class, row.transfers, row.microseconds) for row in classes)
        size_bytes = sum(row.size_bytes for row in classes)
        totals.append(TransferTotals(job, store, outcome, error_code, fallback, size_bytes, durations))
    return totals


def _retrieval_totals(rows: Sequence[Any]) -> RetrievalTotals:
    """From rows that differ in their latency class alone."""
    timed = [(row.latency_class, row.segments, row.microseconds) for row in rows if row.latency_class != _UNTIMED]
    first = rows[0]
    return RetrievalTotals(
        first.store, first.outcome, first.error_code, sum(row.segments for row in rows),
        sum(row.size_bytes for row in rows), _durations(timed),
    )  # fmt: skip


def _durations(classes: Iterable[tuple[int, int, int]]) -> Durations:
    """From (latency class, number, microseconds in all)."""
    numbers, microseconds = [0] * (len(LATENCY_BOUNDS) + 1), 0
    for place, number, length in classes:
        numbers[place] += number
        microseconds += length
    return Durations(sum(numbers), microseconds / 1e6, tuple(numbers))


def _text(amount: object) -> str | None:
    return None if amount is None else str(amount)
