"""The DAG as a whole beside its engine: `python -m benchmarks.dag [--segments 1000] [--runs 3] [--markdown FILE]`.

On one embedded estate (PostgreSQL, SeaweedFS, Airflow with LocalExecutor), in turn, each time with segments of its own:

- migrate_recordings, from the trigger by Airflow's API until the API says `success`: route, plan, mapped transfers,
  the independent look, gate, summary, and all scheduling between them;
- the engine alone: `transfer_batch` over the same plan, in this process.

Medians of the runs. Exit 1 when the DAG takes over 15 s more than the engine.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import minio
import psycopg2
from rich.console import Console

from benchmarks.migration import make_segment
from demo.airflow import Api, airflow
from demo.audit import copies_in
from demo.estate import Servers, servers
from demo.folders import remove
from demo.job import Job
from demo.main_job import set_up
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.migration.job import plan_migration, transfer_batch
from reelkeeper.model import BatchId, Camera, StoreName, Tenant, TimeRange, camera_id
from reelkeeper.policy.rollout import Percentage
from reelkeeper.settings import Estate, load_estate
from reelkeeper.stores.access import MinioAccess
from reelkeeper.stores.protocols import Store
from reelkeeper.stores.registry import open_store

DAG_ID = "migrate_recordings"
FIRST_DAY = datetime(2026, 3, 1, tzinfo=UTC)
SEGMENT_BYTES = 64 * 2**10
TENANT = Tenant("demo")
CAMERAS = [Camera(camera_id(TENANT, slug), TENANT, slug, slug) for slug in (f"c{number:02}" for number in range(10))]
BOUND_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One round, in seconds. `engine_batches` is how many tasks the DAG maps for as many segments."""

    dag_seconds: float
    engine_seconds: float
    engine_batches: int

    @property
    def more_seconds(self) -> float:
        return self.dag_seconds - self.engine_seconds


class Bench:
    """A running estate, and both ways to migrate a day of it."""

    def __init__(self, estate: Servers, api: Api, segments: int) -> None:
        self._servers, self._api, self._segments = estate, api, segments
        self._job = Job(api, Console(quiet=True))
        self._settings: Estate = load_estate(estate.settings, {})
        self._stores = {name: self._open_store(name) for name in ("local", "cloud")}
        self._in_cloud = 0

    def prepare(self, days: int) -> None:
        """Set the estate up, lay `days` days of segments into its local store, let a first run wake what sleeps."""
        set_up(self._job, Console(quiet=True))
        with self._catalogue() as catalogue:
            catalogue.cameras.register(CAMERAS)
            for day in range(days):
                catalogue.segments.record(
                    BatchId(uuid4()),
                    [
                        make_segment(
                            self._servers.footage,
                            StoreName("local"),
                            CAMERAS[number % len(CAMERAS)],
                            _day(day).start + timedelta(seconds=10 * (number // len(CAMERAS))),
                            SEGMENT_BYTES,
                        )
                        for number in range(self._segments)
                    ],
                )
        self._job.finish(DAG_ID, self._job.start(DAG_ID, {"dry_run": True}))

    def rounds(self, count: int) -> Iterator[Measured]:
        """Rounds on days of their own, the DAG first in every other one."""
        for number in range(count):
            days = _day(2 * number), _day(2 * number + 1)
            os.sync()
            if number % 2:
                engine, batches = self.engine(days[0])
                dag = self.dag(days[1])
            else:
                dag = self.dag(days[0])
                engine, batches = self.engine(days[1])
            measured = Measured(dag, engine, batches)
            print(f"  round {number + 1}: DAG {dag:.1f} s, engine {engine:.1f} s", file=sys.stderr)
            yield measured

    def dag(self, day: TimeRange) -> float:
        """The seconds from trigger to success."""
        conf = {"percentage": 100, "start_time": day.start.isoformat(), "end_time": day.end.isoformat()}
        began = time.monotonic()
        run_id = self._api.trigger(DAG_ID, conf)
        self._job.finish(DAG_ID, run_id)
        seconds = time.monotonic() - began
        self._expect_more_in_cloud()
        for task in sorted(self._api.tasks(DAG_ID, run_id), key=lambda task: task["start_date"] or ""):
            if task["state"] == "success":
                print(f"    {task['task_id']} [{task['map_index']}] {task['start_date']} {task['duration']:.1f} s",
                      file=sys.stderr)  # fmt: skip
        return seconds

    def engine(self, day: TimeRange) -> tuple[float, int]:
        """The seconds of all batches one after another, and their number."""
        with self._catalogue() as catalogue:
            plan = plan_migration(
                self._settings,
                catalogue,
                run_id=f"bench {day.start}",
                interval=day,
                percentage=Percentage.of(100),
                include_requests=False,
            )
        began = time.monotonic()
        for batch in plan.batches:
            transfer_batch(self._settings, self._catalogue, self._stores.__getitem__, batch.id)
        seconds = time.monotonic() - began
        self._expect_more_in_cloud()
        return seconds, len(plan.batches)

    def _expect_more_in_cloud(self) -> None:
        self._in_cloud += self._segments
        copies, _ = copies_in(self._servers, "cloud")
        if copies != self._in_cloud:
            raise SystemExit(f"the cloud has {copies} segments: expected {self._in_cloud}")

    def _catalogue(self) -> Catalogue:
        return Catalogue(lambda: psycopg2.connect(self._servers.postgres.dsn("catalogue")))

    def _open_store(self, name: str) -> Store:
        settings, s3 = self._settings.store(name), self._servers.seaweedfs
        if name == "local":
            return open_store(settings, None)
        client = minio.Minio(
            urlsplit(s3.endpoint_url).netloc,
            access_key=s3.access_key,
            secret_key=s3.secret_key,
            secure=False,
            region=s3.region,
        )
        return open_store(settings, MinioAccess(s3.endpoint_url, s3.access_key, s3.secret_key, s3.region, client))


def _day(number: int) -> TimeRange:
    return TimeRange(FIRST_DAY + timedelta(days=number), FIRST_DAY + timedelta(days=number + 1))


def table(results: Sequence[Measured], segments: int, load: float) -> str:
    """The results as a Markdown table, and what they were measured under."""

    def row(what: str, seconds: Sequence[float], bound: str) -> str:
        return f"| {what} | {statistics.median(seconds):.1f} s | {min(seconds):.1f}–{max(seconds):.1f} s | {bound} |"

    more = [result.more_seconds for result in results]
    kept = "yes" if statistics.median(more) <= BOUND_SECONDS else "NO"
    work = f"{segments:,} segments of {SEGMENT_BYTES // 1024} KiB, batches: {results[0].engine_batches}"
    machine = f"{os.cpu_count()} cores, load {load:.1f} before the start"
    return "\n".join([
        f"{work}; {machine}; median of {len(results)}; {datetime.now(UTC):%Y-%m-%d}.",
        "",
        "| what | wall time | fastest–slowest | bound kept |",
        "|---|---:|---:|---|",
        row("the DAG, from trigger to success", [result.dag_seconds for result in results], "–"),
        row("the engine alone", [result.engine_seconds for result in results], "–"),
        row("the DAG takes longer by", more, f"{kept}, {BOUND_SECONDS:g} s"),
    ])  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where to work; by default a temporary folder")
    parser.add_argument("--markdown", type=Path, help="also write the table here")
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    folder = Path(tempfile.mkdtemp(prefix="reelkeeper-bench-", dir=asked.folder))
    folder.chmod(0o755)  # the server may run as another user
    try:
        with servers(folder) as estate, airflow(estate) as flow, Api(flow) as api:
            bench = Bench(estate, api, asked.segments)
            bench.prepare(2 * asked.runs)
            results = list(bench.rounds(asked.runs))
    finally:
        remove(folder)
    text = table(results, asked.segments, load)
    print(text)
    print(f"load {os.getloadavg()[0]:.1f} at the end", file=sys.stderr)
    if asked.markdown:
        asked.markdown.write_text(text + "\n")
    return 0 if statistics.median(result.more_seconds for result in results) <= BOUND_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
