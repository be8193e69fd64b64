"""`[metrics]`, `[alarms]` and `[daily_report]`: how people see the estate, and are told of it."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from reelkeeper.policy.alarms import AlarmName
from reelkeeper.settings.sections.section import Section
from reelkeeper.settings.values import MailAddress, Money, Name, Ratio, Seconds, WebBase, Whole

_USUAL_CHANNEL = {
    "smtp": "smtp_default", "slack": "slack_default", "sns": "aws_default", "webhook": "http_default",
}  # fmt: skip


class Metrics(Section):
    """Where metrics go. docs/metrics.md lists them; docs/operations.md says how a Prometheus reads them."""

    publish: tuple[Literal["prometheus", "pushgateway", "textfile", "cloudwatch", "airflow"], ...] = (
        "prometheus", "airflow",
    )  # fmt: skip
    """prometheus: the API server answers GET /reelkeeper/metrics. pushgateway, textfile, cloudwatch: `report_metrics`
    sends or writes them every 15 minutes. airflow: it gives the main ones to Airflow's own StatsD or OpenTelemetry,
    where that is on."""
    scrape_connection: str = "reelkeeper_metrics"
    """Airflow connection id, of type reelkeeper_token: the token by which a Prometheus reads the metrics. Without it
    only those may who see the runs of `report_metrics`."""
    pushgateway_url: WebBase | None = None
    """Address of a Prometheus Pushgateway."""
    textfile: Path | None = None
    """File for node_exporter's textfile collector, absolute, ending in .prom; its folder must be there."""
    cloudwatch_namespace: Annotated[str, Field(pattern=r"^[A-Za-z0-9.\-_/#:]{1,255}$")] = "SPARC/VideoStorage"
    """CloudWatch's namespace. Two estates in one account need two. Those that begin with AWS/ are Amazon's."""
    cloudwatch_region: str = ""
    """Where the metrics are kept; by default the connection's region, or else us-east-1."""
    cloudwatch_connection: str = "aws_default"
    """Airflow connection id, of type aws. It needs the right cloudwatch:PutMetricData."""
    queue: str | None = None
    """Worker queue of the task that publishes: that of the machine whose node_exporter reads `textfile`, say."""
    cameras: Annotated[Whole, Field(ge=0, le=100_000)] = 500
    """How many cameras have series of their own in Prometheus; those beyond are counted together, as "other"."""
    tenants: Annotated[Whole, Field(ge=0, le=10_000)] = 50
    """How many tenants have series of their own."""

    @model_validator(mode="after")
    def _has_what_it_publishes_to(self) -> Self:
        for way, key in (("pushgateway", "pushgateway_url"), ("textfile", "textfile")):
            if way in self.publish and getattr(self, key) is None:
                raise ValueError(f"expected {key!r} with {way!r} in 'publish'")
        if self.cloudwatch_namespace.startswith("AWS/"):
            raise ValueError(f"expected a 'cloudwatch_namespace' of your own; got {self.cloudwatch_namespace!r}")
        if self.textfile is not None and (not self.textfile.is_absolute() or self.textfile.suffix != ".prom"):
            raise ValueError(f"expected an absolute 'textfile' that ends in .prom; got {str(self.textfile)!r}")
        return self


class DailyReport(Section):
    """The page that `report_estate` writes each day. retention.report_days says how long it is kept."""

    hour: Annotated[Whole, Field(ge=0, le=23)] = 7
    """The UTC hour at which it is written: after the night's jobs, and after `check_catalogue`."""


class AlarmChannel(Section):
    """Who is told of alarms, and by what: an Airflow connection has the address of its server, and its secrets."""

    name: Name
    """What the catalogue calls it. Under a new name nobody is told again of what fires already."""
    kind: Literal["smtp", "slack", "sns", "webhook"]
    """smtp: mail. slack: an incoming webhook of Slack. sns: a topic of Amazon SNS. webhook: a POST of JSON."""
    connection: str = ""
    """Airflow connection id; by default the kind's usual one: smtp_default, slack_default, aws_default or
    http_default."""
    to: tuple[MailAddress, ...] = ()
    """Whom mail is for."""
    sender: MailAddress | None = None
    """From whom mail is; by default as the connection says (`from_email`)."""
    topic: Annotated[str, Field(pattern=r"^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]+$")] | None = None
    """ARN of the SNS topic."""
    path: str = ""
    """What follows the connection's address in a webhook's URL. It is no secret: a token belongs in the connection."""
    least: Literal["warning", "critical"] = "warning"
    """warning: every alarm. critical: only what cannot wait."""

    @model_validator(mode="after")
    def _fits_kind(self) -> Self:
        needed = {"smtp": "to", "sns": "topic"}.get(self.kind)
        if needed and not getattr(self, needed):
            raise ValueError(f"expected {needed!r} for a channel of kind {self.kind!r}")
        others = {"to": "smtp", "sender": "smtp", "topic": "sns", "path": "webhook"}
        if alien := [key for key, kind in others.items() if kind != self.kind and getattr(self, key)]:
            raise ValueError(f"a channel of kind {self.kind!r} has no {' or '.join(map(repr, alien))}")
        if not self.connection:
            object.__setattr__(self, "connection", _USUAL_CHANNEL[self.kind])
        return self


class Alarms(Section):
    """What is wrong enough to tell people, and whom. docs/operations.md says what each alarm means."""

    off: tuple[AlarmName, ...] = ()
    """Alarms that are not watched."""
    notify: tuple[AlarmChannel, ...] = ()
    """Who is told, each an `[[alarms.notify]]` table. Empty: nobody; they are on the Estate page all the same."""
    watch_minutes: Annotated[Whole, Field(ge=5, le=1440)] = 20
    """Over how long before a round uploads are looked at: more than the time between two rounds."""
    window_minutes: Annotated[Whole, Field(gt=0, le=1440)] = 5
    """Over how long a share of failures is measured; the worst such window of the time above counts."""
    max_failure_ratio: Ratio = 0.05
    """Share of a window's uploads to a store that may fail: 0.05 means 5 %."""
    min_transfers: Annotated[Whole, Field(gt=0)] = 20
    """Fewer uploads than this in a window say nothing of failures, and fewer in all nothing of times."""
    max_upload_seconds: Annotated[Seconds, Field(gt=0)] = 30
    """Mean time that an upload to a store may take."""
    budget_usd: Annotated[Money, Field(gt=0)] | None = None
    """What storage may cost a month, now or as forecast for 30 days from now; left out, there is no budget."""
    unverified_days: Annotated[Whole, Field(gt=0)] = 45
    """How long ago the copy that waits longest may have been proved to be good: more than verification.cycle_days."""
    camera_silent_hours: Annotated[Whole, Field(gt=0)] = 24
    """How long a camera may be without footage. Count the time in which footage comes in."""
    camera_forgotten_days: Annotated[Whole, Field(gt=0)] = 30
    """A camera that is silent for so long counts as out of service: its alarm is over."""
    recover_minutes: Annotated[Whole, Field(ge=0, le=1440)] = 30
    """How long all must be well again before an alarm is over."""
    remind_hours: Annotated[Whole, Field(ge=0)] = 24
    """After how long people are told again of a critical alarm that nobody has acknowledged; 0: never."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        names = [channel.name for channel in self.notify]
        if len(set(names)) != len(names):
            raise ValueError(f"expected another 'name' for each channel of 'notify'; got {names}")
        hours, days = self.camera_silent_hours, self.camera_forgotten_days
        if hours >= 24 * days:
            raise ValueError(
                f"expected 'camera_silent_hours' below 'camera_forgotten_days'; got {hours} hours and {days} days"
            )
        window, watch = self.window_minutes, self.watch_minutes
        if window > watch:
            raise ValueError(f"expected 'window_minutes' not above 'watch_minutes'; got {window} and {watch}")
        return self
