"""A round of metrics over ten million segments: `python -m benchmarks.metrics [--segments N] [--markdown FILE]`.

Builds the history of `benchmarks.catalogue`, counts it, lets writers do what they do in a quarter of an hour, then
takes rounds: the changes are folded, the figures gathered, and written out for Prometheus; and reads the Estate page.
Exit 1 when a round takes longer than 10 s, or the page than 200 ms. Then the calls of writers, with the triggers that
count and, in turns with them, without: the ratio of the two.
"""

import argparse
import random
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812  (it is a class)

from benchmarks.catalogue import CLOUD, FIRST, LAST, LOCAL, TENANT, Measured, copied, history, minute, recorded, timed
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.verification import Found
from reelkeeper.model import Camera, StoreKind, TimeRange
from reelkeeper.policy.rollout import Percentage
from reelkeeper.reporting.gathering import fold, gather, take_stock
from reelkeeper.reporting.metric_samples import Limits
from reelkeeper.reporting.metrics import registry_of
from reelkeeper.reporting.page.reading import read_estate
from reelkeeper.reporting.publishing import exposition
from reelkeeper.reporting.rounds import take_round
from reelkeeper.settings import Estate, Placement, Rollout, StoreSettings

BOUNDS = {"a": 10_000.0, "read": 200.0}
"""Milliseconds, by the first word of what is measured: a round, and the page."""
COUNTED = ("segments", "replicas", "transfers")
ESTATE = Estate(
    stores=(
        StoreSettings(name=LOCAL, kind=StoreKind.MINIO, bucket=LOCAL),
        StoreSettings(name=CLOUD, kind=StoreKind.S3, bucket=CLOUD),
    ),
    placement=Placement(mode="hybrid", local_store=LOCAL, cloud_store=CLOUD),
    rollout=Rollout(percentage=Percentage(3050)),
)
"""The rollout is half a percent ahead of what is in the cloud, so that the oldest that waits has to be looked for."""


@dataclass
class Writers:
    """What writers do all day, each time to other rows."""

    catalogue: Catalogue
    cameras: list[Camera]
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    minutes: Iterator[int] = field(default_factory=count)
    days: Iterator[int] = field(default_factory=lambda: count(1))

    def record(self, files: int, at_once: int) -> list[float]:
        """Milliseconds of each call that records so many ingested files."""
        starts = [LAST + timedelta(seconds=61 * next(self.minutes)) for _ in range(files)]
        return list(recorded(self.catalogue, [minute(self.chance.choice(self.cameras), s) for s in starts], at_once))

    def finish(self, calls: int) -> list[float]:
        """Milliseconds of each call that finishes 200 transfers to the cloud."""
        times: list[float] = []
        while len(times) < calls:
            day = FIRST + timedelta(days=10 * next(self.days))
            plan = self.catalogue.transfers.plan(
                f"benchmark {day}", source_store=LOCAL, destination_store=CLOUD,
                interval=TimeRange(day, day + timedelta(days=10)), bucket_below=10_000, ended_before=LAST,
                batch_size=200, batch_bytes=10**12, include_requests=False, dry_run=False,
                max_batches=calls - len(times),
            )  # fmt: skip
            for batch in plan.batches:
                results = [copied(each) for each in self.catalogue.transfers.claim(batch.id, 200, timedelta(hours=1))]
                times.append(timed(lambda r=results: self.catalogue.transfers.finish(r, retire_source_after=LAST)))  # type: ignore[misc]
        return times

    def confirm(self, calls: int) -> list[float]:
        """Milliseconds of each call that records that 1,000 replicas were seen: nothing of it is counted."""
        camera, times = self.chance.choice(self.cameras), list[float]()
        while len(times) < calls:
            start = FIRST + (LAST - FIRST) * self.chance.random() * 0.9
            segments = self.catalogue.segments.overlapping(camera.id, TimeRange(start, start + timedelta(days=30)))[
                :1000
            ]
            replicas = self.catalogue.replicas.of_segments([(each.id, each.start_time) for each in segments])
            found = [Found(each[0], LAST, is_proved=False) for each in replicas.values()]
            times.append(timed(lambda f=found: self.catalogue.verification.confirm(f, retire_others=None)))  # type: ignore[misc]
        return times


def rounds(catalogue: Catalogue, writers: Writers, number: int) -> Iterator[Measured]:
    """The parts of a round, each after a quarter of an hour's work of others."""
    parts: dict[str, list[float]] = {}

    def part(what: str, call: Callable[[], object]) -> None:
        parts.setdefault(what, []).append(timed(call))

    now = LAST + timedelta(days=31)
    for _ in range(number):
        writers.record(3000, 100)
        writers.finish(10)
        part("gather before the changes are folded", lambda: gather(ESTATE, catalogue, now=now))
        part("fold the changes of 3,000 files and 2,000 transfers", lambda: fold(catalogue))
        part("gather", lambda: gather(ESTATE, catalogue, now=now))
        part("read all that the Estate page says", lambda: page(catalogue, now))
        writers.record(3000, 100)
        writers.finish(10)
        part("a round: fold, gather, keep the day, expose", lambda: whole_round(catalogue, now))
    for what, times in parts.items():
        yield Measured(what, times, BOUNDS.get(what.partition(" ")[0]))


def page(catalogue: Catalogue, now: datetime) -> None:
    """As the API server reads it for one look; laying it out takes some milliseconds more, whatever the estate."""
    found = read_estate(ESTATE, catalogue, query="", number=1, with_exports=True, now=now)
    for part in (found.safety, found.cost, found.stores, found.ramp, found.cameras, found.check, found.events):
        if part.trouble:
            raise AssertionError(part.trouble)


def whole_round(catalogue: Catalogue, now: datetime) -> None:
    """As `report_metrics` takes one."""
    take_stock(ESTATE, catalogue, now=now)
    exposition(registry_of(take_round(ESTATE, catalogue, now=now), Limits()))


def overheads(connection: Connection, writers: Writers, blocks: int) -> Iterator[tuple[str, float, float]]:
    """What writers call, and its median in milliseconds with and without the triggers, by turns."""
    calls: dict[str, Callable[[], list[float]]] = {
        "record one ingested file": lambda: writers.record(60, 1),
        "record 1,000 ingested files at once": lambda: writers.record(6000, 1000),
        "finish 200 transfers": lambda: writers.finish(8),
        "confirm 1,000 replicas": lambda: writers.confirm(6),
    }
    for what, call in calls.items():
        times: dict[bool, list[float]] = {True: [], False: []}
        for block in range(2 * blocks):
            counts = block % 4 in (0, 3)  # which goes first changes, as tables grow all the time
            with connection.cursor() as cursor:
                for table in COUNTED:
                    # CHECKs and foreign keys stay
                    cursor.execute(f"ALTER TABLE reelkeeper.{table} {'ENABLE' if counts else 'DISABLE'} TRIGGER USER")
            times[counts] += call()[1:]  # the first plans its statements anew
        yield what, statistics.median(times[True]), statistics.median(times[False])


def measured(connection: Connection, dsn: str, number: int) -> tuple[list[Measured], list[tuple[str, float, float]]]:
    """All of it, over what was built."""
    with Catalogue(lambda: psycopg2.connect(dsn)) as catalogue:
        first = Measured("count all of it anew", [timed(catalogue.tallies.recount)], None)
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
        proof = Measured("prove the tallies by the rows", [timed(catalogue.tallies.drift)], None)
        writers = Writers(catalogue, list(catalogue.cameras.by_slug(TENANT).values()))
        results = [first, proof, *rounds(catalogue, writers, number)]
        if any(catalogue.tallies.drift().values()):
            raise AssertionError(f"the tallies have drifted: {catalogue.tallies.drift()}")
        return results, list(overheads(connection, writers, number))


def table(results: list[Measured], ratios: list[tuple[str, float, float]], title: str) -> str:
    """Both as Markdown."""
    lines = [title, "", "| what | n | p50 ms | most ms | bound ms |", "|---|---:|---:|---:|---:|"]
    for each in results:
        bound = "–" if each.bound is None else f"{each.bound:,.0f}"
        lines.append(f"| {each.what} | {len(each.times)} | {each.p50:,.1f} | {max(each.times):,.1f} | {bound} |")
    lines += ["", "| call | counted, p50 ms | not counted, p50 ms | ratio |", "|---|---:|---:|---:|"]
    lines += [
        f"| {what} | {with_it:.2f} | {without:.2f} | {with_it / without:.3f} |" for what, with_it, without in ratios
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, default=10_000_000)
    parser.add_argument("--cameras", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--markdown", type=Path, help="also write the tables here")
    asked = parser.parse_args()
    with history(asked.segments, asked.cameras) as (connection, dsn):
        results, ratios = measured(connection, dsn, asked.rounds)
    text = table(results, ratios, f"{asked.segments:,} segments of {asked.cameras} cameras over three years")
    print(text)
    if asked.markdown:
        asked.markdown.write_text(text + "\n")
    return 0 if all(max(each.times) <= each.bound for each in results if each.bound is not None) else 1


if __name__ == "__main__":
    sys.exit(main())
