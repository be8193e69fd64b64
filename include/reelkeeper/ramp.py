"""The ramp: which percentage the rollout is at, and the decisions that move it.

Every decision is a row of `rollout_steps`, one a run: the row is the decision, so that a run which is killed and tried
again decides nothing anew. estate.toml's percentage is where the ramp starts; changing it there starts the ramp anew.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.rollout import RolloutStep
from reelkeeper.errors import ConfigurationError
from reelkeeper.model import StoreName
from reelkeeper.policy.ramp import Action, Measured, Position, RampDecision, RampTerms, decide
from reelkeeper.policy.rollout import Percentage
from reelkeeper.settings import Estate
from reelkeeper.stores.retry import retrying

log = logging.getLogger(__name__)

BY_ITSELF = "reelkeeper"
"""Who decided, when nobody did."""
_CHART_WIDTH = 25


@dataclass(frozen=True, slots=True)
class RampProposal:
    """What a run would decide now."""

    position: Position
    decision: RampDecision
    watched: Measured


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's yes: to which percentage, and the moment whose figures the question told."""

    by: str
    to: Percentage
    asked_at: datetime


def current_percentage(estate: Estate, catalogue: Catalogue) -> Percentage:
    """The share of segments that mode hybrid wants in the cloud now: what the last decision about the ramp said, or
    estate.toml's own where that was changed since. Ask it once for a batch.

    placement.mode is above it: with mode local nothing goes to the cloud, whatever the ramp says.
    """
    return retrying()(_current, estate, catalogue)


def standstill(estate: Estate) -> str | None:
    """Why the ramp decides nothing as the estate is set now; None when it does."""
    if estate.placement.mode != "hybrid":
        return f"placement.mode is {estate.placement.mode!r}: the ramp decides only in mode 'hybrid'"
    if estate.placement.cloud_store is None:
        return "placement.cloud_store is not set: there is nowhere to go"
    return None


def propose(estate: Estate, catalogue: Catalogue, *, now: datetime, asked_at: datetime | None = None) -> RampProposal:
    """What the ramp would do now. Changes nothing. ConfigurationError where there is no ramp (`standstill`).

    With `asked_at` what is watched begins where it began for the question, so that what it told still counts.
    """
    if why := standstill(estate):
        raise ConfigurationError(why)
    terms, store = _terms(estate), StoreName(str(estate.placement.cloud_store))
    change = catalogue.rollout.last_change(estate.rollout.percentage.buckets)
    position = Position(_current(estate, catalogue), change.decided_at if change else None)
    last = catalogue.rollout.last()
    # Decisions of a rehearsal's clock may lie ahead: what is measured does not wait until they are reached.
    from_here = _latest((asked_at or now) - terms.dwell, position.since, before=now)
    unseen_from = _latest(from_here, last.decided_at if last else None, before=now)

    def measure(since: datetime) -> Measured:
        window = timedelta(minutes=estate.rollout.window_minutes)
        return catalogue.rollout.measure(store, since, now, window=window, min_in_window=terms.min_in_window)

    watched = measure(from_here)
    recent = watched if unseen_from == from_here else measure(unseen_from)
    return RampProposal(position, decide(terms, position, watched=watched, recent=recent, now=now), watched)


def take_step(
    estate: Estate, catalogue: Catalogue, *, run_id: str, now: datetime, approval: Approval | None = None
) -> RolloutStep:
    """Decide, and record it; the run's own decision, where it has one. What is decided stands from here on.

    Much may have happened between a question and its answer, so it is decided anew, by what the question told and what
    came since: what was approved is done if it is still the next step. Else the ramp holds or steps back all the same,
    and the reason names the person. Without `approval`, a step that needs it is not taken.
    """

    def step() -> RolloutStep:
        found = propose(estate, catalogue, now=now, asked_at=approval.asked_at if approval else None)
        decision = found.decision
        if decision.asks and approval is not None and decision.to == approval.to:
            return _as_step(estate, found, decision, run_id=run_id, now=now, decided_by=approval.by)
        if decision.asks:
            whose = "nobody" if approval is None else f"{approval.by!r} approved {approval.to} and nobody"
            reason = f"{decision.reason}, but {whose} approved to go on to {decision.to}"
            decision = RampDecision("hold", found.position.percentage, reason)
        elif approval is not None:
            why = f"{approval.by!r} approved to go on to {approval.to}, but {decision.reason}"
            decision = replace(decision, reason=why)
        return _as_step(estate, found, decision, run_id=run_id, now=now, decided_by=BY_ITSELF)

    return _decided_once(catalogue, run_id, step)


def reject(estate: Estate, catalogue: Catalogue, *, run_id: str, now: datetime, reason: str) -> RolloutStep:
    """Record that the ramp stays where it is, because a person would not have it go on; `reason` names the person.

    What failed since the question was asked steps it back all the same: no later decision would look at that again.
    """

    def stay() -> RolloutStep:
        found = propose(estate, catalogue, now=now)
        decision = found.decision
        if decision.action == "step_back":
            decision = replace(decision, reason=f"{decision.reason} ({reason})")
        else:
            decision = RampDecision("hold", found.position.percentage, reason)
        return _as_step(estate, found, decision, run_id=run_id, now=now, decided_by=BY_ITSELF)

    return _decided_once(catalogue, run_id, stay)


def set_percentage(
    estate: Estate,
    catalogue: Catalogue,
    percentage: Percentage,
    *,
    reason: str,
    decided_by: str,
    run_id: str,
    now: datetime,
) -> RolloutStep:
    """Let the ramp go on from this percentage, because a person says so. The dwell time starts anew.

    A percentage below the present one takes nothing back: it only sends no further segments. ConfigurationError without
    a reason.
    """
    if not reason.strip():
        raise ConfigurationError("reason is empty: expected why the percentage is set")

    def jump() -> RolloutStep:
        current = _current(estate, catalogue)
        action: Action = "advance" if percentage > current else "step_back" if percentage < current else "start"
        return RolloutStep(
            now, action, current.buckets, percentage.buckets, estate.rollout.percentage.buckets, reason.strip(),
            decided_by, run_id, transfers=0, failure_ratio=None, upload_seconds=None,
        )  # fmt: skip

    return _decided_once(catalogue, run_id, jump)


def table(steps: Iterable[RolloutStep]) -> list[str]:
    """Decisions as lines of a table for people, each with a bar as long as its percentage."""
    head = ["| decided at (UTC) | | | % | transfers | worst window | mean upload | by | why |",
            "|---|---|---|---:|---:|---:|---:|---|---|"]  # fmt: skip
    return head + [_row(step) for step in steps]


def _row(step: RolloutStep) -> str:
    to = Percentage(step.to_buckets)
    bar = "█" * round(step.to_buckets / 10_000 * _CHART_WIDTH)
    failed = "" if step.failure_ratio is None else f"{step.failure_ratio:.2%} failed"
    seconds = "" if step.upload_seconds is None else f"{step.upload_seconds:.3g} s"
    return (f"| {step.decided_at:%Y-%m-%d %H:%M} | {bar.ljust(_CHART_WIDTH, '·')} | {step.action} | {to} "
            f"| {step.transfers} | {failed} | {seconds} | {step.decided_by} | {step.reason} |")  # fmt: skip


def _current(estate: Estate, catalogue: Catalogue) -> Percentage:
    last, configured = catalogue.rollout.last(), estate.rollout.percentage
    return Percentage(last.to_buckets) if last and last.configured_buckets == configured.buckets else configured


def _latest(start: datetime, other: datetime | None, *, before: datetime) -> datetime:
    """The later of two moments; an `other` that is not before `before` does not count."""
    return max(start, other) if other is not None and other < before else start


def _terms(estate: Estate) -> RampTerms:
    rollout = estate.rollout
    return RampTerms(
        rollout.steps, rollout.advance, timedelta(hours=rollout.dwell_hours), rollout.max_failure_ratio,
        rollout.max_upload_seconds, rollout.min_transfers,
    )  # fmt: skip


def _decided_once(catalogue: Catalogue, run_id: str, decide_now: Callable[[], RolloutStep]) -> RolloutStep:
    """The decision of the run: the one on record, or else `decide_now`'s, recorded. Runs take turns."""

    def in_turn() -> RolloutStep:
        with catalogue.transaction():
            catalogue.rollout.take_turn()
            done = catalogue.rollout.of_run(run_id)
            if done is None:
                done = decide_now()
                catalogue.rollout.add(done)
            return done

    step = retrying()(in_turn)
    log.info("rollout: %s to %s: %s", step.action, Percentage(step.to_buckets), step.reason)
    return step


def _as_step(
    estate: Estate, found: RampProposal, decision: RampDecision, *, run_id: str, now: datetime, decided_by: str
) -> RolloutStep:
    watched = found.watched
    return RolloutStep(
        now, decision.action, found.position.percentage.buckets, decision.to.buckets,
        estate.rollout.percentage.buckets, decision.reason, decided_by, run_id, watched.transfers,
        watched.worst.failure_ratio if watched.worst else None, watched.upload_seconds,
    )  # fmt: skip
