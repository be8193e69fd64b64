"""What one round of metrics tells: the figures of the moment, and what days and alarms add to them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.model import CameraId, utc
from reelkeeper.policy.alarm_states import AlarmState
from reelkeeper.policy.alarms import ALARM_NAMES, alarms
from reelkeeper.policy.forecast import HISTORY_DAYS, forecast, horizons, month_bill
from reelkeeper.reporting.alarm_readings import silent_cameras, terms
from reelkeeper.reporting.figures import Figures, UsageDay
from reelkeeper.reporting.gathering import camera_days, gather, recorded_before, usage_days
from reelkeeper.settings import Estate
from reelkeeper.stores.retry import retrying

ALARM_STATES = ("pending", "firing", "acknowledged")


@dataclass(frozen=True, slots=True)
class Round:
    """All that metrics are made of, at `figures.now`."""

    figures: Figures
    recorded_seconds: Mapping[CameraId, float] = field(default_factory=dict)
    """How much of the last whole UTC day each camera recorded; a camera that is missing recorded nothing."""
    recorded_before: frozenset[CameraId] = frozenset()
    """The cameras that have footage of an earlier day: of them alone that day is expected."""
    forecast_bytes: Mapping[str, float] = field(default_factory=dict)
    """Of all stores, on the days of `policy.forecast.horizons`; empty where the history is too short."""
    forecast_usd: Mapping[str, float] = field(default_factory=dict)
    """What all holdings will cost in a month, in US dollars, on the same days."""
    month_bill_usd: float | None = None
    """What storage costs in this calendar month, as far as it is known and forecast; None: no price is known."""
    alarms: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """How many subjects an alarm has in a state, by its name and the state, for each name and state there is."""
    store_alarms: Mapping[tuple[str, str], bool] = field(default_factory=dict)
    """Whether an alarm fires for a store, acknowledged or not, by the names of the store and of the alarm: of each of
    the estate's stores, each alarm that stores have."""
    silent_cameras: int | None = None  # None: nobody watches
    alarms_judged_at: datetime | None = None  # None: never


def take_round(estate: Estate, catalogue: Catalogue, *, now: datetime) -> Round:
    """Read all of it as it is at this moment; changes nothing. As `gather`."""
    today = utc(now).date()
    yesterday = today - timedelta(days=1)
    figures = gather(estate, catalogue, now=now)
    usage = usage_days(catalogue, _first_day(today), today)
    of_bytes, of_usd, alike = _bytes_by_day(usage), _usd_by_day(usage), _usd_by_day(priced_alike(usage))
    up = retrying()(catalogue.alarms.up)
    return Round(
        figures,
        recorded_seconds={day.camera_id: day.recorded_seconds for day in camera_days(catalogue, yesterday, yesterday)},
        recorded_before=recorded_before(catalogue, yesterday),
        forecast_bytes=_ahead(of_bytes, today),
        forecast_usd=_ahead(alike, today),
        month_bill_usd=month_bill(of_usd, today, began=catalogue_began(catalogue), trend=alike),
        alarms=_counted(up),
        store_alarms=_of_stores(estate, up),
        silent_cameras=None if "camera_silent" in estate.alarms.off else len(silent_cameras(estate, figures, now)),
        alarms_judged_at=retrying()(catalogue.alarms.judged_at),
    )


def catalogue_began(catalogue: Catalogue) -> date | None:
    """The UTC day of the first set-up of a store from the catalogue: before it nothing was held. None without any."""
    identity = retrying()(catalogue.identity.find)
    return utc(identity.made_at).date() if identity else None


def forecast_cost(catalogue: Catalogue, *, today: date, days: int) -> float | None:
    """What storage will cost in a month, in US dollars, so many days from now; None: the history is too short."""
    history = _usd_by_day(priced_alike(usage_days(catalogue, _first_day(today), today)))
    return forecast(_recent(history, today), today + timedelta(days=days))


def priced_alike(usage: Sequence[UsageDay]) -> list[UsageDay]:
    """What forecasts of costs go by: the days on which nothing had a price that has none on the last day with prices,
    nor the other way round. A price that becomes known is no growth."""

    def is_priced(each: UsageDay) -> bool:
        return each.monthly_usd is not None

    last = max((each.day for each in usage if is_priced(each)), default=None)
    now = {(each.store, each.tier): is_priced(each) for each in usage if each.day == last}
    unlike = {each.day for each in usage if now.get((each.store, each.tier), is_priced(each)) != is_priced(each)}
    return [each for each in usage if each.day not in unlike]


def _ahead(history: list[tuple[date, float]], today: date) -> dict[str, float]:
    recent = _recent(history, today)
    found = {name: forecast(recent, day) for name, day in horizons(today).items()}
    return {name: figure for name, figure in found.items() if figure is not None}


def _first_day(today: date) -> date:
    """Of the history that forecasts and this month's bill need."""
    return min(today.replace(day=1), today - timedelta(days=HISTORY_DAYS - 1))


def _recent(history: list[tuple[date, float]], today: date) -> list[tuple[date, float]]:
    return [(day, figure) for day, figure in history if day > today - timedelta(days=HISTORY_DAYS)]


def _bytes_by_day(usage: Iterable[UsageDay]) -> list[tuple[date, float]]:
    sums: Counter[date] = Counter()
    for each in usage:
        sums[each.day] += each.size_bytes
    return sorted(sums.items())


def _usd_by_day(usage: Iterable[UsageDay]) -> list[tuple[date, float]]:
    """Of the stores of which the price is known."""
    sums: dict[date, float] = {}
    for each in usage:
        if each.monthly_usd is not None:
            sums[each.day] = sums.get(each.day, 0.0) + float(each.monthly_usd)
    return sorted(sums.items())


def _counted(up: Iterable[AlarmState]) -> dict[tuple[str, str], int]:
    counts = Counter((str(alarm.name), str(alarm.state)) for alarm in up)
    return {(name, state): counts[name, state] for name in ALARM_NAMES for state in ALARM_STATES}


def _of_stores(estate: Estate, up: Iterable[AlarmState]) -> dict[tuple[str, str], bool]:
    firing = {(alarm.subject, str(alarm.name)) for alarm in up if alarm.state != "pending"}
    names = [name for name, alarm in alarms(terms(estate)).items() if alarm.per == "store"]
    return {(store.name, name): (store.name, name) in firing for store in estate.stores for name in names}
