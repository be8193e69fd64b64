"""A worker of a migration in a process of its own, which may die: `python -m tests.migration.worker JSON`."""

import json
import os
import signal
import sys
from datetime import timedelta
from itertools import count
from pathlib import Path
from uuid import UUID

import psycopg2

from demo.servers import S3Server
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.migration.job import transfer_batch
from reelkeeper.model import BatchId, Key, StoreKind, StoreName
from reelkeeper.settings import Estate, Placement, StoreSettings
from reelkeeper.stores.body import Body
from reelkeeper.stores.filesystem import FilesystemStore
from reelkeeper.stores.protocols import Store, WriteOptions
from reelkeeper.stores.registry import open_store
from tests.stores.rigs import minio_access

LEASE = timedelta(seconds=3)


def cloud_store(server: S3Server, bucket: str) -> Store:
    """The bucket as the estate's cloud."""
    settings = StoreSettings(name="cloud", kind=StoreKind.MINIO, bucket=bucket)
    return open_store(settings, minio_access(server))


def mortal(store: Store, writes: int) -> Store:
    """The store, in which the process dies by SIGKILL right after so many writes, while others are under way."""
    write, done = store.write, count(1)

    def dying_write(key: Key, body: Body, options: WriteOptions = WriteOptions()) -> None:
        write(key, body, options)
        if next(done) >= writes:
            os.kill(os.getpid(), signal.SIGKILL)

    store.write = dying_write  # type: ignore[method-assign]
    return store


def main(root: str, dsn: str, bucket: str, batch_id: str, server: dict[str, str], dies_after: int) -> int:
    """Transfer the batch, and return how many segments this worker copied. With `dies_after` 0 it lives."""
    disk = StoreSettings(name="disk", kind=StoreKind.FILESYSTEM, root=Path(root))
    cloud = StoreSettings(name="cloud", kind=StoreKind.MINIO, bucket=bucket, concurrency=4)
    estate = Estate(stores=(disk, cloud), placement=Placement(mode="cloud", local_store="disk", cloud_store="cloud"))
    target = cloud_store(S3Server(**server), bucket)
    stores = {
        "disk": FilesystemStore(StoreName("disk"), Path(root)),
        "cloud": mortal(target, dies_after) if dies_after else target,
    }
    result = transfer_batch(
        estate,
        lambda: Catalogue(lambda: psycopg2.connect(dsn)),
        stores.__getitem__,
        BatchId(UUID(batch_id)),
        lease=LEASE,
    )
    return result.succeeded


if __name__ == "__main__":
    print(main(**json.loads(sys.argv[1])))
