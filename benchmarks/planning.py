"""Planning over ten million replicas: `python -m benchmarks.planning [--segments N] [--markdown FILE]`.

Builds the history of `benchmarks.catalogue`: a local copy of each segment, a cloud copy of 30 %. Then plans retention:
of a usual day, and when a third of all is over, as when a retention is lowered. Then the tiers, where the stores have
the prices and classes of AWS: the first plan, when nearly all is to move, and that of the next day, when all that pays
is in its tier. Exit 1 when a plan takes longer than 30 s.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812  (it is a class)

from benchmarks.catalogue import FIRST, LAST, history
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.model import StoreKind, StoreName
from reelkeeper.retention.job import condemn_due, plan_retention
from reelkeeper.settings import Estate, Placement, Retention, RetentionCaps, StoreSettings
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import Store
from reelkeeper.tiering.job import plan_tiers

BOUND_SECONDS = 30
USUAL_DAYS = (LAST - FIRST).days - 1  # the oldest day is over
A_THIRD_OVER = (LAST - FIRST).days * 2 // 3
A_DAY_RETIRES = "UPDATE reelkeeper.replicas SET retire_after = %s WHERE store = 'local' AND start_time >= %s"
ALL_IN_THEIR_TIER = (
    "UPDATE reelkeeper.replicas SET tier = 'ARCHIVE', storage_class = 'GLACIER' WHERE start_time < %s AND store = %s"
)
LOCAL, CLOUD = StoreName("local"), StoreName("cloud")


def estate(days: int, *, quota: int | None = None) -> Estate:
    """A local bucket, with a quota, and one of AWS."""
    return Estate(
        stores=(
            StoreSettings(name=LOCAL, kind=StoreKind.MINIO, bucket=LOCAL, quota=quota),
            StoreSettings(name=CLOUD, kind=StoreKind.S3, bucket=CLOUD),
        ),
        placement=Placement(mode="hybrid", local_store=LOCAL, cloud_store=CLOUD),
        retention=Retention(default_days=days, min_days_after_ingest=0),
        retention_caps=RetentionCaps(soft_count=10**9, soft_ratio=1, hard_count=10**9, hard_ratio=1),
    )


TIERED = Estate(
    stores=(
        StoreSettings(name="disk", kind=StoreKind.MINIO, bucket="disk"),
        StoreSettings(name=LOCAL, kind=StoreKind.S3, bucket=LOCAL),
        StoreSettings(name=CLOUD, kind=StoreKind.S3, bucket=CLOUD),
    ),
    placement=Placement(mode="hybrid", local_store="disk", cloud_store=CLOUD),
    retention=Retention(default_days=3650),
)
"""Here all replicas are in classes of AWS, so that each of them is weighed."""


def no_store(name: str) -> Store:
    """A plan asks the stores themselves about little, and here nothing."""
    return MemoryStore(StoreName(name))


def timed(what: str, plan: Callable[[], Any]) -> tuple[Any, float]:
    """A plan, and its seconds."""
    began = time.perf_counter()
    result = plan()
    seconds = time.perf_counter() - began
    print(f"{what}: {seconds:.1f} s", file=sys.stderr)
    return result, seconds


def retention_plans(connection: Connection, catalogue: Catalogue) -> Iterator[tuple[str, float, int]]:
    """What was planned, its seconds, and how many replicas are to leave."""
    with connection.cursor() as cursor:
        cursor.execute(A_DAY_RETIRES, (LAST, LAST - timedelta(days=31)))
        cursor.execute("VACUUM ANALYZE reelkeeper.replicas")
    quota = int(catalogue.retention.contents([LOCAL])[LOCAL].size_bytes * 0.97)
    for what, terms in (
        ("retention, a usual day", estate(USUAL_DAYS, quota=quota)),
        ("retention, a third is over", estate(A_THIRD_OVER)),
    ):
        plan, seconds = timed(what, lambda terms=terms: plan_retention(terms, catalogue, now=LAST))  # type: ignore[misc]
        yield what, seconds, sum(store.found.objects for store in plan.stores)
    usual = estate(USUAL_DAYS, quota=quota)
    what = "retention, a usual day's condemned in the local store"
    found, seconds = timed(what, lambda: condemn_due(usual, catalogue, LOCAL, run_id="usual", now=LAST))
    yield what, seconds, found.objects


def tier_plans(connection: Connection, catalogue: Catalogue) -> Iterator[tuple[str, float, int]]:
    """What was planned, its seconds, and how many replicas' moves pay."""
    for what, dry_run in (("tiers, all is to move, dry run", True), ("tiers, all is to move", False)):
        plan, seconds = timed(
            what,
            lambda dry=dry_run: plan_tiers(TIERED, catalogue, no_store, run_id=str(dry), dry_run=dry, now=lambda: LAST),  # type: ignore[misc]
        )
        yield what, seconds, plan.replicas + plan.left
    with connection.cursor() as cursor:
        for store in (LOCAL, CLOUD):
            cursor.execute(ALL_IN_THEIR_TIER, (LAST - timedelta(days=92), store))
        cursor.execute("VACUUM ANALYZE reelkeeper.replicas")
    what = "tiers, the next day"
    plan, seconds = timed(what, lambda: plan_tiers(TIERED, catalogue, no_store, run_id="next", now=lambda: LAST))
    yield what, seconds, plan.replicas + plan.left


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, default=7_692_000, help="each has 1.3 replicas")
    parser.add_argument("--cameras", type=int, default=50)
    parser.add_argument("--markdown", type=Path, help="also write the table here")
    asked = parser.parse_args()
    with (
        history(asked.segments, asked.cameras) as (connection, dsn),
        Catalogue(lambda: psycopg2.connect(dsn)) as catalogue,
    ):
        total = sum(held.replicas for held in catalogue.retention.contents([LOCAL, CLOUD]).values())
        rows = [*retention_plans(connection, catalogue), *tier_plans(connection, catalogue)]
    text = "\n".join(
        [
            f"{asked.segments:,} segments, {total:,} replicas", "", "| plan | replicas found | s |", "|---|---:|---:|",
            *(f"| {what} | {found:,} | {seconds:.1f} |" for what, seconds, found in rows),
        ]
    )  # fmt: skip
    print(text)
    if asked.markdown:
        asked.markdown.write_text(text + "\n")
    if empty := [what for what, _, found in rows[:-1] if not found]:
        print(f"nothing was found by {empty}: these figures say nothing", file=sys.stderr)
        return 1
    return 0 if all(seconds <= BOUND_SECONDS for _, seconds, _ in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
