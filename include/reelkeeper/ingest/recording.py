"""How files come on record: as new segments, or as duplicates of segments that are there and proved to be."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from datetime import timedelta

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.records import Ingested, LandingFile, RecordOutcome
from reelkeeper.claims import Claims, Terms
from reelkeeper.errors import BeingDeleted, InvalidFootage, ReelkeeperError, RowRefused
from reelkeeper.ingest.candidates import Candidate
from reelkeeper.ingest.exits import Exits
from reelkeeper.ingest.keeping import Kept
from reelkeeper.ingest.result import Tally
from reelkeeper.landing.source import Source
from reelkeeper.model import BatchId, Replica, ReplicaState, Segment, SegmentId
from reelkeeper.policy.placement import belongs_in_cloud, migrates_later
from reelkeeper.policy.rollout import Percentage
from reelkeeper.settings import Estate, LandingZone
from reelkeeper.stores.proof import verify_object
from reelkeeper.stores.protocols import Store

log = logging.getLogger(__name__)

_LATE_MARGIN = timedelta(minutes=15)
"""How far clocks may differ, and recording take. A request too many costs nothing, one too few a cloud replica."""


class Recorder:
    """Records the files of one batch. What it returns is on record, and may leave its zone on that replica's word."""

    def __init__(
        self, estate: Estate, catalogue: Catalogue, open_store: Callable[[str], Store], zone: LandingZone,
        batch_id: BatchId, terms: Terms, *,
        percentage: Percentage, source: Source, claims: Claims[LandingFile], exits: Exits, tally: Tally,
    ) -> None:  # fmt: skip
        self._estate, self._catalogue, self._open_store = estate, catalogue, open_store
        self._batch_id, self._terms, self._percentage = batch_id, terms, percentage
        self._source, self._claims, self._exits, self._tally = source, claims, exits, tally
        self._moves, self._adopts = zone.handling == "move", zone.handling == "adopt"

    def verified(self, segments: Sequence[Segment], threads: Executor) -> dict[SegmentId, Replica]:
        """A replica of each segment that the catalogue calls available and its store still has.

        Read back in a zone of handling `move`: on its word a landing file is deleted.
        """
        if not segments:
            return {}
        names = [(segment.id, segment.start_time) for segment in segments]
        replicas = self._terms.retry(self._catalogue.replicas.of_segments, names)

        def look(segment: Segment) -> Replica | None:
            return next((one for one in replicas.get(segment.id, ()) if self._is_there(one, segment)), None)

        looked = [(segment, replica) for segment, replica in self._claims.each(threads, look, segments)]
        return {segment.id: replica for segment, replica in looked if isinstance(replica, Replica)}

    def _is_there(self, replica: Replica, segment: Segment) -> bool:
        if replica.state is not ReplicaState.AVAILABLE or replica.checksum != segment.checksum:
            return False
        try:
            verify_object(
                self._open_store(replica.store), replica.path, segment.size_bytes, segment.checksum,
                attested=not self._moves,
            )  # fmt: skip
        except ReelkeeperError as error:  # gone, other bytes, or unknown: it proves nothing
            log.warning("replica %r in store %r proves nothing: %s", replica.path, replica.store, error)
            return False
        return True

    def record_duplicates(self, duplicates: Sequence[tuple[Candidate, Replica]]) -> None:
        """Files whose segment has a verified replica already."""
        if not duplicates:
            return
        rows = [(one.file, one.segment.id, one.segment.start_time) for one, _ in duplicates]
        self._terms.retry(self._catalogue.landing.finish_duplicates, self._batch_id, rows)
        for one, _ in duplicates:
            self._settled(one, "duplicates")

    def record(self, kept: Sequence[tuple[Candidate, Kept]], threads: Executor) -> list[tuple[Candidate, Replica]]:
        """Files that were kept, each with its replica; what the catalogue does not take goes its own way out."""
        if not kept:
            return []
        items = [
            Ingested(one.file, one.segment, made.replica, made.attempts, self._request(one, made)) for one, made in kept
        ]
        outcomes = self._outcomes(items)
        told = list(zip(kept, items, outcomes, strict=True))
        doubles = [item.segment for _, item, outcome in told if outcome is RecordOutcome.DUPLICATE]
        verified = self.verified(doubles, threads)
        on_record = []
        for (one, made), item, outcome in told:
            if refusal := _refusal(one, made, outcome):
                self._exits.drop(one.examined, refusal)
            elif outcome is RecordOutcome.RECORDED:
                self._settled(one, "ingested")
                self._tally.add("bytes_ingested", one.segment.size_bytes)
                self._tally.add("fallbacks", made.fell_back)
                self._tally.add("late", item.request_reason == "late")
                on_record.append((one, made.replica))
            else:
                self._settled(one, "duplicates")
                if one.segment.id in verified:
                    on_record.append((one, verified[one.segment.id]))
        return on_record

    def _settled(self, one: Candidate, became: str) -> None:
        self._claims.settled(one.file)
        self._tally.add(became)
        self._source.discard(one.examined.fetched, finished=True)

    def _outcomes(self, items: Sequence[Ingested]) -> list[RecordOutcome | InvalidFootage]:
        """Record together what can be: one file that the catalogue refuses must not keep the others out."""
        try:
            return list(self._terms.retry(self._catalogue.segments.record, self._batch_id, items))
        except RowRefused as exc:
            if len(items) == 1:
                return [InvalidFootage(str(exc), code=exc.code)]
        half = len(items) // 2
        return self._outcomes(items[:half]) + self._outcomes(items[half:])

    def _request(self, one: Candidate, kept: Kept) -> str | None:
        """Why the next migration should take the segment although its own interval is over."""
        placement = self._estate.placement
        if kept.fell_back:
            return "fallback"
        older_than = timedelta(minutes=self._estate.migration.older_than_minutes)
        # Its interval may have been planned, or will be before it is recorded.
        is_late = one.segment.start_time < self._terms.now() - older_than + _LATE_MARGIN
        waits = not self._adopts and migrates_later(placement.mode, placement.at_ingest)
        is_wanted = belongs_in_cloud(placement.mode, one.segment.rollout_bucket, self._percentage)
        return "late" if is_late and waits and is_wanted else None


def _refusal(one: Candidate, made: Kept, outcome: RecordOutcome | InvalidFootage) -> ReelkeeperError | None:
    """Why the file is not on record; None when it is."""
    if isinstance(outcome, InvalidFootage):
        return outcome
    if outcome is RecordOutcome.BEING_DELETED:
        place = f"{made.replica.path!r} in store {made.replica.store!r}"
        return BeingDeleted(f"{place} is being deleted: it is not recorded there now")
    if outcome is RecordOutcome.CONFLICT:
        return one.conflicts_with("of its own")
    return None
