"""An estate's folder: who runs it, how to stop it, how to remove it.

Standard library only, so that `make clean` works without an environment: `python3 -m demo.folders clean FOLDER`.
"""

import fcntl
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_STOP_SECONDS = 60.0


class InUse(RuntimeError):
    """Another process runs the estate of this folder."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which ends with its process. InUse when another process does."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise InUse(f"estate {str(folder)!r} is in use by process {owner(folder)}: expected a stopped one") from exc
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def owner(folder: Path) -> int | None:
    """The process that holds the folder's lock, None when none does."""
    with suppress(FileNotFoundError), (folder / "lock").open("r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(lock.read() or 0)
    return None


def stop(folder: Path) -> bool:
    """Stop the estate of this folder and wait until it has ended. False when none ran."""
    pid = owner(folder)
    if not pid:
        return False
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + _STOP_SECONDS
        while owner(folder) == pid and time.monotonic() < deadline:
            time.sleep(0.1)
        if owner(folder) != pid:
            break
    return True


def elsewhere(directory: Path) -> Path:
    """Where it is written that PostgreSQL's data lies outside `directory`; see `demo.postgres`."""
    return directory / "postgres.elsewhere"


def remove(folder: Path) -> None:
    """Remove a stopped estate's files, those outside its folder too."""
    note = elsewhere(folder / "postgres")
    if note.exists():
        shutil.rmtree(note.read_text(), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def clean(root: Path) -> None:
    """Stop and remove every estate below `root`."""
    for folder in sorted(root.iterdir()) if root.exists() else ():
        if folder.is_dir():
            stop(folder)
            remove(folder)
    shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    clean(Path(sys.argv[2]))
