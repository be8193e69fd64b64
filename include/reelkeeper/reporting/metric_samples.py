"""What values of metrics are made with: their type, their bounds, and sums by labels."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import product

from reelkeeper.reporting.figures import LATENCY_BOUNDS, Durations
from reelkeeper.reporting.rounds import Round

OTHER = "other"
"""The label's value of all that is beyond a limit."""

Sample = tuple[tuple[str, ...], float | Durations]
"""One value, with those of its metric's labels."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many cameras and tenants have series of their own, in the order of their names; the rest is `OTHER`."""

    cameras: int = 500
    tenants: int = 50


def summed(pairs: Iterable[tuple[tuple[str, ...], int]]) -> Counter[tuple[str, ...]]:
    """The sum for each combination of labels."""
    counter: Counter[tuple[str, ...]] = Counter()
    for labels, number in pairs:
        counter[labels] += number
    return counter


def from_nothing(counted: Counter[tuple[str, ...]], labels: Iterable[Iterable[str]]) -> Iterator[Sample]:
    """The counts, and 0 for each other combination of these labels: a series that is there before its first event shows
    that event as an increase.
    """
    yield from counted.items()
    yield from ((key, 0) for key in product(*labels) if key not in counted)


def by_store(taken: Round, pairs: Iterable[tuple[str, int]]) -> Iterator[Sample]:
    """Sums by store: of the estate's, and of those that history tells of although they are none of it any more."""
    return from_nothing(summed(((store,), number) for store, number in pairs), (stores(taken),))


def stores(taken: Round) -> list[str]:
    """The names of the estate's stores."""
    return [store.name for store in taken.figures.stores]


def together(all_of: Iterable[Durations]) -> Durations:
    """Several durations as one."""
    count, seconds, classes = 0, 0.0, [0] * (len(LATENCY_BOUNDS) + 1)
    for durations in all_of:
        count += durations.count
        seconds += durations.seconds
        classes = [one + other for one, other in zip(classes, durations.classes, strict=True)]
    return Durations(count, seconds, tuple(classes))


def age(taken: Round, moment: datetime) -> float:
    """Seconds since then; a clock that is ahead makes no negative age."""
    return max(0.0, (taken.figures.now - moment).total_seconds())
