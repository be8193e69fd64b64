"""Alarms reach people: a mail server, Slack's and other webhooks on loopback, and SNS with a queue behind the topic."""

import email
import email.policy
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import boto3
import pytest
from aiosmtpd.controller import Controller

from demo.processes import free_ports
from demo.servers import S3Server
from reelkeeper.errors import ConfigurationError, NotificationFailed
from reelkeeper.estate_setup import setup_estate
from reelkeeper.model import StoreName
from reelkeeper.policy.alarm_states import AlarmEvent
from reelkeeper.policy.alarms import AlarmTerms, alarms
from reelkeeper.reporting.alarm_messages import Message
from reelkeeper.settings import AlarmChannel
from reelkeeper.stores.protocols import Owner
from reelkeeper_airflow import notifying
from reelkeeper_airflow.estate import connect_to_catalogue, current_estate, open_store
from reelkeeper_airflow.notifying import check_channel, tell
from reelkeeper_airflow.operators.alarms import EvaluateAlarmsOperator, LookAtStoresOperator, TellOfAlarmsOperator

ALARMS = alarms(AlarmTerms(0.05, 30, 100, 45, 24, recover=timedelta(minutes=30)))
EVENT = AlarmEvent(
    UUID(int=7), "store_unreachable", "cloud", "fired", "critical", datetime(2026, 3, 1, tzinfo=UTC), 1.0, 0.0,
    "unreachable: <store_timeout> & {{ var.value.secret }}",
)  # fmt: skip
MESSAGE = Message("harbour", (EVENT,), ALARMS)


class Mailbox:
    """What a mail server was given."""

    def __init__(self) -> None:
        self.envelopes: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        return "250 accepted"


class Web(ThreadingHTTPServer):
    """Keeps what is posted to it; `status` is its answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posts: list[tuple[str, dict[str, str], Any]] = []
        self.status = 200


class _Handler(BaseHTTPRequestHandler):
    server: Web

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append((self.path, dict(self.headers.items()), json.loads(body)))
        answer = b"ok" if self.server.status == 200 else b"no"
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Nothing on the tests' output."""


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch):
    """Defines an Airflow connection."""

    def define(name: str, **facts: Any) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(facts))

    return define


def test_by_mail(connect) -> None:
    box = Mailbox()
    with free_ports(1) as (port,):
        server = Controller(box, hostname="127.0.0.1", port=port)
        server.start()
        try:
            extra = {"disable_ssl": True, "disable_tls": True, "from_email": "estate@example.org"}
            connect("smtp_default", conn_type="smtp", host="127.0.0.1", port=port, extra=extra)
            tell(AlarmChannel(name="people", kind="smtp", to=("ada@example.org", "bob@example.org")), MESSAGE)
        finally:
            server.stop()
    (envelope,) = box.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("estate@example.org", ["ada@example.org", "bob@example.org"])
    mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert mail["Subject"] == "CRITICAL: harbour alarms: 1 firing: store_unreachable"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_all("Message-ID") == [f"<{MESSAGE.id}@harbour.reelkeeper>"]
    body = mail.get_body()
    assert body is not None
    shown = body.get_content()
    assert "unreachable: &lt;store_timeout&gt; &amp; {{ var.value.secret }}" in shown  # as it is: no template


def test_by_slack(connect, web: Web) -> None:
    connect("slack_default", conn_type="slackwebhook", password=f"http://127.0.0.1:{web.server_port}/services/T0/B0/x")
    tell(AlarmChannel(name="ops", kind="slack"), MESSAGE)
    ((path, _, body),) = web.posts
    assert path == "/services/T0/B0/x"
    assert body["text"].startswith("*CRITICAL: harbour alarms: 1 firing: store_unreachable*\nFIRING: store_unreachable")
    assert "&lt;store_timeout&gt; &amp; {{ var.value.secret }}" in body["text"]


def test_by_webhook(connect, web: Web) -> None:
    connect("http_default", conn_type="http", host="127.0.0.1", port=web.server_port, login="reelkeeper",
            password="a-password", extra={"X-Estate": "harbour"})  # fmt: skip
    tell(AlarmChannel(name="pager", kind="webhook", path="/hooks/alarms"), MESSAGE)
    ((path, headers, body),) = web.posts
    assert path == "/hooks/alarms"
    assert headers["X-Estate"] == "harbour"
    assert headers["Authorization"].startswith("Basic ")
    assert headers["Content-Type"] == "application/json"
    assert body == MESSAGE.json


@pytest.mark.parametrize(("kind", "status"), [("webhook", 500), ("webhook", 404), ("slack", 403)])
def test_what_a_server_refuses_was_not_told(connect, web: Web, kind: Any, status: int) -> None:
    address = f"http://127.0.0.1:{web.server_port}/services/x"
    connect("http_default", conn_type="http", host=address)
    connect("slack_default", conn_type="slackwebhook", password=address)
    web.status = status
    with pytest.raises(Exception, match=str(status)):
        tell(AlarmChannel(name="pager", kind=kind), MESSAGE)


def test_by_sns_into_a_queue(connect, moto: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    region = "eu-central-1"
    access: Any = {"endpoint_url": moto.endpoint_url, "region_name": region, "aws_access_key_id": "key",
                   "aws_secret_access_key": "secret"}  # fmt: skip
    sns, sqs = boto3.client("sns", **access), boto3.client("sqs", **access)
    name = f"alarms-{uuid4().hex}"
    topic = sns.create_topic(Name=name)["TopicArn"]
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    connect("aws_default", conn_type="aws", login="key", password="secret", extra={"endpoint_url": moto.endpoint_url})
    tell(AlarmChannel(name="aws", kind="sns", topic=topic), MESSAGE)
    (received,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=2)["Messages"]
    told = json.loads(received["Body"])
    assert told["Subject"] == "CRITICAL: harbour alarms: 1 firing: store_unreachable"
    assert told["Message"] == MESSAGE.text
    assert told["MessageAttributes"]["severity"]["Value"] == "critical"
    assert json.loads(told["MessageAttributes"]["event_ids"]["Value"]) == [str(UUID(int=7))]


def test_the_doctor_says_what_a_channel_lacks(connect, monkeypatch: pytest.MonkeyPatch) -> None:
    mail = AlarmChannel(name="people", kind="smtp", to=("ada@example.org",))
    missing = check_channel(mail)
    assert not missing.ok
    assert "'smtp_default' is not defined" in missing.detail
    assert "airflow connections add smtp_default --conn-type smtp" in missing.cure
    connect("smtp_default", conn_type="smtp", host="127.0.0.1")
    assert check_channel(mail).ok
    assert check_channel(AlarmChannel(name="aws", kind="sns", topic="arn:aws:sns:eu-west-1:123456789012:alarms")).ok

    monkeypatch.setattr(notifying, "find_spec", lambda name: None)
    slack = AlarmChannel(name="ops", kind="slack")
    assert "reelkeeper[slack]" in check_channel(slack).cure
    with pytest.raises(ConfigurationError, match=r"expected the extra 'reelkeeper\[slack\]'"):
        tell(slack, MESSAGE)


def test_the_tasks_of_a_round_tell_and_fail_where_they_cannot(
    estate: Path, estate_file: Path, connect, web: Web
) -> None:  # fmt: skip
    """A store becomes another catalogue's: it is seen, judged and told, though the first try meets a server that
    refuses."""
    estate_file.write_text(
        estate_file.read_text()
        + '[[alarms.notify]]\nname = "pager"\nkind = "webhook"\n'
        + '[[alarms.notify]]\nname = "chat"\nkind = "slack"\n'
    )
    connect("http_default", conn_type="http", host="127.0.0.1", port=web.server_port)
    connect("slack_default", conn_type="slackwebhook", password=f"http://127.0.0.1:{web.server_port}/slack")
    context: Any = {}
    look = LookAtStoresOperator(task_id="look")
    evaluate, tell_people = EvaluateAlarmsOperator(task_id="alarms"), TellOfAlarmsOperator(task_id="tell")

    assert look.execute(context) == {"healthy": 0, "unreachable": 0, "foreign": 0, "unknown": 2}
    list(setup_estate(current_estate(), connect=connect_to_catalogue, open_store=open_store, now=datetime.now(UTC)))
    assert look.execute(context) == {"healthy": 2, "unreachable": 0, "foreign": 0, "unknown": 0}
    quiet = {"up": 0, "pending": 0, "fired": 0, "reminded": 0, "recovered": 0}
    assert evaluate.execute(context) == quiet
    assert tell_people.execute(context) == {"sent": 0}

    list(open_store("local").set_up(Owner(StoreName("local"), uuid4(), "another.catalogue"), take_over=True))
    only = LookAtStoresOperator(task_id="look_again", stores=["local"])
    assert only.execute(context) == {"healthy": 0, "unreachable": 0, "foreign": 1, "unknown": 0}
    assert evaluate.execute(context) == quiet | {"up": 1, "fired": 1}
    web.status = 500
    with pytest.raises(NotificationFailed, match="pager"):
        tell_people.execute(context)
    web.posts.clear()
    web.status = 200
    assert tell_people.execute(context) == {"sent": 2}
    assert sorted(path for path, _, _ in web.posts) == ["/", "/slack"]
    (told,) = (body["events"] for path, _, body in web.posts if path == "/")
    assert [(event["alarm"], event["subject"], event["kind"]) for event in told] == [
        ("store_not_ours", "local", "fired")
    ]
    web.posts.clear()
    assert evaluate.execute(context) == quiet | {"up": 1}
    assert tell_people.execute(context) == {"sent": 0}
    assert web.posts == []
