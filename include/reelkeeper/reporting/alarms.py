"""A round of the alarms: what is wrong is held against what was, recorded, and then sent to those who are to know.

evaluate → record, with who is to be told → send → mark as sent. A kill between any two steps loses nothing: what was
recorded is sent by the next round; what was sent and not marked is sent twice, with the same ids.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.errors import RequestRefused
from reelkeeper.policy import alarm_states as states
from reelkeeper.policy.alarm_states import AlarmEvent, AlarmState, Change
from reelkeeper.policy.alarms import Alarm, AlarmName, Reading, alarms
from reelkeeper.reporting.alarm_messages import Message
from reelkeeper.reporting.alarm_readings import MEMORY, REFUSALS, STALE_AFTER, Latest, readings, streaks, terms
from reelkeeper.reporting.figures import Figures
from reelkeeper.settings import AlarmChannel, Estate
from reelkeeper.stores.retry import retrying
from reelkeeper.wording import ago

log = logging.getLogger(__name__)

JUDGE_AGAIN = "See that report_metrics is not paused, and that its runs succeed."
"""What to do where alarms, or looks at stores, are stale."""

MESSAGE_EVENTS = 500
"""Most events of one message: a whole estate of cameras that went silent is told by few."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What a round found. `events` is all that is to be told, in order."""

    events: tuple[AlarmEvent, ...]
    up: tuple[AlarmState, ...]  # firing or acknowledged after the round
    pending: int

    def count(self, kind: states.EventKind) -> int:
        """Events of one kind."""
        return sum(event.kind == kind for event in self.events)


@dataclass(frozen=True, slots=True)
class Sending:
    """What came of telling people: events sent, by channel, and the channels that failed, with the error's name."""

    sent: dict[str, int]
    failures: dict[str, str]


def definitions(estate: Estate) -> dict[AlarmName, Alarm]:
    """The alarms with the estate's thresholds."""
    return alarms(terms(estate))


def evaluate(
    estate: Estate, catalogue: Catalogue, figures: Figures, *, now: datetime, forecast_usd: float | None = None
) -> Evaluated:
    """Hold what is measured against what was, and record what comes of it, in one transaction.

    `forecast_usd`: what storage will cost a month; None: not known. Doing it again at the same `now` changes nothing.
    """
    latest = retrying()(_latest, estate, catalogue, figures, now, forecast_usd)
    defined = definitions(estate)
    measured = readings(estate, defined, figures, latest, now)
    remind = timedelta(hours=estate.alarms.remind_hours) or None

    def judge() -> Evaluated:
        with catalogue.transaction():
            catalogue.alarms.take_turn()
            before = [state for state in catalogue.alarms.up() if state.name in defined]
            changes = states.evaluate(defined, before, measured, now=now, remind_after=remind)
            _record(estate, catalogue, changes)
            catalogue.alarms.keep_well(_of_the_estate(defined, measured), now=now)
            catalogue.alarms.forget_history(before=now - timedelta(days=estate.retention.report_days))
            after = catalogue.alarms.up()
        events = tuple(change.event for change in changes if change.event is not None)
        pending = sum(state.state == "pending" for state in after)
        return Evaluated(events, tuple(state for state in after if state.is_up), pending)

    return retrying()(judge)


def acknowledge(
    estate: Estate, catalogue: Catalogue, name: str, subject: str | None, *, by: str, reason: str, now: datetime
) -> list[AlarmState]:
    """A person takes an alarm on, for the record; `subject` None: all of its subjects that nobody has. Those taken on.

    RequestRefused when it does not fire for it, or is taken on already; then nothing is changed.
    """
    defined = {str(each): alarm for each, alarm in definitions(estate).items()}
    if name not in defined:
        raise RequestRefused(f"unknown alarm {name!r}: expected one of {list(defined)}")
    with catalogue.transaction():
        catalogue.alarms.take_turn()
        found = catalogue.alarms.list(name=name)
        changes = states.acknowledge(defined[name], subject, found, by=by, reason=reason, now=now)
        _record(estate, catalogue, changes)
    return [change.state for change in changes]


def staleness(judged_at: datetime | None, now: datetime) -> str:
    """That alarms as they stand in the catalogue tell nothing of now, in a sentence; empty: they do."""
    if judged_at is None:
        return "Alarms were never judged: that none is up says nothing."
    if now - judged_at <= STALE_AFTER:
        return ""
    when = f"{ago(judged_at, now)} ago"
    return f"Alarms were last judged {when}: they stand as they did then, and nobody is told of new ones."


def to_send(estate: Estate, catalogue: Catalogue, channel: str) -> Message | None:
    """What a channel is to be told next; None: nothing."""
    events = retrying()(catalogue.alarms.waiting, channel, MESSAGE_EVENTS)
    return Message(estate.name, tuple(events), definitions(estate)) if events else None


def send_waiting(
    estate: Estate, catalogue: Catalogue, send: Callable[[AlarmChannel, Message], None], *, now: Callable[[], datetime]
) -> Sending:
    """Tell each channel what it was not told yet. One that fails hinders no other: what it was to be told waits for the
    next round."""
    sent: dict[str, int] = {}
    failures: dict[str, str] = {}
    for channel in estate.alarms.notify:
        while (message := to_send(estate, catalogue, channel.name)) is not None:
            ids = [event.id for event in message.events]
            try:
                send(channel, message)
            except Exception as exc:  # noqa: BLE001 - whatever it is, the other channels are to be told
                failures[channel.name] = _named(exc)
                log.error("channel %r could not be told of %d events: %s", channel.name, len(ids), _named(exc))
                retrying()(catalogue.alarms.mark_unsent, channel.name, ids, failure=_named(exc))
                break
            retrying()(catalogue.alarms.mark_sent, channel.name, ids, now=now())
            sent[channel.name] = sent.get(channel.name, 0) + len(ids)
    return Sending(sent, failures)


def _of_the_estate(defined: Mapping[AlarmName, Alarm], measured: Sequence[Reading]) -> list[Reading]:
    """Each alarm of the whole estate in this round, also where it is switched off or has no threshold."""
    found = {reading.alarm: reading for reading in measured if not reading.subject}
    return [
        found.get(name) or Reading(name, "", None, alarm.threshold, "it is not measured")
        for name, alarm in defined.items()
        if alarm.per == "estate"
    ]


def _record(estate: Estate, catalogue: Catalogue, changes: Sequence[Change]) -> None:
    catalogue.alarms.save([change.state for change in changes])
    events = [change.event for change in changes if change.event is not None]
    told = estate.alarms.notify
    channels = {
        event.id: [each.name for each in told if each.least in ("warning", event.severity)]
        for event in events
        if event.kind == "fired"
    }
    catalogue.alarms.add_events(events, channels)
    catalogue.alarms.withdraw([channel.name for channel in told])


def _latest(
    estate: Estate, catalogue: Catalogue, figures: Figures, now: datetime, forecast_usd: float | None
) -> Latest:  # fmt: skip
    said = estate.alarms
    since, window = now - timedelta(minutes=said.watch_minutes), timedelta(minutes=said.window_minutes)
    uploads = {
        store.name: catalogue.rollout.measure(store.name, since, now, window=window, min_in_window=said.min_transfers)
        for store in figures.stores
    }
    hours = catalogue.tallies.transfer_hours(now - MEMORY, now)
    return Latest(uploads, streaks(hours), catalogue.alarms.failed_uploads(since, now, REFUSALS), forecast_usd)


def _named(error: Exception) -> str:
    """An error by its name, and by its status where HTTP gave one: its text may hold an address that is a secret."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return f"{type(error).__name__} {status}" if isinstance(status, int) else type(error).__name__
