"""Make the estate ready: the catalogue's schema and partitions, each store's bucket or folder and its rules.

Run it by hand before the first ingest, after every upgrade, and whenever a store was added to estate.toml. It changes
nothing that is right, and says in each task's log what it made and what it found. Then it checks every store: rights,
clock, what the server is able to do.

**Danger**: none. It creates and configures; it deletes nothing. A lifecycle rule for `temp/` is added beside the rules
that a bucket has.

**By hand**: no parameters. `reelkeeper doctor` checks the same from the command line.

**Pools**: each store has an Airflow pool, `store_<name>`, of `pool_slots` slots. The scheduler makes it, when it starts
or when a DAG run does; tasks may not.

**Recover**: clear the task that failed. `service unavailable` needs a person: the message says who refused what.
"""

from airflow.sdk import TaskGroup, chain, dag

from reelkeeper_airflow.estate import current_estate
from reelkeeper_airflow.failures import TASK_DEFAULTS
from reelkeeper_airflow.operators.estate import PrepareCatalogueOperator
from reelkeeper_airflow.operators.store import backend_of, placed_at


@dag(
    schedule=None,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["reelkeeper", "setup"],
    owner_links={"reelkeeper": "https://github.com/reelkeeper/reelkeeper"},
)
def setup_estate() -> None:
    catalogue = PrepareCatalogueOperator(task_id="catalogue")
    for store in current_estate().stores:
        backend = backend_of(store)
        with TaskGroup(f"store_{store.name}", tooltip=f"store {store.name!r}"):
            set_up = backend.set_up(task_id="set_up", **backend.bound_to(store), **placed_at(store))
            check = backend.check(task_id="check", **backend.bound_to(store), **placed_at(store))
        chain(catalogue, set_up, check)


setup_estate()
