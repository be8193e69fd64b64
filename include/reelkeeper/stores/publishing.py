"""How a file appears below a root: complete or not at all, durably, and never in place of another.

It is written under a hidden folder of the same disk, synced, and given its name. What a killed writer leaves behind is
hidden, and removed by later writers after a day.
"""

import os
import secrets
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress

from reelkeeper.errors import InvalidKey, StoreUnavailable
from reelkeeper.stores import disk

HIDDEN = ".reelkeeper-temp"
_LEFTOVER_SECONDS = 24 * 3600
_KNOWN_FOLDERS = 50_000
_FOLDER_TRIES = 20


class Publisher:
    """Gives files their names below `root`. Paths are absolute. OSErrors pass through; threads may share it."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._hidden = os.path.join(root, HIDDEN)
        self._durable_folders: set[str] = set()
        self._is_cleaned = False

    @contextmanager
    def temporary(self, *, clean: bool = True) -> Iterator[tuple[int, str]]:
        """A new hidden file: its descriptor and path. It is gone afterwards, unless the process is killed.

        `clean`: what killed writers left goes too, once in a process.
        """
        if clean and not self._is_cleaned:
            self._is_cleaned = True
            self.remove_leftovers()
        path = os.path.join(self.hidden_folder(), secrets.token_hex(16))
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            yield descriptor, path
        finally:
            os.close(descriptor)
            disk.remove(path)

    def hidden_folder(self) -> str:
        """The hidden folder, made if need be."""
        if not disk.exists(self._hidden):
            os.makedirs(self._hidden, exist_ok=True)
        return self._hidden

    def remove_leftovers(self) -> None:
        """Unlink hidden files that nobody has written to for a day: a killed writer left them."""
        for name, _ in self.leftovers(before=time.time() - _LEFTOVER_SECONDS):
            self.remove_leftover(name)

    def leftovers(self, *, before: float) -> Iterator[tuple[str, float]]:
        """Hidden files that nobody has written to since `before` (epoch seconds, by the disk's clock): name, time."""
        with suppress(FileNotFoundError), os.scandir(self._hidden) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # its writer finished
                    changed = entry.stat(follow_symlinks=False).st_mtime
                    if changed < before:
                        yield entry.name, changed

    def remove_leftover(self, name: str) -> None:
        """Unlink a hidden file. Should a writer still hold it, its publication fails transiently: nothing is lost."""
        disk.remove(os.path.join(self._hidden, os.path.basename(name)))

    def name(self, path: str, give_name: Callable[[str], bool]) -> bool:
        """Let `give_name(path)` make the file appear, durably. False when it says that it cannot. FileExistsError."""
        folder = os.path.dirname(path)
        for _ in range(_FOLDER_TRIES):
            try:
                self._make_folder(folder)
                is_named = give_name(path)
            except FileNotFoundError:  # the folder became empty and was removed
                self._durable_folders.discard(folder)
                continue
            if is_named:
                with suppress(FileNotFoundError):  # deleted again already, folder and all
                    disk.sync_directory(folder)
            return is_named
        raise StoreUnavailable(f"could not name {path!r}: its folder, or what should get the name, keeps vanishing")

    def sweep(self, *, before: float, spared: Collection[str]) -> int:
        """Remove folders below the root that are empty and were not changed since `before`; how many.

        `spared` are names directly under the root. A folder that only the removal of those in it has changed goes too.
        Whether one is empty is left to rmdir(2), which no writer can come between.
        """
        folders: list[tuple[str, bool]] = []  # parents before what is in them; whether it is old
        pending = [entry for entry in self._folders_in(self._root) if entry.name not in spared]
        while pending:
            entry = pending.pop()
            with suppress(FileNotFoundError):
                folders.append((entry.path, entry.stat(follow_symlinks=False).st_ctime < before))
                pending += self._folders_in(entry.path)
        removed = 0
        for path, is_old in reversed(folders):
            with suppress(OSError):  # not empty, or gone
                if is_old:
                    os.rmdir(path)
                    self._durable_folders.discard(path)
                    removed += 1
        return removed

    def _folders_in(self, folder: str) -> list["os.DirEntry[str]"]:
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            return [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
        return []

    def remove_empty_folders(self, folder: str) -> str:
        """Remove `folder` and those above it as long as they are empty. The first that stays."""
        while folder != self._root:
            try:
                os.rmdir(folder)
            except OSError:  # not empty
                break
            self._durable_folders.discard(folder)
            folder = os.path.dirname(folder)
        return folder

    def _make_folder(self, folder: str) -> None:
        """The folder and those above it exist and survive a power cut."""
        if folder in self._durable_folders:
            return
        try:
            os.makedirs(folder, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as exc:
            if not disk.exists(str(exc.filename)):  # it was a folder, removed between two looks
                raise FileNotFoundError(exc.errno, exc.strerror, exc.filename) from exc
            raise InvalidKey(f"{exc.filename!r} is in the way: expected a folder, or nothing") from exc
        above = folder
        while above != self._root:
            above = os.path.dirname(above)
            disk.sync_directory(above)
        if len(self._durable_folders) >= _KNOWN_FOLDERS:
            self._durable_folders.clear()
        self._durable_folders.add(folder)
