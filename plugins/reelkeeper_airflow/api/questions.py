"""What our DAGs ask people, as Airflow keeps it: for the API server, and of those DAGs alone that the user may see."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import ResourceMethod
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.models.dag import DagModel, DagTag
from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from sqlalchemy import Select, func, select

from reelkeeper.wording import ago

TAG = "reelkeeper"
"""Every DAG of ours has it."""
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Question:
    """One question that nobody has answered. `path` leads to it in Airflow's UI, from the root of that."""

    subject: str
    dag_id: str
    task_id: str
    asked: str
    path: str
    may_answer: bool


@dataclass(frozen=True, slots=True)
class Questions:
    """The questions that a user may see: the oldest ones, and how many there are."""

    shown: tuple[Question, ...]
    found: int


def open_questions(user: BaseUser, *, now: datetime) -> Questions:
    """The questions of our DAGs that wait for an answer, as far as the user may see them. SQLAlchemyError."""
    with create_session(scoped=False) as session:
        counts = {row.dag_id: row.questions for row in session.execute(_COUNTED)}
    seen = [dag_id for dag_id in counts if _may(user, "GET", dag_id)]
    with create_session(scoped=False) as session:
        rows = session.execute(_oldest(seen)).all()
    answered = {dag_id for dag_id in {row.dag_id for row in rows} if _may(user, "PUT", dag_id)}
    shown = tuple(
        Question(row.subject, row.dag_id, row.task_id, ago(row.created_at, now),
                 _path(row.dag_id, row.run_id, row.task_id, row.map_index), row.dag_id in answered)
        for row in rows
    )  # fmt: skip
    return Questions(shown, sum(counts[dag_id] for dag_id in seen))


def _asking(*columns: Any) -> Select[Any]:
    """Of each question of our DAGs that waits for an answer."""
    return (
        select(*columns)
        .join_from(HITLDetail, TaskInstance, HITLDetail.ti_id == TaskInstance.id)
        .join(DagTag, DagTag.dag_id == TaskInstance.dag_id)
        .where(DagTag.name == TAG, HITLDetail.responded_at.is_(None),
               TaskInstance.state.in_([TaskInstanceState.AWAITING_INPUT, TaskInstanceState.DEFERRED]))
    )  # fmt: skip


_COUNTED = _asking(TaskInstance.dag_id, func.count().label("questions")).group_by(TaskInstance.dag_id)


def _oldest(dag_ids: Sequence[str]) -> Select[Any]:
    """Chosen by their DAGs first, then cut off: what a user may not see must not take the place of what they may."""
    columns = (HITLDetail.subject, HITLDetail.created_at, TaskInstance.dag_id, TaskInstance.run_id,
               TaskInstance.task_id, TaskInstance.map_index)  # fmt: skip
    chosen = _asking(*columns).where(TaskInstance.dag_id.in_(dag_ids))
    return chosen.order_by(HITLDetail.created_at, TaskInstance.id).limit(SHOWN)


def _may(user: BaseUser, method: ResourceMethod, dag_id: str) -> bool:
    """As Airflow's own routes for questions decide."""
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return get_auth_manager().is_authorized_dag(
        method=method, access_entity=DagAccessEntity.HITL_DETAIL, details=details, user=user
    )


def _path(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    """As Airflow's UI has it."""
    mapped = f"/mapped/{map_index}" if map_index >= 0 else ""
    return f"dags/{quote(dag_id)}/runs/{quote(run_id, safe='')}/tasks/{quote(task_id)}{mapped}/required_actions"
