"""The main job: set up, take an hour of footage in, move it to the cloud by percentage, prove."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from demo.audit import Audit, audit, copies_in, everywhere, quarantined, wanted_in_cloud
from demo.estate import Servers
from demo.footage import MadeFile, iso_layout
from demo.job import Job
from demo.telling import mib, progress, timed

STORES = ("local", "cloud")
RAMP = (25, 100)
"""The steps of the rollout in the demo's estate.toml, one a day."""


def set_up(job: Job, console: Console) -> None:
    with timed(console, "setup_estate: migrations, buckets, lifecycle rules"):
        job.finish("setup_estate", job.start("setup_estate"))


class MainJob:
    """From the landing zone to verified copies in the cloud."""

    def __init__(self, estate: Servers, job: Job, console: Console) -> None:
        self._estate, self._job, self._console = estate, job, console

    def run(self, made: Sequence[MadeFile], hour: datetime) -> bool:
        """Take in what was made of this hour and copy it all to the cloud. Whether every copy is there and right."""
        set_up(self._job, self._console)
        with _growing(self._estate.landing / iso_layout("back-yard", hour + timedelta(minutes=30))):
            self._ingest(len(made))
            for days_ago, percentage in zip(reversed(range(len(RAMP))), RAMP, strict=True):
                self._advance(days_ago, percentage)
                self._migrate(percentage)
        with timed(self._console, "every copy read back, without the project's code"):
            found = audit(self._estate, everywhere(made, STORES))
        _show(found, quarantined(self._estate), self._console)
        return not found.problems

    def _ingest(self, recordings: int) -> None:
        with progress(self._console, "ingest_recordings: landing zone → local store", recordings) as show:
            run_id = self._job.start("ingest_recordings")
            self._job.finish("ingest_recordings", run_id, lambda: show(*copies_in(self._estate, "local")))
        self._expect("local", recordings)

    def _advance(self, days_ago: int, percentage: int) -> None:
        """The ramp goes on by what it has measured: its last step was a day ago, by the clock that this run had."""
        clock = datetime.now(UTC) - timedelta(days=days_ago)
        with timed(self._console, f"advance_rollout: the ramp goes to {percentage} %"):
            conf = {"clock": clock.isoformat(), "dry_run": False}
            self._job.finish("advance_rollout", self._job.start("advance_rollout", conf))

    def _migrate(self, percentage: int) -> None:
        wanted = wanted_in_cloud(self._estate, percentage)
        with progress(self._console, f"migrate_recordings at {percentage} %: local → cloud", wanted) as show:
            run_id = self._job.start("migrate_recordings")
            self._job.finish("migrate_recordings", run_id, lambda: show(*copies_in(self._estate, "cloud")))
        self._expect("cloud", wanted)

    def _expect(self, store: str, wanted: int) -> None:
        copies, _ = copies_in(self._estate, store)
        if copies != wanted:
            raise RuntimeError(f"store {store!r} has {copies} segments: expected {wanted}")


@contextmanager
def _growing(path: Path) -> Iterator[None]:
    """A recording that a camera still writes: it must wait in the landing zone."""
    ended = threading.Event()

    def write() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab", buffering=0) as file:
            while not ended.wait(0.2):
                file.write(bytes(1000))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        ended.set()
        writer.join()
    if not path.exists():
        raise RuntimeError(f"{str(path)!r} left the landing zone while it was still written")


def _show(found: Audit, in_quarantine: list[tuple[str, str]], console: Console) -> None:
    table = Table(title="Where every copy is, each read back and its SHA-256 compared")
    for heading in ("camera", "segments", "size", *(f"in {store!r}" for store in STORES), "verified"):
        table.add_column(heading, justify="left" if heading == "camera" else "right")
    for camera, row in sorted(found.cameras.items()):
        right = [row.right[store] for store in STORES]
        whole = all(count == row.segments for count in right)
        table.add_row(camera, str(row.segments), mib(row.size_bytes), *map(str, right), "yes" if whole else "NO")
    rows = found.cameras.values()
    sums = [sum(row.right[store] for row in rows) for store in STORES]
    table.add_section()
    table.add_row("all", str(sum(row.segments for row in rows)), mib(sum(row.size_bytes for row in rows)),
                  *map(str, sums), "NO" if found.problems else "yes")  # fmt: skip
    console.print(table)
    for path, reason in in_quarantine:
        console.print(f"  in quarantine: {path} ({reason})", highlight=False)
    console.print("  still in the landing zone: one file that was growing", highlight=False)
    console.print(f"  {mib(found.bytes_read)} read back, {len(found.problems)} problems", highlight=False)
    for problem in found.problems[:20]:
        console.print(f"[red]✗[/] {problem}", highlight=False)
