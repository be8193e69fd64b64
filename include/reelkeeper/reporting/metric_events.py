"""How the metrics of what happened are read off a round: transfers, retrievals, deletions, exports, since ever."""

from collections.abc import Iterator
from functools import cache
from itertools import product

from reelkeeper.errors import ReelkeeperError
from reelkeeper.policy.retention import Reason
from reelkeeper.reporting.figures import Durations, RetrievalTotals, TransferTotals
from reelkeeper.reporting.metric_samples import OTHER, Limits, Sample, by_store, from_nothing, stores, summed, together
from reelkeeper.reporting.rounds import Round

STORED_BY = ("ingest", "migrate", "repair")
"""The jobs that put a copy into a store; `tier` moves one."""
JOBS = (*STORED_BY, "tier")
RETRIEVE = "retrieve"
"""The operation that reads footage for people, beside the jobs that transfer it."""
COMMON_ERRORS = ("access_denied", "credentials_not_found", "source_corrupted", "store_timeout", "store_unavailable")
"""Failures that alarms look for or leave out, and that stores have one day: counted from 0, or the first ones would not
show as an increase."""


def segments_stored(taken: Round, limits: Limits) -> Iterator[Sample]:
    mode = taken.figures.rollout.mode
    stored = ((total.store, total.durations.count) for total in _succeeded(taken) if total.job in STORED_BY)
    yield from (((store, mode), number) for (store,), number in by_store(taken, stored))


def segments_retrieved(taken: Round, limits: Limits) -> Iterator[Sample]:
    return by_store(taken, ((total.store, total.segments) for total in _read(taken)))


def segments_deleted(taken: Round, limits: Limits) -> Iterator[Sample]:
    """Working files, pictures, reports and orphans are no segments. Nor is what a tier move left at its old place: the
    move stored none, and deletes none."""
    gone = {str(reason) for reason in Reason if reason.is_replica}
    return by_store(taken, ((total.store, total.objects) for total in taken.figures.deletions if total.reason in gone))


def exports_created(taken: Round, limits: Limits) -> Iterator[Sample]:
    counted = summed(((total.status,), total.durations.count) for total in taken.figures.exports)
    yield from from_nothing(counted, (("PENDING", "PROCESSING", "COMPLETED", "FAILED"),))


def export_durations(taken: Round, limits: Limits) -> Iterator[Sample]:
    for total in taken.figures.exports:
        if total.status in ("COMPLETED", "FAILED"):
            yield (total.status,), total.durations


def errors(taken: Round, limits: Limits) -> Iterator[Sample]:
    failed = summed(((total.job, total.store), total.durations.count) for total in _failed(taken))
    failed += summed(((RETRIEVE, total.store), total.segments) for total in _unread(taken))
    yield from from_nothing(failed, ((*JOBS, RETRIEVE), stores(taken)))


def transfers(taken: Round, limits: Limits) -> Iterator[Sample]:
    counted = summed(
        ((total.job, total.store, total.outcome), total.durations.count) for total in taken.figures.transfers
    )
    yield from from_nothing(counted, (JOBS, stores(taken), ("succeeded", "failed")))


def transfer_bytes(taken: Round, limits: Limits) -> Iterator[Sample]:
    moved = summed(((total.job, total.store), total.size_bytes) for total in _succeeded(taken))
    yield from from_nothing(moved, (JOBS, stores(taken)))


def transfer_durations(taken: Round, limits: Limits) -> Iterator[Sample]:
    """What went well has histograms from the start: whether the first uploads of all were slow shows by an increase."""
    groups: dict[tuple[str, ...], list[Durations]] = {key: [] for key in product(JOBS, stores(taken), ("succeeded",))}
    for total in taken.figures.transfers:
        groups.setdefault((total.job, total.store, total.outcome), []).append(total.durations)
    for labels, durations in groups.items():
        yield labels, together(durations)


def transfer_failures(taken: Round, limits: Limits) -> Iterator[Sample]:
    failed = summed(
        ((total.job, total.store, error_label(total.error_code)), total.durations.count) for total in _failed(taken)
    )
    yield from from_nothing(failed, (STORED_BY, stores(taken), COMMON_ERRORS))


def fallbacks(taken: Round, limits: Limits) -> Iterator[Sample]:
    return by_store(taken, ((total.store, total.durations.count) for total in _succeeded(taken) if total.fallback))


def retrieved_bytes(taken: Round, limits: Limits) -> Iterator[Sample]:
    return by_store(taken, ((total.store, total.size_bytes) for total in _read(taken)))


def retrieval_durations(taken: Round, limits: Limits) -> Iterator[Sample]:
    """Each of the estate's stores has a histogram from the start: its first retrieval shows as an increase."""
    groups: dict[str, list[Durations]] = {store: [] for store in stores(taken)}
    for total in _read(taken):
        groups.setdefault(total.store, []).append(total.durations)
    for store, durations in groups.items():
        yield (store,), together(durations)


def retrieval_failures(taken: Round, limits: Limits) -> Iterator[Sample]:
    failed = summed(((total.store, error_label(total.error_code)), total.segments) for total in _unread(taken))
    yield from from_nothing(failed, (stores(taken), COMMON_ERRORS))


def deletions(taken: Round, limits: Limits) -> Iterator[Sample]:
    for total in taken.figures.deletions:
        yield (total.store, total.reason), total.objects


def deleted_bytes(taken: Round, limits: Limits) -> Iterator[Sample]:
    for total in taken.figures.deletions:
        yield (total.store, total.reason), total.size_bytes


def error_label(code: str | None) -> str:
    """The code of one of our own errors, or `OTHER`: what a row says of others may be anything."""
    return code if code is not None and code in _known_codes() else OTHER


@cache
def _known_codes() -> frozenset[str]:
    def below(error: type[ReelkeeperError]) -> Iterator[str]:
        yield error.code
        for kind in error.__subclasses__():
            yield from below(kind)

    return frozenset(below(ReelkeeperError))


def _succeeded(taken: Round) -> list[TransferTotals]:
    return [total for total in taken.figures.transfers if total.outcome == "succeeded"]


def _failed(taken: Round) -> list[TransferTotals]:
    return [total for total in taken.figures.transfers if total.outcome == "failed"]


def _read(taken: Round) -> list[RetrievalTotals]:
    return [total for total in taken.figures.retrievals if total.outcome == "succeeded"]


def _unread(taken: Round) -> list[RetrievalTotals]:
    return [total for total in taken.figures.retrievals if total.outcome == "failed"]
