"""The catalogue's storage class is the object's, whatever happened between the change and its record."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock, patch

import pytest

from reelkeeper.catalogue.tier_moves import TierMoves
from reelkeeper.catalogue.transfers import Transfers
from reelkeeper.errors import AccessDenied
from reelkeeper.migration.job import BatchResult, plan_migration, summarise, transfer_batch
from reelkeeper.model import ReplicaState, Segment, StoreKind, Tier, TimeRange
from reelkeeper.policy.rollout import Percentage
from reelkeeper.pricing import price_lists
from reelkeeper.settings import Estate, Placement, StoreSettings, TierPlace
from reelkeeper.tiering.choices import TieredStore

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


def test_what_a_killed_run_began_and_nobody_took_up_is_recorded_by_the_plan_that_drops_it(vault: "Vault") -> None:
    segment = begun(vault)
    vault.sql("UPDATE tier_moves SET updated_at = now() - interval '8 d', claimed_until = now() - interval '8 d'")
    vault.plan("run 2", dry_run=True)
    assert not is_told(vault, segment)
    assert vault.plan("run 2").replicas == 0
    assert vault.catalogue.tier_moves.counts("run 1").dropped == 1
    assert is_told(vault, segment)


def test_a_stale_move_whose_store_is_away_is_left_to_verification(
    vault: "Vault", monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = begun(vault)
    vault.sql("UPDATE tier_moves SET updated_at = now() - interval '8 d', claimed_until = now() - interval '8 d'")
    monkeypatch.setattr(type(vault.stores["cloud"]), "stat", MagicMock(side_effect=AccessDenied("no")))
    vault.plan("run 2")
    assert vault.replica(segment).storage_class == "STANDARD"


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


def test_a_migration_that_meets_what_a_killed_one_wrote_records_its_class(
    vault: "Vault", caplog: pytest.LogCaptureFixture
) -> None:
    (segment,) = vault.record("disk", 1, size_bytes=20_000_000, retention_days=1000)
    plan = plan_migration(
        vault.estate, vault.catalogue, run_id="m", interval=None, percentage=Percentage(10000), now=lambda: vault.now
    )

    def migrate(lease: timedelta) -> BatchResult:
        return transfer_batch(vault.estate, vault.open_catalogue, vault.open_store, plan.batches[0].id,
                              now=lambda: vault.now, lease=lease)  # fmt: skip

    with patch.object(Transfers, "finish", side_effect=Killed), pytest.raises(Killed):
        migrate(timedelta(milliseconds=1))
    vault.sql("UPDATE cameras SET retention_days = 60")  # for which it would not go to the archive
    sleep(0.05)
    with caplog.at_level("WARNING", "reelkeeper.migration.batch"):
        assert migrate(timedelta(seconds=30)).archived == 1
    assert "1 replicas of batch" in caplog.text  # that must be restored before they can be read
    copy = vault.replicas(segment)["cloud"]
    assert (copy.storage_class, copy.tier) == ("GLACIER", Tier.ARCHIVE)
    assert vault.stores["cloud"].stat(copy.path).storage_class == "GLACIER"
    assert summarise(vault.catalogue, [plan.batches[0].id]).archived == 1  # whichever try wrote it


def test_sources_that_are_archived_are_left_out_and_counted(vault: "Vault") -> None:
    """The cloud's footage to a disk: what is in an archive class cannot be read before it is restored."""
    vault.record("cloud", 10, 11)
    archived = vault.record("cloud", 12, 13, 14, tier=Tier.ARCHIVE, storage_class="GLACIER")
    vault.catalogue.transfers.request([(archived[0].id, archived[0].start_time)], 20, "read")

    def plan(**more: Any) -> tuple[int, int]:
        found = plan_migration(
            vault.estate, vault.catalogue, run_id="m", source="cloud", destination="second", now=lambda: vault.now,
            **{"interval": None, "dry_run": True, **more},
        )  # fmt: skip
        return found.segments, found.archived_segments

    assert plan() == (2, 3)
    assert plan(interval=TimeRange(archived[1].start_time, vault.now)) == (2, 2)
    vault.sql(
        "UPDATE replicas SET readable_until = now() + interval '1 h' WHERE segment_id = %s", (str(archived[1].id),)
    )
    assert plan(dry_run=False) == (3, 2)
    vault.sql("UPDATE replicas SET state = 'suspicious' WHERE storage_class = 'GLACIER'")
    assert plan() == (0, 0)


def test_a_store_that_is_anothers_tier_goes_on_from_the_tier_of_its_own() -> None:
    own = {Tier.HOT: TierPlace(usd_per_gb_month=Decimal("0.05")), Tier.COLD: TierPlace(store="cloud")}
    estate = Estate(
        stores=(StoreSettings(name="disk", kind=StoreKind.FILESYSTEM, root=Path("/disk"), price_list="own", tiers=own),
                StoreSettings(name="cloud", kind=StoreKind.S3, bucket="recordings")),
        placement=Placement(mode="hybrid", local_store="disk", cloud_store="cloud"),
    )  # fmt: skip
    target = TieredStore(estate, price_lists(estate), estate.store("disk")).target(Tier.COLD)
    assert target is not None
    assert (target.storage_class, target.recorded_tier) == ("STANDARD", Tier.HOT)


def test_a_repaired_replica_is_as_old_as_its_repair(vault: "Vault") -> None:
    (segment,) = vault.record("cloud", 120, size_bytes=600_000, retention_days=5000, tier=Tier.COOL,
                              storage_class="STANDARD_IA", days_in_tier=100)  # fmt: skip
    vault.sql("UPDATE replicas SET state = 'lost'")
    vault.catalogue.repairs.find([replace(vault.replica(segment), state=ReplicaState.AVAILABLE, verified_at=vault.now)])
    (waiting,) = vault.plan().refused
    assert waiting.found.outcome == "waits"  # it is billed anew for the minimum duration of its class
