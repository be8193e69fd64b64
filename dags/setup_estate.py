"""Make the estate ready: the catalogue's schema and partitions, each store's bucket or folder and its rules.

Run it by hand before the first ingest, after every upgrade, and whenever a store was added to estate.toml. It changes
nothing that is right, and says in each task's log what it made and what it found. Then it checks every store: rights,
clock, what the server is able to do.

**Danger**: none, but for `take_over`. It creates and configures; it deletes nothing. A lifecycle rule for `temp/` is
added beside the rules that a bucket has.

A store that holds footage by the catalogue, and is not there (a disk that is not mounted, a bucket that was deleted),
is not made anew: its task fails and says so. Bring the store back, or name it in `accept_empty` when its footage is
gone for good: `{"accept_empty": ["archive"]}`.

Each store gets a marker that names this catalogue, and nothing is ever taken from a store that lacks it. A bucket or
folder whose marker names another catalogue, or another store, is refused, and nothing in it changes: two estates on one
bucket would take each other's footage for orphans. When the other one has given it up for good, name the store in
`take_over`: `{"take_over": ["cloud"]}`. From then on the other one may do nothing there, and what its catalogue alone
knows is an orphan here.

**By hand**: no parameters are needed. `reelkeeper doctor` checks the same from the command line.

**Pools**: each store has an Airflow pool, `store_<name>`, of `pool_slots` slots. The scheduler makes it, when it starts
or when a DAG run does; tasks may not.

**Recover**: clear the task that failed. `service unavailable` needs a person: the message says who refused what.
"""

from airflow.sdk import Param, TaskGroup, chain, dag

from reelkeeper_airflow.estate import current_estate
from reelkeeper_airflow.failures import TASK_DEFAULTS
from reelkeeper_airflow.operators.estate import PrepareCatalogueOperator
from reelkeeper_airflow.operators.store import backend_of, placed_at

ESTATE = current_estate()
PARAMS = {
    "accept_empty": Param([], "Stores to make anew although footage was in them that is gone for good.", type="array",
                          items={"enum": [store.name for store in ESTATE.stores]}),
    "take_over": Param([], "Stores that another catalogue has given up for good: they are this one's from now on.",
                       type="array", items={"enum": [store.name for store in ESTATE.stores]}),
}  # fmt: skip


@dag(
    schedule=None,
    max_active_runs=1,
    params=PARAMS,
    render_template_as_native_obj=True,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["reelkeeper", "setup"],
    owner_links={"reelkeeper": "https://github.com/reelkeeper/reelkeeper"},
)
def setup_estate() -> None:
    catalogue = PrepareCatalogueOperator(task_id="catalogue")
    for store in ESTATE.stores:
        backend = backend_of(store)
        with TaskGroup(f"store_{store.name}", tooltip=f"store {store.name!r}"):
            set_up = backend.set_up(
                task_id="set_up",
                accept_empty="{{ params.accept_empty }}",
                take_over="{{ params.take_over }}",
                **backend.bound_to(store),
                **placed_at(store),
            )
            check = backend.check(task_id="check", **backend.bound_to(store), **placed_at(store))
        chain(catalogue, set_up, check)


setup_estate()
