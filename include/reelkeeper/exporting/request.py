"""From a request to an export that holds its footage; or to a row that says why it was refused."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.export_records import Asked, Export
from reelkeeper.errors import ConfigurationError, NoFootage, PermanentError, RequestRefused
from reelkeeper.exporting.ending import fail_export
from reelkeeper.exporting.objects import OpenStore
from reelkeeper.model import Camera, StoreName, TimeRange
from reelkeeper.policy.exports import ExportLimits, ExportRequest, read_request
from reelkeeper.restoring.job import select
from reelkeeper.settings import Estate
from reelkeeper.stores.retry import retrying


def accept_export(
    estate: Estate,
    catalogue: Catalogue,
    open_store: OpenStore,
    asked: Asked,
    *,
    now: datetime,
    is_running: Callable[[str], bool] = lambda run_id: True,
    expect_ready: Callable[[], object] = lambda: None,
) -> Export:
    """The export that somebody asks for: from now on it holds its footage, so that nothing of it is deleted.

    Asking again, by the same id, for the same is harmless: one that is COMPLETED stays so, one under way goes on when
    the run that makes it is the same, or is dead (`is_running` tells), and one that FAILED begins anew.

    RequestRefused, NoFootage, with all that is wrong, or the PermanentError that `expect_ready` raises, which is asked
    whether exports can be made at all; the request is kept as a FAILED export then, unless there is one of its id.
    """
    try:
        expect_ready()
        request = read_request(asked.given, limits=limits_of(estate), now=now)
        cameras = _cameras(estate, catalogue, request)
        asked = replace(asked, tenant=cameras[0].tenant)
        earlier = _earlier(catalogue, asked, request, cameras, is_running)
        if earlier and (earlier.status == "COMPLETED" or earlier.run_id == asked.run_id):
            return earlier
        if earlier:
            fail_export(catalogue, open_store, earlier, "abandoned",
                        f"run {earlier.run_id!r}, which made it, has ended", now=now)  # fmt: skip
        _expect_footage(catalogue, cameras, request.time_range)
    except PermanentError as error:
        kept_for = timedelta(days=estate.exports.expiry_days)
        retrying()(catalogue.exports.refuse, asked, error, now=now, expires_in=kept_for)
        raise
    store = StoreName(estate.placement.exports_in)
    ids = [camera.id for camera in cameras]
    retrying()(catalogue.exports.accept, asked, request, ids, store, now=now)
    found = catalogue.exports.get(asked.id)
    if found is None or found.run_id != asked.run_id:
        raise RequestRefused(f"export_id is {str(asked.id)!r}: expected an id that no other run uses at this moment")
    return found


def limits_of(estate: Estate) -> ExportLimits:
    """What an export of this estate may be."""
    terms = estate.exports
    return ExportLimits(
        timedelta(hours=terms.max_hours), terms.max_cameras, terms.expiry_days, terms.max_expiry_days
    )  # fmt: skip


def _cameras(estate: Estate, catalogue: Catalogue, request: ExportRequest) -> list[Camera]:
    """In the order in which they were named."""
    try:
        ids = select(estate, catalogue, cameras=request.cameras).camera_ids or ()
    except ConfigurationError as unknown:
        raise RequestRefused(f"camera_ids is {list(request.cameras)!r}: {unknown}") from unknown
    if len(set(ids)) < len(ids):
        raise RequestRefused(f"camera_ids is {list(request.cameras)!r}: expected each camera once")
    found = retrying()(catalogue.cameras.by_id, ids)
    cameras = [found[identity] for identity in ids]
    if len({camera.tenant for camera in cameras}) > 1:
        raise RequestRefused(f"camera_ids is {list(request.cameras)!r}: expected cameras of one tenant")
    return cameras


def _earlier(
    catalogue: Catalogue,
    asked: Asked,
    request: ExportRequest,
    cameras: Sequence[Camera],
    is_running: Callable[[str], bool],
) -> Export | None:
    """What there is of this id and has not failed, if it is the same and may be gone on with."""
    found = retrying()(catalogue.exports.get, asked.id)
    if found is None or found.status == "FAILED":
        return None
    told = f"export_id is {str(asked.id)!r}"
    if found.status == "EXPIRED":
        raise RequestRefused(f"{told}: that export expired at {found.expires_at.isoformat()}: expected another id")
    if found.request is None or _terms(found.request) != _terms(request):
        raise RequestRefused(f"{told}: there is an export of this id with other terms: expected another id")
    if found.camera_ids != tuple(camera.id for camera in cameras):
        raise RequestRefused(f"{told}: there is an export of this id of other cameras: expected another id")
    if found.status != "COMPLETED" and found.run_id not in (None, asked.run_id) and is_running(found.run_id):
        raise RequestRefused(f"{told}: run {found.run_id!r} is making it: expected another id, or that it ends")
    return found


def _terms(request: ExportRequest) -> ExportRequest:
    """What is asked for, wherever it was asked from. Cameras are compared by their ids."""
    return replace(request, cameras=(), ip_address=None, user_agent=None)


def _expect_footage(catalogue: Catalogue, cameras: Sequence[Camera], time_range: TimeRange) -> None:
    for camera in cameras:
        if retrying()(catalogue.segments.overlapping, camera.id, time_range):
            return
    raise NoFootage(
        f"none of the cameras {[camera.slug for camera in cameras]} has footage from {time_range.start.isoformat()} to "
        f"{time_range.end.isoformat()}: expected some of at least one"
    )
