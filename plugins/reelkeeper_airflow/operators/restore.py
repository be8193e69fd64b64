"""The tasks of a restore: estimate and plan, ask and wait, and what came of it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from uuid import UUID

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from reelkeeper.errors import ConfigurationError, GateFailed
from reelkeeper.model import SegmentId, StoreName, TimeRange
from reelkeeper.wording import size
from reelkeeper_airflow.estate import current_estate, open_catalogue, open_store
from reelkeeper_airflow.hooks.environment import truth
from reelkeeper_airflow.lineage import Dataset, Objects, Table, TellsLineage
from reelkeeper_airflow.progress import ProgressLog

if TYPE_CHECKING:
    from reelkeeper.restoring.job import RestorePlan

_EVER = datetime(1970, 1, 1, tzinfo=UTC)


class PlanRestoreOperator(BaseOperator):
    """Estimates what it takes to make footage readable, and plans it where that is within the budget.

    Returns counts: segments, readable, shared, missing, restores, bytes, cost_usd, dry_run. XCom `estimates` has the
    same by store, class and speed. BudgetExceeded, with figures, when it would cost more; nothing is planned then. A
    dry run changes nothing, and only warns.

    :param cameras: slugs or ids; none: every camera
    :param start_time: footage from this time on, ISO 8601 with a zone; None: since ever
    :param end_time: and before this; None: until now
    :param segment_ids: these alone; none: all
    :param store: only its copies; None: the cheapest of all stores
    :param speed: "expedited", "standard" or "bulk"; None, here and below: as in estate.toml
    :param days: how long the copies stay
    :param budget_usd: most that it may cost
    :param is_dry_run: only estimate
    """

    template_fields: Sequence[str] = (
        "cameras", "start_time", "end_time", "segment_ids", "store", "speed", "days", "budget_usd", "is_dry_run",
    )  # fmt: skip

    def __init__(
        self,
        *,
        cameras: Any = (),
        start_time: str | None = None,
        end_time: str | None = None,
        segment_ids: Any = (),
        store: str | None = None,
        speed: Any = None,
        days: int | str | None = None,
        budget_usd: float | str | None = None,
        is_dry_run: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cameras = cameras
        self.start_time = start_time
        self.end_time = end_time
        self.segment_ids = segment_ids
        self.store = store
        self.speed = speed
        self.days = days
        self.budget_usd = budget_usd
        self.is_dry_run = is_dry_run

    def execute(self, context: Context) -> dict[str, float]:
        from reelkeeper.restoring.job import plan_restore, select

        estate, now = current_estate(), datetime.now(UTC)
        with open_catalogue() as catalogue:
            selection = select(
                estate,
                catalogue,
                cameras=[str(camera) for camera in self.cameras or ()],
                time_range=self._range(now),
                segment_ids=[_segment_id(each) for each in self.segment_ids or ()],
            )
            plan = plan_restore(
                estate,
                catalogue,
                selection,
                store=self.store,
                speed=self.speed,
                days=None if self.days is None else _whole(self.days, "days"),
                budget_usd=None if self.budget_usd is None else _money(self.budget_usd, "budget_usd"),
                run_id=waiting_run(context),
                now=now,
                dry_run=truth(self.is_dry_run, name="dry_run"),
            )
        return self._told(plan, context)

    def _range(self, now: datetime) -> TimeRange | None:
        if not self.start_time and not self.end_time:
            return None
        try:
            start = datetime.fromisoformat(str(self.start_time)) if self.start_time else _EVER
            end = datetime.fromisoformat(str(self.end_time)) if self.end_time else now
            return TimeRange(start, end)
        except ValueError as exc:
            raise ConfigurationError(f"start_time {self.start_time!r}, end_time {self.end_time!r}: {exc}") from exc

    def _told(self, plan: "RestorePlan", context: Context) -> dict[str, float]:
        estimates = [
            {
                "store": each.store, "storage_class": each.storage_class, "speed": each.speed, "usual": str(each.usual),
                "replicas": each.replicas, "bytes": each.size_bytes, "cost_usd": float(each.cost_usd),
            }
            for each in plan.estimates
        ]  # fmt: skip
        counts: dict[str, float] = {
            "segments": plan.segments, "readable": plan.readable, "shared": plan.shared, "missing": plan.missing,
            "restores": plan.replicas, "bytes": plan.size_bytes, "cost_usd": float(plan.cost_usd),
            "budget_usd": float(plan.budget_usd), "days": plan.days, "dry_run": int(plan.dry_run),
        }  # fmt: skip
        context["ti"].xcom_push("estimates", estimates)
        for line in estimate_lines(counts, estimates):
            self.log.info("%s", line)
        if plan.cost_usd > plan.budget_usd:
            self.log.warning("it is above the budget of %.2f USD: without dry_run this run would fail, and restore "
                             "nothing", plan.budget_usd)  # fmt: skip
        if plan.missing:
            self.log.warning("%d segments have no copy to read or restore, or are not in the catalogue", plan.missing)
        return counts


class RestoreOperator(TellsLineage, BaseOperator):
    """Asks one store for what the run waits for there, and waits until it is readable.

    It waits in the triggerer, without a worker or a slot, and looks from half of the usual time on. What was asked for,
    and by whom, stands in the catalogue: after a restart of whatever part, or cleared by hand, it goes on from there.
    Returns how many were readable, failed and asked for at its last look.

    :param store: the store's name
    :param is_dry_run: skip
    """

    template_fields: Sequence[str] = ("store", "is_dry_run")

    def __init__(self, *, store: str, is_dry_run: bool | str = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.store = store
        self.is_dry_run = is_dry_run

    def expected(self) -> tuple[Iterable[Dataset], Iterable[Dataset]]:
        return (Objects(self.store),), (Table("restores"),)

    def execute(self, context: Context, event: Any = None) -> dict[str, int]:
        from reelkeeper.restoring.job import look_at_restores, request_restores

        if truth(self.is_dry_run, name="dry_run"):
            raise AirflowSkipException("dry run: nothing is asked for")
        estate, store, now = current_estate(), StoreName(self.store), datetime.now(UTC)
        where = (estate, open_catalogue, open_store, store)
        run_id = waiting_run(context)
        asked = request_restores(*where, run_id=run_id, now=now, progress=ProgressLog(self.log, "restores"))
        found = look_at_restores(*where, run_id=run_id, now=now)
        if found.readable:  # a later end may be wanted of some
            request_restores(*where, run_id=run_id, now=now)
        self.log.info("store %r: asked for %d; %d are readable now, %d failed, %d are waited for",
                      store, asked.requested, asked.readable + found.readable, asked.failed + found.failed,
                      found.waiting)  # fmt: skip
        if found.next_look is not None:
            from airflow.providers.standard.triggers.temporal import DateTimeTrigger

            self.log.info("waiting until %s to look again", found.next_look.isoformat(timespec="seconds"))
            self.defer(trigger=DateTimeTrigger(moment=found.next_look), method_name="execute")
        self.touched(read=[Objects(store, objects=asked.readable + found.readable)], wrote=[Table("restores")])
        return {
            "requested": asked.requested,
            "readable": asked.readable + found.readable,
            "failed": asked.failed + found.failed,
        }


class RestoreGateOperator(BaseOperator):
    """Lets the tasks after it run when all that the run waited for can be read; else GateFailed, with what cannot.

    Runs whatever became of the tasks before it. Returns counts: restored, bytes and failed. Skipped in a dry run.

    :param planned: what `PlanRestoreOperator` returned; None: it failed
    """

    template_fields: Sequence[str] = ("planned",)

    def __init__(self, *, planned: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.planned = planned

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.restoring.job import gate

        if self.planned is None:
            raise GateFailed("the plan did not finish: expected its counts")
        if self.planned["dry_run"]:
            raise AirflowSkipException("dry run: nothing was asked for")
        with open_catalogue() as catalogue:
            counts = gate(catalogue, waiting_run(context))
        if counts.readable_until is not None:
            self.log.info("%d restored copies, %s, can be read until %s at least", counts.readable,
                          size(counts.readable_bytes), counts.readable_until.isoformat())  # fmt: skip
        return {"restored": counts.readable, "bytes": counts.readable_bytes, "failed": counts.failed}


class SummariseRestoreOperator(BaseOperator):
    """Tells people how a run ended, whatever became of it: the estimate, and what was restored. Returns its counts.

    :param plan_task_id: of the run's `PlanRestoreOperator`
    """

    def __init__(self, *, plan_task_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan_task_id = plan_task_id

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.restoring.job import summarise

        planned = context["ti"].xcom_pull(task_ids=self.plan_task_id, key="return_value")
        estimates = context["ti"].xcom_pull(task_ids=self.plan_task_id, key="estimates")
        run_id = waiting_run(context)
        with open_catalogue() as catalogue:
            summary = summarise(catalogue, run_id)
        counts = summary.counts
        until = f", until {counts.readable_until.isoformat()} at least" if counts.readable_until else ""
        restored = f"restored {counts.readable} copies, {size(counts.readable_bytes)}{until}"
        lines = [
            f"run {run_id}",
            *(estimate_lines(planned, estimates or ()) if planned else ["the plan did not finish: see its log"]),
            f"{restored}; failed {counts.failed}; ended {counts.ended}; open {counts.open}",
            *(f"failed: segment {each.segment_id} in store {each.store}: {each.error}" for each in summary.failures),
        ]
        for line in lines:
            self.log.info("%s", line)
        return {"restored": counts.readable, "failed": counts.failed, "ended": counts.ended, "open": counts.open}


def waiting_run(context: Context) -> str:
    """Who waits for restores: ids of DAG runs are unique in their DAG only."""
    run = context["dag_run"]
    return f"{run.dag_id}/{run.run_id}"


def estimate_lines(counts: Mapping[str, float], estimates: Sequence[Mapping[str, Any]]) -> list[str]:
    """An estimate for people, as a table with a sentence above and below it."""
    selected = (
        f"{counts['segments']:.0f} segments: {counts['readable']:.0f} can be read, {counts['shared']:.0f} are under "
        f"restore already, {counts['missing']:.0f} have no copy, {counts['restores']:.0f} are to be restored"
    )
    table = [
        "| store | class | speed | usually | copies | size | USD |",
        "|---|---|---|---|---:|---:|---:|",
        *(
            f"| {each['store']} | {each['storage_class']} | {each['speed']} | {each['usual']} | {each['replicas']} | "
            f"{size(each['bytes'])} | {each['cost_usd']:.2f} |"
            for each in estimates
        ),
    ]
    costs = (
        f"{'dry run: would cost' if counts['dry_run'] else 'costs'} about {counts['cost_usd']:.2f} USD for "
        f"{counts['days']:.0f} days; the budget is {counts['budget_usd']:.2f} USD"
    )
    return [selected, *(table if estimates else ()), costs]


def _segment_id(given: object) -> SegmentId:
    try:
        return SegmentId(UUID(str(given)))
    except ValueError as exc:
        raise ConfigurationError(f"segment id {given!r}: expected a UUID") from exc


def _whole(given: object, name: str) -> int:
    try:
        return int(str(given))
    except ValueError as exc:
        raise ConfigurationError(f"{name} is {given!r}: expected a whole number") from exc


def _money(given: object, name: str) -> Decimal:
    try:
        return Decimal(str(given))
    except InvalidOperation as exc:
        raise ConfigurationError(f"{name} is {given!r}: expected an amount in US dollars") from exc
