"""An estate for the Airflow side: its file, and the connections that its stores and its catalogue are opened by."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from sqlalchemy import delete, insert

from demo.servers import S3Server

Ask = Callable[..., None]
_FILE = """
name = "test"
tenant = "acme"
[[stores]]
name = "local"
kind = "filesystem"
root = "{folder}/footage"
queue = "nvr-1"
pool_slots = 3
[[stores]]
name = "cloud"
kind = "minio"
bucket = "{bucket}"
[[landing_zones]]
name = "recorders"
path = "{folder}/landing"
settle_seconds = 0
quarantine_after_minutes = 0
[placement]
mode = "hybrid"
local_store = "local"
cloud_store = "cloud"
[rollout]
percentage = 100
"""


def catalogue_connection(dsn: str) -> dict[str, Any]:
    """The Airflow connection of a catalogue, in JSON form."""
    database = urlsplit(dsn)
    return {
        "conn_type": "postgres", "host": database.hostname, "port": database.port, "login": database.username,
        "password": database.password, "schema": database.path.removeprefix("/"),
    }  # fmt: skip


@pytest.fixture
def estate_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The estate's file, which the tasks of this test read; nothing of it exists yet."""
    path = tmp_path / "estate.toml"
    path.write_text(_FILE.format(folder=tmp_path, bucket="test-bucket"))
    monkeypatch.setenv("REELKEEPER_ESTATE", str(path))
    return path


@pytest.fixture
def estate(
    estate_file: Path, catalogue_dsn: str, seaweedfs: S3Server, bucket_name: str, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The folder of an estate on real servers: a migrated catalogue, stores that are not set up, an empty zone."""
    folder = estate_file.parent
    estate_file.write_text(_FILE.format(folder=folder, bucket=bucket_name))
    for name in ("footage", "landing"):
        (folder / name).mkdir()
    for name, connection in {
        "reelkeeper_catalogue": catalogue_connection(catalogue_dsn),
        "minio_default": {
            "conn_type": "minio", "host": seaweedfs.endpoint_url, "login": seaweedfs.access_key,
            "password": seaweedfs.secret_key, "extra": {"region": seaweedfs.region},
        },
    }.items():  # fmt: skip
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
    return folder


@pytest.fixture(name="ask")
def _ask(airflow_database: None) -> Iterator[Ask]:
    """Lets a DAG ask people, at a time: its run and tasks are as Airflow leaves them while they wait."""
    from airflow.models.dag import DagModel, DagTag
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.dagrun import DagRun
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    bundle, made = uuid4().hex, set[str]()

    def ask(
        dag_id: str, *subjects: str, at: datetime, tag: str = "reelkeeper", state: str = "awaiting_input",
        responded_at: datetime | None = None,
    ) -> None:  # fmt: skip
        tasks: list[dict[str, Any]] = [
            {"id": uuid4(), "task_id": "approve", "dag_id": dag_id, "run_id": "manual__1", "map_index": place,
             "state": state, "pool": "default_pool", "pool_slots": 1}
            for place in range(len(subjects))
        ]  # fmt: skip
        details = [
            {"ti_id": task["id"], "options": ["Approve", "Reject"], "subject": subject, "params": {},
             "params_input": {}, "created_at": at + timedelta(seconds=place), "responded_at": responded_at}
            for place, (task, subject) in enumerate(zip(tasks, subjects, strict=True))
        ]  # fmt: skip
        with create_session() as session:
            if not made:
                session.add(DagBundleModel(name=bundle))
                session.flush()
            made.add(dag_id)
            session.add(DagModel(dag_id=dag_id, bundle_name=bundle, max_active_tasks=1,
                                 max_consecutive_failed_dag_runs=0, has_task_concurrency_limits=False))  # fmt: skip
            session.flush()
            session.add(DagTag(name=tag, dag_id=dag_id))
            run = {"dag_id": dag_id, "run_id": "manual__1", "run_type": "manual", "run_after": at, "clear_number": 0}
            session.execute(insert(DagRun.__table__), [run])
            session.execute(insert(TaskInstance.__table__), tasks)
            session.execute(insert(HITLDetail.__table__), details)

    yield ask
    with create_session() as session:
        for table, of in ((TaskInstance, TaskInstance.dag_id), (DagRun, DagRun.dag_id), (DagTag, DagTag.dag_id),
                          (DagModel, DagModel.dag_id)):  # fmt: skip
            session.execute(delete(table).where(of.in_(made)))
        session.execute(delete(HITLDetail))
        session.execute(delete(DagBundleModel).where(DagBundleModel.name == bundle))
