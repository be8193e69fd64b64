"""The daily report: one HTML file that says whether footage is safe, what it costs, and what needs a decision.

It holds all that it shows: no script, no picture or style from elsewhere. So it can be mailed, kept and printed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape

from reelkeeper.catalogue.alarms import ToldEvent
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.quality import QualityRun
from reelkeeper.catalogue.rollout import RolloutStep
from reelkeeper.errors import RequestRefused
from reelkeeper.model import CameraId, Key
from reelkeeper.policy.alarm_states import AlarmState
from reelkeeper.policy.forecast import HISTORY_DAYS, forecast, month_bill
from reelkeeper.policy.ramp import RampDecision
from reelkeeper.ramp import propose, standstill
from reelkeeper.reporting import charts, cost_charts, coverage_chart, daily_summary, daily_tables
from reelkeeper.reporting.alarm_readings import silent_cameras
from reelkeeper.reporting.alarms import definitions
from reelkeeper.reporting.costing import cost_days
from reelkeeper.reporting.drawing import Chart, palette_css
from reelkeeper.reporting.figures import CameraDay, Figures, TransferTotals, UsageDay
from reelkeeper.reporting.gathering import camera_days, first_days, gather, transfer_hours, usage_days, usage_of
from reelkeeper.reporting.page.safety import safety
from reelkeeper.reporting.rounds import catalogue_began, priced_alike
from reelkeeper.reports import publish
from reelkeeper.settings import Estate
from reelkeeper.stores.body import Body
from reelkeeper.stores.protocols import Writes
from reelkeeper.stores.retry import retrying
from reelkeeper.wording import counted

JOB = "report_estate"
"""The DAG that writes the report; it stands in the report's key."""
_DAY = timedelta(days=1)
_FORECAST_DAYS = 30
_FAILURE_DAYS = 7
_STEPS_SHOWN = 400  # decisions: a year of a daily ramp
_EVENTS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class DailyData:
    """All that a report is made of. Histories end before `until`; all else is as it is at `figures.now`."""

    day: date
    until: datetime
    figures: Figures
    usage: Sequence[UsageDay] = ()
    cameras: Sequence[CameraDay] = ()
    began: Mapping[CameraId, date] = field(default_factory=dict)  # the first day that there is footage of, by camera
    transfers: Mapping[datetime, Sequence[TransferTotals]] = field(default_factory=dict)  # by the hour
    steps: Sequence[RolloutStep] = ()
    alarms: Sequence[AlarmState] = ()
    events: Sequence[ToldEvent] = ()
    quality: QualityRun | None = None
    proposal: RampDecision | None = None  # what the ramp would decide now; None: there is no ramp
    judged_at: datetime | None = None  # when alarms were last judged; None: never
    catalogue_began: date | None = None  # None: no store was set up from it

    @property
    def first_day(self) -> date:
        """The first day of the histories."""
        return self.last_day - HISTORY_DAYS * _DAY

    @property
    def last_day(self) -> date:
        """The last day of the histories: of today, what has passed of it."""
        return (self.until - timedelta(microseconds=1)).date()

    @property
    def whole_day(self) -> date:
        """The last day that the histories hold from its first instant to its last."""
        return self.until.date() - _DAY


@dataclass(frozen=True, slots=True)
class DailyPage:
    """A report as HTML, and what it says first, for logs."""

    html: str
    summary: str
    decisions: int  # things that wait for a person


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """A report in its store."""

    key: Key
    size_bytes: int
    page: DailyPage


def write_report(estate: Estate, catalogue: Catalogue, store: Writes, *, day: date, now: datetime) -> WrittenReport:
    """Write the report of a day into the store that keeps exports.

    Nothing is overwritten: a report that is written again becomes the day's next one. Errors of the catalogue and of
    the store. Without price lists that can be read it says so in place of costs.
    """
    page = render(estate, collect(estate, catalogue, day=day, now=now))
    body = Body.of_bytes(page.html.encode())
    return WrittenReport(publish(store, f"{JOB}/{day:%Y-%m-%d}/{estate.name}", "html", body), body.size_bytes, page)


def collect(estate: Estate, catalogue: Catalogue, *, day: date, now: datetime) -> DailyData:
    """What the report of a day is made of, read from the catalogue's summaries. Its histories end with the day, or
    `now` where that is before. RequestRefused for a day to come."""
    if day > (today := now.astimezone(UTC).date()):
        raise RequestRefused(f"day is {day}: expected none after today, {today}")
    until = min(now.astimezone(UTC), datetime.combine(day + _DAY, time(), UTC))
    figures = gather(estate, catalogue, now=now)
    bare = DailyData(day, until, figures)
    span = (bare.first_day, bare.last_day)
    may_propose = standstill(estate) is None
    return DailyData(
        day,
        until,
        figures,
        usage=_usage(estate, catalogue, bare),
        cameras=camera_days(catalogue, *span),
        began=first_days(catalogue),
        transfers=transfer_hours(catalogue, until - _FAILURE_DAYS * _DAY, until),
        steps=retrying()(catalogue.rollout.history, _STEPS_SHOWN),
        alarms=retrying()(catalogue.alarms.up),
        judged_at=retrying()(catalogue.alarms.judged_at),
        catalogue_began=catalogue_began(catalogue),
        events=retrying()(catalogue.alarms.history, _EVENTS_SHOWN),
        quality=retrying()(catalogue.quality.latest, "check_catalogue"),
        proposal=propose(estate, catalogue, now=now).decision if may_propose else None,
    )


def _usage(estate: Estate, catalogue: Catalogue, data: DailyData) -> list[UsageDay]:
    """The history of what stores hold. Today's is that of the figures, not of the round before: a page that tells a
    thing twice tells it alike."""
    kept = usage_days(catalogue, data.first_day, data.last_day)
    today = data.figures.now.date()
    if data.last_day < today:
        return kept
    return [*(one for one in kept if one.day < today), *usage_of(estate, data.figures)]


def render(estate: Estate, data: DailyData) -> DailyPage:
    """The report's page."""
    figures, now = data.figures, data.figures.now
    costs = cost_days(estate, data.usage)
    measured = [(each.day, each.usd) for each in costs]
    days = {each.day for each in priced_alike(data.usage)}
    alike = [each for each in measured if each[0] in days]
    ahead = _ahead(alike, data.last_day)
    safe = safety(figures, data.quality)
    cost = daily_summary.cost_summary(
        figures,
        costs,
        ahead=ahead[-1] if ahead else None,
        month_bill=month_bill(measured, data.last_day, began=data.catalogue_began, trend=alike),
        budget=estate.alarms.budget_usd,
    )
    decisions = daily_summary.decisions(
        figures, data.alarms, definitions(estate), judged_at=data.judged_at, proposal=data.proposal,
        quality=data.quality, now=now,
    )  # fmt: skip
    html = _template().render(
        estate=estate.name,
        day=data.day,
        now=now,
        until=data.until,
        palette=palette_css(),
        safety=safe,
        cost=cost,
        decisions=decisions,
        charts=[
            *_charts(estate, data),
            cost_charts.savings([] if figures.costs_trouble else costs),
            cost_charts.cost_forecast(measured, ahead, budget=estate.alarms.budget_usd),
        ],
        tables=[*_tables(estate, data)],
        quality_page=_beside(data.quality.docs_path) if data.quality and data.quality.docs_path else None,
    )
    waits = counted(len(decisions), "thing needs", "things need")
    return DailyPage(html, f"{safe.sentence} {cost.sentence} {waits} a decision.", len(decisions))


def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("reelkeeper.reporting"), autoescape=select_autoescape(default=True),
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["unbroken"] = _unbroken
    return environment.get_template("daily.html")


def _unbroken(text: str) -> str:
    """A sentence in which no figure is parted from its unit at the end of a line."""
    return re.sub(r"(?<=\d) (?=%|USD\b|[KMGTP]?i?B\b)", "\N{NO-BREAK SPACE}", text)


def _ahead(measured: Sequence[tuple[date, float]], today: date) -> list[tuple[date, float]]:
    """What is expected of each day to come, as metrics and alarms expect it; empty when the history is too short."""
    recent = [(day, cost) for day, cost in measured if day > today - HISTORY_DAYS * _DAY]
    last = max((day for day, _ in recent), default=None)
    if last is None:
        return []
    days = [last + number * _DAY for number in range(1, (today - last).days + _FORECAST_DAYS + 1)]
    return [(day, expected) for day in days if (expected := forecast(recent, day)) is not None]


def _charts(estate: Estate, data: DailyData) -> Iterator[Chart]:
    moment = min(data.figures.now, data.until)
    yield charts.bytes_by_tier(data.usage)
    yield charts.migration_ramp(data.steps, now=data.figures.now)
    yield charts.failure_rate(
        charts.failure_hours(data.transfers), limit=estate.alarms.max_failure_ratio, until=data.until,
        days=_FAILURE_DAYS,
    )  # fmt: skip
    coverage = coverage_chart.camera_coverage(
        data.figures.cameras, data.cameras, data.began, first=data.first_day, now=moment
    )
    yield coverage_chart.coverage_map(coverage, first=data.first_day)


def _tables(estate: Estate, data: DailyData) -> Iterator[daily_tables.Table]:
    figures, day = data.figures, data.whole_day
    on_day = [
        total for hour, totals in data.transfers.items() if hour.astimezone(UTC).date() == day for total in totals
    ]
    silent = silent_cameras(estate, figures, figures.now)
    yield daily_tables.stores_table(figures)
    yield daily_tables.cameras_table(figures.cameras, data.cameras, data.began, silent, day=day, now=figures.now)
    yield daily_tables.transfers_table(on_day, day)
    yield daily_tables.alarms_table(data.events)
    yield daily_tables.quality_table(data.quality)
    yield daily_tables.exports_table(figures)
    yield daily_tables.retrievals_table(figures)
    yield daily_tables.deletions_table(figures)


def _beside(key: str) -> str:
    """Another report as this one leads to it: `reports/{job}/{day}/…`, whether both are in the store, served, or
    copied into folders."""
    return f"../../{quote(key.removeprefix('reports/'))}"
