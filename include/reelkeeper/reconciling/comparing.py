"""One store held against the catalogue: catalogue – listing – catalogue.

What the catalogue knows is noted, the store is listed, the two are compared, and what does not agree is asked again of
the catalogue and of the store before anything is concluded. This module looks, concludes and reports; it takes nothing
away (`quarantining.py`) and copies nothing (`repairing.py`).

Unknown is not missing (invariant 7): a store that cannot be listed to its end, that lists none of its replicas, or that
lacks too many of them at once, is doubted itself, and nothing is concluded.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.comparison import Compared
from reelkeeper.catalogue.orphans import Takeable
from reelkeeper.catalogue.reconciliations import Outcome, Reconciliation
from reelkeeper.errors import ReelkeeperError, StoreUnavailable
from reelkeeper.model import Key, Progress, StoreName
from reelkeeper.ownership import require_ours
from reelkeeper.policy.caps import CapAction, CapVerdict, check_caps
from reelkeeper.policy.reconciliation import OrphanTerms, is_sick, own_prefixes
from reelkeeper.reconciling.doubting import Doubts, judge_replicas
from reelkeeper.reconciling.listing import Listed, load_listing
from reelkeeper.reconciling.recovering import recover_moved
from reelkeeper.reconciling.returning import return_recorded
from reelkeeper.reconciling.sighting import COLUMNS, Sightings, judge_objects
from reelkeeper.reports import Report
from reelkeeper.settings import Estate, StoreSettings
from reelkeeper.stores.protocols import Store, TellsTime
from reelkeeper.stores.retry import retrying

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a run found in a store, and what it would take from it."""

    row: Reconciliation
    takeable: Takeable
    verdict: CapVerdict


@dataclass(frozen=True, slots=True)
class _Run:
    """One store's part of a run."""

    estate: Estate
    catalogue: Catalogue
    open_store: Callable[[str], Store]
    settings: StoreSettings
    run_id: str
    now: datetime
    shift: timedelta
    dry_run: bool


def reconcile_store(
    estate: Estate,
    open_catalogue: Callable[[], Catalogue],
    open_store: Callable[[str], Store],
    store_name: str,
    *,
    run_id: str,
    now: datetime,
    shift: timedelta = timedelta(0),
    dry_run: bool = False,
    accept_loss: bool = False,
    progress: Progress | None = None,
) -> Reconciled:
    """Hold a store against the catalogue, conclude what each difference means, and report every one.

    Objects that nothing knows are noted as seen by this run. Replicas that three looks did not find as recorded are
    lost; doubted ones whose bytes are right are available again. `shift` is how far `now` is ahead of the real time:
    the store's clock is moved with it. A dry run changes nothing but its own row of history. `accept_loss` is a
    person's word that the store is well and has lost what it lacks. Trying it again in the same run finds the same.

    StoreUnavailable when the store cannot be listed, or is doubted itself, StoreNotOurs when its marker does not name
    this catalogue: nothing is concluded then.
    More than the hard cap allows is told by the verdict; `quarantine_orphans` takes nothing then.
    """
    settings = estate.store(store_name)
    store = open_store(settings.name)
    prefixes = own_prefixes(settings.tier_prefixes)
    with open_catalogue() as catalogue:
        run = _Run(estate, catalogue, open_store, settings, run_id, now, shift, dry_run)
        require_ours(catalogue, store)
        if not dry_run:
            return_recorded(catalogue, store, run_id=run_id, now=now)
        lists_all = catalogue.comparison.begin(settings.store_name, prefixes)
        listed = load_listing(store.list(), catalogue.comparison, prefixes, keep_foreign=lists_all, progress=progress)
        compared = catalogue.comparison.finish(prefixes)
        listed = replace(
            listed,
            objects=listed.objects + compared.outside_listed,
            foreign_objects=listed.foreign_objects - compared.outside_listed,
        )
        if not accept_loss and (why := _doubt(estate, settings, compared)):
            _record(run, listed, compared, Outcome.SICK, None)
            raise StoreUnavailable(why)
        return _concluded(run, store, listed, compared)


def _doubt(estate: Estate, settings: StoreSettings, compared: Compared) -> str | None:
    """Why it is the store that is doubted, and not what it lacks; None when it is not."""
    rules = estate.reconcile
    if compared.absent and not compared.listed:
        return (
            f"store {settings.name!r} lists none of its {compared.replicas} replicas: it is taken for not being there; "
            "nothing is concluded (if they are lost indeed, run once with accept_loss)"
        )
    if is_sick(compared.absent, compared.replicas, count=rules.sick_count, ratio=rules.sick_ratio):
        return (
            f"store {settings.name!r} lacks {compared.absent} of {compared.replicas} replicas at once: it is taken for "
            f"sick (from {rules.sick_count} and a ratio of {rules.sick_ratio} on); nothing is concluded (if they are "
            "lost indeed, run once with accept_loss)"
        )
    return None


def _concluded(run: _Run, store: Store, listed: Listed, compared: Compared) -> Reconciled:
    rules = run.estate.reconcile
    orphan_terms = OrphanTerms(rules.sightings, timedelta(hours=rules.min_age_hours))
    clock = _clock_of(store) + run.shift
    with Report(COLUMNS) as report:
        doubts = judge_replicas(
            run.estate,
            run.catalogue,
            store,
            report,
            now=run.now,
            dry_run=run.dry_run,
            concurrency=run.settings.concurrency,
        )
        recovered = recover_moved(run.estate, run.catalogue, store, report, now=run.now, dry_run=run.dry_run)
        doubts = replace(doubts, healed=doubts.healed + recovered)
        sightings = judge_objects(
            run.estate, run.catalogue, store, report, orphan_terms, own_prefixes(run.settings.tier_prefixes),
            run_id=run.run_id, now=run.now, store_clock=clock, dry_run=run.dry_run,
        )  # fmt: skip
        takeable = _takeable(run, orphan_terms, clock, sightings)
        objects = listed.objects - sightings.foreign
        verdict = check_caps(takeable.total, objects, run.estate.reconcile_caps)
        key = _published(run, report) if report.rows else None
    outcome = _outcome(run, verdict, takeable, doubts, sightings)
    row = _record(run, listed, compared, outcome, key, doubts, sightings)
    if verdict.action is CapAction.REFUSE:  # which hinders the taking, and not the repair of what is lost
        log.error("store %r: too much would be taken: %s", run.settings.name, verdict.message)
    return Reconciled(row, takeable, verdict)


def _takeable(run: _Run, terms: OrphanTerms, clock: datetime, sightings: Sightings) -> Takeable:
    counted = run.catalogue.orphans.count(
        run.settings.store_name,
        run_id=run.run_id, sightings=terms.sightings, modified_before=terms.modified_before(clock), now=run.now,
    )  # fmt: skip
    return replace(counted, ripe=sightings.ripe) if run.dry_run else counted


def _clock_of(store: Store) -> datetime:
    if not isinstance(store, TellsTime):
        raise StoreUnavailable(f"store {store.name!r} does not tell the time: the age of its objects is unknown")
    return retrying()(store.clock)


def _outcome(run: _Run, verdict: CapVerdict, takeable: Takeable, doubts: Doubts, sightings: Sightings) -> Outcome:
    if run.dry_run:
        return Outcome.DRY_RUN
    if verdict.action is not CapAction.WITHIN:
        return Outcome.REFUSED  # until a person has approved it, and it is done
    changed = takeable.total or doubts.lost or doubts.healed or sightings.found
    return Outcome.ACTED if changed else Outcome.AGREED


def _published(run: _Run, report: Report) -> Key:
    store = run.open_store(run.estate.placement.exports_in)
    return report.publish(store, f"reconcile_stores/{run.now:%Y-%m-%d}/{run.run_id}/{run.settings.name}")


def _record(
    run: _Run,
    listed: Listed,
    compared: Compared,
    outcome: Outcome,
    report: Key | None,
    doubts: Doubts = Doubts(),
    sightings: Sightings = Sightings(),
) -> Reconciliation:
    row = Reconciliation(
        run.run_id, StoreName(run.settings.name), outcome, listed.objects - sightings.foreign, listed.object_bytes,
        listed.foreign_objects + sightings.foreign, compared.replicas, sightings.orphans, sightings.orphan_bytes,
        doubts.lost if outcome is not Outcome.SICK else compared.absent, doubts.wrong_size,
        doubts.healed + sightings.found, report, run.now, run.now,
    )  # fmt: skip
    try:
        retrying()(run.catalogue.reconciliations.record, row)
    except ReelkeeperError as error:
        log.error("what run %r found in store %r is not recorded: %s", run.run_id, run.settings.name, error)
        raise
    return row
