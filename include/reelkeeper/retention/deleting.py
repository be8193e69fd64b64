"""The engine of deletion, the only code that deletes footage: what is condemned and due goes, or is spared.

condemn → grace → delete → forget. One chunk is one transaction: its rows are locked, so that workers share a store and
a kill lets go; the other copies are looked at in their stores; everything is asked again, with no lock placed
meanwhile; the objects are deleted in bulk; they are forgotten. A kill between any two leaves the rows as they were, and
the next run deletes what may be gone already: an object that is not there counts as deleted.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from queue import Empty, SimpleQueue

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.condemnations import Condemnation, Cursor, Deleted, Which
from reelkeeper.errors import DeletionForbidden
from reelkeeper.model import Key, Progress, StoreName
from reelkeeper.ownership import Ownership
from reelkeeper.policy.retention import Reason, Ruling
from reelkeeper.retention.judging import Judge, Judged
from reelkeeper.settings import Estate
from reelkeeper.stores.protocols import Store
from reelkeeper.stores.retry import retrying

log = logging.getLogger(__name__)

CHUNK = 1000
"""Objects of one transaction."""
REQUEST = 250
"""Objects of one bulk request: the most that can still go when the connection to the catalogue breaks meanwhile."""
_WORKERS = 4
_SHOWN = 5
_TELL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class DeletionResult:
    """What one call of `delete_condemned` did in a store."""

    deleted: int = 0
    deleted_bytes: int = 0
    spared: int = 0  # must stay: not condemned any more
    waiting: int = 0  # not known now whether they may go: asked again by the next run
    failed: int = 0  # the store would not delete them; `condemnations.error` says why
    forbidden: bool = False  # the store's `deletion` is forbidden: nothing more was deleted

    @property
    def kept(self) -> int:
        """Condemned objects that were not deleted, for a reason other than a failure."""
        return self.spared + self.waiting


@dataclass(frozen=True, slots=True)
class Terms:
    """What the workers on a store have in common."""

    open_catalogue: Callable[[], Catalogue]
    open_store: Callable[[str], Store]
    store: StoreName
    run_id: str
    now: datetime
    current_estate: Callable[[], Estate]
    ownership: Ownership
    which: Which = field(default_factory=Which)


def delete_condemned(
    estate: Estate,
    open_catalogue: Callable[[], Catalogue],
    open_store: Callable[[str], Store],
    store_name: str,
    *,
    run_id: str,
    now: datetime,
    reasons: Collection[Reason] = tuple(Reason),
    condemned_by: str | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
    current_estate: Callable[[], Estate] | None = None,
) -> DeletionResult:
    """Delete what is condemned in a store and due at `now`, as far as it may go: at most `limit` objects.

    Only what was condemned for one of `reasons`, and `condemned_by` one run, if said: retention deletes all there is,
    any other job its own, so that pausing retention keeps what retention condemned.

    Each object is judged again (`policy.retention`) right before; what must stay is spared: a replica is available
    again when a look at its object finds it as recorded, else suspicious. `current_estate` is asked before each chunk:
    with `deletion = "forbidden"` nothing more goes. Several calls on one store share the work.

    StoreUnavailable, BucketNotFound, AccessDenied … when the store cannot be asked, StoreNotOurs when its marker does
    not name this catalogue: nothing is concluded, all that was not confirmed stays condemned. A copy in another store
    that is not this catalogue's is none to rely on. ConfigurationError for a store that the estate does not know.
    """
    settings = estate.store(store_name)
    ask, which = current_estate or (lambda: estate), Which(reasons, condemned_by)
    with open_catalogue() as catalogue:
        ownership = Ownership(catalogue, open_store)
        terms = Terms(open_catalogue, open_store, settings.store_name, run_id, now, ask, ownership, which)
        due, due_bytes = retrying()(catalogue.condemnations.due, terms.store, which, now=now)
        retrying()(catalogue.condemnations.prepare_history, now)
    if not due:
        return DeletionResult()
    ownership.require(terms.store)
    workers = min(_WORKERS, -(-min(due, limit or due) // CHUNK))
    return _Crew(terms, limit, progress, due, due_bytes).work(workers)


@dataclass(slots=True)
class _Tally:
    """What a chunk came to."""

    counts: Counter[str] = field(default_factory=Counter)
    spared: list[Condemnation] = field(default_factory=list)


class _Crew:
    """The workers of one call, each with a connection of its own."""

    def __init__(self, terms: Terms, limit: int | None, progress: Progress | None, due: int, due_bytes: int) -> None:
        self._terms, self._progress, self._due, self._due_bytes = terms, progress, due, due_bytes
        self._left = due if limit is None else min(limit, due)
        self._budget = threading.Lock()
        self._stopped, self._forbidden = threading.Event(), threading.Event()
        self._told: SimpleQueue[Counter[str]] = SimpleQueue()
        self._counts: Counter[str] = Counter()

    def work(self, workers: int) -> DeletionResult:
        """Until nothing is left to claim. The first error stops all, each after its chunk, and is raised."""
        with ThreadPoolExecutor(workers, thread_name_prefix="delete") as pool:
            running = {pool.submit(self._work) for _ in range(workers)}
            while running:
                done, running = wait(running, timeout=_TELL_SECONDS, return_when=FIRST_COMPLETED)
                if any(future.exception() for future in done):
                    self._stopped.set()
                failed = [future for future in done if future.exception()]
                self._tell()
                if failed:
                    wait(running)
                    failed[0].result()
        counts = self._counts
        return DeletionResult(
            counts["deleted"], counts["deleted_bytes"], counts["spared"], counts["waiting"], counts["failed"],
            self._forbidden.is_set(),
        )  # fmt: skip

    def _work(self) -> None:
        cursor = Cursor()
        with self._terms.open_catalogue() as catalogue:
            while (share := self._share()) and not self._stopped.is_set() and not self._is_forbidden():
                try:
                    cursor_after, tally = _Worker(self._terms, catalogue).chunk(cursor, share)
                except DeletionForbidden:  # the store was opened with a newer estate than ours
                    self._forbidden.set()
                    return
                self._give_back(share - tally.counts["claimed"])
                self._told.put(tally.counts)
                if not tally.counts["claimed"]:
                    return
                cursor = cursor_after

    def _share(self) -> int:
        """How much of the limit this worker may take."""
        with self._budget:
            share = min(CHUNK, self._left)
            self._left -= share
            return share

    def _give_back(self, unused: int) -> None:
        with self._budget:
            self._left += unused

    def _is_forbidden(self) -> bool:
        if self._terms.current_estate().store(self._terms.store).deletion == "forbidden":
            if not self._forbidden.is_set():
                log.warning(
                    "store %r: deletion is forbidden in estate.toml: nothing more is deleted", self._terms.store
                )
            self._forbidden.set()
        return self._forbidden.is_set()

    def _tell(self) -> None:
        try:
            while True:
                self._counts.update(self._told.get_nowait())
        except Empty:
            if self._progress:
                settled = sum(self._counts[what] for what in ("deleted", "spared", "waiting", "failed"))
                self._progress(min(settled, self._due), self._due, self._counts["deleted_bytes"], self._due_bytes)


class _Worker:
    """One worker, at one chunk after another."""

    def __init__(self, terms: Terms, catalogue: Catalogue) -> None:
        self._terms, self._catalogue = terms, catalogue
        self._condemnations = catalogue.condemnations

    def chunk(self, cursor: Cursor, limit: int) -> tuple[Cursor, _Tally]:
        """Settle up to `limit` objects behind the cursor. Where the next chunk begins, and what this one came to."""
        tally = _Tally()
        judge = Judge(self._terms, self._catalogue)
        with self._catalogue.transaction():
            self._condemnations.stay_connected()
            claimed = self._condemnations.claim(
                self._terms.store, self._terms.which, now=self._terms.now, after=cursor, limit=limit
            )
            if not claimed:
                return cursor, tally
            tally.counts["claimed"] = len(claimed)
            self._settle(judge.judge(claimed), tally)
        if judge.spoilt:  # other copies that were looked at, and are not as recorded
            self._catalogue.replicas.suspect(judge.spoilt)
        if tally.spared:
            tally.counts["spared"] = spare(self._terms, self._catalogue, tally.spared)
            tally.counts["waiting"] += len(tally.spared) - tally.counts["spared"]
        last = claimed[-1]
        return Cursor(last.delete_after, last.path), tally

    def _settle(self, judged: Sequence[Judged], tally: _Tally) -> None:
        """Delete, forget, and note what stays, inside the transaction that judged."""
        terms = self._terms
        doomed = [one for one in judged if one.verdict.ruling is Ruling.DELETE]
        failures = self._delete([one.condemnation.path for one in doomed])
        deleted = [Deleted(one.condemnation, one.checksum) for one in doomed if one.condemnation.path not in failures]
        self._condemnations.forget(terms.store, deleted, run_id=terms.run_id, now=terms.now)
        waiting = {one.condemnation.path: one.verdict.why for one in judged if one.verdict.ruling is Ruling.WAIT}
        self._condemnations.postpone(terms.store, waiting | {path: str(error) for path, error in failures.items()})
        tally.spared = [one.condemnation for one in judged if one.verdict.ruling is Ruling.SPARE]
        for one in [one for one in judged if one.verdict.ruling is not Ruling.DELETE][:_SHOWN]:
            log.info("store %r keeps %r: %s", terms.store, one.condemnation.path, one.verdict.why)
        tally.counts.update(
            deleted=len(deleted),
            deleted_bytes=sum(one.condemnation.object.size_bytes for one in deleted),
            waiting=len(waiting),
            failed=len(failures),
        )

    def _delete(self, paths: Sequence[str]) -> dict[str, Exception]:
        """Delete the objects; those that the store would not, each with why."""
        if not paths:
            return {}
        store, keys = self._terms.open_store(self._terms.store), [Key(path) for path in paths]
        failures: dict[Key, Exception] = {}
        for first in range(0, len(keys), REQUEST):
            failures |= retrying()(self._request, store, keys[first : first + REQUEST])
        for path, error in list(failures.items())[:_SHOWN]:
            log.warning("store %r did not delete %r: %s", self._terms.store, path, error)
        return {str(path): error for path, error in failures.items()}

    def _request(self, store: Store, keys: Sequence[Key]) -> Mapping[Key, Exception]:
        """One bulk request, once more at each retry. With the connection our promise to locks would be gone, and a hold
        that was placed since then forbids this: CatalogueUnavailable, with nothing asked of the store."""
        self._condemnations.promise_to_locks()
        return store.delete(keys)


def spare(terms: Terms, catalogue: Catalogue, condemned: Sequence[Condemnation]) -> int:
    """Take back the condemnation of these, each after a look at its object; how many. One whose store does not answer
    stays condemned, to be asked about again."""
    with catalogue.transaction():
        held = catalogue.condemnations.hold(terms.store, [one.path for one in condemned])
        found = Judge(terms, catalogue).look_at_condemned(held)
        known = [one for one in held if found.get(one.path) is not None or not one.object.reason.is_replica]
        good = {path: bool(is_good) for path, is_good in found.items()}
        catalogue.condemnations.spare(terms.store, good, known, terms.now)
    return len(known)
