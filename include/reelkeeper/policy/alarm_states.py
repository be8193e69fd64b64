"""How an alarm comes and goes: ok → (pending) → firing → acknowledged → ok, one state for each alarm and subject.

It fires when its measurement has been wrong for long enough, and is over when that has been right for long enough: what
goes to and fro meanwhile is told nobody. Being told that it fired and being told that it is over take turns.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid5

from reelkeeper.errors import RequestRefused
from reelkeeper.policy.alarms import Alarm, AlarmName, Reading, Severity

Phase = Literal["ok", "pending", "firing", "acknowledged"]
EventKind = Literal["fired", "reminded", "acknowledged", "recovered"]
CLOCK_AHEAD = timedelta(hours=1)
"""Rounds that overlap are minutes apart; a state from later than this was made by a wrong clock."""
_MOST_NAMED = 5
_NAMESPACE = UUID("2f0d3c5e-6f0b-5c8e-9d57-616c61726d73")


@dataclass(frozen=True, slots=True)
class AlarmState:
    """Where one alarm of one subject stands. `subject` is a store, a camera as tenant/slug, '' for the estate."""

    name: AlarmName
    subject: str
    state: Phase
    since: datetime  # of this state
    right_since: datetime | None  # of the measurements that are right again, while it is still up
    value: float | None  # last measured; None: it could not be
    threshold: float | None
    detail: str
    fired_at: datetime | None  # when it last began to fire
    told_at: datetime | None  # when people were last to be told that it fires
    acknowledged_by: str | None
    acknowledgement: str | None
    evaluated_at: datetime

    @property
    def is_up(self) -> bool:
        """Firing, whether somebody has taken it on or not."""
        return self.state in ("firing", "acknowledged")


@dataclass(frozen=True, slots=True)
class AlarmEvent:
    """Something that became of an alarm. The same thing has the same `id`, so that who hears of it twice can tell."""

    id: UUID
    name: AlarmName
    subject: str
    kind: EventKind
    severity: Severity
    at: datetime
    value: float | None
    threshold: float | None
    detail: str
    by: str | None = None  # who acknowledged it
    about: UUID | None = None  # the id of the firing that it belongs to; None: it is that itself


@dataclass(frozen=True, slots=True)
class Change:
    """A state to be kept, and what is to be told about it."""

    state: AlarmState
    event: AlarmEvent | None = None


def evaluate(
    alarms: Mapping[AlarmName, Alarm],
    states: Iterable[AlarmState],
    readings: Sequence[Reading],
    *,
    now: datetime,
    remind_after: timedelta | None,
) -> list[Change]:
    """What becomes of every alarm that is not ok, or is not to stay so.

    `states`: those that are not ok. One whose subject is not measured any more (a store that left the estate, an alarm
    that was switched off) counts as right. A state that was evaluated later than `now` stays as it is, unless it was so
    much later that a clock must have been ahead. ValueError for two readings of one subject.
    """
    measured = {(reading.alarm, reading.subject): reading for reading in readings}
    if len(measured) != len(readings):
        raise ValueError("two readings of one alarm and subject: expected at most one")
    changes = []
    for state in states:
        reading = measured.pop((state.name, state.subject), None) or _nothing(state)
        if now > state.evaluated_at or state.evaluated_at - now > CLOCK_AHEAD:
            changes.append(_next(alarms[state.name], _until(state, now), reading, now, remind_after))
    wrong = [reading for reading in measured.values() if reading.is_wrong]
    return changes + [_begun(alarms[reading.alarm], reading, now) for reading in wrong]


def _until(state: AlarmState, now: datetime) -> AlarmState:
    """Without what a clock that was ahead says of the time to come."""
    return replace(
        state,
        since=min(state.since, now),
        right_since=state.right_since and min(state.right_since, now),
        told_at=state.told_at and min(state.told_at, now),
    )


def acknowledge(
    alarm: Alarm, subject: str | None, states: Sequence[AlarmState], *, by: str, reason: str, now: datetime
) -> list[Change]:
    """A person takes an alarm on: nobody is reminded of it any more, and its end is told all the same.

    `subject` None: all that it fires for and nobody has taken on. `states`: those of the alarm that are not ok.
    RequestRefused when it does not fire for it, when somebody has it already, or without a name and a reason.
    """
    if not by.strip() or not reason.strip():
        raise RequestRefused(f"by is {by!r} and reason {reason!r}: expected who takes the alarm on, and why")
    wanted = [state for state in states if state.is_up and state.subject == subject]
    if subject is None:
        wanted = [state for state in states if state.state == "firing"]
    if not wanted:
        about = "anything that nobody has taken on" if subject is None else _called(subject)
        raise RequestRefused(f"alarm {alarm.name!r} does not fire for {about}: {_standing(states)}")
    if taken := [state for state in wanted if state.state == "acknowledged"]:
        raise RequestRefused(f"alarm {alarm.name!r} was acknowledged by {taken[0].acknowledged_by!r} already")
    return [_acknowledged(alarm, state, by.strip(), reason.strip(), now) for state in wanted]


def _acknowledged(alarm: Alarm, state: AlarmState, by: str, reason: str, now: datetime) -> Change:
    taken = replace(state, state="acknowledged", since=now, acknowledged_by=by, acknowledgement=reason)
    return Change(taken, replace(_event(alarm, taken, "acknowledged", now), detail=reason, by=by))


def _standing(states: Sequence[AlarmState]) -> str:
    """For what the states of one alarm are which."""
    told = []
    for phase in ("firing", "acknowledged", "pending"):
        subjects = [_called(state.subject) for state in states if state.state == phase]
        more = f" and {len(subjects) - _MOST_NAMED} more" if len(subjects) > _MOST_NAMED else ""
        if subjects:
            told.append(f"{phase} for {', '.join(subjects[:_MOST_NAMED])}{more}")
    return f"it is {'; '.join(told)}" if told else "expected one that does ('reelkeeper alarm list')"


def _called(subject: str) -> str:
    return repr(subject) if subject else "the whole estate"


def _begun(alarm: Alarm, reading: Reading, now: datetime) -> Change:
    """Of one that was ok, and is wrong."""
    state = AlarmState(
        alarm.name, reading.subject, "pending", now, None, reading.value, reading.threshold, reading.detail, None, None,
        None, None, now,
    )  # fmt: skip
    return _held(alarm, state, now)


def _next(
    alarm: Alarm, state: AlarmState, reading: Reading, now: datetime, remind_after: timedelta | None
) -> Change:  # fmt: skip
    state = replace(state, value=reading.value, threshold=reading.threshold, detail=reading.detail, evaluated_at=now)
    if state.state == "pending":
        if reading.is_wrong is False:
            return Change(replace(state, state="ok", since=now))
        return _held(alarm, state, now) if reading.is_wrong else Change(state)
    if reading.is_wrong is False:
        right_since = state.right_since or now
        if now - right_since >= alarm.recover:
            return _recovered(alarm, state, now)
        return Change(replace(state, right_since=right_since))
    if reading.is_wrong:
        state = replace(state, right_since=None)
    return _reminded(alarm, state, now, remind_after)


def _held(alarm: Alarm, state: AlarmState, now: datetime) -> Change:
    """A pending one that is still wrong: it fires when it has been so for long enough."""
    if now - state.since < alarm.hold:
        return Change(state)
    fired = replace(state, state="firing", since=now, right_since=None, fired_at=now, told_at=now)
    return Change(fired, _event(alarm, fired, "fired", now))


def _recovered(alarm: Alarm, state: AlarmState, now: datetime) -> Change:
    over = replace(
        state, state="ok", since=now, right_since=None, acknowledged_by=None, acknowledgement=None
    )  # fmt: skip
    return Change(over, _event(alarm, over, "recovered", now))


def _reminded(alarm: Alarm, state: AlarmState, now: datetime, remind_after: timedelta | None) -> Change:
    """One that is still up: a critical one that nobody has taken on is told again now and then."""
    is_due = remind_after is not None and state.told_at is not None and now - state.told_at >= remind_after
    if not is_due or state.state != "firing" or alarm.severity != "critical":
        return Change(state)
    told = replace(state, told_at=now)
    return Change(told, _event(alarm, told, "reminded", now))


def _event(alarm: Alarm, state: AlarmState, kind: EventKind, now: datetime) -> AlarmEvent:
    about = None if kind == "fired" or state.fired_at is None else _event_id(state, "fired", state.fired_at)
    return AlarmEvent(
        _event_id(state, kind, now), state.name, state.subject, kind, alarm.severity, now, state.value, state.threshold,
        state.detail, about=about,
    )  # fmt: skip


def _event_id(state: AlarmState, kind: EventKind, at: datetime) -> UUID:
    return uuid5(_NAMESPACE, f"{state.name}/{state.subject}/{kind}/{at.isoformat(timespec='microseconds')}")


def _nothing(state: AlarmState) -> Reading:
    return Reading(state.name, state.subject, 0.0, None, "it is not measured any more: switched off, or gone")
