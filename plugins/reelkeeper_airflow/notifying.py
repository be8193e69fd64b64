"""People are told of alarms by Airflow's own notifiers: mail, Slack, Amazon SNS, or any webhook.

Addresses and secrets of servers are the Airflow connection's that the channel names. The notifiers are called as they
are, without rendering: what an alarm says is no template.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow.sdk import BaseNotifier
from airflow.sdk.exceptions import AirflowNotFoundException

from reelkeeper.errors import ConfigurationError, CredentialsNotFound
from reelkeeper.settings import AlarmChannel
from reelkeeper.stores.protocols import Check

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from reelkeeper.reporting.alarm_messages import Message

WAIT_SECONDS = 20
"""How long a server may take to accept a message."""


def tell(channel: AlarmChannel, message: "Message") -> None:
    """Tell one channel. Raises whatever the notifier does; ConfigurationError without what it needs."""
    _NOTIFIERS[channel.kind](channel, message).notify({})  # without a task's context: nothing is rendered


def check_channel(channel: AlarmChannel) -> Check:
    """Whether a channel has what it needs: its provider, its connection. Nothing is sent."""
    what = f"alarms to {channel.name}: connection {channel.connection}"
    try:
        _require_provider(channel)
        _connection(channel)
    except (ConfigurationError, CredentialsNotFound) as exc:
        if channel.kind == "sns" and isinstance(exc, CredentialsNotFound):
            return Check(what, True, "not defined: the machine's own role is used")
        return Check(what, False, str(exc), _cure(channel))
    return Check(
        what, True, f"{channel.kind}, {channel.least} and above" if channel.least == "warning" else channel.kind
    )


def _smtp(channel: AlarmChannel, message: "Message") -> BaseNotifier:
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    return SmtpNotifier(
        smtp_conn_id=channel.connection,
        to=list(channel.to),
        from_email=channel.sender,
        subject=message.subject,
        html_content=message.html,
        custom_headers={
            "Auto-Submitted": "auto-generated",
            "Message-ID": f"<{message.id}@{message.estate}.reelkeeper>",  # a mail that comes twice is known by it
        },
    )


def _slack(channel: AlarmChannel, message: "Message") -> BaseNotifier:
    _require_provider(channel)
    from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

    text = message.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")  # Slack's three characters
    return SlackWebhookNotifier(
        slack_webhook_conn_id=channel.connection,
        text=f"*{message.subject}*\n{text}",
        unfurl_links=False,
        timeout=WAIT_SECONDS,
    )


def _sns(channel: AlarmChannel, message: "Message") -> BaseNotifier:
    from airflow.providers.amazon.aws.hooks.sns import SnsHook
    from airflow.providers.amazon.aws.notifications.sns import SnsNotifier
    from botocore.config import Config

    topic = str(channel.topic)
    region = topic.split(":")[3]
    notifier = SnsNotifier(
        aws_conn_id=channel.connection,
        target_arn=topic,
        region_name=region,
        subject=message.subject,
        message=message.text,
        message_attributes={
            "estate": message.estate,
            "severity": message.severity,
            "event_ids": [str(event.id) for event in message.events],
        },
    )
    # Amazon's own patience, five tries of a minute, would keep the other channels waiting.
    patience = Config(connect_timeout=5, read_timeout=WAIT_SECONDS, retries={"total_max_attempts": 2})
    notifier.hook = SnsHook(  # type: ignore[no-untyped-call]
        aws_conn_id=channel.connection, region_name=region, config=patience
    )
    return notifier


def _webhook(channel: AlarmChannel, message: "Message") -> BaseNotifier:
    from airflow.providers.http.notifications.http import HttpNotifier
    from airflow.sdk.log import mask_secret

    address = _connection(channel).host or ""
    if path := urlsplit(address).path.strip("/"):
        mask_secret(path)  # of some services it is the secret
    return HttpNotifier(
        http_conn_id=channel.connection,
        endpoint=channel.path or None,
        json=message.json,
        extra_options={"timeout": WAIT_SECONDS},
    )


_NOTIFIERS: dict[str, Callable[[AlarmChannel, "Message"], BaseNotifier]] = {
    "smtp": _smtp, "slack": _slack, "sns": _sns, "webhook": _webhook,
}  # fmt: skip


def _require_provider(channel: AlarmChannel) -> None:
    if channel.kind == "slack" and find_spec("airflow.providers.slack") is None:
        raise ConfigurationError(
            f"channel {channel.name!r} is of kind 'slack', and its provider is not installed: expected the extra "
            "'reelkeeper[slack]', or apache-airflow-providers-slack"
        )


def _connection(channel: AlarmChannel) -> "Connection":
    from airflow.sdk import BaseHook

    try:
        return BaseHook.get_connection(channel.connection)
    except AirflowNotFoundException as exc:
        raise CredentialsNotFound(f"Airflow connection {channel.connection!r} is not defined") from exc


def _cure(channel: AlarmChannel) -> str:
    if channel.kind == "slack" and find_spec("airflow.providers.slack") is None:
        return "pip install 'reelkeeper[slack]'"
    kind = {"smtp": "smtp", "slack": "slackwebhook", "sns": "aws", "webhook": "http"}[channel.kind]
    return (
        "define it: in the UI under Admin → Connections, or by 'airflow connections add "
        f"{channel.connection} --conn-type {kind} …'"
    )
