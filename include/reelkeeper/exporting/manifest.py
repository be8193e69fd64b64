"""The manifest of an export, from what the catalogue knows of it."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import ValidationError

from reelkeeper.catalogue.export_records import Export, ExportCamera, ExportFile, ExportSource, FileKind
from reelkeeper.errors import GateFailed
from reelkeeper.media.manifest import (
    Kind,
    Manifest,
    ManifestCamera,
    ManifestFile,
    ManifestFootage,
    ManifestMember,
    ManifestPicture,
    ManifestRequest,
    ManifestSource,
    ManifestWatermark,
)
from reelkeeper.media.provenance import tool_versions
from reelkeeper.policy.exports import ExportRequest
from reelkeeper.settings import Estate

_KINDS: dict[FileKind, Kind] = {
    "footage": "video", "thumbnail": "thumbnail", "contact_sheet": "contact_sheet", "package": "playback",
}  # fmt: skip


def describe(
    estate: Estate,
    export: Export,
    request: ExportRequest,
    cameras: Sequence[ExportCamera],
    sources: Sequence[ExportSource],
    files: Sequence[ExportFile],
    *,
    expires_at: datetime,
    now: datetime,
) -> Manifest:
    """Everything that proves the export. `files`: all that were recorded; parts are told of, and not named as files.

    GateFailed when that cannot be: a cut shows what was not asked for.
    """
    parts = {file.name: file for file in files if file.kind in ("part", "footage")}
    slugs = {camera.number: camera.camera.slug for camera in cameras}
    shown = tuple(camera.camera.slug for camera in cameras if camera.cut)
    commands = [command for camera in cameras if camera.cut for command in camera.cut.commands]
    commands += [command for file in files if file.facts for command in file.facts.commands]
    try:
        return Manifest(
            export_id=export.id,
            estate=estate.name,
            tenant=export.tenant,
            created_at=now,
            request=_request(export, request, cameras, expires_at),
            files=tuple(_file(file, parts, slugs, shown, cameras) for file in files if file.kind in _KINDS),
            footage=tuple(_footage(camera, request, sources) for camera in cameras),
            watermark=ManifestWatermark(id=export.watermark_id, text=request.watermark)
            if export.watermark_id and request.watermark
            else None,
            tools=tool_versions(),
            commands=tuple(commands),
        )
    except ValidationError as exc:
        found = "; ".join(details["msg"] for details in exc.errors(include_url=False, include_input=False))
        raise GateFailed(f"what was recorded cannot be: {found}") from exc


def _request(
    export: Export, request: ExportRequest, cameras: Sequence[ExportCamera], expires_at: datetime
) -> ManifestRequest:
    return ManifestRequest(
        cameras=tuple(
            ManifestCamera(id=camera.camera.id, slug=camera.camera.slug, name=camera.camera.name) for camera in cameras
        ),
        range=request.time_range,
        format=request.format,
        quality=request.quality,
        layout=request.layout,
        reason=request.reason,
        requested_by=request.created_by,
        requested_at=export.created_at,
        expires_at=expires_at,
        triggered_by=export.triggered_by,
        gaps=request.gaps,
    )


def _file(
    file: ExportFile,
    parts: dict[str, ExportFile],
    slugs: dict[int, str],
    shown: tuple[str, ...],
    cameras: Sequence[ExportCamera],
) -> ManifestFile:
    facts = file.facts
    members = tuple(_member(parts[name], slugs) for name in facts.members) if facts else ()
    by_number = {camera.number: camera for camera in cameras}
    cut = by_number[file.number].cut if file.number is not None else None
    made = facts.made if facts else f"cut: {cut.method}" if cut else "made of the footage"
    is_archive = file.kind == "footage" and bool(members)
    return ManifestFile(
        name=file.name,
        kind="archive" if is_archive else _KINDS[file.kind],
        size_bytes=file.size_bytes,
        sha256=file.checksum,
        cameras=shown if file.number is None else (slugs[file.number],),
        made=made,
        members=members,
    )


def _member(part: ExportFile, slugs: dict[int, str]) -> ManifestMember:
    return ManifestMember(
        name=member_name(part),
        kind="video",
        size_bytes=part.size_bytes,
        sha256=part.checksum,
        cameras=() if part.number is None else (slugs[part.number],),
    )


def member_name(part: ExportFile) -> str:
    """What a part is called in an archive."""
    return part.name.rpartition("/")[2]


def _footage(camera: ExportCamera, request: ExportRequest, sources: Sequence[ExportSource]) -> ManifestFootage:
    cut = camera.cut
    picture = None
    if cut:
        picture = ManifestPicture(
            first_frame=cut.first_frame, last_frame=cut.last_frame, frames=cut.frames, video_codec=cut.video_codec,
            width=cut.width, height=cut.height, method=cut.method, why=cut.why,
        )  # fmt: skip
    return ManifestFootage(
        camera=camera.camera.slug,
        wanted=request.time_range,
        picture=picture,
        gaps=cut.gaps if cut else (request.time_range,),
        overlaps=cut.overlaps if cut else (),
        sources=tuple(
            ManifestSource(
                segment_id=source.segment_id,
                range=source.time_range,
                size_bytes=source.size_bytes,
                sha256=source.checksum,
                store=source.store,
                path=source.path,
                note=source.note or "",
            )
            for source in sources
            if source.number == camera.number
        ),
    )
