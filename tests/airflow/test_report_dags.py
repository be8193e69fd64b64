"""report_metrics and report_estate as wholes, by `dag.test()`, on real servers; what they publish is read back."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from prometheus_client import parser

from demo.servers import S3Server
from reelkeeper_airflow.dag_index import read_dags
from reelkeeper_airflow.estate import open_catalogue, open_store

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.usefixtures("airflow_database"),
    # dag.test() is Airflow's own code: what it warns of is not ours to cure.
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture
def set_up(estate: Path, estate_file: Path) -> Path:
    """The estate's stores, made by its catalogue."""
    from reelkeeper.estate_setup import setup_estate
    from reelkeeper_airflow.estate import connect_to_catalogue, current_estate

    list(setup_estate(current_estate(), connect=connect_to_catalogue, open_store=open_store, now=datetime.now(UTC)))
    return estate


def run(dag_id: str, conf: dict[str, Any] | None = None) -> Any:
    [dag] = [dag for dag in read_dags(ROOT / "dags") if dag.dag_id == dag_id]
    return dag.test(logical_date=None, run_conf=conf)


def states(dag_run: Any) -> dict[str, str]:
    return {task.task_id: str(task.state) for task in dag_run.get_task_instances()}


def test_a_round(set_up: Path, estate_file: Path, moto: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    namespace, textfile = f"Test/{uuid4().hex}", set_up / "reelkeeper.prom"
    connection = {"conn_type": "aws", "login": "key", "password": "secret",
                  "extra": {"region_name": "us-east-1", "endpoint_url": moto.endpoint_url}}  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    estate_file.write_text(
        estate_file.read_text().replace('queue = "nvr-1"', "")
        + f'[metrics]\npublish = ["textfile", "cloudwatch"]\ntextfile = "{textfile}"\n'
        f'cloudwatch_namespace = "{namespace}"\n'
    )
    done = run("report_metrics")
    assert states(done) == dict.fromkeys(("look.any_worker", "take_stock", "alarms", "publish"), "success")  # fmt: skip
    assert str(done.state) == "success"
    with open_catalogue() as catalogue:
        assert {look.store: look.state for look in catalogue.store_health.all()} == {
            "local": "healthy", "cloud": "healthy"
        }  # fmt: skip
    up = {
        sample.labels["store"]: sample.value
        for family in parser.text_string_to_metric_families(textfile.read_text())
        if family.name == "reelkeeper_store_up"
        for sample in family.samples
    }
    assert up == {"local": 1, "cloud": 1}
    told = cloudwatch_values(moto, namespace)
    assert told["StoreUp"] == 2  # one for each store

    again = run("report_metrics")  # what stands still is not told twice
    assert str(again.state) == "success"
    assert cloudwatch_values(moto, namespace) == told


def cloudwatch_values(moto: S3Server, namespace: str) -> dict[str, int]:
    """How many values of each metric a CloudWatch was told."""
    client = boto3.client("cloudwatch", endpoint_url=moto.endpoint_url, region_name="us-east-1",
                          aws_access_key_id="key", aws_secret_access_key="secret")  # fmt: skip
    counts: dict[str, int] = {}
    for metric in client.list_metrics(Namespace=namespace)["Metrics"]:
        points = client.get_metric_statistics(
            Namespace=namespace, MetricName=metric["MetricName"], Dimensions=metric["Dimensions"],
            StartTime=datetime(2020, 1, 1, tzinfo=UTC), EndTime=datetime(2100, 1, 1, tzinfo=UTC), Period=60,
            Statistics=["SampleCount"],
        )["Datapoints"]  # fmt: skip
        name = metric["MetricName"]
        counts[name] = counts.get(name, 0) + int(sum(point["SampleCount"] for point in points))
    return counts
