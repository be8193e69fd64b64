"""A store in a folder of this machine's disks.

A key is a path below the root, and an object appears under it complete or not at all (`publishing.py`). Without the
marker that `set_up` makes nothing is known about the store: that is how a disk looks that is not mounted.

Objects are regular files; symbolic links, the marker and the hidden folder are not.
"""

import os
import shutil
import stat as file_modes
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from reelkeeper.errors import InvalidKey, ObjectExists, ObjectNotFound, ReelkeeperError
from reelkeeper.model import Key, StoreKind, StoreName, canonical_key
from reelkeeper.stores import disk
from reelkeeper.stores.body import CHUNK_BYTES, Body
from reelkeeper.stores.guard import Guard
from reelkeeper.stores.marker import MARKER, Marker
from reelkeeper.stores.protocols import Change, Check, ObjectStat, Owner, Upload, WriteOptions
from reelkeeper.stores.publishing import HIDDEN, Publisher
from reelkeeper.stores.rights import check_rights, check_space

_NOT_OBJECTS = frozenset({MARKER, HIDDEN, "lost+found"})
"""Names directly under the root that are no objects; lost+found because a root is often a mount point."""


class FilesystemStore:
    """Objects as files below `root`. Metadata, content type and storage class of a write are not kept."""

    kind = StoreKind.FILESYSTEM
    attests_writes = False
    """A disk checks nothing. What is read after a `write` comes from the disk, since `write` drops the page cache."""

    def __init__(self, name: StoreName, root: Path, *, may_delete: bool = True) -> None:
        self.name = name
        self._guard = Guard(name, may_delete)
        self._root = os.fspath(root)
        self._marker = Marker(self._root, name)
        self._publisher = Publisher(self._root)

    # --- reading ------------------------------------------------------------------------------------------------------

    def stat(self, key: Key) -> ObjectStat:
        """`last_modified` is when the file got its name here (ctime), which nobody can set."""
        path = self._path(key)
        self._marker.require()
        with disk.disk_errors(self.name, f"look at {key!r}"):
            try:
                facts = os.lstat(path)
            except (FileNotFoundError, NotADirectoryError) as exc:
                raise self._not_found(key) from exc
        if not file_modes.S_ISREG(facts.st_mode):
            raise self._not_found(key)
        return _stat_of(key, facts)

    def read(self, key: Key) -> Iterator[bytes]:
        descriptor = self._open(key)
        try:
            while True:
                with disk.disk_errors(self.name, f"read {key!r}"):
                    chunk = os.read(descriptor, CHUNK_BYTES)
                if not chunk:
                    return
                yield chunk
        finally:
            os.close(descriptor)

    def read_range(self, key: Key, offset: int, length: int) -> bytes:
        descriptor = self._open(key)
        try:
            with disk.disk_errors(self.name, f"read {key!r}"):
                return os.pread(descriptor, length, offset)
        finally:
            os.close(descriptor)

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """Names that are not canonical keys are listed as they are: they are somebody else's files."""
        self._marker.require()
        folder, slash, _ = prefix.rpartition("/")
        if not slash or os.path.realpath(os.path.join(self._root, folder)) == f"{self._real_root}/{folder}":
            pending = [folder + slash]
            while pending:
                parent = pending.pop()
                for entry in self._entries(parent):
                    name = parent + entry.name
                    if not name.startswith(prefix) or name in _NOT_OBJECTS:
                        continue
                    with suppress(FileNotFoundError), disk.disk_errors(self.name, f"look at {name!r}"):
                        if entry.is_dir(follow_symlinks=False):
                            pending.append(name + "/")
                        elif entry.is_file(follow_symlinks=False):
                            yield _stat_of(Key(name), entry.stat(follow_symlinks=False))
        self._marker.require()

    # --- writing ------------------------------------------------------------------------------------------------------

    def write(self, key: Key, body: Body, options: WriteOptions = WriteOptions()) -> None:
        path = self._path(key)
        self._marker.require()
        self._refuse_existing(key, path)
        with self._temporary(key) as (descriptor, temporary):
            for chunk in body.chunks():
                with disk.disk_errors(self.name, f"write {key!r}"):
                    disk.write_all(descriptor, chunk)
            self._publish(key, path, descriptor, temporary)

    def copy(self, source: Key, destination: Key) -> None:
        """A second name of the same bytes (objects never change), or a true copy where the disk knows no links."""
        origin, path = self._path(source), self._path(destination)
        self.stat(source)
        self._refuse_existing(destination, path)
        if self._name(destination, path, lambda path: disk.link(origin, path)):
            return
        with self._temporary(destination) as (descriptor, temporary):
            with (
                disk.disk_errors(self.name, f"copy {source!r}"),
                open(origin, "rb") as reader,
                open(descriptor, "wb", closefd=False) as writer,
            ):
                shutil.copyfileobj(reader, writer, CHUNK_BYTES)
            self._publish(destination, path, descriptor, temporary)

    def link_in(self, source: Path, key: Key) -> bool:
        origin, path = os.path.realpath(source), self._path(key)
        self._marker.require()
        self._refuse_existing(key, path)
        with disk.disk_errors(self.name, f"sync {origin!r}"):
            disk.sync_file(origin)
        return self._name(key, path, lambda path: disk.link(origin, path))

    def sync(self, key: Key) -> None:
        descriptor = self._open(key)
        try:
            with disk.disk_errors(self.name, f"sync {key!r}"):
                os.fsync(descriptor)
                disk.sync_directory(os.path.dirname(self._path(key)))
        finally:
            os.close(descriptor)

    def delete(self, keys: Sequence[Key]) -> Mapping[Key, Exception]:
        """Folders that become empty go too."""
        self._guard.deleting(keys)
        self._marker.require()
        failed: dict[Key, Exception] = {}
        changed_folders = set()
        for key in keys:
            try:
                path = self._path(key)
                with disk.disk_errors(self.name, f"delete {key!r}"):
                    if disk.remove(path):
                        changed_folders.add(self._publisher.remove_empty_folders(os.path.dirname(path)))
            except ReelkeeperError as exc:
                failed[key] = exc
        for folder in changed_folders:
            with disk.disk_errors(self.name, f"sync {folder!r}"), suppress(FileNotFoundError):
                disk.sync_directory(folder)
        self._marker.require()  # what was not there, was not there on this disk
        return failed

    # --- upkeep -------------------------------------------------------------------------------------------------------

    def clock(self) -> datetime:
        """The time that the disk, or the server behind a network disk, gives to a file made now."""
        self._marker.require()
        with (
            disk.disk_errors(self.name, "make a file to tell the time by"),
            self._publisher.temporary(clean=False) as (descriptor, _),
        ):
            return datetime.fromtimestamp(os.fstat(descriptor).st_ctime, UTC)

    def stale_uploads(self, older_than: timedelta) -> Iterator[Upload]:
        """Hidden files that killed writers left, by when they were last written to."""
        before = (self.clock() - older_than).timestamp()
        with disk.disk_errors(self.name, "look for unfinished files"):
            found = list(self._publisher.leftovers(before=before))
        for name, changed in found:
            yield Upload(f"{HIDDEN}/{name}", name, datetime.fromtimestamp(changed, UTC))

    def abort_upload(self, upload: Upload) -> None:
        self._guard.removing(f"remove the unfinished file {upload.key!r}")
        self._marker.require()
        with disk.disk_errors(self.name, f"remove {upload.key!r}"):
            self._publisher.remove_leftover(upload.id)

    def remove_empty_folders(self, older_than: timedelta) -> int:
        self._guard.removing("remove empty folders")
        before = (self.clock() - older_than).timestamp()
        with disk.disk_errors(self.name, "look for empty folders"):
            return self._publisher.sweep(before=before, spared=_NOT_OBJECTS)

    # --- paths --------------------------------------------------------------------------------------------------------

    def path_of(self, key: Key) -> Path:
        return Path(self._path(key))

    def key_of(self, path: Path) -> Key:
        real = os.path.realpath(path)
        if not real.startswith(self._real_root + os.sep):
            raise InvalidKey(
                f"file {os.fspath(path)!r} lies outside store {self.name!r}: expected one below {self._real_root!r}"
            )
        key = canonical_key(real[len(self._real_root) + 1 :])
        self._path(key)  # not one of the reserved names
        return key

    # --- set-up -------------------------------------------------------------------------------------------------------

    def owner(self) -> Owner:
        self._marker.require()
        return self._marker.owner()

    def set_up(self, owner: Owner | None = None, *, take_over: bool = False) -> Iterable[Change]:
        """A new marker of a disk without one says its store alone, unless `owner` is given."""
        with disk.disk_errors(self.name, f"set up {self._root!r}"):
            is_new = not os.path.isdir(self._root)
            os.makedirs(self._root, exist_ok=True)
            disk.sync_directory(os.path.dirname(self._root))
            marked = self._marker.make(owner, take_over=take_over)
            self._marker.require()
            self._publisher.remove_leftovers()
        return [Change(f"folder {self._root!r}", is_new), marked]

    def check(self) -> Iterable[Check]:
        try:
            self._marker.require()
        except ReelkeeperError as exc:
            return [Check("folder", False, str(exc), f"mount the disk of {self._root!r}, or run setup_estate once")]
        return [Check("folder", True, self._root), check_space(self._root), *check_rights(self)]

    # --- inside -------------------------------------------------------------------------------------------------------

    @property
    def _real_root(self) -> str:
        return os.path.realpath(self._root)

    def _path(self, key: str) -> str:
        if canonical_key(key).split("/", 1)[0] in _NOT_OBJECTS:
            raise InvalidKey(f"key {key!r} is reserved in a filesystem store: expected none of {sorted(_NOT_OBJECTS)}")
        return os.path.join(self._root, key)

    def _not_found(self, key: Key) -> ReelkeeperError:
        self._marker.require()  # the disk may have gone since the last look
        return ObjectNotFound(f"store {self.name!r} has no object {key!r}")

    def _open(self, key: Key) -> int:
        path = self._path(key)
        self._marker.require()
        with disk.disk_errors(self.name, f"read {key!r}"):
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except (FileNotFoundError, NotADirectoryError) as exc:
                raise self._not_found(key) from exc
            if file_modes.S_ISREG(os.fstat(descriptor).st_mode):
                return descriptor
        os.close(descriptor)
        raise self._not_found(key)

    def _entries(self, folder: str) -> Iterator["os.DirEntry[str]"]:
        """The entries of a folder, none when it is gone; but a disk that is gone is StoreUnavailable."""
        with disk.disk_errors(self.name, f"list {folder!r}"):
            try:
                scan = os.scandir(os.path.join(self._root, folder))
            except (FileNotFoundError, NotADirectoryError):
                self._marker.require()
                return
            with scan as entries:
                yield from entries

    def _refuse_existing(self, key: Key, path: str) -> None:
        with disk.disk_errors(self.name, f"look at {key!r}"):
            if self._folds_names and (part := disk.misspelled_part(self._root, key)):
                raise InvalidKey(f"key {key!r} collides: {part!r} is there in another spelling (case or Unicode form)")
            try:
                mode = os.lstat(path).st_mode
            except FileNotFoundError:
                return
        if not file_modes.S_ISREG(mode):
            raise InvalidKey(f"key {key!r} collides: {path!r} is a folder or a link, expected none")
        raise ObjectExists(f"store {self.name!r} already has {key!r}")

    @cached_property
    def _folds_names(self) -> bool:
        return disk.folds_names(self._publisher.hidden_folder())

    @contextmanager
    def _temporary(self, key: Key) -> Iterator[tuple[int, str]]:
        with ExitStack() as stack:
            with disk.disk_errors(self.name, f"write {key!r}"):
                temporary = stack.enter_context(self._publisher.temporary())
            yield temporary

    def _publish(self, key: Key, path: str, descriptor: int, temporary: str) -> None:
        with disk.disk_errors(self.name, f"write {key!r}"):
            disk.sync_and_forget(descriptor)
        self._name(key, path, lambda path: disk.publish(temporary, path))

    def _name(self, key: Key, path: str, give_name: Callable[[str], bool]) -> bool:
        with disk.disk_errors(self.name, f"name {key!r}"):
            try:
                return self._publisher.name(path, give_name)
            except FileExistsError:
                self._refuse_existing(key, path)
                raise


def _stat_of(key: Key, facts: os.stat_result) -> ObjectStat:
    return ObjectStat(key, facts.st_size, datetime.fromtimestamp(facts.st_ctime, UTC))
