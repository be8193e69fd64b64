"""A description of filters that is longer than an argument may be: of a mosaic of cameras with thousands of gaps."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryFile

_LONGEST_ARGUMENT = 120_000
"""Bytes. Linux takes 128 KiB; a gap of a camera takes about 40."""
_GRAPH = "-filter_complex"
_READS_OPTIONS_SINCE = 7
"""The release of ffmpeg from which on `-/name` reads an option's value from a file; 8 lacks the older name."""


@contextmanager
def graph_apart(program: Path, arguments: Sequence[str]) -> Iterator[tuple[list[str], tuple[int, ...]]]:
    """The arguments with a graph that is too long in a file without a name, and the descriptor of that file, which the
    program must inherit; the arguments as they are where none is too long."""
    if not any(name == _GRAPH and len(graph.encode()) > _LONGEST_ARGUMENT for name, graph in pairwise(arguments)):
        yield list(arguments), ()
        return
    place = arguments.index(_GRAPH)
    with TemporaryFile() as file:
        file.write(arguments[place + 1].encode())
        file.seek(0)
        option = f"-/{_GRAPH[1:]}" if _release(program) >= _READS_OPTIONS_SINCE else f"{_GRAPH}_script"
        named = [option, f"/dev/fd/{file.fileno()}"]
        yield [*arguments[:place], *named, *arguments[place + 2 :]], (file.fileno(),)


@lru_cache(maxsize=8)
def _release(program: Path) -> int:
    """The first number of ffmpeg's version; what is built from its newest sources has none, and counts as new."""
    said = subprocess.run([program, "-version"], capture_output=True, text=True, check=True, timeout=30).stdout
    found = re.match(r"ffmpeg version n?(\d+)\.", said)
    return int(found[1]) if found else _READS_OPTIONS_SINCE
