"""A temporary folder that no death leaves behind for good."""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import Lock

_PREFIX = "reelkeeper-fetched-"


class Scratch:
    """A folder for temporary files, made when first asked for. Safe for threads.

    Its owner holds a lock on it, which ends with the process however it dies; whoever makes the next one of the same
    prefix in the same place removes those that nobody holds.
    """

    def __init__(self, prefix: str = _PREFIX, place: Path | None = None) -> None:
        """`place` is the folder in which it is made; by default the machine's for temporary files."""
        self._prefix, self._place = prefix, place or Path(tempfile.gettempdir())
        self._lock = Lock()
        self._folder: Path | None = None
        self._held = -1

    def folder(self) -> Path:
        """The folder. OSError when the machine has no room for it."""
        with self._lock:
            while self._folder is None:
                sweep(self._prefix, self._place)
                folder = Path(tempfile.mkdtemp(prefix=self._prefix, dir=self._place))
                held = _hold(folder)
                if held is not None:  # else somebody's sweep was quicker
                    self._folder, self._held = folder, held
            return self._folder

    def close(self) -> None:
        """Remove the folder and what is in it."""
        with self._lock:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                os.close(self._held)
                self._folder = None


def sweep(prefix: str = _PREFIX, place: Path | None = None) -> None:
    """Remove the folders of the dead."""
    for folder in (place or Path(tempfile.gettempdir())).glob(f"{prefix}*"):
        held = _hold(folder)
        if held is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)


def _hold(folder: Path) -> int | None:
    """Lock the folder for this process: a descriptor, or None when another one holds it, or it is gone or not ours."""
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with suppress(OSError):  # held by another, or gone
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(held), folder.stat()):
            return held
    os.close(held)
    return None
