"""The Estate page: what the person on call wants to know at a glance, for those who may see the runs of
`report_metrics`. Exports are for those who may see the runs of `generate_export`, a question for those who may see it.

It changes nothing. It is read from the catalogue's summaries alone, so that it takes as long for ten million segments
as for ten, and no store that hangs can hold it up. A part that cannot be told says so; without the catalogue nothing
can.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Generic, TypeVar
from urllib.parse import quote

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.models.dag import DagModel
from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.errors import CatalogueUnavailable, ReelkeeperError
from reelkeeper.reporting.alarms import definitions
from reelkeeper.reporting.figures import Figures
from reelkeeper.reporting.gathering import camera_days, gather, usage_days
from reelkeeper.reporting.page import attention, checks, coverage, exports, holdings, ramp, safety
from reelkeeper.reports import list_reports
from reelkeeper.settings import Estate
from reelkeeper.wording import ago, size
from reelkeeper_airflow.api.exports import DAG_ID as EXPORTS_DAG
from reelkeeper_airflow.api.questions import Questions, open_questions
from reelkeeper_airflow.estate import current_estate, open_catalogue, open_store

DAG_ID = "report_metrics"
_CHECKS_DAG = "check_catalogue"
STATIC = Path(__file__).with_name("static")
log = logging.getLogger(__name__)
router = APIRouter(dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN, DAG_ID))])

_DECISIONS, _EXPORTS, _EVENTS, _REPORTS = 12, 10, 15, 60
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'self'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_pages = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("pages")), autoescape=True, undefined=StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip
_VERSION = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(STATIC.iterdir()))).hexdigest()[:12]
"""Of what the page loads: a browser keeps that until it changes."""


T = TypeVar("T")
U = TypeVar("U")


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
        return _tried(what, lambda: make(value))


@dataclass(frozen=True, slots=True)
class Cameras:
    """The cameras that were chosen, and how each is shown."""

    chosen: coverage.CamerasPage
    views: tuple[coverage.CameraView, ...]


@dataclass(frozen=True, slots=True)
class EstateView:
    """All that the template lays out. `exports` is None for who may not see any."""

    estate: str
    now: datetime
    safety: Part[safety.Safety]
    cost: Part[holdings.CostView]
    questions: Part[Questions]
    alarms: Part[tuple[attention.AlarmView, ...]]
    stores: Part[tuple[holdings.StoreView, ...]]
    ramp: Part[ramp.RampView]
    exports: Part[tuple[exports.ExportView, ...]] | None
    cameras: Part[Cameras]
    check: Part[checks.CheckView | None]
    events: Part[tuple[attention.EventView, ...]]


@router.get("/estate")
def read_estate(
    user: GetUserDep,
    camera: Annotated[str, Query(max_length=100)] = "",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> HTMLResponse:
    """The page; `camera` and `page` choose among the cameras. 503 while the catalogue does not answer."""
    now = datetime.now(UTC)
    try:
        estate = current_estate()
        with open_catalogue() as catalogue:
            catalogue.identity.find()  # whether it answers at all
            view = _view(estate, catalogue, user, query=camera, number=page, now=now)
    except CatalogueUnavailable as exc:
        log.warning("estate page: %s", exc)
        return _unavailable(
            "The catalogue does not answer: nothing can be said about footage now.",
            "What is stored is not touched by that. 'reelkeeper doctor' tells what is wrong.",
        )
    except ReelkeeperError as exc:
        log.warning("estate page: %s", exc)
        return _unavailable(
            "The estate is not set up as expected: nothing can be said about footage now.",
            "What is stored is not touched by that. 'reelkeeper doctor' tells what is wrong.",
        )
    return _rendered(
        "estate.html", page=view, static="static/", refreshes=True, strip_days=coverage.STRIP_DAYS,
        forecast_days=holdings.FORECAST_DAYS,
    )  # fmt: skip


@router.get("/estate/reports")
def read_reports() -> HTMLResponse:
    """The daily reports, by the day. The exports store is asked for them, so that they have a page of their own."""
    now = datetime.now(UTC)

    def found() -> list[dict[str, str]]:
        from reelkeeper.reporting.daily import JOB  # what writes them: the page alone does without

        listed = list_reports(open_store(current_estate().placement.exports_in), JOB)
        return [
            {"path": quote(report.key), "day": f"{report.day}", "size": size(report.size_bytes),
             "written": ago(report.written_at, now)}
            for report in listed[:_REPORTS]
        ]  # fmt: skip

    part = _tried("which reports there are", found)
    return _rendered(
        "reports.html", reports=part.value, trouble=part.trouble, static="../static/", refreshes=False
    )  # fmt: skip


def _view(
    estate: Estate, catalogue: Catalogue, user: BaseUser, *, query: str, number: int, now: datetime
) -> EstateView:  # fmt: skip
    """Each part by itself: what one cannot tell, another can."""
    figures = _tried("how the estate stands", lambda: gather(estate, catalogue, now=now))
    defined = definitions(estate)
    silence = coverage.Silence(
        timedelta(hours=estate.alarms.camera_silent_hours), timedelta(days=estate.alarms.camera_forgotten_days)
    )

    def cameras(figures: Figures) -> Cameras:
        chosen = coverage.choose(figures.cameras, query=query, number=number, silence=silence, now=now)
        days = coverage.strip_days(now)
        found = camera_days(catalogue, days[0], days[-1], [camera.id for camera in chosen.cameras])
        return Cameras(chosen, coverage.views(chosen.cameras, found, silence=silence, now=now))

    def cost(figures: Figures) -> holdings.CostView:
        first = now.date() - timedelta(days=holdings.FORECAST_DAYS)
        return holdings.cost(figures, usage_days(catalogue, first, now.date()))

    return EstateView(
        estate.name,
        now,
        figures.made_into("whether footage is safe", safety.safety),
        figures.made_into("what storage costs", cost),
        _tried("what Airflow's users are asked", lambda: open_questions(user, now=now)),
        _tried("which alarms are up", lambda: attention.alarms_up(catalogue.alarms.up(), defined, now=now)),
        figures.made_into("how the stores are", holdings.stores),
        figures.made_into(
            "how far the rollout is",
            lambda found: ramp.ramp(found.rollout, estate.rollout, catalogue.rollout.history(_DECISIONS), now=now),
        ),
        _tried("which exports there are", lambda: exports.exports(catalogue.exports.recent(_EXPORTS, now=now), now=now))
        if _may_see_exports(user)
        else None,
        figures.made_into("how the cameras are", cameras),
        _tried("what the last check found", lambda: checks.check(catalogue.quality.latest(_CHECKS_DAG), now=now)),
        _tried("what became of alarms", lambda: attention.history(catalogue.alarms.history(_EVENTS))),
    )


def _may_see_exports(user: BaseUser) -> bool:
    """As the routes of exports decide."""
    details = DagDetails(id=EXPORTS_DAG, team_name=DagModel.get_team_name(EXPORTS_DAG))
    return get_auth_manager().is_authorized_dag(
        method="GET", access_entity=DagAccessEntity.RUN, details=details, user=user
    )


def _tried(what: str, load: Callable[[], T]) -> Part[T]:
    """A part, or why it cannot be told."""
    try:
        return Part(load())
    except ReelkeeperError as exc:
        log.warning("estate page: %s: %s", what, exc)
        return Part(None, f"It cannot be told now {what} ({exc.in_words}). The API server's log says more.")
    except Exception:  # whatever it is, it is this part's alone
        log.exception("estate page: %s", what)
        return Part(None, f"It cannot be told now {what}. The API server's log says why.")


def _rendered(template: str, *, status: int = 200, **values: object) -> HTMLResponse:
    return HTMLResponse(_pages.get_template(template).render(version=_VERSION, **values), status, _HEADERS)


def _unavailable(sentence: str, what_to_do: str) -> HTMLResponse:
    return _rendered(
        "unavailable.html", status=503, sentence=sentence, what_to_do=what_to_do, static="static/", refreshes=True
    )  # fmt: skip
