"""Hold the counts that figures are read from against the rows they count. Weekly.

Metrics, alarms, the report and the Estate page are read from tallies in the catalogue, which triggers keep in the
transaction of each change (docs/decisions/0016-tallies-are-kept-by-triggers.md). They can only be wrong where somebody
changed rows past the triggers: a restore of single tables, a `TRUNCATE`, `session_replication_role`. This run counts
everything anew, at one moment and while others write; what differs is made right, and the run fails, saying how much
differed in which tally. A counter that is corrected downwards looks to Prometheus as if it began anew
(docs/operations.md, "Where figures come from").

**Danger**: none to footage; it reads all rows of the catalogue (a minute or two for ten million segments, without
holding anybody up). Counts of transfers, retrievals and deletions are those of the history again: if you deleted
history by hand, keep this paused.

**By hand**: trigger it, without any field, after such a change by hand, and whenever a figure looks wrong.

**Recover**: a run that failed because of a difference has made it right already; find out who changed rows past the
triggers. One that failed for another reason changed nothing: clear it.
"""

from datetime import UTC, datetime

from airflow.sdk import dag

from reelkeeper_airflow.failures import TASK_DEFAULTS
from reelkeeper_airflow.operators.tallies import RecountTalliesOperator


@dag(
    schedule="0 5 * * 0",
    start_date=datetime(2000, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["reelkeeper", "reporting"],
    owner_links={"reelkeeper": "https://github.com/reelkeeper/reelkeeper"},
)
def recount_tallies() -> None:
    RecountTalliesOperator(task_id="recount")


recount_tallies()
