"""The tasks that take footage in."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from reelkeeper.errors import GateFailed
from reelkeeper.model import BatchId
from reelkeeper.wording import size
from reelkeeper_airflow.assets import SEGMENTS
from reelkeeper_airflow.estate import current_estate, open_catalogue, open_store
from reelkeeper_airflow.lineage import THUMBNAILS, Dataset, Objects, Table, TellsLineage, Zone
from reelkeeper_airflow.progress import ProgressLog


class PlanIngestOperator(BaseOperator):
    """Looks for new files in one landing zone, and returns the ids of the batches that they were put into.

    XCom `counts` has files, bytes, and how many files still grow.

    :param zone: its name in estate.toml
    :param only: the run's only zone; None: all. Where it is another one, nothing is done
    """

    template_fields: Sequence[str] = ("zone", "only")

    def __init__(self, *, zone: str, only: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.zone = zone
        self.only = only

    def execute(self, context: Context) -> list[str]:
        from reelkeeper.ingest.job import plan_ingest

        if self.only not in (None, self.zone):
            self.log.info("zone %r is left alone in this run", self.zone)
            return []
        with open_catalogue() as catalogue:
            plan = plan_ingest(current_estate(), catalogue, open_store, self.zone, run_id=context["dag_run"].run_id)
        self.log.info("zone %r: %d files, %s, in %d batches; %d still grow", self.zone, plan.files,
                      size(plan.size_bytes), len(plan.batches), plan.deferred)  # fmt: skip
        counts = {"files": plan.files, "bytes": plan.size_bytes, "deferred": plan.deferred}
        context["ti"].xcom_push("counts", counts)
        return [str(batch.id) for batch in plan.batches]


class IngestBatchOperator(TellsLineage, BaseOperator):
    """Takes in the open files of one batch: probe, hash, place, write, verify, record. Returns counts.

    What cannot become a segment goes to quarantine with a reason, and the rest goes on. Footage that the cloud would
    not take is kept in the local store, and migrates later.

    :param batch_id: of a batch that `PlanIngestOperator` planned
    :param zone: the batch's landing zone, for those who ask where footage came from; None: nobody is told
    """

    template_fields: Sequence[str] = ("batch_id",)

    def __init__(self, *, batch_id: str, zone: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id
        self.zone = zone

    def expected(self) -> tuple[Iterable[Dataset], Iterable[Dataset]]:
        read = (Zone(self.zone),) if self.zone else ()
        return read, (*_destinations(), Table("segments"), Table("replicas"))

    def execute(self, context: Context) -> dict[str, Any]:
        from airflow.sdk.observability import stats

        from reelkeeper.ingest.job import ingest_batch

        result = ingest_batch(
            current_estate(),
            open_catalogue,
            open_store,
            BatchId(UUID(str(self.batch_id))),
            progress=ProgressLog(self.log, "files"),
        )
        files, size_bytes = result.ingested, result.bytes_ingested
        self.touched(
            read=[Zone(self.zone, files, size_bytes)] if self.zone else (),
            wrote=[*_destinations(files, size_bytes), Table("segments", files), Table("replicas", files)],
        )
        if result.fallbacks:
            self.log.warning("the cloud failed for %d files: they are in the local store until a migration takes them",
                             result.fallbacks)  # fmt: skip
        for name in ("ingested", "duplicates", "quarantined", "failed", "fallbacks", "bytes_ingested"):
            stats.incr(f"reelkeeper.ingest.{name}", getattr(result, name))
        return asdict(result)


class ThumbnailBatchOperator(TellsLineage, BaseOperator):
    """Makes one picture of each segment that a batch took in. Returns counts.

    :param batch_id: of a batch that was ingested
    """

    template_fields: Sequence[str] = ("batch_id",)

    def __init__(self, *, batch_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id

    def execute(self, context: Context) -> dict[str, Any]:
        from reelkeeper.ingest.job import thumbnail_batch

        result = thumbnail_batch(
            current_estate(),
            open_catalogue,
            open_store,
            BatchId(UUID(str(self.batch_id))),
            progress=ProgressLog(self.log, "thumbnails"),
        )
        self.touched(read=_destinations(), wrote=[Objects(_thumbnails(), THUMBNAILS, objects=result.made)])
        return asdict(result)


class SummariseIngestOperator(BaseOperator):
    """Tells people what a run took in, and lets it pass when that is good enough; else GateFailed.

    Runs whatever became of the tasks before it. Skipped when nothing arrived. The event of asset `segments` has the
    counts.

    :param planned: what each zone's `PlanIngestOperator` returned, by zone; None: it failed
    :param ingested: what the zone's `IngestBatchOperator`s returned
    :param pictured: what the zone's `ThumbnailBatchOperator`s returned
    """

    template_fields: Sequence[str] = ("planned", "ingested", "pictured")

    def __init__(
        self, *, planned: dict[str, Any], ingested: dict[str, Any], pictured: dict[str, Any], **kwargs: Any
    ) -> None:
        super().__init__(outlets=[SEGMENTS], **kwargs)
        self.planned = planned
        self.ingested = ingested
        self.pictured = pictured

    def execute(self, context: Context) -> dict[str, Any]:
        from reelkeeper.ingest.job import IngestResult, gate, summarise

        problems, results = [], []
        self.log.info("| zone | batches | ingested | duplicates | quarantined | deferred | failed | size |")
        self.log.info("|---|---:|---:|---:|---:|---:|---:|---:|")
        for zone, batch_ids in self.planned.items():
            done = [IngestResult(**result) for result in self.ingested[zone] or () if result]
            pictures = [result for result in self.pictured[zone] or () if result]
            problems += _unfinished(zone, batch_ids, len(done), len(pictures))
            row = summarise(done)
            counts = (row.ingested, row.duplicates, row.quarantined, row.deferred, row.failed)
            cells = (zone, len(batch_ids or ()), *counts, size(row.bytes_ingested))
            self.log.info("| %s |", " | ".join(map(str, cells)))
            results += done
        result = summarise(results)
        if result.reasons:
            self.log.warning("quarantined or failed, by reason: %s", dict(result.reasons))
        if problems:
            raise GateFailed("; ".join(problems))
        gate(result, max_failure_ratio=current_estate().ingest.max_failure_ratio)
        if not result.ingested:
            raise AirflowSkipException(f"nothing was ingested: {result.files} files seen")
        context["outlet_events"][SEGMENTS].extra.update(asdict(result))
        return asdict(result)


def _destinations(objects: int | None = None, size_bytes: int | None = None) -> list[Objects]:
    """Where footage goes when it comes in. Where it may be two stores, each one's share stands in the catalogue."""
    placement = current_estate().placement
    if placement.at_ingest == "local" or placement.mode == "local" or placement.cloud_store is None:
        return [Objects(placement.local_store, objects=objects, size_bytes=size_bytes)]
    return [Objects(placement.local_store), Objects(placement.cloud_store)]


def _thumbnails() -> str:
    placement = current_estate().placement
    return placement.thumbnail_store or placement.local_store


def _unfinished(zone: str, batch_ids: list[str] | None, ingested: int, thumbnails: int) -> list[str]:
    """What a zone's tasks did not get done."""
    if batch_ids is None:
        return [f"zone {zone!r} was not looked at: expected the ids of its batches"]
    return [
        f"{len(batch_ids) - count} of {len(batch_ids)} batches of zone {zone!r} {what}: expected 0"
        for count, what in ((ingested, "were not ingested"), (thumbnails, "got no thumbnails"))
        if count < len(batch_ids)
    ]
