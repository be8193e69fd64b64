"""The nightly check over ten million segments: `python -m benchmarks.quality [--segments N] [--kept-in FOLDER] …`.

Over the history of `benchmarks.catalogue`, with a transfer for each replica of its last year:

- each expectation alone, as a check on the morning after asks it: seconds, rows looked at, seconds of the floor
  (`count(*)` of the segments in the same ranges), and the peak memory of the process;
- great-expectations' own expectations of the same columns over the same parts, in three turns with ours, where all is
  well and where every row of a month is wrong (its own give the rows' ids, as ours do); medians;
- the whole check, as `check_catalogue` runs it, where all is well, and where every row of four months is wrong;
- the gate of `ingest_recordings`, for a run that took in an hour of each camera.

Each in a process of its own. Exit 1 when a check takes longer than ten minutes, or the process more than 500 MB.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812  (it is a class)

from benchmarks.catalogue import FIRST, LAST, TENANT, history, minute, recorded, timed
from benchmarks.metrics import ESTATE
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.model import StoreKind, TimeRange
from reelkeeper.policy.quality import Name, Suite, days_looked_at
from reelkeeper.quality.checking import Run, check_catalogue, check_ingested
from reelkeeper.quality.statements import Demanded, of_days
from reelkeeper.settings import Estate, StoreSettings
from reelkeeper.stores.protocols import Store
from reelkeeper.stores.registry import open_store

if TYPE_CHECKING:
    from reelkeeper.quality.validation import Verdict

NOW = LAST + timedelta(hours=6)
MOST_SECONDS, MOST_MB = 600, 500
TURNS = 3
TIMEOUT = timedelta(minutes=30)
WRONG_MONTHS = TimeRange(datetime(2025, 8, 1, tzinfo=LAST.tzinfo), datetime(2025, 12, 1, tzinfo=LAST.tzinfo))
WRONG_MONTH = TimeRange(datetime(2025, 10, 1, tzinfo=LAST.tzinfo), datetime(2025, 11, 1, tzinfo=LAST.tzinfo))
TRANSFERS = """
INSERT INTO reelkeeper.transfers (segment_id, start_time, job, batch_id, source_store, destination_store, outcome,
                                  size_bytes, started_at, finished_at)
SELECT segment_id, start_time, CASE store WHEN 'local' THEN 'ingest' ELSE 'migrate' END, gen_random_uuid(),
       CASE store WHEN 'cloud' THEN 'local' END, store, 'succeeded', size_bytes, created_at, created_at
FROM reelkeeper.replicas WHERE start_time >= %s AND NOT EXISTS (SELECT FROM reelkeeper.transfers LIMIT 1)
"""


@dataclass(frozen=True)
class Place:
    """What a process of its own needs to know."""

    dsn: str
    reports: str

    def estate(self, *, wrong: bool = False) -> Estate:
        """The benchmark's, its reports in a folder. Where all is to be wrong, no store of it is what rows say."""
        disk = StoreSettings(name="disk", kind=StoreKind.FILESYSTEM, root=Path(self.reports))
        stores = (disk,) if wrong else (*ESTATE.stores, disk)
        mode = {"mode": "local", "local_store": "disk", "cloud_store": None} if wrong else {}
        placement = ESTATE.placement.model_copy(update={**mode, "export_store": "disk"})
        return ESTATE.model_copy(update={"stores": stores, "placement": placement})

    def demanded(self, catalogue: Catalogue, *, month: bool = False) -> list[Demanded]:
        """What is asked tonight, or of a whole month in which all is wrong."""
        days = days_looked_at(NOW, window_days=3, cycle_days=30, oldest=FIRST)
        return of_days(self.estate(wrong=month), catalogue, list(Suite), [WRONG_MONTH] if month else days, now=NOW)


def peak_mb(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds of a call, and the most memory that this process held meanwhile."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak until now
    seconds = timed(call) / 1000
    (line,) = [each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM")]
    return seconds, int(line.split()[1]) * 1024 / 1e6


# --- in a process of its own ------------------------------------------------------------------------------------------


def asked(catalogue: Catalogue, demanded: Demanded) -> tuple["Verdict", float, float]:
    """What became of an expectation, the seconds, and the memory."""
    from reelkeeper.quality.validation import validate

    found: list[Verdict] = []
    seconds, memory = peak_mb(lambda: found.extend(validate(catalogue, [demanded], examples=10, timeout=TIMEOUT)))
    return found[0], seconds, memory


def alone(place: Place, catalogue: Catalogue) -> Iterator[list[object]]:
    """Each expectation: its name, rows, parts, seconds, the floor's seconds, and memory."""
    demanded = place.demanded(catalogue)
    segments = next(one for one in demanded if one.expectation.name is Name.SEGMENT_RANGES)
    asked(catalogue, segments)  # the server's caches
    for one in demanded:
        verdict, seconds, memory = asked(catalogue, one)
        floor = timed(lambda: counted(place, segments)) / 1000
        yield [str(one.expectation.name), verdict.looked_at, len(one.parts), seconds, floor, memory]


def counted(place: Place, segments: Demanded) -> int:
    """How many segments lie in the ranges, by one query for each, on one connection."""
    rows = 0
    with psycopg2.connect(place.dsn, options="-c search_path=reelkeeper -c TimeZone=UTC") as connection:
        for part in segments.parts:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT count(*) FROM ({part.looks_at}) AS looked")  # noqa: S608  (ours)
                rows += (cursor.fetchone() or (0,))[0]
    connection.close()
    return rows


def peers(place: Place, catalogue: Catalogue, *, month: bool) -> Iterator[list[object]]:
    """Ours beside great-expectations' own: the name, rows, wrong rows, seconds and memory of both."""
    from reelkeeper.quality.expectations import gx

    own: Any = gx.expectations
    ready_made: dict[Name, Any] = {
        Name.SEGMENT_CHECKSUMS: own.ExpectColumnValuesToMatchRegex(column="checksum", regex="^[0-9a-f]{64}$"),
        Name.SEGMENT_SIZES: own.ExpectColumnValuesToBeBetween(column="size_bytes", min_value=1),
        Name.SEGMENT_RANGES: own.ExpectColumnPairValuesAToBeGreaterThanB(column_A="end_time", column_B="start_time"),
    }
    if month:
        in_estate = own.ExpectColumnValuesToBeInSet(column="storage_backend", value_set=["disk"])
        ready_made = {Name.SEGMENT_FIELDS: in_estate}
    for one in place.demanded(catalogue, month=month):
        if one.expectation.name in ready_made:
            ours, theirs = [], []
            for _ in range(TURNS):
                verdict, *measured = asked(catalogue, one)
                ours.append(measured)
                theirs.append(peak_mb(lambda d=one: ready_made_over(catalogue, d, ready_made[d.expectation.name])))  # type: ignore[misc]
            # Memory of the first turns: of what the others took, the process may keep some.
            both = [
                figure for turns in (ours, theirs) for figure in (statistics.median(t[0] for t in turns), turns[0][1])
            ]
            yield [str(one.expectation.name), verdict.looked_at, verdict.wrong, *both]


def ready_made_over(catalogue: Catalogue, demanded: Demanded, expectation: Any) -> None:
    """One of great-expectations' own over the same parts, naming each wrong row by its id."""
    from reelkeeper.quality.expectations import ProgressBarsConfig, gx

    context: Any = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_postgres(
        "peer",
        connection_string="postgresql+psycopg2://peer@localhost/catalogue",
        kwargs={"creator": lambda: catalogue.quality.connect(TIMEOUT)},
    )
    for part in demanded.parts:
        asset = source.add_query_asset(part.what, query=part.looks_at)
        told = {"result_format": "COMPLETE", "unexpected_index_column_names": ["id"]}
        result = asset.add_batch_definition_whole_table("all").get_batch().validate(expectation, result_format=told)
        if result.exception_info.get("exception_message"):
            raise AssertionError(f"great-expectations failed: {result.exception_info}")
        source.delete_asset(part.what)
    source.get_execution_engine().close()
    source.get_engine().dispose()


def whole(place: Place, catalogue: Catalogue, *, wrong: bool) -> Iterator[list[object]]:
    """A check as its task runs it: rows looked at, wrong ones, seconds, those of its CPU, memory, megabytes of its page
    and reports. Some seconds of it are the import of great-expectations."""
    estate = place.estate(wrong=wrong)
    if wrong:
        estate = estate.model_copy(update={"quality": estate.quality.model_copy(update={"report_rows": 10**9})})
    run = Run("check_catalogue", "wrong" if wrong else "nightly", NOW)
    disk = open_store(estate.store("disk"), None)
    list(disk.set_up())
    found = []

    def check() -> None:
        found.append(
            check_catalogue(
                estate, catalogue, lambda name: disk, run,
                suites=[Suite.SEGMENTS] if wrong else tuple(Suite), time_range=WRONG_MONTHS if wrong else None,
            )
        )  # fmt: skip

    began = time.process_time()
    seconds, memory = peak_mb(check)
    cpu = time.process_time() - began
    results = found[0].results
    written = sum(file.stat().st_size for file in Path(place.reports).rglob("*") if file.is_file())
    looked_at, failing = sum(each.looked_at for each in results), sum(each.failing for each in results)
    yield [looked_at, failing, seconds, cpu, memory, written / 1e6]


def a_run(place: Place, catalogue: Catalogue) -> Iterator[list[object]]:
    """The gate of a run of ingest that took in an hour of each camera, minute by minute; as `whole`."""
    cameras = catalogue.cameras.by_slug(TENANT).values()
    if catalogue.quality.ingested("run of 1000") is None:  # else the last benchmark left it
        hour = [minute(camera, LAST + timedelta(minutes=number)) for number in range(60) for camera in cameras]
        list(recorded(catalogue, hour, 1000))
    run = Run("ingest_recordings", "run of 1000", NOW)
    found = []
    began = time.process_time()
    seconds, memory = peak_mb(lambda: found.append(check_ingested(place.estate(), catalogue, nowhere, run)))
    if found[0] is None or found[0].outcome != "passed":
        raise AssertionError(f"expected all to be right, and found {found[0]}")
    looked_at = sum(each.looked_at for each in found[0].results)
    yield [looked_at, 0, seconds, time.process_time() - began, memory, 0.0]


def nowhere(name: str) -> Store:
    raise AssertionError(f"store {name!r} was asked for: expected that nothing is reported")


TASKS: dict[str, Callable[[Place, Catalogue], Iterator[list[object]]]] = {
    "alone": alone,
    "peers": lambda place, catalogue: peers(place, catalogue, month=False),
    "peers, all wrong": lambda place, catalogue: peers(place, catalogue, month=True),
    "nightly": lambda place, catalogue: whole(place, catalogue, wrong=False),
    "all wrong": lambda place, catalogue: whole(place, catalogue, wrong=True),
    "a run of ingest": a_run,
}


def measure(name: str, dsn: str) -> list[list[Any]]:
    """What a task found, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="reelkeeper-bench-") as reports:
        command = [sys.executable, "-m", "benchmarks.quality", "--task", json.dumps([name, dsn, reports])]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


# --- the tables -------------------------------------------------------------------------------------------------------


def tables(found: dict[str, list[list[Any]]]) -> Iterator[str]:
    yield "| check | rows looked at | wrong | s | its CPU, s | peak memory | written |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for name in ("nightly", "all wrong", "a run of ingest"):
        for rows, wrong, seconds, cpu, memory, written in found[name]:
            yield f"| {name} | {rows:,} | {wrong:,} | {seconds:.1f} | {cpu:.1f} | {memory:.0f} MB | {written:.1f} MB |"
    yield "\n| expectation | rows looked at | parts | s | times the floor | peak memory |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name, rows, parts, seconds, floor, memory in found["alone"]:
        ratio = f"{seconds / floor:.1f}" if parts > 1 else "–"
        yield f"| `{name}` | {rows:,} | {parts} | {seconds:.2f} | {ratio} | {memory:.0f} MB |"
    yield "\n| expectation | rows | wrong | ours | great-expectations' own | ratio | memory, ours | its own |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for name, rows, wrong, ours, our_memory, theirs, their_memory in [*found["peers"], *found["peers, all wrong"]]:
        yield (f"| `{name}` | {rows:,} | {wrong:,} | {ours:.2f} s | {theirs:.2f} s | {ours / theirs:.2f} "
               f"| {our_memory:.0f} MB | {their_memory:.0f} MB |")  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, default=10_000_000)
    parser.add_argument("--cameras", type=int, default=50)
    parser.add_argument("--kept-in", type=Path, help="a folder that keeps the history for the next time")
    parser.add_argument("--markdown", type=Path, help="also write the tables here")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.task:
        name, dsn, reports = json.loads(asked.task)
        with Catalogue(lambda: psycopg2.connect(dsn)) as catalogue:
            for row in TASKS[name](Place(dsn, reports), catalogue):
                print(json.dumps(row), flush=True)
        return 0
    with history(asked.segments, asked.cameras, asked.kept_in) as (connection, dsn):
        add_transfers(connection)
        found = {}
        for name in TASKS:
            found[name] = measure(name, dsn)
            print(f"{name}: done, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    text = "\n".join([f"{asked.segments:,} segments of {asked.cameras} cameras over three years", "", *tables(found)])
    print(text)
    if asked.markdown:
        asked.markdown.write_text(text + "\n")
    kept = all(seconds <= MOST_SECONDS and memory <= MOST_MB for name in ("nightly", "all wrong")
               for _, _, seconds, _, memory, _ in found[name])  # fmt: skip
    return 0 if kept else 1


def add_transfers(connection: Connection) -> None:
    """One for each replica of the last year, unless they are there."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # no tallies
        cursor.execute(TRANSFERS, (LAST - timedelta(days=365),))
        cursor.execute("SET session_replication_role = origin")
        cursor.execute("VACUUM ANALYZE reelkeeper.transfers")


if __name__ == "__main__":
    sys.exit(main())
