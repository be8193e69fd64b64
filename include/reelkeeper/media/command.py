"""One way to run ffmpeg: checked arguments, real progress, limits, and an end no later than our own."""

import errno
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ffmpeg

from reelkeeper.errors import MediaError, MediaTimeout, WorkFolderFull
from reelkeeper.media import launch
from reelkeeper.media.arguments import checked, outputs
from reelkeeper.media.binaries import program
from reelkeeper.media.graph_file import graph_apart

_POLL_SECONDS = 0.5
_LAST_LINES = 12
Seconds = Callable[[float], None]
"""Told how many seconds of footage are done."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may take: seconds on the wall, and bytes of any file that it writes."""

    seconds: float = 3600.0
    bytes: int = 64 << 30


@dataclass(frozen=True, slots=True)
class Command:
    """A program that ran to its end: its arguments, the name of the program first, and the seconds it took."""

    arguments: tuple[str, ...]
    seconds: float


def file_url(path: Path) -> str:
    """How a file is named to ffmpeg: no character of it means anything else there."""
    return f"file:{path}"


def run(
    stream_or_args: Any, *, limits: Limits, progress: Seconds | None = None, stdin: Iterator[bytes] | None = None
) -> Command:
    """Run ffmpeg to its end.

    `stream_or_args`: what ffmpeg-python built, or the arguments without the program's name. Inputs are `file:` paths,
    `pipe:0` (what `stdin` yields) or a `lavfi` graph; outputs are `file:` paths: new ones, unless `-y` is among the
    arguments, which overwrites them. `progress` hears the seconds of footage written. No shell is involved, nothing but
    those files is opened.

    MediaError with ffmpeg's last words when it fails, when an argument is not on the allow-list, when an output exists
    that is not to be overwritten, or when a file outgrows `limits.bytes`; MediaTimeout after `limits.seconds`;
    WorkFolderFull when the disk is full. On any exception, and when this process or thread dies, ffmpeg is killed.
    """
    is_list = isinstance(stream_or_args, Sequence) and not isinstance(stream_or_args, str)
    asked = [str(argument) for argument in (stream_or_args if is_list else ffmpeg.get_args(stream_or_args))]
    arguments = [
        "-hide_banner", "-loglevel", "error", *(["-nostdin"] if stdin is None else []), "-progress", "pipe:1",
        *checked(asked),
    ]  # fmt: skip
    _expect_new(asked)
    started = time.monotonic()
    process = _started(program("ffmpeg"), arguments, limits, is_fed=stdin is not None)
    try:
        last_words = _Pipes(process, progress, stdin).pump(started + limits.seconds)
        returncode = process.wait(max(started + limits.seconds - time.monotonic(), 0.1))
    except (TimeoutError, subprocess.TimeoutExpired) as exc:
        raise MediaTimeout(f"ffmpeg was not done after {limits.seconds:g} s: expected it to be") from exc
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    _check_end(returncode, last_words, limits)
    return Command(("ffmpeg", *arguments), time.monotonic() - started)


def _started(path: Path, arguments: Sequence[str], limits: Limits, *, is_fed: bool) -> subprocess.Popen[bytes]:
    with graph_apart(path, arguments) as (passed, descriptors):
        return subprocess.Popen(
            [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(limits.bytes), str(path), *passed],
            stdin=subprocess.PIPE if is_fed else subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            pass_fds=descriptors,
        )  # fmt: skip


def _expect_new(arguments: Sequence[str]) -> None:
    """ffmpeg would ask whether it may overwrite; without an answer some of its versions leave the old file and report
    success."""
    if "-y" in arguments:
        return
    for path in outputs(arguments):
        if path.exists():
            raise MediaError(f"file {path.name!r} exists: expected none where ffmpeg is to write, or the argument '-y'")


def _check_end(returncode: int, last_words: str, limits: Limits) -> None:
    if not returncode:
        return
    if returncode == -signal.SIGXFSZ:
        raise MediaError(f"ffmpeg wrote more than {limits.bytes} bytes to a file: expected at most that")
    if returncode == 256 - errno.ENOSPC:  # ffmpeg ends with its negative error number
        raise WorkFolderFull(f"no space is left for what ffmpeg writes: {last_words}")
    how = f"was killed by signal {-returncode}" if returncode < 0 else f"ended with exit code {returncode}"
    raise MediaError(f"ffmpeg {how}: {last_words}")


class _Pipes:
    """Feeds a process, and hears it, in one thread: none of its pipes can fill and block it."""

    def __init__(
        self, process: subprocess.Popen[bytes], progress: Seconds | None, stdin: Iterator[bytes] | None
    ) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self._process, self._progress, self._source = process, progress, stdin
        self._progress_rest = b""
        self._last_words: deque[bytes] = deque(maxlen=_LAST_LINES)
        self._unsent = memoryview(b"")
        self._selector = selectors.DefaultSelector()
        self._selector.register(process.stdout, selectors.EVENT_READ, self._hear_progress)
        self._selector.register(process.stderr, selectors.EVENT_READ, self._hear_words)
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
            self._selector.register(process.stdin, selectors.EVENT_WRITE, self._feed)

    def pump(self, deadline: float) -> str:
        """Until its outputs are closed. Its last words on standard error; TimeoutError after `deadline`."""
        with self._selector:
            while self._selector.get_map():
                if time.monotonic() > deadline:
                    raise TimeoutError
                for key, _ in self._selector.select(_POLL_SECONDS):
                    if not key.data(key.fd):
                        self._selector.unregister(key.fileobj)
                if self._process.poll() is not None and self._process.stdin is not None:
                    self._stop_feeding()
        return b"".join(self._last_words).decode(errors="replace").strip()

    def _hear_progress(self, descriptor: int) -> bool:
        data = os.read(descriptor, 1 << 16)
        *lines, self._progress_rest = (self._progress_rest + data).split(b"\n")
        for line in lines:
            key, _, value = line.partition(b"=")
            if key == b"out_time_us" and self._progress and value.strip().lstrip(b"-").isdigit():
                self._progress(max(int(value), 0) / 1_000_000)
        return bool(data)

    def _hear_words(self, descriptor: int) -> bool:
        data = os.read(descriptor, 1 << 16)
        self._last_words.extend(data[-8192:].splitlines(keepends=True))
        return bool(data)

    def _feed(self, descriptor: int) -> bool:
        assert self._source is not None
        try:
            while not self._unsent:
                self._unsent = memoryview(next(self._source))
            self._unsent = self._unsent[os.write(descriptor, self._unsent) :]
        except BlockingIOError:
            return True
        except (StopIteration, BrokenPipeError):  # broken: it ended early, and its last words say why
            self._stop_feeding()
        return True

    def _stop_feeding(self) -> None:
        assert self._process.stdin is not None
        if not self._process.stdin.closed:
            self._selector.unregister(self._process.stdin)
            self._process.stdin.close()
