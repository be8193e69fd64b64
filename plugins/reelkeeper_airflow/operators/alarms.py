"""The tasks of a round of alarms: look at the stores, hold what is measured against what was, tell people."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowNotFoundException

from reelkeeper.errors import CredentialsNotFound, NotificationFailed
from reelkeeper_airflow.estate import current_estate, open_catalogue, open_store

if TYPE_CHECKING:
    from reelkeeper.reporting.alarm_messages import Message
    from reelkeeper.settings import AlarmChannel
    from reelkeeper.stores.protocols import Store


FORECAST_DAYS = 30
"""How far ahead the budget is looked at."""


class LookAtStoresOperator(BaseOperator):
    """Looks once at each store that this worker sees: does it answer, and is it ours? Returns counts by state.

    A store that is not well is no failure of the task: it is what the task is to find out. It takes seconds, however
    many stores do not answer.

    :param stores: names in estate.toml; None: all of them. Stores of a queue are for a task of that queue
    """

    template_fields: Sequence[str] = ("stores",)

    def __init__(self, *, stores: Sequence[str] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stores = stores

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.reporting.store_health import look_at_stores

        with open_catalogue() as catalogue:
            looks = look_at_stores(current_estate(), catalogue, _open, now=datetime.now(UTC), stores=self.stores)
        for look in looks:
            tell = self.log.info if look.state == "healthy" else self.log.warning
            tell("store %r is %s%s", look.store, look.state, f": {look.reason}" if look.reason else "")
        states = ("healthy", "unreachable", "foreign", "unknown")
        return {state: sum(look.state == state for look in looks) for state in states}


def _open(name: str) -> "Store":
    """The store. CredentialsNotFound when Airflow has no connection for it: that is what the look found, no bug."""
    try:
        return open_store(name)
    except AirflowNotFoundException as exc:
        raise CredentialsNotFound(f"store {name!r}: its Airflow connection is not defined") from exc


class EvaluateAlarmsOperator(BaseOperator):
    """Judges what the alarms measure, and records what comes of it and what people are to be told. Returns counts."""

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.reporting.alarms import evaluate
        from reelkeeper.reporting.gathering import gather
        from reelkeeper.reporting.rounds import forecast_cost

        estate, now = current_estate(), datetime.now(UTC)
        with open_catalogue() as catalogue:
            figures = gather(estate, catalogue, now=now)
            ahead = forecast_cost(catalogue, today=now.date(), days=FORECAST_DAYS)
            found = evaluate(estate, catalogue, figures, now=now, forecast_usd=ahead)
        for event in found.events:
            tell = self.log.info if event.kind == "recovered" else self.log.warning
            tell("%s: %s %s: %s", event.kind, event.name, event.subject, event.detail)
        return {
            "up": len(found.up),
            "pending": found.pending,
            "fired": found.count("fired"),
            "reminded": found.count("reminded"),
            "recovered": found.count("recovered"),
        }


class TellOfAlarmsOperator(BaseOperator):
    """Tells people of alarms, by the channels of estate.toml. Returns how many events were sent.

    What a channel could not be told fails the task after all others were told, and is sent by its next try, or by the
    next round: NotificationFailed.
    """

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.reporting.alarms import send_waiting

        with open_catalogue() as catalogue:
            sending = send_waiting(current_estate(), catalogue, self._tell, now=lambda: datetime.now(UTC))
        if sending.failures:
            raise NotificationFailed(
                f"not told of alarms, each with its error: {sending.failures!r}; the log says more"
            )
        return {"sent": sum(sending.sent.values())}

    def _tell(self, channel: "AlarmChannel", message: "Message") -> None:
        from reelkeeper_airflow.notifying import tell

        tell(channel, message)
        self.log.info("channel %r was told of %d events", channel.name, len(message.events))
