"""Let footage leave when its time is over, and never before; keep stores within their quotas; clear what is left over.

Runs daily. What leaves a store: segments whose retention is over (the camera's, or `retention.default_days`, counted
from the end of the segment), with their thumbnails; local copies `migration.local_retention_days` after their cloud
copy was verified; for a store with a `quota`, the oldest that has another verified copy, as many as it takes until the
rest fits, and not one more; objects of expired exports. Each goes the same way: **condemned** (no reader gets it any
more, and it can be brought back), then, `retention.grace_hours` later, judged again and **deleted** in bulk, with a row
in table `deletions`. Beside that it removes old objects below `temp/`, reports after `retention.report_days`, uploads
that nobody completed and empty folders, and forgets finished work lists after `retention.history_days`.

**Locks always win**, at the moment of deletion too: legal holds (`reelkeeper hold add`), exports that run, segments
that are being copied, the last verified copy of a segment that is still owed. For a local copy that retires, or goes
for the quota, the other copy is looked at in its store right then. What must not go is spared and available again.

**Danger**: it deletes footage. The plan counts first: above a hard cap (`retention_caps`) of a store its task `condemn`
fails, with nothing condemned and nothing deleted there, and the other stores go on; above a soft one, task `approve` of
that store waits for a person (the Airflow UI: tab Required Actions). No answer within two days means no. Started
by hand it only tells, unless `dry_run` is off.

**Stop deletions**: `deletion = "forbidden"` for a store in estate.toml holds from the next chunk (at most 1000
objects) on, for every DAG. Pausing this DAG stops all deletions of a new run. `reelkeeper hold add --every-camera
--reason …` keeps all footage, in all stores, from the moment when it returns.

**By hand**: a look first: `{}`; then `{"dry_run": false}`.

**Bring back** what is condemned and not deleted yet, by segment, camera or the run that condemned it: `{"bring_back":
"camera:gate", "dry_run": false}` (or `segment:<id>`, `run:<run id>`). Nothing else is done then. Place a hold, or
raise the camera's retention, before: the next run condemns anew what has expired.

**Recover**: a failed run is safe to clear and run again, at any task. Objects that a store would not delete stay
condemned, with the reason in `condemnations.error`, and are tried again by the next run. Empty partitions of old
months stay; they cost nothing.
"""

from datetime import UTC, datetime

from airflow.sdk import Param, TaskGroup, chain, dag

from reelkeeper_airflow.estate import current_estate
from reelkeeper_airflow.failures import TASK_DEFAULTS
from reelkeeper_airflow.operators.approval import ApproveOperator
from reelkeeper_airflow.operators.retention import (
    BringBackOperator,
    CondemnOperator,
    DeleteCondemnedOperator,
    ExpireExportsOperator,
    KeepHouseOperator,
    PlanRetentionOperator,
    SummariseRetentionOperator,
    SweepStoreOperator,
)
from reelkeeper_airflow.operators.store import placed_at
from reelkeeper_airflow.params import clock_param, dry_run_param

ESTATE = current_estate()
PARAMS = {
    "bring_back": Param(None, "What to take back from condemnation, instead of everything else: 'segment:<id>', "
                        "'camera:<slug>' or 'run:<run id>'. Empty: nothing.", type=["null", "string"],
                        pattern="^(segment|camera|run):.+$"),
    "dry_run": dry_run_param(),
    "clock": clock_param(),
}  # fmt: skip


@dag(
    schedule="30 3 * * *",
    start_date=datetime(2000, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=4,  # one may wait for an answer while the next day's goes on
    params=PARAMS,
    render_template_as_native_obj=True,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["reelkeeper", "retention"],
    owner_links={"reelkeeper": "https://github.com/reelkeeper/reelkeeper"},
)
def enforce_retention() -> None:
    plan = PlanRetentionOperator(
        task_id="plan",
        bring_back="{{ params.bring_back }}",
        bring_back_tasks=[f"{store.name}.bring_back" for store in ESTATE.stores],
    )
    expire_exports = ExpireExportsOperator(
        task_id="expire_exports", **placed_at(ESTATE.store(ESTATE.placement.exports_in))
    )
    keep_house = KeepHouseOperator(task_id="keep_house")
    ends = [expire_exports, keep_house]
    chain(plan, [expire_exports, keep_house])
    for store in ESTATE.stores:
        place = placed_at(store, *ESTATE.stores)  # other copies are looked at from there
        with TaskGroup(store.name, tooltip=f"what leaves store {store.name!r}"):
            counts = f"ti.xcom_pull(task_ids='plan')['{store.name}']"
            approve = ApproveOperator(
                task_id="approve",
                subject=f"Delete this from store {store.name}?",
                body=f"{{{{ ti.xcom_pull(task_ids='plan', key='question_{store.name}') }}}}",
                needed=f"{{{{ {counts}['asks'] }}}}",
            )
            condemn = CondemnOperator(task_id="condemn", store=store.name)
            delete = DeleteCondemnedOperator(task_id="delete", store=store.name, **place)
            sweep = SweepStoreOperator(task_id="sweep", store=store.name, **place)
            bring_back = BringBackOperator(
                task_id="bring_back", store=store.name, what="{{ params.bring_back }}", **place
            )
        chain(plan, approve, condemn, delete, sweep)
        chain(plan, bring_back)
        ends += [sweep, bring_back]
    stores = [store.name for store in ESTATE.stores]
    chain(ends, SummariseRetentionOperator(task_id="summary", stores=stores).as_teardown())


enforce_retention()
