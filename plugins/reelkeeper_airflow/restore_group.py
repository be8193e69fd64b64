"""A task group that makes archived footage readable, for every DAG that reads some."""

from dataclasses import dataclass
from typing import Any

from airflow.sdk import BaseOperator, TaskGroup, TriggerRule, chain

from reelkeeper.model import StoreKind
from reelkeeper.settings import Estate
from reelkeeper_airflow.operators.restore import PlanRestoreOperator, RestoreGateOperator, RestoreOperator
from reelkeeper_airflow.operators.store import placed_at


@dataclass(frozen=True, slots=True)
class RestoreGroup:
    """The group, to be chained, and its first and last task, whose `output` are counts."""

    group: TaskGroup
    plan: BaseOperator
    readable: BaseOperator


def restore_group(
    estate: Estate,
    *,
    group_id: str = "restore",
    is_dry_run: Any = False,
    operator: type[RestoreOperator] = RestoreOperator,
    **wanted: Any,
) -> RestoreGroup:
    """Estimate → ask each store → wait → gate. What is readable already passes at once.

    To be called inside a DAG. `wanted` are the arguments of `PlanRestoreOperator` (cameras, start_time, end_time,
    segment_ids, store, speed, days, budget_usd): values, templates, or the XCom of a task before it, such as a list of
    segment ids. `operator` asks a store, and waits. Over the budget the plan fails, and nothing is asked for.
    Afterwards `reading.locate` finds the copies.
    """
    with TaskGroup(group_id, tooltip="make archived footage readable") as group:
        plan = PlanRestoreOperator(task_id="plan", is_dry_run=is_dry_run, **wanted)
        asked = [
            operator(task_id=f"from_{store.name}", store=store.name, is_dry_run=is_dry_run, **placed_at(store))
            for store in estate.stores
            if store.kind is StoreKind.S3  # no other kind has classes that must be restored
        ]
        readable = RestoreGateOperator(task_id="readable", planned=plan.output, trigger_rule=TriggerRule.ALL_DONE)
        chain(plan, *([asked] if asked else []), readable)
    return RestoreGroup(group, plan, readable)
