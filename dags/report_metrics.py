"""Look at the stores, judge the alarms, tell people, and publish the estate's metrics. Every 15 minutes.

Each store is looked at once (does it answer, is it ours?), the alarms are held against what is measured, people are
told by the channels of `[[alarms.notify]]`, and the metrics go where `metrics.publish` says: a Pushgateway, a file for
node_exporter, CloudWatch, Airflow's own StatsD or OpenTelemetry. A Prometheus needs none of that: it reads
`/reelkeeper/metrics` by itself (docs/operations.md, "Metrics"; docs/metrics.md lists them).

All is read from summaries in the catalogue, in seconds for ten million segments; nothing is lost by a run that did not
take place, as counters count since ever. CloudWatch is told only what changed since the run before.

Stores of a worker queue are looked at by a task of that queue, beside the rest: where its worker is away, that task
waits and fails, the run with it, and alarms and metrics go out all the same, with that store as it was last seen. So
they do when the day could not be kept (`take_stock`), or the look itself failed. Where alarms cannot be judged, metrics
go out and say since when (docs/operations.md, "Nobody watches").

**Danger**: none to footage. CloudWatch takes money for each metric (some thirty, and a dozen for each store).

**By hand**: trigger it, without any field, to look at once: after a store was mended, say, or a channel was added.

**Recover**: the next run makes good what this one could not do, so that a failed one needs nothing; `tell` sends what
it could not send in its next try or run. When every run fails, the log of `tell` or `publish` says at which channel or
way: the others were served.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import TaskGroup, TriggerRule, dag

from reelkeeper_airflow.estate import current_estate
from reelkeeper_airflow.failures import TASK_DEFAULTS
from reelkeeper_airflow.operators.alarms import EvaluateAlarmsOperator, LookAtStoresOperator, TellOfAlarmsOperator
from reelkeeper_airflow.operators.report import PublishMetricsOperator, TakeStockOperator

ESTATE = current_estate()
INTERVAL = timedelta(minutes=15)
LOOK_LIMIT = timedelta(minutes=2)


@dag(
    schedule="*/15 * * * *",
    start_date=datetime(2000, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=INTERVAL - timedelta(minutes=1),  # a worker that is away must not hold up the next run
    default_args=TASK_DEFAULTS | {"max_retry_delay": timedelta(minutes=2)},
    doc_md=__doc__,
    tags=["reelkeeper", "reporting"],
    owner_links={"reelkeeper": "https://github.com/reelkeeper/reelkeeper"},
)
def report_metrics() -> None:
    stock = TakeStockOperator(task_id="take_stock")
    # Judged whatever became of what is before: the figures are right without, and who watches must not depend on it.
    # What failed fails the run all the same: nothing comes after take_stock, and what fails here fails tell.
    alarms = EvaluateAlarmsOperator(task_id="alarms", trigger_rule=TriggerRule.ALL_DONE)
    with TaskGroup("look", tooltip="one task for each worker queue that sees stores"):
        for queue, stores in ESTATE.stores_by_queue().items():
            look = LookAtStoresOperator(
                # In no store's pool: a look is one small request, and must not wait for hours of copying.
                task_id=queue or "any_worker", stores=stores, execution_timeout=LOOK_LIMIT,
                **({"queue": queue} if queue else {}),
            )  # fmt: skip
            if queue is None:
                look >> [stock, alarms]
    tell = TellOfAlarmsOperator(task_id="tell")
    # Published whatever became of that: the figures tell when alarms were last judged.
    publish = PublishMetricsOperator(
        task_id="publish", trigger_rule=TriggerRule.ALL_DONE,
        **({"queue": ESTATE.metrics.queue} if ESTATE.metrics.queue else {}),
    )  # fmt: skip
    alarms >> [tell, publish]


report_metrics()
