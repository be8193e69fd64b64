"""Alarms in the catalogue: where each stands, what became of it, and who is still to be told.

An event and who is to be told of it are kept in one transaction with the state. It is sent afterwards, and marked when
it was: a kill between the two sends it twice, and never not at all.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from reelkeeper.catalogue.session import Rows, Session
from reelkeeper.model import StoreName
from reelkeeper.policy.alarm_states import AlarmEvent, AlarmState
from reelkeeper.policy.alarms import Reading

_EVENT_COLUMNS = ("id", "name", "subject", "kind", "severity", "at", "value", "threshold", "detail", "by")


@dataclass(frozen=True, slots=True)
class ToldEvent:
    """An event of an alarm's history, with the channels that were told of it, and those that are yet to be."""

    event: AlarmEvent
    told: tuple[str, ...]
    waiting: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Backlog:
    """Events that a channel is still to be told of, and why it was not, by the failure's name."""

    channel: str
    events: int
    tries: int
    failure: str | None


class Alarms:
    """One row for each alarm of the estate, and for each other alarm and subject that was ever wrong; their events; who
    is told of them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def take_turn(self) -> None:
        """Wait until no one else evaluates or acknowledges; held until the transaction under way ends."""
        self._session.rows("lock_planning", what="alarms")

    def up(self) -> list[AlarmState]:
        """Those that are not ok: pending, firing, acknowledged."""
        return [_state_of(row) for row in self._session.rows("alarms_up")]

    def list(self, *, name: str | None = None, with_ok: bool = False) -> list[AlarmState]:
        """Alarms in the order for people: those that are up first."""
        return [_state_of(row) for row in self._session.rows("list_alarms", name=name, with_ok=with_ok)]

    def save(self, states: Iterable[AlarmState]) -> None:
        """Keep these states in place of those before."""
        columns = [field.name for field in fields(AlarmState)]
        rows = [{column: getattr(state, column) for column in columns} for state in states]
        self._session.execute("save_alarms", rows=Rows(rows))

    def keep_well(self, readings: Iterable[Reading], *, now: datetime) -> None:
        """Keep what was measured of alarms of the whole estate, as far as they are ok: that they were judged."""
        rows = [
            {"name": each.alarm, "value": each.value, "threshold": each.threshold, "detail": each.detail}
            for each in readings
        ]  # fmt: skip
        self._session.execute("keep_well_alarms", rows=Rows(rows), now=now)

    def judged_at(self) -> datetime | None:
        """When alarms were last judged; None: never."""
        (row,) = self._session.rows("alarms_judged_at")
        found: datetime | None = row.judged_at
        return found

    def add_events(self, events: Sequence[AlarmEvent], channels: Mapping[UUID, Sequence[str]]) -> None:
        """Add events to the history. `channels` names, by the id of a firing, who is to be told of it; whoever was to
        be told of one is to be told of its reminders and its end as well."""
        rows = [
            {"place": place} | {column: getattr(event, column) for column in _EVENT_COLUMNS}
            for place, event in enumerate(events)
        ]
        firings = [{"id": firing, "channel": channel} for firing, names in channels.items() for channel in names]
        following = [
            {"id": event.id, "about": event.about} for event in events if event.kind in ("reminded", "recovered")
        ]
        with self._session.transaction():
            self._session.execute("insert_alarm_events", rows=Rows(rows))
            self._session.execute("insert_deliveries", rows=Rows(firings))
            self._session.execute("insert_following_deliveries", rows=Rows(following))

    def withdraw(self, channels: Sequence[str]) -> int:
        """Forget what other channels than these were to be told; how many times an event was."""
        return self._session.execute("withdraw_deliveries", channels=list(channels))

    def waiting(self, channel: str, limit: int) -> Sequence[AlarmEvent]:
        """The first events that a channel is still to be told of, the oldest first."""
        return [_event_of(row) for row in self._session.rows("waiting_deliveries", channel=channel, limit=limit)]

    def backlog(self) -> Sequence[Backlog]:
        """What is still to be sent, by channel."""
        rows = self._session.rows("count_waiting_deliveries")
        return [Backlog(row.channel, row.events, row.tries, row.failure) for row in rows]

    def mark_sent(self, channel: str, ids: Sequence[UUID], *, now: datetime) -> None:
        """A channel was told of events."""
        self._session.execute("mark_sent", channel=channel, ids=list(ids), now=now)

    def mark_unsent(self, channel: str, ids: Sequence[UUID], *, failure: str) -> None:
        """A channel could not be told of events; `failure` is the error's name, never its text."""
        self._session.execute("mark_unsent", channel=channel, ids=list(ids), failure=failure)

    def history(self, limit: int, *, name: str | None = None, subject: str | None = None) -> Sequence[ToldEvent]:
        """What became of alarms, the newest first."""
        rows = self._session.rows("alarm_history", limit=limit, name=name, subject=subject)
        return [ToldEvent(_event_of(row), tuple(row.told), tuple(row.waiting)) for row in rows]

    def forget_history(self, *, before: datetime) -> int:
        """Forget what became of alarms before a time, but for those that are up since before; how many events."""
        return self._session.execute("forget_alarm_events", before=before)

    def failed_uploads(self, since: datetime, until: datetime, codes: Sequence[str]) -> Mapping[StoreName, int]:
        """Transfers to each store that finished in `[since, until)` and failed with one of these codes."""
        rows = self._session.rows("count_failed_uploads", since=since, until=until, codes=list(codes))
        return {StoreName(row.store): row.transfers for row in rows}


def _state_of(row: Any) -> AlarmState:
    return AlarmState(**{field.name: getattr(row, field.name) for field in fields(AlarmState)})


def _event_of(row: Any) -> AlarmEvent:
    return AlarmEvent(**{column: getattr(row, column) for column in _EVENT_COLUMNS})
