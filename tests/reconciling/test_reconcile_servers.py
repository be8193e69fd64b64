"""On real servers: page boundaries, quarantine by server-side copies, and the store's own clock."""

import pytest

from demo.servers import S3Server
from reelkeeper.model import Key, Segment, StoreKind, StoreName
from reelkeeper.settings import StoreSettings
from reelkeeper.stores.protocols import Store
from reelkeeper.stores.registry import open_store
from tests.reconciling.conftest import Scene
from tests.stores.rigs import minio_access, s3_rig

STRAY = "media/zz/last/2026/03/01/20260301T120000Z_00000000-0000-5000-8000-000000000000.mp4"


@pytest.fixture
def cloud(scene: Scene, seaweedfs: S3Server, bucket_name: str) -> Store:
    """The scene's cloud, in SeaweedFS."""
    settings = StoreSettings(name="cloud", kind=StoreKind.MINIO, bucket=bucket_name)
    store = open_store(settings, minio_access(seaweedfs))
    list(store.set_up())
    scene.stores["cloud"] = store
    return store


@pytest.mark.usefixtures("cloud")
def test_the_whole_way_in_a_bucket(scene: Scene, footage: list[Segment]) -> None:
    scene.copied(footage)
    scene.plant(STRAY, b"nobody's", store="cloud")
    scene.stores["cloud"].delete([scene.replicas(footage[0])["cloud"].path])
    first, _ = scene.night("cloud", days=2)
    assert (first.row.objects, first.row.orphans, first.row.lost) == (12, 1, 1)
    scene.assert_bytes(footage)
    _, acted = scene.night("cloud", days=3)
    assert (acted.quarantined, acted.marked) == (1, 0)
    assert scene.listed("cloud", "quarantine/") == [f"quarantine/{STRAY}"]
    assert scene.back("cloud", path=STRAY).returned == 1
    assert b"".join(scene.stores["cloud"].read(Key(STRAY))) == b"nobody's"
    assert scene.listed("cloud", "quarantine/") == []
    for days in (6, 7, 50):
        scene.night("cloud", days=days)
    assert len(scene.listed("cloud")) == 12
    scene.assert_bytes(footage)


@pytest.mark.parametrize("objects", [4, 5, 6, 9, 10, 11])
def test_no_page_is_skipped(scene: Scene, moto: S3Server, bucket_name: str, objects: int) -> None:
    """Pages of five: one object more, one less."""
    store = s3_rig(moto, bucket_name, attests_writes=None).store
    list(store.set_up())
    store.name = StoreName("cloud")
    scene.stores["cloud"] = store
    segments = scene.record(objects - 1)
    scene.copied(segments)
    scene.plant(STRAY, store="cloud")  # the last of the last page
    found = scene.compare("cloud")
    assert (found.row.objects, found.row.lost, found.row.orphans) == (objects, 0, 1)
    assert scene.findings(found) == [("orphan", STRAY)]
