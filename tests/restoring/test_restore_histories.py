"""Random histories of runs that plan, ask, look, die and end: no replica is asked for while it is under restore."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.restores import RestoreCounts
from reelkeeper.errors import GateFailed, StoreUnavailable
from reelkeeper.model import Key, StoreName
from reelkeeper.restoring.job import end_restores, gate
from reelkeeper.stores.protocols import RestoreSpeed
from reelkeeper.stores.retry import retrying
from tests.restoring.conftest import NOW, Glacier, Vault

RUNS = ("a", "b", "c")
SEGMENTS = 4

steps = st.lists(
    st.one_of(
        st.tuples(st.just("plan"), st.sampled_from(RUNS), st.integers(1, 10), st.sampled_from(["standard", "bulk"])),
        st.tuples(
            st.just("request"), st.sampled_from(RUNS), st.sampled_from([None, 0, 1, 3])
        ),  # after how many it dies
        st.tuples(st.just("fail"), st.integers(0, SEGMENTS - 1)),  # one object's requests, until the next `heal`
        st.tuples(st.just("heal")),
        st.tuples(st.just("look"), st.sampled_from(RUNS)),
        st.tuples(st.just("end")),
        st.tuples(st.just("wait"), st.integers(1, 100)),  # hours
    ),
    max_size=20,
)


class Watched(Glacier):
    """Counts what must never happen: being asked for an object whose restore is under way."""

    def __init__(self, name: StoreName) -> None:
        super().__init__(name)
        self.asked_in_vain: list[Key] = []
        self.dies_after: int | None = None

    def restore(self, key: Key, *, days: int, speed: RestoreSpeed) -> None:
        if self.readability(key).state == "restoring":
            self.asked_in_vain.append(key)
        super().restore(key, days=days, speed=speed)
        if self.dies_after is not None:
            self.dies_after -= 1
            if self.dies_after <= 0:
                raise KeyboardInterrupt


class History:
    """One estate, its clock, and what must hold all along."""

    def __init__(self, vault: Vault) -> None:
        self.vault, self.now = vault, NOW
        vault.sql("TRUNCATE restores, restore_wishes")
        vault.sql("UPDATE replicas SET readable_until = NULL, state = 'available'")
        old = vault.stores["aws"]
        self.store = Watched(StoreName("aws"))
        self.store._objects = {key: replace(each, restored=None) for key, each in old._objects.items()}
        vault.stores["aws"] = self.store
        vault.at(NOW)
        self.keys = sorted(self.store._objects)

    def plan(self, run: str, days: int, speed: str) -> None:
        self.vault.plan(run, now=self.now, days=days, speed=speed)

    def request(self, run: str, dies_after: int | None = None) -> None:
        self.store.dies_after = dies_after
        try:
            self.vault.request(run, now=self.now)
        except (KeyboardInterrupt, StoreUnavailable):
            pass
        finally:
            self.store.dies_after = None

    def fail(self, which: int) -> None:
        self.store.faults[self.keys[which]] = StoreUnavailable("503")

    def heal(self) -> None:
        self.store.faults = {}

    def look(self, run: str) -> None:
        self.vault.look(run, now=self.now)

    def end(self) -> None:
        end_restores(self.vault.catalogue, now=self.now)

    def wait(self, hours: int) -> None:
        self.now = self.vault.at(self.now + timedelta(hours=hours))

    def check(self) -> None:
        assert self.store.asked_in_vain == []
        under_way = self.vault.sql(
            "SELECT segment_id, store FROM restores WHERE state IN ('planned', 'requested', 'readable')"
        )
        assert max(Counter(under_way).values(), default=1) == 1
        # What is said to be readable is, for at least as long as is said.
        for path, until in self.vault.sql(
            "SELECT path, readable_until FROM replicas WHERE readable_until > %s", (self.now,)
        ):
            found = self.store.readability(Key(str(path)))
            assert found.state == "readable"
            assert found.until is not None
            assert found.until >= until  # type: ignore[operator]

    def converges(self) -> None:
        """A clean run makes all readable, for as long as it wants."""
        self.heal()
        begin = self.now
        try:
            counts = self.clean_run()
        except GateFailed:  # it shared one that had ended unseen, and asks for nothing beyond its budget
            begin = self.now
            counts = self.clean_run()
        assert counts.readable == SEGMENTS
        assert counts.readable_until is not None
        assert counts.readable_until >= begin + timedelta(days=5)
        self.check()

    def clean_run(self) -> RestoreCounts:
        self.plan("last", 5, "standard")
        for _ in range(4):
            self.request("last")
            self.look("last")
            self.request("last")  # a later end that was wanted
            self.wait(6)
        return gate(self.vault.catalogue, "last")


@pytest.fixture
def recorded(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> Vault:
    vault.record(SEGMENTS)
    # One connection for all examples, and no waits.
    monkeypatch.setattr(Catalogue, "close", lambda self: None)
    monkeypatch.setattr(Vault, "open_catalogue", lambda self: self.catalogue)
    monkeypatch.setattr("reelkeeper.restoring.requests.retrying", lambda: retrying(first_wait_seconds=0.0001))
    return vault


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(happened=steps)
def test_random_histories(recorded: Vault, happened: list[tuple[object, ...]]) -> None:
    history = History(recorded)
    for name, *details in happened:
        getattr(history, str(name))(*details)
        history.check()
    history.converges()
