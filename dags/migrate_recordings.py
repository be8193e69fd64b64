"""Copy to the cloud the segments that the rollout wants there, verified, an hour of history at a time.

Runs hourly (daily where `migration.interval` says so); the run of an hour waits until the hour is
`migration.older_than_minutes` past, then takes the segments that started in it, what earlier runs left of the
`migration.catch_up_days` before it, and what was requested since (it was read locally, came late, or fell back at
ingest). Each copy's bytes are proved before it counts. The local copy gets its retirement date,
`migration.local_retention_days` later, and is not touched here. Where there is nothing to do, `plan` skips all that
comes after it.

**Danger**: none to footage, as nothing is deleted. It fills the destination, which costs money: try `dry_run` first.
What is kept for long is written to an archive class at once (`tiering.initial`; on AWS GLACIER beyond 90 days): a
task's log says how much. It is read from the local copy while that is there, and must be restored afterwards.

**By hand**: trigger it with the form. Without times it takes all history, which is what follows a higher percentage, as
scheduled runs reach back no further than `migration.catch_up_days`:
`{"percentage": 25}`, or, for one month, a look first:
`{"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-02-01T00:00:00Z", "dry_run": true}`.

**Over a year**: `airflow backfill create --dag-id migrate_recordings --from-date 2025-01-01 --to-date 2026-01-01
--max-active-runs 8`, and unpause the DAG. Each run takes exactly its own hour, once, in any order; with
`migration.interval = "day"` there are 365 of them in the place of 8,760. After an outage, a pause or a time in mode
local the next scheduled run catches up on `migration.catch_up_days`; do the same for older hours that were missed.

**Roll back**: set `placement.mode` (or `STORAGE_MODE`) to local. What is bound for the cloud stops about a second
later, after the segment that is under way; the tasks are skipped and say why. Nothing is lost, and reads come from
local.

**Recover**: a failed run is safe to clear and run again; it finds what it has copied. The gate's message says what was
measured and what was allowed; `service unavailable` needs a person: `reelkeeper doctor` says what to do.
"""

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import CronDataIntervalTimetable, Param, TaskGroup, TriggerRule, chain, dag

from reelkeeper_airflow.estate import current_estate
from reelkeeper_airflow.failures import TASK_DEFAULTS
from reelkeeper_airflow.operators.migrate import (
    MigrationGateOperator,
    SummariseMigrationOperator,
    VerifyBatchOperator,
    VerifySegmentOperator,
)
from reelkeeper_airflow.operators.plan_migration import PlanMigrationOperator, RouteMigrationOperator
from reelkeeper_airflow.operators.store import backend_of, placed_at, seen_from

ESTATE = current_estate()
LOCAL = ESTATE.store(ESTATE.placement.local_store)
STORES = [store.name for store in ESTATE.stores]
CRON, MINUTES = {"hour": ("0 * * * *", 60), "day": ("0 0 * * *", 24 * 60)}[ESTATE.migration.interval]
NAME: dict[str, Any] = {"type": ["null", "string"], "enum": [None, *STORES]}
TIME: dict[str, Any] = {"type": ["null", "string"], "format": "date-time"}
PARAMS = {
    "percentage": Param(None, "Share of segments that go to the cloud: 25 means 25 %. Empty: the rollout's.",
                        type=["null", "number"], minimum=0, maximum=100),
    "start_time": Param(None, "Only segments that start at this time or later. Empty: all history. A scheduled run and "
                        "one of a backfill go by their own interval.", **TIME),
    "end_time": Param(None, "Only segments that start before this time. Empty: until now.", **TIME),
    "source": Param(None, "Store to copy from. Empty: the local store. The tasks run on workers of the local store's "
                    "queue, which must see it.", **NAME),
    "destination": Param(None, "Store to copy to. Empty: the cloud store.", **NAME),
    "dry_run": Param(False, "Only count what would be copied.", type="boolean"),
    "batch_size": Param(None, "Most segments of one task. Empty: as in estate.toml.",
                        type=["null", "integer"], minimum=1, maximum=100_000),
    "delete_local": Param(True, "Whether the local copies get their retirement date, or stay for good. This run "
                          "deletes none.", type="boolean"),
    "older_than_minutes": Param(None, "Only segments that ended at least so long ago. Empty: as in estate.toml.",
                                type=["null", "integer"], minimum=0),
    "verify": Param(None, "Id of a segment whose copies are read whole and compared with the catalogue; nothing is "
                    "copied then.", type=["null", "string"], pattern="^[0-9a-fA-F-]{36}$"),
}  # fmt: skip


@dag(
    schedule=CronDataIntervalTimetable(CRON, timezone="UTC"),
    start_date=datetime(2000, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=4 + ESTATE.migration.older_than_minutes // MINUTES,  # those that wait for their age are active
    params=PARAMS,
    render_template_as_native_obj=True,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["reelkeeper", "migration"],
    owner_links={"reelkeeper": "https://github.com/reelkeeper/reelkeeper"},
)
def migrate_recordings() -> None:
    plan = PlanMigrationOperator(
        task_id="plan",
        destination="{{ params.destination }}",
        source="{{ params.source }}",
        percentage="{{ params.percentage }}",
        start_time="{{ params.start_time }}",
        end_time="{{ params.end_time }}",
        batch_size="{{ params.batch_size }}",
        older_than_minutes="{{ params.older_than_minutes }}",
        is_dry_run="{{ params.dry_run }}",
        only_verify="{{ params.verify }}",
    )
    routes = {name: [f"to_{name}.transfer", f"to_{name}.verify"] for name in STORES}
    route = RouteMigrationOperator(
        task_id="route",
        routes=routes,
        destination="{{ params.destination }}",
        verify_task_id="verify_segment",
        only_verify="{{ params.verify }}",
    )
    verify_segment = VerifySegmentOperator(
        task_id="verify_segment", segment_id="{{ params.verify }}", **seen_from(LOCAL)
    )
    transferred, verified = [], []
    for store in ESTATE.stores:
        backend = backend_of(store)
        with TaskGroup(f"to_{store.name}", tooltip=f"copy to store {store.name!r}"):
            transfer = backend.transfer.partial(
                task_id="transfer",
                delete_local="{{ params.delete_local }}",
                **backend.bound_to(store),
                **placed_at(store, LOCAL),
            ).expand(batch_id=plan.output)
            verify = VerifyBatchOperator.partial(
                task_id="verify", trigger_rule=TriggerRule.ALL_DONE, **placed_at(store)
            ).expand(batch_id=plan.output)
        chain(route, [transfer, verify])
        chain(transfer, verify)
        transferred.append(transfer.output)
        verified.append(verify.output)
    gate = MigrationGateOperator(
        task_id="gate",
        batch_ids=plan.output,
        transferred=transferred,
        verified=verified,
        trigger_rule=TriggerRule.ALL_DONE,
    )
    chain(plan, route, verify_segment)
    chain([gate, verify_segment], SummariseMigrationOperator(task_id="summary").as_teardown())


migrate_recordings()
