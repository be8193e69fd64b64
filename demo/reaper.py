"""Ends what a process started when that process dies, even by SIGKILL.

Run as a script with its owner's process id, without imports of ours: it reads lines from standard input,
`+<pid> <signal>` when a child started, `-<pid>` when it was ended properly, and `d<folder>` for a folder that must not
stay. When its owner says `.` or is gone, what is left is stopped, and removed. Each child leads a session: its
descendants may found groups of their own, as Airflow's tasks do, but stay in the session.
"""

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

GRACE_SECONDS = 8.0
OWNER_POLL_SECONDS = 1.0


def session_members(leader: int) -> list[int]:
    """The living processes of the session that `leader` founded, zombies left out."""
    return [pid for pid in _living() if _session(pid) == leader]


def leads(pid: int) -> bool:
    """Whether the process lives, and leads a session as our children do; a later one of the same number may not."""
    return pid in session_members(pid)


def _living() -> list[int]:
    proc = Path("/proc")
    if not (proc / "self" / "stat").exists():  # not Linux
        listing = subprocess.run(["/bin/ps", "-axo", "pid=,stat="], check=True, capture_output=True, text=True)
        rows = (line.split() for line in listing.stdout.splitlines())
        return [int(pid) for pid, state in rows if not state.startswith("Z")]
    living = []
    for folder in proc.iterdir():
        if folder.name.isdigit():
            try:
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]  # pid (any name) state …
            except OSError:
                continue  # it ended while we looked
            if state != "Z":
                living.append(int(folder.name))
    return living


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def kill_session(leader: int) -> None:
    """Kill all of the session, until none is left that could start another."""
    while members := session_members(leader):
        for pid in members:
            with suppress(ProcessLookupError):  # it ended by itself
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _lines_of(owner: int) -> Iterator[str]:
    """What the owner says, until it says `.`, closes the pipe, or is gone while a fork of it holds the pipe open."""
    rest = b""
    while True:
        gone = os.getppid() != owner  # asked first, so that its last words are heard
        if select.select([sys.stdin], [], [], 0 if gone else OWNER_POLL_SECONDS)[0]:
            heard = os.read(sys.stdin.fileno(), 65536)
            *lines, rest = (rest + heard).split(b"\n")
            for line in lines:
                if line == b".":
                    return
                yield os.fsdecode(line)
            if not heard:
                return
        elif gone:
            return


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # our owner decides: we end when it does
    children: dict[int, int] = {}
    folders: list[str] = []
    for line in _lines_of(int(sys.argv[1])):
        kind, words = line[0], line[1:].split()
        if kind == "+":
            children[int(words[0])] = int(words[1])
        elif kind == "-":
            children.pop(int(words[0]), None)
        else:
            folders.append(line[1:])
    for leader, stop_signal in children.items():
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, stop_signal)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(session_members(leader) for leader in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    for leader in children:
        kill_session(leader)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
