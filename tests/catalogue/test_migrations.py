"""Migrations run once, in order, one upgrade at a time, and never after they were edited."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from demo.servers import PostgresServer
from reelkeeper.catalogue.migrations import status, upgrade
from reelkeeper.catalogue.queries import sql_directory
from reelkeeper.errors import CatalogueUnavailable, MigrationRefused

SCHEMA = "history"


@pytest.fixture
def connect(postgres: PostgresServer) -> Iterator[Callable[[], Connection]]:
    """Opens connections to an empty database."""
    name = f"migrations_{uuid4().hex[:12]}"
    postgres.create_database(name)
    with ExitStack() as stack:

        def opened() -> Connection:
            connection = psycopg2.connect(postgres.dsn(name))
            stack.callback(connection.close)
            return connection

        yield opened
    postgres.drop_database(name)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "0001_first.sql").write_text("CREATE TABLE first (id integer PRIMARY KEY);\n")
    (tmp_path / "0002_second.sql").write_text("CREATE TABLE second (id integer REFERENCES first);\n")
    return tmp_path


def test_each_runs_once_and_is_told(connect: Callable[[], Connection], directory: Path) -> None:
    connection = connect()
    assert [m.applied_at for m in status(connection, SCHEMA, directory)] == [None, None]
    assert [m.name for m in upgrade(connection, SCHEMA, directory)] == ["first", "second"]
    assert upgrade(connection, SCHEMA, directory) == []
    assert all(m.applied_at for m in status(connection, SCHEMA, directory))
    (directory / "0003_third.sql").write_text("ALTER TABLE second ADD COLUMN note text;")
    assert [m.number for m in upgrade(connection, SCHEMA, directory)] == [3]


def test_an_edited_a_vanished_and_a_belated_one_are_refused(
    connect: Callable[[], Connection], directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    connection = connect()
    upgrade(connection, SCHEMA, directory)

    edited = Path(shutil.copytree(directory, tmp_path_factory.mktemp("edited") / "sql"))
    (edited / "0001_first.sql").write_text("CREATE TABLE first (id bigint PRIMARY KEY);\n")
    vanished = Path(shutil.copytree(directory, tmp_path_factory.mktemp("vanished") / "sql"))
    (vanished / "0002_second.sql").unlink()
    for changed, reason in ((edited, "edited"), (vanished, "gone")):
        for act in (upgrade, status):
            with pytest.raises(MigrationRefused, match=reason):
                act(connection, SCHEMA, changed)

    (directory / "0004_fourth.sql").write_text("SELECT 1;")
    upgrade(connection, SCHEMA, directory)
    (directory / "0003_belated.sql").write_text("SELECT 1;")
    with pytest.raises(MigrationRefused, match="higher number"):
        upgrade(connection, SCHEMA, directory)


@pytest.mark.parametrize("name", ["0001_twice.sql", "first.sql", "1_short.sql", "0003_Upper.sql"])
def test_a_file_without_a_number_of_its_own_is_refused(
    connect: Callable[[], Connection], directory: Path, name: str
) -> None:
    (directory / name).write_text("SELECT 1;")
    with pytest.raises(MigrationRefused, match="number of its own"):
        upgrade(connect(), SCHEMA, directory)


def test_no_files_at_all_are_refused(connect: Callable[[], Connection], tmp_path: Path) -> None:
    with pytest.raises(MigrationRefused, match="no migration in"):
        upgrade(connect(), SCHEMA, tmp_path)


def test_one_that_fails_leaves_nothing(connect: Callable[[], Connection], directory: Path) -> None:
    (directory / "0003_third.sql").write_text("CREATE TABLE third (id integer); SELECT 1 / 0;")
    connection = connect()
    with pytest.raises(psycopg2.errors.DivisionByZero):
        upgrade(connection, SCHEMA, directory)
    assert [m.applied_at is None for m in status(connection, SCHEMA, directory)] == [False, False, True]
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('history.third')")
        assert cursor.fetchone() == (None,)


def test_upgrades_at_the_same_time_take_turns(connect: Callable[[], Connection], directory: Path) -> None:
    connections = [connect() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda connection: upgrade(connection, SCHEMA, directory), connections))
    assert sorted(m.number for applied in done for m in applied) == [1, 2]


def test_a_server_that_is_not_there_is_a_transient_error(connect: Callable[[], Connection], directory: Path) -> None:
    connection = connect()
    connection.close()
    with pytest.raises(CatalogueUnavailable):
        upgrade(connection, SCHEMA, directory)


def test_the_projects_own_files_are_found_and_numbered_without_gaps() -> None:
    names = sorted(path.name for path in (sql_directory() / "migrations").glob("*.sql"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
