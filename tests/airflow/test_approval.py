"""Asking a person: when it is done, and what an answer does. tests/stack asks through Airflow's own REST."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import DownstreamTasksSkipped

from reelkeeper.errors import ConfigurationError
from reelkeeper_airflow.operators.approval import Answer, ApproveOperator, answer_of

AT = datetime(2026, 11, 21, 7, 30, 15, 123456, tzinfo=UTC)


class Run:
    """A run with one question, a task that acts on its answer, and a summary."""

    def __init__(self, needed: Any) -> None:
        with DAG("d", schedule=None):
            self.approve = ApproveOperator(task_id="approve", subject="delete 3 objects?", body="…", needed=needed)
            self.summary = BaseOperator(task_id="summary").as_teardown()
            self.approve >> BaseOperator(task_id="act") >> self.summary
        self.xcom: dict[str, Any] = {}
        ti = SimpleNamespace(map_index=-1, xcom_push=self.push, xcom_pull=lambda *, task_ids, key: self.xcom.get(key))
        self.context: Any = {"ti": ti, "task": self.approve}

    def push(self, key: str, value: Any) -> None:
        self.xcom[key] = value

    def answered(self, option: str, by: dict[str, str] | None = None) -> Any:
        return self.approve.execute_complete(
            self.context,
            {"chosen_options": [option], "params_input": {}, "responded_at": AT, "responded_by_user": by},
        )


@pytest.mark.parametrize("needed", [False, "False", "false"])
def test_without_need_nobody_is_asked(needed: Any) -> None:
    run = Run(needed)
    run.push("return_value", run.approve.execute(run.context))
    assert answer_of(run.context, "approve") == Answer(approved=True)
    assert str(answer_of(run.context, "approve")) == "no approval was needed"


@pytest.mark.parametrize("needed", [None, "None", "", "perhaps", 7, 0])
def test_whether_to_ask_is_never_guessed(needed: Any) -> None:
    run = Run(needed)
    with pytest.raises(ConfigurationError, match="expected true or false"):
        run.approve.execute(run.context)


def test_approved() -> None:
    run = Run(needed=True)
    told = run.answered("Approve", {"id": "7", "name": "ada"})
    assert run.xcom["return_value"] == told
    assert answer_of(run.context, "approve") == Answer(approved=True, by="ada", at="2026-11-21T07:30:15+00:00")
    assert str(answer_of(run.context, "approve")) == "approved by 'ada' at 2026-11-21T07:30:15+00:00"


def test_rejected() -> None:
    run = Run(needed=True)
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        run.answered("Reject", {"id": "7", "name": "ada"})
    assert skipped.value.tasks == ["act"]
    assert str(answer_of(run.context, "approve")) == "rejected by 'ada' at 2026-11-21T07:30:15+00:00"


def test_nobody_answers() -> None:
    run = Run(needed=True)
    with pytest.raises(DownstreamTasksSkipped):
        run.answered("Reject")
    assert str(answer_of(run.context, "approve")).startswith("rejected at 2026-11-21T07:30:15+00:00, as nobody had")
    assert run.approve.defaults == ["Reject"]


def test_no_answer_yet() -> None:
    assert answer_of(Run(needed=True).context, "approve") is None
