"""tier_recordings as a whole, by `dag.test()`: it tells, asks, moves, and says what it saved."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
import pytest

from demo.segments import ingested
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.model import BatchId, Camera, Replica, Segment, StoreName, Tenant, Tier, camera_id, segment_id
from reelkeeper.stores.body import Body
from reelkeeper_airflow.dag_index import read_dags
from reelkeeper_airflow.estate import open_catalogue, open_store
from tests.owning import owned

ROOT = Path(__file__).parents[2]
START = datetime(2026, 3, 1, tzinfo=UTC)
CLOCK = START + timedelta(days=10)
pytestmark = [
    pytest.mark.usefixtures("airflow_database"),
    # dag.test() is Airflow's own code: what it warns of is not ours to cure.
    pytest.mark.filterwarnings("default"),
]
_TIERS = """
[stores.tiers.HOT]
usd_per_gb_month = 0.05
[stores.tiers.COOL]
prefix = "cool/"
usd_per_gb_month = 0.01
"""


@pytest.fixture
def segments(estate: Path, estate_file: Path, catalogue_dsn: str) -> list[Segment]:
    """Three segments on a disk that has two tiers."""
    text = estate_file.read_text().replace('queue = "nvr-1"\npool_slots = 3\n', _TIERS)
    estate_file.write_text(text.replace('tenant = "acme"', 'tenant = "acme"\nrehearsal = true'))
    store = open_store("local")
    list(store.set_up())
    tenant = Tenant("acme")
    camera = Camera(camera_id(tenant, "gate"), tenant, "gate", "Gate")
    made = []
    for minute in range(3):
        start = START + timedelta(minutes=minute)
        body = Body.of_bytes(segment_id(camera.id, start).bytes * 100)
        made.append(ingested(camera, start, timedelta(minutes=1), store=StoreName("local"), size_bytes=1600,
                             checksum=body.sha256))  # fmt: skip
        store.write(made[-1].replica.path, body)
    with Catalogue(lambda: psycopg2.connect(catalogue_dsn)) as catalogue:
        owned(store, catalogue)
        catalogue.cameras.register([camera])
        catalogue.segments.record(BatchId(uuid4()), made)
    return [each.segment for each in made]


def run(**conf: Any) -> dict[str, str]:
    """The states of the tasks; of mapped ones, that of the last."""
    [dag] = [dag for dag in read_dags(ROOT / "dags") if dag.dag_id == "tier_recordings"]
    dag_run = dag.test(logical_date=None, run_conf={"clock": CLOCK.isoformat(), **conf})
    return {task.task_id: str(task.state) for task in dag_run.get_task_instances()}


def replicas(segments: list[Segment]) -> list[Replica]:
    with open_catalogue() as catalogue:
        found = catalogue.replicas.of_segments([(each.id, each.start_time) for each in segments])
    return [replica for each in segments for replica in found[each.id]]


def test_a_run_by_hand_only_tells(segments: list[Segment]) -> None:
    seen = run()
    assert (seen["plan"], seen["summary"]) == ("skipped", "success")
    assert seen["in_local.move"] == seen["gate"] == "skipped"
    assert {each.tier for each in replicas(segments)} == {Tier.HOT}


def test_what_pays_is_moved(segments: list[Segment]) -> None:
    seen = run(dry_run=False)
    assert {seen[name] for name in ("plan", "approve", "in_local.move", "gate", "summary")} == {"success"}
    assert "in_cloud.move" not in seen  # it has no tiers
    moved = replicas(segments)
    assert {(each.tier, each.path.split("/")[0]) for each in moved} == {(Tier.COOL, "cool")}
    for each in moved:
        assert Body.of_bytes(b"".join(open_store("local").read(each.path))).sha256 == each.checksum
    assert run(dry_run=False)["plan"] == "skipped"  # nothing is left to move
