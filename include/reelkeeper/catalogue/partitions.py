"""Monthly partitions, made ahead of time."""

import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812  (it is a class)
from psycopg2.sql import SQL, Identifier, Literal

from reelkeeper.catalogue.failures import mapped
from reelkeeper.model import TimeRange, utc

FOOTAGE = ("segments", "replicas", "thumbnails")
"""The tables that are partitioned by the start of the segment."""
HISTORY = ("transfers", "deletions")
"""The tables that are partitioned by the end of an attempt."""
_LOCK_TIMEOUT = "1s"
"""How long writers may queue behind us while we wait for those before us."""
_TRIES = 20


def month_of(moment: datetime) -> TimeRange:
    """The calendar month, in UTC, that holds `moment`."""
    moment = utc(moment)
    start = datetime(moment.year, moment.month, 1, tzinfo=UTC)
    return TimeRange(start, datetime(start.year + start.month // 12, start.month % 12 + 1, 1, tzinfo=UTC))


def partition_name(table: str, month: TimeRange) -> str:
    """What the partition of `table` for a month is called: `segments_2026_11`."""
    return f"{table}_{month.start:%Y_%m}"


def ensure_partitions(
    connection: Connection, schema: str, time_range: TimeRange, tables: Sequence[str] = (*FOOTAGE, *HISTORY)
) -> list[str]:
    """Make the monthly partitions of `tables` that cover the range and are not there; the names of those made.

    Safe beside writers, readers and itself: a partition is made as a table of its own and attached, which takes no lock
    that stops readers, and gives up its place in the queue of writers after a second, to try again. Each is
    committed by itself, so that a killed call has lost nothing; `connection` must not be inside a transaction.
    CatalogueUnavailable when writers left no gap in twenty tries.
    """
    months = [month_of(time_range.start)]
    while months[-1].end < time_range.end:
        months.append(month_of(months[-1].end))
    wanted = [(table, month) for month in months for table in tables]
    with mapped(schema):
        missing = _missing(connection, schema, [partition_name(table, month) for table, month in wanted])
        return [
            partition_name(table, month)
            for table, month in wanted
            if partition_name(table, month) in missing and _attach_patiently(connection, schema, table, month)
        ]


def _missing(connection: Connection, schema: str, names: Sequence[str]) -> set[str]:
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM unnest(%s::text[]) AS name"
            " WHERE to_regclass(quote_ident(%s) || '.' || quote_ident(name)) IS NULL",
            (list(names), schema),
        )
        return {row[0] for row in cursor.fetchall()}


def _attach_patiently(connection: Connection, schema: str, table: str, month: TimeRange) -> bool:
    for attempt in range(1, _TRIES + 1):
        try:
            return _attach(connection, schema, table, month)
        except (psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected):
            if attempt == _TRIES:
                raise
            time.sleep(random.uniform(0.1, 0.5))  # noqa: S311  (jitter)
    raise AssertionError("unreachable")


def _attach(connection: Connection, schema: str, table: str, month: TimeRange) -> bool:
    """Make one partition, in one transaction. False when another did meanwhile.

    One at a time: attaching to a table with foreign keys also locks the tables at their other end, and holding several
    such locks could deadlock with a recorder.
    """
    parent, partition = Identifier(schema, table), Identifier(schema, partition_name(table, month))
    with connection, connection.cursor() as cursor:
        cursor.execute(SQL("SET LOCAL lock_timeout = {}").format(Literal(_LOCK_TIMEOUT)))
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('reelkeeper partitions ' || %s, 0))", (schema,))
        # Not to_regclass: it may answer from what was cached before the wait for the lock.
        cursor.execute(
            "SELECT FROM pg_tables WHERE schemaname = %s AND tablename = %s", (schema, partition_name(table, month))
        )
        if cursor.fetchone() is not None:
            return False
        cursor.execute(SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL EXCLUDING IDENTITY)").format(partition, parent))
        cursor.execute(
            SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                parent, partition, Literal(month.start), Literal(month.end)
            )
        )
    return True
