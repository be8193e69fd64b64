"""The DAGs as a whole, by `dag.test()`: scheduling, mapping, trigger rules, XComs and assets of the main job."""

import json
import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from demo.servers import S3Server
from reelkeeper_airflow.dag_index import read_dags
from reelkeeper_airflow.estate import open_store

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.usefixtures("airflow_database"),
    # dag.test() is Airflow's own code: what it warns of is not ours to cure.
    pytest.mark.filterwarnings("default"),
]


def run(dag_id: str, conf: dict[str, Any] | None = None) -> Any:
    """A run by hand, from start to end, in this process."""
    [dag] = [dag for dag in read_dags(ROOT / "dags") if dag.dag_id == dag_id]
    return dag.test(logical_date=None, run_conf=conf)


def states(dag_run: Any) -> dict[str, Counter[str]]:
    """How many task instances of each task ended in each state."""
    found: dict[str, Counter[str]] = {}
    for task in dag_run.get_task_instances():
        found.setdefault(task.task_id, Counter())[str(task.state)] += 1
    return found


def events(dag_run: Any) -> list[dict[str, Any]]:
    """The extras of the asset events that a run made."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return [
            dict(event.extra) for event in session.scalars(select(AssetEvent).filter_by(source_run_id=dag_run.run_id))
        ]


def traces(dag_run: Any) -> str:
    """All that a run left in Airflow's database: XComs, rendered fields, asset events."""
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        xcoms = [row.value for row in session.scalars(select(XComModel).filter_by(run_id=dag_run.run_id))]
        rows = session.scalars(select(RenderedTaskInstanceFields).filter_by(run_id=dag_run.run_id))
        return json.dumps([xcoms, [row.rendered_fields for row in rows], events(dag_run)], default=str)


def test_the_main_job(estate: Path, footage: Any, seaweedfs: S3Server, caplog: pytest.LogCaptureFixture) -> None:
    runs = [run("setup_estate")]
    assert set(states(runs[0])) == {
        "catalogue", "store_local.set_up", "store_local.check", "store_cloud.set_up", "store_cloud.check",
    }  # fmt: skip

    for minute in range(5):
        name = f"gate_{datetime(2026, 3, 1, 0, minute, tzinfo=UTC):%Y-%m-%dT%H-%M-%SZ}.mp4"
        shutil.copy(footage.mp4, estate / "landing" / name)
    runs.append(run("ingest_recordings"))
    assert states(runs[-1]) == {
        name: Counter(success=1)
        for name in ("recorders.plan", "recorders.ingest", "recorders.thumbnails", "summary", "check")
    }
    assert [event["ingested"] for event in events(runs[-1])] == [5]
    runs.append(run("ingest_recordings"))  # nothing is left to do
    assert (states(runs[-1])["summary"], states(runs[-1])["check"]) == (Counter(skipped=1), Counter(skipped=1))
    assert events(runs[-1]) == []

    runs.append(run("migrate_recordings", {"batch_size": 2, "percentage": 100}))
    seen = states(runs[-1])
    assert (seen["to_cloud.transfer"], seen["to_cloud.verify"]) == (Counter(success=3), Counter(success=3))
    assert (seen["to_local.transfer"], seen["to_local.verify"]) == (Counter(skipped=1), Counter(skipped=1))
    assert (seen["gate"], seen["summary"], seen["verify_segment"]) == (
        Counter(success=1), Counter(success=1), Counter(skipped=1),
    )  # fmt: skip
    assert len(list(open_store("cloud").list("media/"))) == 5
    assert [event["done"] for event in events(runs[-1])] == [5]

    runs.append(run("migrate_recordings", {"percentage": 100}))  # nothing is left to do
    assert states(runs[-1])["gate"] == Counter(skipped=1)
    first, *_ = open_store("cloud").list("media/")
    runs.append(run("migrate_recordings", {"verify": first.key.rpartition("_")[2].removesuffix(".mp4")}))
    seen = states(runs[-1])
    assert (seen["verify_segment"], seen["summary"]) == (Counter(success=1), Counter(success=1))
    assert seen["to_cloud.transfer"] == Counter(skipped=1)
    assert [str(each.state) for each in runs] == ["success"] * len(runs)
    left_behind = "".join(map(traces, runs)) + caplog.text
    assert seaweedfs.secret_key not in left_behind
    assert "media/" not in "".join(map(traces, runs))  # ids and counts, no work lists


def test_a_permanent_error_fails_the_run_at_once_and_the_summary_tells(estate: Path, footage: Any) -> None:
    from reelkeeper_airflow.operators.filesystem import FilesystemSetUpStoreOperator

    FilesystemSetUpStoreOperator(task_id="t", store="local").execute({})
    shutil.copy(footage.mp4, estate / "landing" / "gate_2026-03-01T00-00-00Z.mp4")
    run("ingest_recordings")
    failed = run("migrate_recordings", {"percentage": 100})  # there is no bucket
    seen = states(failed)
    assert str(failed.state) == "failed"
    assert seen["to_cloud.transfer"] == Counter(failed=1)
    assert (seen["gate"], seen["summary"]) == (Counter(failed=1), Counter(success=1))
    [transfer] = [task for task in failed.get_task_instances() if task.task_id == "to_cloud.transfer"]
    assert transfer.try_number == 1


def test_a_local_estate_migrates_nothing_and_succeeds(estate: Path) -> None:
    path = estate / "estate.toml"
    path.write_text(path.read_text().replace('mode = "hybrid"', 'mode = "local"').replace('cloud_store = "cloud"', ""))
    idle = run("migrate_recordings")
    assert str(idle.state) == "success"
    assert states(idle)["plan"] == Counter(skipped=1)
    assert states(idle)["summary"] == Counter(success=1)
