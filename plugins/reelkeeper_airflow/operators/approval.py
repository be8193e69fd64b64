"""Asking a person before something dear or dangerous is done."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Context

from reelkeeper.errors import ConfigurationError

RESPONSE_TIMEOUT = timedelta(days=2)
"""How long a question stays open by default: over a weekend."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a question. `by` and `at` (ISO 8601, UTC) are empty when nobody was asked, `by` when nobody came."""

    approved: bool
    by: str = ""
    at: str = ""

    def __str__(self) -> str:
        if not self.at:
            return "no approval was needed"
        if not self.by:
            return f"rejected at {self.at}, as nobody had answered in time"
        return f"{'approved' if self.approved else 'rejected'} by {self.by!r} at {self.at}"


class ApproveOperator(ApprovalOperator):
    """Lets the tasks directly after it run when no approval is needed, or when a person approves; else skips them.

    While it waits it is `awaiting_input` and holds neither a worker nor a slot. People answer in the Airflow UI (the
    task's tab "Required Action"; all that wait: Browse, Required Actions), or by REST. Nobody's answer is a no. The
    answer is in XCom and in the log; `answer_of` reads it for the run's summary.

    Only the tasks directly after it are skipped, and what follows them by their trigger rules: put what acts there, and
    the summary at the end, as a teardown. One for each store, in the store's task group; not mapped.

    :param subject: the question, templated: what will be done, in figures
    :param body: what a person needs to decide, templated, Markdown
    :param needed: whether a person must be asked, templated; anything but a truth value is an error
    :param response_timeout: how long the question stays open
    """

    template_fields: Collection[str] = ("subject", "body", "needed")

    def __init__(
        self, *, subject: str, body: str, needed: Any, response_timeout: timedelta = RESPONSE_TIMEOUT, **kwargs: Any
    ) -> None:
        super().__init__(subject=subject, body=body, response_timeout=response_timeout, defaults=self.REJECT, **kwargs)
        self.needed = needed

    def execute(self, context: Context) -> dict[str, Any] | None:
        if self._is_needed():
            self.log.info("waits for an answer: %s\n%s", self.subject, self.body)
            super().execute(context)  # ends this process; the answer comes to execute_complete
            return None
        return self._told(Answer(approved=True))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        person = event.get("responded_by_user") or {}
        answer = Answer(
            approved=event.get("chosen_options") == [self.APPROVE],
            by=person.get("name") or person.get("id") or "",
            at=event["responded_at"].isoformat(timespec="seconds") if "responded_at" in event else "",
        )
        told = self._told(answer)
        context["ti"].xcom_push("return_value", told)  # a rejection leaves this method by an exception
        super().execute_complete(context, event)
        return told

    def _is_needed(self) -> bool:
        text = str(self.needed).lower()  # a native template gives a bool, another one its text
        if text not in ("true", "false"):
            raise ConfigurationError(f"'needed' of task {self.task_id!r} is {self.needed!r}: expected true or false")
        return text == "true"

    def _told(self, answer: Answer) -> dict[str, Any]:
        self.log.info("%s", answer)
        return asdict(answer)


def answer_of(context: Context, task_id: str) -> Answer | None:
    """What `ApproveOperator` task `task_id` of this run was told; None while it has not run, or when it was skipped."""
    told = context["ti"].xcom_pull(task_ids=task_id, key="return_value")
    return Answer(**told) if told else None
