"""Disks as POSIX has them: errors by errno, publication without overwriting, and what survives a power cut."""

import ctypes
import errno
import os
import secrets
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from reelkeeper.errors import (
    AccessDenied,
    ConfigurationError,
    InvalidKey,
    ObjectExists,
    ReelkeeperError,
    StoreFull,
    StoreUnavailable,
)

_ERRORS: dict[int, type[ReelkeeperError]] = {
    errno.ENOSPC: StoreFull,
    errno.EDQUOT: StoreFull,
    errno.EFBIG: StoreFull,
    errno.EACCES: AccessDenied,
    errno.EPERM: AccessDenied,
    errno.EROFS: AccessDenied,
    errno.EEXIST: ObjectExists,
    errno.ENAMETOOLONG: InvalidKey,
    errno.EILSEQ: InvalidKey,  # the file system cannot spell the name
    errno.ENOTDIR: InvalidKey,  # another object stands where the key needs a folder
    errno.EISDIR: InvalidKey,
    errno.EXDEV: ConfigurationError,
}
_NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}
_AT_FDCWD, _RENAME_NOREPLACE = -100, 1


@contextmanager
def disk_errors(store: str, what: str) -> Iterator[None]:
    """Map OSErrors of the block to the core's errors, by errno; an unknown one (EIO, ESTALE, …) is StoreUnavailable."""
    try:
        yield
    except ReelkeeperError:
        raise
    except OSError as exc:
        error = _ERRORS.get(exc.errno or 0, StoreUnavailable)
        raise error(f"store {store!r} could not {what}: {exc.strerror or exc}") from exc


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte: write(2) may take fewer than it was given."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_directory(path: str) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: str) -> None:
    """Make the bytes of a file survive a power cut, and let the next reader fetch them from the disk itself."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        sync_and_forget(descriptor)
    finally:
        os.close(descriptor)


def sync_and_forget(descriptor: int) -> None:
    """fsync, then drop the page cache, so that reading back proves what the disk holds and not what memory does."""
    os.fsync(descriptor)
    if hasattr(os, "posix_fadvise"):  # not on macOS
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def publish(temporary: str, target: str) -> bool:
    """Give the finished file its name, at once and never in place of another: FileExistsError. Always True.

    The temporary name may be left over; the caller removes it. OSError of errno EOPNOTSUPP where the file system has
    neither hard links nor a rename that refuses to replace.
    """
    try:
        os.link(temporary, target, follow_symlinks=False)
    except OSError as exc:
        if exc.errno not in _NO_HARD_LINKS:
            raise
        _rename_without_replacing(temporary, target)
    return True


def link(source: str, target: str) -> bool:
    """Make `target` another name of the file `source`. False where that cannot be. FileExistsError."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as exc:
        if exc.errno == errno.EXDEV or exc.errno in _NO_HARD_LINKS:
            return False
        raise
    return True


def _rename_without_replacing(source: str, target: str) -> None:
    """renameat2(2) with RENAME_NOREPLACE, which Python does not offer: exFAT and some network disks lack link(2)."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        raise OSError(errno.EOPNOTSUPP, "no hard links and no renameat2", target)
    if rename(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)


def remove(path: str) -> bool:
    """Unlink a file. False when it was not there."""
    try:
        os.unlink(path)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False
    return True


def exists(path: str) -> bool:
    """Whether the file system resolves `path`, links not followed. OSErrors other than "not there" pass through."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def folds_names(directory: str) -> bool:
    """Whether the file system takes two spellings of a name (case, Unicode normal form) for one. Tried, not guessed."""
    stem = f"probe-{secrets.token_hex(8)}-é"
    path = os.path.join(directory, stem)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        others = (stem.upper(), unicodedata.normalize("NFD", stem))
        return any(exists(os.path.join(directory, other)) for other in others) or stem not in os.listdir(directory)
    finally:
        remove(path)


def misspelled_part(root: str, key: str) -> str | None:
    """The first part of `key` that exists on a folding file system under another spelling, if any."""
    parent = root
    for part in key.split("/"):
        path = os.path.join(parent, part)
        if not exists(path):
            return None
        if part not in os.listdir(parent):
            return part
        parent = path
    return None
