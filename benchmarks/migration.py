"""Verified migration beside its peers: `python -m benchmarks.migration [--small-files 10000] [--runs 3] …`.

10,000 × 64 KiB and 10 × 256 MiB go from a folder into the same SeaweedFS, each run into a fresh bucket, the contestants
in turn, medians of the runs:

- reelkeeper: the whole migration on a real PostgreSQL, which is plan, claim, copy, verify, record, the independent look
  and the gate, in one worker process;
- rclone copy --checksum, then rclone check;
- s5cmd cp, then rclone check.

Then the peak memory of one worker with 2,000, 10,000 and 20,000 files. Everything is made in a temporary folder.
"""

import argparse
import json
import os
import random
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import psutil
import psycopg2

from benchmarks.clients import environ_of, program, run_client
from benchmarks.migration_worker import MEDIA_FOLDER, Task
from demo.postgres import PostgresServer
from demo.segments import ingested
from demo.servers import S3Server, postgres, seaweedfs
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.migrations import upgrade
from reelkeeper.catalogue.records import Ingested
from reelkeeper.model import (
    BatchId,
    Camera,
    Sha256,
    StoreName,
    Tenant,
    camera_id,
    media_key,
    segment_id,
)
from reelkeeper.stores.filesystem import FilesystemStore

START = datetime(2026, 3, 1, tzinfo=UTC)
CAMERAS = 20
DISK = StoreName("disk")
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of one contestant. `cpu_seconds` is the client's; the servers' are apart."""

    wall_seconds: float
    cpu_seconds: float
    server_seconds: float
    peak_bytes: int
    phases: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Footage:
    """A folder of files, and a database that has them as segments of a local store."""

    folder: Path
    database: str
    files: int
    size_bytes: int


# --- footage ----------------------------------------------------------------------------------------------------------


def make_footage(
    folder: Path, server: PostgresServer, small_files: int, small_bytes: int, large_files: int, large_bytes: int
) -> Footage:
    """Random bytes under their keys, and a migrated database with their rows."""
    database = f"footage_{secrets.token_hex(4)}"
    server.create_database(database)
    with closing(psycopg2.connect(server.dsn(database))) as connection:
        upgrade(connection, "reelkeeper")
        connection.commit()
    list(FilesystemStore(DISK, folder).set_up())
    tenant = Tenant("bench")
    cameras = [Camera(camera_id(tenant, slug), tenant, slug, slug) for slug in (f"c{n:02}" for n in range(CAMERAS))]
    sizes = [small_bytes] * small_files + [large_bytes] * large_files
    random.Random(1).shuffle(sizes)  # large ones come at any time
    with Catalogue(lambda: psycopg2.connect(server.dsn(database))) as catalogue:
        catalogue.cameras.register(cameras)
        made: list[Ingested] = []
        for index, size in enumerate(sizes):
            start = START + timedelta(seconds=10 * (index // CAMERAS))
            made.append(make_segment(folder, DISK, cameras[index % CAMERAS], start, size))
            if len(made) == 1000 or index == len(sizes) - 1:
                catalogue.segments.record(BatchId(uuid4()), made)
                made.clear()
    with closing(psycopg2.connect(server.dsn(database))) as connection, connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as autovacuum does for tables that grow
        connection.commit()
    return Footage(folder, database, len(sizes), sum(sizes))


def make_segment(folder: Path, store: StoreName, camera: Camera, start: datetime, size: int) -> Ingested:
    """Random bytes under their key in `folder`, the root of a store, and the rows that describe them."""
    path = folder / media_key(camera.tenant, camera.slug, start, segment_id(camera.id, start), "mp4")
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = sha256()
    with path.open("wb") as file:
        for offset in range(0, size, 4 * MIB):
            chunk = random.randbytes(min(4 * MIB, size - offset))
            digest.update(chunk)
            file.write(chunk)
    return ingested(
        camera, start, timedelta(seconds=10), store=store, size_bytes=size, checksum=Sha256(digest.hexdigest())
    )


# --- contestants ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Arena:
    """The servers that all contestants share, and the folder below which they work."""

    s3: S3Server
    postgres: PostgresServer
    folder: Path

    def server_seconds(self) -> float:
        """CPU seconds that the servers have used so far, ended backends of PostgreSQL included."""
        seconds = 0.0
        for process in psutil.process_iter(["cmdline", "cpu_times"]):
            words = process.info["cmdline"] or [""]
            ours = any(word == f"-dir={self.folder}/seaweedfs" for word in words) or (
                words[0].endswith("/postgres") and str(self.postgres.port) in words
            )
            if ours and process.info["cpu_times"]:
                seconds += sum(process.info["cpu_times"][:4])
        return seconds

    def settle(self) -> None:
        """Wait until the servers have nothing left to do: SeaweedFS deletes and compacts for a while after each run."""
        os.sync()
        for _ in range(60):
            before = self.server_seconds()
            time.sleep(1)
            if self.server_seconds() - before < 0.05:
                return

    def fresh_bucket(self) -> str:
        bucket = f"bench-{secrets.token_hex(6)}"
        self.client().create_bucket(Bucket=bucket)
        return bucket

    def forget(self, bucket: str) -> None:
        """Free the disk for the next run."""
        client = self.client()
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            keys = [{"Key": found["Key"]} for found in page.get("Contents", [])]
            if keys:
                client.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
        client.delete_bucket(Bucket=bucket)

    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.s3.endpoint_url,
            region_name=self.s3.region,
            aws_access_key_id=self.s3.access_key,
            aws_secret_access_key=self.s3.secret_key,
        )


def reelkeeper(arena: Arena, footage: Footage, bucket: str) -> Measured:
    """The migration in one worker process, on a fresh copy of the catalogue."""
    database = f"run_{secrets.token_hex(4)}"
    arena.postgres.create_database(database, template=footage.database)
    s3 = arena.s3
    task = Task(str(footage.folder), arena.postgres.dsn(database), s3.endpoint_url, s3.region, bucket, footage.files)
    environ = {"BENCH_ACCESS_KEY": s3.access_key, "BENCH_SECRET_KEY": s3.secret_key}
    try:
        command = [sys.executable, "-m", "benchmarks.migration_worker", json.dumps(asdict(task))]
        return run(arena, command, environ)
    finally:
        arena.postgres.drop_database(database)


def rclone(arena: Arena, footage: Footage, bucket: str) -> Measured:
    """Sixteen transfers, as we have; more did not make it faster."""
    source, target = str(footage.folder / MEDIA_FOLDER), f"bench:{bucket}/{MEDIA_FOLDER}"
    copy = ["copy", "--checksum", "--transfers", "16", "--checkers", "16", "--s3-no-check-bucket", source, target]
    return added(
        {"copy": run(arena, [program("rclone"), *copy], environ_of(arena.s3)), "check": check(arena, source, target)}
    )


def s5cmd(arena: Arena, footage: Footage, bucket: str) -> Measured:
    """Its own defaults: 256 workers, five parts of 50 MiB at once."""
    source, target = str(footage.folder / MEDIA_FOLDER), f"s3://{bucket}/{MEDIA_FOLDER}/"
    copy = ["--endpoint-url", arena.s3.endpoint_url, "--log", "error", "cp", f"{source}/*", target]
    return added(
        {
            "copy": run(arena, [program("s5cmd"), *copy], environ_of(arena.s3)),
            "check": check(arena, source, f"bench:{bucket}/{MEDIA_FOLDER}"),
        }
    )


def check(arena: Arena, source: str, target: str) -> Measured:
    """rclone's comparison of sizes and MD5."""
    return run(arena, [program("rclone"), "check", "--checkers", "16", source, target], environ_of(arena.s3))


def run(arena: Arena, command: Sequence[str], environ: Mapping[str, str]) -> Measured:
    """A client's run, and what the servers took for it."""
    servers_before = arena.server_seconds()
    ended = run_client(command, environ)
    servers = arena.server_seconds() - servers_before
    return Measured(ended.wall_seconds, ended.cpu_seconds, servers, ended.peak_bytes, ended.told)


def added(steps: Mapping[str, Measured]) -> Measured:
    """Steps one after another."""
    return Measured(
        sum(step.wall_seconds for step in steps.values()),
        sum(step.cpu_seconds for step in steps.values()),
        sum(step.server_seconds for step in steps.values()),
        max(step.peak_bytes for step in steps.values()),
        {name: step.wall_seconds for name, step in steps.items()},
    )


CONTESTANTS = {"reelkeeper": reelkeeper, "rclone copy + check": rclone, "s5cmd cp + rclone check": s5cmd}


# --- reports ----------------------------------------------------------------------------------------------------------


def compare(arena: Arena, footage: Footage, runs: int, names: Sequence[str]) -> dict[str, list[Measured]]:
    """All contestants in turn, `runs` times, so that a slow minute of the machine meets them all.

    Each run begins with another one: who comes first finds the disk busy with what was made before.
    """
    results: dict[str, list[Measured]] = {name: [] for name in names}
    for number in range(runs):
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            bucket = arena.fresh_bucket()
            arena.settle()
            measured = CONTESTANTS[name](arena, footage, bucket)
            results[name].append(measured)
            phases = ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in measured.phases.items())
            cpu = f"CPU {measured.cpu_seconds:.1f}, servers' {measured.server_seconds:.1f}"
            print(f"  run {number + 1}: {name}: {measured.wall_seconds:.1f} s ({phases}; {cpu})", file=sys.stderr)
            arena.forget(bucket)
    return results


def table(results: Mapping[str, Sequence[Measured]], footage: Footage) -> Iterator[str]:
    def median(name: str, value: str) -> float:
        return float(statistics.median(getattr(measured, value) for measured in results[name]))

    yield "| | wall time | of rclone's | client CPU per GB | servers' CPU per GB | peak memory |"
    yield "|---|---|---|---|---|---|"
    baseline = median("rclone copy + check", "wall_seconds") if "rclone copy + check" in results else None
    for name in results:
        wall = median(name, "wall_seconds")
        ratio = f"{wall / baseline:.2f}" if baseline else "–"
        client, servers = (median(name, f"{of}_seconds") / (footage.size_bytes / 1e9) for of in ("cpu", "server"))
        peak = median(name, "peak_bytes") / 1e6
        yield f"| {name} | {wall:.1f} s | {ratio} | {client:.1f} s | {servers:.1f} s | {peak:.0f} MB |"


def flatness(arena: Arena, folder: Path, counts: Sequence[int], small_bytes: int) -> Iterator[str]:
    """Peak memory of one worker against the number of files."""
    yield "| files | peak memory of one worker | wall time |"
    yield "|---|---|---|"
    for count in counts:
        footage = make_footage(folder / f"flat-{count}", arena.postgres, count, small_bytes, 0, 0)
        bucket = arena.fresh_bucket()
        measured = reelkeeper(arena, footage, bucket)
        arena.forget(bucket)
        yield f"| {count:,} | {measured.peak_bytes / 1e6:.0f} MB | {measured.wall_seconds:.1f} s |"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small-files", type=int, default=10_000)
    parser.add_argument("--small-kib", type=int, default=64)
    parser.add_argument("--large-files", type=int, default=10)
    parser.add_argument("--large-mib", type=int, default=256)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=list(CONTESTANTS), default=list(CONTESTANTS))
    parser.add_argument(
        "--flat", nargs="*", type=int, default=[2_000, 10_000, 20_000], help="files; none: not measured"
    )
    parser.add_argument("--folder", type=Path, help="where to work; by default a temporary folder")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    small, large = options.small_kib * 1024, options.large_mib * MIB
    with tempfile.TemporaryDirectory(prefix="reelkeeper-bench-", dir=options.folder) as made:
        folder = Path(made)
        with postgres(folder / "postgres") as database, seaweedfs(folder / "seaweedfs") as s3:
            arena = Arena(s3, database, folder)
            footage = make_footage(folder / "footage", database, options.small_files, small, options.large_files, large)
            work = (
                f"{options.small_files:,} × {options.small_kib} KiB and {options.large_files} × {options.large_mib} MiB"
            )
            print(f"{work}, median of {options.runs}\n")
            for line in table(compare(arena, footage, options.runs, options.only), footage):
                print(line)
            print()
            if options.flat:
                for line in flatness(arena, folder, options.flat, small):
                    print(line)


if __name__ == "__main__":
    main()
