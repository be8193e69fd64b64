"""The tasks of a migration that look at what the copying did; the copying is each backend's own."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from reelkeeper.errors import GateFailed, StoreUnavailable
from reelkeeper.model import BatchId, SegmentId
from reelkeeper.wording import size
from reelkeeper_airflow.assets import REPLICAS
from reelkeeper_airflow.estate import current_estate, open_catalogue, open_store
from reelkeeper_airflow.lineage import Table, TellsLineage
from reelkeeper_airflow.operators.plan_migration import left_out

_ARCHIVED = (
    "{} of the copies are in classes that must be restored before they can be read: they are read from the local "
    "copies, for migration.local_retention_days"
)


class VerifyBatchOperator(TellsLineage, BaseOperator):
    """Looks, apart from the copying, whether what a batch claims to have made is in the store. Returns counts.

    :param batch_id: of a batch that was transferred
    """

    template_fields: Sequence[str] = ("batch_id",)

    def __init__(self, *, batch_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.migration.job import verify_batch

        found = verify_batch(current_estate(), open_catalogue, open_store, BatchId(UUID(str(self.batch_id))))
        self.touched(read=[Table("replicas", found.verified + found.unverified)])
        self.log.info("%d replicas are as recorded, %d are not", found.verified, found.unverified)
        return {"verified": found.verified, "unverified": found.unverified, "bytes": found.verified_bytes}


class MigrationGateOperator(BaseOperator):
    """Lets a migration pass when it did what it set out to do; else GateFailed, with measure and bound.

    Runs whatever became of the tasks before it. Skipped when nothing was planned. The event of asset `replicas` has the
    counts.

    :param batch_ids: what `PlanMigrationOperator` returned; None: it failed
    :param transferred: what the `TransferBatchOperator`s of each store returned
    :param verified: what the `VerifyBatchOperator`s of each store returned
    """

    template_fields: Sequence[str] = ("batch_ids", "transferred", "verified")

    def __init__(self, *, batch_ids: Any, transferred: Any, verified: Any, **kwargs: Any) -> None:
        super().__init__(outlets=[REPLICAS], **kwargs)
        self.batch_ids = batch_ids
        self.transferred = transferred
        self.verified = verified

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.migration.job import gate

        if self.batch_ids is None:
            raise GateFailed("the plan did not finish: expected the ids of its batches")
        batch_ids = [BatchId(UUID(str(batch_id))) for batch_id in self.batch_ids]
        if not batch_ids:
            raise AirflowSkipException("nothing was planned")
        verified = _counts(self.verified)
        if len(verified) < len(batch_ids):
            raise GateFailed(f"{len(verified)} of {len(batch_ids)} batches were verified: expected all")
        with open_catalogue() as catalogue:
            counts = gate(
                current_estate(),
                catalogue,
                batch_ids,
                unverified=sum(found["unverified"] for found in verified),
                stopped=any(done.get("stopped") for done in _counts(self.transferred)),
            )
        told = {"done": counts.done, "failed": counts.failed, "open": counts.pending + counts.claimed,
                "bytes": counts.bytes_done}  # fmt: skip
        context["outlet_events"][REPLICAS].extra.update(told)
        return told


class SummariseMigrationOperator(BaseOperator):
    """Tells people how a run ended, whatever became of it: a table in the log. Returns its counts.

    :param plan_task_id: of the run's `PlanMigrationOperator`
    """

    def __init__(self, *, plan_task_id: str = "plan", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan_task_id = plan_task_id

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.migration.job import summarise

        run_id = context["dag_run"].run_id
        planned = context["ti"].xcom_pull(task_ids=self.plan_task_id, key="counts")
        if planned and planned["dry_run"]:
            self.log.info("dry run: %d segments, %s, would be copied", planned["segments"], size(planned["bytes"]))
        left_out_segments = (planned or {}).get("archived", 0)
        with open_catalogue() as catalogue:
            batches = catalogue.transfers.batches("migrate", run_id)
            summary = summarise(catalogue, [batch.id for batch in batches])
        counts = summary.counts
        unfinished = counts.pending + counts.claimed
        head = ["| store | segments | size |", "|---|---:|---:|"] if batches else []
        lines = [
            f"run {run_id}: {len(batches)} batches",
            *head,
            *(f"| {batch.store} | {batch.item_count} | {size(batch.size_bytes)} |" for batch in batches),
            f"copied {counts.done} segments, {size(counts.bytes_done)}; failed {counts.failed}; open {unfinished}",
            *([_ARCHIVED.format(summary.archived)] if summary.archived else []),
            *([left_out(left_out_segments)] if left_out_segments else []),
            *(f"failed: segment {each.segment_id}: {each.error_code}: {each.error}" for each in summary.failures),
        ]
        for line in lines:
            self.log.info("%s", line)
        return {"batches": len(batches), "done": counts.done, "failed": counts.failed, "open": unfinished,
                "bytes": counts.bytes_done, "archived": summary.archived, "left_out": left_out_segments}  # fmt: skip


class VerifySegmentOperator(BaseOperator):
    """Reads every replica of one segment whole and compares it with the catalogue.

    One that was doubted and is right is available again, one that is wrong is suspicious from then on. Returns how many
    replicas are right. GateFailed when one is not, StoreUnavailable when one could not be looked at,
    as on a worker that does not see the disk.

    :param segment_id: which one
    """

    template_fields: Sequence[str] = ("segment_id",)

    def __init__(self, *, segment_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.segment_id = segment_id

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.verification.confirming import verify_segment

        with open_catalogue() as catalogue:
            findings = verify_segment(current_estate(), catalogue, open_store, SegmentId(UUID(str(self.segment_id))))
        for finding in findings:
            self.log.info("store %r, %s: %s", finding.replica.store, finding.replica.path, finding.error or "verified")
        if wrong := [finding for finding in findings if finding.is_wrong]:
            raise GateFailed(f"{len(wrong)} of {len(findings)} replicas of segment {self.segment_id!r} are not right: "
                             f"{'; '.join(f'{each.replica.store}: {each.error}' for each in wrong)}")  # fmt: skip
        if unseen := [finding for finding in findings if finding.error]:
            raise StoreUnavailable(
                f"{len(unseen)} of {len(findings)} replicas of segment {self.segment_id!r} could not be looked at: "
                f"{'; '.join(f'{each.replica.store}: {each.error}' for each in unseen)}"
            ) from unseen[0].error
        return {"verified": len(findings)}


def _counts(by_store: Iterable[Iterable[dict[str, int] | None] | None]) -> list[dict[str, int]]:
    """What the mapped tasks of all stores returned; a task that failed or was skipped returned nothing."""
    return [result for results in by_store for result in results or () if result]
