"""How the metrics of how things stand are read off a round: what is where, queues, the rollout, money, cameras, alarms.

A value that nobody knows is left out.
"""

from collections.abc import Callable, Iterable, Iterator

from reelkeeper.model import ReplicaState
from reelkeeper.reporting.figures import CameraFigures, StoreFigures, Usage
from reelkeeper.reporting.metric_samples import OTHER, Limits, Sample, age, from_nothing, stores, summed
from reelkeeper.reporting.rounds import Round

DAY_SECONDS = 86_400.0


def bytes_used(taken: Round, limits: Limits) -> Iterator[Sample]:
    for store in taken.figures.stores:
        yield (
            (store.name, store.bucket),
            sum(usage.size_bytes for usage in _held(taken) if usage.store == store.name),
        )


def camera_segments(taken: Round, limits: Limits) -> Iterator[Sample]:
    shown, rest = _cameras(taken, limits)
    for camera in shown:
        yield (str(camera.id),), camera.segments
    if rest:
        yield (OTHER,), sum(camera.segments for camera in rest)


def stored_bytes(taken: Round, limits: Limits) -> Iterator[Sample]:
    tenants = sorted({usage.tenant for usage in taken.figures.usage})
    shown = {*tenants[: limits.tenants]}
    held = summed(
        ((usage.store, str(usage.tier), usage.tenant if usage.tenant in shown else OTHER), usage.size_bytes)
        for usage in _held(taken)
    )
    yield from held.items()


def replicas(taken: Round, limits: Limits) -> Iterator[Sample]:
    counted = summed(((usage.store, str(usage.state)), usage.replicas) for usage in taken.figures.usage)
    return from_nothing(counted, (stores(taken), map(str, ReplicaState)))


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
            yield (store.name,), age(taken, store.reconciled_at)


def look_ages(taken: Round, limits: Limits) -> Iterator[Sample]:
    for store in taken.figures.stores:
        if store.looked_at is not None:
            yield (store.name,), age(taken, store.looked_at)


def queued(taken: Round, limits: Limits) -> Iterator[Sample]:
    for job, items in taken.figures.queued.items():
        yield (job,), items


def oldest_unverified_age(taken: Round, limits: Limits) -> Iterator[Sample]:
    if taken.figures.oldest_unverified is not None:
        yield (), age(taken, taken.figures.oldest_unverified)


def rollout_ratio(taken: Round, limits: Limits) -> Iterator[Sample]:
    yield (), taken.figures.rollout.ratio


def rollout_target_ratio(taken: Round, limits: Limits) -> Iterator[Sample]:
    yield (), taken.figures.rollout.target_ratio


def unmigrated(taken: Round, limits: Limits) -> Iterator[Sample]:
    yield (), taken.figures.rollout.unmigrated


def oldest_unmigrated_age(taken: Round, limits: Limits) -> Iterator[Sample]:
    oldest = taken.figures.rollout.oldest_unmigrated
    yield (), 0.0 if oldest is None else age(taken, oldest)


def month_bill(taken: Round, limits: Limits) -> Iterator[Sample]:
    if taken.month_bill_usd is not None:
        yield (), taken.month_bill_usd


def forecast_cost(taken: Round, limits: Limits) -> Iterator[Sample]:
    yield from (((day,), usd) for day, usd in taken.forecast_usd.items())


def forecast_bytes(taken: Round, limits: Limits) -> Iterator[Sample]:
    yield from (((day,), size_bytes) for day, size_bytes in taken.forecast_bytes.items())


def cameras(taken: Round, limits: Limits) -> Iterator[Sample]:
    yield (), len(taken.figures.cameras)


def silent_cameras(taken: Round, limits: Limits) -> Iterator[Sample]:
    if taken.silent_cameras is not None:
        yield (), taken.silent_cameras


def coverage(taken: Round, limits: Limits) -> Iterator[Sample]:
    def ratio(some: Iterable[CameraFigures]) -> float:
        # Footage that overlaps counts twice: no camera makes up for another by that.
        recorded = [min(taken.recorded_seconds.get(camera.id, 0.0), DAY_SECONDS) for camera in some]
        return sum(recorded) / (DAY_SECONDS * len(recorded))

    shown, rest = ([camera for camera in some if camera.id in taken.recorded_before]
                   for some in _cameras(taken, limits))  # fmt: skip
    for camera in shown:
        yield (camera.tenant, camera.slug), ratio([camera])
    if rest:
        yield (OTHER, OTHER), ratio(rest)


def last_footage_ages(taken: Round, limits: Limits) -> Iterator[Sample]:
    shown, rest = _cameras(taken, limits)
    for camera in shown:
        if camera.last_end is not None:
            yield (camera.tenant, camera.slug), age(taken, camera.last_end)
    ends = [camera.last_end for camera in rest if camera.last_end is not None]
    if ends:
        yield (OTHER, OTHER), age(taken, min(ends))


def alarms(taken: Round, limits: Limits) -> Iterator[Sample]:
    yield from taken.alarms.items()


def store_alarms(taken: Round, limits: Limits) -> Iterator[Sample]:
    yield from ((labels, float(fires)) for labels, fires in taken.store_alarms.items())


def alarms_judged(taken: Round, limits: Limits) -> Iterator[Sample]:
    if taken.alarms_judged_at is not None:
        yield (), taken.alarms_judged_at.timestamp()


def alarms_judged_age(taken: Round, limits: Limits) -> Iterator[Sample]:
    if taken.alarms_judged_at is not None:
        yield (), age(taken, taken.alarms_judged_at)


def read_at(taken: Round, limits: Limits) -> Iterator[Sample]:
    yield (), taken.figures.now.timestamp()


def _cameras(taken: Round, limits: Limits) -> tuple[list[CameraFigures], list[CameraFigures]]:
    """Those with series of their own, by name, so that they stay the same; and the rest."""
    cameras = sorted(taken.figures.cameras, key=lambda camera: (camera.tenant, camera.slug))
    return cameras[: limits.cameras], cameras[limits.cameras :]


def _held(taken: Round) -> Iterator[Usage]:
    """What takes room: what is lost does not."""
    return (usage for usage in taken.figures.usage if usage.state != ReplicaState.LOST)
