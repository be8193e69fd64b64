"""Retention over ten million segments: `python -m benchmarks.retention [--segments N] [--objects N] [--markdown FILE]`.

Planning: builds the history of `benchmarks.catalogue` (a local copy of each segment, a cloud copy of 30 %), and
measures the plan and the condemnation of a usual day, and the plan when a third of all is over, as when a
retention is lowered.

Deleting: objects of 4 KiB in a bucket of SeaweedFS with their rows, condemned, through the whole engine: judged again,
deleted in bulk, forgotten. Exit 1 when a plan takes longer than 30 s, or less than 1000 objects a second go.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg2

from benchmarks.catalogue import FIRST, LAST, TENANT, build
from benchmarks.deletion import open_bucket
from demo.servers import postgres, seaweedfs
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.migrations import upgrade
from reelkeeper.deleting import delete_condemned
from reelkeeper.model import Camera, Key, StoreKind, camera_id
from reelkeeper.retention import condemn_due, plan_retention
from reelkeeper.settings import Estate, Placement, StoreSettings
from reelkeeper.settings.models import Retention, RetentionCaps
from reelkeeper.stores.body import Body

BOUND_SECONDS = 30
LEAST_PER_SECOND = 1000
CAPS = RetentionCaps(soft_count=10**9, soft_ratio=1, hard_count=10**9, hard_ratio=1)
USUAL_DAYS = (LAST - FIRST).days - 1  # the oldest day is over


def estate(days: int, *, quota: int | None = None) -> Estate:
    """Two buckets; the local one with a quota."""
    return Estate(
        stores=(
            StoreSettings(name="local", kind=StoreKind.MINIO, bucket="local", quota=quota),
            StoreSettings(name="cloud", kind=StoreKind.MINIO, bucket="cloud"),
        ),
        placement=Placement(mode="hybrid", local_store="local", cloud_store="cloud"),
        retention=Retention(default_days=days, grace_hours=0, min_days_after_ingest=0),
        retention_caps=CAPS,
    )


def timed(what: str, call: Callable[[], Any]) -> tuple[Any, float, str]:
    """A call's result, its seconds, and its row of the table."""
    began = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - began
    print(f"{what}: {seconds:.1f} s", file=sys.stderr)
    return result, seconds, f"| {what} | {seconds:.1f} |"


def planning(segments: int, dsn: str) -> tuple[list[str], bool]:
    """The rows of the table, and whether the bound was kept."""
    with closing(psycopg2.connect(dsn)) as connection:
        upgrade(connection, "reelkeeper")
        with Catalogue(lambda: psycopg2.connect(dsn)) as catalogue:
            slugs = [f"camera-{number:03}" for number in range(50)]
            catalogue.cameras.register([Camera(camera_id(TENANT, s), TENANT, s, s) for s in slugs])
        build(connection, segments, 50)
        with connection.cursor() as cursor:  # a day's local copies are due to retire
            cursor.execute(
                "UPDATE reelkeeper.replicas SET retire_after = %s WHERE store = 'local' AND start_time >= %s",
                (LAST, LAST - timedelta(days=31)),
            )
            cursor.execute("VACUUM ANALYZE reelkeeper.replicas")
    with Catalogue(lambda: psycopg2.connect(dsn)) as catalogue:
        held = catalogue.retention.contents(["local", "cloud"])  # type: ignore[list-item]
        total = sum(contents.replicas for contents in held.values())
        usual = estate(USUAL_DAYS, quota=int(held["local"].size_bytes * 0.97))  # type: ignore[index]
        plan, usual_seconds, usual_row = timed(
            "plan of a usual day", lambda: plan_retention(usual, catalogue, now=LAST)
        )
        third = estate((LAST - FIRST).days * 2 // 3)
        much, third_seconds, third_row = timed(
            "plan when a third is over", lambda: plan_retention(third, catalogue, now=LAST)
        )
        _, _, condemned_row = timed(
            "condemn a usual day's in the local store",
            lambda: condemn_due(usual, catalogue, "local", run_id="bench", now=LAST),
        )
    counts = [sum(store.found.objects for store in found.stores) for found in (plan, much)]
    if not 0 < counts[0] < counts[1]:
        raise SystemExit(f"plans of {counts} objects: expected some, and more when a third is over")
    head = [f"{segments:,} segments, {total:,} replicas; {counts[0]:,} and {counts[1]:,} of them are to leave", ""]
    rows = [*head, "| what | s |", "|---|---:|", usual_row, third_row, condemned_row]
    return rows, max(usual_seconds, third_seconds) <= BOUND_SECONDS


def deleting(objects: int, dsn: str, directory: Path) -> tuple[list[str], bool]:
    """The rows of the table, and whether the bound was kept."""

    def catalogue_of() -> Catalogue:
        return Catalogue(lambda: psycopg2.connect(dsn))

    with seaweedfs(directory / "seaweedfs") as server:
        stores = {name: open_bucket(StoreKind.MINIO, server, f"bench-{name}") for name in ("local", "cloud")}
        with (
            closing(psycopg2.connect(dsn, options="-c search_path=reelkeeper")) as connection,
            connection.cursor() as c,
        ):
            c.execute("SELECT path FROM replicas WHERE store = 'local' ORDER BY start_time DESC LIMIT %s", (objects,))
            paths = [Key(path) for (path,) in c.fetchall()]
            c.execute("DELETE FROM condemnations")
            c.execute("UPDATE replicas SET state = 'condemned' WHERE store = 'local' AND path = ANY (%s)", (paths,))
            c.execute(
                "INSERT INTO condemnations SELECT store, path, segment_id, start_time, 'expired', size_bytes, 'b', %s,"
                " %s FROM replicas WHERE store = 'local' AND path = ANY (%s)",
                (LAST, LAST, paths),
            )
            connection.commit()
        store = stores["local"]
        list(store.set_up())
        body = Body.of_bytes(b"x" * 4096)
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda path: store.write(path, body), paths))
        late = LAST + timedelta(days=4000)
        result, seconds, _ = timed(
            f"delete {objects} objects",
            lambda: delete_condemned(estate(30), catalogue_of, stores.__getitem__, "local", run_id="bench", now=late),
        )
        left = sum(1 for _ in store.list())
    rate = result.deleted / seconds
    rows = [
        "",
        f"{result.deleted:,} objects deleted and forgotten in {seconds:.1f} s: {rate:,.0f} a second; {left} left",
    ]
    return rows, rate >= LEAST_PER_SECOND and not left


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, default=10_000_000)
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--markdown", type=Path, help="also write the table here")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reelkeeper-bench-") as directory:
        Path(directory).chmod(0o755)  # the server may run as another user
        with postgres(Path(directory) / "postgres", durable=True) as server:
            server.create_database("bench")
            rows, planned = planning(asked.segments, server.dsn("bench"))
            more, deleted = deleting(asked.objects, server.dsn("bench"), Path(directory))
    text = "\n".join(rows + more)
    print(text)
    if asked.markdown:
        asked.markdown.write_text(text + "\n")
    return 0 if planned and deleted else 1


if __name__ == "__main__":
    sys.exit(main())
