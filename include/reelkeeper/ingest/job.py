"""Ingest: footage from landing zones into stores and catalogue.

plan_ingest for each zone → ingest_batch for each batch → thumbnail_batch for each → summarise → gate. Each step is a
task of its own, and may be run again at any time; the work lists stand in the catalogue.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from tenacity import Retrying

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.landing import STALE_AFTER
from reelkeeper.catalogue.records import Batch, LandingFile, LandingState
from reelkeeper.claims import Terms
from reelkeeper.ingest.result import IngestResult, gate, summarise
from reelkeeper.ingest.thumbnailing import ThumbnailResult, thumbnail_batch
from reelkeeper.ingest.worker import Worker
from reelkeeper.landing.source import Found, Removes, SetsAside, Source
from reelkeeper.landing.zones import open_zone
from reelkeeper.model import BatchId, Progress
from reelkeeper.settings import Estate, LandingZone
from reelkeeper.stores.protocols import Store
from reelkeeper.stores.retry import retrying

__all__ = [
    "IngestPlan",
    "IngestResult",
    "ThumbnailResult",
    "gate",
    "ingest_batch",
    "plan_ingest",
    "summarise",
    "thumbnail_batch",
]

log = logging.getLogger(__name__)

_KNOWN_AT_ONCE = 10_000
_LEAVES: dict[LandingState | None, type] = {
    LandingState.QUARANTINED: SetsAside,
    LandingState.INGESTED: Removes,
    LandingState.DUPLICATE: Removes,
}
"""What a zone of handling `move` must be for a file in this state to leave it. One that is still there shows that a
kill came before it left, that it could not leave, or that somebody put it back."""


@dataclass(frozen=True, slots=True)
class IngestPlan:
    """The open batches of one zone for one run, whether planned now or by an earlier try of the same run."""

    zone: str
    batches: tuple[Batch, ...] = ()
    deferred: int = 0  # files that changed between two looks: a later scan takes them

    @property
    def files(self) -> int:
        return sum(batch.item_count for batch in self.batches)

    @property
    def size_bytes(self) -> int:
        return sum(batch.size_bytes for batch in self.batches)


def plan_ingest(
    estate: Estate,
    catalogue: Catalogue,
    open_store: Callable[[str], Store],
    zone: str,
    *,
    run_id: str,
    sleep: Callable[[float], None] = time.sleep,
    stale_after: timedelta = STALE_AFTER,
) -> IngestPlan:
    """Put the files of a zone that are new, and do not change any more, into batches for `run_id`.

    A scan looks twice, `settle_seconds` apart. At most as many files are taken as `max_batches` hold; the rest waits
    for the next run. Files that another run left open, or that were done with and should have left the zone, are taken
    once nothing has happened to them for `stale_after`; the latter in what room new files leave, since what cannot
    leave would come again and again. Planning again with the same `run_id` adds what is new and
    gives the batches that have open files.

    In mode milestone there is nothing to ingest. Errors of the zone's store, or its folder, pass through.
    """
    settings = estate.zone(zone)
    if estate.placement.mode == "milestone":
        log.info("zone %r: nothing is ingested, placement.mode is 'milestone'", zone)
        return IngestPlan(zone)
    source = open_zone(settings, open_store)
    room = estate.ingest.batch_files * estate.ingest.max_batches
    found = _unfinished(source, settings, catalogue, room)
    if found and source.settles:
        sleep(settings.settle_seconds)
    still = [seen for seen, again in zip(found, source.look_again(found), strict=True) if again == seen]
    batches = retrying()(
        catalogue.landing.plan,
        run_id,
        zone,
        [LandingFile(zone, seen.path, seen.size_bytes, seen.modified_at) for seen in still],
        batch_files=estate.ingest.batch_files,
        batch_bytes=estate.ingest.batch_bytes,
        max_batches=estate.ingest.max_batches,
        stale_after=stale_after,
        again=settings.handling == "move",
    )
    return IngestPlan(zone, tuple(batches), len(found) - len(still))


def ingest_batch(
    estate: Estate,
    open_catalogue: Callable[[], Catalogue],
    open_store: Callable[[str], Store],
    batch_id: BatchId,
    *,
    progress: Progress | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    lease: timedelta | None = None,
    retry: Retrying | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> IngestResult:
    """Take in what is open in a batch, and return when nothing of it is.

    What cannot become a segment goes to quarantine with a reason, and the rest goes on. What a store or the zone would
    not give or take now is left for the next scan. Several workers may share a batch.

    Raises the first error when no file at all could be taken in, or when the local store, which everything falls back
    to, was dropped: what is still open is left for the task's next try. CatalogueUnavailable.
    """
    retry = retry or retrying()
    with open_catalogue() as catalogue:
        batch = retry(catalogue.transfers.get, batch_id)
        return Worker(
            estate, catalogue, open_store, batch, Terms(lease or estate.lease, now, sleep, retry), progress
        ).run()


def _unfinished(source: Source, zone: LandingZone, catalogue: Catalogue, room: int) -> list[Found]:
    """Up to `room` of the zone's files that are not done with; after them, those that are and should have left."""
    files = source.scan()
    open_files: list[Found] = []
    left_behind: list[Found] = []
    while len(open_files) < room and (chunk := list(islice(files, _KNOWN_AT_ONCE))):
        known = retrying()(catalogue.landing.known, zone.name, [seen.path for seen in chunk])
        for seen in chunk:
            state = _state_of(seen, known.get(seen.path))
            if state not in _LEAVES:
                open_files.append(seen)
            elif len(left_behind) < room and zone.handling == "move" and isinstance(source, _LEAVES[state]):
                left_behind.append(seen)
    return (open_files + left_behind)[:room]


def _state_of(seen: Found, known: LandingFile | None) -> LandingState | None:
    """What became of this version of a file; None when nothing is known of it."""
    if known is None or (known.size_bytes, known.modified_at) != (seen.size_bytes, seen.modified_at):
        return None
    return known.state
