"""Two catalogues on one bucket, as staging's and production's by a slip of configuration: nothing is touched."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
import pytest

from demo.servers import PostgresServer, S3Server
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.condemnations import Condemned
from reelkeeper.errors import StoreNotOurs, StoreUnavailable
from reelkeeper.estate_setup import set_up_store
from reelkeeper.health import check_owner
from reelkeeper.model import Key, Segment, StoreKind, StoreName
from reelkeeper.policy.retention import Reason
from reelkeeper.reconciling.repairing import plan_repairs
from reelkeeper.retention.deleting import delete_condemned
from reelkeeper.retention.sweeping import sweep_store
from reelkeeper.stores import retry
from reelkeeper.stores.filesystem import FilesystemStore
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import Owner, Store
from reelkeeper.verification.job import Scope, verify_store
from tests.reconciling.conftest import Scene
from tests.stores.rigs import boto3_client, bucket_store, minio_access

CLOUD = StoreName("cloud")


class Estate(Scene):
    """One whose stores are as setup_estate left them, and no test sets them up by the way."""

    def open_store(self, name: str) -> Store:
        return self.stores[name]


Make = Callable[[str], Estate]


@pytest.fixture
def bucket(seaweedfs: S3Server, bucket_name: str) -> Iterator[Callable[[], Store]]:
    """The bucket of both, opened anew for each."""
    yield lambda: bucket_store(StoreKind.MINIO, bucket_name, minio_access(seaweedfs))
    client = boto3_client(seaweedfs)
    with suppress(client.exceptions.ClientError):
        for found in client.list_objects_v2(Bucket=bucket_name).get("Contents", []):
            client.delete_object(Bucket=bucket_name, Key=found["Key"])
        client.delete_bucket(Bucket=bucket_name)


@pytest.fixture
def make(
    postgres: PostgresServer, _catalogue_template: str, bucket: Callable[[], Any], tmp_path: Path
) -> Iterator[Make]:
    """Makes estates that have the bucket in common, each with a catalogue and disks of its own."""
    made: list[tuple[str, Catalogue]] = []

    def one(name: str) -> Estate:
        database, root = f"estate_{uuid4().hex[:12]}", tmp_path / name
        postgres.create_database(database, template=_catalogue_template)
        dsn = postgres.dsn(database)
        catalogue = Catalogue(lambda: psycopg2.connect(dsn))
        made.append((database, catalogue))
        stores: dict[str, Any] = {
            folder: FilesystemStore(StoreName(folder), root / folder) for folder in ("disk", "reports")
        }
        cloud = bucket()
        cloud.name = CLOUD
        estate = Estate(catalogue, dsn, root / "disk", {**stores, "cloud": cloud})
        for store in stores.values():
            set_up_store(store, catalogue)
        return estate

    yield one
    for database, catalogue in made:
        catalogue.close()
        postgres.drop_database(database)


def ways(estate: Estate) -> list[Callable[[], object]]:
    """Every job that may take something away, or conclude that it is gone."""
    later = {"run_id": "run", "now": datetime.now(UTC) + timedelta(days=400)}
    jobs = estate.estate, estate.open_catalogue, estate.open_store, "cloud"
    return [
        lambda: estate.compare("cloud", days=400),
        lambda: estate.act("run", "cloud", days=400, approved=10**6),
        lambda: estate.back("cloud"),
        lambda: plan_repairs(*jobs, **later),
        lambda: delete_condemned(*jobs, **later),
        lambda: sweep_store(
            estate.estate, estate.catalogue, estate.stores["cloud"], ahead=timedelta(days=400), **later
        ),
        lambda: verify_store(*jobs, Scope(everything=True), run_id="run", started=later["now"]),
    ]


def condemn(estate: Estate, path: str) -> None:
    doomed = [Condemned(CLOUD, Key(path), Reason.ORPHAN, 1)]
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    estate.catalogue.condemnations.condemn(doomed, run_id="run", now=long_ago, delete_after=long_ago)


def test_two_catalogues_on_one_bucket_touch_nothing(make: Make) -> None:
    production, staging = make("production"), make("staging")
    set_up_store(production.stores["cloud"], production.catalogue)
    footage: list[Segment] = production.record(4)
    production.copied(footage)
    production.plant("temp/upload", store="cloud")
    held = production.listed("cloud")
    assert len(held) == 5
    ours, theirs = (one.catalogue.identity.find() for one in (production, staging))
    assert ours
    assert theirs
    both = f"{ours.id}.*{ours.database}.*{theirs.id}.*{theirs.database}"
    with pytest.raises(StoreNotOurs, match=both):
        set_up_store(staging.stores["cloud"], staging.catalogue)
    condemn(staging, held[0])
    for way in ways(staging):
        with pytest.raises(StoreNotOurs, match=both):
            way()
    assert staging.orphans("cloud") == {}
    assert staging.outcomes() == []
    assert production.listed("cloud") == held
    production.compare("cloud", days=0)
    production.assert_bytes(footage)
    [found] = check_owner(staging.estate.store("cloud"), staging.open_store, staging.open_catalogue)
    assert not found.ok
    assert found.cure
    # A person says that production has given it up: from now on it is staging's alone.
    set_up_store(staging.stores["cloud"], staging.catalogue, take_over=True)
    staging.compare("cloud", days=0)
    for way in ways(production)[:1]:
        with pytest.raises(StoreNotOurs, match=f"{theirs.id}.*{ours.id}"):
            way()
    assert staging.listed("cloud") == held


def test_a_bucket_of_before_markers_is_left_alone_till_it_is_set_up(make: Make) -> None:
    estate = make("production")
    list(estate.stores["cloud"].set_up())
    footage = estate.record(2)
    estate.copied(footage)
    held = estate.listed("cloud")
    condemn(estate, held[0])
    for way in ways(estate):
        with pytest.raises(StoreNotOurs, match="run the DAG setup_estate"):
            way()
    assert estate.listed("cloud") == held
    set_up_store(estate.stores["cloud"], estate.catalogue)
    estate.compare("cloud", days=0)
    assert [check.ok for check in check_owner(estate.estate.store("cloud"), estate.open_store, estate.open_catalogue)]
    estate.assert_bytes(footage)


def test_a_marker_that_cannot_be_read_is_unknown(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.record(1)
    scene.open_store("cloud")
    scene.plant("media/a", store="cloud")

    def away(_: object) -> Owner | None:
        raise StoreUnavailable("503")

    monkeypatch.setattr(MemoryStore, "owner", away)
    monkeypatch.setattr(retry, "FIRST_WAIT_SECONDS", 0.001)
    scene.catalogue.identity.make()
    estate = Estate(scene.catalogue, scene.dsn, scene.root, scene.stores)
    condemn(estate, "media/a")
    for way in ways(estate):
        with pytest.raises(StoreUnavailable, match="503"):
            way()
    assert scene.listed("cloud") == ["media/a"]


def test_a_copy_in_somebody_elses_store_is_none_to_rely_on(scene: Scene) -> None:
    """The local copy retires only while the cloud's is seen, and what is seen in another's bucket may go any time."""
    footage = scene.record(2)
    scene.copied(footage)
    scene.stores["cloud"].set_up(Owner(CLOUD, uuid4()), take_over=True)
    doomed = [scene.replicas(segment)["disk"] for segment in footage]
    now = datetime.now(UTC)
    things = [Condemned(r.store, r.path, Reason.RETIRED, r.size_bytes, r.segment_id, r.start_time) for r in doomed]
    scene.catalogue.condemnations.condemn(things, run_id="run", now=now, delete_after=now)
    jobs = scene.estate, scene.open_catalogue, scene.open_store, "disk"
    result = delete_condemned(*jobs, run_id="run", now=now)
    assert result.deleted == 0
    assert len(scene.listed("disk", "media/")) == 2
    mine = scene.catalogue.identity.make()
    scene.stores["cloud"].set_up(Owner(CLOUD, mine.id), take_over=True)
    assert delete_condemned(*jobs, run_id="run", now=now).deleted == 2
