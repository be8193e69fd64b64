"""report_metrics and report_estate as wholes, by `dag.test()`, on real servers; what they publish is read back."""

import json
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import psycopg2
import pytest
from prometheus_client import parser

from demo.segments import ingested
from demo.servers import S3Server
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.model import BatchId, Camera, Key, Sha256, StoreName, Tenant, camera_id
from reelkeeper.policy.alarms import Reading
from reelkeeper_airflow.dag_index import read_dags
from reelkeeper_airflow.estate import open_catalogue, open_store
from reelkeeper_airflow.operators.report import PublishMetricsOperator

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
    for task in dag.tasks:
        task.retries = 0  # they would be minutes apart
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
    tasks = ("look.any_worker", "take_stock", "alarms", "tell", "publish")
    assert states(done) == dict.fromkeys(tasks, "success")
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
    more = cloudwatch_values(moto, namespace)
    for each in ("OldestLookAge", "AlarmsJudgedAge"):  # but that is: each round says that it was
        assert more.pop(each) > told.pop(each)
    assert more == told


def test_people_who_cannot_be_told_hold_up_no_metrics_and_fail_the_run(set_up: Path, estate_file: Path) -> None:
    textfile = set_up / "reelkeeper.prom"
    estate_file.write_text(
        estate_file.read_text().replace('queue = "nvr-1"', "")
        + f'[metrics]\npublish = ["textfile"]\ntextfile = "{textfile}"\n'
        '[[alarms.notify]]\nname = "people"\nkind = "webhook"\n'  # of a connection that there is not
    )
    shutil.rmtree(set_up / "footage")
    (set_up / "footage").mkdir()
    list(open_store("local").set_up())  # another disk in its place: nobody's
    failed = run("report_metrics")
    assert str(failed.state) == "failed"
    assert states(failed) == {
        "look.any_worker": "success", "take_stock": "success", "alarms": "success", "tell": "failed",
        "publish": "success",
    }  # fmt: skip
    text = textfile.read_text()
    assert 'reelkeeper_store_up{store="local"} 0' in text
    assert 'reelkeeper_alarms{alarm="store_not_ours",state="firing"} 1' in text
    assert 'reelkeeper_store_alarms{alarm="store_not_ours",store="local"} 1' in text


def test_alarms_are_judged_when_the_day_cannot_be_kept(set_up: Path, estate_file: Path, catalogue_dsn: str) -> None:
    estate_file.write_text(estate_file.read_text().replace('queue = "nvr-1"', ""))
    with closing(psycopg2.connect(catalogue_dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$;"
            "CREATE TRIGGER refuse BEFORE DELETE ON reelkeeper.usage_days EXECUTE FUNCTION refuse()"
        )
    failed = run("report_metrics")
    assert states(failed) == {
        "look.any_worker": "success", "take_stock": "failed", "alarms": "success", "tell": "success",
        "publish": "success",
    }  # fmt: skip
    assert str(failed.state) == "failed"


def test_that_alarms_cannot_be_judged_is_published(
    set_up: Path, estate_file: Path, catalogue: Catalogue, catalogue_dsn: str
) -> None:
    textfile = set_up / "reelkeeper.prom"
    estate_file.write_text(
        estate_file.read_text().replace('queue = "nvr-1"', "")
        + f'[metrics]\npublish = ["textfile"]\ntextfile = "{textfile}"\n'
    )
    judged_at = datetime.now(UTC) - timedelta(hours=2)
    catalogue.alarms.keep_well([Reading("over_budget", "", None, None, "")], now=judged_at)
    with closing(psycopg2.connect(catalogue_dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$;"
            "CREATE TRIGGER refuse BEFORE INSERT ON reelkeeper.alarms EXECUTE FUNCTION refuse()"
        )
    failed = run("report_metrics")
    assert str(failed.state) == "failed"
    assert states(failed) == {
        "look.any_worker": "success", "take_stock": "success", "alarms": "failed", "tell": "upstream_failed",
        "publish": "success",
    }  # fmt: skip
    (told,) = [
        sample.value
        for family in parser.text_string_to_metric_families(textfile.read_text())
        for sample in family.samples
        if sample.name == "reelkeeper_alarms_judged_timestamp_seconds"
    ]
    assert told == pytest.approx(judged_at.timestamp())


def test_a_report(set_up: Path, estate_file: Path) -> None:
    done = run("report_estate", {"day": "2026-01-31"})
    assert (str(done.state), states(done)) == ("success", {"write_report": "success"})
    [report] = [stat.key for stat in open_store("cloud").list("reports/")]
    assert report.startswith("reports/report_estate/2026-01-31/")
    assert b"".join(open_store("cloud").read(Key(report))).startswith(b"<!doctype html>")


def test_stores_are_looked_at_from_where_they_are_seen(estate_file: Path) -> None:
    estate_file.write_text(
        estate_file.read_text() + '[metrics]\nqueue = "monitor"\n[daily_report]\nhour = 5\n'
    )  # fmt: skip
    dags = {dag.dag_id: dag for dag in read_dags(ROOT / "dags")}
    metrics = dags["report_metrics"]
    placed = {task.task_id: (task.queue, getattr(task, "stores", None)) for task in metrics.tasks}
    assert placed["look.nvr-1"] == ("nvr-1", ["local"])
    assert placed["look.any_worker"] == ("default", ["cloud"])
    assert placed["publish"][0] == "monitor"
    # A worker that is away holds up nothing but its own look, and no run the next.
    assert metrics.get_task("look.nvr-1").downstream_task_ids == set()
    assert metrics.get_task("look.any_worker").downstream_task_ids == {"take_stock", "alarms"}
    assert metrics.dagrun_timeout < timedelta(minutes=15)
    assert dags["report_estate"].timetable.expression == "0 5 * * *"


def test_the_main_figures_go_where_airflows_own_metrics_go(
    set_up: Path, estate_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenTelemetry's own SDK, whose reader keeps in memory what it would send."""
    from airflow.sdk._shared.observability.metrics import stats
    from airflow.sdk._shared.observability.metrics.otel_logger import SafeOtelLogger
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    estate_file.write_text(estate_file.read_text() + '[metrics]\npublish = ["airflow"]\n')
    reader = InMemoryMetricReader()
    monkeypatch.setattr(stats, "_backend", SafeOtelLogger(MeterProvider([reader])))
    counts = PublishMetricsOperator(task_id="publish").execute({})
    assert counts["series"] > 50
    sent = {
        metric.name: metric.data.data_points[0].value
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert sent["airflow.reelkeeper.stored_bytes"] == 0
    assert sent["airflow.reelkeeper.rollout_ratio"] == 1
    assert {name.removeprefix("airflow.reelkeeper.") for name in sent} >= {
        "unprotected_segments", "orphans", "queued_items", "unmigrated_segments", "stores_not_up", "cameras_silent",
        "alarms_up",
    }  # fmt: skip


def test_a_statsd_server_is_told_the_main_figures(
    set_up: Path, estate_file: Path, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a task of Airflow does, by the client that its settings name; a real listener has what went over the wire."""
    from airflow.sdk._shared.observability.metrics import stats
    from airflow.sdk.observability.metrics.stats_utils import get_stats_factory

    estate_file.write_text(estate_file.read_text() + '[metrics]\npublish = ["airflow"]\n')
    camera, now = Camera(camera_id(Tenant("acme"), "gate"), Tenant("acme"), "gate", "Gate"), datetime.now(UTC)
    catalogue.cameras.upsert([camera])
    made = ingested(camera, now - timedelta(hours=2), timedelta(hours=1), store=StoreName("local"),
                    size_bytes=3 * 2**40, checksum=Sha256("0" * 64))  # fmt: skip
    catalogue.segments.record(BatchId(uuid4()), [made])
    catalogue.alarms.keep_well([Reading("over_budget", "", None, None, "")], now=now - timedelta(hours=3))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(0.5)
        host, port = listener.getsockname()
        for name, value in {"STATSD_ON": "True", "STATSD_HOST": host, "STATSD_PORT": str(port)}.items():
            monkeypatch.setenv(f"AIRFLOW__METRICS__{name}", value)
        monkeypatch.setattr(stats, "_factory", get_stats_factory())
        monkeypatch.setattr(stats, "_backend", None)
        PublishMetricsOperator(task_id="publish").execute({})
        told = dict(heard(listener))
        stats._backend.statsd.close()  # type: ignore[union-attr]
    ages = {name: told.pop(name) for name in [*told] if name.endswith("_age_seconds")}
    assert told == {
        "stored_bytes": 3 * 2**40, "unprotected_segments": 0, "orphans": 0, "queued_items": 0, "rollout_ratio": 1,
        "unmigrated_segments": 1, "stores_not_up": 0, "cameras_silent": 0, "alarms_up": 0,
    }  # fmt: skip
    assert {name: pytest.approx(age, abs=300) for name, age in ages.items()} == {
        "oldest_unmigrated_age_seconds": 7200, "alarms_judged_age_seconds": 10_800,
    }  # fmt: skip


def heard(listener: socket.socket) -> Iterator[tuple[str, float]]:
    """The gauges of ours that came, in the form that StatsD has: one in each datagram."""
    while True:
        try:
            line = listener.recv(65_536).decode("ascii")
        except TimeoutError:
            return
        found = re.fullmatch(r"airflow\.reelkeeper\.(\w+):(\d+(?:\.\d+)?(?:e\+\d+)?)\|g", line)
        assert found, line
        yield found[1], float(found[2])


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
