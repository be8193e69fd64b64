"""`GET /reelkeeper/metrics`: the estate's metrics as Prometheus reads them.

For a Prometheus that shows the token of connection `metrics.scrape_connection`, and for those who may see the runs of
`report_metrics`. They are read from the catalogue's summaries whenever somebody asks, which takes a moment. Those who
ask meanwhile share the next reading, and nobody is answered from one that began before they asked: so no counter is
less than it was a scrape ago, whichever API server answers; Prometheus would take that for a restart. While the
catalogue does not answer, they are told so soon: the threads that they would wait in are those that serve all of
Airflow.
"""

import logging
import threading
from datetime import UTC, datetime
from time import monotonic
from typing import Annotated

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import bearer_scheme, get_user, requires_access_dag
from airflow.sdk.exceptions import AirflowNotFoundException
from fastapi import APIRouter, Depends, Header, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials
from prometheus_client import CollectorRegistry
from starlette.concurrency import run_in_threadpool

from reelkeeper.errors import CatalogueUnavailable, ReelkeeperError
from reelkeeper.reporting.metric_samples import Limits
from reelkeeper.reporting.metrics import registry_of
from reelkeeper.reporting.publishing import exposition
from reelkeeper.reporting.rounds import take_round
from reelkeeper.settings import Estate, InvalidEstate, Metrics
from reelkeeper.stores.retry import without_retries
from reelkeeper_airflow.api.rendering import wrong_settings
from reelkeeper_airflow.estate import current_estate, open_catalogue
from reelkeeper_airflow.hooks.tokens import TokenHook

DAG_ID = "report_metrics"
WAIT_SECONDS = 2.0
"""How long somebody waits for a reading that another one has begun."""
STATEMENT_SECONDS = 60.0
"""What one query of a reading may take: one that waits for a lock must not keep a thread for ever."""
FAILURE_SECONDS = 30.0
"""How long a failed reading is told again."""
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_may_see_runs = requires_access_dag("GET", DagAccessEntity.RUN, DAG_ID)
log = logging.getLogger(__name__)


async def _may_read(
    request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer_scheme)]
) -> None:
    """The scrape token, or else whoever Airflow lets see the runs: 401 for nobody, 403 for the others."""
    if bearer is not None and await run_in_threadpool(_is_scrape_token, bearer.credentials):
        return
    user = await get_user(request, None, bearer)
    await run_in_threadpool(_may_see_runs, request, user)


router = APIRouter(dependencies=[Depends(_may_read)])


@router.get("/metrics")
def read_metrics(accept: Annotated[str, Header()] = "") -> Response:
    """The metrics, as text or OpenMetrics. 404 where the estate publishes none, 503 and why, as
    text, when they cannot be read.
    """
    try:
        estate = current_estate()
        if "prometheus" not in estate.metrics.publish:
            raise HTTPException(404, "metrics.publish of estate.toml lacks 'prometheus'")
        text, content_type = exposition(_latest.registry(estate), accept)
    except ReelkeeperError as exc:
        log.warning("the metrics cannot be read now: %s", exc)
        lines = [f"the metrics cannot be read now: {exc.code}", *wrong_settings(exc)]
        return Response("\n".join(lines) + "\n", 503, _HEADERS, "text/plain")
    return Response(text, media_type=content_type, headers=_HEADERS)


def _is_scrape_token(given: str) -> bool:
    """Without a connection, or with one that holds no token, nothing is. While the settings are wrong, the usual
    connection's is: a Prometheus is told that, and not that its token were.
    """
    try:
        return TokenHook(_scrape_connection()).is_token(given)
    except AirflowNotFoundException:
        return False
    except ReelkeeperError as exc:
        log.warning("nobody can read the metrics by a token: %s", exc)
        return False


def _scrape_connection() -> str:
    try:
        return current_estate().metrics.scrape_connection
    except InvalidEstate:
        return Metrics().scrape_connection


class _Latest:
    """The last reading, or how it failed. Those who ask while one is made wait a little, and share the next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read: tuple[Estate, float, CollectorRegistry | ReelkeeperError] | None = None

    def registry(self, estate: Estate) -> CollectorRegistry:
        """CatalogueUnavailable when somebody else's reading does not end; errors as `take_round`."""
        asked_at = monotonic()
        if not self._lock.acquire(timeout=WAIT_SECONDS):
            raise CatalogueUnavailable(f"the reading under way has not ended for {WAIT_SECONDS:g} s")
        try:
            found = self._kept(estate, asked_at)
            if found is None:
                shared_until = monotonic()
                found = _read(estate)
                if isinstance(found, ReelkeeperError):
                    shared_until = monotonic() + FAILURE_SECONDS
                self._read = (estate, shared_until, found)
        finally:
            self._lock.release()
        if isinstance(found, ReelkeeperError):
            raise found.with_traceback(None)
        return found

    def _kept(self, estate: Estate, asked_at: float) -> CollectorRegistry | ReelkeeperError | None:
        if self._read is None:
            return None
        of, shared_until, found = self._read
        return found if of is estate and asked_at <= shared_until else None


def _read(estate: Estate) -> CollectorRegistry | ReelkeeperError:
    """One try: Prometheus asks again soon."""
    try:
        with without_retries(), open_catalogue(statement_seconds=STATEMENT_SECONDS) as catalogue:
            taken = take_round(estate, catalogue, now=datetime.now(UTC))
        return registry_of(taken, Limits(estate.metrics.cameras, estate.metrics.tenants))
    except ReelkeeperError as exc:
        return exc


_latest = _Latest()
