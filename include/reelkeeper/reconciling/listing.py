"""A store's listing on its way to the catalogue, where it is compared."""

from collections.abc import Iterable
from dataclasses import dataclass

from reelkeeper.catalogue.comparison import Comparison
from reelkeeper.model import Progress
from reelkeeper.policy.reconciliation import QUARANTINE
from reelkeeper.stores.protocols import ObjectStat

_CHUNK = 20_000
"""Listed objects that are sent to the catalogue at once: a few megabytes."""
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


@dataclass(frozen=True, slots=True)
class Listed:
    """What a listing held."""

    objects: int = 0  # ours
    object_bytes: int = 0
    foreign_objects: int = 0


def load_listing(
    objects: Iterable[ObjectStat],
    comparison: Comparison,
    prefixes: tuple[str, ...],
    *,
    keep_foreign: bool,
    progress: Progress | None = None,
) -> Listed:
    """Send a listing to the catalogue as it comes, in bounded memory, and count it.

    What lies outside `prefixes` is somebody else's: counted, and sent only with `keep_foreign`; what lies in quarantine
    is counted with that, and sent. A key that is no text is somebody else's, too: no row can know it, and none of ours
    is like that.
    """
    ours = ours_bytes = foreign = 0
    lines: list[str] = []
    for found in objects:
        key, size = found.key, found.size_bytes
        is_ours = key.startswith(prefixes)
        text: str | None = key
        if not (key.isascii() and key.isprintable()) or "\\" in key:
            text = _escaped(key)
            is_ours = is_ours and text is not None
        if is_ours:
            ours += 1
            ours_bytes += size
        else:
            foreign += 1
        if text is not None and (is_ours or keep_foreign or key.startswith(QUARANTINE)):
            lines.append(f"{text}\t{size}\t{found.last_modified.timestamp()}\n")
            if len(lines) >= _CHUNK:
                comparison.add("".join(lines).encode())
                lines.clear()
                if progress:
                    progress(ours + foreign, 0, ours_bytes, 0)
    comparison.add("".join(lines).encode())
    return Listed(ours, ours_bytes, foreign)


def _escaped(key: str) -> str | None:
    """A key in COPY's text format; None for one that PostgreSQL cannot hold, as it is no text."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return None
    return None if "\0" in key else key.translate(_ESCAPES)
