"""What the demo says while it works."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def timed(console: Console, what: str) -> Iterator[None]:
    """Tells what was done when it is, and how long it took."""
    began = time.monotonic()
    yield
    console.print(f"[green]✓[/] {what} [dim]{time.monotonic() - began:.1f} s[/]", highlight=False)


@contextmanager
def progress(console: Console, what: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal; elsewhere a line whenever the number has changed. Gives a function of items and bytes."""
    if not console.is_terminal:
        told = [-1]

        def tell(done: int, size_bytes: int) -> None:
            if done != told[0]:
                console.print(f"  {what}: {done} of {total}, {mib(size_bytes)}", highlight=False)
                told[0] = done

        with timed(console, what):
            yield tell
        return
    columns = (TextColumn("  {task.description}"), BarColumn(), TextColumn("{task.completed:.0f} of {task.total:.0f}"),
               TextColumn("{task.fields[size]}"), TimeElapsedColumn())  # fmt: skip
    with timed(console, what), Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total, size="")
        yield lambda done, size_bytes: bar.update(task, completed=done, size=mib(size_bytes))


def mib(size_bytes: int) -> str:
    """Bytes for people."""
    return f"{size_bytes / 2**20:.1f} MiB"
