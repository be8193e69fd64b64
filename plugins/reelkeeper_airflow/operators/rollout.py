"""The tasks of the ramp: look, ask, decide, tell."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from reelkeeper.model import utc
from reelkeeper.policy.rollout import Percentage
from reelkeeper_airflow.clock import clock_offset, run_clock
from reelkeeper_airflow.estate import current_estate, open_catalogue
from reelkeeper_airflow.operators.approval import answer_of
from reelkeeper_airflow.params import is_dry_run

if TYPE_CHECKING:
    from reelkeeper.catalogue.catalogue import Catalogue
    from reelkeeper.ramp import Approval, RampProposal

_HISTORY_SHOWN = 30


class ProposeRolloutStepOperator(BaseOperator):
    """Measures the transfers to the cloud and says what the ramp would do. Changes nothing.

    Returns its figures, and whether a person must approve it (`asks`); XCom `question` has the words for the person.
    Skipped, with all that follows but the summary, in a dry run, and where the estate has no ramp (a mode other than
    hybrid). When a percentage is given, nothing is measured.

    :param set_percentage: what a person sets the ramp to, 0 to 100; None: nothing
    """

    template_fields: Sequence[str] = ("set_percentage",)

    def __init__(self, *, set_percentage: float | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.set_percentage = set_percentage

    def execute(self, context: Context) -> dict[str, Any]:
        from reelkeeper.ramp import propose, standstill

        estate = current_estate()
        if self.set_percentage is not None:
            wanted = Percentage.of(self.set_percentage, name="set_percentage")
            self.log.info("%s %s", "would go on from" if is_dry_run(context) else "goes on from", wanted)
            if is_dry_run(context):
                raise AirflowSkipException("dry run: nothing is decided")
            return {"asks": False}
        if why := standstill(estate):
            raise AirflowSkipException(why)
        with open_catalogue() as catalogue:
            found = propose(estate, catalogue, now=_moment_of(context, catalogue))
        return self._told(found, context)

    def _told(self, found: "RampProposal", context: Context) -> dict[str, Any]:
        decision, watched = found.decision, found.watched
        told = f"{decision.action} from {found.position.percentage} to {decision.to}: {decision.reason}"
        self.log.info("%s%s", "would " if is_dry_run(context) else "to ", told)
        if is_dry_run(context):
            raise AirflowSkipException("dry run: nothing is decided")
        context["ti"].xcom_push("question", told)
        return {
            "asks": decision.asks,
            "from_buckets": found.position.percentage.buckets,
            "to_buckets": decision.to.buckets,
            "transfers": watched.transfers,
            "failed": watched.failed,
        }


class TakeRolloutStepOperator(BaseOperator):
    """Decides, and records it: from here on migrations and ingests go by it. Returns the percentage, in 0.01 %.

    A run decides once, however often it is tried. What a person approved is taken if it is still the next step.

    :param set_percentage: what a person sets the ramp to, 0 to 100; None: what was measured decides
    :param reason: why the person sets it
    :param propose_task_id: of the run's `ProposeRolloutStepOperator`
    :param approve_task_id: of the run's `ApproveOperator`
    """

    template_fields: Sequence[str] = ("set_percentage", "reason")

    def __init__(
        self,
        *,
        set_percentage: float | str | None = None,
        reason: str | None = None,
        propose_task_id: str = "propose",
        approve_task_id: str = "approve",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.set_percentage = set_percentage
        self.reason = reason
        self.propose_task_id = propose_task_id
        self.approve_task_id = approve_task_id

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.ramp import set_percentage, take_step

        estate, run_id = current_estate(), context["dag_run"].run_id
        with open_catalogue() as catalogue:
            if self.set_percentage is not None:
                step = set_percentage(
                    estate, catalogue, Percentage.of(self.set_percentage, name="set_percentage"),
                    reason=str(self.reason or ""), decided_by=_person(context), run_id=run_id, now=run_clock(context),
                )  # fmt: skip
            else:
                approval = self._approval(context)
                now = run_clock(context) if approval else _moment_of(context, catalogue)
                step = take_step(estate, catalogue, run_id=run_id, now=now, approval=approval)
        return {"from_buckets": step.from_buckets, "to_buckets": step.to_buckets}

    def _approval(self, context: Context) -> "Approval | None":
        """What a person said yes to; None when nobody was asked. A no does not come here."""
        from reelkeeper.ramp import Approval

        answer = answer_of(context, self.approve_task_id)
        if answer is None or not answer.at or not answer.approved:
            return None
        proposed = context["ti"].xcom_pull(task_ids=self.propose_task_id, key="return_value")
        return Approval(answer.by, Percentage(proposed["to_buckets"]), _due(context))


class SummariseRolloutOperator(BaseOperator):
    """Tells people where the ramp stands and how it came there: the last decisions as a table, with a chart.

    Runs whatever became of the rest. A person's no is recorded here, as the tasks behind the question are skipped then.
    Returns the percentage in force, in 0.01 %.

    :param approve_task_id: of the run's `ApproveOperator`
    """

    def __init__(self, *, approve_task_id: str = "approve", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.approve_task_id = approve_task_id

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.ramp import current_percentage, reject, standstill, table

        estate, answer = current_estate(), answer_of(context, self.approve_task_id)
        with open_catalogue() as catalogue:
            if answer is not None and not answer.approved and standstill(estate) is None:
                reject(estate, catalogue, run_id=context["dag_run"].run_id, now=run_clock(context), reason=str(answer))
            current, history = current_percentage(estate, catalogue), catalogue.rollout.history(_HISTORY_SHOWN)
        self.log.info("the rollout is at %s%s", current, f" ({why})" if (why := standstill(estate)) else "")
        for line in table(history) if history else ["no decision yet"]:
            self.log.info("%s", line)
        return {"buckets": current.buckets}


def _moment_of(context: Context, catalogue: "Catalogue") -> datetime:
    """When the run was due; now, if something was decided since: decisions follow one another in time.

    Not always now: a daily run may start some seconds earlier in its day than the one a week before, and a dwell time
    of seven days would then be over on the eighth. A DAG that is unpaused starts the run that was due before.
    """
    due, last = _due(context), catalogue.rollout.last()
    return due if last is None or last.decided_at <= due else run_clock(context)


def _due(context: Context) -> datetime:
    return utc(context["dag_run"].run_after) + clock_offset(context)


def _person(context: Context) -> str:
    """Who triggered the run, as far as Airflow knows."""
    return getattr(context["dag_run"], "triggering_user_name", None) or "a person"
