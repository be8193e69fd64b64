"""Setting up an estate: once it changes things, the second time it finds them right."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import psycopg2
import pytest

from demo.servers import PostgresServer
from reelkeeper.errors import BucketOwnedByOther, CatalogueUnavailable, PermanentError, StoreUnavailable, TransientError
from reelkeeper.estate_setup import partitions_needed, setup_estate
from reelkeeper.model import StoreKind, StoreName
from reelkeeper.settings import Estate
from reelkeeper.stores.protocols import Change, Check, Owner, SetsUp
from reelkeeper.stores.registry import open_store

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def estate_of(root: Path, *names: str) -> Estate:
    stores = [{"name": name, "kind": "filesystem", "root": root / name} for name in names]
    return Estate.model_validate({"stores": stores, "placement": {"local_store": names[0]}})


class Sick:
    """A store whose provider refuses to set it up."""

    kind = StoreKind.MEMORY

    def __init__(self, name: str, error: Exception) -> None:
        self.name = StoreName(name)
        self._error = error

    def set_up(self, owner: Owner | None = None, *, take_over: bool = False) -> Iterable[Change]:
        raise self._error

    def check(self) -> Iterable[Check]:
        return []


def test_partitions_from_last_month_to_three_months_ahead() -> None:
    needed = partitions_needed(NOW)
    assert needed.start == datetime(2026, 10, 1, tzinfo=UTC)
    assert needed.end == datetime(2027, 3, 1, tzinfo=UTC)
    assert partitions_needed(datetime(2026, 1, 31, tzinfo=UTC)).start == datetime(2025, 12, 1, tzinfo=UTC)


def test_a_second_set_up_changes_nothing(postgres: PostgresServer, bucket_name: str, tmp_path: Path) -> None:
    database = bucket_name.replace("-", "_")
    postgres.create_database(database)
    estate = estate_of(tmp_path, "one", "two")

    def connect() -> psycopg2.extensions.connection:
        return psycopg2.connect(postgres.dsn(database))

    def stores(name: str) -> SetsUp:
        return open_store(estate.store(name), None)

    first = setup_estate(estate, connect=connect, open_store=stores, now=NOW)
    assert all(change.changed for change in first)
    whats = " ".join(change.what for change in first)
    assert "migration" in whats
    assert "2027_02" in whats or "202702" in whats
    assert "store 'two': folder" in whats
    second = setup_estate(estate, connect=connect, open_store=stores, now=NOW)
    assert second
    assert not any(change.changed for change in second)
    postgres.drop_database(database)


def test_a_sick_store_does_not_keep_the_others_from_being_set_up(catalogue_dsn: str, tmp_path: Path) -> None:
    estate = estate_of(tmp_path, "one", "two", "three")
    sick: dict[str, SetsUp] = {"one": Sick("one", StoreUnavailable("down"))}

    def set_up() -> None:
        setup_estate(
            estate,
            connect=lambda: psycopg2.connect(catalogue_dsn),
            open_store=lambda name: sick.get(name) or open_store(estate.store(name), None),
            now=NOW,
        )

    with pytest.raises(StoreUnavailable, match="down"):
        set_up()
    assert (tmp_path / "three").is_dir()
    sick["two"] = Sick("two", StoreUnavailable("away"))
    with pytest.raises(TransientError, match="store 'one': down; store 'two': away"):
        set_up()
    sick["two"] = Sick("two", BucketOwnedByOther("theirs"))
    with pytest.raises(PermanentError, match="store 'two': theirs"):
        set_up()


def test_a_catalogue_that_does_not_answer_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(CatalogueUnavailable, match="unavailable"):
        setup_estate(
            estate_of(tmp_path, "one"),
            connect=lambda: psycopg2.connect("postgresql://127.0.0.1:1/none?connect_timeout=1"),
            open_store=lambda name: Sick(name, AssertionError()),
            now=NOW,
        )
