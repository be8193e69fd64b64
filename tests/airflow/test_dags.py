"""Every DAG can be read, quickly, and has what its operators (the people) need: form, runbook, retries, pools."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import CronDataIntervalTimetable

from reelkeeper_airflow.dag_index import index, read_dags
from reelkeeper_airflow.failures import TASK_DEFAULTS, alert

ROOT = Path(__file__).parents[2]
DAGS = {
    "advance_rollout",
    "check_catalogue",
    "enforce_retention",
    "generate_export",
    "ingest_recordings",
    "migrate_recordings",
    "reconcile_stores",
    "recount_tallies",
    "report_estate",
    "report_metrics",
    "restore_recordings",
    "setup_estate",
    "tier_recordings",
    "verify_replicas",
}
# Everything that takes long to import, or that a task may need and a DAG file must not.
HEAVY = ("av", "boto3", "botocore", "google", "great_expectations", "minio", "numpy", "obstore", "pandas", "psycopg2",
         "reelkeeper.catalogue", "reelkeeper.media", "reelkeeper.stores")  # fmt: skip


@pytest.fixture
def dags(estate_file: Path) -> list[Any]:
    return read_dags(ROOT / "dags")


def tasks(dags: list[Any]) -> Iterator[tuple[str, Any]]:
    for dag in dags:
        for task in dag.tasks:
            yield f"{dag.dag_id}.{task.task_id}", task


def test_all_are_read(dags: list[Any]) -> None:
    assert {dag.dag_id for dag in dags} == DAGS
    assert {path.stem for path in (ROOT / "dags").glob("*.py")} == DAGS


def test_all_have_a_runbook_and_an_owner(dags: list[Any]) -> None:
    for dag in dags:
        assert "**Danger**" in dag.doc_md
        assert "**By hand**" in dag.doc_md
        assert "**Recover**" in dag.doc_md
        assert "reelkeeper" in dag.tags
        assert dag.owner_links
        assert not dag.catchup


def test_every_param_is_described_and_has_a_valid_default(dags: list[Any]) -> None:
    for dag in dags:
        dag.params.validate()
        for name in dag.params:
            param = dag.params.get_param(name)
            assert param.description, f"{dag.dag_id}: {name}"
            assert "type" in param.schema, f"{dag.dag_id}: {name}"


def test_the_examples_of_runbooks_are_fields_that_there_are(dags: list[Any]) -> None:
    """Those in a DAG's own docstring, and those of docs/operations.md, which names the DAG before or after them."""
    fields = {dag.dag_id: set(dag.params) for dag in dags}
    found = 0
    for dag in dags:
        for conf in confs(dag.doc_md):
            found += 1
            assert set(conf) <= fields[dag.dag_id], f"{dag.dag_id}: {conf}"
    for conf in confs((ROOT / "docs/operations.md").read_text(encoding="utf-8")):
        found += 1
        assert any(set(conf) <= of for of in fields.values()), conf
    assert found > 25


def confs(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in code: `{...}` on one line or several, in blocks and after --conf."""
    for code in re.findall(r"`([^`]*\{[^`]*\})'?`|^(\{.*?\})$|--conf '(\{.*?\})'", text, re.MULTILINE | re.DOTALL):
        conf = next(filter(None, code))
        conf = conf[conf.index("{") :].rstrip("'")
        if conf.startswith(("{}", '{"')) and not conf.startswith(('{"username"', '{"chosen_options"')):
            yield json.loads(conf)


def test_every_task_is_tried_again_and_alerts(dags: list[Any]) -> None:
    for name, task in tasks(dags):
        assert task.retries == TASK_DEFAULTS["retries"], name
        assert task.retry_exponential_backoff, name
        assert task.retry_policy is TASK_DEFAULTS["retry_policy"], name
        assert alert in task.on_failure_callback, name


def test_tasks_that_move_bytes_have_their_stores_pool_and_queue(dags: list[Any]) -> None:
    placed = {name: (task.pool, task.queue) for name, task in tasks(dags)}
    assert placed["migrate_recordings.to_cloud.transfer"] == ("store_cloud", "nvr-1")  # it reads the local disk
    assert placed["migrate_recordings.to_cloud.verify"] == ("store_cloud", "default")
    assert placed["migrate_recordings.to_local.transfer"] == ("store_local", "nvr-1")
    assert placed["migrate_recordings.verify_segment"][1] == "nvr-1"
    assert placed["generate_export.cut"] == ("store_cloud", "nvr-1")  # it reads the local disk in place
    assert placed["setup_estate.store_local.set_up"] == ("store_local", "nvr-1")
    assert placed["setup_estate.store_cloud.check"] == ("store_cloud", "default")
    assert placed["ingest_recordings.recorders.ingest"] == ("store_local", "nvr-1")
    assert placed["ingest_recordings.recorders.thumbnails"] == ("store_local", "nvr-1")


def test_a_failed_gate_fails_the_run_although_the_summary_always_runs(dags: list[Any]) -> None:
    [migrate] = [dag for dag in dags if dag.dag_id == "migrate_recordings"]
    assert migrate.get_task("summary").is_teardown
    assert not migrate.get_task("summary").on_failure_fail_dagrun


@pytest.mark.parametrize(("interval", "cron"), [("hour", "0 * * * *"), ("day", "0 0 * * *")])
def test_a_migration_takes_the_interval_that_the_estate_wants(estate_file: Path, interval: str, cron: str) -> None:
    estate_file.write_text(f'{estate_file.read_text()}[migration]\ninterval = "{interval}"\n')
    [migrate] = [dag for dag in read_dags(ROOT / "dags") if dag.dag_id == "migrate_recordings"]
    assert migrate.timetable == CronDataIntervalTimetable(cron, timezone="UTC")


def test_a_plan_without_work_can_skip_every_other_task_of_its_run(dags: list[Any]) -> None:
    [migrate] = [dag for dag in dags if dag.dag_id == "migrate_recordings"]
    after = migrate.get_task("plan").get_flat_relative_ids(upstream=False)
    assert after == set(migrate.task_ids) - {"plan"}


def test_nothing_heavy_is_imported_to_read_them(estate_file: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from airflow.dag_processing.dagbag import BundleDagBag;"
        "before = set(sys.modules);"
        "from reelkeeper_airflow.dag_index import read_dags; read_dags(Path('dags').resolve());"
        f"print([name for name in {HEAVY} if name in set(sys.modules) - before])"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, env=dict(os.environ), text=True,
                          capture_output=True, check=True)  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_index_is_current(dags: list[Any]) -> None:
    written = (ROOT / "docs" / "dags.md").read_text(encoding="utf-8")
    assert written == index(dags), "run: python -m reelkeeper_airflow.dag_index docs/dags.md"


def test_a_wrong_estate_is_told_where_dags_are_read(estate_file: Path) -> None:
    estate_file.write_text(estate_file.read_text().replace('mode = "hybrid"', 'mode = "both"'))
    with pytest.raises(RuntimeError, match=r"placement\.mode"):
        read_dags(ROOT / "dags")
