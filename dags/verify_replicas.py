"""Look again at what the stores hold: read replicas whole, compare them with the catalogue, and say what is not right.

Runs daily, and does a day's share of a month's work: of each store, the replicas that were proved longest ago, when
that is more than `verification.cycle_days` ago, up to `verification.bytes_per_run`. Suspicious replicas come first, up
to half of that, and are always read whole: one that is right is available again. What is wrong (other bytes, another
size, gone; each seen twice) becomes suspicious: reads go to another copy, and `reconcile_stores` repairs it from there.
What cannot be looked at is unknown, and stays as it is; a store that keeps failing, or lacks very many replicas at
once, is left alone.
Replicas in classes that must be restored first are looked at without their bytes: size, and the SHA-256 that was stored
with them; the table tells them apart.

What was found is recorded every two seconds. The summary says how much is still due: when that grows from day to day,
`bytes_per_run` is too small for the cycle.

**Danger**: none to footage, as nothing is deleted or written. Reading from a cloud provider costs money: method `hash`
pays for each byte, every month more than a cold class saves, so `verification.method = "auto"` reads only stores
without a price list, and takes `size` for the others. The task's log says before what it would cost to read all that is
due, the summary what was read for how much. `presence` and `size` ask for pages of a listing alone, and find
the same, as no provider's listing tells presence without size.

**By hand**: without fields it does what a scheduled run does. One percent of everything, due or not:
`{"sample": 1}`. All of one camera in one store: `{"all": true, "camera": "gate", "store": "cloud", "method": "size"}`.

**Recover**: a failed run is safe to clear; it goes on behind its last record, with what is left of its budget. The
summary fails, and the run with it, when a store was not looked at to the end, and when some footage has no verified
copy in any store: the stores' tasks name the segments. Look at them before their retention ends; `migrate_recordings`
with `verify` set reads all copies of one segment again.
"""

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import Param, TaskGroup, dag

from reelkeeper_airflow.estate import current_estate
from reelkeeper_airflow.failures import TASK_DEFAULTS
from reelkeeper_airflow.operators.store import placed_at
from reelkeeper_airflow.operators.verify import SummariseVerificationOperator, VerifyStoreOperator
from reelkeeper_airflow.params import clock_param, end_time_param, start_time_param, store_param

ESTATE = current_estate()
METHODS: dict[str, Any] = {"type": ["null", "string"], "enum": [None, "presence", "size", "hash"]}
PARAMS = {
    "store": store_param(ESTATE, "Store to look at. Empty: each."),
    "method": Param(None, "presence and size: the objects are there, as large as recorded. hash: all their bytes are "
                    "those recorded. Empty: as in estate.toml.", **METHODS),
    "sample": Param(None, "Share of all replicas, due or not, drawn anew for each run and without a budget: 1 means "
                    "1 %. Empty: those that are due, up to the budget.",
                    type=["null", "number"], minimum=0, maximum=100),
    "all": Param(False, "Look at all replicas, due or not, without a budget.", type="boolean"),
    "camera": Param(None, "Only footage of the camera with this slug. Empty: of all.", type=["null", "string"]),
    "start_time": start_time_param(),
    "end_time": end_time_param(),
    "clock": clock_param(),
}  # fmt: skip


@dag(
    schedule="0 4 * * *",
    start_date=datetime(2000, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    render_template_as_native_obj=True,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["reelkeeper", "verification"],
    owner_links={"reelkeeper": "https://github.com/reelkeeper/reelkeeper"},
)
def verify_replicas() -> None:
    verified = {}
    with TaskGroup("verify", tooltip="one task for each store"):
        for store in ESTATE.stores:
            verified[store.name] = VerifyStoreOperator(
                task_id=store.name,
                store=store.name,
                only="{{ params.store }}",
                method="{{ params.method }}",
                sample="{{ params.sample }}",
                everything="{{ params.all }}",
                camera="{{ params.camera }}",
                start_time="{{ params.start_time }}",
                end_time="{{ params.end_time }}",
                **placed_at(store),
            ).output
    SummariseVerificationOperator(
        task_id="summary", verified=verified, only="{{ params.store }}"
    ).as_teardown(on_failure_fail_dagrun=True)  # fmt: skip


verify_replicas()
