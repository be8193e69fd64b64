"""The tasks of retention: count, ask, condemn, delete, sweep, tell."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from airflow.sdk import BaseBranchOperator, BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from reelkeeper.errors import ConfigurationError, GateFailed
from reelkeeper.model import SegmentId, utc
from reelkeeper_airflow.clock import clock_offset, run_clock, trusted_clock
from reelkeeper_airflow.estate import current_estate, open_catalogue, open_store
from reelkeeper_airflow.lineage import Dataset, Objects, Table, TellsLineage
from reelkeeper_airflow.operators.approval import answer_of
from reelkeeper_airflow.params import is_dry_run

if TYPE_CHECKING:
    from reelkeeper.retention.job import DeletionResult, StorePlan


class PlanRetentionOperator(BaseBranchOperator):
    """Counts what is to leave each store: expired, retired, for its quota. Writes nothing.

    XCom `return_value` has the counts by store, and whether a person must approve them (`asks`); `question_<store>` the
    words for the person. Above a hard cap the condemning of that store fails, and the other stores go on.
    Skipped, with all that follows but the summary, in a dry run. When something is to be brought back, nothing is
    counted and only `bring_back_tasks` follow; else all but these.

    :param bring_back: what the run brings back instead; empty: nothing
    :param bring_back_tasks: the ids of the tasks that do so
    """

    template_fields: Sequence[str] = ("bring_back",)

    def __init__(self, *, bring_back: str | None = None, bring_back_tasks: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bring_back = bring_back
        self.bring_back_tasks = bring_back_tasks

    def choose_branch(self, context: Context) -> list[str]:
        from reelkeeper.retention.job import plan_retention

        if self.bring_back:
            self.log.info("brings back %r: nothing is condemned or deleted", self.bring_back)
            return list(self.bring_back_tasks)
        with open_catalogue() as catalogue:
            plan = plan_retention(current_estate(), catalogue, now=_moment_of(context))
        for store in plan.stores:
            self.log.info("%s", store)
            context["ti"].xcom_push(f"question_{store.store}", str(store))
        context["ti"].xcom_push("return_value", {str(store.store): _counts(store) for store in plan.stores})
        if is_dry_run(context):
            stores = ", ".join(str(one.store) for one in plan.refused)
            refused = f"; store {stores} would be refused: a hard cap is exceeded" if stores else ""
            raise AirflowSkipException(f"dry run: nothing is condemned or deleted{refused}")
        return sorted(self.downstream_task_ids.difference(self.bring_back_tasks))


class CondemnOperator(TellsLineage, BaseOperator):
    """Condemns what was planned for one store, all or nothing: no reader gets it, and its grace begins.

    Returns the counts. GateFailed when by now it is more than a person approved, or more than the hard cap.

    :param store: its name in estate.toml
    :param plan_task_id: of the run's `PlanRetentionOperator`
    """

    def __init__(self, *, store: str, plan_task_id: str = "plan", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.store = store
        self.plan_task_id = plan_task_id

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.retention.job import condemn_due

        clock = trusted_clock(context)
        planned = context["ti"].xcom_pull(task_ids=self.plan_task_id)[self.store]
        with open_catalogue() as catalogue:
            found = condemn_due(
                current_estate(),
                catalogue,
                self.store,
                run_id=context["dag_run"].run_id,
                now=min(_moment_of(context), clock),
                approved=sum(planned[reason] for reason in ("expired", "retired", "quota")) if planned["asks"] else 0,
                grace_from=clock,
            )
        condemned = found.expired.objects + found.retired.objects + found.quota.objects
        self.touched(read=[Table("replicas")], wrote=[Table("condemnations", condemned)])
        if found.shortfall:
            self.log.warning("store %r stays above its quota: %s", self.store, found.shortfall)
        return {
            "expired": found.expired.objects,
            "retired": found.retired.objects,
            "quota": found.quota.objects,
            "quota_missing_bytes": found.shortfall.missing_bytes if found.shortfall else 0,
        }


class DeleteCondemnedOperator(TellsLineage, BaseOperator):
    """Deletes what is condemned in one store and whose grace is over, each object judged again right before.

    Returns the counts; safe to try again after a kill. GateFailed when the store would not delete some of them.

    :param store: its name in estate.toml
    """

    def __init__(self, *, store: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.store = store

    def expected(self) -> tuple[Iterable[Dataset], Iterable[Dataset]]:
        return (Table("condemnations"),), (Objects(self.store), Table("deletions"))

    def execute(self, context: Context) -> dict[str, int]:
        from airflow.sdk.observability import stats

        from reelkeeper.retention.job import delete_condemned
        from reelkeeper_airflow.progress import ProgressLog

        result = delete_condemned(
            current_estate(),
            open_catalogue,
            open_store,
            self.store,
            run_id=context["dag_run"].run_id,
            now=trusted_clock(context),
            progress=ProgressLog(self.log, "objects"),
            current_estate=current_estate,
        )
        tags = {"store": self.store}
        gone = Objects(self.store, objects=result.deleted, size_bytes=result.deleted_bytes)
        self.touched(read=[Table("condemnations", result.deleted)], wrote=[gone, Table("deletions", result.deleted)])
        stats.incr("reelkeeper.objects_deleted", result.deleted, tags=tags)
        stats.incr("reelkeeper.bytes_deleted", result.deleted_bytes, tags=tags)
        return self._told(result, context)

    def _told(self, result: "DeletionResult", context: Context) -> dict[str, int]:
        counts = {
            "deleted": result.deleted,
            "bytes": result.deleted_bytes,
            "spared": result.spared,
            "waiting": result.waiting,
            "failed": result.failed,
            "forbidden": int(result.forbidden),
        }
        context["ti"].xcom_push("return_value", counts)  # the summary tells it, whether or not this task fails
        self.log.info("store %r: %s", self.store, ", ".join(f"{number} {what}" for what, number in counts.items()))
        if result.failed:
            raise GateFailed(
                f"store {self.store!r} did not delete {result.failed} objects, of {result.deleted + result.failed}: "
                "they stay condemned, and table condemnations says why; the next run tries again"
            )
        return counts


class SweepStoreOperator(BaseOperator):
    """Removes old temporary objects, old reports, stale uploads and empty folders of one store. Returns how many.

    :param store: its name in estate.toml
    """

    def __init__(self, *, store: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.store = store

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.retention.job import sweep_store

        with open_catalogue() as catalogue:
            swept = sweep_store(
                current_estate(),
                catalogue,
                open_store(self.store),
                run_id=context["dag_run"].run_id,
                now=trusted_clock(context),
                ahead=clock_offset(context),
                current_estate=current_estate,
            )
        return {
            "temporary": swept.temporary, "reports": swept.reports, "uploads": swept.uploads, "folders": swept.folders,
        }  # fmt: skip


class ExpireExportsOperator(TellsLineage, BaseOperator):
    """Ends the exports whose time is over, and condemns their objects. Returns how many of both."""

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.retention.job import expire_exports

        with open_catalogue() as catalogue:
            exports, objects = expire_exports(
                current_estate(), catalogue, open_store, run_id=context["dag_run"].run_id, now=trusted_clock(context)
            )
        self.touched(
            read=[Table("exports", exports)], wrote=[Table("exports", exports), Table("condemnations", objects)]
        )
        return {"exports": exports, "objects": objects}


class KeepHouseOperator(BaseOperator):
    """Forgets finished work lists that are older than `retention.history_days`, ends restores whose copies are gone.

    Returns how many rows.
    """

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.retention.job import keep_house

        with open_catalogue() as catalogue:
            kept = keep_house(current_estate(), catalogue, now=trusted_clock(context))
        return {"batches": kept.batches, "landing_files": kept.landing_files, "restores": kept.restores}


class BringBackOperator(BaseOperator):
    """Takes back what is condemned in one store and not deleted yet. Returns how many objects; a dry run only counts.

    Skipped when nothing is to be brought back.

    :param store: its name in estate.toml
    :param what: "segment:<id>", "camera:<slug>" or "run:<run id>"; empty: nothing
    """

    template_fields: Sequence[str] = ("what",)

    def __init__(self, *, store: str, what: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.store = store
        self.what = what

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.retention.job import bring_back

        if not self.what:
            raise AirflowSkipException("nothing is to be brought back")
        dry_run = is_dry_run(context)
        number = bring_back(
            current_estate(), open_catalogue, open_store, self.store, now=run_clock(context), dry_run=dry_run,
            **self._terms(self.what),
        )  # fmt: skip
        self.log.info("store %r: %d objects %s", self.store, number, "would come back" if dry_run else "came back")
        return {"brought_back": number}

    def _terms(self, what: str) -> dict[str, Any]:
        kind, _, name = what.partition(":")
        if kind == "run" and name:
            return {"run_id": name}
        if kind == "segment":
            try:
                return {"segment_id": SegmentId(UUID(name))}
            except ValueError as exc:
                raise ConfigurationError(f"param 'bring_back' is {what!r}: expected segment:<id>") from exc
        if kind == "camera":
            with open_catalogue() as catalogue:
                known = catalogue.cameras.by_slug(current_estate().tenant_name)
            if name in known:
                return {"camera_id": known[name].id}
            raise ConfigurationError(f"param 'bring_back' is {what!r}: expected a camera such as {sorted(known)[:10]}")
        raise ConfigurationError(
            f"param 'bring_back' is {what!r}: expected 'segment:<id>', 'camera:<slug>' or 'run:<run id>'"
        )


class SummariseRetentionOperator(BaseOperator):
    """Tells people what the run took, by store and reason, and what it left. Runs whatever became of the rest.

    :param stores: the names of the stores, whose task groups are called so
    """

    def __init__(self, *, stores: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stores = stores

    def execute(self, context: Context) -> dict[str, int]:
        from datetime import UTC

        from reelkeeper.retention.job import summarise_retention

        ti = context["ti"]
        with open_catalogue() as catalogue:
            rows = summarise_retention(
                catalogue, run_id=context["dag_run"].run_id, since=datetime(1970, 1, 1, tzinfo=UTC)
            )
        self.log.info("%-16s %-10s %12s %12s %16s", "store", "reason", "condemned", "deleted", "bytes deleted")
        for row in rows:
            self.log.info(
                "%-16s %-10s %12d %12d %16d", row.store, row.reason, row.waiting, row.deleted, row.deleted_bytes
            )
        if not rows:
            self.log.info("nothing was condemned or deleted")
        for store in self.stores:
            done = ti.xcom_pull(task_ids=f"{store}.delete") or {}
            if kept := {what: done[what] for what in ("spared", "waiting", "failed", "forbidden") if done.get(what)}:
                self.log.info("store %r: %s", store, ", ".join(f"{number} {what}" for what, number in kept.items()))
            answer = answer_of(context, f"{store}.approve")
            if answer is not None and answer.at:
                self.log.info("store %r: %s", store, answer)
        return {
            "condemned": sum(row.waiting for row in rows),
            "deleted": sum(row.deleted for row in rows),
            "deleted_bytes": sum(row.deleted_bytes for row in rows),
        }


def _counts(store: "StorePlan") -> dict[str, Any]:
    found = store.found
    return {
        "expired": found.expired.objects,
        "retired": found.retired.objects,
        "quota": found.quota.objects,
        "replicas": store.contents.replicas,
        "asks": store.caps.action == "ask",
    }


def _moment_of(context: Context) -> datetime:
    """When the run was due, by its clock: what was planned, and approved a day later, is what is condemned."""
    return utc(context["dag_run"].run_after) + clock_offset(context)
