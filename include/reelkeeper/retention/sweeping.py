"""What a store collects beside footage is cleared away when it is old.

Temporary objects, reports, uploads that were never completed, empty folders, exports.

A lifecycle rule of the provider does some of it where there is one; this does it where there is none, or was removed.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.condemnations import Condemned
from reelkeeper.catalogue.deletions import Gone
from reelkeeper.errors import GateFailed, InvalidKey
from reelkeeper.model import StoreName, canonical_key
from reelkeeper.ownership import require_ours
from reelkeeper.policy.retention import Reason
from reelkeeper.reports import REPORTS, is_report
from reelkeeper.settings import Estate
from reelkeeper.settings.checks import OWN_PREFIXES
from reelkeeper.stores.protocols import Folders, ObjectStat, Store, TellsTime, Upload, Uploads
from reelkeeper.stores.publishing import HIDDEN
from reelkeeper.stores.retry import retrying

log = logging.getLogger(__name__)

TEMP = "temp/"
_AT_ONCE = 1000
_EMPTY_FOR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Swept:
    """What was removed from a store."""

    temporary: int = 0
    temporary_bytes: int = 0
    reports: int = 0
    uploads: int = 0
    folders: int = 0
    forbidden: bool = False  # the store's `deletion` is forbidden


def sweep_store(
    estate: Estate,
    catalogue: Catalogue,
    store: Store,
    *,
    run_id: str,
    now: datetime,
    ahead: timedelta = timedelta(0),
    current_estate: Callable[[], Estate] | None = None,
) -> Swept:
    """Remove temporary objects older than the store's `temp_days`, reports of ours older than `retention.report_days`,
    stale uploads below our own prefixes (not others') and empty folders.

    Ages are by the store's own clock, set `ahead` in a rehearsal. Objects and uploads leave a row in the history. An
    object there that the catalogue knows stays. Doing it again is safe. GateFailed, with nothing removed, when
    that would be more than `retention_caps.hard_count`. StoreUnavailable; StoreNotOurs, as another estate's temporary
    objects look like ours.
    """
    ask = current_estate or (lambda: estate)
    settings = estate.store(store.name)
    if settings.deletion == "forbidden":
        log.warning("store %r: deletion is forbidden in estate.toml: nothing is removed", store.name)
        return Swept(forbidden=True)
    require_ours(catalogue, store)
    clock = (store.clock() if isinstance(store, TellsTime) else now - ahead) + ahead
    outdated = (
        _Outdated("temp", TEMP, clock - timedelta(days=settings.temp_days)),
        _Outdated("report", REPORTS, clock - timedelta(days=estate.retention.report_days), is_report),
    )
    stale = _stale_uploads(estate, store, ahead)
    _hold_against_cap(
        estate,
        f"store {store.name!r}: {{}} temporary objects, reports and uploads",
        sum(1 for kind in outdated for _ in kind.of(store)) + len(stale),
    )
    gone: list[Gone] = []
    for kind in outdated:
        old = kind.of(store)
        while stats := list(islice(old, _AT_ONCE)):
            if ask().store(store.name).deletion == "forbidden":
                return _swept(gone, 0, forbidden=True)
            gone += _remove(catalogue, store, stats, kind.reason, run_id=run_id, now=now)
    uploads = 0
    if isinstance(store, Uploads):
        for upload in stale:
            retrying()(store.abort_upload, upload)
            record = Gone(store.name, upload.key, "upload", 0, upload.started_at)
            retrying()(catalogue.deletions.record, [record], run_id=run_id, now=now)
            uploads += 1
    folders = store.remove_empty_folders(max(_EMPTY_FOR - ahead, timedelta(0))) if isinstance(store, Folders) else 0
    return _swept(gone, uploads, folders)


def _hold_against_cap(estate: Estate, what: str, number: int) -> None:
    """What is to go is counted first. A share says nothing here: none of it is footage, which shares are of."""
    log.info(what.format(number))
    if number > estate.retention_caps.hard_count:
        cap = estate.retention_caps.hard_count
        raise GateFailed(f"nothing is removed: {what.format(number)} are to go, and the hard cap is {cap}")


def _stale_uploads(estate: Estate, store: Store, ahead: timedelta) -> list[Upload]:
    """Uploads that nobody completed, of those that are ours: below the prefixes where our objects lie, or in a
    disk's own folder for them."""
    if not isinstance(store, Uploads):
        return []
    prefixes = (*OWN_PREFIXES, *estate.store(store.name).tier_prefixes, f"{HIDDEN}/")
    age = timedelta(hours=estate.retention.upload_hours)
    found = list(store.stale_uploads(max(age - ahead, timedelta(0))))
    ours = [upload for upload in found if upload.key.startswith(prefixes)]
    if len(ours) < len(found):
        log.info("store %r: %d stale uploads of others stay", store.name, len(found) - len(ours))
    return ours


@dataclass(frozen=True, slots=True)
class _Outdated:
    """Objects below a prefix that were last changed before a time."""

    reason: str  # in the history
    prefix: str
    limit: datetime  # by the store's clock
    is_ours: Callable[[str], bool] = lambda _: True

    def of(self, store: Store) -> Iterator[ObjectStat]:
        """Those of a store, as far as their keys are ours and can be named."""
        for stat in store.list(self.prefix):
            if stat.last_modified < self.limit and self.is_ours(stat.key):
                try:
                    canonical_key(stat.key)
                except InvalidKey as exc:
                    log.warning("store %r keeps %r below %s: %s", store.name, stat.key, self.prefix, exc)
                    continue
                yield stat


def _remove(
    catalogue: Catalogue, store: Store, stats: list[ObjectStat], reason: str, *, run_id: str, now: datetime
) -> list[Gone]:
    known = retrying()(catalogue.evidence.known, store.name, [stat.key for stat in stats])
    doomed = [stat for stat in stats if stat.key not in known]
    failures = retrying()(store.delete, [stat.key for stat in doomed])
    for key, error in list(failures.items())[:5]:
        log.warning("store %r did not delete %r: %s", store.name, key, error)
    gone = [
        Gone(store.name, stat.key, reason, stat.size_bytes, stat.last_modified)
        for stat in doomed
        if stat.key not in failures
    ]
    retrying()(catalogue.deletions.record, gone, run_id=run_id, now=now)
    return gone


def _swept(gone: list[Gone], uploads: int, folders: int = 0, *, forbidden: bool = False) -> Swept:
    temporary = [thing for thing in gone if thing.reason == "temp"]
    size_bytes = sum(thing.size_bytes for thing in temporary)
    return Swept(len(temporary), size_bytes, len(gone) - len(temporary), uploads, folders, forbidden)


def expire_exports(
    estate: Estate,
    catalogue: Catalogue,
    open_store: Callable[[str], Store],
    *,
    run_id: str,
    now: datetime,
) -> tuple[int, int]:
    """End the exports whose time is over at `now`, and condemn their objects: how many exports, how many objects.

    The objects are those below `exports/{id}/` in the export's store; they go after the usual grace. One whose store is
    no longer part of the estate ends, too, and its objects stay where they are. They are counted first: GateFailed,
    with nothing condemned, above `retention_caps.hard_count`. StoreUnavailable: none ended.
    """
    grace = timedelta(hours=estate.retention.grace_hours)
    stores = {store.name for store in estate.stores}
    exports = objects = 0
    ended: list[tuple[UUID, list[Condemned]]] = []
    for export in retrying()(catalogue.exports.ended, now=now):
        name = export.store or StoreName(estate.placement.exports_in)
        found = list(open_store(name).list(f"exports/{export.id}/")) if name in stores else []
        if name not in stores:
            log.warning("export %s: store %r is not in estate.toml: its objects stay", export.id, name)
        ended.append((export.id, [Condemned(name, stat.key, Reason.EXPORT, stat.size_bytes) for stat in found]))
    _hold_against_cap(estate, "{} objects of expired exports", sum(len(things) for _, things in ended))
    for identity, things in ended:
        with catalogue.transaction():
            if not catalogue.exports.expire([identity], now=now):
                continue  # somebody made it last longer
            objects += catalogue.condemnations.condemn(things, run_id=run_id, now=now, delete_after=now + grace)
        exports += 1
    return exports, objects
