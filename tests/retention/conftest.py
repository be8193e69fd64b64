"""A rig for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.retention.rig import Rig


@pytest.fixture
def rig(tmp_path: Path, catalogue_dsn: str) -> Iterator[Rig]:
    made = Rig(tmp_path, catalogue_dsn)
    yield made
    made.catalogue.close()


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of milliseconds between the tries."""
    from reelkeeper.retention import deleting, last_look
    from reelkeeper.stores import retry

    for module in (deleting, last_look):
        monkeypatch.setattr(module, "retrying", lambda **more: retry.retrying(first_wait_seconds=0.002, **more))
