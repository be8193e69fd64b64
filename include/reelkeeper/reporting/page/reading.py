"""Everything that the page says of an estate, read from the catalogue's summaries: each part by itself.

What one part cannot tell, another can: a part that fails says so, and is no error of the page's.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Generic, TypeVar

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.errors import ReelkeeperError
from reelkeeper.policy.alarm_states import AlarmState
from reelkeeper.reporting.alarms import JUDGE_AGAIN, definitions, staleness
from reelkeeper.reporting.figures import Figures
from reelkeeper.reporting.gathering import camera_days, first_days, gather
from reelkeeper.reporting.page import attention, checks, coverage, exports, holdings, ramp, safety
from reelkeeper.reporting.rounds import forecast_cost
from reelkeeper.reporting.waiting import Decision, findings
from reelkeeper.settings import Estate

log = logging.getLogger(__name__)
T = TypeVar("T")
U = TypeVar("U")

CHECKS_JOB = "check_catalogue"
_DECISIONS, _EXPORTS, _EVENTS = 12, 10, 15


@dataclass(frozen=True)
class Part(Generic[T]):
    """A part of the page, or why it is not there."""

    value: T | None
    trouble: str = ""

    def made_into(self, what: str, make: Callable[[T], U]) -> "Part[U]":
        """A part that is made of this one, or has the same trouble."""
        if self.value is None:
            return Part(None, self.trouble)
        value = self.value
        return tried(what, lambda: make(value))


@dataclass(frozen=True, slots=True)
class Cameras:
    """The cameras that were chosen, and how each is shown."""

    chosen: coverage.CamerasPage
    views: tuple[coverage.CameraView, ...]


@dataclass(frozen=True, slots=True)
class EstateView:
    """What the template lays out. `exports` is None for who may not see any."""

    estate: str
    now: datetime
    safety: Part[safety.Safety]
    cost: Part[holdings.CostView]
    alarms: Part[attention.Alarms]
    findings: Part[tuple[Decision, ...]]
    stores: Part[tuple[holdings.StoreView, ...]]
    ramp: Part[ramp.RampView]
    exports: Part[tuple[exports.ExportView, ...]] | None
    cameras: Part[Cameras]
    check: Part[checks.CheckView | None]
    events: Part[tuple[attention.EventView, ...]]


def tried(what: str, load: Callable[[], T]) -> Part[T]:
    """A part, or why it cannot be told. `what` ends the sentence 'it cannot be told now …'."""
    try:
        return Part(load())
    except ReelkeeperError as exc:
        log.warning("estate page: %s: %s", what, exc)
        return Part(None, f"It cannot be told now {what} ({exc.in_words}). The API server's log says more.")
    except Exception:  # whatever it is, it is this part's alone
        log.exception("estate page: %s", what)
        return Part(None, f"It cannot be told now {what}. The API server's log says why.")


def read_estate(
    estate: Estate, catalogue: Catalogue, *, query: str, number: int, with_exports: bool, now: datetime
) -> EstateView:  # fmt: skip
    """The page's parts; `query` and `number` choose among the cameras. CatalogueUnavailable when there is nothing to
    ask.
    """
    catalogue.identity.find()  # whether it answers at all
    # Several parts tell of the last check, and of the alarms that are up: each is read once.
    last_check, alarms_up = cache(lambda: catalogue.quality.latest(CHECKS_JOB)), cache(catalogue.alarms.up)
    figures = tried("how the estate stands", lambda: gather(estate, catalogue, now=now))
    recent = catalogue.exports.recent
    return EstateView(
        estate=estate.name,
        now=now,
        safety=figures.made_into("whether footage is safe", lambda found: safety.safety(found, last_check())),
        cost=figures.made_into("what storage costs", lambda found: _cost(catalogue, found)),
        alarms=tried("which alarms are up", lambda: _alarms(estate, catalogue, alarms_up(), now)),
        findings=figures.made_into("what was found", lambda found: findings(found, alarms_up(), last_check(), now=now)),
        stores=figures.made_into("how the stores are", holdings.stores),
        ramp=figures.made_into("how far the rollout is", lambda found: _ramp(estate, catalogue, found)),
        exports=tried("which exports there are", lambda: exports.exports(recent(_EXPORTS, now=now), now=now))
        if with_exports
        else None,
        cameras=figures.made_into(
            "how the cameras are", lambda found: _cameras(estate, catalogue, found, query, number)
        ),
        check=tried("what the last check found", lambda: checks.check(last_check(), now=now)),
        events=tried("what became of alarms", lambda: attention.history(catalogue.alarms.history(_EVENTS))),
    )


def _cost(catalogue: Catalogue, figures: Figures) -> holdings.CostView:
    today = figures.now.date()
    return holdings.cost(figures, forecast_cost(catalogue, today=today, days=holdings.FORECAST_DAYS))


def _alarms(estate: Estate, catalogue: Catalogue, states: Sequence[AlarmState], now: datetime) -> attention.Alarms:
    up = attention.alarms_up(states, definitions(estate), now=now)
    return attention.Alarms(up, staleness(catalogue.alarms.judged_at(), now), JUDGE_AGAIN)


def _ramp(estate: Estate, catalogue: Catalogue, figures: Figures) -> ramp.RampView:
    return ramp.ramp(figures.rollout, estate.rollout, catalogue.rollout.history(_DECISIONS), now=figures.now)


def _cameras(estate: Estate, catalogue: Catalogue, figures: Figures, query: str, number: int) -> Cameras:
    silence = coverage.Silence(
        timedelta(hours=estate.alarms.camera_silent_hours), timedelta(days=estate.alarms.camera_forgotten_days)
    )
    chosen = coverage.choose(figures.cameras, query=query, number=number, silence=silence, now=figures.now)
    days = coverage.strip_days(figures.now)
    shown = [camera.id for camera in chosen.cameras]
    found, began = camera_days(catalogue, days[0], days[-1], shown), first_days(catalogue, shown)
    return Cameras(chosen, coverage.views(chosen.cameras, found, began, silence=silence, now=figures.now))
