"""Rounds of the alarms on a real catalogue, by a clock: what fires, is held, taken on and over, and who is told."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import psycopg2
import pytest

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.partitions import HISTORY
from reelkeeper.errors import RequestRefused
from reelkeeper.model import CameraId, StoreKind, StoreName
from reelkeeper.policy.alarm_states import AlarmEvent
from reelkeeper.policy.alarms import ALARM_NAMES, AlarmName
from reelkeeper.reporting.alarm_messages import Message
from reelkeeper.reporting.alarm_readings import Latest, readings, silent_cameras
from reelkeeper.reporting.alarms import Evaluated, acknowledge, definitions, evaluate, send_waiting, staleness
from reelkeeper.reporting.figures import CameraFigures, Figures
from reelkeeper.settings import AlarmChannel, Alarms, Estate, Placement, StoreSettings
from tests.reporting.hand_made import CLOUD, LOCAL, NOW, figures

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PEOPLE = AlarmChannel(name="people", kind="smtp", to=("ops@example.org",))
PAGER = AlarmChannel(name="pager", kind="webhook", least="critical")


def estate(notify: tuple[AlarmChannel, ...] = (PEOPLE, PAGER), **alarms: Any) -> Estate:
    return Estate(
        name="test",
        stores=(StoreSettings(name="local", kind=StoreKind.FILESYSTEM, root="/footage"),
                StoreSettings(name="cloud", kind=StoreKind.MINIO, bucket="footage")),
        placement=Placement(mode="hybrid", local_store="local", cloud_store="cloud"),
        alarms=Alarms(notify=notify, **alarms),
    )  # fmt: skip


def well(now: datetime = NOW, **others: Any) -> Figures:
    """The estate when nothing is wrong with it, but for what is said otherwise."""
    found = figures(now)
    stores = tuple(
        replace(store, health="healthy", health_reason=None, orphans=0, looked_at=now) for store in found.stores
    )
    cameras = tuple(replace(camera, last_end=now - MINUTE) for camera in found.cameras)
    usual = {"stores": stores, "cameras": cameras, "unprotected_segments": 0}
    return replace(found, **(usual | others))


def cloud_is(now: datetime, **facts: Any) -> tuple[Any, ...]:
    """The stores of an estate that is well, with these facts of the cloud store."""
    local, cloud = well(now).stores
    return (local, replace(cloud, **facts))


def unreachable(now: datetime) -> Figures:
    return well(now, stores=cloud_is(now, health="unreachable", health_reason="store_timeout"))


def up(found: Evaluated) -> dict[tuple[str, str], str]:
    return {(state.name, state.subject): state.state for state in found.up}


def told(found: Evaluated) -> list[tuple[str, str, str]]:
    return [(event.kind, event.name, event.subject) for event in found.events]


def wrong(figures: Figures) -> list[tuple[str, str]]:
    """The alarms whose measurements are wrong, without any uploads."""
    measured = readings(estate(), definitions(estate()), figures, Latest(), NOW)
    return [(reading.alarm, reading.subject) for reading in measured if reading.is_wrong]


class Outbox:
    """Keeps what each channel is told. Channels named in `broken` refuse."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, Message]] = []
        self.broken: set[str] = set()

    def send(self, channel: AlarmChannel, message: Message) -> None:
        if channel.name in self.broken:
            raise ConnectionRefusedError("https://hooks.example.org/a-secret refused")
        self.messages.append((channel.name, message))

    def of(self, channel: str) -> list[tuple[str, str]]:
        return [(event.kind, event.name) for name, message in self.messages if name == channel
                for event in message.events]  # fmt: skip


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


@pytest.fixture
def transferred(catalogue: Catalogue, catalogue_dsn: str) -> Iterator[Callable[..., None]]:
    """Puts uploads into the history: `number` that ended at `at`, the first `failed` of which failed."""
    with closing(psycopg2.connect(catalogue_dsn, options="-c search_path=reelkeeper")) as connection:

        def add(
            number: int, failed: int = 0, *, at: datetime, seconds: float = 5, code: str = "store_timeout",
            store: StoreName = CLOUD,
        ) -> None:  # fmt: skip
            catalogue._session.ensure_partitions(HISTORY, [at])
            with connection, connection.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO transfers (segment_id, start_time, job, batch_id, destination_store, outcome,"
                    " error_code, size_bytes, started_at, finished_at)"
                    " SELECT gen_random_uuid(), %(at)s, 'migrate', gen_random_uuid(), %(store)s,"
                    " CASE WHEN i <= %(failed)s THEN 'failed' ELSE 'succeeded' END,"
                    " CASE WHEN i <= %(failed)s THEN %(code)s END, 1000, %(at)s::timestamptz - %(took)s, %(at)s"
                    " FROM generate_series(1, %(number)s) AS i",
                    {"at": at, "failed": failed, "code": code, "number": number, "store": store,
                     "took": timedelta(seconds=seconds)},
                )  # fmt: skip

        yield add


def test_all_is_well(catalogue: Catalogue, outbox: Outbox) -> None:
    found = evaluate(estate(budget_usd=1000), catalogue, well(), now=NOW)
    assert (found.up, found.pending, found.events) == ((), 0, ())
    assert send_waiting(estate(), catalogue, outbox.send, now=lambda: NOW).sent == {}
    assert outbox.messages == []


def test_a_store_through_held_firing_taken_on_and_over(catalogue: Catalogue, outbox: Outbox) -> None:
    ours = estate()
    key = ("store_unreachable", "cloud")

    def round_at(minutes: float, *, wrong: bool) -> Evaluated:
        now = NOW + minutes * MINUTE
        found = evaluate(ours, catalogue, unreachable(now) if wrong else well(now), now=now)
        assert not send_waiting(ours, catalogue, outbox.send, now=lambda: now).failures
        return found

    assert round_at(0, wrong=True).pending == 1
    assert outbox.messages == []
    assert up(round_at(15, wrong=True)) == {key: "firing"}
    assert up(round_at(30, wrong=True)) == {key: "firing"}
    assert outbox.of("people") == outbox.of("pager") == [("fired", "store_unreachable")]

    [taken] = acknowledge(
        ours, catalogue, "store_unreachable", "cloud", by="ada", reason="disk on order", now=NOW + HOUR
    )  # fmt: skip
    assert taken.state == "acknowledged"
    with pytest.raises(RequestRefused, match="'ada' already"):
        acknowledge(ours, catalogue, "store_unreachable", "cloud", by="bob", reason="me too", now=NOW + HOUR)
    assert up(round_at(75, wrong=True)) == {key: "acknowledged"}
    assert up(round_at(24 * 60 + 90, wrong=True)) == {key: "acknowledged"}
    assert up(round_at(24 * 60 + 105, wrong=False)) == {key: "acknowledged"}
    over = round_at(24 * 60 + 135, wrong=False)
    assert (over.up, told(over)) == ((), [("recovered", *key)])
    assert outbox.of("people") == outbox.of("pager") == [("fired", key[0]), ("recovered", key[0])]

    history = catalogue.alarms.history(10, name="store_unreachable", subject="cloud")
    assert [(each.event.kind, each.event.by, each.told, each.waiting) for each in history] == [
        ("recovered", None, ("pager", "people"), ()),
        ("acknowledged", "ada", (), ()),
        ("fired", None, ("pager", "people"), ()),
    ]
    assert history[1].event.detail == "disk on order"
    [kept] = catalogue.alarms.list(name=key[0], with_ok=True)
    assert (kept.state, kept.acknowledged_by, kept.fired_at) == ("ok", None, NOW + 15 * MINUTE)


@pytest.mark.parametrize(
    ("alarm", "number", "failed", "code"),
    [("access_denied", 1, 1, "access_denied"), ("upload_failures", 100, 40, "store_timeout"),
     ("upload_failures", 5, 5, "store_full")],
)  # fmt: skip
def test_what_goes_wrong_every_hour_is_one_alarm_until_it_goes_well(
    catalogue: Catalogue, outbox: Outbox, transferred: Callable[..., None], alarm: str, number: int, failed: int,
    code: str,
) -> None:  # fmt: skip
    """Migrations run hourly, rounds every 15 minutes: that nobody tries between two migrations mends nothing."""
    ours, kinds = estate(remind_hours=0), []
    for quarter in range(4 * 9):
        now = NOW + quarter * 15 * MINUTE
        if quarter % 4 == 0:
            wrong = failed if quarter < 16 else 0  # mended in the fifth hour
            transferred(number, wrong, at=now - 3 * MINUTE, code=code)
        found = evaluate(ours, catalogue, well(now), now=now)
        kinds += [(event.kind, quarter // 4) for event in found.events if event.name == alarm]
        if quarter == 6 and found.up:
            acknowledge(ours, catalogue, alarm, "cloud", by="ada", reason="on it", now=now)
    assert [kind for kind, _ in kinds] == ["fired", "recovered"]
    assert kinds[0][1] == 0
    assert kinds[1][1] in (6, 7)  # two hours after the first that went well
    assert up(evaluate(ours, catalogue, well(now), now=now + MINUTE)) == {}


def test_a_store_that_takes_nothing_is_told_of_however_few_try(
    catalogue: Catalogue, transferred: Callable[..., None]
) -> None:
    """A breaker stops asking a full store after one upload; one failure alone says nothing."""
    fired = []
    transferred(1, at=NOW - 61 * MINUTE)
    for hour in range(5):
        now = NOW + hour * HOUR
        transferred(1, 1, at=now - MINUTE, code="store_full")
        fired += [
            (hour, event.kind, event.detail) for event in evaluate(estate(), catalogue, well(now), now=now).events
        ]
    assert fired == [(2, "fired", "3 uploads failed since the last that succeeded")]


def test_an_alarm_about_uploads_is_over_when_nobody_uploads_any_more(
    catalogue: Catalogue, transferred: Callable[..., None]
) -> None:
    """Mode local was the way back: what failed two days ago says nothing of now."""
    transferred(10, 10, at=NOW - MINUTE)
    assert up(evaluate(estate(), catalogue, well(), now=NOW)) == {("upload_failures", "cloud"): "firing"}
    for hours in (24, 47, 50, 51):
        now = NOW + hours * HOUR
        assert up(evaluate(estate(), catalogue, well(now), now=now)) == {("upload_failures", "cloud"): "firing"}
    now = NOW + 53 * HOUR
    assert told(evaluate(estate(), catalogue, well(now), now=now)) == [("recovered", "upload_failures", "cloud")]


def test_what_is_critical_and_nobodys_is_told_again(catalogue: Catalogue, outbox: Outbox) -> None:
    ours = estate(remind_hours=2)
    for hours in range(6):
        now = NOW + hours * HOUR
        evaluate(ours, catalogue, well(now, unprotected_segments=3), now=now)
        send_waiting(ours, catalogue, outbox.send, now=lambda now=now: now)
    assert [kind for kind, _ in outbox.of("pager")] == ["fired", "reminded", "reminded"]


def test_the_same_round_twice_changes_nothing(catalogue: Catalogue) -> None:
    first = evaluate(estate(), catalogue, well(unprotected_segments=3), now=NOW)
    again = evaluate(estate(), catalogue, well(unprotected_segments=3), now=NOW)
    assert told(first) == [("fired", "unprotected_footage", "")]
    assert told(again) == []
    assert up(again) == up(first) == {("unprotected_footage", ""): "firing"}
    assert len(catalogue.alarms.history(10)) == 1


def test_warnings_are_for_those_who_want_them(catalogue: Catalogue, outbox: Outbox) -> None:
    ours = estate()
    cameras = well().cameras
    late = (replace(cameras[0], last_end=NOW - 25 * HOUR), *cameras[1:])
    evaluate(ours, catalogue, well(cameras=late), now=NOW)
    now = NOW + HOUR
    evaluate(ours, catalogue, well(now), now=now)
    assert send_waiting(ours, catalogue, outbox.send, now=lambda: now).sent == {"people": 2}
    assert outbox.of("people") == [("fired", "camera_silent"), ("recovered", "camera_silent")]
    assert outbox.of("pager") == []


def test_a_channel_that_fails_hinders_no_other_and_is_told_by_the_next_round(
    catalogue: Catalogue, outbox: Outbox
) -> None:
    ours = estate()
    outbox.broken = {"people"}
    evaluate(ours, catalogue, well(unprotected_segments=3), now=NOW)
    sending = send_waiting(ours, catalogue, outbox.send, now=lambda: NOW)
    assert (sending.sent, sending.failures) == ({"pager": 1}, {"people": "ConnectionRefusedError"})
    (waits,) = catalogue.alarms.backlog()
    assert (waits.channel, waits.events, waits.tries, waits.failure) == ("people", 1, 1, "ConnectionRefusedError")

    later = NOW + HOUR
    for now in (later, later + HOUR):
        evaluate(ours, catalogue, well(now), now=now)
    outbox.broken = set()
    sending = send_waiting(ours, catalogue, outbox.send, now=lambda: later)
    assert (sending.sent, sending.failures) == ({"pager": 1, "people": 2}, {})
    assert outbox.of("people") == outbox.of("pager") == [
        ("fired", "unprotected_footage"), ("recovered", "unprotected_footage"),
    ]  # fmt: skip
    assert catalogue.alarms.backlog() == []


def test_a_kill_between_sending_and_marking_sends_twice_with_the_same_ids(
    catalogue: Catalogue, outbox: Outbox
) -> None:  # fmt: skip
    ours = estate(notify=(PEOPLE,))
    evaluate(ours, catalogue, well(unprotected_segments=3), now=NOW)

    class Killed(BaseException):
        pass

    def send_and_die(channel: AlarmChannel, message: Message) -> None:
        outbox.send(channel, message)
        raise Killed

    with pytest.raises(Killed):
        send_waiting(ours, catalogue, send_and_die, now=lambda: NOW)
    send_waiting(ours, catalogue, outbox.send, now=lambda: NOW)
    send_waiting(ours, catalogue, outbox.send, now=lambda: NOW)
    ids = [[event.id for event in message.events] for _, message in outbox.messages]
    assert len(ids) == 2
    assert ids[0] == ids[1]


def test_a_kill_before_sending_loses_nothing(catalogue: Catalogue, catalogue_dsn: str, outbox: Outbox) -> None:
    evaluate(estate(), catalogue, well(unprotected_segments=3), now=NOW)
    with Catalogue(lambda: psycopg2.connect(catalogue_dsn)) as other:
        assert send_waiting(estate(), other, outbox.send, now=lambda: NOW).sent == {"people": 1, "pager": 1}


def test_a_round_that_fails_half_way_recorded_nothing(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(catalogue.alarms, "add_events", broken)
        with pytest.raises(RuntimeError, match="killed"):
            evaluate(estate(), catalogue, well(unprotected_segments=3), now=NOW)
    assert catalogue.alarms.up() == []
    assert told(evaluate(estate(), catalogue, well(unprotected_segments=3), now=NOW)) == [
        ("fired", "unprotected_footage", "")
    ]


def test_who_was_not_told_that_it_fires_is_not_told_that_it_is_over(catalogue: Catalogue, outbox: Outbox) -> None:
    before, after = estate(notify=(PAGER,)), estate(notify=(PEOPLE,))
    evaluate(before, catalogue, well(unprotected_segments=3), now=NOW)
    for minutes in (10, 50):
        now = NOW + minutes * MINUTE
        found = evaluate(after, catalogue, well(now), now=now)
    assert told(found) == [("recovered", "unprotected_footage", "")]
    assert send_waiting(after, catalogue, outbox.send, now=lambda: NOW).sent == {}
    # The pager is asked for again a year later: what it was not told is forgotten.
    assert send_waiting(before, catalogue, outbox.send, now=lambda: NOW).sent == {}


def test_failed_uploads_in_the_worst_five_minutes(catalogue: Catalogue, transferred: Callable[..., None]) -> None:
    transferred(100, 5, at=NOW - 3 * MINUTE)
    assert up(evaluate(estate(), catalogue, well(), now=NOW)) == {}
    transferred(100, 6, at=NOW - 8 * MINUTE)
    found = evaluate(estate(), catalogue, well(), now=NOW)
    assert up(found) == {("upload_failures", "cloud"): "firing"}
    assert found.up[0].value == pytest.approx(0.06)
    assert "6 of 100 uploads failed (6.0%) in the 5 minutes from 11:50 UTC" in found.up[0].detail


def test_few_uploads_say_nothing(catalogue: Catalogue, transferred: Callable[..., None]) -> None:
    transferred(19, 9, at=NOW - MINUTE)
    assert up(evaluate(estate(), catalogue, well(), now=NOW)) == {}
    transferred(40, 40, at=NOW + 14 * MINUTE)
    now = NOW + 15 * MINUTE
    assert up(evaluate(estate(), catalogue, well(now), now=now)) == {("upload_failures", "cloud"): "firing"}
    # Hours of too few to say, each failing: it cannot be over, nor without any. It is when some have gone well.
    for hour in range(1, 4):
        now = NOW + hour * HOUR
        transferred(1, 1, at=now - MINUTE)
        assert up(evaluate(estate(), catalogue, well(now), now=now)) == {("upload_failures", "cloud"): "firing"}
    for hour, number, state in ((5, 0, "firing"), (6, 2, "firing"), (7, 0, "firing"), (8, 1, None)):
        now = NOW + hour * HOUR
        transferred(number, at=now - MINUTE)
        assert up(evaluate(estate(), catalogue, well(now), now=now)).get(("upload_failures", "cloud")) == state


def test_slow_uploads_and_refused_ones(catalogue: Catalogue, transferred: Callable[..., None]) -> None:
    transferred(20, at=NOW - MINUTE, seconds=30)
    transferred(20, at=NOW - MINUTE, seconds=31, store=LOCAL)
    transferred(1, 1, at=NOW - MINUTE, code="access_denied")
    transferred(5, 5, at=NOW - HOUR, code="access_denied", store=LOCAL)
    found = evaluate(estate(), catalogue, well(), now=NOW)
    assert up(found) == {("slow_uploads", "local"): "firing", ("access_denied", "cloud"): "firing"}


def test_a_look_that_is_refused_is_access_denied(catalogue: Catalogue) -> None:
    refused = well(stores=cloud_is(NOW, health="unreachable", health_reason="access_denied"))
    found = evaluate(estate(), catalogue, refused, now=NOW)
    assert up(found) == {("access_denied", "cloud"): "firing"}
    assert found.pending == 1  # store_unreachable


@pytest.mark.parametrize(
    ("others", "alarm", "subject"),
    [
        ({"unprotected_segments": 1}, "unprotected_footage", ""),
        ({"oldest_unverified": NOW - 46 * DAY}, "verification_overdue", ""),
        ({"stores": cloud_is(NOW, health="foreign", health_reason="store_not_ours")}, "store_not_ours", "cloud"),
        ({"stores": cloud_is(NOW, orphans=1)}, "orphans_above_cap", "cloud"),
        ({"rollout": replace(well().rollout, last_action="step_back")}, "rollout_stepped_back", ""),
    ],
)
def test_one_thing_that_is_wrong_is_one_alarm(others: dict[str, Any], alarm: str, subject: str) -> None:
    assert wrong(well(**others)) == [(alarm, subject)]


@pytest.mark.parametrize(
    "others",
    [
        {"oldest_unverified": NOW - 44 * DAY},
        {"oldest_unverified": None},
        {"stores": cloud_is(NOW, health="unreachable", health_reason="store_timeout", looked_at=NOW - 2 * HOUR)},
        {"stores": cloud_is(NOW, health="unknown", health_reason="not_set_up", looked_at=NOW)},
        {"stores": cloud_is(NOW, health="unknown", health_reason=None, looked_at=None)},
        {"rollout": replace(well().rollout, last_action="hold")},
        {"rollout": replace(well().rollout, last_action="step_back", mode="local")},
        {"rollout": replace(well().rollout, last_action="step_back", last_decided_by="ann")},  # on purpose
        {"rollout": replace(well().rollout, last_action=None)},
    ],
)
def test_what_is_right_or_not_known_is_none(others: dict[str, Any]) -> None:
    assert wrong(well(**others)) == []


def test_of_a_store_that_does_not_answer_it_is_not_known_whose_it_is(catalogue: Catalogue) -> None:
    key = ("store_not_ours", "cloud")
    for hours, health in enumerate(["foreign", "unreachable", "unreachable", "healthy"]):
        now = NOW + hours * HOUR
        found = evaluate(estate(), catalogue, well(now, stores=cloud_is(now, health=health)), now=now)
        assert up(found)[key] == "firing"
    now += HOUR
    assert up(evaluate(estate(), catalogue, well(now), now=now)) == {}


def test_a_step_back_stands_until_the_ramp_goes_on(catalogue: Catalogue) -> None:
    states = []
    for day, action in enumerate(["advance", "step_back", "hold", "hold", "advance"]):
        now = NOW + day * DAY
        found = evaluate(
            estate(), catalogue, well(now, rollout=replace(well().rollout, last_action=action)), now=now
        )  # fmt: skip
        states.append(list(up(found).values()))
    assert states == [[], ["firing"], ["firing"], ["firing"], []]


def test_a_step_back_is_told_with_its_reason_and_ends_when_a_person_sets_the_percentage(catalogue: Catalogue) -> None:
    went_back = replace(
        well().rollout, last_action="step_back", last_decided_by="reelkeeper", last_reason="2 of 9 failed"
    )
    found = evaluate(estate(), catalogue, well(rollout=went_back), now=NOW)
    assert found.up[0].detail.endswith(": step_back; it is at 25 %: 2 of 9 failed")
    lower = replace(went_back, last_decided_by="ann", last_reason="less is enough")
    assert up(evaluate(estate(), catalogue, well(NOW + DAY, rollout=lower), now=NOW + DAY)) == {}


def test_orphans_are_held_against_what_the_store_has(catalogue: Catalogue) -> None:
    """Six copies and ten orphans: one percent of sixteen is none. With a count alone, ten may go and eleven not."""
    caps = {"soft_ratio": 1, "hard_ratio": 1, "soft_count": 10}
    ours = estate().model_copy(update={"reconcile_caps": estate().reconcile_caps.model_copy(update=caps)})
    assert up(evaluate(ours, catalogue, well(stores=cloud_is(NOW, orphans=10)), now=NOW)) == {}
    found = evaluate(ours, catalogue, well(stores=cloud_is(NOW, orphans=11)), now=NOW)
    assert up(found) == {("orphans_above_cap", "cloud"): "firing"}
    assert found.up[0].threshold == 10


def test_the_budget_now_and_as_forecast(catalogue: Catalogue) -> None:
    def states(usd: str, forecast: float | None, hours: int) -> list[str]:
        now = NOW + hours * HOUR
        stores = cloud_is(now, monthly_usd=Decimal(usd))
        found = evaluate(
            estate(budget_usd=20), catalogue, well(now, stores=stores), now=now, forecast_usd=forecast
        )  # fmt: skip
        return [state.state for state in catalogue.alarms.up()] if not found.events else [found.events[0].kind]

    assert states("20.00", None, 0) == []
    assert states("20.01", None, 1) == ["pending"]
    assert states("15.00", 19.0, 2) == []
    assert states("15.00", 20.5, 3) == ["pending"]
    assert states("15.00", 20.5, 4) == ["fired"]
    assert states("15.00", 15.0, 5) == ["firing"]
    assert states("15.00", 15.0, 11) == ["recovered"]
    no_budget = well(stores=cloud_is(NOW, monthly_usd=Decimal(10**9)))
    assert evaluate(estate(), catalogue, no_budget, now=NOW + DAY).pending == 0


def test_a_camera_is_silent_then_out_of_service(catalogue: Catalogue) -> None:
    last = NOW
    states = []
    for hours in (23, 24, 25, 24 * 29, 24 * 31):
        now = last + hours * HOUR
        yard = CameraFigures(CameraId(well().cameras[0].id), "acme", "yard", "Yard", 3, 300, last)
        found = evaluate(estate(), catalogue, well(now, cameras=(yard,)), now=now)
        silent = silent_cameras(estate(), well(now, cameras=(yard,)), now)
        assert [camera.slug for camera in silent] == (["yard"] if found.up else [])
        states.append((up(found), told(found)))
    key = ("camera_silent", "acme/yard")
    assert states == [
        ({}, []), ({}, []), ({key: "firing"}, [("fired", *key)]), ({key: "firing"}, []), ({}, [("recovered", *key)]),
    ]  # fmt: skip
    (event, *_) = catalogue.alarms.history(1)
    assert "out of service" in event.event.detail


def test_an_alarm_that_is_off_is_not_measured_and_one_that_was_on_is_over(catalogue: Catalogue) -> None:
    bad = {"unprotected_segments": 3}
    evaluate(estate(), catalogue, well(**bad), now=NOW)
    off = estate(off=("unprotected_footage",))
    for minutes in (1, 40):
        now = NOW + minutes * MINUTE
        found = evaluate(off, catalogue, well(now, **bad), now=now)
    assert told(found) == [("recovered", "unprotected_footage", "")]
    assert up(found) == {}


def test_a_thousand_cameras_are_few_messages(catalogue: Catalogue, outbox: Outbox) -> None:
    cameras = tuple(
        replace(well().cameras[0], slug=f"camera-{number:04}", last_end=NOW - 2 * DAY) for number in range(1000)
    )  # fmt: skip
    evaluate(estate(), catalogue, well(cameras=cameras), now=NOW)
    sending = send_waiting(estate(), catalogue, outbox.send, now=lambda: NOW)
    assert sending.sent == {"people": 1000}
    assert [len(message.events) for _, message in outbox.messages] == [500, 500]
    assert all(len(message.text) < 5000 for _, message in outbox.messages)
    assert "and 490 more" in outbox.messages[0][1].text


def test_nobody_acknowledges_what_is_not_there(catalogue: Catalogue) -> None:
    with pytest.raises(RequestRefused, match="does not fire"):
        acknowledge(estate(), catalogue, "over_budget", "", by="ada", reason="so what", now=NOW)
    with pytest.raises(RequestRefused, match="unknown alarm 'no_alarm'"):
        acknowledge(estate(), catalogue, "no_alarm", "", by="ada", reason="so what", now=NOW)


def test_rounds_at_the_same_time_take_turns(catalogue: Catalogue, catalogue_dsn: str) -> None:
    def round_of(number: int) -> list[tuple[str, str, str]]:
        now = NOW + number * timedelta(seconds=1)
        with Catalogue(lambda: psycopg2.connect(catalogue_dsn)) as own:
            return told(evaluate(estate(), own, well(now, unprotected_segments=3), now=now))

    with ThreadPoolExecutor(6) as threads:
        found = [event for events in threads.map(round_of, [0, 0, 1, 1, 2, 2]) for event in events]
    assert found == [("fired", "unprotected_footage", "")]
    assert [each.event.kind for each in catalogue.alarms.history(10)] == ["fired"]


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_happens_each_channel_hears_of_beginnings_and_ends_in_turn(
    catalogue: Catalogue, outbox: Outbox, seed: int
) -> None:
    """Stores come and go, channels break, workers die between sending and writing that down: nobody hears that
    something is over that he was not told of, or twice that it began (but for the same event again)."""
    chance = Random(seed)
    ours, now = estate(remind_hours=1), NOW

    class Killed(BaseException):
        pass

    def send(channel: AlarmChannel, message: Message) -> None:
        outbox.send(channel, message)
        if chance.random() < 0.1:
            raise Killed

    for _ in range(50):
        now += chance.choice([5, 15, 40]) * MINUTE
        facts = {"health": chance.choice(["healthy", "healthy", "unreachable", "foreign", "unknown"])}
        outbox.broken = {name for name in ("people", "pager") if chance.random() < 0.4}
        evaluate(ours, catalogue, well(now, stores=cloud_is(now, **facts)), now=now)
        with suppress(Killed):
            send_waiting(ours, catalogue, send, now=lambda now=now: now)
    for minutes in (1, 40):
        evaluate(ours, catalogue, well(now + minutes * MINUTE), now=now + minutes * MINUTE)
    outbox.broken = set()
    send_waiting(ours, catalogue, outbox.send, now=lambda: now)

    for channel in ("people", "pager"):
        heard: dict[UUID, AlarmEvent] = {}
        for name, message in outbox.messages:
            heard |= {event.id: event for event in message.events if name == channel}
        for alarm in ("store_unreachable", "store_not_ours"):
            turns = [event.kind for event in heard.values() if event.name == alarm and event.kind != "reminded"]
            assert turns, "the seed tells nothing"
            assert turns == ["fired", "recovered"] * (len(turns) // 2)
        assert [event.at for event in heard.values()] == sorted(event.at for event in heard.values())


def test_history_is_kept_for_a_year_and_that_of_what_is_up_for_longer(catalogue: Catalogue, outbox: Outbox) -> None:
    ours = estate(notify=(PEOPLE,), remind_hours=0)
    late = NOW + 500 * DAY
    foreign = {"stores": cloud_is(NOW, health="foreign")}
    evaluate(ours, catalogue, well(unprotected_segments=3, **foreign), now=NOW)
    for minutes in (1, 40):
        now = NOW + minutes * MINUTE
        evaluate(ours, catalogue, well(now, unprotected_segments=3), now=now)
    send_waiting(ours, catalogue, outbox.send, now=lambda: NOW)
    assert len(catalogue.alarms.history(10)) == 3

    evaluate(ours, catalogue, well(late, unprotected_segments=3), now=late)
    assert [each.event.name for each in catalogue.alarms.history(10)] == ["unprotected_footage"]
    for now in (late + MINUTE, late + HOUR):
        evaluate(ours, catalogue, well(now), now=now)
    send_waiting(ours, catalogue, outbox.send, now=lambda: late)
    assert outbox.of("people")[-1] == ("recovered", "unprotected_footage")


@pytest.mark.parametrize("off", [(), ALARM_NAMES], ids=["all", "none"])
def test_it_is_known_when_alarms_were_last_judged(catalogue: Catalogue, off: tuple[AlarmName, ...]) -> None:
    """Whatever is wrong, was ever wrong, or is watched."""
    ours = estate(off=off)
    assert catalogue.alarms.judged_at() is None
    for minutes, facts in ((0, {}), (15, {"unprotected_segments": 3}), (30, {}), (45, {}), (90, {})):
        now = NOW + minutes * MINUTE
        evaluate(ours, catalogue, well(now, **facts), now=now)
        assert catalogue.alarms.judged_at() == now
    kinds = [each.event.kind for each in catalogue.alarms.history(10)]
    assert kinds == ([] if off else ["recovered", "fired"])
    assert {state.subject for state in catalogue.alarms.list(with_ok=True)} == {""}


def test_a_round_of_a_clock_that_was_ahead_does_not_pass_for_the_last_one(catalogue: Catalogue) -> None:
    for now in (NOW + 365 * DAY, NOW):
        evaluate(estate(), catalogue, well(now, unprotected_segments=1), now=now)
        assert catalogue.alarms.judged_at() == now


def test_what_a_person_takes_on_is_not_judged_by_that(catalogue: Catalogue) -> None:
    evaluate(estate(), catalogue, well(unprotected_segments=1), now=NOW)
    acknowledge(estate(), catalogue, "unprotected_footage", "", by="ada", reason="ticket 9", now=NOW + HOUR)
    assert catalogue.alarms.judged_at() == NOW


def test_old_alarms_do_not_pass_for_fresh_ones() -> None:
    assert staleness(NOW, NOW + HOUR) == ""
    assert staleness(NOW + MINUTE, NOW) == ""  # of a clock that is ahead
    assert staleness(NOW, NOW + HOUR + MINUTE).startswith("Alarms were last judged 1 h 01 min ago: ")
    assert staleness(None, NOW).startswith("Alarms were never judged")


def test_a_person_takes_on_all_of_an_alarm_at_once(catalogue: Catalogue) -> None:
    cameras = tuple(replace(well().cameras[0], slug=f"camera-{number}", last_end=NOW - 2 * DAY) for number in range(3))
    evaluate(estate(), catalogue, well(cameras=cameras), now=NOW)
    own = {"by": "ada", "reason": "the switch", "now": NOW + MINUTE}
    assert len(acknowledge(estate(), catalogue, "camera_silent", "acme/camera-1", **own)) == 1
    taken = acknowledge(estate(), catalogue, "camera_silent", None, **own)
    assert [state.subject for state in taken] == ["acme/camera-0", "acme/camera-2"]
    assert {state.state for state in catalogue.alarms.up()} == {"acknowledged"}
    with pytest.raises(RequestRefused, match="does not fire"):
        acknowledge(estate(), catalogue, "camera_silent", None, **own)
