"""docs/metrics.md, written from the lists of metrics, so that it cannot go stale."""

from reelkeeper.reporting.cloudwatch import CLOUD_METRICS
from reelkeeper.reporting.metrics import METRICS

_HEAD = """\
# The metrics

<!-- Written by `reelkeeper metrics reference`; a test fails when it is stale. -->

How they are published is in [operations.md](operations.md#metrics).

## Prometheus

Counters count since ever, from history in the catalogue: a restart loses nothing. They fall only where
`recount_tallies` had to correct them downwards, which its run says. Of cameras and tenants beyond `metrics.cameras` and
`metrics.tenants` of estate.toml one series is made, with `other` in the place of their names.
`error_code` is the code of one of our own errors, or `other`. `backend` and `store` are a store's name in estate.toml.

| Metric | Kind | Labels | What it says |
|---|---|---|---|
"""
_CLOUD = """
## CloudWatch

In the namespace `metrics.cloudwatch_namespace`. One that counts tells what came since the last round: take its sum. The
others tell how things stand: take their maximum. They are sent when they change, and once an hour. In the first round
nothing is counted yet.

| Metric | Unit | Dimension | Counts | What it says |
|---|---|---|---|---|
"""


def metrics_reference() -> str:
    """The whole page, Markdown."""
    rows = [
        f"| `{metric.name}` | {metric.kind} | {', '.join(f'`{label}`' for label in metric.labels)} | {metric.help} |\n"
        for metric in METRICS
    ]
    cloud_rows = [
        f"| `{metric.name}` | {metric.unit} | {f'`{metric.dimension}`' if metric.dimension else ''} | "
        f"{'yes' if metric.counts else ''} | {metric.help} |\n"
        for metric in CLOUD_METRICS
    ]
    return "".join([_HEAD, *rows, _CLOUD, *cloud_rows])
