"""Landing files in the catalogue: what was seen in a landing zone, and what became of it.

A file is pending, then claimed by a worker for the time of a lease, then ingested, duplicate or quarantined; or its
row goes away so that the next scan sees it anew.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from reelkeeper.catalogue.mapping import batch_of
from reelkeeper.catalogue.records import (
    Batch,
    LandingCounts,
    LandingFile,
    LandingState,
    Quarantined,
)
from reelkeeper.catalogue.session import Rows, Session
from reelkeeper.model import BatchId, SegmentId

STALE_AFTER = timedelta(hours=1)
"""How long an item of another run must have lain untouched, and without a lease, before a new plan takes it over."""


CLAIMED_ALONE_AFTER = 3
"""A file that was claimed as often and never settled may be what its workers died of: it is claimed last, and alone."""
_NEVER = 2**31 - 1


class Landing:
    """Files in landing zones, and the batches that ingest them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def known(self, zone: str, paths: Sequence[str]) -> dict[str, LandingFile]:
        """What is known of these paths of a zone. A scan asks for all its paths at once: 100,000 are fine."""
        rows = self._session.rows("known_landing_files", zone=zone, paths=list(paths))
        return {row.path: _file_of(row) for row in rows}

    def plan(
        self,
        run_id: str,
        zone: str,
        files: Sequence[LandingFile],
        *,
        batch_files: int,
        batch_bytes: int,
        max_batches: int,
        stale_after: timedelta = STALE_AFTER,
        again: bool = False,
    ) -> list[Batch]:
        """Put files into batches for `run_id`, oldest first; its batches that have open files, old and new.

        Taken are files that are not known, that are known in another version (size or modification time) and done
        with, and that another run left open: untouched for `stale_after` and under no lease. With `again`, which is for
        zones that files leave, also those that are done with in this very version, and have lain untouched as long.
        Others are passed over, so that planning again, or twice at a time, changes nothing. At most `max_batches` are
        open for the run; what does not fit stays unknown, for the next. A batch has at most `batch_files` files and,
        unless a single file is larger, `batch_bytes` bytes.
        """
        with self._session.transaction():
            self._session.rows("lock_planning", what=f"landing zone {zone}")
            room = max_batches - len(self._open_batches(run_id, zone))
            if files and room > 0:
                self._session.execute(
                    "plan_landing_batches",
                    run_id=run_id,
                    zone=zone,
                    rows=_rows(files),
                    batch_files=batch_files,
                    batch_bytes=batch_bytes,
                    max_batches=room,
                    stale_after=stale_after,
                    again=again,
                )
            return self._open_batches(run_id, zone)

    def claim(
        self, batch_id: BatchId, limit: int, lease: timedelta, *, passing_over: Sequence[str] = ()
    ) -> list[LandingFile]:
        """Up to `limit` open files of a batch, for this worker alone until the lease ends. Empty: none is left.

        Files whose lease has ended are claimed anew; after `CLAIMED_ALONE_AFTER` times each for itself, once nothing
        else is left. Paths in `passing_over` are left to others.
        """

        def claimed(at_most: int, attempts_from: int, attempts_below: int) -> list[Any]:
            return self._session.rows(
                "claim_landing_files",
                batch_id=batch_id,
                limit=at_most,
                lease=lease,
                attempts_from=attempts_from,
                attempts_below=attempts_below,
                passing_over=list(passing_over),
            )

        rows = claimed(limit, 0, CLAIMED_ALONE_AFTER) or claimed(1, CLAIMED_ALONE_AFTER, _NEVER)
        return sorted((_file_of(row) for row in rows), key=lambda file: (file.modified_at, file.path))

    def open_items(self, batch_id: BatchId, *, passing_over: Sequence[str] = ()) -> int:
        """How many files of a batch are pending or claimed by anybody, without those of these paths."""
        count: int = self._session.row("open_landing_files", batch_id=batch_id, passing_over=list(passing_over)).open
        return count

    def put_back(self, batch_id: BatchId, files: Sequence[LandingFile]) -> None:
        """End claims on files that could not be taken in for now: another worker, or another try, may claim them."""
        self._session.execute("put_back_landing_files", batch_id=batch_id, rows=_rows(files))

    def extend(self, batch_id: BatchId, files: Sequence[LandingFile], lease: timedelta) -> int:
        """Renew the lease of claimed files, from now. How many of them are still this batch's and claimed."""
        return self._session.execute("extend_landing_claims", batch_id=batch_id, rows=_rows(files), lease=lease)

    def finish_quarantined(self, batch_id: BatchId, quarantined: Sequence[Quarantined]) -> None:
        """Record files that cannot become segments, with the reason."""
        rows = [
            _row(item.file)
            | {
                "state": LandingState.QUARANTINED,
                "reason_code": item.reason_code,
                "reason": item.reason,
                "moved_to": item.moved_to,
            }
            for item in quarantined
        ]
        self._session.execute("finish_landing_files", batch_id=batch_id, rows=Rows(rows))

    def finish_duplicates(
        self, batch_id: BatchId, duplicates: Sequence[tuple[LandingFile, SegmentId, datetime]]
    ) -> None:
        """Record files whose segment (id, start time) is there already, with the same bytes."""
        rows = [
            _row(file) | {"state": LandingState.DUPLICATE, "segment_id": segment_id, "start_time": start_time}
            for file, segment_id, start_time in duplicates
        ]
        self._session.execute("finish_landing_files", batch_id=batch_id, rows=Rows(rows))

    def release(self, batch_id: BatchId, files: Sequence[LandingFile]) -> None:
        """Forget open files of a batch (deferred, or to be tried again): the next scan sees them anew."""
        self._session.execute("release_landing_files", batch_id=batch_id, rows=_rows(files))

    def counts(self, batch_ids: Sequence[BatchId]) -> LandingCounts:
        """How far the batches are, together."""
        return LandingCounts(*self._session.row("landing_counts", batch_ids=list(batch_ids)))

    def _open_batches(self, run_id: str, zone: str) -> list[Batch]:
        return [batch_of(row) for row in self._session.rows("open_landing_batches", run_id=run_id, zone=zone)]


def _file_of(row: Any) -> LandingFile:
    return LandingFile(row.zone, row.path, row.size_bytes, row.modified_at, LandingState(row.state), row.attempts)


def _row(file: LandingFile) -> dict[str, object]:
    return {"zone": file.zone, "path": file.path, "size_bytes": file.size_bytes, "modified_at": file.modified_at}


def _rows(files: Sequence[LandingFile]) -> Rows:
    return Rows([_row(file) for file in files])
