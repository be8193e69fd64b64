"""What retention condemned is retention's to delete: with its DAG paused it stays, whatever a reconciliation does."""

from datetime import UTC, datetime

from reelkeeper.catalogue.condemnations import Condemned
from reelkeeper.model import Segment, StoreName
from reelkeeper.policy.retention import Reason
from reelkeeper.stores.body import Body
from tests.reconciling.conftest import Scene

CLOUD = StoreName("cloud")


def test_a_reconciliation_deletes_nothing_that_retention_condemned(scene: Scene, footage: list[Segment]) -> None:
    scene.copied(footage)
    scene.sql("UPDATE cameras SET retention_days = 1")  # the footage is older
    condemned, damaged = scene.replicas(footage[0])["cloud"], scene.replicas(footage[1])["cloud"]
    thing = Condemned(CLOUD, condemned.path, Reason.EXPIRED, condemned.size_bytes, footage[0].id, footage[0].start_time)
    now = datetime.now(UTC)
    scene.catalogue.condemnations.condemn([thing], run_id="retention", now=now, delete_after=now)
    scene.stores["cloud"].delete([damaged.path])
    scene.stores["cloud"].write(damaged.path, Body.of_bytes(b"damaged"))
    stray = scene.plant(
        "media/default/zz/2026/03/01/20260301T120000Z_00000000-0000-5000-8000-000000000001.mp4", store="cloud"
    )
    for days in (2, 3):
        scene.night("cloud", days=days)
    scene.back("cloud")
    assert stray in scene.listed("cloud")
    assert condemned.path in scene.listed("cloud")
    assert {reason for (reason,) in scene.sql("SELECT reason FROM deletions")} <= {"moved", "orphan"}
