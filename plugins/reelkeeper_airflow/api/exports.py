"""Exports, for those who may see the runs of `generate_export`: how one stands, and its files by URLs made on the spot.

These addresses stay and are no secret; what they lead to is signed anew each time, and expires. A playlist names its
segments relatively, so each of them comes through here as well.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from reelkeeper.catalogue.export_records import Export, ExportFile
from reelkeeper.catalogue.restores import RestoreCounts
from reelkeeper.errors import ReelkeeperError
from reelkeeper.reporting.page.export import PLAYLISTS, export_page
from reelkeeper_airflow.api.rendering import rendered, unavailable
from reelkeeper_airflow.estate import open_catalogue, open_store
from reelkeeper_airflow.urls import estate_urls

DAG_ID = "generate_export"
log = logging.getLogger(__name__)
router = APIRouter(prefix="/exports", dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN, DAG_ID))])

_SHORTEST = timedelta(seconds=1)
"""Of a URL: what has less than that before it is as good as expired."""
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


@router.get("/{export_id}")
def read_export(export_id: UUID, request: Request) -> Response:
    """How an export stands, and its files: a page for browsers, JSON for all others. 404, 503."""
    if "text/html" in request.headers.get("accept", ""):
        return _page(export_id)
    export, files = _found(export_id)
    counts = _restoring(export)
    restoring = {"readable": counts.readable, "waited_for": counts.open} if counts else None
    return JSONResponse(_told(export, files) | {"restoring": restoring}, headers=_HEADERS)


@router.get("/{export_id}/download")
def download_export(export_id: UUID) -> RedirectResponse:
    """The export's file, the first of several. 404 when there is none (yet, or any more), 503."""
    export, files = _found(export_id)
    main = next((file for file in files if file.path == export.file_path), None)
    if main is None or export.status != "COMPLETED":
        raise HTTPException(404, f"export {str(export_id)!r} is {export.status}: it has no file")
    return _leading_to(export, main)


@router.get("/{export_id}/files/{name:path}")
def read_export_file(export_id: UUID, name: str) -> Response:
    """One file of an export, by its name. 404 when there is none (yet, or any more), 503."""
    export, files = _found(export_id)
    file = next((file for file in files if file.name == name), None)
    if file is None or export.status != "COMPLETED":
        raise HTTPException(404, f"export {str(export_id)!r} is {export.status}: it has no file {name!r}")
    if name.endswith(PLAYLISTS):
        with _refusals(export_id):
            playlist = b"".join(open_store(file.store).read(file.path))
        return Response(playlist, media_type=file.content_type, headers=_HEADERS)
    return _leading_to(export, file)


def _leading_to(export: Export, file: ExportFile) -> RedirectResponse:
    """To a URL that no cache keeps, and that does not outlive the export."""
    left = export.expires_at - datetime.now(UTC)
    if left < _SHORTEST:
        raise HTTPException(404, f"export {str(export.id)!r} expired at {export.expires_at.isoformat()}")
    saved_as = None if file.kind == "package" else file.name.rpartition("/")[2]
    with _refusals(export.id):
        url = estate_urls().download(file.store, file.path, expires_in=min(left, timedelta(hours=1)), filename=saved_as)
    return RedirectResponse(url.url, status_code=307, headers=_HEADERS | {"Referrer-Policy": "no-referrer"})


def _found(export_id: UUID) -> tuple[Export, list[ExportFile]]:
    with _refusals(export_id), open_catalogue() as catalogue:
        export = catalogue.exports.get(export_id)
        files = catalogue.exports.files(export_id)
    if export is None:
        raise HTTPException(404, f"there is no export {str(export_id)!r}")
    return export, [file for file in files if file.kind != "part"]


def _page(export_id: UUID) -> HTMLResponse:
    """For people. It shows no picture of the export: that may lie on another host, and our pages ask none."""
    now = datetime.now(UTC)
    try:
        with open_catalogue() as catalogue:
            export = catalogue.exports.get(export_id)
            cameras, files = catalogue.exports.cameras(export_id), catalogue.exports.files(export_id)
    except ReelkeeperError as exc:
        log.warning("export page: %s", exc)
        return unavailable(exc, root="../")
    if export is None:
        raise HTTPException(404, f"there is no export {str(export_id)!r}")
    view = export_page(export, cameras, files, _restoring(export), now=now)
    return rendered("export.html", root="../", refreshes=view.progress is not None, export=view)


def _restoring(export: Export) -> RestoreCounts | None:
    """The restores that a new export waits for; None: it waits for none."""
    if export.status != "PENDING":
        return None
    with _refusals(export.id), open_catalogue() as catalogue:
        counts = catalogue.restores.counts(f"{DAG_ID}/{export.run_id}")
    return counts if counts.open else None


@contextmanager
def _refusals(export_id: UUID) -> Iterator[None]:
    try:
        yield
    except ReelkeeperError as exc:
        raise HTTPException(503, f"export {str(export_id)!r} cannot be read now: {exc.code}") from exc


def _told(export: Export, files: list[ExportFile]) -> dict[str, Any]:
    is_there = export.status == "COMPLETED"
    return {
        "id": str(export.id), "status": export.status, "progress": export.progress,
        "download_url": export.download_url,
        "file_size": export.file_size, "file_hash": export.file_hash,
        "expires_at": export.expires_at.isoformat(), "created_at": export.created_at.isoformat(),
        "completed_at": export.completed_at and export.completed_at.isoformat(), "failure": export.failure,
        "files": [
            {
                "name": file.name, "kind": file.kind, "size_bytes": file.size_bytes, "sha256": file.checksum,
                "url": f"{export.id}/files/{quote(file.name)}",
            }
            for file in files
            if is_there
        ],
    }  # fmt: skip
