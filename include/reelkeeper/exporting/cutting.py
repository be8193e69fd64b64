"""One camera of an export: its footage is brought here, cut, written to the exports store, verified, recorded.

A camera that was cut is not cut again, whoever asks. What was read and found to be wrong is told to the catalogue.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal
from uuid import UUID

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.export_records import CutFacts, Export, ExportCamera, ExportFile
from reelkeeper.errors import ExportEnded, GateFailed, NoFootage
from reelkeeper.exporting.objects import OpenStore, withdraws, work_folder, write_export_file
from reelkeeper.exporting.pieces import Fetched, fetch, plan_sources
from reelkeeper.exporting.progress import CUT, ExportProgress, Told
from reelkeeper.media.command import Limits
from reelkeeper.media.cutting import Cut, Gaps, cut
from reelkeeper.media.encoding import encode
from reelkeeper.media.overlay import Overlay
from reelkeeper.media.provenance import portable_commands
from reelkeeper.model import Replica, TimeRange
from reelkeeper.policy.exports import ExportRequest
from reelkeeper.settings import Estate
from reelkeeper.stores.protocols import Store
from reelkeeper.stores.retry import retrying

log = logging.getLogger(__name__)

_FETCH_SHARE = 0.3
"""Of the progress of a camera: the rest is cutting, and a little for writing."""
_CUT_SHARE = 0.65
_STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class CutResult:
    """What became of a camera. `already`: an earlier try, or another worker, had done it."""

    state: Literal["cut", "empty"]
    already: bool
    frames: int
    size_bytes: int
    method: str  # "" when it is empty
    why: str  # the method


def under_way(catalogue: Catalogue, identity: UUID, run_id: str) -> tuple[Export, ExportRequest]:
    """The export, which this run may work on. ExportEnded when it has ended by now, however it did, or is another
    run's."""
    found = retrying()(catalogue.exports.get, identity)
    if found is None or found.request is None or not found.is_under_way or found.run_id != run_id:
        how = f"is {found.status}{f' ({found.failure})' if found.failure else ''}" if found else "is not there"
        whose = f", of run {found.run_id!r}" if found and found.run_id != run_id else ""
        raise ExportEnded(
            f"export {str(identity)!r} {how}{whose}: expected one under way, of run {run_id!r}; to make it anew clear "
            "the task that accepts it, with all that comes after"
        )
    return found, found.request


def expect_cut(request: ExportRequest, cameras: Sequence[ExportCamera]) -> None:
    """GateFailed when a camera is not cut yet, NoFootage when none has a frame in the range."""
    slugs = [camera.camera.slug for camera in cameras]
    if waiting := [camera.camera.slug for camera in cameras if camera.state == "pending"]:
        raise GateFailed(f"cameras {waiting} are not cut: expected all {len(cameras)}")
    if not any(camera.cut for camera in cameras):
        span = request.time_range
        raise NoFootage(
            f"none of the cameras {slugs} has a frame from {span.start.isoformat()} to {span.end.isoformat()}: "
            f"expected some of at least one"
        )


def cut_camera(
    estate: Estate,
    catalogue: Catalogue,
    open_store: OpenStore,
    identity: UUID,
    number: int,
    *,
    run_id: str,
    now: Callable[[], datetime],
    told: Told | None = None,
) -> CutResult:
    """Cut one camera of an export, by its number. `told` hears how much of it is done, from 0 to 1.

    ObjectArchived, ObjectNotFound, SourceCorrupted when some of its footage cannot be read; MediaError; what
    `command.run` raises; ExportEnded when the export has ended, or is not this run's: then what this worker wrote is
    removed; errors of the stores.
    """
    export, request = under_way(catalogue, identity, run_id)
    retrying()(catalogue.exports.begin, export, now=now())
    camera = _camera(catalogue, identity, number)
    if camera.state != "pending":
        return _found(catalogue, export, camera)
    progress = ExportProgress(catalogue, export, CUT, number=number, now=now, told=told)
    planned = plan_sources(estate, catalogue, camera.camera.id, request.time_range, now=now())
    if not planned:
        return _empty(catalogue, export, camera, now=now)
    with work_folder(estate) as folder:
        fetched = fetch(
            estate, open_store, planned, number, folder, now=now,
            progress=lambda done: progress(_FETCH_SHARE * done / len(planned)),
            tell_wrong=lambda wrong: _suspect(catalogue, wrong),
            tell_read=lambda read: retrying()(catalogue.retrievals.record, export.id, read),
        )  # fmt: skip
        try:
            made = _cut(estate, request, export, camera, fetched, folder, progress)
        except NoFootage:  # its segments share an instant with the range, and no frame
            return _empty(catalogue, export, camera, now=now)
        store, facts = open_store(estate.placement.exports_in), _facts(estate, made, folder)
        file = _write(estate, store, request, export, camera, made)
        with withdraws(catalogue, store, export, [file], run_id=run_id, now=now):
            is_first = retrying()(catalogue.exports.record_cut, export, number, facts, fetched.sources, file, now=now())
    progress(1.0)
    if not is_first:
        return _found(catalogue, export, _camera(catalogue, identity, number))
    return CutResult("cut", False, made.frames, file.size_bytes, made.method, made.why)


def _write(
    estate: Estate, store: Store, request: ExportRequest, export: Export, camera: ExportCamera, made: Cut
) -> ExportFile:
    """A part where something is composed of it, else what people get."""
    name = f"{camera.camera.slug}_{file_span(request.time_range)}{made.path.suffix}"
    return write_export_file(
        store, estate.store(store.name), export, made.path, number=camera.number,
        name=f"cuts/{name}" if request.is_composed else name, kind="part" if request.is_composed else "footage",
    )  # fmt: skip


def _cut(
    estate: Estate, request: ExportRequest, export: Export, camera: ExportCamera, fetched: Fetched, folder: Path,
    progress: ExportProgress,
) -> Cut:  # fmt: skip
    seconds = request.time_range.duration.total_seconds()
    limits = Limits(seconds=estate.exports.task_hours * 3600, bytes=estate.exports.work_bytes)

    def tell(done: float) -> None:
        progress(_FETCH_SHARE + _CUT_SHARE * min(done / seconds, 1.0))

    target = folder / f"cut.{_container(request)}"
    work = folder / "work"
    work.mkdir()
    gaps: Gaps = "keep" if request.layout != "separate" else request.gaps
    overlay = Overlay() if request.layout != "separate" else overlay_of(request, export, camera.camera.name)
    if overlay or (request.height is not None and request.layout == "separate"):
        return encode(
            fetched.pieces, request.time_range, target, work=work, limits=limits, height=request.height,
            overlay=overlay or None, gaps=gaps, progress=tell,
        )  # fmt: skip
    return cut(fetched.pieces, request.time_range, target, work=work, limits=limits, gaps=gaps, progress=tell)


def overlay_of(request: ExportRequest, export: Export, camera_name: str) -> Overlay:
    """What is burned into a picture of one camera."""
    return Overlay(
        name=camera_name if request.burns_camera else "", clock=request.burns_time,
        watermark=watermark_of(request, export),
    )  # fmt: skip


def watermark_of(request: ExportRequest, export: Export) -> str:
    """The text, and below it the id that leads back to the export's row; "" for none."""
    return f"{request.watermark}\n{export.watermark_id}" if request.watermark else ""


def _container(request: ExportRequest) -> str:
    """Of a camera's cut: a part of something composed keeps any picture and sound as they are."""
    if request.layout != "separate":
        return "mkv"
    return "mp4" if request.format == "zip" else request.format


def file_span(time_range: TimeRange) -> str:
    """A range as it stands in the name of a file."""
    return f"{time_range.start:{_STAMP}}-{time_range.end:{_STAMP}}"


def _facts(estate: Estate, made: Cut, folder: Path) -> CutFacts:
    commands = portable_commands([command.arguments for command in made.commands], known_folders(estate, folder))
    return CutFacts(
        made.video_codec, made.width, made.height, made.frames, made.first_frame, made.last_frame, made.gaps,
        made.overlaps, made.method, made.why, commands,
    )  # fmt: skip


def known_folders(estate: Estate, work: Path) -> dict[Path, str]:
    """What folders are called in the manifest, which is to say nothing of this machine."""
    return {work: ""} | {store.root: f"store:{store.name}/" for store in estate.stores if store.root}


def _empty(catalogue: Catalogue, export: Export, camera: ExportCamera, *, now: Callable[[], datetime]) -> CutResult:
    retrying()(catalogue.exports.record_cut, export, camera.number, None, (), None, now=now())
    return _found(catalogue, export, replace(camera, state="empty"))


def _found(catalogue: Catalogue, export: Export, camera: ExportCamera) -> CutResult:
    files = retrying()(catalogue.exports.files, export.id)
    file = next((each for each in files if each.number == camera.number), None)
    made = camera.cut
    return CutResult(
        "cut" if made else "empty", True, made.frames if made else 0, file.size_bytes if file else 0,
        made.method if made else "", made.why if made else "",
    )  # fmt: skip


def _camera(catalogue: Catalogue, identity: UUID, number: int) -> ExportCamera:
    return retrying()(catalogue.exports.cameras, identity)[number]


def _suspect(catalogue: Catalogue, wrong: Sequence[Replica]) -> None:
    """A copy that is not as recorded becomes suspicious: `reconcile_stores` looks into it."""
    retrying()(catalogue.replicas.suspect, wrong)
