"""Take recordings in from the landing zones: probe, hash, place, write, verify, record, thumbnail.

Runs every five minutes. In each zone it takes the files that are new and have stopped growing; one that still grows
waits for the next run. Each file becomes a segment with a verified replica, in the store that the placement wants. A
file that cannot be a segment is set aside, with a reason in the catalogue, and the rest goes on. When the cloud fails,
footage is kept in the local store and a later migration takes it. What was taken in is then held against what is
expected of segments and replicas: task `check` fails with the rows that are wrong, and its link leads to all of them;
nothing is taken back. A run that failed before `check` is checked when it is tried again, or by `check_catalogue`.

**Danger**: zones with `handling = "move"` lose a file once its replica is verified and recorded, not before. Try a zone
with `handling = "copy"` first.

**By hand**: trigger it whenever recordings should not wait; `{"zone": "recorders"}` takes that one alone.

**Recover**: a failed run is safe to clear, or to leave to the next one, which takes over what it left. The summary's
log has what was set aside, by reason; `landing_files` in the catalogue has each file. Put a repaired file back into its
zone. `service unavailable` needs a person: `reelkeeper doctor` says what to do.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import Param, TaskGroup, TriggerRule, chain, dag

from reelkeeper_airflow.estate import current_estate
from reelkeeper_airflow.failures import TASK_DEFAULTS
from reelkeeper_airflow.operators.ingest import (
    IngestBatchOperator,
    PlanIngestOperator,
    SummariseIngestOperator,
    ThumbnailBatchOperator,
)
from reelkeeper_airflow.operators.quality import CheckIngestedOperator
from reelkeeper_airflow.operators.store import placed_at, seen_from

ESTATE = current_estate()
LOCAL = ESTATE.store(ESTATE.placement.local_store)
ZONES = [zone.name for zone in ESTATE.landing_zones]


@dag(
    schedule="*/5 * * * *",
    start_date=datetime(2000, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    params={
        "zone": Param(None, "The only landing zone to look at. Empty: all.", type=["null", "string"],
                      enum=[None, *ZONES]),
    },
    render_template_as_native_obj=True,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["reelkeeper", "ingest"],
    owner_links={"reelkeeper": "https://github.com/reelkeeper/reelkeeper"},
)  # fmt: skip
def ingest_recordings() -> None:
    planned, ingested, pictured = {}, {}, {}
    for zone in ESTATE.landing_zones:
        with TaskGroup(zone.name, tooltip=f"landing zone {zone.name!r}"):
            place = placed_at(LOCAL, zone)
            plan = PlanIngestOperator(task_id="plan", zone=zone.name, only="{{ params.zone }}", **seen_from(zone))
            ingest = IngestBatchOperator.partial(task_id="ingest", zone=zone.name, **place).expand(batch_id=plan.output)
            thumbnails = ThumbnailBatchOperator.partial(
                task_id="thumbnails", trigger_rule=TriggerRule.ALL_DONE, **place
            ).expand(batch_id=plan.output)
        chain(plan, ingest, thumbnails)
        planned[zone.name], ingested[zone.name], pictured[zone.name] = plan.output, ingest.output, thumbnails.output
    summary = SummariseIngestOperator(
        task_id="summary", planned=planned, ingested=ingested, pictured=pictured, trigger_rule=TriggerRule.ALL_DONE
    )
    # Not in the pool of the exports store: a migration that fills it would keep the next run of ingest waiting.
    check = CheckIngestedOperator(
        task_id="check", execution_timeout=timedelta(minutes=5),  # the next run waits for it
        **seen_from(ESTATE.store(ESTATE.placement.exports_in)),
    )  # fmt: skip
    chain(summary, check)  # skipped, without a process, when the summary has nothing to tell


ingest_recordings()
