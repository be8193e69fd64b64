"""Verification: the replicas that a store is said to hold are looked at again, the longest unproved first.

A run reads what is due (`verification.cycle_days`) up to a budget of bytes, so that daily runs spread the work. What
was found is recorded every few seconds, and is then due no more: a run that was killed goes on where its records end.
Suspicious replicas come first, and are always read whole, as nothing less proves them. Nothing is ever deleted, and
what is wrong becomes `suspicious`, for `reconcile_stores` to repair from another copy.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.model import Progress
from reelkeeper.ownership import require_ours
from reelkeeper.settings import Estate
from reelkeeper.stores.protocols import Store
from reelkeeper.verification.findings import StoreVerified
from reelkeeper.verification.looking import Looker
from reelkeeper.verification.run import Run, Scope

__all__ = ["Scope", "StoreVerified", "verify_store"]


def verify_store(
    estate: Estate,
    open_catalogue: Callable[[], Catalogue],
    open_store: Callable[[str], Store],
    store: str,
    scope: Scope = Scope(),
    *,
    run_id: str,
    started: datetime,
    progress: Progress | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> StoreVerified:
    """Look at replicas of one store, and record what was found.

    `run_id` and `started`, the same in every try of a run, let a later try take the same sample, spare what an earlier
    one has proved, and go on with the same budget. A replica that is larger than the whole budget is read by a run of
    its own.

    Raises, after all else is recorded, the error that made the store be dropped or that all looks met; StoreUnavailable
    when it lacks so many replicas that the store is doubted and not they (`reconcile.sick_count`, `sick_ratio`):
    nothing is said of those. StoreNotOurs, with nothing looked at, when its marker does not name this catalogue.
    ConfigurationError for a store or a camera that is not there.
    """

    def moment() -> datetime:
        """Never before the run's start, whatever this machine's clock says: what was looked at is due no more."""
        return max(now(), started)

    with open_catalogue() as catalogue:
        settings = estate.store(store)
        opened = open_store(store)
        require_ours(catalogue, opened)
        looker = Looker(opened, concurrency=settings.concurrency, now=moment)
        run = Run(estate, catalogue, looker, settings.store_name, scope, run_id, started, progress, moment)
        try:
            run.look()
        finally:
            run.record()
        return run.result()
