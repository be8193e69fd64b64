"""Who may read the metrics over HTTP, in which format, and how often the catalogue is asked for them."""

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep
from uuid import uuid4

import httpx
import psycopg2
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, parser
from prometheus_client.openmetrics import parser as openmetrics

from demo.segments import ingested
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.model import BatchId, Camera, Sha256, StoreName, Tenant, camera_id
from reelkeeper.settings import Estate
from reelkeeper_airflow.api import metrics as api
from reelkeeper_airflow.estate import current_estate

TOKEN = "0123456789abcdef0123456789abcdef"
UNAVAILABLE = (503, "the metrics cannot be read now: catalogue_unavailable\n")
ADDRESS = "http://airflow/reelkeeper/metrics"
pytestmark = pytest.mark.usefixtures("airflow_database")


@pytest.fixture(autouse=True)
def _nothing_read_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_latest", api._Latest())


@pytest.fixture
def scrape_token(monkeypatch: pytest.MonkeyPatch) -> str:
    connection = {"conn_type": "reelkeeper_token", "password": TOKEN}
    monkeypatch.setenv("AIRFLOW_CONN_REELKEEPER_METRICS", json.dumps(connection))
    return TOKEN


@pytest.fixture
def users(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The JWTs of a viewer, and of somebody who has no role."""
    from airflow.api_fastapi.app import get_auth_manager, init_auth_manager, purge_cached_app
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    monkeypatch.setenv(
        "AIRFLOW__API_AUTH__JWT_SECRET", "a secret of sixty-four characters at least, as SHA-512 wants it to be"
    )
    init_auth_manager(FastAPI())
    yield {
        name: get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=name, role=role))
        for name, role in (("viewer", "viewer"), ("stranger", None))
    }
    purge_cached_app()


def ask(headers: dict[str, str] | None = None, cookies: dict[str, str] | None = None) -> httpx.Response:
    from reelkeeper_airflow.api.app import app

    outer = FastAPI()
    outer.mount("/reelkeeper", app)

    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(app=outer)
        async with httpx.AsyncClient(transport=transport, cookies=cookies) as client:
            return await client.get(ADDRESS, headers=headers)

    return asyncio.run(get())


def bearer(token: str, **others: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", **others}


@pytest.mark.usefixtures("estate_file", "scrape_token", "users")
def test_nobody_reads_them_without_a_name() -> None:
    assert ask().status_code == 401
    for wrong in ("x", TOKEN[:-1], TOKEN + "0", TOKEN.upper()):
        assert ask(bearer(wrong)).status_code in (401, 403), wrong
    assert ask({"Authorization": f"Basic {TOKEN}"}).status_code == 401


@pytest.mark.usefixtures("estate")
def test_a_prometheus_reads_them_by_its_token(scrape_token: str) -> None:
    answer = ask(bearer(scrape_token))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in parser.text_string_to_metric_families(answer.text)}
    quiet = {sample.labels["backend"]: sample.value for sample in families["storage_bytes_used"].samples}
    assert quiet == {"local": 0, "cloud": 0}
    answer = ask(bearer(scrape_token, Accept="application/openmetrics-text; version=1.0.0"))
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert {family.name for family in openmetrics.text_string_to_metric_families(answer.text)} == {*families}


@pytest.mark.usefixtures("estate")
def test_who_may_see_the_runs_reads_them_too(users: dict[str, str]) -> None:
    assert ask(bearer(users["viewer"])).status_code == 200
    assert ask(cookies={"_token": users["viewer"]}).status_code == 200
    assert ask(bearer(users["stranger"])).status_code == 403


@pytest.mark.usefixtures("estate_file", "users")
def test_a_token_that_could_be_guessed_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for short in ("", "short"):
        connection = {"conn_type": "reelkeeper_token", "password": short}
        monkeypatch.setenv("AIRFLOW_CONN_REELKEEPER_METRICS", json.dumps(connection))
        assert ask(bearer(short or "x")).status_code in (401, 403)


@pytest.mark.usefixtures("estate", "users")
def test_the_token_may_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    monkeypatch.setenv("REELKEEPER_METRICS_TOKEN_FILE", str(path))
    assert ask(bearer(TOKEN)).status_code == 200


@pytest.mark.usefixtures("estate")
def test_no_counter_is_less_than_a_scrape_ago_whichever_server_answers(
    catalogue: Catalogue, scrape_token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two API servers, each with a reading of its own: to Prometheus a counter that falls was begun anew."""
    servers = [api._Latest(), api._Latest()]
    camera = Camera(camera_id(Tenant("acme"), "gate"), Tenant("acme"), "gate", "Gate")
    catalogue.cameras.upsert([camera])
    seen = []
    for scrape, server in enumerate((0, 1, 0, 0, 1, 0)):
        start = datetime(2026, 1, 1, scrape, tzinfo=UTC)
        catalogue.segments.record(
            BatchId(uuid4()),
            [ingested(camera, start, timedelta(minutes=1), store=StoreName("local"), size_bytes=1,
                      checksum=Sha256(f"{scrape:064}"), with_history=True)],
        )  # fmt: skip
        monkeypatch.setattr(api, "_latest", servers[server])
        seen.append(sum(
            sample.value
            for family in parser.text_string_to_metric_families(ask(bearer(scrape_token)).text)
            for sample in family.samples if sample.name == "storage_segments_stored_total"
        ))  # fmt: skip
    assert seen == [1, 2, 3, 4, 5, 6]


@pytest.mark.usefixtures("estate")
def test_those_who_ask_during_a_reading_share_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    latest, began, goes_on = api._Latest(), threading.Semaphore(0), threading.Semaphore(0)
    readings: list[CollectorRegistry] = []

    def read(_: Estate) -> CollectorRegistry:
        readings.append(CollectorRegistry())
        began.release()
        assert goes_on.acquire(timeout=10)
        return readings[-1]

    monkeypatch.setattr(api, "_read", read)
    asked = threading.Semaphore(0)

    def ask_for_it() -> CollectorRegistry:
        asked.release()
        return latest.registry(current_estate())

    with ThreadPoolExecutor(6) as threads:
        first = threads.submit(ask_for_it)
        assert began.acquire(timeout=10)
        others = [threads.submit(ask_for_it) for _ in range(5)]
        for _ in range(6):
            assert asked.acquire(timeout=10)
        sleep(0.1)  # the last of them asks a moment after it said so
        goes_on.release(2)
        assert first.result() is readings[0]
        assert {id(other.result()) for other in others} == {id(readings[1])}
    assert len(readings) == 2


def test_an_estate_that_publishes_none_has_none(estate_file: Path, scrape_token: str) -> None:
    estate_file.write_text(estate_file.read_text() + '[metrics]\npublish = ["airflow"]\n')
    assert ask(bearer(scrape_token)).status_code == 404


def test_wrong_settings_are_told_key_by_key(users: dict[str, str], scrape_token: str, estate_file: Path) -> None:
    estate_file.write_text(f"{estate_file.read_text()}[metrics]\ncameras = 'all'\n")
    for allowed in (users["viewer"], scrape_token):
        answer = ask(bearer(allowed))
        assert (answer.status_code, answer.headers["content-type"]) == (503, "text/plain; charset=utf-8")
        assert answer.text == (
            "the metrics cannot be read now: configuration\n"
            "metrics.cameras is 'all': expected a valid integer (from estate.toml)\n"
        )
    assert ask(bearer(TOKEN[:-1])).status_code == 403
    assert ask().status_code == 401


@pytest.mark.usefixtures("estate_file")
def test_without_its_catalogue_it_says_so(scrape_token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_REELKEEPER_CATALOGUE", "postgresql://somebody:secret-word@127.0.0.1:9/nothing")
    answer = ask(bearer(scrape_token))
    assert (answer.status_code, answer.text) == UNAVAILABLE


@pytest.mark.usefixtures("estate_file")
def test_while_the_catalogue_does_not_answer_it_is_asked_once_for_all(
    scrape_token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def connect() -> None:
        tries.append(monotonic())
        raise psycopg2.OperationalError("timeout expired")

    monkeypatch.setattr("reelkeeper_airflow.estate.connect_to_catalogue", connect)
    for _ in range(3):
        answer = ask(bearer(scrape_token))
        assert (answer.status_code, answer.text) == UNAVAILABLE
    assert len(tries) == 1
    monkeypatch.setattr(api, "FAILURE_SECONDS", 0.0)
    monkeypatch.setattr(api, "_latest", api._Latest())
    for _ in range(2):
        assert ask(bearer(scrape_token)).status_code == 503
    assert len(tries) == 3


@pytest.mark.usefixtures("estate")
def test_who_asks_while_a_reading_does_not_end_is_told_so(scrape_token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "WAIT_SECONDS", 0.05)
    with api._latest._lock:
        answer = ask(bearer(scrape_token))
    assert (answer.status_code, answer.text) == UNAVAILABLE
    assert ask(bearer(scrape_token)).status_code == 200


@pytest.mark.usefixtures("estate")
def test_a_reading_that_waits_for_a_lock_ends(
    catalogue_dsn: str, scrape_token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "STATEMENT_SECONDS", 0.1)
    monkeypatch.setattr(api, "FAILURE_SECONDS", 0.0)
    with closing(psycopg2.connect(catalogue_dsn)) as other:
        with other.cursor() as cursor:
            cursor.execute("LOCK TABLE reelkeeper.cameras IN ACCESS EXCLUSIVE MODE")
        answer = ask(bearer(scrape_token))
        assert (answer.status_code, answer.text) == UNAVAILABLE
        other.rollback()
        monkeypatch.setattr(api, "STATEMENT_SECONDS", 60.0)
        assert ask(bearer(scrape_token)).status_code == 200


@pytest.mark.usefixtures("estate")
def test_a_format_that_nobody_knows_is_answered_in_text(scrape_token: str) -> None:
    answer = ask(bearer(scrape_token, Accept="application/openmetrics-text; version=abc"))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
