"""What becomes of condemned objects: the facts that `policy.retention` asks for, gathered and held meanwhile."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.condemnations import Condemnation
from reelkeeper.catalogue.evidence import KeptFootage
from reelkeeper.catalogue.orphans import Orphan
from reelkeeper.model import CameraId, Replica, SegmentId, Sha256, StoreName, Tenant, TimeRange
from reelkeeper.ownership import Ownership
from reelkeeper.policy.reconciliation import DAMAGED, QUARANTINE
from reelkeeper.policy.retention import (
    Copy,
    Footage,
    Lock,
    NamedFootage,
    Reason,
    Ruling,
    Verdict,
    footage_named,
    may_delete,
    may_delete_stranger,
)
from reelkeeper.retention.last_look import LastLook
from reelkeeper.settings import Estate
from reelkeeper.stores.protocols import ObjectStat, Store

_EXPORT = re.compile(r"^exports/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/")


class Asks(Protocol):
    """What a judge needs of the terms of a deletion."""

    @property
    def open_store(self) -> Callable[[str], Store]: ...
    @property
    def store(self) -> StoreName: ...
    @property
    def now(self) -> datetime: ...
    @property
    def current_estate(self) -> Callable[[], Estate]: ...
    @property
    def ownership(self) -> Ownership: ...


@dataclass(frozen=True, slots=True)
class Judged:
    """A condemned object, and what becomes of it."""

    condemnation: Condemnation
    verdict: Verdict
    checksum: Sha256 | None = None  # of a replica


@dataclass(slots=True)
class _Known:
    """What is known about a chunk, none of which changes while it is judged."""

    replicas: dict[str, Replica]  # that stand condemned, by path
    copies: dict[SegmentId, list[Replica]]  # that are available
    footage: dict[SegmentId, KeptFootage]
    paths: set[str]  # that the catalogue knows as an object's
    seen: dict[tuple[StoreName, str], bool | None]
    objects: dict[str, ObjectStat | None]  # what lies where nameless objects do, as far as that can be told
    cameras: dict[tuple[Tenant, str], CameraId] = field(default_factory=dict)  # that keys of strangers name
    exports: dict[UUID, str] = field(default_factory=dict)  # how they stand
    orphans: dict[str, Orphan] = field(default_factory=dict)  # of what lies in quarantine, by path
    locks: Sequence[Lock] = ()


class Judge:
    """Judges one chunk, inside the transaction that deletes it."""

    def __init__(self, terms: Asks, catalogue: Catalogue) -> None:
        self._terms, self._catalogue = terms, catalogue
        self._estate = terms.current_estate()
        self._looks = LastLook(terms.open_store, terms.ownership, self._estate)

    @property
    def spoilt(self) -> list[Replica]:
        """Other copies that were looked at and are not as recorded: to be suspected."""
        return self._looks.spoilt

    def judge(self, claimed: Sequence[Condemnation]) -> list[Judged]:
        """What becomes of each. From here to the end of the transaction no lock is placed."""
        condemnations, evidence, store = self._catalogue.condemnations, self._catalogue.evidence, self._terms.store
        copies = evidence.good_copies([one for one in claimed if _needs_another(one)])
        seen = self._looks.at_replicas(
            [copy for one in claimed if _needs_another(one) for copy in self._others(one, copies)]
        )
        if any(_is_nameless(one) and one.object.reason is Reason.MOVED for one in claimed):
            condemnations.take_turns_moving(store)
        objects = self._looks.at_objects(store, {place for one in claimed for place in _places_to_look_at(one)})
        condemnations.promise_to_locks()
        replicas = evidence.replicas(store, claimed)
        strangers = [one for one in claimed if one.path not in replicas]
        known = _Known(
            replicas,
            copies,
            evidence.footage(claimed),
            evidence.known(store, [path for one in strangers for path in _origins(one.path)]),
            seen,
            objects,
        )
        inside = [path for one in claimed if one.path.startswith(QUARANTINE) for path in _origins(one.path)]
        known.orphans = self._catalogue.orphans.at(store, inside) if inside else {}
        named = [name for one in claimed if (name := footage_named(one.path))]
        known.cameras = self._cameras(named)
        known.exports = self._catalogue.exports.states([export for one in claimed if (export := _export_of(one.path))])
        known.locks = self._catalogue.locks.on(
            [*known.footage, *(name.segment_id for name in named)],
            [*{kept.camera_id for kept in known.footage.values()}, *known.cameras.values()],
            now=self._terms.now,
        )
        if known.locks and (places := [place for one in claimed for place in _damaged_places(one)]):
            known.orphans |= self._catalogue.orphans.at(store, places)
        return [self._judged(one, known) for one in claimed]

    def look_at_condemned(self, held: Sequence[Condemnation]) -> dict[str, bool | None]:
        """Whether the objects of condemned replicas are as recorded, by path; None where the store does not answer."""
        replicas = self._catalogue.evidence.replicas(self._terms.store, held)
        seen = self._looks.at_replicas(replicas.values())
        found: dict[str, bool | None] = {one.path: False for one in held if one.object.reason.is_replica}
        return found | {path: seen[replica.store, path] for path, replica in replicas.items()}

    # --- judging ------------------------------------------------------------------------------------------------------

    def _judged(self, one: Condemnation, known: _Known) -> Judged:
        replica = known.replicas.get(one.path)
        return Judged(one, self._verdict(one, known), replica.checksum if replica else None)

    def _verdict(self, one: Condemnation, known: _Known) -> Verdict:
        reason = one.object.reason
        if reason is Reason.EXPORT:
            return _export_verdict(one.path, known.exports)
        stands = known.orphans.get(one.path.removeprefix(QUARANTINE))
        if reason is Reason.MOVED and stands and stands.in_quarantine and stands.quarantine_path == one.path:
            return Verdict(Ruling.SPARE, "an orphan lies there in quarantine")
        kept = known.footage.get(one.object.segment_id) if one.object.segment_id else None
        is_thumbnail = reason is Reason.THUMBNAIL and kept is not None
        if one.path not in known.replicas and not is_thumbnail:
            if live := known.paths.intersection(_places(one, known.orphans)):
                return Verdict(Ruling.SPARE, f"the catalogue knows {min(live)!r}")
            if kept_by := _is_nameless(one) and _kept_as_it_lies(one, known.objects):
                return kept_by
            if reason is not Reason.MOVED or kept is None:
                return _waiting(self._stranger_verdict(one.path, known))
        if kept is None:
            return Verdict(Ruling.WAIT, "its segment is not in the catalogue")  # a foreign key forbids it
        days = self._estate.retention.default_days if kept.retention_days is None else kept.retention_days
        footage = Footage(
            kept.segment_id, kept.camera_id, TimeRange(kept.start_time, kept.end_time), timedelta(days=days),
            kept.transfer_under_way, kept.created_at, timedelta(days=self._estate.retention.min_days_after_ingest),
        )  # fmt: skip
        others = [
            Copy(copy.store, copy.state, copy.verified_at is not None, known.seen.get((copy.store, copy.path)))
            for copy in self._others(one, known.copies)
        ]
        # Of a damaged object there is a copy in quarantine, which the locks hold: it must not bar its own repair.
        locks = () if _has_damaged_copy(one, known.orphans) else known.locks
        verdict = may_delete(reason, footage, others, locks, now=self._terms.now)
        # An old object has no row to come back to: without its condemnation it would be an orphan.
        return _waiting(verdict) if reason is Reason.MOVED else verdict

    def _stranger_verdict(self, path: str, known: _Known) -> Verdict:
        named = footage_named(path)
        camera_id = known.cameras.get((named.tenant, named.camera_slug)) if named else None
        return may_delete_stranger(named, camera_id, known.locks)

    def _cameras(self, named: Iterable[NamedFootage]) -> dict[tuple[Tenant, str], CameraId]:
        tenants = {name.tenant for name in named}
        return {
            (tenant, slug): camera.id
            for tenant in tenants
            for slug, camera in self._catalogue.cameras.by_slug(tenant).items()
        }

    def _others(self, one: Condemnation, copies: dict[SegmentId, list[Replica]]) -> list[Replica]:
        """The available replicas of its segment elsewhere, in stores that the estate still has."""
        stores = {store.name for store in self._estate.stores}
        found = copies.get(one.object.segment_id, []) if one.object.segment_id else []
        return [
            copy for copy in found if copy.store in stores and (copy.store, copy.path) != (self._terms.store, one.path)
        ]


def _needs_another(one: Condemnation) -> bool:
    return one.object.reason in (Reason.RETIRED, Reason.QUOTA, Reason.MOVED)


def _is_nameless(one: Condemnation) -> bool:
    """Whether it is an object of which no row says what it holds."""
    return one.object.segment_id is None and one.object.reason in (Reason.ORPHAN, Reason.MOVED)


def _places_to_look_at(one: Condemnation) -> tuple[str, ...]:
    if not _is_nameless(one):
        return ()
    return (one.path, _other_place(one.path)) if one.object.reason is Reason.MOVED else (one.path,)


def _other_place(path: str) -> str:
    """Where the bytes of what was moved into quarantine, or out of it, lie now."""
    return path.removeprefix(QUARANTINE) if path.startswith(QUARANTINE) else QUARANTINE + path


def _kept_as_it_lies(one: Condemnation, objects: Mapping[str, ObjectStat | None]) -> Verdict | None:
    """Why a nameless object stays, going by what the store says now: it may be another one than was condemned, in a
    place that came into use again, or the last of two that were to be one. None: it may go, or is gone."""
    places = _places_to_look_at(one)
    if unseen := [place for place in places if place not in objects]:
        return Verdict(Ruling.WAIT, f"{unseen[0]!r} could not be looked at")
    found, size_bytes = objects[one.path], one.object.size_bytes
    if found is None:
        return None
    if not found.is_still(size_bytes, one.object.modified_at):
        seen = f"{found.size_bytes} bytes, modified {found.last_modified.isoformat()}"
        return Verdict(Ruling.SPARE, f"another object lies there than was condemned: {seen}")
    for place in places[1:]:
        other = objects[place]
        if other is None or other.size_bytes != size_bytes:
            return Verdict(Ruling.SPARE, f"its bytes are not at {place!r}")
    return None


def _places(one: Condemnation, orphans: Mapping[str, Orphan]) -> tuple[str, ...]:
    """Where the catalogue may know the object: at its path, and an orphan also where it was found before it came to
    quarantine. Not so one whose row has its place in quarantine for its path: it was proved to be other bytes than what
    is known there. What was moved out of quarantine is superfluous there, known or not."""
    if one.object.reason is Reason.MOVED or one.path in orphans:
        return (one.path,)
    return _origins(one.path)


def _origins(path: str) -> tuple[str, ...]:
    return (path, path.removeprefix(QUARANTINE))


def _damaged_places(one: Condemnation) -> list[str]:
    """Where in quarantine a copy of it may lie, if it was damaged and is in the way of its repair."""
    is_old = one.object.reason is Reason.MOVED and one.object.segment_id is not None
    return [prefix + one.path for prefix in DAMAGED] if is_old else []


def _has_damaged_copy(one: Condemnation, orphans: Mapping[str, Orphan]) -> bool:
    found = [orphans[place] for place in _damaged_places(one) if place in orphans]
    return any(copy.in_quarantine and copy.size_bytes == one.object.size_bytes for copy in found)


def _export_of(path: str) -> UUID | None:
    found = _EXPORT.match(path)
    return UUID(found[1]) if found else None


def _export_verdict(path: str, states: dict[UUID, str]) -> Verdict:
    export = _export_of(path)
    state = states.get(export, "EXPIRED") if export else "EXPIRED"
    if state != "EXPIRED":
        return Verdict(Ruling.SPARE, f"its export is {state}")
    return Verdict(Ruling.DELETE, "its export expired")


def _waiting(verdict: Verdict) -> Verdict:
    return Verdict(Ruling.WAIT, verdict.why) if verdict.ruling is Ruling.SPARE else verdict
