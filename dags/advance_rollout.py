"""Take the rollout to its next percentage, hold it or step it back, by what the transfers to the cloud were like.

Runs daily. A step (10 → 25 → 50 → 75 → 100 by default, `rollout.steps`) is watched for `rollout.dwell_hours`. When in
any window of `rollout.window_minutes` more than `rollout.max_failure_ratio` of the transfers failed since the last
decision, the ramp steps back at once, to the step below and never below the first. When all windows of the dwell time
went well, enough was transferred, and uploads took at most `rollout.max_upload_seconds` on average, it goes on: by
itself, after a person has approved it, or not at all, as `rollout.advance` says (automatic, ask, hold). In every other
case it stays, and the run says why. The decisions stand in table `rollout_steps`; the last one is in force from then on
for `migrate_recordings` and `ingest_recordings`. The summary shows them all with a chart.

The ramp begins at `rollout.percentage` of estate.toml (from 0, with its first step), and begins anew from there when
that value is changed. A change that is put back before the next decision (the next daily run) leaves the ramp where it
was. Footage stays where it is: a lower percentage only sends no further
segments, and a later higher one sends the same ones again, so that the sets nest.

**Danger**: none to footage. A higher percentage fills the cloud, which costs money; history that is older than
`migration.catch_up_days` follows only when `migrate_recordings` is triggered by hand.

**By hand**: a look at what would be decided is the default (`dry_run`). To decide now: `{"dry_run": false}`. To set the
percentage yourself, in any direction: `{"set_percentage": 25, "reason": "new uplink", "dry_run": false}`. A ramp that
was set to 0 stays there until somebody sets it again.

**Stop everything**: `placement.mode = "local"` in estate.toml wins over every percentage, and the ramp stands still.

**Recover**: a failed run is safe to clear: a run decides once, and a decision that is on record stays as it is. No
answer within two days means no; the next run asks again. After a no, the ramp still steps back by what failed since the
question.
"""

from datetime import UTC, datetime

from airflow.sdk import Param, chain, dag

from reelkeeper_airflow.failures import TASK_DEFAULTS
from reelkeeper_airflow.operators.approval import ApproveOperator
from reelkeeper_airflow.operators.rollout import (
    ProposeRolloutStepOperator,
    SummariseRolloutOperator,
    TakeRolloutStepOperator,
)
from reelkeeper_airflow.params import clock_param, dry_run_param

PARAMS = {
    "set_percentage": Param(None, "The percentage from which the ramp goes on, instead of what was measured: 25 means "
                            "25 %. Empty: what was measured decides.", type=["null", "number"], minimum=0, maximum=100),
    "reason": Param("", "Why you set the percentage; needed with it, and kept in the history.", type="string"),
    "dry_run": dry_run_param(),
    "clock": clock_param(),
}  # fmt: skip


@dag(
    schedule="30 3 * * *",
    start_date=datetime(2000, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=4,  # one may wait for an answer while the next day's steps back
    params=PARAMS,
    render_template_as_native_obj=True,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["reelkeeper", "rollout"],
    owner_links={"reelkeeper": "https://github.com/reelkeeper/reelkeeper"},
)
def advance_rollout() -> None:
    propose = ProposeRolloutStepOperator(task_id="propose", set_percentage="{{ params.set_percentage }}")
    approve = ApproveOperator(
        task_id="approve",
        subject="Let the rollout go on?",
        body="{{ ti.xcom_pull(task_ids='propose', key='question') }}",
        needed="{{ ti.xcom_pull(task_ids='propose')['asks'] }}",
    )
    step = TakeRolloutStepOperator(
        task_id="step", set_percentage="{{ params.set_percentage }}", reason="{{ params.reason }}"
    )
    chain(propose, approve, step, SummariseRolloutOperator(task_id="summary").as_teardown())


advance_rollout()
