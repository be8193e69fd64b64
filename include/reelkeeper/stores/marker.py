"""The marker file of a disk: it says whose the disk is, and that it is mounted.

An unmounted disk leaves an empty folder behind, which has none."""

import os

from reelkeeper.errors import StoreUnavailable
from reelkeeper.model import StoreName
from reelkeeper.stores import disk
from reelkeeper.stores.owner import marker_text, must_write, owner_in, told_of
from reelkeeper.stores.protocols import Change, Owner

MARKER = ".reelkeeper-store"


class Marker:
    """The marker of one store in its root folder. It names the store, so that two swapped disks are noticed."""

    def __init__(self, root: str, store: StoreName) -> None:
        self.path = os.path.join(root, MARKER)
        self._root = root
        self._store = store
        self._seen: tuple[int, int] | None = None  # device and inode of the marker that was read

    def require(self) -> None:
        """The disk is there, and it is this store's: else StoreUnavailable, for nothing is known about its objects."""
        try:
            facts = os.stat(self.path)
        except OSError as exc:
            raise self._missing() from exc
        if (facts.st_dev, facts.st_ino) == self._seen:
            return
        owner = self.owner()
        if owner.store != self._store:
            raise StoreUnavailable(
                f"folder {self._root!r} belongs to store {owner.store!r}, says its marker: expected {self._store!r} "
                "(are two disks mounted in each other's place?)"
            )
        self._seen = (facts.st_dev, facts.st_ino)

    def owner(self) -> Owner:
        """Whose the disk is, by its marker, read now. StoreUnavailable without a readable one."""
        try:
            with open(self.path, "rb") as file:
                return owner_in(file.read())
        except (OSError, ValueError) as exc:
            raise self._missing() from exc

    def make(self, owner: Owner | None, *, take_over: bool) -> Change:
        """Write the marker, durably, so that it says `owner`; None: of no catalogue, unless there is one already.

        StoreNotOurs when it is somebody else's, unless `take_over`. OSError.
        """
        found = self._found(take_over=take_over)
        told = owner or found or Owner(self._store, None)
        changed = found is None if owner is None else must_write(found, owner, take_over=take_over)
        if changed:
            self._write(told)
            must_write(self.owner(), told, take_over=False)
        return told_of(f"marker {self.path!r}", told, found, changed=changed)

    def _found(self, *, take_over: bool) -> Owner | None:
        if not disk.exists(self.path):
            return None
        try:
            return self.owner()
        except StoreUnavailable:
            if not take_over:
                raise
            return None

    def _write(self, owner: Owner) -> None:
        temporary = f"{self.path}.{os.getpid()}"
        try:
            with open(temporary, "wb") as file:
                file.write(marker_text(owner))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
        finally:
            disk.remove(temporary)
        disk.sync_directory(self._root)

    def _missing(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"store {self._store!r} is not there: expected a readable marker {self.path!r} "
            "(is the disk mounted? was the store set up?)"
        )
