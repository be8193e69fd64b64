"""The reconciliation's speed: `python -m benchmarks.reconcile [--rows 1000000] [--peer-objects 100000] …`.

- A generated listing of so many objects against as many rows on a real PostgreSQL, in a process of its own: the seconds
  beyond walking through the listing, and the peak memory of that process. A hundredth of a percent of the objects is
  missing, as many are unknown. Exit 1 above 5 s for each million, or above 250 MB however many there are.
- So many real small objects in SeaweedFS, against `rclone check` of the same bucket and the folder that they came from,
  in turn. rclone compares sizes only (`--size-only`), as a listing can.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import minio
import psycopg2

from benchmarks.clients import environ_of, program
from benchmarks.migration import Arena
from demo.postgres import PostgresServer
from demo.servers import S3Server, postgres, seaweedfs
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.migrations import upgrade
from reelkeeper.catalogue.partitions import ensure_partitions
from reelkeeper.model import Key, StoreKind, StoreName, TimeRange
from reelkeeper.policy.reconciliation import own_prefixes
from reelkeeper.reconciling.listing import load_listing
from reelkeeper.settings import StoreSettings
from reelkeeper.stores.access import MinioAccess
from reelkeeper.stores.body import Body
from reelkeeper.stores.protocols import ObjectStat, Store
from reelkeeper.stores.registry import open_store

START = datetime(2026, 1, 1, tzinfo=UTC)
CAMERAS = 200
SIZE = 4096
ODD = 10_000
"""One of so many objects is missing, and one unknown."""
STORE = StoreName("cloud")
MOST_BYTES, MOST_SECONDS_PER_MILLION = 250_000_000, 5
_INSERT = """
INSERT INTO reelkeeper.replicas (segment_id, start_time, store, path, size_bytes, checksum, state, verified_at)
SELECT id, start_time, 'cloud',
       'media/default/camera-' || (i % {cameras}) || '/' || to_char(start_time, 'YYYY/MM/DD') || '/'
       || to_char(start_time, 'YYYYMMDD"T"HH24MISS"Z"') || '_' || id || '.mp4',
       {size}, repeat('a', 64), 'available', start_time
FROM (SELECT i, md5(i::text)::uuid AS id,
             timestamptz '2026-01-01 00:00Z'
             + date_trunc('second', (i / {cameras}) * interval '365 days' / ({rows} / {cameras} + 1)) AS start_time
      FROM generate_series(0, {rows} - 1) i) rows
"""


def make_rows(server: PostgresServer, rows: int) -> str:
    """A database with so many replicas of one store over a year; its name."""
    name = f"rows_{rows}"
    server.create_database(name)
    with closing(psycopg2.connect(server.dsn(name))) as connection:
        upgrade(connection, "reelkeeper")
        ensure_partitions(connection, "reelkeeper", TimeRange(START, START + timedelta(days=366)))
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")  # rows of segments would add nothing here
            cursor.execute(_INSERT.format(cameras=CAMERAS, size=SIZE, rows=rows))
            cursor.execute("VACUUM ANALYZE")
    return name


def listing(dsn: str, rows: int) -> Iterator[ObjectStat]:
    """What a store would list: all but one of `ODD`, and as many that nothing knows."""
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor("listing") as cursor:
        cursor.itersize = 20_000
        cursor.execute("SELECT path, start_time FROM reelkeeper.replicas")
        for number, (path, moment) in enumerate(cursor):
            if number % ODD == ODD - 1:
                yield ObjectStat(Key(f"media/default/stray/{number}.mp4"), SIZE, moment)
            else:
                yield ObjectStat(path, SIZE, moment)


def measure(dsn: str, rows: int) -> dict[str, float]:
    """One comparison: seconds of the listing alone, of everything, and the peak memory of this process."""
    began = time.monotonic()
    walked = sum(1 for _ in listing(dsn, rows))
    alone = time.monotonic() - began
    prefixes = own_prefixes([])
    with Catalogue(lambda: psycopg2.connect(dsn)) as catalogue:
        began = time.monotonic()
        catalogue.comparison.begin(STORE, prefixes)
        listed = load_listing(listing(dsn, rows), catalogue.comparison, prefixes, keep_foreign=False)
        compared = catalogue.comparison.finish(prefixes)
        unknown = sum(len(page) for page in catalogue.comparison.differences("unknown"))
        total = time.monotonic() - began
    if (listed.objects, compared.missing, unknown) != (walked, rows // ODD, rows // ODD):
        raise SystemExit(f"found {listed}, {compared}, {unknown} unknown: expected {rows // ODD} of each")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"listing": alone, "total": total, "beyond": total - alone, "peak_bytes": peak}


def generated(server: PostgresServer, rows: int, runs: int) -> Iterator[tuple[str, bool]]:
    """A row of the table for each run, and whether it keeps the bounds."""
    name = make_rows(server, rows)
    dsn = server.dsn(name)
    for _ in range(runs):
        command = [sys.executable, "-m", "benchmarks.reconcile", "--measure", json.dumps([dsn, rows])]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = json.loads(said)
        is_within = found["beyond"] <= MOST_SECONDS_PER_MILLION * max(rows / 1e6, 1)
        line = (f"| {rows:,} | {found['listing']:.1f} s | {found['beyond']:.1f} s | {found['total']:.1f} s "
                f"| {found['peak_bytes'] / 1e6:.0f} MB |")  # fmt: skip
        yield line, is_within and found["peak_bytes"] <= MOST_BYTES
    server.drop_database(name)


# --- against rclone ---------------------------------------------------------------------------------------------------


def store_of(server: S3Server, bucket: str) -> Store:
    host = server.endpoint_url.removeprefix("http://")
    client = minio.Minio(host, server.access_key, server.secret_key, secure=False, region=server.region)
    access = MinioAccess(server.endpoint_url, server.access_key, server.secret_key, server.region, client)
    return open_store(StoreSettings(name="cloud", kind=StoreKind.MINIO, bucket=bucket), access)


def make_objects(dsn: str, store: Store, folder: Path) -> None:
    """A small object, and a file, for each row."""
    list(store.set_up())
    data = b"x" * SIZE
    body = Body.of_bytes(data)
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT path FROM reelkeeper.replicas")
        paths = [path for (path,) in cursor]

    def make(path: str) -> None:
        store.write(Key(path), body)
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)

    with ThreadPoolExecutor(16) as pool:
        for done, _ in enumerate(pool.map(make, paths)):
            if done % 10_000 == 9_999:
                print(f"{done + 1:,} objects of {len(paths):,}", file=sys.stderr, flush=True)


def reconcile_bucket(dsn: str, s3: S3Server, bucket: str) -> float:
    """Seconds of a whole comparison of a real bucket."""
    prefixes = own_prefixes([])
    store = store_of(s3, bucket)
    began = time.monotonic()
    with Catalogue(lambda: psycopg2.connect(dsn)) as catalogue:
        catalogue.comparison.begin(STORE, prefixes)
        load_listing(store.list(), catalogue.comparison, prefixes, keep_foreign=False)
        compared = catalogue.comparison.finish(prefixes)
    if compared.missing:
        raise SystemExit(f"{compared.missing} objects are missing: expected none")
    return time.monotonic() - began


def against_rclone(arena: Arena, objects: int, runs: int) -> Iterator[str]:
    dsn = arena.postgres.dsn(make_rows(arena.postgres, objects))
    bucket, folder = "bench-reconcile", arena.folder / "objects"
    make_objects(dsn, store_of(arena.s3, bucket), folder)
    for _ in range(runs):
        ours = reconcile_bucket(dsn, arena.s3, bucket)
        began = time.monotonic()
        command = [program("rclone"), "check", "--size-only", "--fast-list", "--checkers", "16", str(folder / "media"),
                   f"bench:{bucket}/media"]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, env=os.environ | environ_of(arena.s3))
        theirs = time.monotonic() - began
        yield f"| {objects:,} | {ours:.1f} s | {theirs:.1f} s | {ours / theirs:.2f} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="*", type=int, default=[1_000_000, 10_000_000])
    parser.add_argument("--peer-objects", type=int, default=100_000, help="0: not measured")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where to work; by default a temporary folder")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*json.loads(options.measure))))
        return 0
    kept = True
    with tempfile.TemporaryDirectory(prefix="reelkeeper-bench-", dir=options.folder) as made:
        folder = Path(made)
        folder.chmod(0o755)
        with postgres(folder / "postgres") as database:
            print(
                "| rows and objects | listing alone | beyond it | in all | peak memory |\n|---|---|---|---|---|",
                flush=True,
            )
            for rows in options.rows:
                for line, is_within in generated(database, rows, options.runs):
                    print(line, flush=True)
                    kept = kept and is_within
            if options.peer_objects:
                with seaweedfs(folder / "seaweedfs") as s3:
                    print(
                        "\n| objects | reconcile | rclone check --size-only | of rclone's |\n|---|---|---|---|",
                        flush=True,
                    )
                    for line in against_rclone(Arena(s3, database, folder), options.peer_objects, options.runs):
                        print(line, flush=True)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
