"""The work of one ingest task: take a batch's landing files in.

Order (invariant 3): write → verify → record; only then does a file leave its zone. Camera, start and hence key and
segment follow from the file alone, so a kill between any two steps leaves claims whose lease ends, and objects that the
next try finds, compares and takes for its own. How files come on record is told in `recording`, how they leave in
`exits`.
"""

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.records import Batch, LandingFile
from reelkeeper.claims import Claims, Terms
from reelkeeper.errors import InvalidFootage
from reelkeeper.ingest.camera_register import CameraRegister
from reelkeeper.ingest.candidates import Candidate, candidate, without_twins
from reelkeeper.ingest.examination import Examined, Examiner
from reelkeeper.ingest.exits import Exits
from reelkeeper.ingest.keeping import Keeper, Kept
from reelkeeper.ingest.recording import Recorder
from reelkeeper.ingest.result import IngestResult, Tally
from reelkeeper.landing.source import Source
from reelkeeper.landing.zones import naming_of, open_zone
from reelkeeper.media.binaries import find_program
from reelkeeper.model import Camera, Progress, media_key
from reelkeeper.ramp import current_percentage
from reelkeeper.settings import Estate
from reelkeeper.stores.protocols import Store

log = logging.getLogger(__name__)

_MOST_ATTEMPTS = 5
"""Claims of one version of a file, the last of them for itself alone, before it goes to quarantine."""
_MOST_FETCHED = 16
"""Files claimed at once where each takes room in a temporary folder."""


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
        self._estate, self._catalogue = estate, catalogue
        self._batch, self._terms, self._progress = batch, terms, progress
        self._zone = estate.zone(batch.zone)
        self._source: Source = open_zone(
            self._zone, open_store, downloads=estate.ingest.download_directory, ffmpeg=find_program("ffmpeg")
        )
        self._examiner = Examiner(
            self._source, naming_of(self._zone, estate.tenant_name), now=terms.now, patience=self._patience()
        )
        percentage = current_percentage(estate, catalogue)
        self._keeper = Keeper(estate, open_store, percentage=percentage, retry=terms.retry, now=terms.now)
        self._cameras = CameraRegister(catalogue.cameras, estate.tenant_name, may_add=self._zone.register_cameras)
        self._moves, self._adopts = self._zone.handling == "move", self._zone.handling == "adopt"
        self._retry = terms.retry
        self._claims = Claims(catalogue.landing, batch, terms, **({} if self._zone.path else {"most": _MOST_FETCHED}))
        self._tally = Tally()
        self._exits = Exits(
            self._zone, self._source, catalogue.landing, batch.id, self._claims, self._tally, open_store, terms.retry
        )
        self._recorder = Recorder(
            estate, catalogue, open_store, self._zone, batch.id, terms,
            percentage=percentage, source=self._source, claims=self._claims, exits=self._exits, tally=self._tally,
        )  # fmt: skip

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
        verified = {} if self._adopts else self._recorder.verified([one.segment for one in twins], self._keepers)
        for one in candidates:
            there = known.get(one.name)
            if there is not None and there.checksum != one.segment.checksum:
                self._exits.drop(one.examined, one.conflicts_with(there.checksum))
            elif there is not None and one.segment.id in verified:
                duplicates.append((one, verified[one.segment.id]))
            else:
                new.append(one)
        self._recorder.record_duplicates(duplicates)
        self._exits.remove(duplicates, self._examiners)
        on_record = self._recorder.record(self._unchanged(self._keep(new)), self._keepers)
        self._exits.remove(on_record, self._examiners)

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

    def _tell_progress(self) -> None:
        if self._progress:
            done = self._claims
            self._progress(done.items_done, self._batch.item_count, done.bytes_done, self._batch.size_bytes)
