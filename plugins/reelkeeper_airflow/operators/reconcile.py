"""The tasks of a reconciliation, except the copying of repairs, which is each backend's own."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseBranchOperator, BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from reelkeeper.errors import ConfigurationError
from reelkeeper.wording import size
from reelkeeper_airflow.clock import clock_offset, run_clock, trusted_clock
from reelkeeper_airflow.estate import current_estate, open_catalogue, open_store
from reelkeeper_airflow.hooks.environment import truth
from reelkeeper_airflow.lineage import Dataset, Objects, Table, TellsLineage
from reelkeeper_airflow.links import ReportLink, link_report
from reelkeeper_airflow.operators.approval import answer_of
from reelkeeper_airflow.params import is_dry_run
from reelkeeper_airflow.progress import ProgressLog

if TYPE_CHECKING:
    from reelkeeper.reconciling.job import Reconciled


class RouteReconciliationOperator(BaseBranchOperator):
    """Lets the tasks of the chosen stores run, or the one that brings orphans back, and skips all others.

    :param routes: for each store, the task that compares it and the one that brings its orphans back
    :param stores: the stores to be compared; None or empty: all
    :param bring_back: what comes back from quarantine: `{"store": …}`, and `path` or `run_id` to narrow it; None:
        nothing, the stores are compared
    """

    template_fields: Sequence[str] = ("stores", "bring_back")

    def __init__(
        self, *, routes: Mapping[str, tuple[str, str]], stores: Any = None, bring_back: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.routes = routes
        self.stores = stores
        self.bring_back = bring_back

    def choose_branch(self, context: Context) -> list[str]:
        if self.bring_back:
            return [self._route(bring_back_of(self.bring_back)["store"])[1]]
        return [self._route(name)[0] for name in self.stores or self.routes]

    def _route(self, store: str) -> tuple[str, str]:
        if store not in self.routes:
            raise ConfigurationError(f"unknown store {store!r}: expected one of {[*self.routes]}")
        return self.routes[store]


class ReconcileStoreOperator(TellsLineage, BaseOperator):
    """Holds one store against the catalogue, concludes what each difference means, and reports all of them.

    Takes nothing away. Returns counts, and whether a person must approve what is to be taken (`asks`); XCom `question`
    has the words for the person. StoreUnavailable when the store is not surely there, or is taken for sick: nothing is
    concluded.

    :param store: its name in estate.toml
    :param accept_loss: a person's word that the store is well and has lost what it lacks
    """

    template_fields: Sequence[str] = ("store", "accept_loss")
    operator_extra_links = (ReportLink(),)

    def __init__(self, *, store: str, accept_loss: bool | str = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.store = store
        self.accept_loss = accept_loss

    def expected(self) -> tuple[Iterable[Dataset], Iterable[Dataset]]:
        return (Objects(self.store), Table("replicas")), (Table("orphans"),)

    def execute(self, context: Context) -> dict[str, Any]:
        from reelkeeper.reconciling.job import reconcile_store

        found = reconcile_store(
            current_estate(),
            open_catalogue,
            open_store,
            self.store,
            run_id=context["dag_run"].run_id,
            now=run_clock(context),
            shift=clock_offset(context),
            dry_run=is_dry_run(context),
            accept_loss=truth(self.accept_loss, name="accept_loss"),
            progress=ProgressLog(self.log, "objects"),
        )
        return self._told(found, context)

    def _told(self, found: "Reconciled", context: Context) -> dict[str, Any]:
        from airflow.sdk.observability import stats

        from reelkeeper.model import Key

        row = found.row
        self.touched(
            read=[
                Objects(row.store, objects=row.objects, size_bytes=row.object_bytes),
                Table("replicas", row.replicas),
            ],
            wrote=[Table("orphans", row.orphans)],
        )
        if row.report_path:
            link_report(context, Key(row.report_path))
        self.log.info(
            "store %r: %d objects (%s) against %d replicas, %d foreign objects: %d orphans (%s), %d lost or damaged, "
            "%d healed%s", row.store, row.objects, size(row.object_bytes), row.replicas, row.foreign_objects,
            row.orphans, size(row.orphan_bytes), row.lost, row.healed,
            f"; report {row.report_path}" if row.report_path else "",
        )  # fmt: skip
        tags = {"store": str(row.store)}
        stats.gauge("reelkeeper.orphans", row.orphans, tags=tags)
        stats.gauge("reelkeeper.replicas_lost", row.lost, tags=tags)
        asks = str(found.verdict.action) == "ask" and not is_dry_run(context)
        context["ti"].xcom_push(
            "question",
            f"Store `{row.store}`: {found.takeable.ripe} orphans would go to quarantine, {found.takeable.due} would "
            f"leave it for good. {found.verdict.message}.\n\nThe report lists them: `{row.report_path}`.",
        )
        return {
            "asks": asks, "objects": row.objects, "replicas": row.replicas, "orphans": row.orphans, "lost": row.lost,
            "healed": row.healed, "ripe": found.takeable.ripe, "due": found.takeable.due,
        }  # fmt: skip


class QuarantineOrphansOperator(TellsLineage, BaseOperator):
    """Puts the ripe orphans of one store into quarantine, and deletes those whose time there is over.

    Only what nothing knows at that moment. Returns counts. Skipped in a dry run. GateFailed, with nothing touched,
    above the hard cap, or above the soft one when more would go than what a person was asked about and approved.

    :param store: its name in estate.toml
    :param approve_task_id: of the run's `ApproveOperator` for the store
    :param compare_task_id: of the run's `ReconcileStoreOperator` for the store, which counted what was asked about
    """

    template_fields: Sequence[str] = ("store",)

    def __init__(self, *, store: str, approve_task_id: str, compare_task_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.store = store
        self.approve_task_id = approve_task_id
        self.compare_task_id = compare_task_id

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.reconciling.job import quarantine_orphans

        if is_dry_run(context):
            raise AirflowSkipException("dry run: nothing is taken")
        answer = answer_of(context, self.approve_task_id)
        done = quarantine_orphans(
            current_estate(),
            open_catalogue,
            open_store,
            self.store,
            run_id=context["dag_run"].run_id,
            now=trusted_clock(context),
            shift=clock_offset(context),
            approved=self._asked_for(context) if answer and answer.approved and answer.by else 0,
            current_estate=current_estate,
        )
        moved = done.quarantined + done.deleted
        self.touched(
            read=[Table("orphans", moved)], wrote=[Objects(self.store, objects=moved), Table("orphans", moved)]
        )
        self.log.info(
            "store %r: %d orphans into quarantine (%d of them left in place), %d known or changed meanwhile, %d that "
            "could not be told, %d objects, %s, deleted", self.store, done.quarantined, done.marked, done.known,
            done.unknown, done.deleted, size(done.deleted_bytes),
        )  # fmt: skip
        return {"quarantined": done.quarantined, "known": done.known, "unknown": done.unknown,
                "deleted": done.deleted, "bytes": done.deleted_bytes}  # fmt: skip

    def _asked_for(self, context: Context) -> int:
        found = context["ti"].xcom_pull(task_ids=self.compare_task_id)
        return int(found["ripe"]) + int(found["due"])


class PlanRepairsOperator(BaseOperator):
    """Puts the lost replicas of one store that have a verified copy elsewhere into batches.

    Returns the batches' ids. Skipped in a dry run, with an empty list.

    :param store: its name in estate.toml
    """

    template_fields: Sequence[str] = ("store",)

    def __init__(self, *, store: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.store = store

    def execute(self, context: Context) -> list[str]:
        from reelkeeper.reconciling.job import plan_repairs

        if is_dry_run(context):
            context["ti"].xcom_push("return_value", [])
            raise AirflowSkipException("dry run: nothing is repaired")
        plan = plan_repairs(
            current_estate(), open_catalogue, open_store, self.store,
            run_id=context["dag_run"].run_id, now=trusted_clock(context), current_estate=current_estate,
        )  # fmt: skip
        self.log.info("to repair in store %r: %d replicas, %s", self.store, plan.segments, size(plan.size_bytes))
        return [str(batch.id) for batch in plan.batches]


class BringBackOrphansOperator(BaseOperator):
    """Brings orphans of one store back from quarantine to where they were found. Returns counts.

    In a dry run nothing is changed, and the task is skipped.

    :param store: its name in estate.toml
    :param bring_back: which: `path` for one, `run_id` for what that run put there, neither for all of the store's
    """

    template_fields: Sequence[str] = ("store", "bring_back")

    def __init__(self, *, store: str, bring_back: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.store = store
        self.bring_back = bring_back

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.reconciling.job import bring_back

        which = bring_back_of(self.bring_back)
        if is_dry_run(context):
            raise AirflowSkipException("dry run: nothing is brought back")
        back = bring_back(
            current_estate(), open_catalogue, open_store, self.store,
            run_id=context["dag_run"].run_id, now=trusted_clock(context), path=which.get("path"),
            quarantined_by=which.get("run_id"), current_estate=current_estate,
        )  # fmt: skip
        self.log.info("store %r: %d objects are back; %d could not come back", self.store, back.returned, back.kept)
        return {"returned": back.returned, "kept": back.kept}


class SummariseReconciliationOperator(BaseOperator):
    """Tells people what a run found in each store, whatever became of it: a table in the log. Returns counts."""

    def execute(self, context: Context) -> dict[str, int]:
        run_id = context["dag_run"].run_id
        with open_catalogue() as catalogue:
            catalogue.reconciliations.record_repaired(run_id)
            rows = catalogue.reconciliations.of_run(run_id)
        head = [
            "| store | outcome | objects | replicas | foreign | orphans | quarantined | lost | repaired | healed | report |",  # noqa: E501
            "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---|",
        ]
        lines = [
            f"| {row.store} | {row.outcome} | {row.objects} | {row.replicas} | {row.foreign_objects} | {row.orphans} "
            f"| {row.quarantined} | {row.lost} | {row.repaired} | {row.healed} | {row.report_path or ''} |"
            for row in rows
        ]
        for line in [f"run {run_id}: {len(rows)} stores", *(head if rows else ()), *lines]:
            self.log.info("%s", line)
        return {
            "stores": len(rows), "orphans": sum(row.orphans for row in rows), "lost": sum(row.lost for row in rows),
            "quarantined": sum(row.quarantined for row in rows), "repaired": sum(row.repaired for row in rows),
        }  # fmt: skip


def bring_back_of(given: Any) -> dict[str, str]:
    """The param `bring_back`. ConfigurationError unless it names a store, and nothing but what may narrow it."""
    allowed = {"store", "path", "run_id"}
    if not isinstance(given, Mapping) or "store" not in given or set(given) - allowed:
        raise ConfigurationError(
            f"param 'bring_back' is {given!r}: expected an object with 'store', and 'path' or 'run_id' to narrow it"
        )
    return {str(name): str(value) for name, value in given.items()}
