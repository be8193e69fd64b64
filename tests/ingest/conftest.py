"""Fixtures of the ingest tests."""

from pathlib import Path
from typing import Any

import psycopg2
import pytest

from reelkeeper.catalogue.catalogue import Catalogue
from tests.ingest.rig import Rig


@pytest.fixture
def rig(tmp_path: Path, catalogue_dsn: str, footage: Any) -> Rig:
    def connect() -> Any:
        return psycopg2.connect(catalogue_dsn)

    return Rig(tmp_path, lambda: Catalogue(connect), footage, connect=connect)
