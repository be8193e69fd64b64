"""How each metric's values are read off a round: a function for each, in the order of `metrics.METRICS`.

Where a store has nothing to count the value is 0, so that its series is there before the first event; a value that
nobody knows is left out.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TypeVar

from reelkeeper.errors import ReelkeeperError
from reelkeeper.model import ReplicaState
from reelkeeper.reporting.figures import LATENCY_BOUNDS, CameraFigures, Durations, StoreFigures, TransferTotals
from reelkeeper.reporting.rounds import Round

OTHER = "other"
"""The label's value of all that is beyond a limit."""
DAY_SECONDS = 86_400.0
STORED_BY = ("ingest", "migrate", "repair")
"""The jobs that put a copy into a store; `tier` moves one."""

_Label = TypeVar("_Label", bound=Hashable)
Sample = tuple[tuple[str, ...], float | Durations]


@dataclass(frozen=True, slots=True)
class Limits:
    """How many cameras and tenants have series of their own, in the order of their names; the rest is `OTHER`."""

    cameras: int = 500
    tenants: int = 50


# --- the contract's names ---------------------------------------------------------------------------------------------


def segments_stored(taken: Round, limits: Limits) -> Iterator[Sample]:
    mode = taken.figures.rollout.mode
    stored = _summed(
        (total.store, total.durations.count)
        for total in _succeeded(taken)
        if total.job in STORED_BY
    )  # fmt: skip
    for store in _stores(taken, stored):
        yield (store, mode), stored[store]


def segments_retrieved(taken: Round, limits: Limits) -> Iterator[Sample]:
    return _by_store(taken, ((total.store, total.segments) for total in taken.figures.retrievals))


def segments_deleted(taken: Round, limits: Limits) -> Iterator[Sample]:
    return _by_store(taken, ((total.store, total.objects) for total in taken.figures.deletions))


def exports_created(taken: Round, limits: Limits) -> Iterator[Sample]:
    for total in taken.figures.exports:
        yield (total.status,), total.durations.count


def export_durations(taken: Round, limits: Limits) -> Iterator[Sample]:
    for total in taken.figures.exports:
        if total.status in ("COMPLETED", "FAILED"):
            yield (total.status,), total.durations


def bytes_used(taken: Round, limits: Limits) -> Iterator[Sample]:
    used = _summed((usage.store, usage.size_bytes) for usage in taken.figures.usage if usage.state != ReplicaState.LOST)
    for store in taken.figures.stores:
        yield (store.name, store.bucket), used[store.name]


def camera_segments(taken: Round, limits: Limits) -> Iterator[Sample]:
    shown, rest = _cameras(taken, limits)
    for camera in shown:
        yield (str(camera.id),), camera.segments
    if rest:
        yield (OTHER,), sum(camera.segments for camera in rest)


def errors(taken: Round, limits: Limits) -> Iterator[Sample]:
    failed = _summed(((total.job, total.store), total.durations.count) for total in _failed(taken))
    yield from failed.items()


# --- what is where ----------------------------------------------------------------------------------------------------


def stored_bytes(taken: Round, limits: Limits) -> Iterator[Sample]:
    tenants = sorted({usage.tenant for usage in taken.figures.usage})
    shown = {*tenants[: limits.tenants]}
    held = _summed(
        ((usage.store, str(usage.tier), usage.tenant if usage.tenant in shown else OTHER), usage.size_bytes)
        for usage in taken.figures.usage
        if usage.state != ReplicaState.LOST
    )
    yield from held.items()


def replicas(taken: Round, limits: Limits) -> Iterator[Sample]:
    counted = _summed(((usage.store, str(usage.state)), usage.replicas) for usage in taken.figures.usage)
    for store in taken.figures.stores:
        for state in ReplicaState:
            yield (store.name, str(state)), counted[store.name, str(state)]


def unprotected_segments(taken: Round, limits: Limits) -> Iterator[Sample]:
    yield (), taken.figures.unprotected_segments


def _of_stores(read: Callable[[StoreFigures], float | None]) -> Callable[[Round, Limits], Iterator[Sample]]:
    """A metric that is one of the figures of each store, where it is known."""

    def values(taken: Round, limits: Limits) -> Iterator[Sample]:
        for store in taken.figures.stores:
            if (value := read(store)) is not None:
                yield (store.name,), value

    return values


quotas = _of_stores(lambda store: store.quota_bytes)
pending_retirement = _of_stores(lambda store: store.pending_retirement)
condemned_objects = _of_stores(lambda store: store.condemned)
condemned_bytes = _of_stores(lambda store: store.condemned_bytes)
orphans = _of_stores(lambda store: store.orphans)
orphan_bytes = _of_stores(lambda store: store.orphan_bytes)
quarantined_orphans = _of_stores(lambda store: store.quarantined_orphans)
quarantined_orphan_bytes = _of_stores(lambda store: store.quarantined_bytes)
monthly_cost = _of_stores(lambda store: None if store.monthly_usd is None else float(store.monthly_usd))
store_up = _of_stores(lambda store: None if store.health == "unknown" else float(store.health == "healthy"))


def quarantined_files(taken: Round, limits: Limits) -> Iterator[Sample]:
    yield (), taken.figures.quarantined_files


def reconciliation_ages(taken: Round, limits: Limits) -> Iterator[Sample]:
    for store in taken.figures.stores:
        if store.reconciled_at is not None:
            yield (store.name,), _age(taken, store.reconciled_at)


def look_ages(taken: Round, limits: Limits) -> Iterator[Sample]:
    for store in taken.figures.stores:
        if store.looked_at is not None:
            yield (store.name,), _age(taken, store.looked_at)


# --- the work ---------------------------------------------------------------------------------------------------------


def transfers(taken: Round, limits: Limits) -> Iterator[Sample]:
    counted = _summed(
        ((total.job, total.store, total.outcome), total.durations.count) for total in taken.figures.transfers
    )
    yield from counted.items()


def transfer_bytes(taken: Round, limits: Limits) -> Iterator[Sample]:
    yield from _summed(((total.job, total.store), total.size_bytes) for total in _succeeded(taken)).items()


def transfer_durations(taken: Round, limits: Limits) -> Iterator[Sample]:
    groups: dict[tuple[str, ...], list[Durations]] = defaultdict(list)
    for total in taken.figures.transfers:
        groups[total.job, total.store, total.outcome].append(total.durations)
    for labels, durations in groups.items():
        yield labels, together(durations)


def transfer_failures(taken: Round, limits: Limits) -> Iterator[Sample]:
    failed = _summed(
        ((total.job, total.store, error_label(total.error_code)), total.durations.count) for total in _failed(taken)
    )
    yield from failed.items()


def fallbacks(taken: Round, limits: Limits) -> Iterator[Sample]:
    return _by_store(taken, ((total.store, total.durations.count) for total in _succeeded(taken) if total.fallback))


def retrieved_bytes(taken: Round, limits: Limits) -> Iterator[Sample]:
    return _by_store(taken, ((total.store, total.size_bytes) for total in taken.figures.retrievals))


def deletions(taken: Round, limits: Limits) -> Iterator[Sample]:
    for total in taken.figures.deletions:
        yield (total.store, total.reason), total.objects


def deleted_bytes(taken: Round, limits: Limits) -> Iterator[Sample]:
    for total in taken.figures.deletions:
        yield (total.store, total.reason), total.size_bytes


def queued(taken: Round, limits: Limits) -> Iterator[Sample]:
    for job, items in taken.figures.queued.items():
        yield (job,), items


def oldest_unverified_age(taken: Round, limits: Limits) -> Iterator[Sample]:
    if taken.figures.oldest_unverified is not None:
        yield (), _age(taken, taken.figures.oldest_unverified)


# --- the rollout, money -----------------------------------------------------------------------------------------------


def rollout_ratio(taken: Round, limits: Limits) -> Iterator[Sample]:
    yield (), taken.figures.rollout.ratio


def rollout_target_ratio(taken: Round, limits: Limits) -> Iterator[Sample]:
    yield (), taken.figures.rollout.target_ratio


def unmigrated(taken: Round, limits: Limits) -> Iterator[Sample]:
    yield (), taken.figures.rollout.unmigrated


def oldest_unmigrated_age(taken: Round, limits: Limits) -> Iterator[Sample]:
    oldest = taken.figures.rollout.oldest_unmigrated
    yield (), 0.0 if oldest is None else _age(taken, oldest)


def month_bill(taken: Round, limits: Limits) -> Iterator[Sample]:
    if taken.month_bill_usd is not None:
        yield (), taken.month_bill_usd


def forecast_cost(taken: Round, limits: Limits) -> Iterator[Sample]:
    yield from (((day,), usd) for day, usd in taken.forecast_usd.items())


def forecast_bytes(taken: Round, limits: Limits) -> Iterator[Sample]:
    yield from (((day,), size_bytes) for day, size_bytes in taken.forecast_bytes.items())


# --- cameras, alarms --------------------------------------------------------------------------------------------------


def cameras(taken: Round, limits: Limits) -> Iterator[Sample]:
    yield (), len(taken.figures.cameras)


def silent_cameras(taken: Round, limits: Limits) -> Iterator[Sample]:
    if taken.silent_cameras is not None:
        yield (), taken.silent_cameras


def coverage(taken: Round, limits: Limits) -> Iterator[Sample]:
    def ratio(some: Iterable[CameraFigures]) -> float:
        recorded = [taken.recorded_seconds.get(camera.id, 0.0) for camera in some]
        return min(1.0, sum(recorded) / (DAY_SECONDS * len(recorded)))

    shown, rest = _cameras(taken, limits)
    for camera in shown:
        yield (camera.tenant, camera.slug), ratio([camera])
    if rest:
        yield (OTHER, OTHER), ratio(rest)


def last_footage_ages(taken: Round, limits: Limits) -> Iterator[Sample]:
    shown, rest = _cameras(taken, limits)
    for camera in shown:
        if camera.last_end is not None:
            yield (camera.tenant, camera.slug), _age(taken, camera.last_end)
    ends = [camera.last_end for camera in rest if camera.last_end is not None]
    if ends:
        yield (OTHER, OTHER), _age(taken, min(ends))


def alarms(taken: Round, limits: Limits) -> Iterator[Sample]:
    yield from taken.alarms.items()


def read_at(taken: Round, limits: Limits) -> Iterator[Sample]:
    yield (), taken.figures.now.timestamp()


# --- pieces of the above ----------------------------------------------------------------------------------------------


def together(all_of: Iterable[Durations]) -> Durations:
    """Several durations as one."""
    count, seconds, classes = 0, 0.0, [0] * (len(LATENCY_BOUNDS) + 1)
    for durations in all_of:
        count += durations.count
        seconds += durations.seconds
        classes = [one + other for one, other in zip(classes, durations.classes, strict=True)]
    return Durations(count, seconds, tuple(classes))


def error_label(code: str | None) -> str:
    """The code of one of our own errors, or `OTHER`: what a row says of others may be anything."""
    return code if code in _known_codes() else OTHER


@cache
def _known_codes() -> frozenset[str | None]:
    def below(error: type[ReelkeeperError]) -> Iterator[str]:
        yield error.code
        for kind in error.__subclasses__():
            yield from below(kind)

    return frozenset(below(ReelkeeperError))


def _succeeded(taken: Round) -> list[TransferTotals]:
    return [total for total in taken.figures.transfers if total.outcome == "succeeded"]


def _failed(taken: Round) -> list[TransferTotals]:
    return [total for total in taken.figures.transfers if total.outcome == "failed"]


def _summed(pairs: Iterable[tuple[_Label, int]]) -> Counter[_Label]:
    counter: Counter[_Label] = Counter()
    for label, number in pairs:
        counter[label] += number
    return counter


def _by_store(taken: Round, pairs: Iterable[tuple[str, int]]) -> Iterator[Sample]:
    counted = _summed(pairs)
    for store in _stores(taken, counted):
        yield (store,), counted[store]


def _stores(taken: Round, also: Iterable[str]) -> list[str]:
    """The estate's stores, and those of which history tells although they are none of it any more."""
    names = [str(store.name) for store in taken.figures.stores]
    return names + sorted({*also} - {*names})


def _cameras(taken: Round, limits: Limits) -> tuple[list[CameraFigures], list[CameraFigures]]:
    """Those with series of their own, by name, so that they stay the same; and the rest."""
    cameras = sorted(taken.figures.cameras, key=lambda camera: (camera.tenant, camera.slug))
    return cameras[: limits.cameras], cameras[limits.cameras :]


def _age(taken: Round, moment: datetime) -> float:
    """Seconds since then; a clock that is ahead makes no negative age."""
    return max(0.0, (taken.figures.now - moment).total_seconds())
