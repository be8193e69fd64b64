"""The ramp on the page: where the rollout stands, by what it is decided, and how it came there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from reelkeeper.catalogue.rollout import RolloutStep
from reelkeeper.policy.rollout import BUCKETS, Percentage
from reelkeeper.reporting.figures import RolloutFigures
from reelkeeper.settings import Rollout
from reelkeeper.wording import duration, percent

CHART_WIDTH, CHART_HEIGHT = 600, 140
"""Of the plot, without its labels."""
_BY_THE_DAY = timedelta(days=2)
"""A chart of less time than this says the hours, too."""
_ACTIONS = {"start": "started", "advance": "a step further", "hold": "held", "step_back": "a step back"}


@dataclass(frozen=True, slots=True)
class Mark:
    """A decision in the chart."""

    x: float
    y: float
    action: Literal["start", "advance", "hold", "step_back"]
    title: str


@dataclass(frozen=True, slots=True)
class RampChart:
    """The percentage over time, as an SVG path with a mark for each decision."""

    path: str
    marks: tuple[Mark, ...]
    first: str
    last: str
    described: str


@dataclass(frozen=True, slots=True)
class DecisionView:
    """One decision, worded."""

    at: str
    action: str
    to: str
    transfers: str
    failures: str
    failures_over: bool
    upload: str
    upload_over: bool
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class RampView:
    """The ramp, worded. `chart` None: nothing was decided yet."""

    mode: str
    now: str
    target: str
    width: float  # of 100
    steps: tuple[float, ...]
    gates: tuple[str, ...]
    chart: RampChart | None
    decisions: tuple[DecisionView, ...]


def ramp(figures: RolloutFigures, settings: Rollout, history: Sequence[RolloutStep], *, now: datetime) -> RampView:
    """`history`: the last decisions, the newest first."""
    advance = {
        "automatic": "then it is taken by itself", "ask": "and a person says yes",
        "hold": "and a person sets it: none is taken by itself",
    }  # fmt: skip
    gates = (
        f"at most {percent(settings.max_failure_ratio)} of uploads fail in any {settings.window_minutes} minutes",
        f"an upload takes at most {duration(settings.max_upload_seconds)} on average",
        f"at least {settings.min_transfers:,} uploads were seen in {settings.dwell_hours:,} h at a step",
        advance[settings.advance],
    )
    return RampView(
        figures.mode, _percentage(figures.ratio), _percentage(figures.target_ratio), round(100 * figures.ratio, 2),
        tuple(step.buckets / 100 for step in settings.steps), gates, _chart(history, now),
        tuple(_decision(step, settings) for step in history),
    )  # fmt: skip


def _percentage(ratio: float) -> str:
    return str(Percentage(round(ratio * BUCKETS)))


def _decision(step: RolloutStep, settings: Rollout) -> DecisionView:
    failed, seconds = step.failure_ratio, step.upload_seconds
    return DecisionView(
        f"{step.decided_at:%Y-%m-%d %H:%M}", _ACTIONS[step.action], str(Percentage(step.to_buckets)),
        f"{step.transfers:,}", "–" if failed is None else percent(failed),
        failed is not None and failed > settings.max_failure_ratio,
        "–" if seconds is None else f"{seconds:.3g} s", seconds is not None and seconds > settings.max_upload_seconds,
        step.decided_by, step.reason,
    )  # fmt: skip


def _chart(history: Sequence[RolloutStep], now: datetime) -> RampChart | None:
    """From the oldest decision to now; each holds until the next one."""
    steps = sorted(history, key=lambda step: step.decided_at)
    if not steps:
        return None
    first, last = steps[0].decided_at, max(now, steps[-1].decided_at)
    whole = (last - first).total_seconds() or 1.0

    def x_of(moment: datetime) -> float:
        return round(CHART_WIDTH * (moment - first).total_seconds() / whole, 1)

    def y_of(buckets: int) -> float:
        return round(CHART_HEIGHT * (1 - buckets / BUCKETS), 1)

    path = [f"M0 {y_of(steps[0].from_buckets)}"]
    path += [f"H{x_of(step.decided_at)} V{y_of(step.to_buckets)}" for step in steps]
    marks = tuple(
        Mark(x_of(step.decided_at), y_of(step.to_buckets), step.action,
             f"{step.decided_at:%Y-%m-%d %H:%M}: {_ACTIONS[step.action]}, {Percentage(step.to_buckets)}. {step.reason}")
        for step in steps
    )  # fmt: skip
    form = "%Y-%m-%d" if last - first >= _BY_THE_DAY else "%Y-%m-%d %H:%M"
    came = " → ".join([str(Percentage(steps[0].from_buckets)), *(str(Percentage(step.to_buckets)) for step in steps)])
    return RampChart(
        " ".join([*path, f"H{CHART_WIDTH}"]), marks, first.strftime(form), last.strftime(form),
        f"the share of footage that goes to the cloud, from {first.strftime(form)} to {last.strftime(form)}: {came}",
    )  # fmt: skip
