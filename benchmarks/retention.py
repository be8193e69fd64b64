"""The engine of deletion: `python -m benchmarks.retention [--objects N] [--markdown FILE]`.

Objects of 4 KiB in a bucket of SeaweedFS with their rows, condemned, through the whole engine: judged again, deleted in
bulk, recorded and forgotten. Exit 1 when less than 1000 objects a second go. Planning is `benchmarks.planning`, and the
store's bulk deletion by itself, beside its peers, `benchmarks.deletion`.
"""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg2

from benchmarks.catalogue import LAST, TENANT, build
from benchmarks.deletion import open_bucket
from benchmarks.planning import estate
from demo.servers import postgres, seaweedfs
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.migrations import upgrade
from reelkeeper.estate_setup import set_up_store
from reelkeeper.model import Camera, Key, StoreKind, camera_id
from reelkeeper.retention.deleting import delete_condemned
from reelkeeper.stores.body import Body

LEAST_PER_SECOND = 1000
CONDEMN = """
SET search_path = reelkeeper;
CREATE TEMPORARY TABLE chosen AS
SELECT * FROM replicas WHERE store = 'local' ORDER BY start_time DESC LIMIT %(objects)s;
UPDATE replicas r SET state = 'condemned' FROM chosen c WHERE r.store = 'local' AND r.path = c.path;
INSERT INTO condemnations
SELECT store, path, segment_id, start_time, 'expired', size_bytes, 'bench', %(now)s, %(now)s FROM chosen;
SELECT path FROM chosen;
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--markdown", type=Path, help="also write the table here")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reelkeeper-bench-") as directory:
        Path(directory).chmod(0o755)  # the servers may run as another user
        with (
            postgres(Path(directory) / "postgres", durable=True) as server,
            seaweedfs(Path(directory) / "seaweedfs") as bucket,
        ):
            server.create_database("bench")
            dsn = server.dsn("bench")
            stores = {name: open_bucket(StoreKind.MINIO, bucket, f"bench-{name}") for name in ("local", "cloud")}
            with closing(psycopg2.connect(dsn)) as connection:
                upgrade(connection, "reelkeeper")
                with Catalogue(lambda: psycopg2.connect(dsn)) as catalogue:
                    slugs = [f"camera-{number:03}" for number in range(50)]
                    catalogue.cameras.register([Camera(camera_id(TENANT, s), TENANT, s, s) for s in slugs])
                    for each in stores.values():
                        set_up_store(each, catalogue)
                build(connection, max(asked.objects * 2, 100_000), 50)
                with connection.cursor() as cursor:
                    cursor.execute(CONDEMN, {"objects": asked.objects, "now": LAST})
                    paths = [Key(path) for (path,) in cursor.fetchall()]
            store, body = stores["local"], Body.of_bytes(b"x" * 4096)
            with ThreadPoolExecutor(16) as pool:
                list(pool.map(lambda path: store.write(path, body), paths))
            began = time.perf_counter()
            result = delete_condemned(
                estate(30), lambda: Catalogue(lambda: psycopg2.connect(dsn)), stores.__getitem__, "local",
                run_id="bench", now=LAST + timedelta(days=4000),
            )  # fmt: skip
            seconds = time.perf_counter() - began
            left = sum(1 for _ in store.list())
    rate = result.deleted / seconds
    text = f"{result.deleted:,} objects deleted and forgotten in {seconds:.1f} s: {rate:,.0f} a second; {left} left"
    print(text)
    if asked.markdown:
        asked.markdown.write_text(text + "\n")
    return 0 if rate >= LEAST_PER_SECOND and not left else 1


if __name__ == "__main__":
    sys.exit(main())
