"""The objects of an export: how they are written, read again by a later step, and removed.

All lie below `exports/{id}/` in the store that keeps exports. A name ends in the first digits of its SHA-256, from
the second attempt on followed by the attempt's number: a step that was killed between write and record leaves an object
that is in nobody's way, and that is removed at the end; a step of an attempt that is over removes its own, and no
other's.
"""

import errno
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256 as new_sha256
from pathlib import Path
from uuid import UUID

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.deletions import Gone
from reelkeeper.catalogue.export_records import Export, ExportFile, FileKind
from reelkeeper.errors import (
    ConfigurationError,
    DeletionForbidden,
    ExportEnded,
    ObjectExists,
    ReelkeeperError,
    SourceCorrupted,
    WorkFolderFull,
)
from reelkeeper.landing.scratch import Scratch
from reelkeeper.media_options import media_options
from reelkeeper.model import Key, Sha256, canonical_key
from reelkeeper.ownership import require_ours
from reelkeeper.settings import Estate, StoreSettings
from reelkeeper.stores.body import Body, read_file
from reelkeeper.stores.proof import accept_existing, verify_object, verify_written
from reelkeeper.stores.protocols import Links, ObjectStat, Reads, Store
from reelkeeper.stores.retry import retrying

log = logging.getLogger(__name__)

OpenStore = Callable[[str], Store]
_PREFIX = "reelkeeper-export-"
_DIGITS = 8
_FULL = (errno.ENOSPC, errno.EDQUOT)
_AT_ONCE = 500


def export_folder(export: UUID) -> str:
    """Where the objects of an export lie."""
    return f"exports/{export}/"


@contextmanager
def work_folder(estate: Estate) -> Iterator[Path]:
    """A folder of this machine for one task, gone afterwards, also when the task is killed.

    ConfigurationError when there can be none; WorkFolderFull when what is done with it meets a full disk.
    """
    scratch = Scratch(_PREFIX, estate.exports.work_directory)
    try:
        yield _made(scratch)
    except ReelkeeperError:
        raise
    except OSError as exc:
        if exc.errno not in _FULL:
            raise
        raise WorkFolderFull(f"work folder is full: {exc}") from exc
    finally:
        scratch.close()


def _made(scratch: Scratch) -> Path:
    try:
        return scratch.folder()
    except OSError as exc:
        if exc.errno in _FULL:
            raise
        raise ConfigurationError(
            f"no work folder can be made: {exc}: expected 'exports.work_directory' of estate.toml to be a folder that "
            "this worker may write to"
        ) from exc


def digest_of(path: Path) -> tuple[int, Sha256]:
    """Size in bytes and SHA-256 of a file."""
    digest, size = new_sha256(), 0
    for chunk in read_file(path):
        digest.update(chunk)
        size += len(chunk)
    return size, Sha256(digest.hexdigest())


def mark_of(export: Export, digest: str) -> str:
    """What tells an object from others: no two attempts have one in common."""
    return f"{digest[:_DIGITS]}{f'-{export.attempt}' if export.attempt > 1 else ''}"


def write_export_file(
    store: Store, settings: StoreSettings, export: Export, path: Path, *, name: str, kind: FileKind,
    number: int | None = None, is_named: bool = False, saved_as: str | None = None,
) -> ExportFile:  # fmt: skip
    """Write a file as an object of an export, verified. Errors of the store.

    With `is_named` the name stays as it is (another file refers to it); else its mark is put before its suffix. People
    get it as `saved_as`; None: by the name of the object.
    """
    size, digest = digest_of(path)
    if not is_named:
        stem, dot, suffix = name.rpartition(".")
        name = f"{stem}_{mark_of(export, digest)}{dot}{suffix}"
    key = canonical_key(f"{export_folder(export.id)}{name}")
    options = media_options(settings, name.rpartition(".")[2])
    body = Body.of_file(path, size_bytes=size, sha256=digest)
    retrying()(_write, store, key, body, settings)
    return ExportFile(
        saved_as or name, kind, store.name, key, size, digest, str(options.content_type), number,
    )  # fmt: skip


def _write(store: Store, key: Key, body: Body, settings: StoreSettings) -> None:
    try:
        store.write(key, body, media_options(settings, key.rpartition(".")[2]))
    except ObjectExists:
        accept_existing(store, key, body.size_bytes, body.sha256, attested=store.attests_writes)
        return
    if store.attests_writes:
        verify_object(store, key, body.size_bytes, body.sha256, attested=True)
    else:
        verify_written(store, key, body.size_bytes, body.sha256)


def read_export_file(store: Store, file: ExportFile, folder: Path) -> Path:
    """A file of an export on this machine: itself where the store is a folder, else a copy in `folder`.

    SourceCorrupted when it is not what was recorded.
    """
    if isinstance(store, Links):
        path = store.path_of(file.path)
        store.stat(file.path)  # says what is wrong when it is not there
    else:
        path = folder / file.name.replace("/", "_")
        retrying()(download, store, file.path, path)
    size, digest = digest_of(path)
    if (size, digest) != (file.size_bytes, file.checksum):
        raise SourceCorrupted(
            f"{file.path!r} in store {file.store!r} has {size} bytes with SHA-256 {digest}: expected {file.size_bytes} "
            f"bytes with {file.checksum}"
        )
    return path


def download(store: Reads, key: Key, path: Path) -> Sha256:
    """Copy an object to a file of this machine; its SHA-256. WorkFolderFull; errors of the store."""
    digest = new_sha256()
    chunks = store.read(key)
    try:
        with path.open("wb") as target:
            for chunk in chunks:
                digest.update(chunk)
                target.write(chunk)
    except ReelkeeperError:
        raise
    except OSError as exc:
        raise WorkFolderFull(f"work folder {str(path.parent)!r} cannot hold {key!r}: {exc.strerror}") from exc
    return Sha256(digest.hexdigest())


@contextmanager
def withdraws(
    catalogue: Catalogue, store: Store, export: Export, files: Sequence[ExportFile], *, run_id: str,
    now: Callable[[], datetime],
) -> Iterator[None]:  # fmt: skip
    """Inside, what was written is recorded. Where that is refused, since the attempt is over, it is removed again; what
    cannot be removed now goes with the rest of the export.
    """
    try:
        yield
    except ExportEnded:
        try:
            # An attempt that is over records nothing more: what it has not recorded by now is nobody's.
            recorded = {file.path for file in retrying()(catalogue.exports.files, export.id)}
            own = {file.path for file in files} - recorded
            found = [stat for stat in _listed(store, export.id) if stat.key in own]
            removed = _remove(catalogue, store, export.id, found, run_id=run_id, now=now())
            log.info("export %s: its attempt %d is over: %d objects of it were removed",
                     export.id, export.attempt, removed)  # fmt: skip
        except ReelkeeperError as error:
            log.warning("export %s: what was made for its attempt %d stays: %s", export.id, export.attempt, error)
        raise


def remove_objects(
    catalogue: Catalogue, store: Store, export: UUID, *, keep: Collection[str], run_id: str, now: datetime
) -> int:
    """Remove the objects of an export but for those at the paths in `keep`; how many. Errors of the store, StoreNotOurs
    among them.

    Where the store's settings forbid deletion they stay, until the export expires at the earliest.
    """
    found = [stat for stat in _listed(store, export) if stat.key not in keep]
    return _remove(catalogue, store, export, found, run_id=run_id, now=now)


def _listed(store: Store, export: UUID) -> list[ObjectStat]:
    return retrying()(lambda: list(store.list(export_folder(export))))


def _remove(
    catalogue: Catalogue, store: Store, export: UUID, found: Sequence[ObjectStat], *, run_id: str, now: datetime
) -> int:
    if found:
        require_ours(catalogue, store)
    removed = 0
    for first in range(0, len(found), _AT_ONCE):
        stats = found[first : first + _AT_ONCE]
        try:
            failures = retrying()(store.delete, [stat.key for stat in stats])
        except DeletionForbidden as forbidden:
            log.warning("export %s: %d objects stay: %s", export, len(found), forbidden)
            return removed
        for error in failures.values():
            raise error
        gone = [Gone(store.name, stat.key, "export", stat.size_bytes, stat.last_modified) for stat in stats]
        retrying()(catalogue.deletions.record, gone, run_id=run_id, now=now)
        removed += len(gone)
    return removed
