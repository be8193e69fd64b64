"""The work of one ingest task: take a batch's landing files in.

Order (invariant 3): write → verify → record; only then does a file leave its zone. Camera, start and hence key and
segment follow from the file alone, so a kill between any two steps leaves claims whose lease ends, and objects that the
next try finds, compares and takes for its own. How files leave is told in `exits`.
"""

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.records import Batch, Ingested, LandingFile, RecordOutcome
from reelkeeper.claims import Claims, Terms
from reelkeeper.errors import BeingDeleted, InvalidFootage, ReelkeeperError, RowRefused
from reelkeeper.ingest.camera_register import CameraRegister
from reelkeeper.ingest.candidates import Candidate, candidate, without_twins
from reelkeeper.ingest.examination import Examined, Examiner
from reelkeeper.ingest.exits import Exits
from reelkeeper.ingest.keeping import Keeper, Kept
from reelkeeper.ingest.result import IngestResult, Tally
from reelkeeper.landing.source import Source
from reelkeeper.landing.zones import naming_of, open_zone
from reelkeeper.media.binaries import find_program
from reelkeeper.model import (
    Camera,
    Progress,
    Replica,
    ReplicaState,
    Segment,
    SegmentId,
    media_key,
)
from reelkeeper.policy.placement import belongs_in_cloud, migrates_later
from reelkeeper.ramp import current_percentage
from reelkeeper.settings import Estate
from reelkeeper.stores.proof import verify_object
from reelkeeper.stores.protocols import Store

log = logging.getLogger(__name__)

_MOST_ATTEMPTS = 5
"""Claims of one version of a file, the last of them for itself alone, before it goes to quarantine."""
_MOST_FETCHED = 16
"""Files claimed at once where each takes room in a temporary folder."""
_LATE_MARGIN = timedelta(minutes=15)
"""How far clocks may differ, and recording take. A request too many costs nothing, one too few a cloud replica."""


class Worker:
    """One worker on one batch of one zone.

    Work is done in threads; the catalogue, which has one connection, is asked in the caller's thread alone.
    """

    def __init__(
        self,
        estate: Estate,
        catalogue: Catalogue,
        open_store: Callable[[str], Store],
        batch: Batch,
        terms: Terms,
        progress: Progress | None,
    ) -> None:
        if batch.zone is None:
            raise ValueError(f"batch {str(batch.id)!r} of job {batch.job!r} has no zone: expected one of job 'ingest'")
        self._estate, self._catalogue, self._open_store = estate, catalogue, open_store
        self._batch, self._terms, self._progress = batch, terms, progress
        self._zone = estate.zone(batch.zone)
        self._source: Source = open_zone(
            self._zone, open_store, downloads=estate.ingest.download_directory, ffmpeg=find_program("ffmpeg")
        )
        self._examiner = Examiner(
            self._source, naming_of(self._zone, estate.tenant_name), now=terms.now, patience=self._patience()
        )
        self._percentage = current_percentage(estate, catalogue)
        self._keeper = Keeper(estate, open_store, percentage=self._percentage, retry=terms.retry, now=terms.now)
        self._cameras = CameraRegister(catalogue.cameras, estate.tenant_name, may_add=self._zone.register_cameras)
        self._moves, self._adopts = self._zone.handling == "move", self._zone.handling == "adopt"
        self._retry = terms.retry
        self._claims = Claims(catalogue.landing, batch, terms, **({} if self._zone.path else {"most": _MOST_FETCHED}))
        self._tally = Tally()
        self._exits = Exits(
            self._zone, self._source, catalogue.landing, batch.id, self._claims, self._tally, open_store, terms.retry
        )

    def run(self) -> IngestResult:
        """Work until nothing of the batch is open. Raises the first error when nothing could be taken in."""
        with (
            closing(self._source),
            ThreadPoolExecutor(self._examining_threads(), "examine") as self._examiners,
            ThreadPoolExecutor(self._keeping_threads(), "keep") as self._keepers,
        ):
            for files in self._claims.chunks():
                self._take_in(files)
                if self._keeper.dropped():
                    break
        return self._result()

    def _result(self) -> IngestResult:
        result, error = self._tally.result(), self._keeper.dropped() or self._tally.first_error
        if error is not None and (self._keeper.dropped() or result.failed + result.deferred == result.files):
            raise error  # what could not be taken in is pending: the task's next try has work to do
        if self._claims.put_back:
            self._retry(self._catalogue.landing.release, self._batch.id, self._claims.put_back)
        return result

    def _patience(self) -> timedelta:
        """Objects and downloads are whole when they appear; a file may wait for its recorder."""
        return timedelta(minutes=self._zone.quarantine_after_minutes if self._zone.path else 0)

    def _examining_threads(self) -> int:
        return 2 * (os.cpu_count() or 1) if self._zone.path else _MOST_FETCHED

    def _keeping_threads(self) -> int:
        placement = self._estate.placement
        names = [name for name in (placement.local_store, placement.cloud_store) if name]
        return max(self._estate.store(name).concurrency for name in names)

    # --- the steps ----------------------------------------------------------------------------------------------------

    def _take_in(self, files: Sequence[LandingFile]) -> None:
        examined: list[Examined] = []
        for file, seen in self._claims.each(self._examiners, self._examiner.examine, self._without_killers(files)):
            if isinstance(seen, Examined):
                examined.append(seen)
            else:
                self._exits.put_off(file, seen)
        for candidates in without_twins(self._candidates(examined)):
            self._settle_unless_new(candidates)
        self._tell_progress()

    def _without_killers(self, files: Sequence[LandingFile]) -> list[LandingFile]:
        """Leave out files that worker after worker took up and did not live to settle."""
        for file in files:
            if file.attempts > _MOST_ATTEMPTS:
                text = f"{file.attempts - 1} workers took the file up and none could tell what became of it"
                self._exits.put_off(file, InvalidFootage(f"{text}: expected one to", code="worker_died"))
        return [file for file in files if file.attempts <= _MOST_ATTEMPTS]

    def _candidates(self, examined: Sequence[Examined]) -> list[Candidate]:
        cameras = self._retry(self._cameras.find, {one.camera: None for one in examined})
        candidates = []
        for one in examined:
            camera = cameras[one.camera]
            if isinstance(camera, Camera):
                candidates.append(candidate(one, camera))
            else:
                self._exits.drop(one, camera)
        return candidates

    def _settle_unless_new(self, candidates: Sequence[Candidate]) -> None:
        """Sort out what is known, keep what is new, record both."""
        known = self._retry(self._catalogue.segments.find, [one.name for one in candidates])
        twins = [one for one in candidates if one.name in known]
        duplicates, new = [], []
        # Of an adopted file its own path is recorded, also where the segment has replicas elsewhere.
        verified = {} if self._adopts else self._verified([one.segment for one in twins])
        for one in candidates:
            there = known.get(one.name)
            if there is not None and there.checksum != one.segment.checksum:
                self._exits.drop(one.examined, one.conflicts_with(there.checksum))
            elif there is not None and one.segment.id in verified:
                duplicates.append((one, verified[one.segment.id]))
            else:
                new.append(one)
        self._finish_duplicates(duplicates)
        self._record(self._unchanged(self._keep(new)))

    def _keep(self, candidates: Sequence[Candidate]) -> list[tuple[Candidate, Kept]]:
        kept = []
        for one, outcome in self._claims.each(self._keepers, self._keep_one, candidates):
            if isinstance(outcome, Kept):
                kept.append((one, outcome))
            else:
                self._exits.drop(one.examined, outcome)
        return kept

    def _unchanged(self, kept: Sequence[tuple[Candidate, Kept]]) -> list[tuple[Candidate, Kept]]:
        """Those whose replica still holds what was read, also where it is the landing file itself."""

        def look(pair: tuple[Candidate, Kept]) -> None:
            self._keeper.expect_unchanged(pair[1], pair[0].examined.fetched)

        unchanged = []
        for (one, made), error in self._claims.each(self._keepers, look, kept):
            if error is None:
                unchanged.append((one, made))
            else:
                self._exits.drop(one.examined, error)
        return unchanged

    def _keep_one(self, one: Candidate) -> Kept:
        fetched = one.examined.fetched
        if self._adopts:
            return self._keeper.adopt(one.segment, fetched)
        key = media_key(self._estate.tenant_name, one.camera.slug, one.segment.start_time, one.segment.id,
                        one.segment.extension)  # fmt: skip
        return self._keeper.keep(
            one.segment, key, fetched,
            may_link=self._moves or fetched.is_temporary, retention_days=one.camera.retention_days,
        )  # fmt: skip

    def _record(self, kept: Sequence[tuple[Candidate, Kept]]) -> None:
        if not kept:
            return
        items = [
            Ingested(one.file, one.segment, made.replica, made.attempts, self._request(one, made)) for one, made in kept
        ]
        outcomes = self._outcomes(items)
        told = list(zip(kept, items, outcomes, strict=True))
        doubles = [item.segment for _, item, outcome in told if outcome is RecordOutcome.DUPLICATE]
        verified = self._verified(doubles)
        leaving = []
        for (one, made), item, outcome in told:
            if isinstance(outcome, InvalidFootage):
                self._exits.drop(one.examined, outcome)
                continue
            if outcome is RecordOutcome.BEING_DELETED:
                place = f"{made.replica.path!r} in store {made.replica.store!r}"
                self._exits.drop(one.examined, BeingDeleted(f"{place} is being deleted: it is not recorded there now"))
                continue
            if outcome is RecordOutcome.CONFLICT:
                self._exits.drop(one.examined, one.conflicts_with("of its own"))
                continue
            self._claims.settled(one.file)
            self._tally.add("ingested" if outcome is RecordOutcome.RECORDED else "duplicates")
            self._source.discard(one.examined.fetched, finished=True)
            if outcome is RecordOutcome.RECORDED:
                self._tally.add("bytes_ingested", one.segment.size_bytes)
                self._tally.add("fallbacks", made.fell_back)
                self._tally.add("late", item.request_reason == "late")
                leaving.append((one, made.replica))
            elif one.segment.id in verified:
                leaving.append((one, verified[one.segment.id]))
        self._exits.remove(leaving, self._examiners)

    def _outcomes(self, items: Sequence[Ingested]) -> list[RecordOutcome | InvalidFootage]:
        """Record together what can be: one file that the catalogue refuses must not keep the others out."""
        try:
            return list(self._retry(self._catalogue.segments.record, self._batch.id, items))
        except RowRefused as exc:
            if len(items) == 1:
                return [InvalidFootage(str(exc), code=exc.code)]
        half = len(items) // 2
        return self._outcomes(items[:half]) + self._outcomes(items[half:])

    def _finish_duplicates(self, duplicates: Sequence[tuple[Candidate, Replica]]) -> None:
        if not duplicates:
            return
        rows = [(one.file, one.segment.id, one.segment.start_time) for one, _ in duplicates]
        self._retry(self._catalogue.landing.finish_duplicates, self._batch.id, rows)
        for one, _ in duplicates:
            self._claims.settled(one.file)
            self._tally.add("duplicates")
            self._source.discard(one.examined.fetched, finished=True)
        self._exits.remove(duplicates, self._examiners)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _verified(self, segments: Sequence[Segment]) -> dict[SegmentId, Replica]:
        """A replica of each segment that the catalogue calls available and its store still has.

        Read back in a zone of handling `move`: on its word a landing file is deleted.
        """
        if not segments:
            return {}
        names = [(segment.id, segment.start_time) for segment in segments]
        replicas = self._retry(self._catalogue.replicas.of_segments, names)

        def look(segment: Segment) -> Replica | None:
            return next((one for one in replicas.get(segment.id, ()) if self._is_there(one, segment)), None)

        looked = [(segment, replica) for segment, replica in self._claims.each(self._keepers, look, segments)]
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

    def _tell_progress(self) -> None:
        if self._progress:
            done = self._claims
            self._progress(done.items_done, self._batch.item_count, done.bytes_done, self._batch.size_bytes)
