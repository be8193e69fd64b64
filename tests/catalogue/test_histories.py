"""Random histories of planning, claiming, finishing, dying and taking over: nothing is doubled and nothing is lost."""

import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reelkeeper.catalogue.records import TransferItem, TransferResult
from reelkeeper.model import StoreName, TimeRange

LEASE, DEAD = timedelta(minutes=5), timedelta(seconds=-1)
STALE, FRESH = timedelta(0), timedelta(hours=1)
SEGMENTS = 5

steps = st.lists(
    st.one_of(
        st.tuples(st.just("plan"), st.integers(0, 2), st.integers(0, SEGMENTS - 1), st.sampled_from([STALE, FRESH])),
        st.tuples(st.just("claim"), st.integers(0, 9), st.integers(1, 5), st.sampled_from([LEASE, DEAD])),
        st.tuples(st.just("finish"), st.integers(0, 9), st.sampled_from(["copied", "failed", "retry", "untried"])),
    ),
    min_size=5,
    max_size=30,
)


@dataclass
class History:
    """What happens to one set of segments on their way to one store, and what must hold all along."""

    make: Any
    sql: Any
    destination: StoreName
    batches: list[Any] = field(default_factory=list)
    live: dict[Any, TransferItem] = field(default_factory=dict)  # by segment: claims whose lease runs
    ended: list[TransferItem] = field(default_factory=list)  # claims of workers that are thought dead, and may wake up

    def plan(self, run: int, first: int, stale_after: timedelta) -> None:
        start = self.make.start + timedelta(minutes=first)
        interval = TimeRange(start, start + timedelta(minutes=3))
        plan = self.make.plan_transfers(
            f"{self.destination} {run}", destination_store=self.destination, interval=interval, batch_size=2,
            stale_after=stale_after,
        )  # fmt: skip
        self.batches += [batch.id for batch in plan.batches if batch.id not in self.batches]

    def claim(self, which: int, limit: int, lease: timedelta) -> None:
        if not self.batches:
            return
        items = self.make.catalogue.transfers.claim(self.batches[which % len(self.batches)], limit, lease)
        for item in items:
            assert item.segment_id not in self.live, "two workers hold one segment"
        if lease is LEASE:
            self.live |= {item.segment_id: item for item in items}
        else:
            self.ended += items

    def finish(self, which: int, outcome: str) -> None:
        held = [*self.live.values(), *self.ended]
        if not held:
            return
        item = held[which % len(held)]
        self.make.catalogue.transfers.finish([self.result(item, outcome)], retire_source_after=None)
        if self.live.get(item.segment_id) is item:
            del self.live[item.segment_id]
        else:
            self.ended.remove(item)
            if outcome == "copied":
                self.live.pop(item.segment_id, None)  # whoever held it finds it done

    def result(self, item: TransferItem, outcome: str) -> TransferResult:
        if outcome == "copied":
            return self.make.copied(item)
        if outcome == "untried":
            return TransferResult(item, None, None)
        return self.make.not_copied(item, retry=outcome == "retry")

    def holds(self) -> None:
        """What is true after every step."""
        [(open_items, segments)] = self.sql(
            "SELECT count(*), count(DISTINCT segment_id) FROM transfer_items"
            " WHERE destination_store = %s AND state IN ('pending', 'claimed')", (self.destination,),
        )  # fmt: skip
        assert open_items == segments, "a segment is on its way twice"
        [(astray,)] = self.sql(
            "SELECT count(*) FROM transfer_items i WHERE destination_store = %s AND state = 'done' AND NOT EXISTS"
            " (SELECT FROM replicas r WHERE r.segment_id = i.segment_id AND r.store = i.destination_store)",
            (self.destination,),
        )  # fmt: skip
        assert astray == 0, "an item is done without a replica"

    def drain(self) -> None:
        """All workers die; a last run takes over and copies what is left."""
        self.sql("UPDATE transfer_items SET claimed_until = now() - interval '1 s' WHERE state = 'claimed'")
        plan = self.make.plan_transfers(
            f"{self.destination} last", destination_store=self.destination, stale_after=STALE
        )
        for batch in plan.batches:
            while items := self.make.catalogue.transfers.claim(batch.id, 5, LEASE):
                self.make.catalogue.transfers.finish([self.make.copied(i) for i in items], retire_source_after=None)


@pytest.fixture(scope="module")
def numbers() -> random.Random:
    return random.Random(0)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=steps)
def test_no_history_of_transfers_doubles_or_loses_a_segment(history, make, sql, numbers) -> None:
    if not sql("SELECT FROM segments LIMIT 1"):
        make.recorded(make.minutes(make.camera(), SEGMENTS))
    told = History(make, sql, StoreName(f"cloud-{numbers.getrandbits(48):012x}"))
    for name, *arguments in history:
        getattr(told, name)(*arguments)
        told.holds()
    told.drain()
    told.holds()
    [(copies,)] = sql("SELECT count(*) FROM replicas WHERE store = %s AND state = 'available'", (told.destination,))
    [(successes,)] = sql(
        "SELECT count(*) FROM transfers WHERE destination_store = %s AND outcome = 'succeeded'", (told.destination,)
    )
    assert copies == successes == SEGMENTS
    assert sql("SELECT count(*) FROM migration_requests") == [(0,)]
