"""The steps of a migration as tests take them, and a cloud that fails."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from reelkeeper.migration.job import transfer_batch, verify_batch
from reelkeeper.model import BatchId, Key, StoreName
from reelkeeper.stores.body import Body
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import WriteOptions

if TYPE_CHECKING:
    from tests.migration.conftest import Archive

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
NOW = START + timedelta(days=1)


class Failing(MemoryStore):
    """A cloud that fails for the keys that are in `errors` (all keys: None)."""

    def __init__(self) -> None:
        super().__init__(StoreName("cloud"))
        self.errors: dict[Key | None, Exception] = {}
        self.asked = 0

    def write(self, key: Key, body: Body, options: WriteOptions = WriteOptions()) -> None:
        self.asked += 1
        error = self.errors.get(key) or self.errors.get(None)
        if error is not None:
            raise error
        super().write(key, body, options)


def migrate(archive: "Archive", run_id: str = "run 1", **options: object) -> list[BatchId]:
    """Plan and transfer all batches of a run."""
    ids = [batch.id for batch in archive.plan(run_id, **options).batches]
    for batch_id in ids:
        transfer(archive, batch_id)
    return ids


def transfer(archive: "Archive", batch_id: BatchId, **options: object):  # type: ignore[no-untyped-def]
    options = {"now": lambda: NOW} | options
    return transfer_batch(archive.estate, archive.open_catalogue, archive.open_store, batch_id, **options)  # type: ignore[arg-type]


def verify(archive: "Archive", batch_id: BatchId):  # type: ignore[no-untyped-def]
    return verify_batch(archive.estate, archive.open_catalogue, archive.open_store, batch_id)
