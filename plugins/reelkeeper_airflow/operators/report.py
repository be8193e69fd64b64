"""The tasks that report: take stock, publish metrics, write the daily report."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context

from reelkeeper_airflow.assets import METRICS
from reelkeeper_airflow.estate import current_estate, open_catalogue

if TYPE_CHECKING:
    from reelkeeper.reporting.rounds import Round
    from reelkeeper.settings import Metrics

_STATE = "cloudwatch"


class TakeStockOperator(BaseOperator):
    """Folds what was counted since the last round into the tallies that figures are read from, and keeps what stores
    hold as that of this day: history is made of it. Returns counts.

    Figures are right without it, too, and take longer the more there is to be folded.
    """

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.reporting.gathering import take_stock

        with open_catalogue() as catalogue:
            figures = take_stock(current_estate(), catalogue, now=datetime.now(UTC))
        return {
            "stores": len(figures.stores),
            "cameras": len(figures.cameras),
            "replicas": sum(usage.replicas for usage in figures.usage),
            "unprotected_segments": figures.unprotected_segments,
        }


class PublishMetricsOperator(BaseOperator):
    """Reads the estate's figures and publishes them by all the ways that `[metrics] publish` names.

    Prometheus reads them by itself at `/reelkeeper/metrics`. One way that fails hinders no other, and fails the task
    after the others. Returns how many series there are, and how many values CloudWatch was told.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(inlets=[METRICS], **kwargs)  # an outlet would be an event every 15 minutes

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.reporting.metric_samples import Limits
        from reelkeeper.reporting.metrics import registry_of
        from reelkeeper.reporting.publishing import publish_by_all, push, write_textfile
        from reelkeeper.reporting.rounds import take_round

        estate = current_estate()
        settings = estate.metrics
        with open_catalogue() as catalogue:
            taken = take_round(estate, catalogue, now=datetime.now(UTC))
        registry = registry_of(taken, Limits(settings.cameras, settings.tenants))
        counts = {"series": sum(len(family.samples) for family in registry.collect()), "cloudwatch": 0}

        def to_cloudwatch() -> None:
            counts["cloudwatch"] = _to_cloudwatch(settings, taken, context)

        ways: dict[str, Callable[[], None]] = {"airflow": lambda: _to_airflow(taken), "cloudwatch": to_cloudwatch}
        if (url := settings.pushgateway_url) is not None:
            ways["pushgateway"] = lambda: push(registry, url, estate=estate.name)
        if (path := settings.textfile) is not None:
            ways["textfile"] = lambda: write_textfile(registry, path)
        publish_by_all({way: ways[way] for way in settings.publish if way in ways})
        return counts


def _to_cloudwatch(settings: "Metrics", taken: "Round", context: Context) -> int:
    """What changed since the last round, by what Airflow keeps of that: it outlives the run and its worker."""
    from reelkeeper.reporting.cloudwatch import Published, publish_to_cloudwatch
    from reelkeeper_airflow.hooks.cloudwatch import CloudWatchHook

    state = context["asset_state_store"][METRICS]
    kept: Any = state.get(_STATE, {})
    published: Published = {key: (value, at) for key, (value, at) in kept.items()}
    client = CloudWatchHook(settings.cloudwatch_connection, region_name=settings.cloudwatch_region).metrics_client()
    try:
        return publish_to_cloudwatch(client, settings.cloudwatch_namespace, taken, published)
    finally:
        state.set(_STATE, {key: list(value) for key, value in published.items()})


def _to_airflow(taken: "Round") -> None:
    """The main figures as gauges of Airflow's own StatsD or OpenTelemetry; nothing where neither is on.

    Sums over the estate, as plain StatsD knows no labels.
    """
    from airflow.sdk.observability import stats

    from reelkeeper.reporting.publishing import main_figures

    for name, value in main_figures(taken).items():
        stats.gauge(f"reelkeeper.{name}", value)
