"""What people are told of alarms, as text, HTML and JSON."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

from reelkeeper.policy.alarm_states import AlarmEvent, EventKind
from reelkeeper.policy.alarms import AlarmName, AlarmTerms, alarms
from reelkeeper.reporting.alarm_messages import Message

ALARMS = alarms(AlarmTerms(0.05, 30, 100, 45, 24, recover=timedelta(minutes=30)))
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def event(
    number: int, name: AlarmName, subject: str, kind: EventKind = "fired", detail: str = "it is so"
) -> AlarmEvent:
    return AlarmEvent(UUID(int=number), name, subject, kind, ALARMS[name].severity, AT, 1.5, 1.0, detail)


def message(*events: AlarmEvent) -> Message:
    return Message("harbour", events, ALARMS)


MIXED = message(
    event(1, "camera_silent", "default/gate", "recovered"),
    event(2, "slow_uploads", "cloud", detail="31 s each"),
    event(3, "store_unreachable", "local"),
    event(4, "store_unreachable", "cloud", "reminded"),
)


def test_the_subject_says_what_matters_in_a_line() -> None:
    assert (
        MIXED.subject
        == ("CRITICAL: harbour alarms: 2 firing, 1 still firing, 1 over: store_unreachable, slow_uploads, camera_...")[
            :97
        ]
        + "..."
    )
    assert len(MIXED.subject) == 100
    assert MIXED.subject.isascii()
    assert message(event(1, "slow_uploads", "cloud")).subject == "harbour alarms: 1 firing: slow_uploads"
    over = message(event(1, "store_unreachable", "cloud", "recovered"))
    assert (over.subject, over.severity) == ("harbour alarms: 1 over: store_unreachable", "warning")


def test_what_fires_and_is_urgent_stands_first_with_what_to_do() -> None:
    lines = MIXED.text.splitlines()
    headings = [line for line in lines if line and not line.startswith(" ")]
    assert headings == [
        "FIRING: store_unreachable (critical)",
        "FIRING: slow_uploads (warning)",
        "STILL FIRING: store_unreachable (critical)",
        "OVER: camera_silent (warning)",
    ]
    assert "  cloud: 31 s each" in lines
    assert f"  {ALARMS['slow_uploads'].means} {ALARMS['slow_uploads'].do}" in lines
    assert "  https://github.com/reelkeeper/reelkeeper/blob/main/docs/operations.md#slow_uploads" in lines


def test_html_shows_what_it_is_given() -> None:
    shown = message(event(1, "access_denied", "cloud", detail="<script>alert('&')</script>")).html
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


def test_programs_get_every_event_whole() -> None:
    many = message(*(event(number, "camera_silent", f"default/camera-{number}") for number in range(1, 31)))
    told = json.loads(json.dumps(many.json))
    assert [each["id"] for each in told["events"]] == [str(UUID(int=number)) for number in range(1, 31)]
    assert told["events"][0] == {
        "id": str(UUID(int=1)), "alarm": "camera_silent", "subject": "default/camera-1", "kind": "fired",
        "severity": "warning", "at": "2026-03-01T12:00:00+00:00", "value": 1.5, "threshold": 1.0,
        "detail": "it is so", "means": ALARMS["camera_silent"].means, "do": ALARMS["camera_silent"].do,
        "runbook": "https://github.com/reelkeeper/reelkeeper/blob/main/docs/operations.md#camera_silent",
    }  # fmt: skip
    assert "and 20 more" in many.text
    assert "camera-11" not in many.text


def test_the_same_events_are_the_same_message() -> None:
    one, other = event(1, "slow_uploads", "cloud"), event(2, "slow_uploads", "local")
    assert message(one, other).id == message(one, other).id
    assert len({message(one).id, message(other).id, message(one, other).id}) == 3
