"""A landing zone in a folder."""

import errno
import logging
import os
import re
import stat as file_modes
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from reelkeeper.errors import AccessDenied, BucketNotFound, ObjectExists, ObjectNotFound, StoreUnavailable
from reelkeeper.landing.sidecar import MAX_BYTES, Sidecar, parse_sidecar
from reelkeeper.landing.source import Fetched, Found, moment_of
from reelkeeper.model import Key
from reelkeeper.stores.protocols import Links, Stats

log = logging.getLogger(__name__)

QUARANTINE = ".quarantine"
SIDECAR = ".json"
LONGEST_PATH = 2000
"""Bytes of UTF-8. What is longer does not fit the index of the catalogue's rows, and would keep all others out."""
_TEMPORARY = re.compile(
    r"^\.|^~|~$|\.(?:tmp|temp|part|partial|filepart|crdownload|download|ytdl|swp|lock|writing|inprogress)(?:\.|$)",
    re.IGNORECASE,
)


def is_footage_name(name: str, extensions: Collection[str]) -> bool:
    """Whether a file of this name may be footage: a known extension, and neither hidden nor temporary."""
    stem, _, extension = name.rpartition(".")
    return bool(stem) and extension.lower() in extensions and not _TEMPORARY.search(name)


class FolderSource:
    """Files below a folder. Links are never followed: what they point to is found under its own name, or not ours."""

    settles = True

    def __init__(self, zone: str, root: Path, extensions: Collection[str]) -> None:
        self._zone = zone
        self._root = root.resolve()
        self._extensions = frozenset(extensions)

    def scan(self) -> Iterator[Found]:
        if not self._root.is_dir():  # a disk that is not mounted says nothing about its files
            raise BucketNotFound(f"landing zone {self._zone!r}: folder {str(self._root)!r} does not exist")
        pending = [""]
        while pending:
            parent = pending.pop()
            files, folders = self._entries(parent)
            pending.extend(parent + name + "/" for name in sorted(folders, reverse=True))
            for name in sorted(files):
                if not is_footage_name(name, self._extensions):
                    continue
                if len((parent + name).encode()) > LONGEST_PATH:
                    log.warning("zone %r: path %r is longer than %d bytes, left alone", self._zone, parent + name,
                                LONGEST_PATH)  # fmt: skip
                else:
                    sidecar = files.get(name + SIDECAR)
                    yield _found(parent + name, files[name], sidecar)

    def look_again(self, found: Sequence[Found]) -> list[Found | None]:
        return [self.look(seen.path) for seen in found]

    def look(self, path: str) -> Found | None:
        try:
            with self._errors(path):
                return _found(path, self._lstat(path), self._sidecar_stat(path))
        except ObjectNotFound:
            return None

    def sidecar(self, path: str) -> Sidecar | None:
        with self._errors(path):
            try:
                descriptor = os.open(self._path(path + SIDECAR), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                return None
            with os.fdopen(descriptor, "rb") as file:
                data = file.read(MAX_BYTES + 1)
        return parse_sidecar(data, name=path + SIDECAR)

    def fetch(self, path: str) -> Fetched:
        with self._errors(path):
            facts = self._lstat(path)
        name = path.rpartition("/")[2]
        return Fetched(self._path(path), name, facts.st_size, moment_of(facts.st_mtime_ns), None, False)

    def discard(self, fetched: Fetched, *, finished: bool) -> None:
        """Nothing was made."""

    def close(self) -> None:
        """Nothing is held."""

    def is_replica(self, path: str, store: Stats, key: Key) -> bool:
        return isinstance(store, Links) and store.path_of(key).resolve() == self._path(path).resolve()

    def remove(self, path: str) -> None:
        # The footage first: a sidecar that goes before it would leave the footage to be taken by its path alone.
        for name in (path, path + SIDECAR):
            with self._errors(name), suppress(FileNotFoundError):
                self._path(name).unlink()

    def quarantine_place(self, path: str) -> str:
        stem, dot, extension = path.rpartition(".")
        number = 1
        while True:
            numbered = path if number == 1 else f"{stem}~{number}{dot}{extension}"
            place = self._root / QUARANTINE / numbered
            if not os.path.lexists(place) or self._is_same(path, place):
                return str(place)
            number += 1

    def quarantine(self, path: str, place: str) -> None:
        with self._errors(path):
            Path(place).parent.mkdir(parents=True, exist_ok=True)
            self._move(path, Path(place))
            self._move(path + SIDECAR, Path(place + SIDECAR))

    # --- inside -------------------------------------------------------------------------------------------------------

    def _entries(self, parent: str) -> tuple[dict[str, os.stat_result], list[str]]:
        """Regular files with their facts, and folders to descend into."""
        files: dict[str, os.stat_result] = {}
        folders: list[str] = []
        try:
            with os.scandir(self._path(parent)) as entries:
                for entry in entries:
                    if not _can_be_stored(entry.name):
                        log.warning("zone %r: name %r is no UTF-8, left alone", self._zone, parent + entry.name)
                        continue
                    with suppress(FileNotFoundError):  # gone since
                        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                            folders.append(entry.name)
                        elif entry.is_file(follow_symlinks=False):
                            files[entry.name] = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            pass  # the folder is gone since, with its files
        except PermissionError as exc:
            if not parent:
                raise AccessDenied(f"landing zone {self._zone!r}: folder {str(self._root)!r} cannot be read") from exc
            log.warning("zone %r: folder %r cannot be read, its files wait: %s", self._zone, parent, exc.strerror)
        except OSError as exc:
            raise StoreUnavailable(f"landing zone {self._zone!r}: cannot list {parent!r}: {exc.strerror}") from exc
        return files, folders

    def _path(self, path: str) -> Path:
        return self._root / path

    def _lstat(self, path: str) -> os.stat_result:
        """Facts of a regular file inside the zone; a link in its place, or above it, is as good as gone."""
        full = self._path(path)
        facts = full.lstat()
        if not file_modes.S_ISREG(facts.st_mode) or full.resolve() != full:
            raise FileNotFoundError(errno.ENOENT, "no regular file inside the zone", path)
        return facts

    def _sidecar_stat(self, path: str) -> os.stat_result | None:
        try:
            return self._lstat(path + SIDECAR)
        except FileNotFoundError:
            return None

    def _is_same(self, path: str, place: Path) -> bool:
        """Whether `place` is the file itself: a kill came between its new name and the end of its old one."""
        try:
            return os.path.samestat(self._path(path).lstat(), place.lstat())
        except FileNotFoundError:
            return False

    def _move(self, path: str, place: Path) -> None:
        source = self._path(path)
        if not os.path.lexists(source):
            return
        try:
            os.link(source, place, follow_symlinks=False)
        except FileExistsError:
            if not self._is_same(path, place):
                raise
        except OSError as exc:
            if exc.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK):
                raise
            # A file system without hard links: nobody else writes into the quarantine, so looking first will do.
            if os.path.lexists(place):
                raise FileExistsError(errno.EEXIST, "taken", str(place)) from exc
            source.rename(place)
            return
        source.unlink()

    @contextmanager
    def _errors(self, path: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as exc:
            raise ObjectNotFound(f"landing zone {self._zone!r} has no file {path!r}") from exc
        except FileExistsError as exc:
            raise ObjectExists(f"landing zone {self._zone!r}: {exc.filename!r} is taken") from exc
        except PermissionError as exc:
            raise AccessDenied(f"landing zone {self._zone!r}: access to {path!r} is denied: {exc.strerror}") from exc
        except OSError as exc:
            if exc.errno in (errno.ENOTDIR, errno.ELOOP):
                raise ObjectNotFound(f"landing zone {self._zone!r} has no file {path!r}: {exc.strerror}") from exc
            raise StoreUnavailable(f"landing zone {self._zone!r}: cannot use {path!r}: {exc.strerror}") from exc


def _found(path: str, facts: os.stat_result, sidecar: os.stat_result | None) -> Found:
    beside = None if sidecar is None else (sidecar.st_size, moment_of(sidecar.st_mtime_ns))
    return Found(path, facts.st_size, moment_of(facts.st_mtime_ns), beside, facts.st_ino)


def _can_be_stored(name: str) -> bool:
    """Whether the catalogue can hold the name: file systems allow names that are no text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
