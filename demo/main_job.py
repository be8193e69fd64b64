"""The main job, told as it happens: set up, take an hour of footage in, move it to the cloud by percentage, prove."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from demo.airflow import Airflow, Api, TaskFailed, airflow
from demo.audit import Audit, audit, copies_in, quarantined, wanted_in_cloud
from demo.estate import Servers, servers
from demo.footage import MadeFile, iso_layout, make_awkward, make_hour

STORES = ("local", "cloud")
_RUN_SECONDS = 300.0
_ENDED = ("success", "failed")


def run(folder: Path, console: Console) -> bool:
    """Start the estate, run the main job, print what came of it, stop. Whether every copy is there and right."""
    began = time.monotonic()
    with started(folder, console) as (estate, flow, made), Api(flow) as api:
        job = Job(estate, api, console)
        job.set_up()
        with _growing(estate.landing / iso_layout("back-yard", _hour_of_footage() + timedelta(minutes=30))):
            job.ingest(len(made))
            for percentage in (25, 100):
                job.migrate(percentage)
        with _timed(console, "every copy read back, without the project's code"):
            found = audit(estate, made, STORES)
        _show(found, quarantined(estate), console)
    console.print(f"all stopped, {time.monotonic() - began:.0f} s in all")
    return not found.problems


@contextmanager
def started(
    folder: Path, console: Console, *, footage: bool = True
) -> Iterator[tuple[Servers, Airflow, list[MadeFile]]]:
    """All servers and Airflow, while the footage is being made beside."""
    with ExitStack() as stack:
        with _timed(console, "PostgreSQL, SeaweedFS, moto, Google Cloud Storage emulator"):
            estate = stack.enter_context(servers(folder))
        made: list[MadeFile] = []
        camera_work = threading.Thread(target=lambda: made.extend(record(estate)))
        if footage:
            camera_work.start()
        with _timed(console, "Airflow: API server, DAG processor, triggerer, scheduler; footage beside it"):
            flow = stack.enter_context(airflow(estate))
            if footage:
                camera_work.join()
        if footage and not made:
            raise RuntimeError("no footage was made: the error stands above")
        size = sum(file.size_bytes for file in made)
        console.print(f"  Airflow {flow.url} | {len(made)} recordings of {_mib(size)} in {estate.landing}")
        yield estate, flow, made


def record(estate: Servers) -> list[MadeFile]:
    """Fill the landing zone: the hour, and the files that belong in quarantine."""
    start = _hour_of_footage()
    made = make_hour(estate.landing, estate.folder / "work", start)
    make_awkward(estate.landing, start)
    return made


def _hour_of_footage() -> datetime:
    """The start of the last whole hour of which every minute is more than an hour ago."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)


class Job:
    """Runs DAGs on the real scheduler and shows how far they are."""

    def __init__(self, estate: Servers, api: Api, console: Console) -> None:
        self._estate, self._api, self._console = estate, api, console
        self._told: set[tuple[str, int]] = set()

    def set_up(self) -> None:
        with _timed(self._console, "setup_estate: migrations, buckets, lifecycle rules"):
            self.finish("setup_estate", self.start("setup_estate"))

    def start(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Trigger a DAG once the DAG processor has read it."""
        deadline = time.monotonic() + 60
        while dag_id not in self._api.dag_ids():
            if errors := self._api.import_errors():
                raise RuntimeError(f"DAG {dag_id!r} cannot be read: {errors[0]}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"DAG {dag_id!r} was not found: expected one of {sorted(self._api.dag_ids())}")
            time.sleep(0.3)
        self._api.unpause(dag_id)
        return self._api.trigger(dag_id, conf)

    def finish(self, dag_id: str, run_id: str, look: Callable[[], None] = lambda: None) -> None:
        """Wait for the run, asking `look` to show progress. TaskFailed with the logs' tails when it fails."""
        deadline = time.monotonic() + _RUN_SECONDS
        while (state := self._api.run_state(dag_id, run_id)) not in _ENDED:
            if time.monotonic() > deadline:
                tasks = {task["task_id"]: task["state"] for task in self._api.tasks(dag_id, run_id)}
                raise TaskFailed(f"run {run_id!r} of {dag_id!r} is still {state} after {_RUN_SECONDS:g} s: {tasks}")
            look()
            self._tell_retries(dag_id)
            time.sleep(0.3)
        look()
        # A run by hand has nothing to do when a scheduled one came first: that one counts as well.
        for failed in (run["dag_run_id"] for run in self._api.runs(dag_id) if run["state"] == "failed"):
            raise self._api.failure(dag_id, failed)

    def _tell_retries(self, dag_id: str) -> None:
        """Say once for each try that failed why it did, while Airflow waits to try again; also for scheduled runs,
        which those by hand may wait for.
        """
        for task in self._api.tasks(dag_id, "~", state="up_for_retry"):
            attempt = (task["id"], task["try_number"])
            if attempt not in self._told:
                self._told.add(attempt)
                name = f"{dag_id}.{task['task_id']} [{task['map_index']}]"
                self._console.print(
                    f"  {name} failed and will be tried again:\n{self._api.log(task, 12)}", markup=False
                )

    def ingest(self, recordings: int) -> None:
        with _progress(self._console, "ingest_recordings: landing zone → local store", recordings) as show:
            run_id = self.start("ingest_recordings")
            self.finish("ingest_recordings", run_id, lambda: show(*copies_in(self._estate, "local")))
        self._expect("local", recordings)

    def migrate(self, percentage: int) -> None:
        wanted = wanted_in_cloud(self._estate, percentage)
        with _progress(self._console, f"migrate_recordings at {percentage} %: local → cloud", wanted) as show:
            run_id = self.start("migrate_recordings", {"percentage": percentage})
            self.finish("migrate_recordings", run_id, lambda: show(*copies_in(self._estate, "cloud")))
        self._expect("cloud", wanted)

    def _expect(self, store: str, wanted: int) -> None:
        copies, _ = copies_in(self._estate, store)
        if copies != wanted:
            raise RuntimeError(f"store {store!r} has {copies} segments: expected {wanted}")


@contextmanager
def _timed(console: Console, what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    console.print(f"[green]✓[/] {what} [dim]{time.monotonic() - began:.1f} s[/]", highlight=False)


@contextmanager
def _progress(console: Console, what: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal; elsewhere a line whenever the number has changed. Gives a function of items and bytes."""
    if not console.is_terminal:
        told = [-1]

        def tell(done: int, size_bytes: int) -> None:
            if done != told[0]:
                console.print(f"  {what}: {done} of {total}, {_mib(size_bytes)}", highlight=False)
                told[0] = done

        with _timed(console, what):
            yield tell
        return
    columns = (TextColumn("  {task.description}"), BarColumn(), TextColumn("{task.completed:.0f} of {task.total:.0f}"),
               TextColumn("{task.fields[size]}"), TimeElapsedColumn())  # fmt: skip
    with _timed(console, what), Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total, size="")
        yield lambda done, size_bytes: bar.update(task, completed=done, size=_mib(size_bytes))


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
        table.add_row(camera, str(row.segments), _mib(row.size_bytes), *map(str, right), "yes" if whole else "NO")
    rows = found.cameras.values()
    sums = [sum(row.right[store] for row in rows) for store in STORES]
    table.add_section()
    table.add_row("all", str(sum(row.segments for row in rows)), _mib(sum(row.size_bytes for row in rows)),
                  *map(str, sums), "NO" if found.problems else "yes")  # fmt: skip
    console.print(table)
    for path, reason in in_quarantine:
        console.print(f"  in quarantine: {path} ({reason})", highlight=False)
    console.print("  still in the landing zone: one file that was growing", highlight=False)
    console.print(f"  {_mib(found.bytes_read)} read back, {len(found.problems)} problems", highlight=False)
    for problem in found.problems[:20]:
        console.print(f"[red]✗[/] {problem}", highlight=False)


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:.1f} MiB"
