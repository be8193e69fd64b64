"""The marker file that tells a mounted disk from the empty folder that an unmounted one leaves behind."""

import json
import os

from reelkeeper.errors import StoreUnavailable
from reelkeeper.stores import disk

MARKER = ".reelkeeper-store"


class Marker:
    """The marker of one store in its root folder. It names the store, so that two swapped disks are noticed."""

    def __init__(self, root: str, store: str) -> None:
        self.path = os.path.join(root, MARKER)
        self._root = root
        self._store = store
        self._seen: tuple[int, int] | None = None  # device and inode of the marker that was read

    def require(self) -> None:
        """The disk is there, and it is this store's: else StoreUnavailable, for nothing is known about its objects."""
        try:
            facts = os.stat(self.path)
            if (facts.st_dev, facts.st_ino) == self._seen:
                return
            with open(self.path, "rb") as file:
                owner = json.load(file)["store"]
        except (OSError, ValueError, LookupError, TypeError) as exc:
            raise StoreUnavailable(
                f"store {self._store!r} is not there: expected a readable marker {self.path!r} "
                "(is the disk mounted? was the store set up?)"
            ) from exc
        if owner != self._store:
            raise StoreUnavailable(
                f"folder {self._root!r} belongs to store {owner!r}, says its marker: expected {self._store!r} "
                "(are two disks mounted in each other's place?)"
            )
        self._seen = (facts.st_dev, facts.st_ino)

    def make(self) -> bool:
        """Write the marker, durably. False when there is one already. OSError."""
        temporary = f"{self.path}.{os.getpid()}"
        text = {"store": self._store, "about": "Without this file Reelkeeper takes the disk for not mounted."}
        with open(temporary, "wb") as file:
            file.write(json.dumps(text).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            disk.publish(temporary, self.path)
        except FileExistsError:
            return False
        finally:
            disk.remove(temporary)
        disk.sync_directory(self._root)
        return True
