"""The whole demo, told as it happens: servers, the main job, months of keeping, proof."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console

from demo.airflow import Airflow, Api, airflow
from demo.estate import Servers, servers
from demo.exports import Exports
from demo.footage import MadeFile, make_awkward, make_hour
from demo.job import Job
from demo.lifecycle import Lifecycle
from demo.main_job import MainJob
from demo.telling import mib, timed

_SETTINGS = {
    # Nothing runs by itself: the demo's days pass by the clock that it gives each run.
    "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
    # Nobody changes a DAG meanwhile: each is read once.
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
}


def run(folder: Path, console: Console) -> bool:
    """Start the estate, run all jobs, print what came of them, stop. Whether all footage that is owed was read back."""
    began = time.monotonic()
    with started(folder, console, scheduled=False) as (estate, flow, made), Api(flow) as api:
        job, hour = Job(api, console), _hour_of_footage()
        keeping = Lifecycle(estate, flow, job, console)
        proved = (
            MainJob(estate, job, console).run(made, hour)
            and Exports(estate, flow.url, api, job, console).run(hour, beside=lambda: keeping.prepare(hour))
            and keeping.run(made)
        )
    console.print(f"all stopped, {time.monotonic() - began:.0f} s in all")
    return proved


@contextmanager
def started(
    folder: Path, console: Console, *, footage: bool = True, scheduled: bool = True
) -> Iterator[tuple[Servers, Airflow, list[MadeFile]]]:
    """All servers and Airflow, while the footage is being made beside."""
    with ExitStack() as stack:
        with timed(console, "PostgreSQL, SeaweedFS, moto, Google Cloud Storage emulator"):
            estate = stack.enter_context(servers(folder))
        made: list[MadeFile] = []
        camera_work = threading.Thread(target=lambda: made.extend(record(estate)))
        if footage:
            camera_work.start()
        with timed(console, "Airflow: API server, DAG processor, triggerer, scheduler; footage beside it"):
            flow = stack.enter_context(airflow(estate, settings=None if scheduled else _SETTINGS))
            if footage:
                camera_work.join()
        if footage and not made:
            raise RuntimeError("no footage was made: the error stands above")
        size = sum(file.size_bytes for file in made)
        console.print(f"  Airflow {flow.url} | {len(made)} recordings of {mib(size)} in {estate.landing}")
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
