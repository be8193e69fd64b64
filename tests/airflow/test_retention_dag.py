"""enforce_retention as a whole, by `dag.test()`: it tells, refuses, condemns, deletes and brings back."""

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reelkeeper_airflow.dag_index import read_dags
from reelkeeper_airflow.estate import open_store
from tests.retention.rig import CLOUD, DISK, START, Rig

ROOT = Path(__file__).parents[2]
OVER = START + timedelta(days=91)
pytestmark = [
    pytest.mark.usefixtures("airflow_database"),
    # dag.test() is Airflow's own code: what it warns of is not ours to cure.
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture
def rig(estate: Path, estate_file: Path, catalogue_dsn: str) -> Rig:
    """The estate of the tasks, on real servers, with a local copy and a cloud copy of each of five segments."""
    text = estate_file.read_text().replace('"local"', '"disk"').replace('queue = "nvr-1"', "")
    text = text.replace('tenant = "acme"', 'tenant = "default"\nrehearsal = true')
    estate_file.write_text(text + "[retention_caps]\nsoft_ratio = 1.0\nhard_ratio = 1.0\n")
    for name in (DISK, CLOUD):
        list(open_store(name).set_up())
    made = Rig(estate, catalogue_dsn, {name: open_store(name) for name in (DISK, CLOUD)})
    made.segments = made.record(5, thumbnails=True)  # type: ignore[attr-defined]
    return made


def run(conf: dict[str, Any] | None = None) -> Any:
    [dag] = [dag for dag in read_dags(ROOT / "dags") if dag.dag_id == "enforce_retention"]
    return dag.test(logical_date=None, run_conf=conf)


def states(dag_run: Any) -> dict[str, str]:
    return {task.task_id: str(task.state) for task in dag_run.get_task_instances()}


def test_a_run_by_hand_only_tells(rig: Rig) -> None:
    seen = states(run({"clock": OVER.isoformat()}))
    assert seen.pop("summary") == "success"
    assert set(seen.values()) == {"skipped"}
    assert rig.condemned() == {}


def test_condemned_brought_back_condemned_again_and_deleted(rig: Rig, estate_file: Path) -> None:
    seen = states(run({"clock": OVER.isoformat(), "dry_run": False}))
    assert Counter(seen.values()) == {"success": 12, "skipped": 2}  # only bring_back is skipped
    assert Counter(rig.condemned().values()) == {"expired": 10, "thumbnail": 5}
    assert rig.history() == {}

    seen = states(run({"bring_back": "camera:gate", "dry_run": False}))
    done = ["plan", "disk.bring_back", "cloud.bring_back", "summary"]
    assert sorted(task for task, state in seen.items() if state == "success") == sorted(done)
    assert Counter(seen.values())["skipped"] == len(seen) - len(done)
    assert rig.condemned() == {}
    rig.assert_owed_is_there(rig.segments)  # type: ignore[attr-defined]

    run({"clock": OVER.isoformat(), "dry_run": False})
    done = run({"clock": (OVER + timedelta(days=2)).isoformat(), "dry_run": False})
    assert states(done)["summary"] == "success"
    assert rig.history() == {(CLOUD, "expired"): 5, (DISK, "expired"): 5, (DISK, "thumbnail"): 5}
    assert rig.keys(DISK, "") == rig.keys(CLOUD, "") == set()
    assert rig.sql("SELECT count(*) FROM segments") == [(0,)]


def test_above_a_hard_cap_nothing_is_done_in_that_store_and_the_run_fails(rig: Rig, estate_file: Path) -> None:
    rig.condemn(rig.segments[:1], CLOUD, now=OVER)  # type: ignore[attr-defined]
    estate_file.write_text(estate_file.read_text().replace("hard_ratio", "hard_count = 4\nsoft_count = 4\nhard_ratio"))
    done = run({"clock": (OVER + timedelta(days=3)).isoformat(), "dry_run": False})
    seen = states(done)
    assert str(done.state) == "failed"
    assert [seen[f"disk.{task}"] for task in ("condemn", "delete", "sweep")] == ["failed", *["upstream_failed"] * 2]
    assert [seen[f"cloud.{task}"] for task in ("condemn", "delete", "sweep")] == ["success"] * 3  # four of four left
    assert rig.history() == {(CLOUD, "expired"): 1}
    assert {store for store, _ in rig.condemned()} == {CLOUD}
    assert (len(rig.keys(CLOUD)), len(rig.keys(DISK))) == (4, 5)
