"""Alarms on the page: those that are up, by what they are about, and what became of the last ones."""

import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from reelkeeper.catalogue.alarms import ToldEvent
from reelkeeper.policy.alarm_states import AlarmState
from reelkeeper.policy.alarms import Alarm, AlarmName
from reelkeeper.reporting.page.safety import Level
from reelkeeper.wording import ago, counted

SHOWN_SUBJECTS = 5
"""Of one alarm; the rest is counted."""
_KINDS = {"fired": "fired", "reminded": "still up", "acknowledged": "acknowledged", "recovered": "over"}


@dataclass(frozen=True, slots=True)
class SubjectView:
    """One subject of an alarm that is up. `name` is empty for the whole estate."""

    name: str
    detail: str
    since: str
    acknowledged: str  # by whom and why; empty: nobody has taken it on


@dataclass(frozen=True, slots=True)
class AlarmView:
    """An alarm that is up, with its subjects: those that nobody has taken on first, the oldest first."""

    name: str
    title: str
    level: Level
    means: str
    do: str
    count: str
    is_open: bool  # somebody is to take on one of them, at least
    subjects: tuple[SubjectView, ...]
    more: int
    command: str  # by which a person takes on all of them


@dataclass(frozen=True, slots=True)
class Alarms:
    """The alarms that are up. `stale` says that they tell nothing of now, and `do` what to do then; empty: they do."""

    up: tuple[AlarmView, ...]
    stale: str
    do: str


@dataclass(frozen=True, slots=True)
class EventView:
    """One line of the history."""

    at: str
    level: Level
    what: str
    kind: str
    detail: str


def alarms_up(
    states: Iterable[AlarmState], definitions: Mapping[AlarmName, Alarm], *, now: datetime
) -> tuple[AlarmView, ...]:
    """The alarms that fire, acknowledged or not: critical ones first, and those that nobody has taken on."""
    by_name: dict[AlarmName, list[AlarmState]] = defaultdict(list)
    for state in states:
        if state.is_up:
            by_name[state.name].append(state)
    views = [_view(alarm, by_name[name], now) for name, alarm in definitions.items() if name in by_name]
    return tuple(sorted(views, key=lambda view: (not view.is_open, view.level != "bad")))


def history(events: Sequence[ToldEvent]) -> tuple[EventView, ...]:
    """What became of alarms, in the order that it is given in."""
    return tuple(_event(told) for told in events)


def _view(alarm: Alarm, states: Sequence[AlarmState], now: datetime) -> AlarmView:
    ordered = sorted(states, key=lambda state: (state.state != "firing", state.fired_at or now, state.subject))
    shown = tuple(_subject(state, now) for state in ordered[:SHOWN_SUBJECTS])
    count = "" if alarm.per == "estate" else counted(len(states), alarm.per)
    unclaimed = [state for state in states if state.state == "firing"]
    whose = "--every-subject" if len(unclaimed) > 1 else ordered[0].subject
    command = shlex.join(["reelkeeper", "alarm", "acknowledge", alarm.name, *filter(None, [whose])])
    return AlarmView(
        alarm.name, _title(alarm.name), "bad" if alarm.severity == "critical" else "warning", alarm.means, alarm.do,
        count, bool(unclaimed), shown, len(states) - len(shown),
        f"{command} --by YOU --reason WHY",
    )  # fmt: skip


def _subject(state: AlarmState, now: datetime) -> SubjectView:
    taken = f"{state.acknowledged_by}: {state.acknowledgement}" if state.state == "acknowledged" else ""
    return SubjectView(state.subject, state.detail, ago(state.fired_at or state.since, now), taken)


def _event(told: ToldEvent) -> EventView:
    event = told.event
    level: Level = "good" if event.kind == "recovered" else "bad" if event.severity == "critical" else "warning"
    what = f"{_title(event.name)}: {event.subject}" if event.subject else _title(event.name)
    kind = f"{_KINDS[event.kind]} by {event.by}" if event.by else _KINDS[event.kind]
    return EventView(f"{event.at:%Y-%m-%d %H:%M}", level, what, kind, event.detail)


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()
