"""Ends process groups when the process that started them dies, even by SIGKILL.

Run as a script, without imports of ours: it reads lines from standard input, `+<pgid> <signal>` when a group starts and
`-<pgid>` when it was ended properly. When the pipe closes its owner is gone, and what is left is stopped.
"""

import os
import signal
import sys
import time

GRACE_SECONDS = 8.0


def _send(groups: dict[int, int], number: int | None = None) -> None:
    for group, own_signal in list(groups.items()):
        try:
            os.killpg(group, own_signal if number is None else number)
        except (ProcessLookupError, PermissionError):
            del groups[group]


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # our owner decides: we end when it does
    groups: dict[int, int] = {}
    for line in sys.stdin:
        word = line[1:].split()
        if line[0] == "+":
            groups[int(word[0])] = int(word[1])
        else:
            groups.pop(int(word[0]), None)
    _send(groups)
    deadline = time.monotonic() + GRACE_SECONDS
    while groups and time.monotonic() < deadline:
        time.sleep(0.1)
        _send(groups, 0)
    _send(groups, signal.SIGKILL)


if __name__ == "__main__":
    main()
