"""The catalogue at ten million segments: `python -m benchmarks.catalogue [--segments N] [--markdown FILE]`.

Builds three years of history inside a PostgreSQL of its own that flushes to disk as a real one does, then measures
what users and workers wait for, each call a transaction of its own, and says whether it keeps its bound.
Exit 1 when one does not.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812  (it is a class)

from demo.segments import ingested
from demo.servers import postgres
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.migrations import upgrade
from reelkeeper.catalogue.partitions import ensure_partitions, month_of
from reelkeeper.catalogue.records import Ingested, TransferItem, TransferRecord, TransferResult
from reelkeeper.model import (
    BatchId,
    Camera,
    Replica,
    ReplicaState,
    Sha256,
    StoreName,
    Tenant,
    TimeRange,
    camera_id,
)

FIRST = datetime(2023, 1, 1, tzinfo=UTC)
LAST = datetime(2026, 1, 1, tzinfo=UTC)
TENANT = Tenant("bench")
LOCAL, CLOUD = StoreName("local"), StoreName("cloud")
CLOUD_BUCKETS = 3000
"""30 % of the history has reached the cloud; what is planned is wanted there by a percentage that was raised."""

SEGMENTS = """
INSERT INTO segments (id, camera_id, start_time, end_time, size_bytes, checksum, extension, container, video_codec,
                      width, height, frame_rate, has_audio, rollout_bucket, created_at, storage_backend, storage_path)
SELECT id, camera_id, start_time, start_time + %(step)s, 1048576, encode(sha256(id::text::bytea), 'hex'), 'mp4', 'mov',
       'h264', 1920, 1080, 25, false, abs(hashtextextended(id::text, 0) %% 10000), start_time + %(step)s, 'local',
       'media/bench/' || slug || to_char(start_time, '/YYYY/MM/DD/YYYYMMDD"T"HH24MISS"Z_"') || id || '.mp4'
FROM (SELECT md5(c.slug || start_time)::uuid AS id, c.id AS camera_id, c.slug, start_time
      FROM generate_series(%(start)s, %(end)s - interval '1 second', %(step)s) AS start_time, cameras c) AS made
"""
REPLICAS = """
INSERT INTO replicas (segment_id, start_time, store, path, size_bytes, checksum, state, created_at, verified_at)
SELECT id, start_time, store, storage_path, size_bytes, checksum, 'available', created_at, created_at
FROM segments, unnest(ARRAY['local', 'cloud']) AS store
WHERE start_time >= %(start)s AND start_time < %(end)s AND (store = 'local' OR rollout_bucket < %(buckets)s)
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One row of the table; times in milliseconds, no bound where None."""

    what: str
    times: list[float]
    bound: float | None

    @property
    def p50(self) -> float:
        return statistics.median(self.times)

    @property
    def p99(self) -> float:
        return sorted(self.times)[min(len(self.times) - 1, int(len(self.times) * 0.99))]

    @property
    def kept(self) -> bool:
        return self.bound is None or self.p99 < self.bound


@contextmanager
def history(segments: int, cameras: int, kept_in: Path | None = None) -> Iterator[tuple[Connection, str]]:
    """A superuser's connection that commits by itself, and the address, of three years of history on its own server.

    A folder to keep it in has it for the next time as well, as the last one left it; else it is gone afterwards.
    """
    with tempfile.TemporaryDirectory(prefix="reelkeeper-bench-") as scratch:
        folder = kept_in or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # the server may run as another user
        with postgres(folder / "postgres", durable=True) as server:
            server.create_database("bench")
            dsn = server.dsn("bench")
            with closing(psycopg2.connect(dsn)) as connection:
                upgrade(connection, "reelkeeper")
                built = folder / "built"  # a build that was killed is no history
                if not built.exists():
                    with Catalogue(lambda: psycopg2.connect(dsn)) as catalogue:
                        slugs = [f"camera-{number:03}" for number in range(cameras)]
                        catalogue.cameras.register([Camera(camera_id(TENANT, s), TENANT, s, s) for s in slugs])
                    build(connection, segments, cameras)
                    built.touch()
                connection.autocommit = True
                yield connection, dsn


def build(connection: Connection, segments: int, cameras: int) -> None:
    """Fill three years with `segments` segments and their replicas, a month at a time."""
    step = (LAST - FIRST) * cameras / segments
    ensure_partitions(connection, "reelkeeper", TimeRange(FIRST, LAST + timedelta(days=62)))
    began, month = time.monotonic(), month_of(FIRST)
    with connection, connection.cursor() as cursor:
        # Rows that the server makes itself need no foreign key checks, and no wait for the disk.
        cursor.execute("SET search_path = reelkeeper; SET session_replication_role = replica; SET TimeZone = 'UTC';"
                       "SET synchronous_commit = off")  # fmt: skip
    while month.start < LAST:
        with connection, connection.cursor() as cursor:
            first = FIRST + -(-(month.start - FIRST) // step) * step
            values = {"start": first, "end": month.end, "step": step, "buckets": CLOUD_BUCKETS}
            cursor.execute(SEGMENTS, values)
            cursor.execute(REPLICAS, values | {"start": month.start})
        print(f"\rbuilt to {month.end:%Y-%m} in {time.monotonic() - began:.0f} s", end="", file=sys.stderr)
        month = month_of(month.end)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE segments")
        cursor.execute("VACUUM ANALYZE replicas")
        cursor.execute("CHECKPOINT")
        cursor.execute("SELECT (SELECT count(*) FROM segments), (SELECT count(*) FROM replicas),"
                       " pg_size_pretty(pg_database_size(current_database()))")  # fmt: skip
        print("\n{:,} segments, {:,} replicas, {}; ready after {:.0f} s".format(
            *(cursor.fetchone() or ()), time.monotonic() - began), file=sys.stderr)  # fmt: skip


def minute(camera: Camera, start: datetime) -> Ingested:
    """A segment of a minute, as an ingest hands it over."""
    checksum = Sha256(sha256(f"{camera.slug} {start}".encode()).hexdigest())
    return ingested(camera, start, timedelta(minutes=1), store=LOCAL, size_bytes=2**20, checksum=checksum,
                    zone="bench", with_history=True)  # fmt: skip


def recorded(catalogue: Catalogue, items: list[Ingested], at_once: int) -> Iterator[float]:
    """The time of each `record` of `at_once` files that were planned and claimed."""
    by_path = {item.file.path: item for item in items}
    batches = catalogue.landing.plan(
        f"run of {at_once}", "bench", [item.file for item in items],
        batch_files=len(items), batch_bytes=10**15, max_batches=1,
    )  # fmt: skip
    claimed = catalogue.landing.claim(batches[0].id, len(items), timedelta(hours=1))
    for first in range(0, len(claimed), at_once):
        work = [by_path[file.path] for file in claimed[first : first + at_once]]
        yield timed(lambda work=work: catalogue.segments.record(batches[0].id, work))  # type: ignore[misc]


def timed(call: Callable[[], object]) -> float:
    """How long a call takes, in milliseconds."""
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def measure(catalogue: Catalogue, rounds: int) -> Iterator[Measured]:
    """Every measurement, one after another."""
    chance = random.Random(1)
    cameras = list(catalogue.cameras.by_slug(TENANT).values())
    catalogue.segments.overlapping(cameras[0].id, TimeRange(FIRST, LAST))  # the connection, and the server's caches

    def start() -> datetime:
        return FIRST + timedelta(seconds=chance.randrange(int((LAST - FIRST).total_seconds()) - 86_400))

    one = [minute(chance.choice(cameras), LAST + timedelta(seconds=60 * i)) for i in range(rounds)]
    yield Measured("store the metadata of one segment", list(recorded(catalogue, one, 1)), 50)
    many = [minute(cameras[i % len(cameras)], LAST + timedelta(days=31, seconds=i)) for i in range(20_000)]
    yield Measured("record 1,000 ingested files at once", list(recorded(catalogue, many, 1000)), None)

    def listing(hours: int) -> list[float]:
        ranges = [(chance.choice(cameras).id, start()) for _ in range(rounds)]
        return [
            timed(lambda c=c, t=t: catalogue.segments.overlapping(c, TimeRange(t, t + timedelta(hours=hours))))  # type: ignore[misc]
            for c, t in ranges
        ]

    yield Measured("list a camera's hour", listing(1), 50)
    yield Measured("list a camera's day", listing(24), 50)
    found = catalogue.segments.overlapping(cameras[0].id, TimeRange(FIRST, LAST))
    some = chance.sample(found, min(rounds, len(found)))
    yield Measured("find a segment by id alone", [timed(lambda s=s: catalogue.segments.get(s.id)) for s in some], 50)  # type: ignore[misc]
    names = [(s.id, s.start_time) for s in some]
    yield Measured("find the replicas of one segment",
                   [timed(lambda n=n: catalogue.replicas.of_segments([n])) for n in names], 50)  # type: ignore[misc]  # fmt: skip
    yield from transfers(catalogue, chance)


def transfers(catalogue: Catalogue, chance: random.Random) -> Iterator[Measured]:
    """Planning, claiming and finishing."""

    def plan(interval: TimeRange | None, *, dry_run: bool) -> list[BatchId]:
        return [batch.id for batch in catalogue.transfers.plan(
            f"run {interval}", source_store=LOCAL, destination_store=CLOUD, interval=interval, bucket_below=10_000,
            ended_before=LAST, batch_size=1000, batch_bytes=10**12, include_requests=True, dry_run=dry_run,
        ).batches]  # fmt: skip

    hours = [FIRST + timedelta(hours=hour) for hour in chance.sample(range(24 * 1000), 50)]
    intervals = [TimeRange(hour, hour + timedelta(hours=1)) for hour in hours]
    yield Measured("plan an hour's migration", [timed(lambda i=i: plan(i, dry_run=False)) for i in intervals], None)  # type: ignore[misc]
    batches = plan(TimeRange(LAST - timedelta(days=10), LAST), dry_run=False)
    claims: list[float] = []
    finishes: list[float] = []
    for batch in batches[:20]:
        items: list[TransferItem] = []
        claims.append(timed(lambda b=batch, i=items: i.extend(catalogue.transfers.claim(b, 200, timedelta(hours=1)))))  # type: ignore[misc]
        results = [copied(item) for item in items]
        finishes.append(timed(lambda r=results: catalogue.transfers.finish(r, retire_source_after=LAST)))  # type: ignore[misc]
    yield Measured("claim 200 transfers", claims, None)
    yield Measured("finish 200 transfers", finishes, None)
    yield Measured("plan everything at once (dry run)", [timed(lambda: plan(None, dry_run=True))], None)


def copied(item: TransferItem) -> TransferResult:
    """The item as an engine hands it back."""
    record = TransferRecord(
        item.segment_id, item.start_time, item.source_store, item.destination_store, item.size_bytes, LAST, LAST
    )
    replica = Replica(item.segment_id, item.start_time, item.destination_store, item.destination_path,
                      item.size_bytes, item.checksum, ReplicaState.AVAILABLE, LAST)  # fmt: skip
    return TransferResult(item, record, replica)


def table(results: list[Measured], title: str) -> str:
    """The results as a Markdown table."""
    lines = [title, "", "| call | n | p50 ms | p99 ms | bound on p99 ms | kept |", "|---|---:|---:|---:|---:|---|"]
    for result in results:
        bound, kept = ("–", "–") if result.bound is None else (f"{result.bound:g}", "yes" if result.kept else "NO")
        lines.append(
            f"| {result.what} | {len(result.times):,} | {result.p50:.1f} | {result.p99:.1f} | {bound} | {kept} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, default=10_000_000)
    parser.add_argument("--cameras", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=2000, help="calls of each short measurement")
    parser.add_argument("--markdown", type=Path, help="also write the table here")
    asked = parser.parse_args()
    with history(asked.segments, asked.cameras) as (_, dsn), Catalogue(lambda: psycopg2.connect(dsn)) as catalogue:
        results = list(measure(catalogue, asked.rounds))
    text = table(results, f"{asked.segments:,} segments of {asked.cameras} cameras over three years")
    print(text)
    if asked.markdown:
        asked.markdown.write_text(text + "\n")
    return 0 if all(result.kept for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
