"""The tasks that check the catalogue, on a real one: what they return, fail with, and lead to."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from demo.segments import ingested
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.errors import ConfigurationError, PermanentError, QualityFailed
from reelkeeper.model import Sha256, StoreName
from reelkeeper_airflow.dag_index import read_dags
from reelkeeper_airflow.estate import open_store
from reelkeeper_airflow.links import ReportLink
from reelkeeper_airflow.operators.quality import CheckCatalogueOperator, CheckIngestedOperator
from tests.catalogue.conftest import Maker

ROOT = Path(__file__).parents[2]
START = datetime(2026, 3, 1, tzinfo=UTC)
SUITES = ["segments", "replicas"]


def context(run_id: str, dag_id: str = "check_catalogue") -> Any:
    told: dict[str, Any] = {}
    ti = SimpleNamespace(map_index=-1, xcom_push=told.__setitem__, xcom_pull=lambda *, key, map_indexes: told.get(key))
    run = SimpleNamespace(dag_id=dag_id, run_id=run_id, run_after=START)
    return {"dag_run": run, "ti": ti, "params": {}, "xcom": told}


def check(run_id: str, given: Any = None, **more: Any) -> Any:
    """All of March, without the stores, which nobody has compared."""
    more = {"suites": SUITES, "start_time": "2026-03-01T00:00:00Z", "end_time": "2026-04-01T00:00:00Z"} | more
    return CheckCatalogueOperator(task_id="check", **more).execute(given or context(run_id))


@pytest.fixture
def overlapping(estate: Path, catalogue: Catalogue) -> str:
    """The run that took in two segments of one camera which overlap by half a minute."""
    file = estate / "estate.toml"
    file.write_text(file.read_text().replace('cloud_store = "cloud"', 'cloud_store = "cloud"\nexport_store = "local"'))
    list(open_store("local").set_up())
    maker = Maker(catalogue)
    camera = maker.camera()
    segments = [
        ingested(camera, START + number * timedelta(seconds=30), timedelta(minutes=1), store=StoreName("local"),
                 size_bytes=10**6, checksum=Sha256("5" * 64), path=f"{number}.mp4", with_history=True)
        for number in range(2)
    ]  # fmt: skip
    maker.recorded(segments)
    return "ingest 0"


def test_a_failure_is_for_good_and_its_link_leads_to_the_page(
    overlapping: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reelkeeper_airflow.api.app import read_report

    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.org/video/")
    given = context("scheduled__2026-03-02T06:00:00+00:00")
    with pytest.raises(
        QualityFailed, match=r"segment_overlaps: 1 of 2 rows are wrong: \(segment_id .*, camera gate"
    ) as failed:
        check("", given)
    assert issubclass(QualityFailed, PermanentError)  # not tried again
    address = ReportLink().get_link(CheckCatalogueOperator(task_id="check"), ti_key=given["ti"])
    assert address.startswith("https://airflow.example.org/video/reelkeeper/reports/check_catalogue/")
    assert str(failed.value).endswith(f"; see {address}")
    answer = read_report(*given["xcom"]["report"].split("/", 2)[1:])
    assert answer.media_type == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_what_only_warns_does_not_fail(estate: Path, overlapping: str) -> None:
    with (estate / "estate.toml").open("a") as file:
        file.write('[quality.expectations]\nsegment_overlaps = { severity = "warn" }\n')
    counts = check("run")
    assert counts == {"expectations": 14, "failed": 0, "warned": 1, "wrong_rows": 1}
    assert check("run", suites=["replicas"])["warned"] == 0
    assert check("run", end_time="2026-03-01T00:00:30Z")["warned"] == 0
    with pytest.raises(ConfigurationError, match="end_time"):
        check("run", end_time="yesterday")


def test_a_run_of_ingest_is_told_what_it_took_in(estate: Path, overlapping: str) -> None:
    operator = CheckIngestedOperator(task_id="check")
    given = context(overlapping, "ingest_recordings")
    with pytest.raises(QualityFailed, match="segment_overlaps: 2 of 2 rows are wrong"):
        operator.execute(given)
    assert str(given["xcom"]["report"]).startswith("reports/ingest_recordings/")
    with pytest.raises(AirflowSkipException, match="nothing"):
        operator.execute(context("another", "ingest_recordings"))
    with (estate / "estate.toml").open("a") as file:
        file.write("[quality]\ncheck_ingest = false\n")
    with pytest.raises(AirflowSkipException, match="check_ingest"):
        operator.execute(given)


@pytest.mark.filterwarnings("default")  # dag.test() is Airflow's own code: what it warns of is not ours to cure
@pytest.mark.usefixtures("airflow_database", "overlapping")
def test_the_form_says_what_is_looked_into(catalogue: Catalogue) -> None:
    def run(**conf: Any) -> Any:
        [dag] = [dag for dag in read_dags(ROOT / "dags") if dag.dag_id == "check_catalogue"]
        return dag.test(logical_date=None, run_conf=conf)

    march = {"start_time": "2026-03-01T00:00:00Z", "end_time": "2026-04-01T00:00:00Z"}
    assert run(suites=SUITES, **march).state == "failed"
    assert run().state == "success"  # all suites, of the last days; nobody has made stores that could be compared
    remembered = catalogue.quality.latest("check_catalogue")
    assert remembered is not None
    assert len(remembered.results) == 26
