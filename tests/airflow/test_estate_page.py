"""The Estate page on Airflow's own API server, over HTTP and in a real browser; each test has its own catalogue."""

import asyncio
import json
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import psycopg2
import pytest
import uvicorn
from sqlalchemy.exc import OperationalError

from demo.segments import ingested
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.export_records import Asked, Completion, ExportFile
from reelkeeper.catalogue.store_health import Look
from reelkeeper.errors import RequestRefused
from reelkeeper.model import BatchId, Camera, Key, Sha256, StoreName, Tenant, TimeRange, camera_id
from reelkeeper.policy.alarm_states import AlarmState
from reelkeeper.policy.alarms import AlarmName, Reading
from reelkeeper.policy.exports import ExportRequest
from reelkeeper.reports import publish
from reelkeeper.stores.body import Body
from reelkeeper_airflow.estate import open_store
from tests.airflow.conftest import Ask
from tests.browser import BROWSER, Tab, browser

USERS = {"ada": "admin", "vera": "viewer"}
ACME = Tenant("acme")
NOW = datetime.now(UTC).replace(microsecond=0)
MIDNIGHT = NOW.replace(hour=0, minute=0, second=0)
HOSTILE = "<img src=x onerror=alert(1)>"
PARTS = (
    "safety",
    "cost",
    "waiting",
    "share",
    "attention",
    "stores",
    "rollout",
    "exports",
    "cameras",
    "checks",
    "history",
)


@dataclass(frozen=True)
class Server:
    """Airflow's API server, and its users' tokens."""

    url: str
    tokens: dict[str, str]

    @property
    def page(self) -> str:
        return f"{self.url}/reelkeeper/estate"

    def ask(
        self, user: str | None = "ada", path: str = "", *, accept: str = "*/*", **params: str | int
    ) -> httpx.Response:  # fmt: skip
        headers = {"Accept": accept} | ({"Authorization": f"Bearer {self.tokens[user]}"} if user else {})
        with httpx.Client(trust_env=False, timeout=60) as client:
            return client.get(f"{self.page}{path}", params=params, headers=headers)


@pytest.fixture(scope="module")
def server(airflow_database: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("api")
        passwords = folder / "passwords.json"
        passwords.write_text(json.dumps({name: f"{name}-secret" for name in USERS}))
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", ",".join(f"{n}:{r}" for n, r in USERS.items()))
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE", str(passwords))
        patch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "a secret " * 10)
        patch.setenv("AIRFLOW__API__SECRET_KEY", "a secret of thirty-two characters")

        from airflow.api_fastapi.app import create_app, purge_cached_app

        purge_cached_app()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Airflow's own libraries', as it starts
            app = create_app(apps="core")
        running = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", ws="none"))
        thread = threading.Thread(target=lambda: asyncio.run(running.serve()))
        thread.start()
        while not running.started:
            assert thread.is_alive()
            thread.join(0.01)
        try:
            host, port = running.servers[0].sockets[0].getsockname()
            url = f"http://{host}:{port}"
            yield Server(url, {name: _token(url, name) for name in USERS})
        finally:
            running.should_exit = True
            thread.join()
            purge_cached_app()


def _token(url: str, user: str) -> str:
    with httpx.Client(trust_env=False, timeout=60) as client:
        answer = client.post(f"{url}/auth/token", json={"username": user, "password": f"{user}-secret"})
    assert answer.status_code == httpx.codes.CREATED, answer.text
    token: str = answer.json()["access_token"]
    return token


@pytest.fixture(name="known")
def _known(estate_file: Path, catalogue: Catalogue, catalogue_dsn: str, monkeypatch: pytest.MonkeyPatch) -> Catalogue:
    """An estate that is counted by hand: two cameras, five segments, two stores, one of which does not answer."""
    database = urlsplit(catalogue_dsn)
    connection = {
        "conn_type": "postgres", "host": database.hostname, "port": database.port, "login": database.username,
        "password": database.password, "schema": database.path.removeprefix("/"),
    }  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_REELKEEPER_CATALOGUE", json.dumps(connection))
    priced = 'quota = "1 MiB"\n[stores.tiers]\nHOT = { usd_per_gb_month = 1024 }'
    settings = estate_file.read_text().replace('bucket = "test-bucket"', f'bucket = "test-bucket"\n{priced}')
    estate_file.write_text(settings.replace("[placement]", '[placement]\nexport_store = "local"'))
    gate, yard = (Camera(camera_id(ACME, slug), ACME, slug, name)
                  for slug, name in (("gate", "Gate"), ("yard", HOSTILE)))  # fmt: skip
    catalogue.cameras.upsert([gate, yard])
    recorded = [(gate, MIDNIGHT - timedelta(hours=24 - 8 * number), 8) for number in range(3)]  # all of yesterday
    recorded += [(gate, MIDNIGHT - timedelta(hours=36), 6), (yard, MIDNIGHT - timedelta(days=3), 12)]
    for store in (StoreName("local"), StoreName("cloud")):
        made = [
            ingested(camera, start, timedelta(hours=hours), store=store, size_bytes=262_144,
                     checksum=Sha256(sha256(str(start).encode()).hexdigest()), path=f"{store}/{camera.slug}/{start}")
            for camera, start, hours in recorded[: None if store == "local" else 2]
        ]  # fmt: skip
        catalogue.segments.record(BatchId(uuid4()), made)
    catalogue.store_health.record([Look(StoreName("local"), "healthy", None, NOW - timedelta(minutes=2))])
    catalogue.store_health.record(
        [Look(StoreName("cloud"), "unreachable", "store_timeout", NOW - timedelta(minutes=30))]
    )
    catalogue.alarms.save(
        [alarm("camera_silent", "acme/yard", HOSTILE), alarm("store_unreachable", "cloud", "no answer")]
    )
    catalogue.alarms.keep_well([Reading("unprotected_footage", "", 0, 0, "0 segments")], now=NOW)
    return catalogue


def alarm(name: AlarmName, subject: str, detail: str) -> AlarmState:
    since = NOW - timedelta(minutes=30)
    return AlarmState(name, subject, "firing", since, None, 1.0, 0.0, detail, since, since, None, None, NOW)


def export(catalogue: Catalogue, reason: str = "case 7") -> UUID:
    """One of an hour of the gate, just asked for."""
    asked = Asked(uuid4(), ACME, "manual__1", {}, "ada")
    when = TimeRange(MIDNIGHT - timedelta(hours=2), MIDNIGHT - timedelta(hours=1))
    request = ExportRequest(("gate",), when, reason, "mara")
    assert catalogue.exports.accept(asked, request, [camera_id(ACME, "gate")], StoreName("local"), now=NOW)
    return asked.id


def words(page: httpx.Response, part: str) -> str:
    """What a part of the page says, in one line."""
    [inside] = re.findall(rf'<section[^>]*id="{part}".*?</section>', page.text, re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", inside)).split())


# --- who sees it, and when there is nothing to see ------------------------------------------------------------------


@pytest.mark.usefixtures("known")
def test_only_users_of_airflow_see_it(server: Server) -> None:
    for path in ("", "/reports"):
        assert server.ask(None, path).status_code == httpx.codes.UNAUTHORIZED
        assert server.ask("vera", path).status_code == httpx.codes.OK
    headers = server.ask("vera").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """DAGs that nobody may see; empty at first. Airflow's simple users may all see every one."""
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    dags: set[str] = set()
    usual = SimpleAuthManager.is_authorized_dag

    def decide(self: Any, *, details: Any = None, **asked: Any) -> bool:
        return usual(self, details=details, **asked) and (details is None or details.id not in dags)

    monkeypatch.setattr(SimpleAuthManager, "is_authorized_dag", decide)
    return dags


@pytest.mark.usefixtures("known")
def test_the_page_is_for_those_who_may_see_the_runs_of_report_metrics(server: Server, refused: set[str]) -> None:
    refused.add("report_metrics")
    for path in ("", "/reports"):
        assert server.ask("vera", path).status_code == httpx.codes.FORBIDDEN


def test_exports_are_for_those_who_may_see_the_runs_of_their_dag(
    server: Server, known: Catalogue, refused: set[str]
) -> None:
    export(known, "a secret reason")
    assert "a secret reason" in words(server.ask("vera"), "exports")
    refused.add("generate_export")
    page = server.ask("vera")
    assert page.status_code == httpx.codes.OK
    assert "a secret reason" not in page.text
    assert "Only those who may see the runs of generate_export" in words(page, "exports")


@pytest.mark.usefixtures("known")
def test_a_question_leads_there_and_says_whether_one_may_answer(server: Server, ask: Ask) -> None:
    ask("tier_recordings", f"Move 12 segments? {HOSTILE}", at=NOW - timedelta(hours=2))
    for user, does in (("ada", "Answer"), ("vera", "Look")):  # a viewer may read, and not act
        page = server.ask(user)
        said = words(page, "attention")
        asked = re.escape(f"Move 12 segments? {HOSTILE} tier_recordings · approve · asked ")
        assert re.search(rf"{asked}2 h \d\d min ago {does} ", said)
        assert re.findall(r'class="button"[^>]*>(\w+)<', page.text) == [does]
        assert "1 question," in words(page, "waiting")
        assert 'href="../dags/tier_recordings/runs/manual__1/tasks/approve/mapped/0/required_actions"' in page.text


@pytest.mark.usefixtures("known")
def test_a_question_is_for_those_who_may_see_it(server: Server, ask: Ask, refused: set[str]) -> None:
    ask("tier_recordings", "Move 12 secrets?", at=NOW)
    ask("reconcile_stores", "Take 7 orphans away?", at=NOW)
    refused.add("tier_recordings")
    page = server.ask()
    assert "Take 7 orphans away?" in words(page, "attention")
    assert "1 question," in words(page, "waiting")
    assert "tier_recordings" not in page.text
    assert "12 secrets" not in page.text


def test_without_a_catalogue_it_says_that_nothing_can_be_said(
    server: Server, known: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = {
        "conn_type": "postgres",
        "host": "127.0.0.1",
        "port": 9,
        "login": "x",
        "password": "secret",
        "schema": "x",
    }
    monkeypatch.setenv("AIRFLOW_CONN_REELKEEPER_CATALOGUE", json.dumps(nowhere))
    page = server.ask()
    assert page.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert "The catalogue does not answer: nothing can be said about footage now." in page.text
    assert "secret" not in page.text
    assert "127.0.0.1" not in page.text


@pytest.mark.usefixtures("known")
def test_wrong_settings_are_told_key_by_key(server: Server, estate_file: Path) -> None:
    usual = estate_file.read_text()
    estate_file.write_text(f'{usual}[alarms]\nrecover_minutes = "soon"\nwebhook = "https://hooks.example/hunter1"\n')
    page = server.ask()
    assert page.status_code == httpx.codes.SERVICE_UNAVAILABLE
    text = unescape(page.text)
    assert "The estate is not set up as expected" in text
    assert "<li>alarms.recover_minutes is 'soon': expected a valid integer (from estate.toml)</li>" in text
    assert "<li>alarms.webhook: unknown key: expected one of" in text
    assert 'href="../dags?tags=reelkeeper"' in page.text
    estate_file.unlink()
    gone = server.ask()
    assert "<li>file is 'estate.toml': no such file" in unescape(gone.text)
    for hidden in (str(estate_file.parent), "hunter1"):
        assert hidden not in page.text + gone.text


# --- what it says ---------------------------------------------------------------------------------------------------


def test_the_numbers_are_those_of_the_catalogue(server: Server, known: Catalogue, estate_file: Path) -> None:
    export(known)
    page = server.ask()
    assert page.status_code == httpx.codes.OK
    safety = words(page, "safety")
    assert "All 5 segments have at least one verified copy." in safety
    assert re.search(r"Store cloud does not answer for 3\d min: store timeout\.", safety)
    assert "2 cameras, 5 segments, 7 verified copies of 1.8 MiB." in safety
    assert "3 segments still to go to the cloud, the oldest from 3 days ago." in safety
    # Two replicas of a quarter of a MiB, at 1024 USD for 10⁹ bytes.
    assert words(page, "cost").startswith("Cost of storage 0.54 USD a month now")
    assert "Without local: nobody said a price" in words(page, "cost")
    stores = words(page, "stores")
    assert stores.index("cloud minio") < stores.index("local filesystem")  # the one in trouble first
    assert str(estate_file.parent) not in page.text
    assert "512.0 KiB 2 copies" in stores
    assert "50 % of 1.0 MiB" in stores
    assert "answers, looked at" in stores
    assert "2 alarms up" in words(page, "waiting")
    assert "reelkeeper alarm acknowledge store_unreachable cloud --by YOU --reason WHY" in words(page, "attention")
    cameras = words(page, "cameras")
    assert "2 cameras, 1 silent" in cameras
    assert cameras.index("acme/yard silent for") < cameras.index("acme/gate")
    # After their first days: the gate has recorded one whole day, and the yard nothing of two.
    assert re.search(r"acme/yard silent .* so far 0 % .* acme/gate", cameras)
    assert re.search(r"acme/gate .* so far 100 % ", cameras)
    assert f"{MIDNIGHT - timedelta(days=1):%Y-%m-%d}: 100 % recorded" in page.text
    assert "case 7 · mara" in words(page, "exports")


def test_what_the_report_says_waits_for_a_person_waits_here_too(
    server: Server, known: Catalogue, catalogue_dsn: str
) -> None:
    known.alarms.keep_well([Reading("unprotected_footage", "", 0, 0, "")], now=NOW)
    with closing(psycopg2.connect(catalogue_dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM reelkeeper.alarms WHERE name <> 'unprotected_footage'")
        connection.commit()
        assert "nothing 0 questions, 0 alarms up, 0 findings" in words(server.ask(), "waiting")
        cursor.execute(
            "INSERT INTO reelkeeper.landing_files (zone, path, size_bytes, modified_at, state, reason_code)"
            " VALUES ('zone', 'a.mp4', 1, now(), 'quarantined', 'no_video')"
        )
    page = server.ask()
    assert "1 0 questions, 0 alarms up, 1 finding" in words(page, "waiting")
    assert "1 file that came in could not become footage." in words(page, "attention")
    assert "Nothing waits" not in words(page, "attention")


def test_names_are_text(server: Server, known: Catalogue) -> None:
    export(known, HOSTILE)
    page = server.ask(camera='"><script>alert(2)</script>')
    assert "<img" not in page.text
    assert "<script>" not in page.text
    assert HOSTILE in words(page, "attention")
    assert HOSTILE in words(page, "exports")
    assert "No camera is called so." in words(page, "cameras")
    assert HOSTILE in words(server.ask(), "cameras")


def test_cameras_are_searched_and_paged(server: Server, known: Catalogue) -> None:
    known.cameras.upsert([Camera(camera_id(ACME, f"c{number:02}"), ACME, f"c{number:02}", f"Camera {number}")
                          for number in range(60)])  # fmt: skip
    assert "page 3 of 3" in words(server.ask(page=7), "cameras")
    found = words(server.ask(camera="GAT"), "cameras")
    assert "1 camera" in found
    assert "acme/yard" not in found
    assert server.ask(page=0).status_code == httpx.codes.UNPROCESSABLE_ENTITY


# --- what is not known ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "troubled"),
    [
        ("alarms", {"attention"}), ("alarm_events", {"history"}), ("quality_runs", {"safety", "attention", "checks"}),
        ("usage_days", {"cost"}),
        ("camera_tallies", {"safety", "cost", "attention", "stores", "share", "rollout", "cameras"}),
    ],
)  # fmt: skip
def test_a_part_that_fails_says_so_and_the_others_stay(
    server: Server, known: Catalogue, catalogue_dsn: str, table: str, troubled: set[str]
) -> None:
    known.close()
    with closing(psycopg2.connect(catalogue_dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE reelkeeper.{table} RENAME TO gone")
    page = server.ask()
    assert page.status_code == httpx.codes.OK
    assert {part for part in PARTS if "cannot be told now" in words(page, part)} == troubled


def test_questions_that_cannot_be_read_are_not_nothing(
    server: Server, known: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationalError("SELECT secret", {}, Exception("no such host"))

    monkeypatch.setattr("reelkeeper_airflow.api.estate_page.open_questions", fail)
    page = server.ask()
    assert "cannot be told now what Airflow's users are asked" in words(page, "attention")
    assert "questions unknown, 2 alarms up" in words(page, "waiting")
    assert "no such host" not in page.text


def test_old_alarms_are_not_shown_as_if_they_were_fresh(server: Server, known: Catalogue, catalogue_dsn: str) -> None:
    assert "judged" not in words(server.ask(), "attention")
    known.alarms.keep_well([Reading("unprotected_footage", "", 0, 0, "")], now=NOW - timedelta(minutes=190))
    for judged, said in (("", "Alarms were last judged 3 h"), ("UPDATE reelkeeper.alarms SET state = 'ok'", "none"),
                         ("DELETE FROM reelkeeper.alarms", "Alarms were never judged")):  # fmt: skip
        if judged:
            with closing(psycopg2.connect(catalogue_dsn)) as connection, connection, connection.cursor() as cursor:
                cursor.execute(judged)
        page = server.ask()
        if said != "none":
            assert said in words(page, "attention")
        assert "See that report_metrics is not paused" in words(page, "attention")
        assert "Nothing waits for a person" not in words(page, "attention")
        assert ", not judged lately" in words(page, "waiting")
    assert "unknown" in words(page, "waiting")


# --- exports --------------------------------------------------------------------------------------------------------


def test_the_page_of_an_export_is_for_those_who_may_see_the_runs_of_its_dag(
    server: Server, known: Catalogue, refused: set[str]
) -> None:
    path = f"/../exports/{export(known, HOSTILE)}"
    assert server.ask(None, path, accept="text/html").status_code == httpx.codes.UNAUTHORIZED
    page = server.ask("vera", path, accept="text/html")
    assert page.status_code == httpx.codes.OK
    assert page.headers["content-security-policy"] == server.ask("vera").headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert "<img" not in page.text
    assert f"reason {HOSTILE} asked for by mara (ada in Airflow)" in words(page, "about")
    assert "It waits to be made." in words(page, "standing")
    assert "data-refreshes" in page.text
    assert 'href="../../dags/generate_export/runs/manual__1"' in page.text
    assert 'href="../estate#exports"' in page.text
    refused.add("generate_export")
    assert server.ask("vera", path, accept="text/html").status_code == httpx.codes.FORBIDDEN


def test_a_program_is_told_of_an_export_as_ever(server: Server, known: Catalogue) -> None:
    made = export(known)
    found = known.exports.get(made)
    assert found is not None
    assert server.ask("vera", f"/../exports/{made}").json() == {
        "id": str(made), "status": "PENDING", "progress": 0, "download_url": None, "file_size": None,
        "file_hash": None, "expires_at": found.expires_at.isoformat(), "created_at": NOW.isoformat(),
        "completed_at": None, "failure": None, "files": [], "restoring": None,
    }  # fmt: skip


def test_of_a_request_that_was_refused_the_pages_say_whose_it_was(server: Server, known: Catalogue) -> None:
    asked = Asked(uuid4(), ACME, "manual__1", {"reason": "case 8", "created_by": "bob"}, "ada")
    known.exports.refuse(asked, RequestRefused("end_time is 'x': expected a time"), now=NOW, expires_in=timedelta(1))
    page = server.ask("vera", f"/../exports/{asked.id}", accept="text/html")
    assert "The request was refused. end_time is 'x': expected a time" in words(page, "standing")
    assert "reason case 8 asked for by bob (ada in Airflow)" in words(page, "about")
    assert "data-refreshes" not in page.text
    assert "case 8 · bob" in words(server.ask("vera"), "exports")


def test_without_a_catalogue_the_page_of_an_export_says_so(server: Server, known: Catalogue, estate_file: Path) -> None:
    path = f"/../exports/{export(known)}"
    estate_file.write_text("name = 7")
    page = server.ask(path=path, accept="text/html")
    assert page.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert "name is 7: expected a valid string" in unescape(page.text)
    assert 'href="../../dags?tags=reelkeeper"' in page.text


# --- reports --------------------------------------------------------------------------------------------------------


def test_daily_reports_are_listed(server: Server, known: Catalogue) -> None:
    from reelkeeper.reporting.daily import JOB

    assert "cannot be told now which reports there are" in server.ask(path="/reports").text  # the store is not set up
    store = open_store("local")
    list(store.set_up())
    assert "None was written yet." in server.ask(path="/reports").text
    key = publish(store, f"{JOB}/2026-11-20/test", "html", Body.of_bytes(b"<p>yesterday"))
    page = server.ask(path="/reports").text
    [path] = re.findall(r'<a href="\.\./(reports/[^"]+)">2026-11-20</a>', page)
    assert path == key
    assert server.ask(path=f"/../{path}").text == "<p>yesterday"


# --- in a browser ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tab(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    if BROWSER is None:
        pytest.skip("no Chromium is on PATH: nothing here can show a page")
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        opened.sign_in(server.url, server.tokens["vera"])
        yield opened


@pytest.mark.usefixtures("known")
def test_a_browser_shows_it_in_light_and_dark_and_on_a_phone(server: Server, tab: Tab) -> None:
    del tab.requests[:]
    grounds = set()
    for width, dark in ((1280, False), (1280, True), (390, True), (320, False)):
        tab.look(width=width, dark=dark)
        tab.open(server.page)
        grounds.add(tab.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert tab.evaluate("document.querySelector('#safety h2').innerText").strip().startswith("All 5 segments")
        assert tab.evaluate("document.querySelector('.strip').getBoundingClientRect().width") > 100
    assert len(grounds) == 2
    assert {urlsplit(url).netloc for url in tab.requests} == {urlsplit(server.url).netloc}
    assert tab.complaints == []


def test_the_page_of_an_export_fits_a_phone(server: Server, tab: Tab, known: Catalogue) -> None:
    made = export(known)
    begun = known.exports.get(made)
    assert begun is not None
    named = [("gate.mp4", "footage", "a"), ("manifest.json", "manifest", "b")]
    main, manifest = (
        ExportFile(name, kind, StoreName("local"), Key(f"exports/{made}/{name}"), 2048, Sha256(64 * digest), "x/y")  # type: ignore[arg-type]
        for name, kind, digest in named
    )  # fmt: skip
    known.exports.begin(begun, now=NOW)
    known.exports.record_files(begun, [main, manifest], now=NOW)
    done = Completion(main, manifest, None, None, "https://here/download", NOW + timedelta(days=6, minutes=30))
    assert known.exports.complete(begun, done, now=NOW)
    del tab.requests[:], tab.complaints[:]
    for width, dark in ((1280, False), (390, True), (320, False)):
        tab.look(width=width, dark=dark)
        tab.open(f"{server.url}/reelkeeper/exports/{made}")
        assert tab.evaluate("document.title") == f"Export of Gate, {MIDNIGHT - timedelta(hours=2):%Y-%m-%d %H:%M} UTC"
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert tab.evaluate("document.querySelector('#standing h2').innerText").strip() == "It is ready."
        links = tab.evaluate("[...document.querySelectorAll('#files a')].map(a => new URL(a.href).pathname)")
        assert links == [f"/reelkeeper/exports/{made}/{each}" for each in ("download", "files/manifest.json")]
        assert 64 * "a" in tab.evaluate("document.querySelector('#files').innerText")
    assert tab.complaints == []


@pytest.mark.usefixtures("known")
def test_it_works_without_scripts(server: Server, tab: Tab) -> None:
    tab.look(scripts=False)
    tab.open(f"{server.page}?camera=yard")
    assert tab.evaluate("document.querySelectorAll('.cameras tbody tr').length") == 1
    assert tab.evaluate("document.querySelector('.cameras tbody th').innerText").startswith(HOSTILE)
    assert tab.evaluate("document.querySelectorAll('img').length") == 0
    assert tab.evaluate("document.querySelector('#exports, #stores').innerText") != ""
    tab.look()


@pytest.mark.usefixtures("known")
def test_it_has_a_place_in_airflows_navigation(server: Server) -> None:
    headers = {"Authorization": f"Bearer {server.tokens['ada']}"}
    found = httpx.get(f"{server.url}/api/v2/plugins", headers=headers, trust_env=False).json()["plugins"]
    [view] = [view for plugin in found if plugin["name"] == "reelkeeper" for view in plugin["external_views"]]
    assert (view["name"], view["destination"], view["nav_top_level"]) == ("Estate", "nav", True)
    assert httpx.get(f"{server.url}{view['icon']}", trust_env=False).headers["content-type"] == "image/svg+xml"
    assert httpx.get(f"{server.url}{view['href']}", headers=headers, trust_env=False).status_code == httpx.codes.OK
