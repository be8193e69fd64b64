"""Statements on a test's database, past the repositories."""

from contextlib import closing
from typing import Any

import psycopg2


def run_sql(dsn: str, statement: str, values: object = None) -> list[tuple[Any, ...]]:
    """Run it in a transaction of its own; its rows, if it has any."""
    with (
        closing(psycopg2.connect(dsn, options="-c search_path=reelkeeper")) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []
