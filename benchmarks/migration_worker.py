"""The worker process of the migration benchmark: one whole migration, as the DAG's tasks do it one after another."""

import json
import os
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

MEDIA_FOLDER = "media"
BATCH_SIZE = 5000
"""Segments of one task: some seconds of work for files as small as these."""


@dataclass(frozen=True, slots=True)
class Task:
    """What to migrate, and where to. Secrets come from the environment."""

    folder: str
    dsn: str
    endpoint_url: str
    region: str
    bucket: str
    files: int


def main(task: Task) -> dict[str, float]:
    """Migrate everything; the seconds of each phase. GateFailed, or an AssertionError, unless all went well."""
    began = time.monotonic()
    import minio
    import psycopg2

    from reelkeeper.catalogue.catalogue import Catalogue
    from reelkeeper.migration.job import gate, plan_migration, transfer_batch, verify_batch
    from reelkeeper.model import StoreKind, StoreName, TimeRange
    from reelkeeper.settings import Estate, Placement, StoreSettings
    from reelkeeper.stores.access import MinioAccess
    from reelkeeper.stores.filesystem import FilesystemStore
    from reelkeeper.stores.protocols import Store
    from reelkeeper.stores.registry import open_store

    access_key, secret_key = os.environ["BENCH_ACCESS_KEY"], os.environ["BENCH_SECRET_KEY"]
    cloud = StoreSettings(name="cloud", kind=StoreKind.MINIO, bucket=task.bucket, region=task.region)
    disk = StoreSettings(name="disk", kind=StoreKind.FILESYSTEM, root=Path(task.folder))
    placement = Placement(mode="cloud", local_store="disk", cloud_store="cloud")
    estate = Estate(stores=(disk, cloud), placement=placement)
    client = minio.Minio(
        task.endpoint_url.partition("//")[2],
        access_key=access_key,
        secret_key=secret_key,
        secure=False,
        region=task.region,
    )
    access = MinioAccess(task.endpoint_url, access_key, secret_key, task.region, client)
    stores: dict[str, Store] = {
        "disk": FilesystemStore(StoreName("disk"), Path(task.folder)),
        "cloud": open_store(cloud, access),
    }

    def open_catalogue() -> Catalogue:
        return Catalogue(lambda: psycopg2.connect(task.dsn))

    phases = {}

    def phase(name: str) -> None:
        nonlocal began
        phases[name] = time.monotonic() - began
        began = time.monotonic()

    phase("imports")
    with open_catalogue() as catalogue:
        interval = TimeRange(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=2))
        plan = plan_migration(estate, catalogue, run_id="bench", interval=interval, batch_size=BATCH_SIZE)
        ids = [batch.id for batch in plan.batches]
        phase("plan")
        for batch_id in ids:
            transfer_batch(estate, open_catalogue, stores.__getitem__, batch_id)
        phase("transfer")
        looks = [verify_batch(estate, open_catalogue, stores.__getitem__, batch_id) for batch_id in ids]
        phase("verify")
        counts = gate(estate, catalogue, ids, unverified=sum(look.unverified for look in looks))
        phase("gate")
    assert counts.done == task.files, counts
    return phases


if __name__ == "__main__":
    print(json.dumps(main(Task(**json.loads(sys.argv[1])))))
