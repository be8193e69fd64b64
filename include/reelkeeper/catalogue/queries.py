"""The named queries of `sql/queries` and `sql/quality`, and where the SQL files lie."""

from functools import cache
from pathlib import Path

import aiosql
from aiosql.queries import Queries


def sql_directory() -> Path:
    """The folder of `migrations` and `queries`: the package's where a wheel was installed, else the repository's."""
    package = Path(__file__).parents[1]
    shipped = package / "sql"
    return shipped if shipped.is_dir() else package.parents[1] / "sql"


@cache
def queries() -> Queries:
    """Every query by its name. Parameters are named and always bound by the driver."""
    loaded: Queries = aiosql.from_path(sql_directory() / "queries", "psycopg2", mandatory_parameters=False)
    return loaded


@cache
def quality_queries() -> Queries:
    """What the expectations of `policy/quality.py` look at, and which rows of it are wrong, by name."""
    loaded: Queries = aiosql.from_path(sql_directory() / "quality", "psycopg2", mandatory_parameters=False)
    return loaded
