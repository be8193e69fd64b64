"""The schema's history: numbered SQL files, each run once and never edited after."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from psycopg2.extensions import connection as Connection  # noqa: N812  (it is a class)
from psycopg2.extensions import cursor as Cursor  # noqa: N812
from psycopg2.sql import SQL, Identifier

from reelkeeper.catalogue.failures import mapped
from reelkeeper.catalogue.partitions import ensure_partitions
from reelkeeper.catalogue.queries import sql_directory
from reelkeeper.errors import MigrationRefused
from reelkeeper.model import utc

__all__ = ["Migration", "ensure_partitions", "status", "upgrade"]

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One SQL file `NNNN_name.sql`, and when it was applied (None: not yet). `checksum` is its SHA-256."""

    number: int
    name: str
    checksum: str
    applied_at: datetime | None = None


def upgrade(connection: Connection, schema: str, directory: Path | None = None) -> list[Migration]:
    """Create the schema if need be and apply every migration that is missing; those applied now.

    Each runs in a transaction of its own together with its row in `schema_migrations`, under an advisory lock, so that
    upgrades at the same time take turns. `connection` must not be inside a transaction. MigrationRefused when a file
    that was applied is edited or gone, or a new one is numbered before one that was applied.
    """
    done: list[Migration] = []
    with mapped(schema):
        while (migration := _apply_next(connection, schema, directory)) is not None:
            done.append(migration)
    return done


def status(connection: Connection, schema: str, directory: Path | None = None) -> list[Migration]:
    """Every migration, in order; changes nothing. MigrationRefused as in `upgrade`."""
    with mapped(schema), _transaction(connection, schema) as cursor:
        return _compared(_files(directory), _applied(cursor, schema))


def _apply_next(connection: Connection, schema: str, directory: Path | None) -> Migration | None:
    """Apply the first missing migration; None when there is none."""
    with _transaction(connection, schema) as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('reelkeeper migrations ' || %s, 0))", (schema,))
        cursor.execute("SELECT FROM pg_namespace WHERE nspname = %s", (schema,))
        if cursor.fetchone() is None:
            cursor.execute(SQL("CREATE SCHEMA {}").format(Identifier(schema)))
        files = _files(directory)
        missing = [
            migration for migration in _compared(files, _applied(cursor, schema)) if migration.applied_at is None
        ]
        if not missing:
            return None
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (number integer PRIMARY KEY, name text NOT NULL,"
            " checksum char(64) NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        migration = missing[0]
        cursor.execute(files[migration.number][1])
        cursor.execute(
            "INSERT INTO schema_migrations (number, name, checksum) VALUES (%s, %s, %s) RETURNING applied_at",
            (migration.number, migration.name, migration.checksum),
        )
        (applied_at,) = cursor.fetchone() or (None,)
        return replace(migration, applied_at=applied_at)


@contextmanager
def _transaction(connection: Connection, schema: str) -> Iterator[Cursor]:
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT set_config('search_path', quote_ident(%s), true)", (schema,))
        yield cursor


def _files(directory: Path | None) -> dict[int, tuple[Migration, str]]:
    """The migration files by number, each with its text."""
    directory = directory or sql_directory() / "migrations"
    files: dict[int, tuple[Migration, str]] = {}
    for path in sorted(directory.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None or int(match[1]) in files:
            raise MigrationRefused(f"migration {path.name!r}: expected a number of its own, as in '0001_name.sql'")
        data = path.read_bytes()
        files[int(match[1])] = Migration(int(match[1]), match[2], sha256(data).hexdigest()), data.decode()
    if not files:
        raise MigrationRefused(f"no migration in {str(directory)!r}: expected files such as '0001_name.sql'")
    return files


def _applied(cursor: Cursor, schema: str) -> dict[int, Migration]:
    # Not to_regclass: it may answer from what was cached before the wait for the lock.
    cursor.execute("SELECT FROM pg_tables WHERE schemaname = %s AND tablename = 'schema_migrations'", (schema,))
    if cursor.fetchone() is None:
        return {}
    cursor.execute("SELECT number, name, checksum, applied_at FROM schema_migrations")
    return {row[0]: Migration(row[0], row[1], row[2], utc(row[3])) for row in cursor.fetchall()}


def _compared(files: dict[int, tuple[Migration, str]], applied: dict[int, Migration]) -> list[Migration]:
    """The files' migrations, each with when it was applied. MigrationRefused when file and row differ."""
    for number, migration in sorted(applied.items()):
        if number not in files:
            raise MigrationRefused(f"migration {number:04}_{migration.name} was applied and its file is gone")
        if files[number][0].checksum != migration.checksum:
            raise MigrationRefused(
                f"migration {number:04}_{migration.name} was edited after it was applied: "
                f"SHA-256 {files[number][0].checksum}, expected {migration.checksum}"
            )
    for number, (migration, _) in files.items():
        if number not in applied and number < max(applied, default=0):
            raise MigrationRefused(
                f"migration {number:04}_{migration.name} is new and numbered before {max(applied):04}, "
                "which was applied: expected a higher number"
            )
    return [applied.get(number, migration) for number, (migration, _) in sorted(files.items())]
