"""Ports that stay the same from one start of an estate to the next: bookmarks and scrape targets go on working."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.processes import free_ports

_NOTE = "ports.json"
_moved: dict[str, tuple[int, int]] = {}


@contextmanager
def kept_ports(folder: Path, *names: str) -> Iterator[dict[str, int]]:
    """A free port of 127.0.0.1 for each name, ours until the context ends: that of the last time, which a file in
    `folder` has, or another where somebody else has taken it meanwhile.
    """
    note = folder / _NOTE
    known: dict[str, int] = json.loads(note.read_text()) if note.exists() else {}
    with free_ports(len(names), wanted=[known.get(name) for name in names]) as found:
        ports = dict(zip(names, found, strict=True))
        _moved.update(
            {name: (known[name], ports[name]) for name in names if known.get(name, ports[name]) != ports[name]}
        )
        if ports != known:
            half = note.with_name(f"{_NOTE}.half")
            half.write_text(json.dumps(ports))
            half.replace(note)
        yield ports


def moved_ports() -> dict[str, tuple[int, int]]:
    """Which ports we could not keep, by name: the one of the last time, and the one that replaces it."""
    return dict(_moved)
