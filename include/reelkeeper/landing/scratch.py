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

    Its owner holds a lock on it, which ends with the process however it dies; whoever makes the next one removes those
    that nobody holds.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._folder: Path | None = None
        self._held = -1

    def folder(self) -> Path:
        """The folder. OSError when the machine has no room for it."""
        with self._lock:
            while self._folder is None:
                sweep()
                folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
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


def sweep() -> None:
    """Remove the folders of the dead."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
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
