"""Hold the catalogue against what is expected of it: segments, replicas, transfers, exports, cameras, stores.

Runs daily, after the nightly jobs. Each expectation looks at the footage of the last days (`quality.window_days`) and
at a part of the older days, another one each day, so that all of it is looked at once in `quality.cycle_days`. It asks
the catalogue alone, by queries that change nothing: what the stores hold is what `reconcile_stores` found last.

Where an expectation of severity `fail` is not met the run fails: the error and the log name the first rows that are
wrong, and the error ends with the address of its Data Docs, which lead to a table of all of them. One of severity
`warn` only says so. `[quality]` of estate.toml has the thresholds, and what each expectation counts for
(`expectations.camera_coverage = { severity = "fail", mostly = 0.95 }`). docs/operations.md lists the expectations,
and what to do about each.

**Danger**: none. Nothing is changed and nothing is deleted, whatever is wrong.

**By hand**: without fields it does what a scheduled run does. To look at all of January, after a repair: `{"suites":
["segments", "replicas"], "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-02-01T00:00:00Z"}`. It asks about a
month at a time, and the log tells how far it is; `quality.timeout_minutes` is for one such query.

**Recover**: a failed run is safe to clear: it looks again, and tells anew. Put right what the rows are about first;
until then each run that looks at them fails. A camera that is gone for good belongs in `quality.out_of_service`; what
is known and accepted, in an expectation's `mostly`.
"""

from datetime import UTC, datetime

from airflow.sdk import Param, dag

from reelkeeper.policy.quality import Suite
from reelkeeper_airflow.estate import current_estate
from reelkeeper_airflow.failures import TASK_DEFAULTS
from reelkeeper_airflow.operators.quality import CheckCatalogueOperator
from reelkeeper_airflow.operators.store import placed_at
from reelkeeper_airflow.params import clock_param, end_time_param, start_time_param

ESTATE = current_estate()
SUITES = [str(suite) for suite in Suite]
PARAMS = {
    "suites": Param(None, "What is looked into. Empty: everything.", type=["null", "array"],
                    items={"type": "string", "enum": SUITES}, examples=SUITES),
    "start_time": start_time_param(),
    "end_time": end_time_param(),
    "clock": clock_param(),
}  # fmt: skip


@dag(
    schedule="0 6 * * *",
    start_date=datetime(2000, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    render_template_as_native_obj=True,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["reelkeeper", "quality"],
    owner_links={"reelkeeper": "https://github.com/reelkeeper/reelkeeper"},
)
def check_catalogue() -> None:
    CheckCatalogueOperator(
        task_id="check",
        suites="{{ params.suites }}",
        start_time="{{ params.start_time }}",
        end_time="{{ params.end_time }}",
        **placed_at(ESTATE.store(ESTATE.placement.exports_in)),
    )


check_catalogue()
