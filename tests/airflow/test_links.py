"""Links to reports, and what answers them. tests/stack follows one through Airflow's own server."""

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import BaseOperator
from fastapi import HTTPException

from reelkeeper.model import Key
from reelkeeper.stores.body import Body
from reelkeeper_airflow.estate import open_store
from reelkeeper_airflow.links import ReportLink, link_report

ROOT = Path(__file__).parents[2]
KEY = Key("reports/reconcile_stores/2026/11/21/cloud é.csv")


def linked(report: Key | None) -> str:
    """The link of a task that told of a report, or of none."""
    told: dict[str, Any] = {}
    ti = SimpleNamespace(map_index=-1, xcom_push=told.__setitem__, xcom_pull=lambda *, key, map_indexes: told.get(key))
    if report:
        link_report({"ti": ti}, report)  # type: ignore[typeddict-item, typeddict-unknown-key]
    return ReportLink().get_link(BaseOperator(task_id="t"), ti_key=ti)


def test_a_link_leads_to_the_api_server_and_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.org/video/")
    assert linked(KEY) == (
        "https://airflow.example.org/video/reelkeeper/reports/reconcile_stores/2026/11/21/cloud%20%C3%A9.csv"
    )
    assert linked(None) == ""


@pytest.fixture
def report(estate_file: Path) -> bytes:
    """What the report holds; the exports store is the local one."""
    estate_file.write_text(
        estate_file.read_text().replace('cloud_store = "cloud"', 'cloud_store = "cloud"\nexport_store = "local"')
    )
    (estate_file.parent / "footage").mkdir()
    data = b"store,path\r\ncloud,media/x\r\n"
    store = open_store("local")
    list(store.set_up())
    store.write(KEY, Body.of_bytes(data))
    return data


def read(dag_id: str, name: str) -> Any:
    from reelkeeper_airflow.api.app import read_report

    return read_report(dag_id, name)


@pytest.mark.anyio
async def test_a_report_is_read_from_its_store(report: bytes) -> None:
    answer = read("reconcile_stores", "2026/11/21/cloud é.csv")
    assert b"".join([chunk async for chunk in answer.body_iterator]) == report
    assert answer.headers["content-disposition"].endswith("reconcile_stores_2026_11_21_cloud%20%C3%A9.csv")
    assert answer.headers["content-length"] == str(len(report))


@pytest.mark.anyio
async def test_a_page_is_shown_and_may_do_nothing_else(report: bytes) -> None:
    key = Key("reports/report_estate/2026-11-21/estate.html")
    open_store("local").write(key, Body.of_bytes(report))
    answer = read("report_estate", "2026-11-21/estate.html")
    assert b"".join([chunk async for chunk in answer.body_iterator]) == report
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("inline;")
    policy = dict(each.split(" ", 1) for each in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert "script-src" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.usefixtures("report")
def test_nothing_is_shown_that_is_neither_table_nor_page() -> None:
    open_store("local").write(Key("reports/report_estate/2026-11-21/estate.svg"), Body.of_bytes(b"<svg/>"))
    with pytest.raises(HTTPException) as refused:
        read("report_estate", "2026-11-21/estate.svg")
    assert refused.value.status_code == 404


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.usefixtures("report")
@pytest.mark.parametrize(
    ("dag_id", "name"),
    [
        ("reconcile_stores", "2026/11/21/other.csv"),
        ("tier_recordings", "2026/11/21/cloud é.csv"),
        ("x", "../reconcile_stores/2026/11/21/cloud é.csv"),
        ("..", "media/secret.mp4"),
        ("reconcile_stores", ""),
    ],
)
def test_nothing_but_reports_of_the_dag_is_read(dag_id: str, name: str) -> None:
    with pytest.raises(HTTPException) as refused:
        read(dag_id, name)
    assert refused.value.status_code == 404


@pytest.mark.usefixtures("report")
def test_a_store_that_fails_is_told_without_details(estate_file: Path) -> None:
    shutil.rmtree(estate_file.parent / "footage")  # not mounted
    with pytest.raises(HTTPException) as refused:
        read("reconcile_stores", "2026/11/21/cloud.csv")
    assert refused.value.status_code == 503
    assert refused.value.detail == "report '2026/11/21/cloud.csv' cannot be read now: store_unavailable"


def test_the_plugin_does_not_import_it() -> None:
    code = "import sys; sys.path.insert(0, 'plugins'); import reelkeeper_plugin as p; print('fastapi' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, text=True, capture_output=True,
                          check=True)  # fmt: skip
    assert done.stdout.split() == ["False"]
