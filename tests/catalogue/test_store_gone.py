"""A store that holds footage by the catalogue, and is not there, is never made anew by itself."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from reelkeeper.errors import StoreUnavailable
from reelkeeper.estate_setup import setup_estate
from reelkeeper.model import StoreName
from reelkeeper.settings import Estate
from reelkeeper.stores.protocols import Change
from reelkeeper.stores.registry import open_store


def test_an_unmounted_disk_is_not_made_an_empty_store(catalogue_dsn: str, make: Any, tmp_path: Path) -> None:
    stores = [{"name": name, "kind": "filesystem", "root": tmp_path / name} for name in ("one", "two")]
    estate = Estate.model_validate({"stores": stores, "placement": {"local_store": "one"}})

    def set_up(*accept_empty: str) -> list[Change]:
        return setup_estate(
            estate,
            connect=lambda: psycopg2.connect(catalogue_dsn),
            open_store=lambda name: open_store(estate.store(name), None),
            now=datetime(2026, 11, 21, tzinfo=UTC),
            accept_empty=accept_empty,
        )

    set_up()
    make.recorded([make.ingested(make.camera(), store=StoreName("one"))])
    mount_point = tmp_path / "one"
    mount_point.rename(tmp_path / "disk")
    mount_point.mkdir()
    with pytest.raises(StoreUnavailable, match=r"store 'one' holds replicas .* accept_empty"):
        set_up()
    assert list(mount_point.iterdir()) == []
    mount_point.rmdir()
    (tmp_path / "disk").rename(mount_point)
    assert not any(change.changed for change in set_up())
    mount_point.rename(tmp_path / "lost")
    assert [change.what for change in set_up("one") if change.changed]
