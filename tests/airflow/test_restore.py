"""restore_recordings: form, estimate, waiting in the triggerer, and whole runs against AWS as moto knows it."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred

from demo.segments import ingested
from demo.servers import S3Server
from reelkeeper.errors import BudgetExceeded, ConfigurationError, GateFailed
from reelkeeper.model import (
    BatchId,
    Camera,
    Key,
    Segment,
    StoreName,
    Tenant,
    Tier,
    camera_id,
    media_key,
    segment_id,
)
from reelkeeper.reading import locate
from reelkeeper.stores.body import Body
from reelkeeper.stores.protocols import Readability, WriteOptions
from reelkeeper_airflow.dag_index import read_dags
from reelkeeper_airflow.estate import current_estate, open_catalogue, open_store
from reelkeeper_airflow.operators.restore import (
    PlanRestoreOperator,
    RestoreGateOperator,
    RestoreOperator,
    SummariseRestoreOperator,
    estimate_lines,
)
from tests.airflow.conftest import catalogue_connection

ROOT = Path(__file__).parents[2]
START = datetime(2026, 3, 1, tzinfo=UTC)
GIB = 2**30
_FILE = """
name = "test"
tenant = "acme"
[[stores]]
name = "local"
kind = "filesystem"
root = "{folder}/footage"
[[stores]]
name = "aws"
kind = "s3"
bucket = "{bucket}"
[placement]
mode = "hybrid"
local_store = "local"
cloud_store = "aws"
"""


@pytest.fixture
def aws(
    tmp_path: Path, catalogue_dsn: str, moto: S3Server, bucket_name: str, monkeypatch: pytest.MonkeyPatch
) -> list[Segment]:
    """An estate with a store in AWS, and three segments that only its Glacier has."""
    path = tmp_path / "estate.toml"
    path.write_text(_FILE.format(folder=tmp_path, bucket=bucket_name))
    monkeypatch.setenv("REELKEEPER_ESTATE", str(path))
    for name, connection in {
        "reelkeeper_catalogue": catalogue_connection(catalogue_dsn),
        "aws_default": {
            "conn_type": "aws", "login": moto.access_key, "password": moto.secret_key,
            "extra": {"region_name": moto.region, "endpoint_url": moto.endpoint_url},
        },
    }.items():  # fmt: skip
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
    list(open_store("aws").set_up())
    return [archived(number) for number in range(3)]


def archived(number: int, camera: str = "gate") -> Segment:
    owner = Camera(camera_id(Tenant("acme"), camera), Tenant("acme"), camera, camera)
    begin = START + number * timedelta(minutes=10)
    body = Body.of_bytes(segment_id(owner.id, begin).bytes)
    made = ingested(owner, begin, timedelta(minutes=10), store=StoreName("aws"), size_bytes=GIB, checksum=body.sha256,
                    storage_class="GLACIER", tier=Tier.ARCHIVE)  # fmt: skip
    open_store("aws").write(made.replica.path, body, WriteOptions(storage_class="GLACIER"))
    with open_catalogue() as catalogue:
        catalogue.cameras.register([owner])
        catalogue.segments.record(BatchId(uuid4()), [made])
    return made.segment


class Run:
    """The context of one DAG run, with XComs that stay."""

    def __init__(self, run_id: str = "manual") -> None:
        self.xcom: dict[str, Any] = {}
        run = SimpleNamespace(run_id=run_id, run_type="manual", dag_id="restore_recordings")
        ti = SimpleNamespace(xcom_push=self.xcom.__setitem__, xcom_pull=lambda *, task_ids, key: self.xcom.get(key))
        self.context: Any = {"dag_run": run, "ti": ti}

    def plan(self, **options: Any) -> dict[str, float]:
        plan = PlanRestoreOperator(task_id="plan", **({"cameras": ["gate"]} | options))
        self.xcom["return_value"] = plan.execute(self.context)
        return self.xcom["return_value"]

    def restore(self) -> dict[str, int]:
        return RestoreOperator(task_id="from_aws", store="aws").execute(self.context)

    def gate(self) -> dict[str, int]:
        return RestoreGateOperator(task_id="gate", planned=self.xcom.get("return_value")).execute(self.context)

    def summary(self) -> dict[str, int]:
        return SummariseRestoreOperator(task_id="summary", plan_task_id="plan").execute(self.context)


# --- operators --------------------------------------------------------------------------------------------------------


def test_a_dry_run_shows_the_estimate_and_asks_for_nothing(aws: list[Segment]) -> None:
    run = Run()
    counts = run.plan(is_dry_run=True, speed="expedited", days=7, budget_usd=0.01)
    # 3 × (1 GB × 0.03 + 10 / 1,000 + 1 GB × 0.023 × 7 / (365 / 12)) USD
    assert counts["cost_usd"] == pytest.approx(3 * (0.03 + 0.01 + 0.023 * 7 * 12 / 365))
    assert (counts["segments"], counts["restores"], counts["bytes"]) == (3, 3, 3 * GIB)
    with pytest.raises(AirflowSkipException):
        run.gate()
    lines = estimate_lines(counts, run.xcom["estimates"])
    assert "| aws | GLACIER | expedited | 1–5 min | 3 | 3.0 GiB | 0.14 |" in lines
    assert lines[-1] == "dry run: would cost about 0.14 USD for 7 days; the budget is 0.01 USD"
    assert run.summary() == {"restored": 0, "failed": 0, "ended": 0, "open": 0}
    with pytest.raises(AirflowSkipException):
        RestoreOperator(task_id="t", store="aws", is_dry_run=True).execute(run.context)


def test_over_the_budget_no_request_leaves(aws: list[Segment]) -> None:
    run = Run()
    with pytest.raises(BudgetExceeded, match=r"costs about 0\.04 USD .*expected at most 0\.01 USD"):
        run.plan(budget_usd=0.01, days=3)
    with pytest.raises(GateFailed, match="the plan did not finish"):
        run.gate()
    assert run.restore() == {"requested": 0, "readable": 0, "failed": 0}
    assert readabilities(aws) == Counter(archived=3)


def readabilities(segments: list[Segment]) -> Counter[str]:
    return Counter(open_store("aws").readability(path(segment)).state for segment in segments)  # type: ignore[attr-defined]


def path(segment: Segment) -> Key:
    return media_key(Tenant("acme"), "gate", segment.start_time, segment.id, "mp4")


def test_it_waits_in_the_triggerer_and_goes_on_after_a_restart(
    aws: list[Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store("aws")
    really = store.readability  # type: ignore[attr-defined]
    is_slow = True

    def slow(key: Key) -> Readability:
        """moto restores at once: until told otherwise, what was asked for is under way."""
        found: Readability = really(key)
        return Readability("restoring") if is_slow and found.state == "readable" else found

    monkeypatch.setattr(store, "readability", slow)
    run = Run()
    run.plan(days=3)
    before = datetime.now(UTC)
    with pytest.raises(TaskDeferred) as deferred:
        run.restore()
    path_of_class, arguments = deferred.value.trigger.serialize()
    assert path_of_class == "airflow.providers.standard.triggers.temporal.DateTimeTrigger"
    assert set(arguments) == {"moment", "end_from_trigger"}
    moment = datetime.fromisoformat(str(arguments["moment"]))
    assert timedelta(hours=2.4) < moment - before < timedelta(hours=2.6)  # half of the usual five hours
    assert deferred.value.method_name == "execute"
    with pytest.raises(TaskDeferred):  # another worker, which knows nothing but the catalogue
        Run().restore()
    with pytest.raises(GateFailed, match="3 of 3 restores are not settled"):
        run.gate()
    is_slow = False
    assert Run().restore()["readable"] == 3
    assert run.gate() == {"restored": 3, "bytes": 3 * GIB, "failed": 0}
    with open_catalogue() as catalogue:
        found = locate(current_estate(), catalogue, aws[0].id, now=datetime.now(UTC))
    assert found.store == "aws"
    assert found.readable_until is not None


def test_the_forms_mistakes_are_told(aws: list[Segment]) -> None:
    for wrong, told in (
        ({"start_time": "2026-03-02T00:00:00Z", "end_time": "2026-03-01T00:00:00Z"}, "is not after start"),
        ({"start_time": "2026-03-02T00:00:00"}, "naive datetime .*: expected one with a time zone"),
        ({"start_time": "yesterday"}, "start_time 'yesterday'"),
        ({"cameras": ["gat"]}, r"unknown camera 'gat': expected a slug of tenant 'acme', or an id; did you mean"),
        ({"cameras": [], "segment_ids": []}, "nothing says which footage"),
        ({"segment_ids": ["x"]}, "segment id 'x': expected a UUID"),
        ({"days": -1}, "days is -1: expected 1 to 365"),
        ({"days": "soon"}, "days is 'soon': expected a whole number"),
        ({"budget_usd": "much"}, "budget_usd is 'much': expected an amount in US dollars"),
        ({"budget_usd": -1}, "budget_usd is -1: expected 0 or more"),
        ({"store": "attic"}, "unknown store 'attic'"),
        ({"speed": "now"}, "speed is 'now': expected one of"),
    ):
        with pytest.raises(ConfigurationError, match=told):
            Run().plan(**wrong)


def test_one_that_is_gone_fails_the_gate_and_is_told(aws: list[Segment]) -> None:
    open_store("aws").delete([path(aws[0])])
    run = Run()
    run.plan()
    assert run.restore()["failed"] == 1
    with pytest.raises(GateFailed, match=rf"1 of 3 restores failed: expected 0; segment '{aws[0].id}'"):
        run.gate()
    assert run.summary() == {"restored": 2, "failed": 1, "ended": 0, "open": 0}


# --- whole runs -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("airflow_database")
@pytest.mark.filterwarnings("default")  # dag.test() is Airflow's own code: what it warns of is not ours to cure
def test_the_dag(aws: list[Segment]) -> None:
    def run(conf: dict[str, Any]) -> tuple[str, dict[str, str]]:
        [dag] = [dag for dag in read_dags(ROOT / "dags") if dag.dag_id == "restore_recordings"]
        done = dag.test(logical_date=None, run_conf=conf)
        return str(done.state), {task.task_id: str(task.state) for task in done.get_task_instances()}

    state, tasks = run({"cameras": ["gate"]})  # a look first
    assert (state, tasks["restore.plan"], tasks["restore.from_aws"]) == ("success", "success", "skipped")
    assert readabilities(aws) == Counter(archived=3)
    state, tasks = run({"cameras": ["gate"], "dry_run": False, "budget_usd": 0})
    assert (state, tasks["restore.plan"], tasks["summary"]) == ("failed", "failed", "success")
    assert readabilities(aws) == Counter(archived=3)
    state, tasks = run({"segment_ids": [str(aws[1].id)], "dry_run": False, "days": 2})
    assert state == "success"
    assert set(tasks.values()) == {"success"}
    assert readabilities(aws) == Counter(archived=2, readable=1)
    state, tasks = run({"start_time": START.isoformat(), "speed": "expedited", "dry_run": False})
    assert state == "success"
    assert readabilities(aws) == Counter(readable=3)
    with open_catalogue() as catalogue:
        ids = [(segment.id, segment.start_time) for segment in aws]
        replicas = [replica for found in catalogue.replicas.of_segments(ids).values() for replica in found]
    assert all(replica.readable_until is not None for replica in replicas)


def test_each_store_has_its_task_in_its_pool(aws: list[Segment]) -> None:
    [dag] = [dag for dag in read_dags(ROOT / "dags") if dag.dag_id == "restore_recordings"]
    assert {task.task_id: task.pool for task in dag.tasks} == {
        "restore.plan": "default_pool", "restore.from_aws": "store_aws", "restore.readable": "default_pool",
        "summary": "default_pool",
    }  # fmt: skip
    assert dag.params["dry_run"] is True
