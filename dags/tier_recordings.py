"""Move footage to cheaper tiers as it grows older, where that saves money, and say in figures where it does not.

Runs daily. A replica belongs in the tier that its age asks for (`tiering.moves` in estate.toml). It moves there, or to
the coldest tier on the way that pays, when what it saves until its retention ends (or until it retires) is more than
what the move costs: the request, reading it out of a class that charges for that, the minimum duration and size of the
new class, the overhead for each object. A replica that is still billed for the minimum duration of its class waits. The
task `plan` logs a table of what moves, with cost and saving, and one of what stays, with an example in figures.

A storage class changes in place. For a tier under a prefix or in another store a copy is made, verified and recorded,
and then the old object is condemned, to be deleted by `enforce_retention` after its grace. A move that fails leaves the
old copy valid and readable. Footage under a hold or an export stays readable: it moves to no class from which it would
have to be restored. Locks do not keep it from moving to a readable one.

**Danger**: none to footage. It costs money once, to save more later: above `tiering.approve_above_usd` task `approve`
waits for a person (the Airflow UI: tab Required Actions); no answer within two days means no, and what was planned is
dropped. What was approved is exactly what is done. Archived footage must be restored before it can be read
(`restore_recordings`). Started by hand it only tells, unless `dry_run` is off.

**By hand**: a look first: `{}`; then `{"dry_run": false}`.

**Stop**: set `placement.mode` (or `STORAGE_MODE`) to local: nothing moves in or to the cloud any more, from the next
chunk of replicas on. Pausing the DAG stops new runs.

**Recover**: a failed run is safe to clear and run again, at any task; it finds what it has moved. Moves that failed are
named in the summary, and planned again by the next run. What a run left open when it died is taken over after seven
days.
"""

from datetime import UTC, datetime

from airflow.sdk import TaskGroup, TriggerRule, chain, dag

from reelkeeper_airflow.estate import current_estate
from reelkeeper_airflow.failures import TASK_DEFAULTS
from reelkeeper_airflow.operators.approval import ApproveOperator
from reelkeeper_airflow.operators.store import backend_of, placed_at
from reelkeeper_airflow.operators.tier import (
    PlanTiersOperator,
    SummariseTiersOperator,
    TierBatchesOperator,
    TierGateOperator,
)
from reelkeeper_airflow.params import clock_param, dry_run_param

ESTATE = current_estate()


@dag(
    schedule="30 2 * * *",
    start_date=datetime(2000, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=4,  # one may wait for an answer while the next day's goes on
    params={"dry_run": dry_run_param(), "clock": clock_param()},
    render_template_as_native_obj=True,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["reelkeeper", "tiers"],
    owner_links={"reelkeeper": "https://github.com/reelkeeper/reelkeeper"},
)
def tier_recordings() -> None:
    plan = PlanTiersOperator(task_id="plan")
    approve = ApproveOperator(
        task_id="approve",
        subject="Move footage to colder tiers?",
        body="{{ ti.xcom_pull(task_ids='plan', key='question') }}",
        needed="{{ ti.xcom_pull(task_ids='plan', key='asks') }}",
    )
    chain(plan, approve)
    moved = []
    for store in ESTATE.stores:
        if len(store.tiers) < 2:
            continue
        others = [ESTATE.store(place.store) for place in store.tiers.values() if place.store]
        backend = backend_of(store)
        with TaskGroup(f"in_{store.name}", tooltip=f"tiers of store {store.name!r}"):
            batches = TierBatchesOperator(task_id="batches", store=store.name)
            move = backend.tier.partial(task_id="move", **backend.bound_to(store), **placed_at(store, *others)).expand(
                batch_id=batches.output
            )
        chain(approve, batches)
        moved.append(move.output)
    gate = TierGateOperator(task_id="gate", moved=moved, trigger_rule=TriggerRule.ALL_DONE)
    chain([approve, *moved], gate, SummariseTiersOperator(task_id="summary").as_teardown())


tier_recordings()
