"""What people are told of alarms: one message for all that became of them in a round, as text, HTML and JSON."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from itertools import groupby
from uuid import UUID, uuid5

from reelkeeper.policy.alarm_states import AlarmEvent, EventKind
from reelkeeper.policy.alarms import Alarm, AlarmName, Severity

REPOSITORY = "https://github.com/reelkeeper/reelkeeper/blob/main/"
"""Where runbooks are read."""
SHOWN = 10
"""Subjects of one alarm that a text names; the rest is counted. JSON has them all."""
_NAMESPACE = UUID("b8f0ab0e-4a52-5f0c-9f5b-6d6573736167")
_WORDS: Mapping[EventKind, str] = {
    "fired": "FIRING", "reminded": "STILL FIRING", "recovered": "OVER", "acknowledged": "ACKNOWLEDGED",
}  # fmt: skip
_ORDER: tuple[EventKind, ...] = ("fired", "reminded", "acknowledged", "recovered")


@dataclass(frozen=True, slots=True)
class _Part:
    """Events of one kind and alarm."""

    kind: EventKind
    alarm: Alarm
    events: tuple[AlarmEvent, ...]

    @property
    def heading(self) -> str:
        return f"{_WORDS[self.kind]}: {self.alarm.name} ({self.alarm.severity})"

    @property
    def lines(self) -> Iterator[str]:
        for event in self.events[:SHOWN]:
            yield f"{event.subject or 'the estate'}: {event.detail}"
        if len(self.events) > SHOWN:
            yield f"and {len(self.events) - SHOWN} more: 'reelkeeper alarm list' names them"

    @property
    def advice(self) -> str | None:
        return None if self.kind == "recovered" else f"{self.alarm.means} {self.alarm.do}"

    @property
    def link(self) -> str:
        return REPOSITORY + self.alarm.runbook


@dataclass(frozen=True, slots=True)
class Message:
    """What one channel is told at once: at least one event, in the order in which they happened."""

    estate: str
    events: tuple[AlarmEvent, ...]
    alarms: Mapping[AlarmName, Alarm]

    @property
    def id(self) -> UUID:
        """That of the same events is the same."""
        return uuid5(_NAMESPACE, "/".join(str(event.id) for event in self.events))

    @property
    def severity(self) -> Severity:
        """critical when something critical fires; what is over is never more than a warning."""
        urgent = any(event.severity == "critical" and event.kind != "recovered" for event in self.events)
        return "critical" if urgent else "warning"

    @property
    def subject(self) -> str:
        """One line, of at most 100 characters: subjects of mails to SNS end there."""
        counts = [
            f"{number} {told}"
            for kind, told in (("fired", "firing"), ("reminded", "still firing"), ("recovered", "over"))
            if (number := sum(event.kind == kind for event in self.events))
        ]
        names = ", ".join(dict.fromkeys(part.alarm.name for part in self._parts()))
        line = (
            f"{'CRITICAL: ' if self.severity == 'critical' else ''}{self.estate} alarms: {', '.join(counts)}: {names}"
        )
        return line if len(line) <= 100 else f"{line[:97]}..."

    @property
    def text(self) -> str:
        """Plain text."""
        parts = []
        for part in self._parts():
            lines = [part.heading, *(f"  {line}" for line in part.lines)]
            parts.append("\n".join([*lines, *([f"  {part.advice}", f"  {part.link}"] if part.advice else [])]))
        return "\n\n".join(parts) + "\n"

    @property
    def html(self) -> str:
        """The same for mail."""
        parts = []
        for part in self._parts():
            items = "".join(f"<li>{escape(line)}</li>" for line in part.lines)
            advice = f'<p>{escape(part.advice)} <a href="{escape(part.link)}">Runbook</a></p>' if part.advice else ""
            parts.append(f"<h3>{escape(part.heading)}</h3><ul>{items}</ul>{advice}")
        heading = f"<h2>Estate {escape(self.estate)}</h2>"
        return f'<div style="font-family: sans-serif">{heading}{"".join(parts)}</div>'

    @property
    def json(self) -> dict[str, object]:
        """Every event whole, for programs. An event that comes twice has the same id."""
        return {"estate": self.estate, "events": [self._told(event) for event in self.events]}

    def _told(self, event: AlarmEvent) -> dict[str, object]:
        alarm = self.alarms[event.name]
        return {
            "id": str(event.id), "alarm": event.name, "subject": event.subject, "kind": event.kind,
            "severity": event.severity, "at": event.at.isoformat(), "value": event.value,
            "threshold": event.threshold, "detail": event.detail, "means": alarm.means, "do": alarm.do,
            "runbook": REPOSITORY + alarm.runbook,
        }  # fmt: skip

    def _parts(self) -> list[_Part]:
        """By kind and alarm: what fires first, and what is urgent before the rest."""

        places = {name: place for place, name in enumerate(self.alarms)}

        def place(event: AlarmEvent) -> tuple[int, int]:
            return _ORDER.index(event.kind), places[event.name]

        return [
            _Part(events[0].kind, self.alarms[events[0].name], events)
            for events in (tuple(group) for _, group in groupby(sorted(self.events, key=place), key=place))
        ]
