"""What the daily report says first, in sentences: what it costs, and what needs a decision.

Whether footage is safe is said in the words of the Estate page (`page.safety`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from reelkeeper.catalogue.quality import QualityRun
from reelkeeper.policy.alarm_states import AlarmState
from reelkeeper.policy.alarms import Alarm, AlarmName
from reelkeeper.policy.ramp import RampDecision
from reelkeeper.reporting.alarm_readings import STALE_AFTER
from reelkeeper.reporting.alarms import JUDGE_AGAIN, staleness
from reelkeeper.reporting.cost_charts import CostDay
from reelkeeper.reporting.figures import Figures
from reelkeeper.reporting.page.attention import AlarmView, alarms_up
from reelkeeper.reporting.page.safety import Level
from reelkeeper.reporting.waiting import Decision, findings
from reelkeeper.wording import ago, counted, day_name, percent, usd


@dataclass(frozen=True, slots=True)
class CostSummary:
    """What it costs, in a sentence, and what should be known beside it."""

    level: Level
    sentence: str
    facts: tuple[str, ...]


def cost_summary(
    figures: Figures,
    days: Sequence[CostDay],
    *,
    ahead: tuple[date, float] | None,
    month_bill: float | None,
    budget: Decimal | None,
) -> CostSummary:
    """`ahead`: the last day of the forecast and what it says; `month_bill`: of this calendar month; in US dollars."""
    now = figures.monthly_usd()
    if now is None:
        return CostSummary("unknown", "Nothing says what the footage costs.", tuple(_unpriced(figures)))
    facts = []
    if ahead is not None:
        facts.append(
            f"If it goes on as in the last 30 days, it will cost {usd(ahead[1])} a month on {day_name(ahead[0])}."
        )
    if month_bill is not None:
        facts.append(f"This calendar month comes to about {usd(month_bill)}.")
    if days and days[-1].all_hot_usd > days[-1].usd:
        saved = days[-1].all_hot_usd - days[-1].usd
        facts.append(f"Tiers save {usd(saved)} a month ({percent(saved / days[-1].all_hot_usd)}).")
    highest = max(float(now), ahead[1] if ahead else 0.0)
    level: Level = "good"
    if budget is not None:
        level = "warning" if highest > budget else "good"
        facts.append(f"The budget is {usd(budget)} a month.")
    return CostSummary(level, f"Keeping the footage costs {usd(now)} a month now.", (*facts, *_unpriced(figures)))


def _unpriced(figures: Figures) -> Iterator[str]:
    names = [store.name for store in figures.stores if store.monthly_usd is None]
    if figures.costs_trouble:
        yield f"It is not known: {figures.costs_trouble}."
    elif names:
        yield f"Without a price, and so not counted: {', '.join(names)}."


def decisions(
    figures: Figures,
    states: Sequence[AlarmState],
    alarms: Mapping[AlarmName, Alarm],
    *,
    judged_at: datetime | None,
    proposal: RampDecision | None,
    quality: QualityRun | None,
    now: datetime,
) -> tuple[Decision, ...]:
    """All that waits for a person as far as the catalogue knows, the worst first. What Airflow asks people is on the
    Estate page."""
    found = [
        *(_of_alarm(view) for view in alarms_up(states, alarms, now=now)),
        *_of_watching(figures, judged_at, now),
        *_of_rollout(proposal),
        *findings(figures, states, quality, now=now),
    ]
    return tuple(sorted(found, key=lambda each: each.level != "bad"))


def _of_alarm(view: AlarmView) -> Decision:
    details = [f"{subject.name}: {subject.detail}" if subject.name else subject.detail for subject in view.subjects]
    details = [
        f"{told}, for {subject.since}{f' (taken on by {subject.acknowledged})' if subject.acknowledged else ''}"
        for told, subject in zip(details, view.subjects, strict=True)
    ]
    if view.more:
        details.append(f"and {view.more:,} more")
    what = f"{view.means}{f' ({view.count})' if view.count else ''}"
    return Decision(view.level, what, tuple(details), view.do)


def _of_rollout(proposal: RampDecision | None) -> Iterator[Decision]:
    if proposal is not None and proposal.asks:
        yield Decision(
            "warning",
            f"The rollout is ready to go on to {proposal.to}.",
            (proposal.reason,),
            "Approve or reject it when advance_rollout asks, under Required Actions in Airflow.",
        )


def _of_watching(figures: Figures, judged_at: datetime | None, now: datetime) -> Iterator[Decision]:
    """A report that says nothing of trouble, as nobody has looked, must not be taken for good news."""
    if told := staleness(judged_at, now):
        yield Decision("warning", told, (), JUDGE_AGAIN)
    stale = [store for store in figures.stores if store.looked_at is None or now - store.looked_at > STALE_AFTER]
    if stale:
        yield Decision(
            "warning",
            f"Nobody has looked at {counted(len(stale), 'store')} lately: what is said of them may be out of date.",
            tuple(f"{each.name}: {f'{ago(each.looked_at, now)} ago' if each.looked_at else 'never'}" for each in stale),
            JUDGE_AGAIN,
        )
