"""Tiering on servers that know storage classes as AWS does, or none at all."""

from datetime import timedelta
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from reelkeeper.errors import ObjectArchived
from reelkeeper.migration.job import plan_migration, transfer_batch
from reelkeeper.model import StoreKind, Tier
from tests.stores.rigs import boto3_client, bucket_store, minio_access, s3_access

if TYPE_CHECKING:
    from demo.servers import S3Server
    from tests.tiering.conftest import Vault

MB = 1_000_000


@pytest.fixture
def aws(vault: "Vault", moto: "S3Server", bucket_name: str) -> "Vault":
    store = bucket_store(StoreKind.S3, bucket_name, s3_access(moto))
    list(store.set_up())
    store.name = "cloud"
    vault.stores["cloud"] = store
    return vault


def test_classes_of_aws(aws: "Vault") -> None:
    cool, cold = aws.record("cloud", 10, 40, size_bytes=MB, retention_days=900, storage_class="STANDARD")
    (old,) = aws.record("cloud", 100, size_bytes=2 * MB, retention_days=900, camera="door", storage_class="STANDARD")
    assert aws.plan().replicas == 3
    assert [(done.moved, done.failed) for done in aws.move()] == [(1, 0)] * 3  # a month each
    for segment, storage_class in ((cool, "STANDARD_IA"), (cold, "GLACIER_IR"), (old, "GLACIER")):
        replica = aws.replica(segment)
        found = aws.stores["cloud"].stat(replica.path)
        assert (replica.storage_class, found.storage_class) == (storage_class, storage_class)
        assert (found.size_bytes, found.sha256) == (replica.size_bytes, replica.checksum)
    assert aws.holds(aws.replica(cold))
    with pytest.raises(ObjectArchived):
        aws.holds(aws.replica(old))


def test_a_plan_tells_of_buckets_that_keep_what_is_moved(
    aws: "Vault", moto: "S3Server", bucket_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    aws.record("cloud", 10, size_bytes=MB, retention_days=900, storage_class="STANDARD")
    with caplog.at_level("WARNING", "reelkeeper"):
        assert aws.plan(dry_run=True).versioned == ()
        assert caplog.messages == []
        boto3_client(moto).put_bucket_versioning(Bucket=bucket_name, VersioningConfiguration={"Status": "Enabled"})
        assert aws.plan(dry_run=True).versioned == ("cloud",)
    [told] = caplog.messages
    assert "versioning is enabled in cloud: what is deleted or moved to a class stays billed" in told
    [finding] = [finding for finding in aws.stores["cloud"].check() if finding.what == "versioning"]
    assert "what is deleted or moved to a class stays billed" in finding.detail


@pytest.mark.parametrize("attests", [True, False])
def test_a_migration_writes_to_the_tier_that_retention_asks_for(aws: "Vault", attests: bool) -> None:
    """To an archive only what need not be read back."""
    kept = {
        days: aws.record("disk", 0.5, size_bytes=4 * MB, retention_days=days, camera=f"camera-{days}")[0]
        for days in (5, 25, 60, 700)
    }
    (small,) = aws.record("disk", 0.5, size_bytes=20_000, retention_days=700, camera="small")
    aws.mode = "cloud"
    type_ = type(aws.stores["cloud"])
    plan = plan_migration(aws.estate, aws.catalogue, run_id="m", interval=None, now=lambda: aws.now)
    with patch.object(type_, "attests_writes", attests):  # moto takes wrong checksums, AWS does not
        for batch in plan.batches:
            transfer_batch(aws.estate, aws.open_catalogue, aws.open_store, batch.id, now=lambda: aws.now)
    assert aws.sql("SELECT error FROM transfer_items WHERE error IS NOT NULL") == []
    found = {days: aws.replicas(segment)["cloud"] for days, segment in kept.items()}
    assert {days: replica.tier for days, replica in found.items()} == {
        5: Tier.HOT, 25: Tier.COOL, 60: Tier.COLD, 700: Tier.ARCHIVE if attests else Tier.COLD
    }  # fmt: skip
    assert aws.replicas(small)["cloud"].tier is Tier.HOT  # the overhead of an archive is twice its size
    for replica in found.values():
        assert aws.stores["cloud"].stat(replica.path).storage_class == replica.storage_class
        assert aws.estate.store("cloud").tiers[replica.tier].storage_class == replica.storage_class


def test_a_prefix_of_a_server_without_classes(vault: "Vault", seaweedfs: "S3Server", bucket_name: str) -> None:
    store = bucket_store(StoreKind.MINIO, bucket_name, minio_access(seaweedfs))
    list(store.set_up())
    store.name = "disk"
    vault.stores["disk"] = store
    (segment,) = vault.record("disk", 10, size_bytes=MB)
    before = vault.replica(segment)
    vault.plan()
    (done,) = vault.move(lease=timedelta(seconds=60))
    assert done.moved == 1
    after = vault.replica(segment)
    assert (after.path, after.tier) == (f"cool/{before.path}", Tier.COOL)
    assert vault.holds(after)
