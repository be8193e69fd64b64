"""The migration into a real S3 server: kills, company, servers that fail, buckets that are gone."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from demo.servers import S3Server
from reelkeeper.errors import AccessDenied, BucketNotFound, PermanentError, StoreUnavailable
from reelkeeper.migration.job import BatchResult, gate, transfer_batch, verify_batch
from reelkeeper.model import BatchId
from tests.migration.worker import LEASE, cloud_store
from tests.stores.conftest import FaultyProxy

if TYPE_CHECKING:
    from tests.migration.conftest import Archive

ROOT = Path(__file__).parents[2]


@pytest.fixture
def in_cloud(archive: "Archive", seaweedfs: S3Server, bucket_name: str) -> "Archive":
    """The archive, with a bucket of SeaweedFS as its cloud."""
    archive.stores["cloud"] = cloud_store(seaweedfs, bucket_name)
    list(archive.stores["cloud"].set_up())
    return archive


@pytest.fixture
def start(
    in_cloud: "Archive", seaweedfs: S3Server, bucket_name: str
) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts workers in processes of their own; none outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def worker(batch_id: BatchId, *, dies_after: int = 0) -> "subprocess.Popen[str]":
        task = {
            "root": str(in_cloud.root),
            "dsn": in_cloud.dsn,
            "bucket": bucket_name,
            "batch_id": str(batch_id),
            "server": asdict(seaweedfs),
            "dies_after": dies_after,
        }
        command = [sys.executable, "-m", "tests.migration.worker", json.dumps(task)]
        started.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield worker
    for process in started:
        process.kill()
        process.communicate()


def transfer(archive: "Archive", batch_id: BatchId) -> BatchResult:
    return transfer_batch(archive.estate, archive.open_catalogue, archive.open_store, batch_id, lease=LEASE)


def objects(archive: "Archive") -> int:
    return sum(1 for _ in archive.stores["cloud"].list("media/"))


def test_killed_again_and_again_and_nothing_is_lost_or_doubled(in_cloud: "Archive", start) -> None:  # type: ignore[no-untyped-def]
    segments = in_cloud.record(300, size_bytes=30_000)
    (batch,) = in_cloud.plan(interval=None).batches
    for _ in range(2):
        before = objects(in_cloud)
        dying = start(batch.id, dies_after=random.randrange(5, 100))
        assert dying.wait(timeout=60) == -signal.SIGKILL
        assert before < objects(in_cloud) < 300
    transfer(in_cloud, batch.id)
    in_cloud.assert_migrated(segments)
    assert verify_batch(in_cloud.estate, in_cloud.open_catalogue, in_cloud.open_store, batch.id).unverified == 0
    assert gate(in_cloud.estate, in_cloud.catalogue, [batch.id]).done == 300
    assert in_cloud.plan("run 2", interval=None).segments == 0


def test_two_workers_share_a_batch(in_cloud: "Archive", start) -> None:  # type: ignore[no-untyped-def]
    segments = in_cloud.record(600, size_bytes=20_000)
    (batch,) = in_cloud.plan(interval=None, batch_size=2000).batches
    workers = [start(batch.id), start(batch.id)]
    copied = [int(worker.communicate(timeout=120)[0]) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert sum(copied) == 600
    in_cloud.assert_migrated(segments)


def test_a_server_that_answers_503_for_a_while(
    in_cloud: "Archive", seaweedfs: S3Server, bucket_name: str, faulty: Callable[[str | None], FaultyProxy]
) -> None:
    segments = in_cloud.record(200)
    (batch,) = in_cloud.plan(interval=None).batches
    proxy = faulty(seaweedfs.endpoint_url)
    in_cloud.stores["cloud"] = cloud_store(replace(seaweedfs, endpoint_url=proxy.url), bucket_name)
    proxy.answer = lambda method, path, body: (503, {}, b"<Error><Code>SlowDown</Code></Error>")
    with pytest.raises(StoreUnavailable, match=r"200 of 200 segments of batch .* are left for the next try: .*503"):
        transfer(in_cloud, batch.id)
    assert len(proxy.requests) < 100
    assert in_cloud.history().get("failed", 0) <= 5 + 8
    recovers_at = time.monotonic() + 1.5  # shorter than the three tries of an object take
    proxy.answer = lambda method, path, body: (503, {}, b"") if time.monotonic() < recovers_at else None
    assert transfer(in_cloud, batch.id).succeeded == 200
    in_cloud.assert_migrated(segments)


def test_an_upload_that_is_cut_or_damaged_on_the_way(
    in_cloud: "Archive", seaweedfs: S3Server, bucket_name: str, faulty: Callable[[str | None], FaultyProxy]
) -> None:
    """The server refuses what does not fit the checksum; the next try is whole."""
    (segment,) = in_cloud.record(1)
    proxy = faulty(seaweedfs.endpoint_url)
    refused = (400, {}, b"<Error><Code>BadDigest</Code></Error>")
    times = iter([refused, refused])
    proxy.answer = lambda method, path, body: next(times, None) if method == "PUT" and "/media/" in path else None
    in_cloud.stores["cloud"] = cloud_store(replace(seaweedfs, endpoint_url=proxy.url), bucket_name)
    (batch,) = in_cloud.plan(interval=None).batches
    assert transfer(in_cloud, batch.id).succeeded == 1
    in_cloud.assert_migrated([segment])
    assert in_cloud.history() == {"succeeded": 1}


@pytest.mark.parametrize("wrong", ["bucket", "secret", "access key"])
def test_a_cloud_that_cannot_be_used(
    in_cloud: "Archive", seaweedfs: S3Server, bucket_name: str, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    segments = in_cloud.record(60)
    (batch,) = in_cloud.plan(interval=None).batches
    right = in_cloud.stores["cloud"]
    servers = {
        "bucket": seaweedfs,
        "secret": replace(seaweedfs, secret_key="not the secret"),
        "access key": replace(seaweedfs, access_key="nobody"),
    }
    in_cloud.stores["cloud"] = cloud_store(servers[wrong], f"{bucket_name}-gone" if wrong == "bucket" else bucket_name)
    expected: type[PermanentError] = BucketNotFound if wrong == "bucket" else AccessDenied
    began = time.monotonic()
    with pytest.raises(expected) as raised:
        transfer(in_cloud, batch.id)
    assert time.monotonic() - began < 10  # nothing was retried
    assert "cloud" in str(raised.value)
    assert seaweedfs.secret_key not in str(raised.value) + caplog.text
    assert in_cloud.history().get("failed", 0) <= 5 + 8
    assert in_cloud.catalogue.transfers.counts([batch.id]).claimed == 0
    in_cloud.stores["cloud"] = right
    again = in_cloud.plan(interval=None)  # finds the open ones, and those that failed anew
    for open_batch in again.batches:
        transfer(in_cloud, open_batch.id)
    in_cloud.assert_migrated(segments)


def test_a_large_object_goes_in_parts_and_is_not_left_half(in_cloud: "Archive") -> None:
    large, small = in_cloud.record(1, size_bytes=40 * 2**20), in_cloud.record(1, camera="yard")
    with (in_cloud.root / in_cloud.replicas(small[0])["disk"].path).open("ab") as grown:
        grown.write(b"more")
    path = in_cloud.root / in_cloud.replicas(large[0])["disk"].path
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"\x00")
    (batch,) = in_cloud.plan(interval=None).batches
    assert transfer(in_cloud, batch.id).failed == 2
    assert objects(in_cloud) == 0
    path.write_bytes(whole)
    assert in_cloud.plan("run 2", interval=None).batches == ()  # the source is doubted until it is checked again
    in_cloud.sql("UPDATE replicas SET state = 'available' WHERE state = 'suspicious' AND size_bytes > 1000 RETURNING 1")
    (again,) = in_cloud.plan("run 2", interval=None).batches
    transfer(in_cloud, again.id)
    assert objects(in_cloud) == 1
    in_cloud.assert_migrated(large)
