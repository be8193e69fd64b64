"""A verification in a process of its own, which may die: `python -m tests.verification.worker JSON`."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg2

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.model import Key, StoreKind, StoreName
from reelkeeper.settings import Estate, Placement, StoreSettings
from reelkeeper.stores.filesystem import FilesystemStore
from reelkeeper.verification import findings
from reelkeeper.verification.job import verify_store


class Mortal(FilesystemStore):
    """A disk that notes which objects are read, and by which the process dies as it begins the n-th."""

    def __init__(self, root: Path, notes: Path, dies_at: int) -> None:
        super().__init__(StoreName("disk"), root)
        self._notes, self._dies_at = notes, dies_at

    def read(self, key: Key) -> Iterator[bytes]:
        with self._notes.open("a", encoding="utf-8") as notes:
            notes.write(f"{key}\n")
        if self._dies_at and len(self._notes.read_text(encoding="utf-8").splitlines()) >= self._dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(key)


def main(root: str, dsn: str, notes: str, dies_at: int, started: str) -> int:
    """Verify everything that is due; how many were read by this process."""
    findings._RECORD_FINDINGS = 10
    disk = StoreSettings(name="disk", kind=StoreKind.FILESYSTEM, root=Path(root), concurrency=2)
    estate = Estate(stores=(disk,), placement=Placement(mode="local", local_store="disk"))
    store = Mortal(Path(root), Path(notes), dies_at)
    found = verify_store(
        estate, lambda: Catalogue(lambda: psycopg2.connect(dsn)), lambda _: store, "disk",
        run_id="run", started=datetime.fromisoformat(started), now=lambda: datetime.now(UTC),
    )  # fmt: skip
    return found.read


if __name__ == "__main__":
    print(main(**json.loads(sys.argv[1])))
