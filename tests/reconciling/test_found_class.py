"""A replica that the catalogue lacked is recorded in the class that its object has."""

from reelkeeper.model import Segment, Tier
from tests.reconciling.conftest import Scene


def test_a_replica_that_is_found_has_its_class(scene: Scene, footage: list[Segment]) -> None:
    scene.copied(footage)
    replica = scene.replicas(footage[0])["cloud"]
    scene.stores["cloud"].set_class(replica.path, "GLACIER")  # type: ignore[attr-defined]
    scene.sql("DELETE FROM replicas WHERE segment_id = %s", (str(footage[0].id),))
    assert scene.compare("cloud").row.orphans == 0
    found = scene.replicas(footage[0])["cloud"]
    assert (found.path, found.storage_class, found.tier) == (replica.path, "GLACIER", Tier.ARCHIVE)
