"""Airflow itself on an estate's servers: its four parts, and its REST API as we use it."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx

from demo.estate import ROOT, Servers, passed_on
from demo.ports import kept_ports
from demo.processes import HOST, StartFailed, log_tail, running, together

ADMIN = "admin"
_START_SECONDS = 180
# LocalExecutor's workers fork from the scheduler: what it has imported already, no task imports again, which would be
# a third of what most tasks do here.
_LOCAL_SETTINGS = """\
import sys

if "scheduler" in sys.argv:
    import airflow.providers.standard.operators.hitl
    import boto3
    import google.cloud.storage
    import minio
    import obstore
    import psycopg2
    import reelkeeper.retention.deleting
    import reelkeeper.migration.job
    import reelkeeper.reconciling.quarantining
    import reelkeeper.ramp
    import reelkeeper.reconciling.job
    import reelkeeper.reconciling.repairing
    import reelkeeper.restoring.job
    import reelkeeper.retention.job
    import reelkeeper.stores.filesystem
    import reelkeeper.stores.gcs
    import reelkeeper.stores.minio
    import reelkeeper.stores.s3
    import reelkeeper.retention.sweeping
    import reelkeeper.tiering.job
    import reelkeeper.verification.job
    import reelkeeper_airflow.estate
    import reelkeeper_airflow.hooks.catalogue
    import reelkeeper_airflow.hooks.gcs
    import reelkeeper_airflow.hooks.minio
    import reelkeeper_airflow.hooks.s3
"""


class TaskFailed(RuntimeError):
    """A DAG run did not succeed. The message ends with the logs of the tasks that failed."""


@dataclass(frozen=True, slots=True)
class Airflow:
    """A running Airflow: where it is and what its programs need."""

    url: str
    password: str = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)
    scheduler_pid: int

    def run(self, *arguments: str) -> str:
        """Run `airflow …` on this estate and give its output. RuntimeError with what it said when it fails."""
        done = subprocess.run([sys.executable, "-m", "airflow", *arguments], env=dict(self.environ), check=False,
                              capture_output=True, text=True)  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"airflow {' '.join(arguments)} ended with exit code {done.returncode}: {done.stderr}")
        return done.stdout


@contextmanager
def airflow(servers: Servers, *, settings: Mapping[str, str] | None = None) -> Iterator[Airflow]:
    """API server, DAG processor, scheduler (LocalExecutor), triggerer. `settings` are further AIRFLOW__… variables."""
    home, logs = servers.folder / "airflow", servers.folder / "logs"
    for folder in (home / "config", logs):
        folder.mkdir(parents=True, exist_ok=True)
    (home / "config" / "airflow_local_settings.py").write_text(_LOCAL_SETTINGS)
    passwords = home / "passwords.json"
    passwords.touch(mode=0o600)
    passwords.write_text(json.dumps({ADMIN: servers.secrets["admin_password"]}))
    with kept_ports(home, "Airflow", "logs of workers", "logs of triggers") as named:
        ports = list(named.values())
        url = f"http://{HOST}:{ports[0]}"
        environ = passed_on() | servers.environ() | _settings(servers, home, passwords, ports) | dict(settings or {})
        _migrate_database(environ, logs / "db-migrate.log")

        def part(name: str) -> AbstractContextManager["subprocess.Popen[bytes]"]:
            return running(
                name, [sys.executable, "-m", "airflow", name], log=logs / f"{name}.log", environ=environ,
                directory=home, ready=lambda: _is_healthy(url, name), start_seconds=_START_SECONDS,
                stop_seconds=2 if name == "triggerer" else 15,  # it would wait ten seconds for triggers that are gone
            )  # fmt: skip

        # A task that is queued before the API server answers fails: the scheduler comes after it. And each start is
        # some seconds of one core's work: two at a time.
        with (
            together([part("api-server"), part("dag-processor")]),
            together([part("scheduler"), part("triggerer")]) as (scheduler, _),
        ):
            yield Airflow(url, servers.secrets["admin_password"], environ, scheduler.pid)


def _settings(servers: Servers, home: Path, passwords: Path, ports: list[int]) -> dict[str, str]:
    database = servers.postgres.dsn("airflow").replace("postgresql://", "postgresql+psycopg2://")
    url = f"http://{HOST}:{ports[0]}"
    values: dict[str, dict[str, object]] = {
        "core": {
            "executor": "LocalExecutor", "parallelism": 8, "load_examples": False,
            "test_connection": "Enabled",  # off by default, as it reaches whatever is asked for; here all is loopback
            "dags_folder": ROOT / "dags", "plugins_folder": ROOT / "plugins", "fernet_key": servers.secrets["fernet"],
            "execution_api_server_url": f"{url}/execution/", "simple_auth_manager_users": f"{ADMIN}:admin",
            "simple_auth_manager_passwords_file": passwords,
        },
        "api": {
            "host": HOST, "port": ports[0], "base_url": url, "workers": 1, "secret_key": servers.secrets["api"],
        },
        "api_auth": {"jwt_secret": servers.secrets["jwt"]},
        "database": {"sql_alchemy_conn": database},
        "logging": {
            "base_log_folder": servers.folder / "task-logs",
            "worker_log_server_port": ports[1], "trigger_log_server_port": ports[2],
        },
        "dag_processor": {"refresh_interval": 30},
        "scheduler": {
            "enable_health_check": False, "scheduler_idle_sleep_time": 0.2, "scheduler_heartbeat_sec": 1,
            # How long a task may be silent, its process killed perhaps, before it counts as failed.
            "task_instance_heartbeat_timeout": 60, "task_instance_heartbeat_timeout_detection_interval": 5,
        },
        # By default a task that has ended holds its slot for up to five seconds.
        "workers": {"min_heartbeat_interval": 1, "execution_api_retries": 10},
    }  # fmt: skip
    named = {
        f"AIRFLOW__{section.upper()}__{key.upper()}": str(value)
        for section, keys in values.items()
        for key, value in keys.items()
    }
    return named | {"AIRFLOW_HOME": str(home)}


def _migrate_database(environ: Mapping[str, str], log: Path) -> None:
    with log.open("ab") as output:
        done = subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=dict(environ), check=False,
                              stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)  # fmt: skip
    if done.returncode:
        raise StartFailed(f"airflow db migrate ended with exit code {done.returncode}; {log_tail(log)}")


def _is_healthy(url: str, part: str) -> bool:
    with httpx.Client(trust_env=False, timeout=5) as client:
        health = client.get(f"{url}/api/v2/monitor/health").raise_for_status().json()
    name = {"api-server": "metadatabase", "dag-processor": "dag_processor"}.get(part, part)
    return bool(health[name]["status"] == "healthy")


class Api:
    """Airflow's REST API, signed in as the admin. It refreshes its token when it expires."""

    def __init__(self, airflow: Airflow) -> None:
        self._airflow = airflow
        self._client = httpx.Client(base_url=airflow.url, trust_env=False, timeout=120)  # on a busy machine

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._client.close()

    def request(self, method: str, path: str, **options: Any) -> Any:
        """Call `/api/v2{path}` and give the answer. RuntimeError with the server's words when it refuses."""
        answer = self._client.request(method, f"/api/v2{path}", **options)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self._sign_in()
            answer = self._client.request(method, f"/api/v2{path}", **options)
        if answer.is_error:
            raise RuntimeError(f"{method} {path} answered {answer.status_code}: {answer.text}")
        return answer.json() if answer.content else None

    def text(self, url: str) -> str:
        """What another page of the server says, to the admin. RuntimeError when it refuses."""
        self.request("GET", "/dags", params={"limit": 1})  # the token is fresh
        answer = self._client.get(url)
        if answer.is_error:
            raise RuntimeError(f"GET {url} answered {answer.status_code}: {answer.text}")
        return answer.text

    def download(self, url: str) -> bytes:
        """What an address of the server leads to, wherever that is, for the admin. RuntimeError when it refuses."""
        self.request("GET", "/dags", params={"limit": 1})  # the token is fresh
        answer = self._client.get(url, follow_redirects=True)
        if answer.is_error:
            raise RuntimeError(f"GET {url} answered {answer.status_code}: {answer.text}")
        return answer.content

    def token(self) -> str:
        """A new token of the admin's, as a browser has one in a cookie."""
        account = {"username": ADMIN, "password": self._airflow.password}
        token: str = self._client.post("/auth/token", json=account).raise_for_status().json()["access_token"]
        return token

    def _sign_in(self) -> None:
        self._client.headers["Authorization"] = f"Bearer {self.token()}"

    def dag_ids(self) -> set[str]:
        """The DAGs that the DAG processor has read so far."""
        return {dag["dag_id"] for dag in self.request("GET", "/dags", params={"limit": 100})["dags"]}

    def import_errors(self) -> list[str]:
        return [error["stack_trace"] for error in self.request("GET", "/importErrors")["import_errors"]]

    def unpause(self, dag_id: str) -> None:
        self.request("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a run by hand and give its id."""
        body = {"logical_date": None, "conf": dict(conf or {})}
        run_id: str = self.request("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"]
        return run_id

    def run_state(self, dag_id: str, run_id: str) -> str:
        """`queued`, `running`, `success` or `failed`."""
        state: str = self.request("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"]
        return state

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.request("GET", f"/dags/{dag_id}/dagRuns", params={"limit": 100})["dag_runs"]
        return found

    def tasks(self, dag_id: str, run_id: str, **filters: str | Sequence[str]) -> list[dict[str, Any]]:
        """The task instances of a run (`~`: of all), mapped ones each by itself."""
        path, params = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", {"limit": "1000", **filters}
        found: list[dict[str, Any]] = self.request("GET", path, params=params)["task_instances"]
        return found

    def answer(self, task: Mapping[str, Any], option: str) -> None:
        """Answer the question of a task that awaits input: `Approve` or `Reject`."""
        run = f"/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}"
        path = f"{run}/taskInstances/{task['task_id']}/{task['map_index']}/hitlDetails"
        self.request("PATCH", path, json={"chosen_options": [option]})

    def clear(self, task: Mapping[str, Any]) -> None:
        """Let a task instance run again, and what comes after it."""
        name = [task["task_id"], task["map_index"]] if task["map_index"] >= 0 else task["task_id"]
        body = {"dry_run": False, "dag_run_id": task["dag_run_id"], "only_failed": False, "include_downstream": True,
                "task_ids": [name]}  # fmt: skip
        self.request("POST", f"/dags/{task['dag_id']}/clearTaskInstances", json=body)

    def log(self, task: Mapping[str, Any], lines: int = 40) -> str:
        """The last lines of a task instance's latest try."""
        path = f"/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}/logs"
        answer = self.request("GET", f"{path}/{max(task['try_number'], 1)}", params={"map_index": task["map_index"]})
        events = [_readable(event) for event in answer["content"]]
        return "\n".join(events[-lines:])

    def failure(self, dag_id: str, run_id: str) -> TaskFailed:
        """What to raise for a run that failed: its failed tasks, each with its log's tail."""
        failed = [task for task in self.tasks(dag_id, run_id) if task["state"] == "failed"]
        told = [f"--- task {task['task_id']} [{task['map_index']}], last lines of its log:\n{self.log(task)}"
                for task in failed[:3]]  # fmt: skip
        return TaskFailed("\n".join([f"run {run_id!r} of {dag_id!r} failed in {len(failed)} tasks", *told]))


def _readable(event: Any) -> str:
    """One event of a log as a line: time, level, text, and what else it carries."""
    if not isinstance(event, dict):
        return str(event)
    shown = {key: value for key, value in event.items() if key in ("timestamp", "level", "event") and value}
    details = event.get("error_detail") or []
    errors = [f"  {error.get('exc_type')}: {error.get('exc_value')}" for error in details]
    return "\n".join([" ".join(map(str, (shown.get(key, "") for key in ("timestamp", "level", "event")))), *errors])
