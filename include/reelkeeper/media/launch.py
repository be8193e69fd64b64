"""Starts a program that may not outlive its parent, nor write a file larger than it may.

Run as a script, without imports of ours: `launch.py PARENT_PID MAX_BYTES PROGRAM [ARGUMENT …]`. It becomes the program.
What is set here cannot be set safely between fork and exec of a process that has threads.
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, max_bytes, program, *arguments = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != int(parent):  # it died before we asked to be told
            sys.exit(1)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    limit = int(max_bytes) if hard == resource.RLIM_INFINITY else min(int(max_bytes), hard)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # the program dies by it: a file cut short is never taken for whole
    os.execv(program, [os.path.basename(program), *arguments])  # noqa: PTH119, S606  # no shell, and little to import


if __name__ == "__main__":
    main()
