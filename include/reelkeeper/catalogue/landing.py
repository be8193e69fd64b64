"""Landing files in the catalogue: what was seen in a landing zone, and what became of it.

A file is pending, then claimed by a worker for the time of a lease, then ingested, duplicate or quarantined; or its
row goes away so that the next scan sees it anew.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from reelkeeper.catalogue.records import Batch, LandingCounts, LandingFile, Quarantined, StoredSegment
from reelkeeper.catalogue.session import Session
from reelkeeper.model import BatchId, SegmentId

STALE_AFTER = timedelta(hours=1)
"""How long an item of another run must have lain untouched, and without a lease, before a new plan takes it over."""


class Landing:
    """Files in landing zones, and the batches that ingest them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def known(self, zone: str, paths: Sequence[str]) -> dict[str, LandingFile]:
        """What is known of these paths of a zone. A scan asks for all its paths at once: 100,000 are fine."""
        raise NotImplementedError

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
    ) -> list[Batch]:
        """Put files into batches for `run_id`, oldest first; its batches that have open files, old and new.

        Taken are files that are not known, that are known in another version (size or modification time) and done
        with, and that another run left open: untouched for `stale_after` and under no lease. Others are passed over,
        so that planning again, or twice at a time, changes nothing. At most `max_batches` are open for the run; what
        does not fit stays unknown, for the next. A batch has at most `batch_files` files and, unless a single file is
        larger, `batch_bytes` bytes.
        """
        raise NotImplementedError

    def claim(self, batch_id: BatchId, limit: int, lease: timedelta) -> list[LandingFile]:
        """Up to `limit` open files of a batch, for this worker alone until the lease ends. Empty: none is left.

        Files whose lease has ended are claimed anew.
        """
        raise NotImplementedError

    def extend(self, batch_id: BatchId, files: Sequence[LandingFile], lease: timedelta) -> int:
        """Renew the lease of claimed files, from now. How many of them are still this batch's and claimed."""
        raise NotImplementedError

    def finish_quarantined(self, batch_id: BatchId, quarantined: Sequence[Quarantined]) -> None:
        """Record files that cannot become segments, with the reason."""
        raise NotImplementedError

    def finish_duplicates(
        self, batch_id: BatchId, duplicates: Sequence[tuple[LandingFile, SegmentId, datetime]]
    ) -> None:
        """Record files whose segment (id, start time) is there already, with the same bytes."""
        raise NotImplementedError

    def release(self, batch_id: BatchId, files: Sequence[LandingFile]) -> None:
        """Forget open files of a batch (deferred, or to be tried again): the next scan sees them anew."""
        raise NotImplementedError

    def counts(self, batch_ids: Sequence[BatchId]) -> LandingCounts:
        """How far the batches are, together."""
        raise NotImplementedError

    def batch_segments(self, batch_id: BatchId) -> list[StoredSegment]:
        """The segments that a batch ingested and that have a replica to read, by start time."""
        raise NotImplementedError
