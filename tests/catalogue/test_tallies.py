"""Tallies say what the rows say, at every moment, whatever happens and whoever else is at work."""

import random
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from threading import Event
from typing import Any
from uuid import UUID, uuid4

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812  (it is a class)

from demo.servers import PostgresServer
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.migrations import ensure_partitions, upgrade
from reelkeeper.catalogue.queries import queries, sql_directory
from reelkeeper.catalogue.retrievals import Retrieval
from reelkeeper.catalogue.tally_records import LATENCY_BOUNDS, CameraDay, Durations, RetrievalTotals, UsageDay
from reelkeeper.model import ReplicaState, SegmentId, StoreName, Tier, TimeRange

START = datetime(2026, 3, 1, tzinfo=UTC)
LOCAL, CLOUD = StoreName("local"), StoreName("cloud")
STORES = ("local", "cloud", "other")
SPAN = TimeRange(datetime(2026, 2, 26, tzinfo=UTC), datetime(2026, 4, 3, tzinfo=UTC))

SEGMENT = """
INSERT INTO segments (id, camera_id, start_time, end_time, size_bytes, checksum, extension, container, video_codec,
                      width, height, frame_rate, has_audio, rollout_bucket, storage_backend, storage_path)
SELECT md5(%(number)s || '/' || n)::uuid, (SELECT id FROM cameras WHERE slug = %(camera)s),
       %(start)s + n * interval '1 second', %(start)s + n * interval '1 second' + %(length)s, 1000 + n, repeat('0', 64),
       'mp4', 'mov', 'h264', 10, 10, 25, false, (%(bucket)s + n * 37) %% 10000, 'local', 'a'
FROM generate_series(1, %(rows)s) AS n ON CONFLICT DO NOTHING
"""
REPLICA = """
INSERT INTO replicas AS r (segment_id, start_time, store, path, storage_class, size_bytes, checksum, state, verified_at,
                           retire_after)
SELECT id, start_time, %(store)s, 'a', %(class)s, size_bytes, checksum, %(state)s, start_time, %(retire)s
FROM segments s
WHERE s.start_time >= %(start)s AND s.start_time < %(start)s + interval '6 hours'
  AND (NOT %(first)s OR NOT EXISTS (SELECT FROM replicas r WHERE r.segment_id = s.id))
ON CONFLICT (segment_id, store, start_time) DO UPDATE SET state = excluded.state, tier = 'COOL',
    storage_class = excluded.storage_class WHERE r.state <> 'available'
"""
SOME = "start_time >= %(start)s AND start_time < %(start)s + %(width)s"
CHANGES = (
    "UPDATE replicas SET state = %(state)s WHERE SOME AND store = %(store)s",
    "UPDATE replicas SET seen_at = now(), verified_at = now() WHERE SOME",
    "UPDATE replicas SET retire_after = %(retire)s WHERE SOME",
    "UPDATE replicas SET tier = 'ARCHIVE', storage_class = 'GLACIER' WHERE SOME AND store = %(store)s",
    "UPDATE replicas SET size_bytes = size_bytes + 7 WHERE SOME",
    """UPDATE replicas r SET store = %(store)s WHERE SOME AND store = 'other' AND NOT EXISTS (
            SELECT FROM replicas o WHERE o.segment_id = r.segment_id AND o.store = %(store)s)""",
    """WITH suspects AS (
           UPDATE replicas SET state = 'suspicious' WHERE SOME AND store = %(store)s RETURNING segment_id)
        UPDATE replicas r SET retire_after = NULL, state = 'lost' FROM suspects
        WHERE r.segment_id = suspects.segment_id AND r.store <> %(store)s""",
    "DELETE FROM replicas WHERE SOME AND store = %(store)s",
    """DELETE FROM segments s WHERE SOME AND NOT EXISTS (SELECT FROM replicas r WHERE r.segment_id = s.id)""",
    "UPDATE segments SET storage_backend = %(store)s WHERE SOME",
    "UPDATE segments SET end_time = end_time + interval '1 hour', size_bytes = size_bytes + 1 WHERE SOME",
    """INSERT INTO transfers (segment_id, start_time, job, batch_id, source_store, destination_store, outcome, fallback,
                              error_code, size_bytes, started_at, finished_at)
       SELECT gen_random_uuid(), %(start)s, 'migrate', gen_random_uuid(), nullif(%(store)s, 'other'), 'cloud', outcome,
              false, CASE outcome WHEN 'failed' THEN 'store_timeout' END, n, %(start)s,
              %(start)s + n * %(width)s / 20
       FROM generate_series(1, 5) AS n, unnest(ARRAY['succeeded', 'failed']) AS outcome""",
    """INSERT INTO deletions (store, path, reason, size_bytes, run_id, condemned_at, deleted_at)
       SELECT %(store)s, 'a', 'expired', n, 'run', %(start)s, %(start)s FROM generate_series(1, 3) AS n""",
    """INSERT INTO retrievals (id, export_id, segment_id, start_time, store, outcome, error_code, size_bytes,
                               started_at, finished_at)
       SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), %(start)s, %(store)s, outcome,
              CASE outcome WHEN 'failed' THEN 'store_timeout' END, n, %(start)s,
              %(start)s + n * %(length)s / 1000
       FROM generate_series(1, 4) AS n, unnest(ARRAY['succeeded', 'failed']) AS outcome""",
)  # fmt: skip


class Random:
    """Somebody who does what anybody may do to the rows, in transactions of several statements."""

    def __init__(self, connect: Callable[[], Connection], seed: int) -> None:
        self.connect, self.chance, self.numbers = connect, random.Random(seed), count(seed * 1_000_000)
        self.connection = connect()
        self.committed = 0

    def values(self) -> dict[str, Any]:
        chance = self.chance
        hours = chance.randrange(int(SPAN.duration.total_seconds()) // 3600 - 24)
        return {
            "number": str(next(self.numbers)), "camera": chance.choice(("gate", "yard")),
            "rows": chance.randrange(1, 8),
            "start": SPAN.start + timedelta(hours=hours), "bucket": chance.randrange(10_000),
            "length": timedelta(seconds=chance.choice((1, 3600, 80_000))), "store": chance.choice(STORES),
            "class": chance.choice((None, "STANDARD", "GLACIER")), "first": chance.random() < 0.5,
            "state": chance.choice(("available", "available", "suspicious", "lost", "condemned")),
            "retire": chance.choice((None, SPAN.end)),
            "width": timedelta(hours=chance.choice((1, 24, 500))),
        }  # fmt: skip

    def act(self) -> None:
        """One transaction; it may be rolled back, or its connection lost."""
        try:
            with self.connection.cursor() as cursor:
                for _ in range(self.chance.randrange(1, 4)):
                    if self.chance.random() < 0.5:
                        values = self.values()
                        cursor.execute(SEGMENT, values)
                        cursor.execute(REPLICA, values)
                    else:
                        cursor.execute(self.chance.choice(CHANGES).replace("SOME", SOME), self.values())
            end = self.chance.random()
            if end < 0.1:
                self.connection.close()  # as a kill -9 does
                self.connection = self.connect()
            elif end < 0.2:
                self.connection.rollback()
            else:
                self.connection.commit()
                self.committed += 1
        except (psycopg2.errors.DeadlockDetected, psycopg2.IntegrityError):  # as others are at work, or at random
            self.connection.rollback()


def none_drifted(catalogue: Catalogue) -> bool:
    return set(catalogue.tallies.drift().values()) == {0}


@pytest.fixture
def connect(catalogue_dsn: str, make) -> Iterator[Callable[[], Connection]]:
    """Opens connections to a catalogue with two cameras and their partitions."""
    make.camera("gate")
    make.camera("yard")
    with closing(psycopg2.connect(catalogue_dsn)) as connection:
        ensure_partitions(connection, "reelkeeper", SPAN)
    opened: list[Connection] = []

    def open_one() -> Connection:
        opened.append(psycopg2.connect(catalogue_dsn, options="-c search_path=reelkeeper"))
        return opened[-1]

    yield open_one
    for connection in opened:
        connection.close()


def test_they_agree_with_the_rows_at_every_moment_while_others_write_and_fold(
    connect: Callable[[], Connection], catalogue: Catalogue, another: Callable[[], Catalogue]
) -> None:
    done, drifted, writers = Event(), list[bool](), [Random(connect, seed) for seed in range(3)]

    def write(writer: Random) -> None:
        for _ in range(60):
            writer.act()

    def fold(folding: Catalogue) -> int:
        folds = 0
        while not done.wait(0.02):
            folding.tallies.fold()
            folds += 1
        return folds

    with ThreadPoolExecutor(5) as pool:
        writing = [pool.submit(write, writer) for writer in writers]
        folding = [pool.submit(fold, another()) for _ in range(2)]
        while not all(each.done() for each in writing):
            drifted.append(not none_drifted(catalogue))
        done.set()
        assert [each.result() for each in writing] == [None] * 3
        assert all(each.result() for each in folding)
    assert drifted
    assert not any(drifted)
    assert sum(writer.committed for writer in writers) > 60
    assert none_drifted(catalogue)

    def told() -> list[object]:
        tallies = catalogue.tallies
        return [tallies.usage(), tallies.cameras(), tallies.transfers(), tallies.retrievals()]

    unfolded = told()
    catalogue.tallies.fold()
    assert told() == unfolded
    assert none_drifted(catalogue)


def test_what_is_read_is_what_a_count_of_the_rows_says(
    connect: Callable[[], Connection], catalogue: Catalogue, sql
) -> None:
    writer = Random(connect, 7)
    for turn in range(80):
        writer.act()
        if turn % 20 == 10:
            catalogue.tallies.fold()
    usage, retiring = catalogue.tallies.usage()
    counted = sql("SELECT store, tier, storage_class, state, count(*), sum(size_bytes)::bigint FROM replicas"
                  " GROUP BY 1, 2, 3, 4")  # fmt: skip
    assert len(counted) > 5
    assert {(u.store, u.tier, u.storage_class, u.state, u.replicas, u.size_bytes) for u in usage} == {
        (store, Tier(tier), storage_class, ReplicaState(state), *sums)
        for store, tier, storage_class, state, *sums in counted
    }
    assert {store: n for store, n in retiring.items() if n} == dict(
        sql("SELECT store, count(*) FROM replicas WHERE retire_after IS NOT NULL GROUP BY store")
    )
    assert {(c.id, c.segments, c.size_bytes, c.last_end) for c in catalogue.tallies.cameras()} == {
        (UUID(str(row[0])), *row[1:])
        for row in sql("SELECT c.id, count(s.id), coalesce(sum(s.size_bytes), 0)::bigint, max(s.end_time)"
                       " FROM cameras c LEFT JOIN segments s ON s.camera_id = c.id GROUP BY c.id")
    }  # fmt: skip
    for buckets in (1, 50, 4321, 10_000):
        assert catalogue.tallies.unplaced(CLOUD, buckets) == sql(
            "SELECT count(*), min(start_time) FROM segments s WHERE rollout_bucket < %s AND NOT EXISTS (SELECT"
            " FROM replicas r WHERE r.segment_id = s.id AND r.store = 'cloud' AND r.state = 'available')", (buckets,)
        )[0]  # fmt: skip
    assert catalogue.tallies.unprotected() == sql(
        "SELECT count(*) FROM segments s WHERE NOT EXISTS (SELECT FROM replicas r WHERE r.segment_id = s.id"
        " AND r.state = 'available') AND EXISTS (SELECT FROM replicas r WHERE r.segment_id = s.id"
        " AND r.state IN ('suspicious', 'lost'))"
    )[0][0]  # fmt: skip
    assert [(t.outcome, t.durations.count, t.durations.seconds) for t in catalogue.tallies.transfers()] == [
        (outcome, number, pytest.approx(seconds)) for outcome, number, seconds in
        sql("SELECT outcome, count(*), sum(extract(epoch FROM finished_at - started_at))::float8 FROM transfers"
            " GROUP BY 1 ORDER BY 1")
    ]  # fmt: skip
    counted = sql("SELECT store, outcome, count(*), sum(size_bytes)::bigint,"
                  " sum(extract(epoch FROM finished_at - started_at))::float8 FROM retrievals"
                  " GROUP BY 1, 2 ORDER BY 1, 2")  # fmt: skip
    assert len(counted) > 1
    assert [(t.store, t.outcome, t.durations.count, t.size_bytes, t.durations.seconds)
            for t in catalogue.tallies.retrievals()] == [
        (*others, pytest.approx(seconds)) for *others, seconds in counted
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    ["unprotected_segments", "oldest_proof", "oldest_unplaced_segment", "exports_under_way", "cameras_recorded_before"],
)
def test_what_is_not_summed_is_found_by_an_index(name: str, connect: Callable[[], Connection]) -> None:
    values = {"stores": ["local", "cloud"], "store": "cloud", "buckets": 5000, "day": START.date()}
    with connect().cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")  # of tables that are empty
        cursor.execute("EXPLAIN " + getattr(queries(), name).sql, values)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    scanned = set(re.findall(r"Seq Scan on (\w+)", plan))
    assert "Index" in plan
    assert not any(
        table.startswith(("segments", "replicas", "transfers_", "exports", "camera_days")) for table in scanned
    ), plan


def test_an_update_of_what_is_not_counted_leaves_no_change(make, catalogue: Catalogue, sql) -> None:
    make.recorded(make.minutes(make.camera(), 3))
    catalogue.tallies.fold()
    sql("UPDATE replicas SET seen_at = now(), verified_at = now()")
    sql("UPDATE segments SET storage_backend = 'cloud'")
    changes = """SELECT (SELECT count(*) FROM usage_changes), (SELECT count(*) FROM placement_changes),
                        (SELECT count(*) FROM camera_changes)"""
    assert sql(changes) == [(0, 0, 0)]
    sql("UPDATE replicas SET state = 'lost'")
    assert sql(changes) == [(2, 1, 0)]


def test_a_segment_over_midnight_counts_on_both_days_and_its_bytes_once(make, catalogue: Catalogue, sql) -> None:
    camera = make.camera()
    make.recorded([make.ingested(camera, START - timedelta(seconds=15), size_bytes=1001)])
    days = [CameraDay(camera.id, date(2026, 2, 28), 1, 15.0, 250), CameraDay(camera.id, date(2026, 3, 1), 1, 45.0, 751)]
    for _ in range(2):
        assert catalogue.tallies.camera_days(date(2026, 2, 1), date(2026, 3, 31)) == days
        assert catalogue.tallies.camera_days(date(2026, 3, 1), date(2026, 3, 1), [camera.id]) == days[1:]
        assert catalogue.tallies.camera_days(date(2026, 3, 1), date(2026, 3, 1), []) == []
        assert [(each.segments, each.size_bytes) for each in catalogue.tallies.cameras()] == [(1, 1001)]
        assert catalogue.tallies.first_days() == {camera.id: date(2026, 2, 28)}
        catalogue.tallies.fold()
    sql("DELETE FROM replicas; DELETE FROM segments")
    assert catalogue.tallies.camera_days(date(2026, 2, 1), date(2026, 3, 31)) == []
    assert catalogue.tallies.first_days() == {}


def test_the_end_of_the_latest_segment_goes_back_when_it_is_deleted(make, catalogue: Catalogue, sql) -> None:
    camera = make.camera()
    make.recorded(make.minutes(camera, 3))

    def last_end() -> object:
        return catalogue.tallies.cameras()[0].last_end

    assert last_end() == START + timedelta(minutes=3)
    for left in (2, 1):
        catalogue.tallies.fold()
        sql("DELETE FROM replicas WHERE start_time = %(at)s; DELETE FROM segments WHERE start_time = %(at)s",
            {"at": START + timedelta(minutes=left)})  # fmt: skip
        assert last_end() == START + timedelta(minutes=left)
    sql("DELETE FROM replicas; DELETE FROM segments")
    assert last_end() is None
    catalogue.tallies.fold()
    assert last_end() is None


def test_exports_are_counted_by_what_they_came_to(catalogue: Catalogue, make, sql) -> None:
    camera = make.camera()
    for number in range(2):
        sql("INSERT INTO exports (id, tenant, camera_ids, start_time, end_time, format, reason, created_by, expires_at,"
            " created_at) VALUES (md5(%s)::uuid, 'default', ARRAY[%s]::uuid[], now(), now() + interval '1 h', 'mp4',"
            " 'a', 'me', now(), now() - interval '20 s')", (str(number), camera.id))  # fmt: skip
    sql("UPDATE exports SET status = 'PROCESSING', progress = 1")
    sql("UPDATE exports SET progress = 50")
    sql("UPDATE exports SET status = 'COMPLETED', store = 'cloud', file_path = 'a',"
        " completed_at = created_at + interval '7 s' WHERE id = md5('0')::uuid")  # fmt: skip
    sql("UPDATE exports SET status = 'FAILED', failure = 'a', failure_code = 'media',"
        " updated_at = created_at + interval '2 s' WHERE id = md5('1')::uuid")  # fmt: skip
    for _ in range(2):
        told = {total.status: total.durations for total in catalogue.tallies.exports()}
        assert {status: (each.count, each.seconds) for status, each in told.items()} == {
            "PENDING": (2, 0), "PROCESSING": (2, 0), "COMPLETED": (1, 7.0), "FAILED": (1, 2.0),
        }  # fmt: skip
        assert told["COMPLETED"].classes[LATENCY_BOUNDS.index(10.0)] == 1
        assert told["FAILED"].classes[LATENCY_BOUNDS.index(2.5)] == 1
        catalogue.tallies.fold()


def test_latency_classes_are_those_of_the_bounds(sql) -> None:
    for place, bound in enumerate(LATENCY_BOUNDS):
        assert sql("SELECT latency_class(%s), latency_class(%s)", (bound, bound + 0.001)) == [(place, place + 1)]


def test_a_recount_makes_right_what_was_changed_past_the_triggers(make, catalogue: Catalogue, sql) -> None:
    camera = make.camera()
    make.recorded(make.minutes(camera, 5))
    catalogue.tallies.fold()
    sql("SET session_replication_role = replica; DELETE FROM replicas WHERE start_time > '2026-03-01 00:01+0';"
        "DELETE FROM segments WHERE start_time > '2026-03-01 00:01+0'; UPDATE transfers SET size_bytes = 1"
    )  # fmt: skip
    sql("SET session_replication_role = origin")
    drifted = catalogue.tallies.drift()
    assert min(drifted[name] for name in drifted if name not in ("deletions", "retrievals")) > 0
    catalogue.tallies.recount()
    assert none_drifted(catalogue)
    assert [(each.segments, each.last_end) for each in catalogue.tallies.cameras()] == [
        (2, START + timedelta(minutes=2))
    ]


def test_the_migration_counts_what_is_there(postgres: PostgresServer, tmp_path, make, catalogue: Catalogue) -> None:
    """The tables as they were, with footage, then the rest of the migrations."""
    for path in sorted((sql_directory() / "migrations").glob("*.sql"))[:6]:
        (tmp_path / path.name).write_text(path.read_text())
    postgres.create_database("before_tallies")
    dsn = postgres.dsn("before_tallies")
    with closing(psycopg2.connect(dsn)) as connection, Catalogue(lambda: psycopg2.connect(dsn)) as old:
        upgrade(connection, "reelkeeper", tmp_path)
        make.catalogue = old
        make.recorded(make.minutes(make.camera("gate"), 3))
        upgrade(connection, "reelkeeper")
        assert none_drifted(old)
        assert [(u.store, u.replicas) for u in old.tallies.usage()[0]] == [("local", 3)]
        assert [(c.segments, c.last_end) for c in old.tallies.cameras()] == [(3, START + timedelta(minutes=3))]
        assert [t.durations.count for t in old.tallies.transfers()] == [3]
    postgres.drop_database("before_tallies")


def test_a_recount_proves_what_was_read_as_far_as_its_duration_is_known(catalogue: Catalogue, sql) -> None:
    catalogue.tallies.note_retrieval(LOCAL, 100)  # by somebody who tells nothing
    read = Retrieval(SegmentId(uuid4()), START, LOCAL, 30, START, START + timedelta(seconds=2))
    catalogue.retrievals.record(uuid4(), [read, replace(read, id=uuid4(), error_code="store_timeout")])
    for _ in range(2):
        assert none_drifted(catalogue)
        catalogue.tallies.fold()
    right = catalogue.tallies.retrievals()
    assert [(each.outcome, each.segments, each.size_bytes, each.durations.seconds) for each in right] == [
        ("failed", 1, 30, 2.0), ("succeeded", 2, 130, 2.0)
    ]  # fmt: skip
    sql("UPDATE retrieval_tallies SET segments = segments + 1, microseconds = 5 WHERE latency_class >= 0")
    assert {name: drifted for name, drifted in catalogue.tallies.drift().items() if drifted} == {"retrievals": 2}
    catalogue.tallies.recount()
    assert none_drifted(catalogue)
    assert catalogue.tallies.retrievals() == right


def test_what_was_read_before_durations_were_kept_enters_no_histogram(
    postgres: PostgresServer, tmp_path, make, catalogue: Catalogue
) -> None:
    """Of three segments that an export was cut from two were folded; the upgrade takes all over, and nothing twice."""
    for path in sorted((sql_directory() / "migrations").glob("*.sql"))[:9]:
        (tmp_path / path.name).write_text(path.read_text())
    postgres.create_database("before_retrievals")
    dsn = postgres.dsn("before_retrievals")
    with closing(psycopg2.connect(dsn)) as connection, Catalogue(lambda: psycopg2.connect(dsn)) as old:
        upgrade(connection, "reelkeeper", tmp_path)
        make.catalogue = old
        camera = make.camera("gate")
        with connection, connection.cursor() as cursor:
            cursor.execute("SET search_path = reelkeeper")
            cursor.execute(
                "INSERT INTO exports (id, tenant, camera_ids, start_time, end_time, format, reason, created_by,"
                " expires_at) VALUES (md5('e')::uuid, 'default', ARRAY[%s]::uuid[], now(), now() + interval '1 h',"
                " 'mp4', 'a', 'me', now()); INSERT INTO export_cameras (export_id, number, camera_id)"
                " VALUES (md5('e')::uuid, 0, %s)",
                (camera.id, camera.id),
            )
            source = ("INSERT INTO export_sources SELECT md5('e')::uuid, 0, md5(n::text)::uuid, now(), now(), 10,"
                      " repeat('0', 64), 'local', 'a' FROM generate_series(%s, %s) AS n")  # fmt: skip
            cursor.execute(source, (1, 2))
            cursor.execute("INSERT INTO retrieval_tallies SELECT store, sum(segments), sum(size_bytes) FROM"
                           " retrieval_changes GROUP BY 1; DELETE FROM retrieval_changes")  # fmt: skip
            cursor.execute(source, (3, 3))
        upgrade(connection, "reelkeeper")
        before = RetrievalTotals(LOCAL, "succeeded", None, 3, 30, Durations())
        for _ in range(2):
            assert old.tallies.retrievals() == [before]
            assert none_drifted(old)
            old.tallies.fold()
        old.retrievals.record(uuid4(), [
            Retrieval(SegmentId(uuid4()), START, LOCAL, 10, START, START + timedelta(seconds=0.07))
        ])  # fmt: skip
        with connection, connection.cursor() as cursor:  # what an export is cut from is not counted beside that
            cursor.execute(source, (4, 9))
        [after] = old.tallies.retrievals()
        assert (after.segments, after.size_bytes, after.durations.count, after.durations.seconds) == (4, 40, 1, 0.07)
        assert none_drifted(old)
    postgres.drop_database("before_retrievals")


def test_what_names_a_segment_or_owns_a_camera_stays(make, sql) -> None:
    make.recorded(make.minutes(make.camera(), 1))
    other = make.camera("other")
    for statement in (
        "UPDATE segments SET camera_id = %s",
        "UPDATE segments SET rollout_bucket = 9999 - rollout_bucket",
        "UPDATE cameras SET tenant = 'another'",
    ):
        with pytest.raises(psycopg2.errors.CheckViolation):
            sql(statement, (other.id,) if "%" in statement else None)


def test_a_day_is_told_anew(catalogue: Catalogue) -> None:
    day = date(2026, 3, 1)
    rows = [UsageDay(day, LOCAL, Tier.HOT, 2, 20, None), UsageDay(day, CLOUD, Tier.COLD, 1, 10, Decimal("0.000125"))]
    catalogue.tallies.keep_day(day, [UsageDay(day, LOCAL, Tier.COOL, 9, 9, None)])
    catalogue.tallies.keep_day(day, rows)
    assert catalogue.tallies.usage_days(day, day) == sorted(rows, key=lambda row: row.store)
    assert catalogue.tallies.usage_days(day + timedelta(days=1), day + timedelta(days=2)) == []
