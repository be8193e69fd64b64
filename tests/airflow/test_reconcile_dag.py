"""reconcile_stores as a whole, by `dag.test()`: it repairs, asks nobody where nothing is to be asked, and refuses."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reelkeeper.model import ReplicaState
from reelkeeper.stores.body import Body
from reelkeeper_airflow.dag_index import read_dags
from reelkeeper_airflow.estate import open_store
from tests.retention.rig import CLOUD, DISK, START, Rig

LATER = START + timedelta(days=4000)
ROOT = Path(__file__).parents[2]
STRAY = "media/default/gate/2026/03/01/20260301T120000Z_00000000-0000-5000-8000-000000000000.mp4"
pytestmark = [
    pytest.mark.usefixtures("airflow_database"),
    # dag.test() is Airflow's own code: what it warns of is not ours to cure.
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture
def rig(estate: Path, estate_file: Path, catalogue_dsn: str) -> Rig:
    """The estate of the tasks, on real servers, with a local copy and a cloud copy of each of five segments."""
    text = estate_file.read_text().replace('"local"', '"disk"').replace('queue = "nvr-1"', "")
    estate_file.write_text(text.replace('tenant = "acme"', 'tenant = "default"\nrehearsal = true'))
    for name in (DISK, CLOUD):
        list(open_store(name).set_up())
    made = Rig(estate, catalogue_dsn, {name: open_store(name) for name in (DISK, CLOUD)})
    made.segments = made.record(5)  # type: ignore[attr-defined]
    return made


def run(conf: dict[str, Any]) -> Any:
    [dag] = [dag for dag in read_dags(ROOT / "dags") if dag.dag_id == "reconcile_stores"]
    return dag.test(logical_date=None, run_conf=conf)


def states(dag_run: Any) -> dict[str, str]:
    return {task.task_id: str(task.state) for task in dag_run.get_task_instances()}


def test_what_is_lost_is_repaired_above_a_hard_cap_on_orphans_too(rig: Rig, estate_file: Path) -> None:
    lost = rig.segments[0]  # type: ignore[attr-defined]
    rig.stores[CLOUD].delete([rig.replicas(lost)[CLOUD].path])
    rig.stores[DISK].write(STRAY, Body.of_bytes(b"nobody's"))  # type: ignore[arg-type]
    seen = states(run({"dry_run": False, "clock": LATER.isoformat()}))
    assert set(seen.values()) == {"success", "skipped"}
    assert all(seen[f"cloud.{task}"] == "success" for task in ("compare", "approve", "quarantine", "repair"))
    assert rig.replicas(lost)[CLOUD].state is ReplicaState.AVAILABLE
    assert rig.replicas(lost)[CLOUD].path in rig.keys(CLOUD)

    rig.stores[DISK].delete([rig.replicas(lost)[DISK].path])
    estate_file.write_text(estate_file.read_text() + "[reconcile_caps]\nsoft_count = 0\nhard_count = 0\n")
    done = run({"stores": ["disk"], "dry_run": False, "clock": (LATER + timedelta(days=1)).isoformat()})
    seen = states(done)
    assert str(done.state) == "failed"
    assert (seen["disk.compare"], seen["disk.quarantine"], seen["disk.repair"]) == ("success", "failed", "success")
    assert rig.replicas(lost)[DISK].state is ReplicaState.AVAILABLE
    assert STRAY in rig.keys(DISK, "")
