"""Make archived footage readable again: say what it costs and how long it takes, ask the store, wait, tell until when.

Footage in AWS's classes GLACIER and DEEP_ARCHIVE cannot be read until it is restored: a copy is made beside it, which
lasts for some days. A segment that has a copy elsewhere which can be read is left alone. Of several archived copies the
cheapest is restored. What another run has asked for already is shared, not asked for and paid twice, and stays longer
if this run wants that.

| speed | GLACIER | DEEP_ARCHIVE |
|---|---|---|
| expedited | 1–5 min | (12 h: as standard) |
| standard | 3–5 h | 12 h |
| bulk | 5–12 h | 48 h |

**Danger**: none to footage. It costs money, by gigabyte, request and day: nothing is asked for when the estimate is
above the budget. `dry_run` is on in the form; its log and summary show the estimate.

**By hand**: trigger it with the form, first as it is, for the estimate, then without `dry_run`:
`{"cameras": ["gate"], "start_time": "2026-01-31T20:00:00Z", "end_time": "2026-01-31T22:00:00Z", "speed": "expedited",
"days": 3, "budget_usd": 10, "dry_run": false}`. While it waits it holds no worker: a run of two days is as it should
be. The task `readable` says until when the copies last.

**Recover**: clear the task that failed, or trigger it again with the same values: what was asked for is found, not
asked for again. `budget_exceeded`: take less footage, a slower speed or fewer days, or raise `budget_usd`. A segment
whose object was not there is suspicious from then on; `reconcile_stores` looks into it. Stopping a run stops the
waiting, not what was asked for.
"""

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import Param, chain, dag

from reelkeeper_airflow.estate import current_estate
from reelkeeper_airflow.failures import TASK_DEFAULTS
from reelkeeper_airflow.operators.restore import SummariseRestoreOperator
from reelkeeper_airflow.params import dry_run_param, end_time_param, start_time_param, store_param
from reelkeeper_airflow.restore_group import restore_group

ESTATE = current_estate()
PARAMS = {
    "cameras": Param([], "Cameras, by slug or id, one a line. Empty: every camera.", type=["null", "array"],
                     items={"type": "string"}),
    "start_time": start_time_param(),
    "end_time": end_time_param(),
    "segment_ids": Param([], "Ids of segments, one a line: only these. Empty: all that the fields above describe; one "
                         "of them must say something.", type=["null", "array"],
                         items={"type": "string", "pattern": "^[0-9a-fA-F-]{36}$"}),
    "store": store_param(ESTATE, "Only copies in this store, whatever others have. Empty: the cheapest archived copy "
                         "of what has none that can be read."),
    "speed": Param(None, "How fast, and how dear. Empty: as in estate.toml. A class that lacks it takes the next "
                   "slower one.", type=["null", "string"], enum=[None, "expedited", "standard", "bulk"]),
    "days": Param(None, "Days that the restored copies stay; they are billed like hot ones. Empty: as in estate.toml.",
                  type=["null", "integer"], minimum=1, maximum=365),
    "budget_usd": Param(None, "Most that this run may cost, in US dollars, by the estimate; above it the run fails and "
                        "asks for nothing. Empty: as in estate.toml.", type=["null", "number"], minimum=0),
    "dry_run": dry_run_param(),
}  # fmt: skip


@dag(
    schedule=None,
    start_date=datetime(2000, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=32,  # they wait for days
    params=PARAMS,
    render_template_as_native_obj=True,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["reelkeeper", "tiers"],
    owner_links={"reelkeeper": "https://github.com/reelkeeper/reelkeeper"},
)
def restore_recordings() -> None:
    wanted: dict[str, Any] = {name: f"{{{{ params.{name} }}}}" for name in PARAMS if name != "dry_run"}
    restored = restore_group(ESTATE, is_dry_run="{{ params.dry_run }}", **wanted)
    summary = SummariseRestoreOperator(task_id="summary", plan_task_id=restored.plan.task_id).as_teardown()
    chain(restored.group, summary)


restore_recordings()
