"""`reelkeeper metrics`: what Prometheus would read."""

import click


@click.group()
def metrics() -> None:
    """The estate's metrics."""


@metrics.command(
    short_help="Print the metrics as they are now.",
    epilog="\b\nExample:\n  reelkeeper metrics show | grep alarms",
)
@click.option("--openmetrics", is_flag=True, help="In OpenMetrics' format rather than Prometheus' own.")
def show(openmetrics: bool) -> None:
    """Print the metrics as they are now, as Prometheus would read them."""
    from datetime import UTC, datetime

    from reelkeeper.catalogue.catalogue import Catalogue
    from reelkeeper.reporting.metric_samples import Limits
    from reelkeeper.reporting.metrics import registry_of
    from reelkeeper.reporting.publishing import exposition
    from reelkeeper.reporting.rounds import take_round
    from reelkeeper_airflow.cli.connections import connect_to_catalogue, log_to_stderr
    from reelkeeper_airflow.estate import current_estate

    log_to_stderr()
    estate = current_estate()
    with Catalogue(connect_to_catalogue, schema=estate.catalogue.db_schema) as catalogue:
        taken = take_round(estate, catalogue, now=datetime.now(UTC))
    registry = registry_of(taken, Limits(estate.metrics.cameras, estate.metrics.tenants))
    text, _ = exposition(registry, "application/openmetrics-text; version=1.0.0" if openmetrics else "")
    click.echo(text, nl=False)


@metrics.command(short_help="Print docs/metrics.md.")
def reference() -> None:
    """Print docs/metrics.md: every metric, as this version knows them."""
    from reelkeeper.reporting.metrics_reference import metrics_reference

    click.echo(metrics_reference(), nl=False)
