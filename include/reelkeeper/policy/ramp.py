"""The ramp: whether the rollout takes its next step, stays, or goes back, by what the transfers were like.

Failures are judged by the window: a store that fails for five minutes in a week fails, though its share of the week is
small. A window with few transfers says nothing, so that one failure at night moves nobody's footage. Where the traffic
never fills a window, and where a breaker stops asking a store that is down, the whole time is judged as one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from reelkeeper.policy.rollout import Percentage

Action = Literal["start", "advance", "hold", "step_back"]
Advance = Literal["automatic", "ask", "hold"]
_WINDOW_SHARE = 10
"""A window with a tenth of the transfers that a dwell time needs says something."""


@dataclass(frozen=True, slots=True)
class RampTerms:
    """By what the ramp is decided. `steps` rise."""

    steps: Sequence[Percentage]
    advance: Advance
    dwell: timedelta
    max_failure_ratio: float
    max_upload_seconds: float
    min_transfers: int

    @property
    def min_in_window(self) -> int:
        """Fewer transfers than this in a window say nothing."""
        return -(-self.min_transfers // _WINDOW_SHARE)


@dataclass(frozen=True, slots=True)
class Window:
    """The transfers that finished in one window of time; at least one."""

    start: datetime
    transfers: int
    failed: int

    @property
    def failure_ratio(self) -> float:
        return self.failed / self.transfers


@dataclass(frozen=True, slots=True)
class Measured:
    """The transfers to the cloud that finished in `[since, until)`."""

    since: datetime
    until: datetime
    transfers: int
    failed: int
    upload_seconds: float | None  # mean of those that succeeded; None: none did
    worst: Window | None  # by failure ratio, of the windows with enough transfers; None: no window had


@dataclass(frozen=True, slots=True)
class Position:
    """Where the ramp stands. `since`: when the percentage last changed; None: the ramp has not begun."""

    percentage: Percentage
    since: datetime | None


@dataclass(frozen=True, slots=True)
class RampDecision:
    """What to do, and why. With `asks` a person must approve it first."""

    action: Action
    to: Percentage
    reason: str
    asks: bool = False


def decide(terms: RampTerms, position: Position, *, watched: Measured, recent: Measured, now: datetime) -> RampDecision:
    """The next move of the ramp.

    `watched` is measured over the time since the last change, at most the dwell time; `recent` over the part of it that
    no decision has seen. A failing window in `recent` steps back at once to the step below, never below the first; one
    in the rest of `watched` keeps the ramp from going on, as do slow uploads, too few transfers, and a dwell time that
    is not over. A percentage of 0 is left only by the ramp's first step: there is nothing to measure at 0, so one that
    a person went back to stays until a person changes it.
    """
    current = position.percentage
    if position.since is None:
        return _begin(terms, current)
    if failing := _failing(terms, recent):
        return _back(terms, current, failing)
    if current.buckets == 0:
        return RampDecision("hold", current, "somebody set it to 0 %: expected somebody to set where it starts again")
    higher = [step for step in terms.steps if step > current]
    if not higher:
        return RampDecision("hold", current, f"{current} is the last step: there is no further one")
    if why_not := _unready(terms, position.since, watched, now):
        return RampDecision("hold", current, why_not)
    return _onwards(terms, "advance", current, higher[0], _all_is_well(watched))


def _begin(terms: RampTerms, current: Percentage) -> RampDecision:
    """The first decision since estate.toml named its percentage. From there on the dwell time is counted."""
    if current.buckets:
        return RampDecision("start", current, f"the ramp starts at {current}, as estate.toml says")
    return _onwards(terms, "start", current, terms.steps[0], "the ramp starts with its first step")


def _onwards(terms: RampTerms, action: Action, current: Percentage, to: Percentage, reason: str) -> RampDecision:
    if terms.advance == "hold":
        return RampDecision("hold", current, f"{reason}, but rollout.advance is 'hold': would go on to {to}")
    return RampDecision(action, to, reason, asks=terms.advance == "ask")


def _back(terms: RampTerms, current: Percentage, failing: str) -> RampDecision:
    lower = [step for step in terms.steps if step < current]
    if not lower:
        return RampDecision("hold", current, f"{failing}; {current} is not above the first step, so the ramp stays: "
                            "set placement.mode to 'local' to stop it")  # fmt: skip
    if terms.advance == "hold":
        return RampDecision("hold", current, f"{failing}, but rollout.advance is 'hold': would go back to {lower[-1]}")
    return RampDecision("step_back", lower[-1], failing)


def _unready(terms: RampTerms, since: datetime, watched: Measured, now: datetime) -> str | None:
    """Why the ramp cannot go on yet; None when it can."""
    if failing := _failing(terms, watched):
        return f"in the time that is watched {failing}"
    if now - since < terms.dwell:
        passed = max(now - since, timedelta())
        return f"the dwell time of {_hours(terms.dwell)} is not over: {_hours(passed)} have passed"
    if watched.transfers < terms.min_transfers:
        return f"{watched.transfers} transfers say too little: expected at least {terms.min_transfers}"
    if watched.upload_seconds is None or watched.upload_seconds > terms.max_upload_seconds:
        mean = "unknown" if watched.upload_seconds is None else f"{watched.upload_seconds:.3g} s"
        return f"the mean upload time is {mean}: expected at most {terms.max_upload_seconds:g} s"
    return None


def _failing(terms: RampTerms, measured: Measured) -> str | None:
    """What failed too often, in figures; None when nothing did."""
    worst, limit = measured.worst, terms.max_failure_ratio
    if worst is not None and worst.failure_ratio > limit:
        return _told(worst.failed, worst.transfers, f"in the window from {worst.start:%Y-%m-%d %H:%M}", limit)
    if measured.transfers >= terms.min_transfers and measured.failed / measured.transfers > limit:
        return _told(measured.failed, measured.transfers, f"since {measured.since:%Y-%m-%d %H:%M}", limit)
    return None


def _told(failed: int, transfers: int, when: str, limit: float) -> str:
    return f"{failed} of {transfers} transfers failed {when}, {failed / transfers:.4g}: expected at most {limit:g}"


def _all_is_well(watched: Measured) -> str:
    worst = f"{watched.worst.failure_ratio:.4g} of the worst window" if watched.worst else f"{watched.failed} in all"
    return f"{watched.transfers} transfers, {worst} failed, {watched.upload_seconds:.3g} s on average"


def _hours(time: timedelta) -> str:
    return f"{round(time.total_seconds() / 3600, 2):.5g} h"
