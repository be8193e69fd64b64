"""How landing files leave their zone: removed once they are kept, set aside for people, or left for a later scan.

Only what is on record leaves (invariant 3). A quarantined file gets its row first, then its new place; what was
recorded and not yet removed is planned again by a later scan, and found to be a duplicate.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from tenacity import Retrying

from reelkeeper.catalogue.landing import Landing
from reelkeeper.catalogue.records import LandingFile, Quarantined
from reelkeeper.claims import Claims
from reelkeeper.errors import BeingDeleted, InvalidFootage, ObjectNotFound, ReelkeeperError, StillGrowing
from reelkeeper.ingest.candidates import Candidate
from reelkeeper.ingest.examination import Examined
from reelkeeper.ingest.result import Tally
from reelkeeper.landing.source import Removes, SetsAside, Source
from reelkeeper.model import BatchId, Replica
from reelkeeper.settings import LandingZone
from reelkeeper.stores.protocols import Store

log = logging.getLogger(__name__)


class Exits:
    """The ways out of one zone, for the files of one batch."""

    def __init__(
        self, zone: LandingZone, source: Source, landing: Landing, batch_id: BatchId, claims: Claims[LandingFile],
        tally: Tally, open_store: Callable[[str], Store], retry: Retrying,
    ) -> None:  # fmt: skip
        self._zone, self._source, self._landing, self._batch_id = zone, source, landing, batch_id
        self._claims, self._tally, self._open_store, self._retry = claims, tally, open_store, retry
        self._moves = zone.handling == "move"

    def remove(self, leaving: Sequence[tuple[Candidate, Replica]], threads: Executor) -> None:
        """Let files leave a zone of handling `move`, unless they are the replica itself, or not what was recorded."""
        source = self._source
        if not leaving or not self._moves or not isinstance(source, Removes):
            return
        if self._claims.lost:
            log.warning("zone %r: %d recorded files stay: their claims were lost", self._zone.name, len(leaving))
            return

        def leave(pair: tuple[Candidate, Replica]) -> None:
            one, replica = pair
            path = one.file.path
            if source.is_replica(path, self._open_store(replica.store), replica.path):
                return
            now = source.look(path)
            if now is not None and now != one.examined.seen:
                raise StillGrowing(f"{path!r} changed since it was read: it was {one.examined.seen}, it is {now}")
            source.remove(path)

        for (one, _), error in self._claims.each(threads, leave, leaving):
            if error is not None:  # a later scan finds it again
                log.warning("zone %r: %r was recorded, but stays: %s", self._zone.name, one.file.path, error)

    def drop(self, examined: Examined, error: ReelkeeperError) -> None:
        """As `put_off`, for a file that was fetched."""
        self._source.discard(examined.fetched, finished=isinstance(error, InvalidFootage))
        self.put_off(examined.file, error)

    def put_off(self, file: LandingFile, error: ReelkeeperError) -> None:
        """Quarantine what can never be taken in; leave the rest to the next scan, or the task's next try."""
        self._tally.put_off(error)
        if isinstance(error, InvalidFootage):
            self._quarantine(file, error)
        elif isinstance(error, (StillGrowing, ObjectNotFound, BeingDeleted)):
            log.info("zone %r: %r is left for the next scan: %s", self._zone.name, file.path, error)
            self._retry(self._landing.release, self._batch_id, [file])
        else:
            log.warning("zone %r: %r cannot be taken in now: %s", self._zone.name, file.path, error)
            self._claims.let_go(file)
            return
        self._claims.settled(file)

    def _quarantine(self, file: LandingFile, error: InvalidFootage) -> None:
        log.warning("zone %r: %r is quarantined (%s): %s", self._zone.name, file.path, error.code, error)
        source = self._source
        finish = self._landing.finish_quarantined
        if not self._moves or not isinstance(source, SetsAside):
            self._retry(finish, self._batch_id, [Quarantined(file, error.code, str(error), None)])
            return
        place = source.quarantine_place(file.path)
        self._retry(finish, self._batch_id, [Quarantined(file, error.code, str(error), place)])
        try:
            source.quarantine(file.path, place)
        except ReelkeeperError as exc:  # a later scan finds it again
            log.warning("zone %r: %r stays where it is: %s", self._zone.name, file.path, exc)
