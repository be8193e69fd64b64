"""What objects are that no row knew before the listing: known by now, footage that was lost, or orphans."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.comparison import Difference, WantedSegment
from reelkeeper.catalogue.orphans import Orphan
from reelkeeper.errors import InvalidKey, ObjectExists, ObjectNotFound, ReelkeeperError, TransferCorrupted
from reelkeeper.model import Key, Replica, ReplicaState, Tier, canonical_key
from reelkeeper.policy.reconciliation import (
    MEDIA,
    QUARANTINE,
    OrphanTerms,
    is_our_key,
    is_ripe,
    origin_of,
    segment_named,
)
from reelkeeper.policy.restoration import needs_restore
from reelkeeper.pricing import tier_of_class
from reelkeeper.reports import Report
from reelkeeper.settings import Estate
from reelkeeper.stores.breaker import Breaker
from reelkeeper.stores.proof import accept_existing
from reelkeeper.stores.protocols import ObjectStat, Store
from reelkeeper.stores.retry import retrying

log = logging.getLogger(__name__)

COLUMNS = (
    "finding", "path", "segment_id", "size_bytes", "expected_bytes", "modified_at", "sightings", "what_follows",
)  # fmt: skip
"""Of a report of a reconciliation."""


@dataclass(frozen=True, slots=True)
class Sightings:
    """What was found among the objects that no row knew."""

    orphans: int = 0
    orphan_bytes: int = 0
    ripe: int = 0  # may go to quarantine
    found: int = 0  # footage that the catalogue had lost
    foreign: int = 0  # somebody else's, though below our prefixes
    unknown: int = 0  # may be lost replicas, and could not be read: nothing is concluded


def judge_objects(
    estate: Estate,
    catalogue: Catalogue,
    store: Store,
    report: Report,
    terms: OrphanTerms,
    prefixes: Sequence[str],
    *,
    run_id: str,
    now: datetime,
    store_clock: datetime,
    dry_run: bool,
) -> Sightings:
    """Look at every unknown object of a comparison, note the orphans, and report each.

    Only keys of the form of ours below one of `prefixes`, there or in quarantine, can be orphans; all others are
    somebody else's. An object whose key and bytes are those of a segment that lacks a good replica is that replica
    again; of one that may be, and cannot be read, nothing is concluded. Orphans that were noted by earlier runs and are
    not there any more, or known, are forgotten. The error of a store that does not answer about several in a row.
    """
    finder = _Finder(estate, catalogue, store, report, now, dry_run)
    orphans = orphan_bytes = ripe = foreign = 0
    for page in catalogue.comparison.differences("unknown"):
        ours = {one.path: one for one in page if is_our_key(origin_of(one.path), prefixes) and _is_canonical(one.path)}
        strange = [one for one in page if one.path not in ours]
        for one in strange:
            _tell(report, "foreign", one, None, "left alone: its key is not one of ours")
        foreign += sum(not one.path.startswith(QUARANTINE) for one in strange)  # those there are counted with others'
        known = catalogue.comparison.known(store.name, list(ours))
        unknown = [one for path, one in ours.items() if path not in known]
        left = [_orphan_of(one) for one in finder.without_found(unknown)]
        if not left:
            continue
        if dry_run:
            standing = catalogue.orphans.at(store.name, [orphan.path for orphan in left])
        else:
            standing = catalogue.orphans.sight(store.name, left, run_id=run_id, now=now)
        for orphan in left:
            stands = standing.get(orphan.path)
            sightings = _sightings(orphan, stands, dry_run=dry_run)
            is_due = is_ripe(sightings, orphan.modified_at, store_clock, terms) and not (
                stands and stands.in_quarantine
            )
            ripe += is_due
            follows = _what_follows(orphan, stands, sightings, store_clock, terms)
            report.add(
                "orphan", orphan.path, None, orphan.size_bytes, None, orphan.modified_at.isoformat(), sightings, follows
            )
        orphans += len(left)
        orphan_bytes += sum(orphan.size_bytes for orphan in left)
    if not dry_run:
        catalogue.orphans.forget_unseen(store.name, run_id=run_id)
    return Sightings(orphans, orphan_bytes, ripe, finder.found, foreign, finder.unknown)


class _Finder:
    """Finds replicas that the catalogue lacks among the unknown objects of one store."""

    def __init__(
        self, estate: Estate, catalogue: Catalogue, store: Store, report: Report, now: datetime, dry_run: bool
    ) -> None:
        self._estate, self._catalogue, self._store, self._report = estate, catalogue, store, report
        self._now, self._dry_run = now, dry_run
        self._breaker = Breaker(store.name)
        self.found = self.unknown = 0

    def without_found(self, page: Sequence[Difference]) -> list[Difference]:
        """Take those objects that are replicas for such again. The others, without those that may be and of which that
        cannot be told now: they are no orphans in this run."""
        media = [one for one in page if MEDIA in one.path]
        wanted = self._catalogue.comparison.wanted(self._store.name, [one.path for one in media])
        good: dict[str, Replica] = {}
        unsure: set[str] = set()
        for one in media:
            segment = wanted.get(named) if (named := segment_named(one.path)) else None
            if segment is None or one.size_bytes != segment.size_bytes:
                continue
            right = self._right(one.path, segment)
            if isinstance(right, ReelkeeperError):
                unsure.add(one.path)
                log.error(
                    "store %r: %r may be a lost replica, and cannot be read: %s", self._store.name, one.path, right
                )
                _tell(
                    self._report, "unknown", one, str(segment.segment_id), f"waits: it may be a lost replica: {right}"
                )
            elif right is not None:
                wanted.pop(segment.segment_id)  # one is enough
                _tell(self._report, "found", one, str(segment.segment_id), "it is a replica that the catalogue lacked")
                good[one.path] = self._replica(one.path, segment, right)
        if good and not self._dry_run:
            retire_others = self._estate.retire_others_after(self._store.name, self._now)
            self._catalogue.repairs.find(list(good.values()), retire_others=retire_others)
        self.found += len(good)
        self.unknown += len(unsure)
        return [one for one in page if one.path not in good and one.path not in unsure]

    def _replica(self, path: str, segment: WantedSegment, right: ObjectStat) -> Replica:
        otherwise = Tier.ARCHIVE if needs_restore(right.storage_class) else Tier.HOT
        tier = tier_of_class(self._estate.store(self._store.name), right.storage_class, otherwise=otherwise)
        return Replica(
            segment.segment_id, segment.start_time, self._store.name, Key(path), segment.size_bytes, segment.checksum,
            ReplicaState.AVAILABLE, verified_at=self._now, storage_class=right.storage_class, tier=tier,
        )  # fmt: skip

    def _right(self, path: str, segment: WantedSegment) -> ObjectStat | ReelkeeperError | None:
        """The object, if it holds a segment's bytes: by the SHA-256 that came with it, or by reading it. An error when
        that cannot be told of this one now; raised when it is the store that does not answer."""
        self._breaker.require()
        store, found = self._store, None
        try:
            found = retrying()(
                accept_existing, store, Key(path), segment.size_bytes, segment.checksum, attested=store.attests_writes
            )
        except (ObjectExists, ObjectNotFound, TransferCorrupted):
            pass  # it is not
        except ReelkeeperError as error:
            self._breaker.failed(error)
            return error
        self._breaker.succeeded()
        return found


def _orphan_of(one: Difference) -> Orphan:
    assert one.size_bytes is not None  # it was listed
    assert one.modified_at is not None
    return Orphan(Key(one.path), one.size_bytes, one.modified_at)


def _sightings(orphan: Orphan, stands: Orphan | None, *, dry_run: bool) -> int:
    """In how many runs it has been seen unchanged, this one included."""
    if stands is None:
        return 1
    if not dry_run:
        return stands.sightings
    is_same = (stands.size_bytes, stands.modified_at) == (orphan.size_bytes, orphan.modified_at)
    return stands.sightings + 1 if is_same else 1


def _what_follows(
    orphan: Orphan, stands: Orphan | None, sightings: int, store_clock: datetime, terms: OrphanTerms
) -> str:
    if stands and stands.in_quarantine:
        if stands.quarantine_path:
            return "waits: an earlier object of this path is in quarantine"
        return "in quarantine, where it was found"
    if orphan.modified_at > terms.modified_before(store_clock):
        return f"waits: younger than {terms.min_age} by the store's clock"
    if sightings < terms.sightings:
        return f"waits: seen by {sightings} of {terms.sightings} runs"
    return "goes to quarantine"


def _is_canonical(path: str) -> bool:
    try:
        canonical_key(path)
    except InvalidKey:
        return False
    return True


def _tell(report: Report, finding: str, one: Difference, segment_id: str | None, follows: str) -> None:
    modified = one.modified_at.isoformat() if one.modified_at else None
    report.add(finding, one.path, segment_id, one.size_bytes, one.expected_bytes, modified, None, follows)
