"""What is restored, from where, and what it costs: nothing is asked for that is not within the budget."""

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from reelkeeper.errors import BudgetExceeded, ConfigurationError
from reelkeeper.model import SegmentId, TimeRange
from reelkeeper.restoring.job import select
from tests.restoring.conftest import NOW, START

if TYPE_CHECKING:
    from tests.restoring.conftest import Vault

GIB = 2**30
CENT = Decimal("0.01")


# --- money ------------------------------------------------------------------------------------------------------------

# AWS us-east-1, https://aws.amazon.com/s3/pricing/ (2026-11-21). 20 segments of 50 GiB are 1,000 GB as AWS counts them.
# A copy for 7 days: 1,000 GB × 0.023 USD × 7 / (365 / 12) = 5.2932 USD. To that come, for 1,000 GB and 20 requests:
GOLDEN = [
    ("aws", "expedited", "35.49"),  # GLACIER: 1,000 × 0.03 + 20 × 10 / 1,000         = 30 + 0.2
    ("aws", "standard", "15.29"),   # GLACIER: 1,000 × 0.01 + 20 × 0.05 / 1,000       = 10 + 0.001
    ("aws", "bulk", "5.29"),        # GLACIER: nothing
    ("deep", "standard", "25.30"),  # DEEP_ARCHIVE: 1,000 × 0.02 + 20 × 0.1 / 1,000   = 20 + 0.002
    ("deep", "bulk", "7.79"),       # DEEP_ARCHIVE: 1,000 × 0.0025 + 20 × 0.025 / 1,000 = 2.5 + 0.0005
]  # fmt: skip


@pytest.mark.parametrize(("store", "speed", "usd"), GOLDEN)
def test_golden_costs(vault: "Vault", store: str, speed: str, usd: str) -> None:
    vault.record(20, size_bytes=50 * GIB, stores=(store,))
    plan = vault.plan(speed=speed)
    assert plan.cost_usd.quantize(CENT) == Decimal(usd)
    [estimate] = plan.estimates
    assert (estimate.replicas, estimate.size_bytes, estimate.speed) == (20, 1000 * GIB, speed)
    planned = vault.sql("SELECT count(*), round(sum(cost_usd)::numeric, 2) FROM restores WHERE state = 'planned'")
    assert planned == [(20, Decimal(usd))]


def test_over_the_budget_nothing_is_planned_and_no_request_leaves(vault: "Vault") -> None:
    vault.record(20, size_bytes=50 * GIB)
    told = (
        r"restoring 20 replicas, \d+ bytes, for 7 days costs about 35\.49 USD \(20 of class GLACIER in store 'aws' at "
        r"speed expedited: 35\.49 USD\): expected at most 35\.00 USD, the run's budget; nothing was requested"
    )
    with pytest.raises(BudgetExceeded, match=told):
        vault.plan(speed="expedited", budget_usd=Decimal(35))
    assert vault.sql("SELECT * FROM restores") == []
    vault.request()
    assert vault.stores["aws"].asked == []
    assert vault.plan(speed="expedited", budget_usd=Decimal(36)).replicas == 20


def test_the_estates_budget_speed_and_days_hold_unless_told_otherwise(vault: "Vault") -> None:
    vault.record(20, size_bytes=500 * GIB)
    with pytest.raises(BudgetExceeded, match=r"152\.93 USD .* at speed standard.*at most 50\.00 USD"):
        vault.plan(budget_usd=None)


def test_a_dry_run_estimates_and_changes_nothing(vault: "Vault") -> None:
    vault.record(20, size_bytes=50 * GIB)
    plan = vault.plan(budget_usd=Decimal(1), dry_run=True)
    assert plan.dry_run
    assert plan.cost_usd > plan.budget_usd
    assert str(plan.usual) == "3–5 h"
    assert vault.sql("SELECT * FROM restores") == []


def test_a_run_that_plans_again_cannot_spend_its_budget_twice(vault: "Vault") -> None:
    vault.record(20, size_bytes=50 * GIB)
    vault.plan(budget_usd=Decimal(16))
    vault.request()
    vault.record(20, size_bytes=50 * GIB, camera="yard")
    with pytest.raises(BudgetExceeded, match=r"30\.59 USD"):
        vault.plan(budget_usd=Decimal(16))
    assert vault.plan(budget_usd=Decimal(31)).replicas == 40
    assert vault.sql("SELECT count(*) FROM restores") == [(40,)]


def test_a_restore_that_another_run_planned_counts_again_as_long_as_nobody_asked_for_it(vault: "Vault") -> None:
    vault.record(20, size_bytes=50 * GIB)
    vault.plan("a", budget_usd=Decimal(16))  # and ends before it asks
    first = vault.plan("b", budget_usd=Decimal(16))
    vault.record(20, size_bytes=50 * GIB, camera="yard")
    with pytest.raises(BudgetExceeded, match=r"30\.59 USD"):
        vault.plan("b", budget_usd=Decimal(16))
    again = vault.plan("b", budget_usd=Decimal(31))
    assert (first.replicas, again.replicas, again.shared) == (20, 40, 0)


# --- which copy -------------------------------------------------------------------------------------------------------


def test_what_can_be_read_is_left_alone(vault: "Vault") -> None:
    vault.record(2, stores=("disk", "aws"))
    vault.record(1, camera="yard", classes={"aws": "GLACIER_IR"})
    plan = vault.plan()
    assert (plan.segments, plan.readable, plan.replicas, plan.cost_usd, plan.usual) == (3, 3, 0, 0, None)


def test_the_cheapest_archived_copy_is_taken(vault: "Vault") -> None:
    vault.record(1, stores=("aws", "deep"), size_bytes=GIB)
    [estimate] = vault.plan().estimates
    assert (estimate.store, estimate.storage_class) == ("aws", "GLACIER")


def test_of_one_store_only_its_copies_count(vault: "Vault") -> None:
    vault.record(1, stores=("disk", "aws", "deep"))
    [estimate] = vault.plan(store="deep", speed="expedited").estimates
    assert (estimate.store, estimate.speed, str(estimate.usual)) == ("deep", "standard", "12 h")


def test_a_lost_copy_is_not_restored_and_a_doubted_one_last(vault: "Vault") -> None:
    [segment] = vault.record(1, stores=("aws", "deep"))
    vault.sql("UPDATE replicas SET state = 'suspicious' WHERE store = 'aws'")
    assert vault.plan("a", dry_run=True).estimates[0].store == "deep"
    vault.sql("UPDATE replicas SET state = 'lost' WHERE store = 'deep'")
    assert vault.plan("a", dry_run=True).estimates[0].store == "aws"
    vault.sql("UPDATE replicas SET state = 'condemned' WHERE store = 'aws'")
    plan = vault.plan("a", segment_ids=[segment.id, SegmentId(uuid4())])
    assert (plan.segments, plan.missing, plan.replicas) == (1, 2, 0)


# --- the selection ----------------------------------------------------------------------------------------------------


def test_by_camera_time_and_id(vault: "Vault") -> None:
    gate = vault.record(12)  # two hours
    [yard] = vault.record(1, camera="yard")
    middle = TimeRange(START + timedelta(minutes=5), START + timedelta(minutes=20))

    def selected(**options: object) -> int:
        return vault.plan(dry_run=True, **options).replicas

    assert selected() == 13
    assert selected(cameras=["gate"]) == 12
    assert selected(cameras=["yard", str(gate[0].camera_id)]) == 13
    assert selected(cameras=["gate"], time_range=middle) == 2  # what begins before it, and not what begins at its end
    assert selected(segment_ids=[gate[3].id, yard.id]) == 2
    assert selected(segment_ids=[gate[3].id, yard.id], cameras=["yard"]) == 1


def test_pages_neither_lose_nor_repeat(vault: "Vault") -> None:
    for camera in ("gate", "yard", "hall"):  # the same starts
        vault.record(4, camera=camera)
    selection = select(vault.estate, vault.catalogue, time_range=TimeRange(START, START + timedelta(days=1)))
    for size in (1, 2, 3, 4, 5, 11, 12, 13):
        pages = list(vault.catalogue.restores.candidates(selection, "run", page=size))
        found = [candidate.segment_id for page in pages for candidate in page]
        assert len(found) == len(set(found)) == 12


def test_what_is_wrong_is_told(vault: "Vault") -> None:
    vault.record(1)
    for options, told in (
        ({"cameras": ["gat"]}, r"unknown camera 'gat': .* did you mean one of \['gate'\]"),
        ({"cameras": [str(uuid4())]}, "unknown camera"),
        ({"store": "attic"}, "unknown store 'attic': expected one of"),
        ({"speed": "instant"}, r"speed is 'instant': expected one of \['expedited', 'standard', 'bulk'\]"),
        ({"days": 0}, "days is 0: expected 1 to 365"),
        ({"days": -1}, "days is -1"),
        ({"budget_usd": Decimal(-1)}, "budget_usd is -1: expected 0 or more"),
        ({"budget_usd": Decimal("NaN")}, "budget_usd is NaN"),
    ):
        with pytest.raises(ConfigurationError, match=told):
            vault.plan(**options)
    with pytest.raises(ConfigurationError, match="nothing says which footage"):
        select(vault.estate, vault.catalogue)
    vault.sql("UPDATE replicas SET store = 'disk'")  # in a store without a price list
    with pytest.raises(ConfigurationError, match="price list"):
        vault.plan()
    assert vault.sql("SELECT * FROM restores") == []


def test_it_is_planned_at_the_time_given(vault: "Vault") -> None:
    vault.record(1)
    vault.plan()
    assert vault.sql("SELECT planned_at, run_id FROM restores") == [(NOW, "run")]
