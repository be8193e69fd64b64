"""Requests, looks and ends: each replica is asked for once, whoever wants it and whatever dies in between."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from reelkeeper.errors import (
    AccessDenied,
    ConfigurationError,
    GateFailed,
    ObjectNotFound,
    StoreUnavailable,
)
from reelkeeper.model import Key, ReplicaState, StoreName
from reelkeeper.restoring.job import end_restores, gate, request_restores, summarise
from reelkeeper.stores.memory import MemoryStore
from tests.restoring.conftest import NOW

if TYPE_CHECKING:
    from tests.restoring.conftest import Vault

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def states(vault: "Vault") -> dict[str, int]:
    return dict(vault.sql("SELECT state, count(*) FROM restores GROUP BY state"))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries come without a wait between them."""
    from reelkeeper.stores.retry import retrying

    monkeypatch.setattr(
        "reelkeeper.restoring.requests.retrying", lambda: retrying(first_wait_seconds=0.001), raising=True
    )


# --- the usual way ----------------------------------------------------------------------------------------------------


def test_from_the_plan_to_the_end(vault: "Vault") -> None:
    segments = vault.record(5)
    vault.plan(days=3)
    assert (vault.request().requested, len(vault.stores["aws"].asked)) == (5, 5)
    assert vault.sql("SELECT DISTINCT requested_at, expected_at FROM restores") == [(NOW, NOW + 5 * HOUR)]

    early = vault.look(now=NOW + HOUR)
    assert (early.readable, early.waiting, early.next_look) == (0, 5, NOW + 2.5 * HOUR)
    with pytest.raises(GateFailed, match=r"5 of 5 restores are not settled: expected 0"):
        gate(vault.catalogue, "run")

    look = vault.look(now=NOW + 5 * HOUR)
    until = NOW + 5 * HOUR + 3 * DAY
    assert (look.readable, look.waiting, look.next_look) == (5, 0, None)
    assert {vault.replica(segment).readable_until for segment in segments} == {until}
    counts = gate(vault.catalogue, "run")
    assert (counts.readable, counts.readable_bytes, counts.readable_until) == (5, 5 * 2**20, until)

    assert end_restores(vault.catalogue, now=until - HOUR) == 0
    assert end_restores(vault.catalogue, now=until) == 5
    assert vault.replica(segments[0]).readable_until is None
    assert states(vault) == {"ended": 5}
    assert vault.plan("another", now=vault.at(until)).replicas == 5


def test_more_than_one_claim_takes(vault: "Vault", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reelkeeper.restoring.requests._AT_ONCE", 3)
    vault.record(10)
    vault.plan()
    seen: list[tuple[int, ...]] = []
    request_restores(
        vault.estate, vault.open_catalogue, vault.open_store, StoreName("aws"), run_id="run", now=NOW,
        progress=lambda *state: seen.append(state),
    )  # fmt: skip
    assert seen == [(3, 10, 0, 0), (6, 10, 0, 0), (9, 10, 0, 0), (10, 10, 0, 0)]
    assert vault.look(now=NOW + 5 * HOUR).readable == 10


def test_each_store_is_asked_for_its_own(vault: "Vault") -> None:
    vault.record(2)
    vault.record(3, camera="yard", stores=("deep",))
    vault.plan(speed="expedited")
    assert vault.request(store="aws").requested == 2
    assert vault.request(store="deep").requested == 3
    assert {speed for _, _, speed in vault.stores["deep"].asked} == {"standard"}
    assert {speed for _, _, speed in vault.stores["aws"].asked} == {"expedited"}


def test_nothing_to_do_is_no_error(vault: "Vault") -> None:
    assert vault.request().requested == 0
    assert vault.look().next_look is None
    assert gate(vault.catalogue, "run").readable == 0


# --- asked for once ---------------------------------------------------------------------------------------------------


def test_a_second_request_asks_for_nothing(vault: "Vault") -> None:
    vault.record(3)
    vault.plan()
    vault.request()
    assert vault.request().requested == 0
    assert set(vault.stores["aws"].requests().values()) == {1}


@pytest.mark.parametrize("moment", [NOW, NOW + 5 * HOUR + 5 * DAY], ids=["restoring", "readable"])
def test_a_kill_between_request_and_record(vault: "Vault", moment: datetime) -> None:
    vault.record(6)
    vault.plan()
    asked = []

    def die(key: Key) -> None:
        asked.append(key)
        if len(asked) == 4:
            raise KeyboardInterrupt  # the process is gone: nothing of the chunk is recorded

    vault.stores["aws"].after_restore = die
    with pytest.raises(KeyboardInterrupt):
        vault.request()
    assert states(vault) == {"planned": 6}
    vault.stores["aws"].after_restore = lambda key: None
    result = vault.request(now=moment)
    assert result.requested + result.readable == 6
    assert set(vault.stores["aws"].requests().values()) == {1}
    vault.look(now=moment + 5 * HOUR)
    assert gate(vault.catalogue, "run").readable == 6


def test_runs_share_a_restore(vault: "Vault") -> None:
    vault.record(3)
    vault.plan("first")
    vault.request("first")
    second = vault.plan("second", now=NOW)
    assert (second.replicas, second.shared, second.sharing_usd) == (0, 3, 0)
    vault.request("second")
    assert len(vault.stores["aws"].asked) == 3
    assert vault.look("second", now=NOW + 5 * HOUR).readable == 3
    assert gate(vault.catalogue, "first").readable == gate(vault.catalogue, "second").readable == 3
    assert vault.catalogue.restores.counts("second").cost_usd == 0


def test_a_run_that_died_before_it_asked_is_stood_in_for(vault: "Vault") -> None:
    vault.record(3)
    vault.plan("dead", days=10)
    plan = vault.plan("second", days=4)
    assert (plan.replicas, plan.shared) == (3, 0)
    assert plan.cost_usd > 0  # it is this run that asks
    assert vault.request("second").requested == 3
    assert {days for _, days, _ in vault.stores["aws"].asked} == {10}


def test_one_that_wants_it_longer_has_it_extended(vault: "Vault") -> None:
    [segment] = vault.record(1, size_bytes=100 * 2**30)
    vault.plan("first", days=3)
    vault.request("first")
    later = NOW + 5 * HOUR
    vault.look("first", now=later)
    same = vault.plan("same", now=later - HOUR, days=3)
    assert same.sharing_usd == 0
    second = vault.plan("second", now=later, days=10)
    # 100 GB × 0.023 USD × 7 days / (365 / 12), and one request
    assert round(float(second.cost_usd), 4) == round(100 * 0.023 * 7 / (365 / 12) + 0.00005, 4)
    with pytest.raises(GateFailed, match="1 of 1 restores are not settled"):
        gate(vault.catalogue, "second")
    vault.request("second", now=later)
    assert [days for _, days, _ in vault.stores["aws"].asked] == [3, 10]
    assert vault.replica(segment).readable_until == later + 10 * DAY
    assert gate(vault.catalogue, "second").open == 0
    assert gate(vault.catalogue, "first").readable_until == later + 10 * DAY
    vault.request("second", now=later)
    assert len(vault.stores["aws"].asked) == 2


def test_a_longer_wish_for_one_under_way_waits_until_it_is_readable(vault: "Vault") -> None:
    [segment] = vault.record(1)
    vault.plan("first", days=3)
    vault.request("first")
    vault.plan("second", now=NOW + HOUR, days=10)
    vault.request("second", now=NOW + HOUR)
    assert len(vault.stores["aws"].asked) == 1
    ready = NOW + 5 * HOUR
    vault.look("second", now=ready)
    assert vault.catalogue.restores.counts("second").open == 1
    vault.request("second", now=ready)
    assert len(vault.stores["aws"].asked) == 2
    until = vault.replica(segment).readable_until
    assert until is not None
    assert until >= NOW + 5 * HOUR + 10 * DAY
    assert gate(vault.catalogue, "second").open == 0


def test_an_extension_that_came_too_late_is_told_and_a_new_plan_asks_anew(vault: "Vault") -> None:
    vault.record(1)
    vault.plan("first", days=1)
    vault.request("first")
    vault.look("first", now=NOW + 5 * HOUR)
    vault.plan("second", now=NOW + 5 * HOUR, days=10)
    late = vault.at(NOW + 3 * DAY)
    assert vault.request("second", now=late).failed == 1
    with pytest.raises(GateFailed, match="its copy ended before it was asked for longer"):
        gate(vault.catalogue, "second")
    assert vault.plan("second", now=late).replicas == 1
    assert vault.request("second", now=late).requested == 1


def test_what_somebody_else_restored_is_not_asked_for(vault: "Vault") -> None:
    [segment] = vault.record(1)
    key = vault.replica(segment).path
    vault.stores["aws"].restore(key, days=30, speed="bulk")
    vault.at(NOW + 13 * HOUR)
    vault.plan(now=NOW + 13 * HOUR)
    assert vault.request(now=NOW + 13 * HOUR).readable == 1
    assert len(vault.stores["aws"].asked) == 1
    assert vault.replica(segment).readable_until == NOW + 12 * HOUR + 30 * DAY


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_one_that_is_gone_fails_alone_and_becomes_suspicious(vault: "Vault") -> None:
    gone, *others = vault.record(4)
    vault.plan()
    vault.stores["aws"].delete([vault.replica(gone).path])
    result = vault.request()
    assert (result.requested, result.failed) == (3, 1)
    assert vault.replica(gone).state is ReplicaState.SUSPICIOUS
    assert {vault.replica(segment).state for segment in others} == {ReplicaState.AVAILABLE}
    assert vault.look(now=NOW + 5 * HOUR).readable == 3
    with pytest.raises(GateFailed, match=rf"1 of 4 restores failed: expected 0; segment '{gone.id}' in store 'aws'"):
        gate(vault.catalogue, "run")
    [failure] = summarise(vault.catalogue, "run").failures
    assert failure.segment_id == gone.id
    assert vault.plan("next", now=NOW + 5 * HOUR).replicas == 1  # unknown is not missing


def test_one_that_moved_away_meanwhile_is_not_asked_for(vault: "Vault") -> None:
    vault.record(2)
    vault.plan()
    vault.sql(
        "UPDATE replicas SET state = 'condemned' WHERE segment_id = (SELECT min(segment_id::text)::uuid FROM restores)"
    )
    result = vault.request()
    assert (result.requested, result.failed) == (1, 1)
    assert len(vault.stores["aws"].asked) == 1


def test_a_store_that_does_not_answer_leaves_all_for_the_next_try(vault: "Vault") -> None:
    segments = vault.record(8)
    vault.plan()
    store = vault.stores["aws"]
    store.faults = {vault.replica(segment).path: StoreUnavailable("503") for segment in segments[:3]}
    with pytest.raises(StoreUnavailable, match=r"3 restores in store 'aws' are left for another try: 503"):
        vault.request()
    assert states(vault) == {"planned": 3, "requested": 5}
    store.faults = {}
    assert vault.request().requested == 3
    assert set(store.requests().values()) == {1}


def test_a_store_that_refuses_is_told_as_it_is(vault: "Vault") -> None:
    segments = vault.record(3)
    vault.plan()
    vault.stores["aws"].faults = {
        vault.replica(segment).path: AccessDenied("no s3:RestoreObject") for segment in segments
    }
    with pytest.raises(AccessDenied, match="no s3:RestoreObject"):
        vault.request()
    assert states(vault) == {"planned": 3}


def test_a_restore_that_the_store_forgot_has_failed(vault: "Vault") -> None:
    vault.record(1)
    vault.plan(days=1)
    vault.request()
    look = vault.look(now=NOW + 3 * DAY)  # nobody looked while it was readable
    assert (look.failed, look.waiting) == (1, 0)
    with pytest.raises(GateFailed, match="the store knows of no restore of it"):
        gate(vault.catalogue, "run")


def test_one_that_nobody_looked_at_is_not_shared(vault: "Vault") -> None:
    vault.record(1)
    vault.plan("dead", days=1)
    vault.request("dead")
    late = vault.at(NOW + 3 * DAY)
    assert vault.plan("next", now=late).replicas == 1
    assert vault.request("next", now=late).requested == 1


def test_one_that_takes_long_is_waited_for_and_told(vault: "Vault", caplog: pytest.LogCaptureFixture) -> None:
    vault.record(1)
    vault.plan()
    vault.request()
    vault.sql("UPDATE restores SET expected_at = requested_at + interval '1 hour'")
    look = vault.look(now=NOW + 2 * HOUR)
    assert (look.waiting, look.next_look) == (1, NOW + 2 * HOUR + timedelta(minutes=3))
    assert "is still being restored" in caplog.text


def test_a_store_without_archives_is_refused(vault: "Vault") -> None:
    with pytest.raises(ConfigurationError, match=r"store 'disk' of kind 'memory' has nothing to restore"):
        request_restores(vault.estate, vault.open_catalogue, lambda name: Plain(StoreName(name)), StoreName("disk"),
                         run_id="run", now=NOW)  # fmt: skip


class Plain(MemoryStore):
    restore = None  # type: ignore[assignment]


def test_an_object_that_vanishes_while_it_is_waited_for(vault: "Vault") -> None:
    [segment] = vault.record(1)
    vault.plan()
    vault.request()
    vault.stores["aws"].delete([vault.replica(segment).path])
    with pytest.raises(ObjectNotFound):
        vault.stores["aws"].stat(vault.replica(segment).path)
    assert vault.look(now=NOW + HOUR).failed == 1
    assert vault.replica(segment).state is ReplicaState.SUSPICIOUS


def test_workers_of_one_run_share_the_asking(vault: "Vault", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reelkeeper.restoring.requests._AT_ONCE", 5)
    vault.record(40)
    vault.plan()
    with ThreadPoolExecutor(3) as pool:
        results = [future.result() for future in [pool.submit(vault.request) for _ in range(3)]]
    assert sum(result.requested for result in results) == 40
    assert set(vault.stores["aws"].requests().values()) == {1}
    assert len(vault.stores["aws"].asked) == 40
