"""The catalogue's storage class is the object's, whatever happened between the change and its record."""

from datetime import timedelta
from time import sleep
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from reelkeeper.catalogue.tier_moves import TierMoves
from reelkeeper.catalogue.transfers import Transfers
from reelkeeper.migrate import plan_migration, transfer_batch
from reelkeeper.model import ReplicaState, Segment, Tier
from reelkeeper.policy.rollout import Percentage

if TYPE_CHECKING:
    from tests.tiering.conftest import Vault


class Killed(BaseException):
    """What a kill is to the code."""


def begun(vault: "Vault") -> Segment:
    """A segment whose object a killed worker has put into the archive, of which the catalogue knows nothing."""
    segment = planned(vault)
    with patch.object(TierMoves, "place", side_effect=Killed), pytest.raises(Killed):
        vault.move(lease=timedelta(milliseconds=1))
    assert vault.replica(segment).storage_class == "STANDARD"
    return segment


def planned(vault: "Vault") -> Segment:
    (segment,) = vault.record("cloud", 100, size_bytes=600_000, retention_days=1000, storage_class="STANDARD")
    assert vault.plan().replicas == 1
    return segment


def is_told(vault: "Vault", segment: Segment) -> bool:
    """Whether the catalogue says that the object is archived, as it is."""
    replica = vault.replica(segment)
    found = vault.stores["cloud"].stat(replica.path).storage_class
    return (replica.storage_class, replica.tier, found) == ("GLACIER", Tier.ARCHIVE, "GLACIER")


@pytest.mark.parametrize("meanwhile", ["hold", "mode"])
def test_what_a_killed_try_began_is_recorded_though_it_is_not_wanted_any_more(vault: "Vault", meanwhile: str) -> None:
    segment = begun(vault)
    if meanwhile == "mode":
        vault.mode = "local"
    else:
        vault.sql("INSERT INTO locks (id, kind, segment_id, reason, created_by)"
                  " VALUES (gen_random_uuid(), 'legal_hold', %s, 'case 7', 'me')", (str(segment.id),))  # fmt: skip
    (done,) = vault.move(lease=timedelta(milliseconds=50))
    assert (done.moved, done.dropped) == (1, 0)
    assert is_told(vault, segment)
    assert vault.catalogue.tier_moves.counts("run 1").done == 1


@pytest.mark.parametrize("state", ["suspicious", "condemned"])
def test_a_class_that_changed_is_recorded_though_the_replica_is_not_available_any_more(
    vault: "Vault", state: str
) -> None:
    segment, place = planned(vault), TierMoves.place

    def after_all(self: TierMoves, *args: object, **more: object) -> object:
        vault.sql("UPDATE replicas SET state = %s", (state,))
        return place(self, *args, **more)  # type: ignore[arg-type]

    with patch.object(TierMoves, "place", after_all):
        vault.move()
    assert vault.replica(segment).state is ReplicaState(state)
    assert is_told(vault, segment)


def test_a_migration_that_meets_what_a_killed_one_wrote_records_its_class(vault: "Vault") -> None:
    (segment,) = vault.record("disk", 1, size_bytes=20_000_000, retention_days=1000)
    plan = plan_migration(
        vault.estate, vault.catalogue, run_id="m", interval=None, percentage=Percentage(10000), now=lambda: vault.now
    )

    def migrate(lease: timedelta) -> None:
        transfer_batch(vault.estate, vault.open_catalogue, vault.open_store, plan.batches[0].id,
                       now=lambda: vault.now, lease=lease)  # fmt: skip

    with patch.object(Transfers, "finish", side_effect=Killed), pytest.raises(Killed):
        migrate(timedelta(milliseconds=1))
    vault.sql("UPDATE cameras SET retention_days = 60")  # for which it would not go to the archive
    sleep(0.05)
    migrate(timedelta(seconds=30))
    copy = vault.replicas(segment)["cloud"]
    assert (copy.storage_class, copy.tier) == ("GLACIER", Tier.ARCHIVE)
    assert vault.stores["cloud"].stat(copy.path).storage_class == "GLACIER"
