"""Tiering from plan to summary: what moves, what stays and why, and that nothing is lost on the way."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from unittest.mock import patch
from uuid import uuid4

import pytest

from reelkeeper.catalogue.tier_moves import TierMoves
from reelkeeper.errors import BucketNotFound, ConfigurationError, GateFailed, StoreNotOurs, StoreUnavailable
from reelkeeper.model import ReplicaState, StoreName, Tier
from reelkeeper.policy.costs import move_cost
from reelkeeper.policy.prices import load_prices, shipped_prices
from reelkeeper.settings import TierPlace
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import Owner
from reelkeeper.tiering.choices import KEPT_DAYS
from reelkeeper.tiering.job import gate, reject, summarise

if TYPE_CHECKING:
    from tests.tiering.conftest import Vault

MB = 1_000_000
AWS = load_prices(shipped_prices())["aws:us-east-1"]


class Killed(BaseException):
    """What a kill is to the code."""


def test_a_class_changes_in_place_and_is_recorded(vault: "Vault") -> None:
    (segment,) = vault.record("cloud", 10, size_bytes=2 * MB, storage_class="STANDARD")
    plan = vault.plan()
    (move,) = plan.moves
    assert (move.from_tier, move.to_tier, move.replicas) == (Tier.HOT, Tier.COOL, 1)
    before = vault.replica(segment)
    (done,) = vault.move()
    assert (done.moved, done.failed, done.moved_bytes) == (1, 0, 2 * MB)
    after = vault.replica(segment)
    assert (after.tier, after.storage_class, after.path) == (Tier.COOL, "STANDARD_IA", before.path)
    assert after.tier_since == vault.now
    assert vault.stores["cloud"].stat(after.path).storage_class == "STANDARD_IA"
    assert vault.holds(after)
    assert gate(vault.estate, vault.catalogue, run_id="run 1").done == 1
    summary = summarise(vault.catalogue, run_id="run 1")
    assert [each.saving_usd for each in summary.done] == [pytest.approx(move.saving_usd)]
    assert vault.sql("SELECT count(*) FROM condemnations") == [(0,)]


def test_figures_are_those_of_the_cost_model(vault: "Vault") -> None:
    vault.record("cloud", 10, size_bytes=2 * MB, storage_class="STANDARD")
    (move,) = vault.plan().moves
    assert 80 in KEPT_DAYS  # of 90 days
    expected = move_cost(AWS.of("STANDARD"), AWS.of("STANDARD_IA"), size_bytes=2 * MB, days_in_class=10, days_kept=80)
    assert move.one_off_usd == pytest.approx(float(expected.one_off_usd))
    assert move.saving_usd == pytest.approx(float(expected.saving_usd))


def test_what_loses_money_stays_and_the_figures_say_so(vault: "Vault") -> None:
    vault.record("cloud", 10, size_bytes=100_000, retention_days=20, storage_class="STANDARD")
    plan = vault.plan()
    assert (plan.batches, plan.moves) == ((), ())
    (refusal,) = plan.refused
    assert (refusal.found.outcome, refusal.found.replicas) == ("loses", 1)
    assert "100000 bytes, kept for 10 more days" in refusal.why
    assert "STANDARD_IA bills at least 30 days" in refusal.why


def test_it_moves_once_to_the_coldest_that_pays(vault: "Vault") -> None:
    """Old footage goes straight from HOT; GLACIER pays at once, as nothing must be read out of a class with a fee."""
    (old,) = vault.record("cloud", 100, size_bytes=20 * MB, retention_days=1000, storage_class="STANDARD")
    (small,) = vault.record(
        "cloud", 101, size_bytes=90_000, retention_days=400, camera="door", storage_class="STANDARD"
    )
    vault.plan()
    vault.move()
    assert vault.replica(old).storage_class == "GLACIER"
    assert vault.replica(small).tier is Tier.HOT  # 40 KB on top of 90, 128 KB at least elsewhere


def test_what_is_billed_for_its_class_anyway_waits(vault: "Vault") -> None:
    (segment,) = vault.record(
        "cloud",
        35,
        size_bytes=50 * MB,
        retention_days=400,
        tier=Tier.COOL,
        storage_class="STANDARD_IA",
        days_in_tier=10,
    )
    (refusal,) = vault.plan().refused
    assert refusal.found.outcome == "waits"
    vault.now += timedelta(days=21)
    assert [move.to_tier for move in vault.plan("later").moves] == [Tier.COLD]
    vault.move("later")
    assert vault.replica(segment).storage_class == "GLACIER_IR"


def test_held_footage_stays_readable(vault: "Vault") -> None:
    (held,) = vault.record(
        "cloud", 100, size_bytes=20 * MB, retention_days=1000, camera="door", storage_class="STANDARD"
    )
    (other,) = vault.record("cloud", 100, size_bytes=20 * MB, retention_days=1000, storage_class="STANDARD")
    vault.sql("INSERT INTO locks (id, kind, camera_id, reason, created_by) VALUES (gen_random_uuid(), 'legal_hold', %s,"
              " 'case 7', 'me')", (str(held.camera_id),))  # fmt: skip
    vault.plan()
    vault.move()
    assert vault.replica(other).tier is Tier.ARCHIVE
    assert vault.replica(held).tier is Tier.COLD


def test_a_hold_that_comes_after_the_plan_keeps_it_readable(vault: "Vault") -> None:
    (segment,) = vault.record("cloud", 100, size_bytes=20 * MB, retention_days=1000, storage_class="STANDARD")
    vault.plan()
    vault.sql("INSERT INTO locks (id, kind, segment_id, reason, created_by)"
              " VALUES (gen_random_uuid(), 'legal_hold', %s, 'case 7', 'me')", (str(segment.id),))  # fmt: skip
    (done,) = vault.move()
    assert (done.moved, done.dropped) == (0, 1)
    assert vault.replica(segment).storage_class == "STANDARD"


def test_doubted_restored_and_moving_replicas_are_left_alone(vault: "Vault") -> None:
    first, second, third, fourth = vault.record("cloud", 10, 11, 12, 13, size_bytes=MB, storage_class="STANDARD")
    vault.sql("UPDATE replicas SET state = 'suspicious', suspected_at = now() WHERE segment_id = %s", (str(first.id),))
    vault.sql("UPDATE replicas SET readable_until = %s WHERE segment_id = %s",
              (vault.now + timedelta(days=1), str(second.id)))  # fmt: skip
    vault.sql("INSERT INTO restores (segment_id, start_time, store, path, speed, days, size_bytes, cost_usd, run_id,"
              " planned_at) VALUES (%s, %s, 'cloud', 'a', 'bulk', 1, 1, 0, 'r', now())",
              (str(third.id), third.start_time))  # fmt: skip
    assert vault.plan("dry", dry_run=True).replicas == 1
    assert vault.plan().replicas == 1
    assert vault.plan("another").replicas == 0  # it is under way
    vault.move()
    assert vault.replica(fourth).tier is Tier.COOL
    assert vault.replica(second).tier is Tier.HOT


def test_retirement_is_known_to_the_cost_model(vault: "Vault") -> None:
    leaving, staying = vault.record("disk", 10, 11)
    vault.sql("UPDATE replicas SET retire_after = %s WHERE segment_id = %s", (vault.now, str(leaving.id)))
    plan = vault.plan()
    assert (plan.replicas, [each.found.outcome for each in plan.refused]) == (1, ["loses"])
    vault.move()
    assert vault.replica(staying).path.startswith("cool/media/")


def test_a_prefix_gets_a_copy_and_the_old_object_is_condemned(vault: "Vault") -> None:
    (segment,) = vault.record("disk", 10)
    before = vault.replica(segment)
    vault.plan()
    vault.move()
    after = vault.replica(segment)
    assert (after.store, after.path, after.tier) == ("disk", f"cool/{before.path}", Tier.COOL)
    assert vault.holds(after)
    assert vault.holds(before)  # until the deletion engine comes
    assert vault.pointed(segment) == ("disk", after.path)
    grace = timedelta(hours=vault.estate.retention.grace_hours)
    assert vault.sql("SELECT store, path, reason, delete_after FROM condemnations") == [
        ("disk", before.path, "moved", vault.now + grace)
    ]


@pytest.mark.parametrize("start", [Tier.HOT, Tier.COOL])
def test_another_store_gets_the_replica(vault: "Vault", start: Tier) -> None:
    (segment,) = vault.record("disk", 40)
    if start is Tier.COOL:
        vault.tiering = vault.tiering.model_copy(update={"moves": vault.tiering.moves[:1]})
        vault.plan("cool")
        vault.move("cool")
        vault.tiering = type(vault.tiering)()
    before = vault.replica(segment)
    vault.plan()
    vault.move()
    after = vault.replica(segment)
    assert (after.store, after.tier) == ("second", Tier.COLD)
    assert after.path == before.path.removeprefix("cool/")
    assert vault.holds(after)
    assert vault.pointed(segment) == ("second", after.path)
    assert ("disk", before.path) in vault.sql("SELECT store, path FROM condemnations")


def test_nothing_moves_by_copy_out_of_a_store_that_deletes_nothing(vault: "Vault") -> None:
    vault.record("disk", 10)
    vault.disk = {"deletion": "forbidden"}
    plan = vault.plan()
    assert plan.replicas == 0
    assert "deletion is forbidden" in plan.barred[0]


def test_mode_local_leaves_the_cloud_alone(vault: "Vault") -> None:
    (segment,) = vault.record("cloud", 10, size_bytes=MB, storage_class="STANDARD")
    vault.plan()
    vault.mode = "local"
    (done,) = vault.move()
    assert "placement.mode is 'local'" in str(done.barred)
    assert vault.replica(segment).storage_class == "STANDARD"
    assert vault.plan("another").replicas == 0
    gate(vault.estate, vault.catalogue, run_id="run 1", stopped=True)
    vault.mode = "hybrid"
    vault.move()
    assert vault.replica(segment).tier is Tier.COOL


@pytest.mark.parametrize("where", ["cloud", "disk", "second"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_around_the_record_loses_nothing_and_the_next_try_finishes(
    vault: "Vault", where: str, moment: str
) -> None:
    store = "disk" if where == "second" else where
    segments = vault.record(store, *(40 if where == "second" else 10 for _ in range(1)), size_bytes=600_000,
                            storage_class="STANDARD" if where == "cloud" else None)  # fmt: skip
    vault.plan()
    place = TierMoves.place

    def killed(self: TierMoves, *args: object, **more: object) -> object:
        if moment == "after":
            place(self, *args, **more)  # type: ignore[arg-type]
        raise Killed

    with patch.object(TierMoves, "place", killed), pytest.raises(Killed):
        vault.move(lease=timedelta(milliseconds=1))
    for segment in segments:
        assert all(vault.holds(each) for each in vault.replicas(segment).values())
    vault.move(lease=timedelta(milliseconds=50))
    for segment in segments:
        after = vault.replica(segment)
        assert after.tier is (Tier.COLD if where == "second" else Tier.COOL)
        assert vault.holds(after)
    assert vault.catalogue.tier_moves.counts("run 1").done == len(segments)
    assert vault.sql("SELECT count(*) FROM condemnations") == [(0 if where == "cloud" else len(segments),)]


def test_a_move_that_fails_leaves_the_old_copy_and_says_why(vault: "Vault") -> None:
    (good, bad) = vault.record("disk", 10, 11)
    before = vault.replica(bad)
    vault.plan()
    (vault.root / "disk" / f"cool/{before.path}").parent.mkdir(parents=True, exist_ok=True)
    (vault.root / "disk" / f"cool/{before.path}").write_bytes(b"something else")
    (done,) = vault.move()
    assert (done.moved, done.failed) == (1, 1)
    assert vault.replica(bad) == before
    assert vault.holds(before)
    (failure,) = summarise(vault.catalogue, run_id="run 1").failures
    assert failure.error_code == "object_exists"
    with pytest.raises(GateFailed, match="1 of 2 moves failed"):
        gate(vault.estate, vault.catalogue, run_id="run 1")
    assert vault.replica(good).tier is Tier.COOL
    assert vault.plan("run 2").replicas == 0  # it rests, and does not fail every run
    vault.sql("UPDATE tier_moves SET updated_at = updated_at - interval '7 days'")
    assert vault.plan("run 3").replicas == 1


def test_an_object_that_is_gone_becomes_suspicious(vault: "Vault") -> None:
    (segment,) = vault.record("cloud", 10, size_bytes=MB, storage_class="STANDARD")
    vault.plan()
    vault.stores["cloud"].delete([vault.replica(segment).path])
    (done,) = vault.move()
    assert done.failed == 1
    assert vault.replica(segment).state is ReplicaState.SUSPICIOUS


def test_a_store_that_is_down_fails_no_move(vault: "Vault") -> None:
    segments = vault.record("cloud", *range(10, 20), size_bytes=MB, storage_class="STANDARD")
    (batch,) = vault.plan().batches

    def down(self: MemoryStore, key: str) -> object:
        raise StoreUnavailable("store 'cloud' answered 503")

    with (
        patch("reelkeeper.tiering.batch.retrying", lambda: lambda call, *args, **more: call(*args, **more)),
        patch.object(MemoryStore, "stat", down),
        pytest.raises(StoreUnavailable, match="left for the next try"),
    ):
        vault.work(batch.id)
    assert vault.catalogue.tier_moves.counts("run 1").pending == len(segments)
    assert vault.work(batch.id).moved == len(segments)


def test_a_bucket_that_is_gone_stops_the_batch(vault: "Vault") -> None:
    vault.record("cloud", 10, size_bytes=MB, storage_class="STANDARD")
    (batch,) = vault.plan().batches

    def gone(self: MemoryStore, key: str) -> object:
        raise BucketNotFound("bucket 'recordings' does not exist")

    with patch.object(MemoryStore, "stat", gone), pytest.raises(BucketNotFound):
        vault.work(batch.id)
    assert vault.catalogue.tier_moves.counts("run 1").pending == 1


def test_a_plan_is_frozen_until_it_is_rejected(vault: "Vault") -> None:
    vault.record("cloud", 10, size_bytes=MB, storage_class="STANDARD")
    plan = vault.plan()
    assert plan.needs_approval(Decimal("0.000001"))
    assert not plan.needs_approval(Decimal(1))
    vault.record("cloud", 11, size_bytes=MB, camera="door", storage_class="STANDARD")
    again = vault.plan()
    assert [batch.id for batch in again.batches] == [batch.id for batch in plan.batches]
    assert again.one_off_usd == plan.one_off_usd
    assert reject(vault.catalogue, run_id="run 1", why="rejected by 'me'") == 1
    assert [done.moved for done in vault.move()] == [0]
    assert vault.plan("run 2").replicas == 2


def test_more_than_one_run_takes_waits_for_the_next(vault: "Vault") -> None:
    vault.tiering = vault.tiering.model_copy(update={"batch_size": 2, "max_batches": 2})
    segments = vault.record("cloud", *range(10, 75, 10), size_bytes=MB, retention_days=400, storage_class="STANDARD")
    plan = vault.plan()
    assert (len(plan.batches), plan.replicas, plan.left) == (2, 4, len(segments) - 4)
    assert plan.left_usd == pytest.approx(3 * 0.01 / 1000)  # requests to move to STANDARD_IA
    assert plan.needs_approval(Decimal(plan.one_off_usd + 0.00001))  # slices of what nobody approved would be moved
    again = vault.plan()
    assert (again.replicas, again.left, again.left_usd) == (plan.replicas, plan.left, pytest.approx(plan.left_usd))
    vault.move()
    moved = [segment for segment in segments if vault.replica(segment).tier is not Tier.HOT]
    assert moved == segments[-4:]  # the oldest


def test_a_tier_without_a_price_is_an_error(vault: "Vault") -> None:
    vault.cloud = {"price_list": "aws:nowhere"}
    with pytest.raises(ConfigurationError, match="unknown price list 'aws:nowhere'"):
        vault.plan()


def test_two_workers_share_a_batch(vault: "Vault") -> None:
    segments = vault.record("cloud", *(10 + i / 100 for i in range(80)), size_bytes=200_000, retention_days=400,
                            storage_class="STANDARD")  # fmt: skip
    (batch,) = vault.plan().batches
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: vault.work(batch.id), range(2)))
    assert sum(result.moved for result in results) == len(segments)
    assert all(vault.replica(segment).tier is Tier.COOL for segment in segments)


def test_bytes_that_leave_the_provider_are_paid_for(vault: "Vault") -> None:
    vault.cloud = {"tiers": {Tier.COOL: TierPlace(store="second", usd_per_gb_month=Decimal("0.01"))}}
    vault.record("cloud", 10, size_bytes=MB, retention_days=140, storage_class="STANDARD")
    vault.sql("UPDATE replicas SET size_bytes = 107374182400")  # 100 GB, whose 130 days save about 5 USD
    plan = vault.plan()
    assert plan.moves == ()
    assert "9.00 USD once: loses" in plan.refused[0].why  # 100 × 0.09


@pytest.mark.parametrize("whose", ["disk", "second"])
def test_nothing_moves_out_of_or_into_a_store_that_is_somebody_elses(vault: "Vault", whose: str) -> None:
    """What is copied to another estate's store would be condemned here, and deleted there as an orphan."""
    segment, *_ = vault.record("disk", 60, 61, 62, size_bytes=10**7, retention_days=900)
    before = vault.replica(segment)
    assert vault.plan().replicas == 3
    list(vault.stores[whose].set_up(Owner(StoreName(whose), uuid4(), "theirs"), take_over=True))
    with pytest.raises(StoreNotOurs, match="theirs"):
        vault.move()
    assert vault.replica(segment) == before
    assert vault.sql("SELECT count(*) FROM condemnations") == [(0,)]
    assert [*vault.stores["second"].list()] == []
    mine = vault.catalogue.identity.make()
    list(vault.stores[whose].set_up(Owner(StoreName(whose), mine.id), take_over=True))
    vault.sql("UPDATE tier_moves SET claimed_until = now() - interval '1 s' WHERE state = 'claimed'")
    assert sum(done.moved for done in vault.move()) == 3
    assert vault.replica(segment).store == "second"
