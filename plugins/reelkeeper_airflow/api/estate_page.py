"""The Estate page: what the person on call wants to know at a glance, for those who may see the runs of
`report_metrics`. Exports are for those who may see the runs of `generate_export`, a question for those who may see it.

It changes nothing. It is read from the catalogue's summaries alone, so that it takes as long for ten million segments
as for ten, and no store that hangs can hold it up. A part that cannot be told says so; without the catalogue nothing
can.
"""

import logging
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.models.dag import DagModel
from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse

from reelkeeper.errors import ReelkeeperError
from reelkeeper.reporting.page import coverage, holdings, reading
from reelkeeper.reports import list_reports
from reelkeeper.wording import ago, size
from reelkeeper_airflow.api.exports import DAG_ID as EXPORTS_DAG
from reelkeeper_airflow.api.questions import open_questions
from reelkeeper_airflow.api.rendering import rendered, unavailable
from reelkeeper_airflow.estate import current_estate, open_catalogue, open_store

DAG_ID = "report_metrics"
log = logging.getLogger(__name__)
router = APIRouter(dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN, DAG_ID))])

_REPORTS = 60


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
            view = reading.read_estate(
                estate, catalogue, query=camera, number=page, with_exports=_may_see_exports(user), now=now
            )
    except ReelkeeperError as exc:
        log.warning("estate page: %s", exc)
        return unavailable(exc)
    return rendered(
        "estate.html", page=view, refreshes=True, strip_days=coverage.STRIP_DAYS,
        forecast_days=holdings.FORECAST_DAYS,
        questions_part=reading.tried("what Airflow's users are asked", lambda: open_questions(user, now=now)),
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
             "at": f"{report.written_at.astimezone(UTC):%Y-%m-%d %H:%M}", "written": ago(report.written_at, now)}
            for report in listed[:_REPORTS]
        ]  # fmt: skip

    part = reading.tried("which reports there are", found)
    return rendered("reports.html", root="../", reports=part.value, trouble=part.trouble)


def _may_see_exports(user: BaseUser) -> bool:
    """As the routes of exports decide."""
    details = DagDetails(id=EXPORTS_DAG, team_name=DagModel.get_team_name(EXPORTS_DAG))
    return get_auth_manager().is_authorized_dag(
        method="GET", access_entity=DagAccessEntity.RUN, details=details, user=user
    )
