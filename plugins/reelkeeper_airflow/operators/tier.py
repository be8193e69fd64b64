"""The tasks of tiering, except the moving, which is each backend's own: estimate and plan, gate, tell."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from reelkeeper.errors import GateFailed
from reelkeeper.wording import size
from reelkeeper_airflow.assets import REPLICAS
from reelkeeper_airflow.clock import run_clock
from reelkeeper_airflow.estate import current_estate, open_catalogue, open_store
from reelkeeper_airflow.operators.approval import answer_of
from reelkeeper_airflow.params import is_dry_run

if TYPE_CHECKING:
    from reelkeeper.catalogue.tier_moves import TierSum
    from reelkeeper.tiering.job import TierPlan

_HEAD = ("| store | from | to | replicas | size | costs once, USD | saves, USD |", "|---|---|---|---:|---:|---:|---:|")
_REFUSED = ("| store | from | to | replicas | size | why not |", "|---|---|---|---:|---:|---|")


class PlanTiersOperator(BaseOperator):
    """Estimates which replicas save money in a colder tier, and freezes them, with the figures, in batches.

    Returns counts and sums. XCom `asks` says whether a person must approve the one-off cost
    (`tiering.approve_above_usd`), `question` has the figures for the person. The log has a table
    of what moves, and one of what does not and why. Skipped, with all that follows but the summary, in a dry run and
    when nothing is to move. A second try finds what the first one planned.
    """

    def execute(self, context: Context) -> dict[str, Any]:
        from reelkeeper.tiering.job import plan_tiers

        estate, dry_run = current_estate(), is_dry_run(context)
        with open_catalogue() as catalogue:
            plan = plan_tiers(
                estate,
                catalogue,
                open_store,
                run_id=context["dag_run"].run_id,
                dry_run=dry_run,
                now=lambda: run_clock(context),
            )
        table = [*_HEAD, *map(_row, plan.moves)] if plan.moves else []
        for line in (*plan.barred, *table, *_refusals(plan)):
            self.log.info("%s", line)
        asks = plan.needs_approval(estate.tiering.approve_above_usd)
        told = {
            "replicas": plan.replicas, "bytes": plan.size_bytes, "left": plan.left,
            "refused": sum(each.found.replicas for each in plan.refused), "one_off_usd": round(plan.one_off_usd, 6),
            "saving_usd": round(plan.saving_usd, 6), "dry_run": int(dry_run), "versioned_stores": len(plan.versioned),
        }  # fmt: skip
        self.log.info("%s", _told(plan))
        ti = context["ti"]
        ti.xcom_push("asks", asks)
        ti.xcom_push("question", "\n".join([_told(plan), "", *table]))
        ti.xcom_push("return_value", told)  # a skipped task returns nothing, and the summary wants the figures
        if dry_run:
            raise AirflowSkipException("dry run: nothing is moved")
        if not plan.batches:
            raise AirflowSkipException("nothing is to move")
        return told


class TierBatchesOperator(BaseOperator):
    """Returns the ids of the batches that the run planned for one store; none: what follows is skipped.

    :param store: its name in estate.toml
    """

    def __init__(self, *, store: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.store = store

    def execute(self, context: Context) -> list[str]:
        with open_catalogue() as catalogue:
            batches = catalogue.tier_moves.batches(context["dag_run"].run_id)
        return [str(batch.id) for batch in batches if batch.store == self.store]


class TierGateOperator(BaseOperator):
    """Lets tiering pass when it did what was planned; else GateFailed, with measure and bound.

    Runs whatever became of the tasks before it. What a person rejected is dropped, and the task is skipped; it is
    skipped as well when nothing was planned. The event of asset `replicas` has the counts.

    :param moved: what the `TierBatchOperator`s of each store returned
    :param plan_task_id: of the run's `PlanTiersOperator`
    :param approve_task_id: of the run's `ApproveOperator`
    """

    template_fields: Sequence[str] = ("moved",)

    def __init__(
        self, *, moved: Any, plan_task_id: str = "plan", approve_task_id: str = "approve", **kwargs: Any
    ) -> None:
        super().__init__(outlets=[REPLICAS], **kwargs)
        self.moved = moved
        self.plan_task_id = plan_task_id
        self.approve_task_id = approve_task_id

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.tiering.job import gate, reject

        run_id = context["dag_run"].run_id
        planned = context["ti"].xcom_pull(task_ids=self.plan_task_id)
        if planned is None:
            raise GateFailed("the plan did not finish: expected its counts")
        if planned["dry_run"] or not planned["replicas"]:
            raise AirflowSkipException("nothing was to move")
        answer = answer_of(context, self.approve_task_id)
        with open_catalogue() as catalogue:
            if answer is not None and not answer.approved:
                dropped = reject(catalogue, run_id=run_id, why=str(answer))
                raise AirflowSkipException(f"{answer}: {dropped} moves are dropped")
            stopped = any(done.get("stopped") for done in _flat(self.moved))
            counts = gate(current_estate(), catalogue, run_id=run_id, stopped=stopped)
        told = {"done": counts.done, "failed": counts.failed, "open": counts.open, "dropped": counts.dropped}
        context["outlet_events"][REPLICAS].extra.update(told)
        return told


class SummariseTiersOperator(BaseOperator):
    """Tells people how a run ended, whatever became of it: a table in the log. Returns its counts and sums.

    :param plan_task_id: of the run's `PlanTiersOperator`
    :param approve_task_id: of the run's `ApproveOperator`
    """

    def __init__(self, *, plan_task_id: str = "plan", approve_task_id: str = "approve", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan_task_id = plan_task_id
        self.approve_task_id = approve_task_id

    def execute(self, context: Context) -> dict[str, Any]:
        from reelkeeper.tiering.job import summarise

        run_id = context["dag_run"].run_id
        planned = context["ti"].xcom_pull(task_ids=self.plan_task_id) or {}
        if planned.get("dry_run"):
            self.log.info(
                "dry run: %d replicas, %s, would move; it costs %.2f USD once and saves %.2f USD",
                planned["replicas"], size(planned["bytes"]), planned["one_off_usd"], planned["saving_usd"],
            )  # fmt: skip
        with open_catalogue() as catalogue:
            summary = summarise(catalogue, run_id=run_id)
        counts, answer = summary.counts, answer_of(context, self.approve_task_id)
        saving = sum(each.saving_usd for each in summary.done)
        head = (
            f"run {run_id}: {counts.done} replicas moved, {counts.failed} failed, {counts.dropped} dropped, "
            f"{counts.open} open; {planned.get('refused', 0)} stay because moving them would lose money or must wait, "
            f"{planned.get('left', 0)} are left for later runs"
        )
        lines = [
            head,
            *([str(answer)] if answer else []),
            *(["stores that keep old versions bill them in their old class as well"] if planned.get("versioned_stores")
              else []),
            *([*_HEAD, *map(_row, summary.done)] if summary.done else []),
            *(f"failed: segment {each.segment_id} from {each.from_tier} to {each.to_tier} in {each.store}: "
              f"{each.error_code}: {each.error}" for each in summary.failures),
        ]  # fmt: skip
        for line in lines:
            self.log.info("%s", line)
        return {
            "done": counts.done, "failed": counts.failed, "dropped": counts.dropped, "open": counts.open,
            "bytes": sum(each.size_bytes for each in summary.done), "saving_usd": round(saving, 6),
            "one_off_usd": round(sum(each.one_off_usd for each in summary.done), 6),
        }  # fmt: skip


def _row(found: "TierSum") -> str:
    tiers = current_estate().store(found.store).tiers
    places = [f"{tier} ({tiers[tier].storage_class})" if tiers.get(tier) and tiers[tier].storage_class else str(tier)
              for tier in (found.from_tier, found.to_tier)]  # fmt: skip
    return (f"| {found.store} | {places[0]} | {places[1]} | {found.replicas} | {size(found.size_bytes)} | "
            f"{found.one_off_usd:.4f} | {found.saving_usd:.4f} |")  # fmt: skip


def _refusals(plan: "TierPlan") -> list[str]:
    rows = [
        f"| {each.found.store} | {each.found.from_tier} | {each.found.to_tier} | {each.found.replicas} | "
        f"{size(each.found.size_bytes)} | {'for one: ' if each.found.outcome == 'loses' else ''}{each.why} |"
        for each in plan.refused
    ]
    return ["what stays where it is:", *_REFUSED, *rows] if rows else []


def _told(plan: "TierPlan") -> str:
    versioned = (f"; not counted: {', '.join(plan.versioned)} keeps old versions, billed in their old class as well"
                 if plan.versioned else "")  # fmt: skip
    return (
        f"{'would move' if plan.dry_run else 'to move:'} {plan.replicas} replicas, {size(plan.size_bytes)}; it costs "
        f"{plan.one_off_usd:.2f} USD once and saves {plan.saving_usd:.2f} USD, that taken off, over the time that they "
        f"are still kept; {plan.left} more, for {plan.left_usd:.2f} USD once, are left for later runs{versioned}"
    )


def _flat(by_store: Iterable[Iterable[dict[str, int] | None] | None]) -> list[dict[str, int]]:
    """What the mapped tasks of all stores returned; a task that failed or was skipped returned nothing."""
    return [result for results in by_store for result in results or () if result]
