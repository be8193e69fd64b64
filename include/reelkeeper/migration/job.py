"""The migration: the segments that the rollout wants in the cloud get there, verified, and stay on record.

plan → transfer_batch for each batch → verify_batch for each → gate → summarise. Each step is a task of its own; what
passes between them are ids and counts, the work lists stand in the catalogue. All may be run again at any time.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.records import Batch, BatchCounts, TransferFailure
from reelkeeper.errors import ConfigurationError, GateFailed
from reelkeeper.migration.batch import BatchResult, transfer_batch
from reelkeeper.model import BatchId, ReplicaState, StoreKind, TimeRange
from reelkeeper.policy.rollout import BUCKETS, Percentage
from reelkeeper.ramp import current_percentage
from reelkeeper.settings import Estate, StoreSettings
from reelkeeper.stores.presence import discrepancies
from reelkeeper.stores.protocols import Store
from reelkeeper.stores.retry import retrying

__all__ = [
    "BatchResult",
    "BatchVerified",
    "MigrationPlan",
    "MigrationSummary",
    "gate",
    "plan_migration",
    "summarise",
    "transfer_batch",
    "verify_batch",
]

log = logging.getLogger(__name__)

ALL = Percentage(BUCKETS)
_MISSING_SHOWN = 5
_FAILURES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class MigrationPlan:
    """What a run is to copy. A dry run has counts but no batches."""

    source: str
    destination: str
    percentage: Percentage
    batches: tuple[Batch, ...]
    segments: int
    size_bytes: int
    left_segments: int  # wanted too, but more than one run takes: for the next
    dry_run: bool
    archived_segments: int = 0  # wanted too, but their sources must be restored first
    barred: str | None = None  # why nothing may be planned


@dataclass(frozen=True, slots=True)
class BatchVerified:
    """What an independent look at a batch's replicas found."""

    batch_id: BatchId
    verified: int
    unverified: int  # missing, or of another size
    verified_bytes: int


@dataclass(frozen=True, slots=True)
class MigrationSummary:
    """How a run ended, for people."""

    counts: BatchCounts
    failures: tuple[TransferFailure, ...]  # the first ones
    archived: int = 0  # of those that are done: the copy must be restored before it can be read


def plan_migration(
    estate: Estate,
    catalogue: Catalogue,
    *,
    run_id: str,
    interval: TimeRange | None,
    source: str | None = None,
    destination: str | None = None,
    percentage: Percentage | None = None,
    batch_size: int | None = None,
    older_than: timedelta | None = None,
    rest_older_than: timedelta | None = None,
    catch_up: timedelta = timedelta(0),
    include_requests: bool = True,
    dry_run: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> MigrationPlan:
    """Put what the rollout wants at the destination into batches: the segments that start in `interval` (None: ever).

    What is None is taken from the estate. Only segments that ended `older_than` before now are taken. After them come,
    when they ended `rest_older_than` before now (None: `older_than`), the segments that start up to `catch_up` before
    the interval and were not taken, and with `include_requests` those of other intervals that were asked for (fell
    back, came late, were read locally); these ask for a copy in the cloud store, and no other destination takes them.
    Planning the same run again finds the same batches. ConfigurationError for stores that do not fit.
    """
    settings = estate.migration
    origin, target = _stores(estate, source, destination)
    share = percentage or _usual_percentage(estate, catalogue, target)
    why_not = estate.barred(target)
    if why_not:
        log.warning("nothing is planned: %s", why_not)
        return MigrationPlan(origin.name, target.name, share, (), 0, 0, 0, dry_run, barred=why_not)
    if batch_size is not None and batch_size < 1:
        raise ConfigurationError(f"batch_size is {batch_size!r}: expected at least 1")
    if older_than is None:
        older_than = timedelta(minutes=settings.older_than_minutes)
    moment = now()
    plan = retrying()(
        catalogue.transfers.plan,
        run_id,
        source_store=origin.store_name,
        destination_store=target.store_name,
        interval=interval,
        bucket_below=share.buckets,
        ended_before=moment - older_than,
        rest_ended_before=moment - (older_than if rest_older_than is None else rest_older_than),
        catch_up_from=interval.start - catch_up if interval else None,
        batch_size=batch_size or settings.batch_size,
        batch_bytes=settings.batch_bytes,
        include_requests=include_requests,
        serves_requests=target.name == estate.placement.cloud_store,
        dry_run=dry_run,
        has_classes=origin.kind is not StoreKind.FILESYSTEM,
    )
    return MigrationPlan(
        origin.name, target.name, share, plan.batches, plan.segments, plan.size_bytes, plan.left_segments, dry_run,
        plan.archived_segments,
    )  # fmt: skip


def _stores(estate: Estate, source: str | None, destination: str | None) -> tuple[StoreSettings, StoreSettings]:
    destination = destination or estate.placement.cloud_store
    if destination is None:
        raise ConfigurationError("placement.cloud_store is not set: expected the name of a store to migrate to")
    origin, target = estate.store(source or estate.placement.local_store), estate.store(destination)
    if origin.name == target.name:
        raise ConfigurationError(f"source and destination are both {origin.name!r}: expected two stores")
    return origin, target


def _usual_percentage(estate: Estate, catalogue: Catalogue, destination: StoreSettings) -> Percentage:
    """The rollout's, where it applies: to what goes to the cloud while some stays local."""
    applies = estate.placement.mode == "hybrid" and not estate.is_local(destination)
    return current_percentage(estate, catalogue) if applies else ALL


def verify_batch(
    estate: Estate,
    open_catalogue: Callable[[], Catalogue],
    open_store: Callable[[str], Store],
    batch_id: BatchId,
) -> BatchVerified:
    """Look, apart from the copying, whether the replicas that a batch claims to have made are there, of the right size.

    The bytes were proved before the rows were written (`stores/transfer.py`); this asks the store's own listing, a page
    for up to a thousand objects. What is not as it should be becomes `suspicious`, and the source copy loses its
    retirement date. TransientError when the store cannot be looked at: nothing is concluded then.
    """
    with open_catalogue() as catalogue:
        batch = retrying()(catalogue.transfers.get, batch_id)
        made = [
            replica
            for replica in retrying()(catalogue.transfers.made, batch_id)
            if replica.state in (ReplicaState.AVAILABLE, ReplicaState.SUSPICIOUS)
        ]
        if not made:
            return BatchVerified(batch_id, 0, 0, 0)
        settings = estate.store(str(batch.store))
        sizes = {replica.path: replica.size_bytes for replica in made}
        wrong = {
            discrepancy.key: discrepancy
            for discrepancy in discrepancies(open_store(settings.name), sizes, concurrency=settings.concurrency)
        }
        suspects = [replica for replica in made if replica.path in wrong]
        if suspects:
            shown = "; ".join(str(discrepancy) for discrepancy in list(wrong.values())[:_MISSING_SHOWN])
            log.error("store %r lacks %d of %d replicas of batch %s: %s",
                      settings.name, len(wrong), len(made), batch_id, shown)  # fmt: skip
            retrying()(catalogue.replicas.suspect, suspects)
    verified_bytes = sum(sizes.values()) - sum(replica.size_bytes for replica in suspects)
    return BatchVerified(batch_id, len(made) - len(suspects), len(suspects), verified_bytes)


def gate(
    estate: Estate,
    catalogue: Catalogue,
    batch_ids: Sequence[BatchId],
    *,
    unverified: int = 0,
    stopped: bool = False,
) -> BatchCounts:
    """Let a run pass when it did what it set out to do; else GateFailed, with what was measured and what was allowed.

    `unverified` is the sum over `verify_batch`. What a change of the mode left undone (`stopped`: a batch was `barred`)
    is no failure: it waits.
    """
    counts = retrying()(catalogue.transfers.counts, batch_ids)
    unfinished, settled = counts.pending + counts.claimed, counts.done + counts.failed
    problems = []
    if unverified:
        problems.append(f"{unverified} of {counts.done} new replicas are missing or of another size: expected 0")
    limit = estate.migration.max_failure_ratio
    if settled and counts.failed / settled > limit:
        ratio = f"{counts.failed / settled:.4f}"
        problems.append(f"{counts.failed} of {settled} transfers failed, a ratio of {ratio}: expected at most {limit}")
    if unfinished and not stopped:
        problems.append(f"{unfinished} of {counts.total} transfers are unfinished: expected 0")
    if problems:
        raise GateFailed("; ".join(problems))
    return counts


def summarise(catalogue: Catalogue, batch_ids: Sequence[BatchId]) -> MigrationSummary:
    """How a run's batches stand, and its first failures."""
    counts = retrying()(catalogue.transfers.counts, batch_ids)
    failures = retrying()(catalogue.transfers.failures, batch_ids, _FAILURES_SHOWN) if counts.failed else ()
    archived = retrying()(catalogue.transfers.archived, batch_ids) if counts.done else 0
    return MigrationSummary(counts, tuple(failures), archived)
