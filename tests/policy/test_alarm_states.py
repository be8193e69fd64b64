"""How alarms come and go, by a clock."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelkeeper.errors import RequestRefused
from reelkeeper.policy.alarm_states import AlarmEvent, AlarmState, acknowledge, evaluate
from reelkeeper.policy.alarms import ALARM_NAMES, AlarmTerms, Reading, alarms

START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ALARMS = alarms(AlarmTerms(0.05, 30, 100, 45, 24, recover=timedelta(minutes=30)))
HELD = ALARMS["store_unreachable"]  # for five minutes before it fires, thirty before it is over; critical
WARNING = replace(ALARMS["slow_uploads"], hold=timedelta(minutes=5))


class History:
    """One alarm of one subject through time. Each value is that of one round, a number of minutes after the start."""

    def __init__(self, alarm=HELD, remind_minutes: int | None = 120) -> None:
        self.alarm = alarm
        self.remind = None if remind_minutes is None else timedelta(minutes=remind_minutes)
        self.state: AlarmState | None = None
        self.events: list[AlarmEvent] = []

    def round(self, minute: float, value: float | None) -> "str":
        """The state after a round that measured `value`; wrong is above 0."""
        reading = Reading(self.alarm.name, "cloud", value, 0, f"measured {value}")
        states = [self.state] if self.state and self.state.state != "ok" else []
        changes = evaluate({self.alarm.name: self.alarm}, states, [reading], now=_at(minute), remind_after=self.remind)
        for change in changes:
            self.state = change.state
            if change.event:
                self.events.append(change.event)
        return self.state.state if self.state else "ok"

    def acknowledge(self, minute: float, by: str = "ada", reason: str = "on it") -> None:
        states = [self.state] if self.state and self.state.state != "ok" else []
        [change] = acknowledge(self.alarm, "cloud", states, by=by, reason=reason, now=_at(minute))
        self.state = change.state
        assert change.event
        self.events.append(change.event)

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


def _at(minute: float) -> datetime:
    return START + minute * MINUTE


def test_it_is_held_before_it_fires_and_right_for_a_while_before_it_is_over() -> None:
    alarm = History()
    assert alarm.round(0, 0) == "ok"
    assert alarm.round(1, 1) == "pending"
    assert alarm.round(5, 1) == "pending"
    assert alarm.round(6, 1) == "firing"
    assert alarm.round(7, 0) == "firing"
    assert alarm.round(36, 0) == "firing"
    assert alarm.round(37, 0) == "ok"
    assert alarm.kinds == ["fired", "recovered"]
    assert [event.at for event in alarm.events] == [_at(6), _at(37)]
    assert alarm.events[1].about == alarm.events[0].id != alarm.events[1].id


def test_what_goes_to_and_fro_is_told_nobody() -> None:
    alarm = History()
    for minute in range(0, 240, 8):
        assert alarm.round(minute, 1) == "pending"
        assert alarm.round(minute + 4, 0) == "ok"
    assert alarm.events == []


def test_one_that_is_wrong_again_before_it_is_over_goes_on() -> None:
    alarm = History()
    for minute in range(6):
        alarm.round(minute, 1)
    alarm.round(10, 0)
    alarm.round(30, 1)
    assert alarm.round(45, 0) == "firing"
    assert alarm.round(74, 0) == "firing"
    assert alarm.round(75, 0) == "ok"
    assert alarm.kinds == ["fired", "recovered"]


def test_what_cannot_be_told_changes_nothing() -> None:
    """Neither does it end an alarm, nor take from what was right before it."""
    alarm = History()
    assert alarm.round(0, None) == "ok"
    alarm.round(1, 1)
    assert alarm.round(3, None) == "pending"
    assert alarm.round(6, 1) == "firing"
    alarm.round(10, 0)
    assert alarm.round(50, None) == "firing"
    assert alarm.round(60, 0) == "ok"


def test_a_clock_that_was_ahead_holds_an_alarm_up_for_no_year() -> None:
    alarm = History()
    alarm.round(0, 1)
    assert alarm.round(365 * 24 * 60, 1) == "firing"
    assert alarm.round(10, 1) == "firing"
    assert alarm.round(20, 0) == "firing"
    assert alarm.round(50, 0) == "ok"
    assert alarm.kinds == ["fired", "recovered"]


def test_one_that_is_not_to_be_held_fires_at_once() -> None:
    alarm = History(replace(HELD, hold=timedelta(0), recover=timedelta(0)))
    assert alarm.round(0, 1) == "firing"
    assert alarm.round(1, 0) == "ok"


def test_a_critical_one_is_told_again_until_somebody_has_it() -> None:
    alarm = History()
    alarm.round(0, 1)
    alarm.round(5, 1)
    assert alarm.kinds == ["fired"]
    alarm.round(124, 1)
    alarm.round(125, 1)
    alarm.round(126, 1)
    alarm.round(245, None)
    assert alarm.kinds == ["fired", "reminded", "reminded"]
    alarm.acknowledge(250)
    assert alarm.round(500, 1) == "acknowledged"
    assert alarm.round(501, 0) == "acknowledged"
    assert alarm.round(531, 0) == "ok"
    assert alarm.kinds == ["fired", "reminded", "reminded", "acknowledged", "recovered"]
    assert {event.about for event in alarm.events[1:]} == {alarm.events[0].id}


@pytest.mark.parametrize("alarm", [History(WARNING), History(remind_minutes=None)])
def test_others_are_told_once(alarm: History) -> None:
    for minute in range(0, 2000, 15):
        alarm.round(minute, 1)
    assert alarm.kinds == ["fired"]


def test_a_person_says_who_and_why_and_of_what_fires() -> None:
    alarm = History()
    with pytest.raises(RequestRefused, match="does not fire for 'cloud': expected one that does"):
        alarm.acknowledge(0)
    alarm.round(0, 1)
    with pytest.raises(RequestRefused, match="does not fire for 'cloud': it is pending for 'cloud'"):
        alarm.acknowledge(1)
    alarm.round(5, 1)
    with pytest.raises(RequestRefused, match="expected who"):
        alarm.acknowledge(6, reason=" ")
    alarm.acknowledge(7)
    with pytest.raises(RequestRefused, match="'ada' already"):
        alarm.acknowledge(8, by="bob")
    assert alarm.state
    assert (alarm.state.acknowledged_by, alarm.state.acknowledgement) == ("ada", "on it")


def test_who_takes_the_wrong_one_on_is_told_for_what_it_fires() -> None:
    alarm = History()
    alarm.round(0, 1)
    alarm.round(5, 1)
    assert alarm.state
    cameras = [replace(alarm.state, subject=f"acme/camera-{number}") for number in range(7)]
    own: dict[str, Any] = {"by": "ada", "reason": "on it", "now": _at(6)}
    for subject, states, says in (
        ("nostore", [alarm.state], "does not fire for 'nostore': it is firing for 'cloud'$"),
        ("", [alarm.state], "does not fire for the whole estate: it is firing for 'cloud'$"),
        ("acme/gate", cameras, "it is firing for 'acme/camera-0', .* 'acme/camera-4' and 2 more$"),
        (None, [replace(alarm.state, state="acknowledged"), replace(cameras[0], state="pending")],
         "does not fire for anything that nobody has taken on: it is acknowledged for 'cloud'; pending for 'acme/"),
    ):  # fmt: skip
        with pytest.raises(RequestRefused, match=says):
            acknowledge(HELD, subject, states, **own)


def test_a_subject_that_is_gone_is_well_in_the_end() -> None:
    alarm = History()
    alarm.round(0, 1)
    alarm.round(5, 1)
    assert alarm.state
    states = [alarm.state]
    for minute in (10, 40):
        (change,) = evaluate(ALARMS, states, [], now=_at(minute), remind_after=None)
        states = [change.state]
    assert change.event
    assert (change.state.state, change.event.kind) == ("ok", "recovered")
    assert "not measured any more" in change.event.detail


def test_a_clock_that_goes_back_changes_nothing() -> None:
    alarm = History()
    alarm.round(10, 1)
    before = alarm.state
    assert alarm.round(10, 0) == "pending"
    assert alarm.round(3, 0) == "pending"
    assert alarm.state == before


def test_two_readings_of_one_subject_are_a_bug() -> None:
    reading = Reading("slow_uploads", "cloud", 1, 0, "")
    with pytest.raises(ValueError, match="two readings"):
        evaluate(ALARMS, [], [reading, reading], now=START, remind_after=None)


_ROUNDS = st.lists(
    st.tuples(st.integers(1, 90), st.sampled_from([0.0, 1.0, None, "acknowledge", "gone"])), max_size=60
)  # fmt: skip


def _lived(rounds: list[tuple[int, Any]], alarm: History) -> list[float]:
    """Live through rounds; the minutes at which each was."""
    minute, minutes = 0.0, []
    for pause, what in rounds:
        minute += pause
        minutes.append(minute)
        if what == "acknowledge":
            if alarm.state and alarm.state.state == "firing":
                alarm.acknowledge(minute)
        elif what == "gone":
            states = [alarm.state] if alarm.state and alarm.state.state != "ok" else []
            for change in evaluate(ALARMS, states, [], now=_at(minute), remind_after=alarm.remind):
                alarm.state = change.state
                alarm.events += [change.event] if change.event else []
        else:
            alarm.round(minute, what)
    return minutes


@given(_ROUNDS, st.sampled_from([None, 60, 240]))
def test_fired_and_recovered_take_turns(rounds: list[tuple[int, Any]], remind: int | None) -> None:
    alarm = History(remind_minutes=remind)
    _lived(rounds, alarm)
    turns = [kind for kind in alarm.kinds if kind in ("fired", "recovered")]
    assert turns == (["fired", "recovered"] * len(turns))[: len(turns)]
    is_up = alarm.state is not None and alarm.state.is_up
    assert is_up == (bool(turns) and turns[-1] == "fired")
    assert len({event.id for event in alarm.events}) == len(alarm.events)


@given(_ROUNDS)
def test_nothing_else_is_told_but_between_the_two(rounds: list[tuple[int, Any]]) -> None:
    alarm = History(remind_minutes=60)
    _lived(rounds, alarm)
    firing: AlarmEvent | None = None
    taken = False
    told_at = START
    for event in alarm.events:
        if event.kind == "fired":
            firing, taken, told_at = event, False, event.at
            continue
        assert firing
        assert event.about == firing.id
        if event.kind == "reminded":
            assert not taken
            assert event.at - told_at >= timedelta(minutes=60)
            told_at = event.at
        taken = taken or event.kind == "acknowledged"
        firing = None if event.kind == "recovered" else firing


@given(_ROUNDS)
def test_it_fires_only_after_its_hold_and_ends_only_after_its_rest(rounds: list[tuple[int, Any]]) -> None:
    alarm = History()
    minutes = _lived(rounds, alarm)
    measured = {_at(minute): what for minute, (_, what) in zip(minutes, rounds, strict=True)}
    for event in alarm.events:
        wrong = event.kind == "fired"
        if event.kind not in ("fired", "recovered"):
            continue
        since = event.at - (HELD.hold if wrong else HELD.recover)
        others = (0.0, "gone") if wrong else (1.0,)
        within = [what for at, what in measured.items() if since <= at <= event.at]
        assert not [what for what in within if what in others]
        assert within[-1] is not None
        assert any(at <= since and what not in others for at, what in measured.items())


def test_every_alarm_is_defined_once_and_says_what_to_do() -> None:
    assert sorted(ALARMS) == sorted(ALARM_NAMES)
    for name, alarm in ALARMS.items():
        assert alarm.name == name
        assert alarm.means.endswith(".")
        assert alarm.do.endswith(".")
        assert alarm.runbook == f"docs/operations.md#{name}"
