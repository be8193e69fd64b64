"""How an export ends: COMPLETED, with a signed manifest, or FAILED, with a reason and its objects removed.

Both let go of the footage that it held.

Order: write → verify → record → remove what was only needed on the way. Whoever is killed in between leaves an export
that is still under way, or one that is COMPLETED with parts that the next try removes. What a manifest tells is read
while the export's row is held: it is of one attempt.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.export_records import Completion, Export, ExportCamera, ExportFile
from reelkeeper.errors import GateFailed
from reelkeeper.exporting.cutting import expect_cut, under_way
from reelkeeper.exporting.manifest import describe
from reelkeeper.exporting.objects import (
    OpenStore,
    remove_objects,
    work_folder,
    write_export_file,
)
from reelkeeper.media.manifest import MANIFEST_NAME, signed
from reelkeeper.media.signing import Signer
from reelkeeper.policy.exports import ExportRequest
from reelkeeper.settings import Estate
from reelkeeper.stores.protocols import Store
from reelkeeper.stores.retry import retrying

log = logging.getLogger(__name__)


def deliver_export(
    estate: Estate,
    catalogue: Catalogue,
    open_store: OpenStore,
    identity: UUID,
    *,
    signer: Signer,
    link: Callable[[UUID], str],
    run_id: str,
    now: datetime,
) -> Export:
    """Sign the manifest of an export whose files are all there, complete it, and remove its parts.

    `link` gives the address where people get it, which must not be a secret. Doing it again changes nothing. NoFootage
    when no camera had any; GateFailed when something is not made yet, or a cut shows what was not asked for;
    ExportEnded when it failed, or is not this run's; errors of the store.
    """
    found = retrying()(catalogue.exports.get, identity)
    store = open_store(estate.placement.exports_in)
    if found is None or (found.status, found.run_id) != ("COMPLETED", run_id):
        begun, _ = under_way(catalogue, identity, run_id)
        _complete(estate, catalogue, store, begun, signer, link, now)
    _tidy(catalogue, store, identity, run_id=run_id, now=now)
    done = retrying()(catalogue.exports.get, identity)
    assert done is not None  # a row never goes
    return done


def _complete(
    estate: Estate, catalogue: Catalogue, store: Store, begun: Export, signer: Signer, link: Callable[[UUID], str],
    now: datetime,
) -> None:  # fmt: skip
    identity = begun.id
    with catalogue.transaction():
        held = catalogue.exports.hold(identity)
        if held and (held.status, held.attempt) == ("COMPLETED", begun.attempt):
            return  # another worker was first: what it did counts
        export = catalogue.exports.hold_under_way(begun)
        request = export.request
        assert request is not None  # only one that failed may lack it
        cameras, files = catalogue.exports.cameras(identity), catalogue.exports.files(identity)
        main = _expect_whole(request, cameras, files)
        expires_at = now + request.expires_in
        sources = catalogue.exports.sources(identity)
        manifest = describe(estate, export, request, cameras, sources, files, expires_at=expires_at, now=now)
        written = _write_manifest(estate, store, export, signed(manifest, signer))
        catalogue.exports.record_files(export, [written], now=now)
        pictures = _of_kind(files, "thumbnail"), _of_kind(files, "contact_sheet")
        done = Completion(main, written, *pictures, link(identity), expires_at)
        catalogue.exports.complete(export, done, now=now)


def fail_export(
    catalogue: Catalogue,
    open_store: OpenStore,
    export: Export,
    code: str,
    why: str,
    *,
    run_id: str = "",
    now: datetime,
) -> bool:
    """Say that an export failed, and why; its footage is held no longer, and its objects are removed.

    False when this attempt had ended before; one that was begun since is left alone. What an earlier try could not
    remove is removed in any case. Errors of the store: then it is FAILED all the same, and asking again removes the
    rest.
    """
    failed = retrying()(catalogue.exports.fail, export, code, why, now=now)
    with catalogue.transaction():
        held = catalogue.exports.hold(export.id)  # nobody begins it anew meanwhile
        is_ours = held is not None and (held.status, held.attempt) == ("FAILED", export.attempt)
        if held is not None and held.store is not None and is_ours:
            files = catalogue.exports.files(export.id)
            removed = remove_objects(catalogue, open_store(held.store), export.id, keep=(), run_id=run_id, now=now)
            catalogue.exports.forget_files(export.id, [file.name for file in files])
            log.info("export %s: %d partial objects were removed", export.id, removed)
    return bool(failed)


def _expect_whole(request: ExportRequest, cameras: Sequence[ExportCamera], files: Sequence[ExportFile]) -> ExportFile:
    """The file that a download gives, when all is there."""
    expect_cut(request, cameras)
    footage = sorted((file for file in files if file.kind == "footage"), key=lambda file: file.number or 0)
    if not footage:
        raise GateFailed(f"layout {request.layout!r}, format {request.format!r}: the file is not composed yet")
    return footage[0]


def _of_kind(files: Sequence[ExportFile], kind: str) -> ExportFile | None:
    return next((file for file in files if file.kind == kind), None)


def _write_manifest(estate: Estate, store: Store, export: Export, manifest: bytes) -> ExportFile:
    """No two that differ have one place, so that a worker whose connection is gone replaces nobody's."""
    with work_folder(estate) as folder:
        path = Path(folder, MANIFEST_NAME)
        path.write_bytes(manifest)
        settings = estate.store(store.name)
        return write_export_file(
            store, settings, export, path, name=MANIFEST_NAME, kind="manifest", saved_as=MANIFEST_NAME
        )


def _tidy(catalogue: Catalogue, store: Store, identity: UUID, *, run_id: str, now: datetime) -> None:
    """Remove what a completed export does not consist of: its parts, and what tries that were killed left."""
    files = retrying()(catalogue.exports.files, identity)
    parts = [file.name for file in files if file.kind == "part"]
    keep = {str(file.path) for file in files if file.kind != "part"}
    remove_objects(catalogue, store, identity, keep=keep, run_id=run_id, now=now)
    retrying()(catalogue.exports.forget_files, identity, parts)
