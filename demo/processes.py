"""Child processes that never outlive us, and loopback ports that two copies of us never share."""

import atexit
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

from demo.reaper import kill_session

HOST = "127.0.0.1"
_FIRST_PORT, _LAST_PORT = 20_000, 32_000  # below the ports that systems hand out for outgoing connections
_LOG_TAIL_LINES = 30


class StartFailed(RuntimeError):
    """A server ended, or did not answer in time. The message ends with the tail of its log."""


@contextmanager
def free_ports(count: int, *, wanted: Sequence[int | None] = ()) -> Iterator[list[int]]:
    """`count` free TCP ports of 127.0.0.1, ours until the context ends: in its place each that is `wanted`, if it is
    free, and else any.

    The UDP port of the same number serves as a lock between copies of us: it goes when its process does, whatever ends
    it, and leaves no file behind.
    """
    others = iter(random.sample(range(_FIRST_PORT, _LAST_PORT), _LAST_PORT - _FIRST_PORT))
    with ExitStack() as locks:
        ports: list[int] = []
        for place in range(count):
            first = wanted[place] if place < len(wanted) else None
            for port in others if first is None else chain([first], others):
                if (lock := _lock_of(port)) is not None:
                    locks.enter_context(lock)
                    ports.append(port)
                    break
        yield ports


def _lock_of(port: int) -> socket.socket | None:
    """The lock of a port that nobody listens at; None when it is not to be had."""
    lock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: what is left of connections to one that has ended does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            lock.bind((HOST, port))
            probe.bind((HOST, port))
        except OSError:
            lock.close()
            return None
    return lock


class _Reaper:
    """Our side of `reaper.py`: one for this process, started with the first child."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0

    def tell(self, line: str) -> None:
        with self._lock:
            if self._process is None or self._owner != os.getpid():  # a fork needs its own
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(Path(__file__).with_name("reaper.py")), str(os.getpid())],
                    stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    text=True, start_new_session=True, cwd="/",
                )  # fmt: skip
                self._owner = os.getpid()
                atexit.register(self._end)
            assert self._process.stdin is not None
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def _end(self) -> None:
        """Let it finish before we end: by now all children have ended, or should."""
        if self._process is not None and self._owner == os.getpid():
            self.tell(".")  # closing our end is not enough where someone holds a copy of it
            self._process.communicate()


_reaper = _Reaper()
_parts: dict[int, str] = {}


def removed_with_us(folder: Path) -> None:
    """See to it that the folder goes when our process does, if it is still there."""
    _reaper.tell(f"d{folder}")


@contextmanager
def scratch(purpose: str) -> Iterator[Path]:
    """A folder of our own in the temporary one, gone when the context or our process ends, whatever ends it."""
    folder = Path(tempfile.mkdtemp(prefix=f"reelkeeper-{purpose}-"))
    removed_with_us(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def together(contexts: Sequence[AbstractContextManager[Any]]) -> Iterator[list[Any]]:
    """Enter all at the same time, give what they give, and leave all at the same time; also when one fails to enter."""
    with ThreadPoolExecutor(len(contexts)) as pool, ExitStack() as leaving:
        entering = [pool.submit(context.__enter__) for context in contexts]
        entered = [context for context, future in zip(contexts, entering, strict=True) if future.exception() is None]
        leaving.callback(_leave, pool, entered)
        yield [future.result() for future in entering]


def _leave(pool: ThreadPoolExecutor, contexts: Sequence[AbstractContextManager[Any]]) -> None:
    for left in [pool.submit(context.__exit__, None, None, None) for context in contexts]:
        left.result()


def log_tail(log: Path, lines: int = _LOG_TAIL_LINES) -> str:
    """The last lines of a log, for an error message."""
    text = log.read_text(errors="replace").splitlines() if log.exists() else []
    return f"last lines of {log}:\n" + "\n".join(text[-lines:])


@contextmanager
def running(
    name: str, command: Sequence[str | Path], *, log: Path, ready: Callable[[], bool],
    environ: Mapping[str, str] | None = None, directory: Path | None = None, user: int | None = None,
    stop_signal: signal.Signals = signal.SIGTERM, start_seconds: float = 60, stop_seconds: float = 10,
) -> Iterator["subprocess.Popen[bytes]"]:  # fmt: skip
    """`command` as a session of its own, from when it answers until the context ends.

    `ready` is asked until it says True; an exception of it counts as False. StartFailed when the process ends or the
    time is over. `user` is the numeric user to run as, where we are root.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env=dict(os.environ if environ is None else environ), cwd=directory, start_new_session=True,
            **({} if user is None else {"user": user, "group": user_group(user), "extra_groups": []}),
        )  # type: ignore[call-overload]  # fmt: skip
    _reaper.tell(f"+{process.pid} {int(stop_signal)}")
    try:
        _await(name, process, ready, log, start_seconds)
        _parts[process.pid] = name
        yield process
    finally:
        _parts.pop(process.pid, None)
        _stop(process, stop_signal, stop_seconds)
        _reaper.tell(f"-{process.pid}")


def parts() -> dict[int, str]:
    """Our children that have answered and that nobody has stopped, by process id: those that should be alive."""
    return dict(_parts)


def user_group(user: int) -> int:
    """The user's own group."""
    import pwd

    return pwd.getpwuid(user).pw_gid


def _await(
    name: str, process: "subprocess.Popen[bytes]", ready: Callable[[], bool], log: Path, start_seconds: float
) -> None:
    deadline = time.monotonic() + start_seconds
    error: Exception | None = None
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StartFailed(f"{name} ended with exit code {process.returncode} while starting; {log_tail(log)}")
        try:
            if ready():
                return
        except Exception as exc:  # noqa: BLE001  whatever a client raises while its server is not up yet
            error = exc
        time.sleep(0.05)
    raise StartFailed(f"{name} did not answer in {start_seconds:g} s (last error: {error!r}); {log_tail(log)}")


def _stop(process: "subprocess.Popen[bytes]", stop_signal: signal.Signals, stop_seconds: float) -> None:
    """Ask the process group to end, wait for its leader, then kill what is left of the session."""
    with suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(process.pid, stop_signal)
        process.wait(stop_seconds)
    kill_session(process.pid)
    process.wait()
