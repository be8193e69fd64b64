"""Write the daily report: one page that says whether footage is safe, what it costs and what needs a decision.

Every day at 07:00 UTC (`hour` in `[daily_report]`), after the night's jobs and the check of the catalogue. The page
holds its charts itself (bytes by tier, the rollout, failures, a heat map of what each camera recorded, costs and their
forecast) and needs nothing from elsewhere: mail it, or keep it. It lies in the exports store under
`reports/report_estate/`, for `retention.report_days`; the task's link *Report* (tab *Details*) opens it, and the Estate
page lists the latest.

All is read from summaries in the catalogue: a second or two, whatever the estate's size.

**Danger**: none. Nothing is overwritten: a second report of a day is kept beside the first.

**By hand**: trigger it as it is for today's, as far as the day has passed. For another day's charts:
`{"day": "2026-01-31"}`; what it says of now (stores, alarms, what waits for a person) is of now all the same.

**Recover**: clear the task that failed. `reelkeeper report FILE` writes the same page where you are, without Airflow.
"""

from datetime import UTC, datetime

from airflow.sdk import Param, dag

from reelkeeper_airflow.estate import current_estate
from reelkeeper_airflow.failures import TASK_DEFAULTS
from reelkeeper_airflow.operators.daily_report import WriteReportOperator
from reelkeeper_airflow.operators.store import seen_from
from reelkeeper_airflow.params import clock_param

ESTATE = current_estate()
PARAMS = {
    "day": Param(None, "The UTC day that the charts end with. Empty: today, as far as it has passed.",
                 type=["null", "string"], format="date"),
    "clock": clock_param(),
}  # fmt: skip


@dag(
    schedule=f"0 {ESTATE.daily_report.hour} * * *",
    start_date=datetime(2000, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    render_template_as_native_obj=True,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["reelkeeper", "reporting"],
    owner_links={"reelkeeper": "https://github.com/reelkeeper/reelkeeper"},
)
def report_estate() -> None:
    exports = ESTATE.store(ESTATE.placement.exports_in)
    WriteReportOperator(task_id="write_report", day="{{ params.day }}", **seen_from(exports))


report_estate()
