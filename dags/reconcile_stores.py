"""Hold the catalogue and the stores against each other: orphans go to quarantine, lost replicas are repaired.

Runs daily. For each store: what the catalogue knows is noted, the store is listed, and what does not agree is asked
again of both. An **orphan**, an object below our own prefixes that nothing knows, goes to quarantine (`quarantine/` in
the same store, or marked where it is; what lies there without a row gets one) after `reconcile.sightings` runs have
seen it unchanged and it is `reconcile.min_age_hours` old by the store's clock; after `reconcile.quarantine_days` it is
deleted, if it is unknown still. A **lost** replica, one that three looks did not find as recorded, is copied anew from
another store; one without another copy stays on record, and in every report. Doubted replicas whose bytes are right are
available again. What others put into the store is counted and never touched. The report of each store (link in task
`compare`) has a row for every finding; the summary has the figures.

**Danger**: it deletes orphans. What would go is counted first (`[reconcile_caps]`): above the soft cap a person must
approve it, and no more than what was asked about goes (task `approve`; no answer within 20 hours means no, so that
the next night compares all stores and asks anew), above the hard one task `quarantine` fails, and nothing is touched.
What is lost is repaired all the same. A store
that cannot be listed to its end, shows none of its replicas, or lacks too many at once (`reconcile.sick_count`,
`sick_ratio`) is doubted itself: the task fails, and nothing is concluded. `deletion = "forbidden"` of a store stops
every deletion in it from the next chunk on.

**By hand**: a look is the default (`dry_run`). `{"stores": ["cloud"], "dry_run": false}` acts on one store. To bring
back what lies in quarantine, one object, what one run put there, or all of a store:
`{"bring_back": {"store": "cloud", "path": "media/…/x.mp4"}, "dry_run": false}`,
`{"bring_back": {"store": "cloud", "run_id": "scheduled__2026-03-01T02:00:00+00:00"}, "dry_run": false}`.
When a store has truly lost much (a disk was replaced), run once with `{"stores": ["disk"], "accept_loss": true,
"dry_run": false}`: what it lacks is lost then, and repaired.

**Recover**: a failed run is safe to clear and run again: one run sees an orphan once, however often it is tried.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Param, TaskGroup, chain, dag

from reelkeeper_airflow.estate import current_estate
from reelkeeper_airflow.failures import TASK_DEFAULTS
from reelkeeper_airflow.operators.approval import ApproveOperator
from reelkeeper_airflow.operators.reconcile import (
    BringBackOrphansOperator,
    PlanRepairsOperator,
    QuarantineOrphansOperator,
    ReconcileStoreOperator,
    RouteReconciliationOperator,
    SummariseReconciliationOperator,
)
from reelkeeper_airflow.operators.store import backend_of, placed_at
from reelkeeper_airflow.params import clock_param, dry_run_param

ESTATE = current_estate()
LOCAL = ESTATE.store(ESTATE.placement.local_store)
STORES = [store.name for store in ESTATE.stores]
PARAMS = {
    "stores": Param(None, "The stores to be compared. Empty: all.", type=["null", "array"],
                    items={"type": "string", "enum": STORES}, examples=STORES),
    "bring_back": Param(None, "What comes back from quarantine to where it was found: {\"store\": …}, and \"path\" or "
                        "\"run_id\" to narrow it. Nothing is compared then. Empty: nothing.", type=["null", "object"]),
    "accept_loss": Param(False, "Your word that the stores are well and have lost what they lack, even when that is so "
                         "much that they would be taken for sick or not mounted.", type="boolean"),
    "dry_run": dry_run_param(),
    "clock": clock_param(),
}  # fmt: skip


@dag(
    schedule="0 2 * * *",
    start_date=datetime(2000, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,  # two would compare the same store at once
    params=PARAMS,
    render_template_as_native_obj=True,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["reelkeeper", "retention"],
    owner_links={"reelkeeper": "https://github.com/reelkeeper/reelkeeper"},
)
def reconcile_stores() -> None:
    route = RouteReconciliationOperator(
        task_id="route",
        routes={name: (f"{name}.compare", f"{name}.bring_back") for name in STORES},
        stores="{{ params.stores }}",
        bring_back="{{ params.bring_back }}",
    )
    ends: list[Any] = []
    for store in ESTATE.stores:
        backend, place = backend_of(store), placed_at(store)
        with TaskGroup(store.name, tooltip=f"store {store.name!r}"):
            compare = ReconcileStoreOperator(
                task_id="compare", store=store.name, accept_loss="{{ params.accept_loss }}", **place
            )
            approve = ApproveOperator(
                task_id="approve",
                subject=f"Take orphans from store {store.name}?",
                body=f"{{{{ ti.xcom_pull(task_ids='{store.name}.compare', key='question') }}}}",
                response_timeout=timedelta(hours=20),  # a run that waits holds up the next night's, for all stores
                needed=f"{{{{ ti.xcom_pull(task_ids='{store.name}.compare')['asks'] }}}}",
            )
            quarantine = QuarantineOrphansOperator(
                task_id="quarantine", store=store.name, approve_task_id=f"{store.name}.approve",
                compare_task_id=f"{store.name}.compare", **place,
            )  # fmt: skip
            plan = PlanRepairsOperator(task_id="plan_repairs", store=store.name, **place)
            repair = backend.transfer.partial(
                task_id="repair", **backend.bound_to(store), **placed_at(store, LOCAL)
            ).expand(batch_id=plan.output)
            back = BringBackOrphansOperator(
                task_id="bring_back", store=store.name, bring_back="{{ params.bring_back }}", **place
            )
        chain(route, compare, approve, quarantine)
        chain(compare, plan)
        chain(route, back)
        ends += [quarantine, repair, back]
    chain(ends, SummariseReconciliationOperator(task_id="summary").as_teardown())


reconcile_stores()
