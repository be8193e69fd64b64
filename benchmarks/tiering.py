"""Planning the tiers of ten million replicas: `python -m benchmarks.tiering [--segments N] [--markdown FILE]`.

Builds the history of `benchmarks.catalogue`, lets its local store have the prices and classes of AWS, and measures the
first plan of a run, when all of it is to move, as a dry run and for real; then the plan of the next day, when all that
pays is in its tier and the rest is refused again. Exit 1 when one takes longer than 30 s.
"""

import argparse
import sys
import tempfile
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg2

from benchmarks.catalogue import LAST, TENANT, build
from demo.servers import postgres
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.migrations import upgrade
from reelkeeper.model import Camera, StoreKind, camera_id
from reelkeeper.settings import Estate, Placement, StoreSettings
from reelkeeper.settings.models import Retention
from reelkeeper.tiering import TierPlan, plan_tiers

BOUND_SECONDS = 30
ESTATE = Estate(
    stores=(
        StoreSettings(name="disk", kind=StoreKind.MINIO, bucket="disk"),
        StoreSettings(name="local", kind=StoreKind.S3, bucket="local"),
        StoreSettings(name="cloud", kind=StoreKind.S3, bucket="cloud"),
    ),
    placement=Placement(mode="hybrid", local_store="disk", cloud_store="cloud"),
    retention=Retention(default_days=3650),
)
ALL_IN_THEIR_TIER = """
UPDATE reelkeeper.replicas SET tier = 'ARCHIVE', storage_class = 'GLACIER' WHERE start_time < %s;
"""


def measured(catalogue: Catalogue, what: str, *, run_id: str, dry_run: bool) -> tuple[str, float]:
    """One plan: a row of the table, and its seconds."""
    began = time.perf_counter()
    plan = plan_tiers(ESTATE, catalogue, run_id=run_id, dry_run=dry_run, now=lambda: LAST)
    seconds = time.perf_counter() - began
    print(f"{what}: {seconds:.1f} s", file=sys.stderr)
    return f"| {what} | {_paying(plan):,} | {_refused(plan):,} | {plan.replicas:,} | {seconds:.1f} |", seconds


def _paying(plan: TierPlan) -> int:
    return plan.replicas + plan.left


def _refused(plan: TierPlan) -> int:
    return sum(each.found.replicas for each in plan.refused)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, default=10_000_000)
    parser.add_argument("--cameras", type=int, default=50)
    parser.add_argument("--markdown", type=Path, help="also write the table here")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="reelkeeper-bench-") as directory:
        Path(directory).chmod(0o755)  # the server may run as another user
        with postgres(Path(directory) / "postgres", durable=True) as server:
            server.create_database("bench")
            dsn = server.dsn("bench")
            with closing(psycopg2.connect(dsn)) as connection:
                upgrade(connection, "reelkeeper")
                with Catalogue(lambda: psycopg2.connect(dsn)) as catalogue:
                    slugs = [f"camera-{number:03}" for number in range(asked.cameras)]
                    catalogue.cameras.register([Camera(camera_id(TENANT, s), TENANT, s, s) for s in slugs])
                build(connection, asked.segments, asked.cameras)
                rows = [
                    measured(catalogue, "all is to move (dry run)", run_id="dry", dry_run=True),
                    measured(catalogue, "all is to move", run_id="first", dry_run=False),
                ]
                with connection.cursor() as cursor:
                    cursor.execute(ALL_IN_THEIR_TIER, (LAST - timedelta(days=92),))
                    cursor.execute("VACUUM ANALYZE reelkeeper.replicas")
                rows.append(measured(catalogue, "the next day", run_id="second", dry_run=False))
    head = ["| plan | pay | do not | in batches | s |", "|---|---:|---:|---:|---:|"]
    text = "\n".join(
        [f"{asked.segments:,} segments, their replicas in two stores", "", *head, *(row for row, _ in rows)]
    )
    print(text)
    if asked.markdown:
        asked.markdown.write_text(text + "\n")
    return 0 if all(seconds <= BOUND_SECONDS for _, seconds in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
