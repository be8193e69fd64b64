"""One connection to the catalogue: transactions, errors, and values on their way in."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any
from uuid import UUID

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812  (it is a class)
from psycopg2.extras import NamedTupleCursor, register_uuid
from psycopg2.sql import SQL, Identifier

from reelkeeper.catalogue.failures import mapped
from reelkeeper.catalogue.partitions import ensure_partitions, month_of, partition_name
from reelkeeper.catalogue.queries import queries
from reelkeeper.errors import CatalogueUnavailable, ReelkeeperError
from reelkeeper.model import utc

Connect = Callable[[], Connection]


@dataclass(frozen=True, slots=True)
class Rows:
    """Many rows as one bound parameter: a JSON array of objects, which SQL reads with `json_to_recordset`."""

    rows: Sequence[Mapping[str, object]]

    def __str__(self) -> str:
        return json.dumps(self.rows, default=_jsonable, ensure_ascii=False)


class Session:
    """One connection, opened when first used and anew after it broke. Not to be shared between threads."""

    def __init__(self, connect: Connect, schema: str, statement_seconds: float | None = None) -> None:
        self._connect = connect
        self.schema = schema
        self._statement_seconds = statement_seconds
        self._connection: Connection | None = None
        self._depth = 0
        self._failed = False  # something inside the transaction under way went wrong
        self._partitions: set[str] = set()  # seen to be there

    def close(self) -> None:
        """Close the connection, if there is one; what was not committed is rolled back."""
        connection, self._connection = self._connection, None
        if connection is not None and not connection.closed:
            connection.close()

    def beside(self) -> "Session":
        """Another connection to the same catalogue, for another thread, with transactions of its own."""
        return Session(self._connect, self.schema, self._statement_seconds)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is committed together, or not at all. May be nested: the outermost counts."""
        self._depth += 1
        try:
            yield
            if self._depth == 1:
                self._commit()
        except BaseException:
            if self._depth == 1:
                self._roll_back()
            raise
        finally:
            self._depth -= 1
            if self._depth == 0:
                self._failed = False

    def rows(self, query: str, /, **parameters: object) -> list[Any]:
        """The rows of a named query, as named tuples, in the transaction under way or in one of its own.

        CatalogueUnavailable when the server did not answer, broke the connection or asked to retry;
        ConfigurationError when the schema lacks a table; PermanentError when a value is too large for PostgreSQL.
        ValueError for a naive datetime.
        """
        with self.transaction(), self._errors_mapped():
            return list(getattr(queries(), query)(self.connection(), **_bindable(parameters)))

    def row(self, query: str, /, **parameters: object) -> Any:
        """The only row of a named query."""
        (row,) = self.rows(query, **parameters)
        return row

    def execute(self, query: str, /, **parameters: object) -> int:
        """Run a named query that changes rows; how many it changed. Errors as in `rows`."""
        with self.transaction(), self._errors_mapped():
            changed: int = getattr(queries(), query)(self.connection(), **_bindable(parameters))
            return changed

    def bound(self, sql: str, /, **parameters: object) -> str:
        """A statement as the driver would send it, its parameters in place. Errors as in `rows`."""
        with self.transaction(), self._errors_mapped(), self.connection().cursor() as cursor:
            return cursor.mogrify(sql, _bindable(parameters)).decode()

    def load(self, table: str, rows: bytes) -> None:
        """Add rows in COPY's text format to one of this connection's temporary tables. Errors as in `rows`."""
        with self.transaction(), self._errors_mapped(), self.connection().cursor() as cursor:
            cursor.copy_expert(SQL("COPY {} FROM STDIN").format(Identifier(table)), BytesIO(rows))

    def analyze(self, table: str) -> None:
        """Let the planner know what one of this connection's temporary tables holds."""
        with self.transaction(), self._errors_mapped(), self.connection().cursor() as cursor:
            cursor.execute(SQL("ANALYZE {}").format(Identifier(table)))

    def read_one_moment(self) -> None:
        """Let the transaction that begins here read what is committed by its first query and nothing later, and change
        nothing."""
        with self.transaction(), self._errors_mapped(), self.connection().cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")

    def ensure_partitions(self, tables: Sequence[str], times: Iterable[datetime]) -> None:
        """Make the months of `times` in partitioned tables that are not there yet.

        Partitions are made ahead of time; this is for footage older than anyone planned for. They are made by a
        connection of their own, since locks taken inside a transaction under way could deadlock with other writers.
        """
        months = {month_of(moment) for moment in times}
        names = {partition_name(table, month) for table in tables for month in months} - self._partitions
        if not names:
            return
        if self.rows("missing_tables", names=sorted(names)):
            with self._errors_mapped(), closing(self._connect()) as connection:
                for month in sorted(months):
                    ensure_partitions(connection, self.schema, month, tables)
        self._partitions |= names

    def connection(self) -> Connection:
        """The open connection, in UTC and with the schema as its search path."""
        self._refuse_if_failed()
        if self._connection is None or self._connection.closed:
            with self._errors_mapped():
                self._connection = self._opened()
        return self._connection

    def _opened(self) -> Connection:
        connection = self._connect()
        try:
            connection.autocommit = False
            connection.cursor_factory = NamedTupleCursor
            register_uuid(conn_or_curs=connection)  # type: ignore[no-untyped-call]
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT set_config('search_path', quote_ident(%s), false), set_config('TimeZone', 'UTC', false)",
                    (self.schema,),
                )
                if self._statement_seconds is not None:
                    cursor.execute("SET statement_timeout = %s", (round(1000 * self._statement_seconds),))
            connection.commit()
        except BaseException:
            connection.close()
            raise
        return connection

    def _commit(self) -> None:
        self._refuse_if_failed()
        if self._connection is not None:
            with self._errors_mapped():
                self._connection.commit()

    def _refuse_if_failed(self) -> None:
        """PostgreSQL answers the commit of a failed transaction with a silent rollback, and a new connection would
        keep only what came after the failure: whoever swallowed the error must not believe that all is well."""
        if self._failed:
            raise CatalogueUnavailable("a call inside this transaction failed: nothing of it was kept")

    def _roll_back(self) -> None:
        if self._connection is None or self._connection.closed:
            return
        try:
            self._connection.rollback()
        except psycopg2.Error:  # it broke: the server rolls back by itself, and the error under way says why
            self.close()

    @contextmanager
    def _errors_mapped(self) -> Iterator[None]:
        try:
            with mapped(self.schema):
                yield
        except (psycopg2.Error, ReelkeeperError):
            self._failed = self._depth > 0
            if self._connection is not None and self._connection.closed:
                self.close()
            raise


def _bindable(parameters: Mapping[str, object]) -> dict[str, object]:
    """The parameters as psycopg2 takes them: rows as one text, times aware."""
    return {
        name: str(value) if isinstance(value, Rows) else utc(value) if isinstance(value, datetime) else value
        for name, value in parameters.items()
    }


def _jsonable(value: object) -> object:
    if isinstance(value, datetime):
        return utc(value).isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} {value!r} cannot be a column: expected a scalar")
