"""Verification: the replicas that a store is said to hold are looked at again, the longest unproved first.

A run reads what is due (`verification.cycle_days`) up to a budget of bytes, so that daily runs spread the work. What
was found is recorded every few seconds, and is then due no more: a run that was killed goes on where its records end.
Suspicious replicas come first, and are always read whole, as nothing less proves them. Nothing is ever deleted, and
what is wrong becomes `suspicious`, for `reconcile_stores` to repair from another copy.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from time import monotonic
from typing import Literal

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.verification import Selection
from reelkeeper.errors import ConfigurationError, ReelkeeperError, StoreUnavailable
from reelkeeper.model import CameraId, Progress, Replica, ReplicaState, StoreName, TimeRange
from reelkeeper.ownership import require_ours
from reelkeeper.policy.reconciliation import is_sick
from reelkeeper.policy.restoration import can_be_read, needs_restore
from reelkeeper.policy.rollout import BUCKETS, Percentage
from reelkeeper.pricing import price_lists, reading_usd
from reelkeeper.settings import Estate, StoreSettings
from reelkeeper.stores.protocols import Store
from reelkeeper.stores.retry import retrying
from reelkeeper.verification.confirming import record_findings
from reelkeeper.verification.looking import Looker, ReplicaFinding

log = logging.getLogger(__name__)

Method = Literal["presence", "size", "hash"]
_RECORD_SECONDS = 2.0
_RECORD_FINDINGS = 1000
_PAGE = 1000
_SEEN_PAGE = 5000
"""Rows at a time: of replicas to be read, and of those to be seen, which a listing tells a thousand of at once."""
_SHOWN = 50
_MOST_HELD = 10_000


@dataclass(frozen=True, slots=True)
class Scope:
    """Which replicas a run looks at. By default those that are due, up to the budget."""

    method: Method | None = None  # None: as in the estate
    sample: Percentage | None = None  # this share of all, due or not, without a budget
    everything: bool = False  # all, due or not, without a budget
    camera: str | None = None  # a slug of the estate's tenant
    starts_in: TimeRange | None = None


@dataclass(slots=True)
class StoreVerified:
    """What one run found in one store. Replicas, unless it says bytes."""

    store: StoreName
    method: Method
    read: int = 0  # whole, and right
    seen: int = 0  # there, and of the right size; not read
    archived: int = 0  # of those seen: must be restored before they can be read
    healed: int = 0  # doubted before, and right
    wrong: int = 0  # other bytes or another size, twice
    missing: int = 0
    unknown: int = 0  # could not be looked at: nothing is concluded
    at_risk: int = 0  # of those wrong or missing: no other store has a verified copy
    bytes_read: int = 0
    cost_usd: Decimal = Decimal(0)  # of reading, by the store's price list
    due: int = 0  # when the run began
    due_bytes: int = 0
    left: int = 0  # due, and not looked at: beyond the budget
    left_bytes: int = 0
    problems: list[str] = field(default_factory=list)  # the first ones, for people


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
        run = _Run(estate, catalogue, looker, settings.store_name, scope, run_id, started, progress, moment)
        try:
            run.look()
        finally:
            run.record(is_last=True)
        return run.result()


class _Run:
    """One run on one store."""

    def __init__(
        self,
        estate: Estate,
        catalogue: Catalogue,
        looker: Looker,
        store: StoreName,
        scope: Scope,
        run_id: str,
        started: datetime,
        progress: Progress | None,
        now: Callable[[], datetime],
    ) -> None:
        self._estate, self._catalogue, self._looker, self._progress, self._now = (
            estate,
            catalogue,
            looker,
            progress,
            now,
        )
        self._settings = estate.store(store)
        self._prices = price_lists(estate) if self._settings.price_list else {}
        self._due_by_class: dict[str | None, tuple[int, int]] = {}  # only of what is to be read
        self._read_by_class: dict[str | None, tuple[int, int]] = {}
        self._method = scope.method or _usual_method(estate, self._settings)
        whole = scope.everything or scope.sample is not None
        sample = BUCKETS if scope.sample is None else scope.sample.buckets
        cycle = timedelta(days=0 if whole else estate.verification.cycle_days)
        seed = int.from_bytes(sha256(f"{run_id} {store}".encode()).digest()[:8], signed=True)
        camera = _camera(estate, catalogue, scope.camera)
        self._selection = Selection(store, started - cycle, sample, seed, camera, scope.starts_in)
        self._started = started
        self._budget = None if whole else estate.verification.bytes_per_run
        self._taken = 0  # bytes of replicas that were handed out to be read, by earlier tries as well
        self._findings: list[ReplicaFinding] = []  # to be recorded
        self._missing: list[ReplicaFinding] = []  # held back: so many may be missing that the store is doubted
        self._looked = 0
        self._told = self._absent = 0  # of those that were not doubted before: that told something, that are missing
        self._sick: StoreUnavailable | None = None
        self._unknown: ReelkeeperError | None = None  # why the first one could not be looked at
        self._recorded_at = monotonic()
        self._result = StoreVerified(store, self._method)

    def look(self) -> None:
        """Look at everything that the run is to look at."""
        verification, reads = self._catalogue.verification, self._method == "hash"
        self._result.due, self._result.due_bytes = self._due()
        self._tell_cost()
        if self._budget is not None:
            self._taken = retrying()(verification.bytes_proved_since, self._selection.store, self._started)
        # Those that stay doubted, as they stay wrong, come back each day: they must not starve the others.
        self._read(verification.suspicious(self._selection, _PAGE), share=0.5 if reads else 1)
        if reads:
            self._read(verification.to_prove(self._selection, _PAGE))
        else:
            for page in verification.to_see(self._selection, _SEEN_PAGE):
                for finding in self._looker.see(page):
                    self._take(finding)
                self._keep_up()
                if self._stops():
                    return

    def result(self) -> StoreVerified:
        """What was found. Raises what kept the run from its end."""
        result = self._result
        result.bytes_read = self._looker.bytes_read
        result.cost_usd = reading_usd(self._prices, self._settings, self._read_by_class)
        result.left, result.left_bytes = self._due()
        error = self._sick or self._looker.dropped
        if error is None and result.unknown == self._looked:
            error = self._unknown
        if error is not None:
            log.error("store %r was left after %d replicas: %s", result.store, self._looked, error)
            raise error
        return result

    # --- what is looked at --------------------------------------------------------------------------------------------

    def _read(self, replicas: Iterator[Replica], *, share: float = 1) -> None:
        """Read those that fit into this share of the budget."""
        with closing(self._looker.read_all(self._within_budget(replicas, share), self._keep_up)) as findings:
            for finding in findings:
                self._take(finding)
                self._keep_up()

    def _within_budget(self, replicas: Iterator[Replica], share: float) -> Iterator[Replica]:
        """The replicas up to the first that the budget has no room for. One that need not be read costs nothing."""
        budget = None if self._budget is None else int(self._budget * share)
        for replica in replicas:
            if self._stops():
                return
            cost = replica.size_bytes if can_be_read(replica, self._now()) else 0
            if budget is not None and cost and self._taken and self._taken + cost > budget:
                return
            self._taken += cost
            yield replica

    def _stops(self) -> bool:
        return self._sick is not None or self._looker.dropped is not None

    def _due(self) -> tuple[int, int]:
        """How many replicas are due now, and the bytes that are to be read."""
        if self._method == "hash":
            self._due_by_class = retrying()(self._catalogue.verification.count_to_prove, self._selection)
            found = self._due_by_class.values()
            return sum(number for number, _ in found), sum(size_bytes for _, size_bytes in found)
        return retrying()(self._catalogue.verification.count_to_see, self._selection), 0

    def _tell_cost(self) -> None:
        """What a run costs that reads all that is due, before it reads."""
        due = {name: each for name, each in self._due_by_class.items() if not needs_restore(name)}
        cost = reading_usd(self._prices, self._settings, due)
        if cost:
            most = "all of it" if self._budget is None else f"at most {self._budget} bytes of it"
            log.info("reading what is due in store %r costs about %.2f USD; this run reads %s",
                     self._result.store, cost, most)  # fmt: skip

    # --- what was found -----------------------------------------------------------------------------------------------

    def _take(self, finding: ReplicaFinding) -> None:
        result, replica, error = self._result, finding.replica, finding.error
        self._looked += 1
        if finding.how == "read" and (error is None or (finding.is_wrong and not finding.is_missing)):
            number, size_bytes = self._read_by_class.get(replica.storage_class, (0, 0))
            self._read_by_class[replica.storage_class] = number + 1, size_bytes + replica.size_bytes
        self._told += replica.state is ReplicaState.AVAILABLE and (error is None or finding.is_wrong)
        if error is None:
            result.read += finding.how == "read"
            result.seen += finding.how == "seen"
            result.archived += self._method == "hash" and finding.how == "seen"
            self._findings.append(finding)
        elif finding.is_missing and replica.state is ReplicaState.AVAILABLE:
            self._missing.append(finding)
        elif finding.is_wrong:
            self._shout(replica, error)
            result.wrong += not finding.is_missing
            result.missing += finding.is_missing
            self._findings.append(finding)
        else:
            result.unknown += 1
            self._unknown = self._unknown or error
            log.warning("replica %r in store %r is unknown: %s", replica.path, replica.store, error)

    def _shout(self, replica: Replica, error: ReelkeeperError) -> None:
        log.error("segment %s: replica %r in store %r is wrong: %s",
                  replica.segment_id, replica.path, replica.store, error)  # fmt: skip
        if len(self._result.problems) < _SHOWN:
            self._result.problems.append(f"segment {replica.segment_id}: {error}")

    def _keep_up(self) -> None:
        if len(self._findings) >= _RECORD_FINDINGS or monotonic() - self._recorded_at >= _RECORD_SECONDS:
            self.record()
        if self._progress:
            result = self._result
            due_bytes = min(result.due_bytes, self._budget or result.due_bytes)
            read = min(self._looker.bytes_read, due_bytes) if due_bytes else 0
            self._progress(min(self._looked, result.due), result.due, read, due_bytes)

    def record(self, *, is_last: bool = False) -> None:
        """Record what was found so far; what is missing when enough of the store was seen to judge it."""
        self._recorded_at = monotonic()
        self._judge()
        findings = self._findings
        if not self._stops() and (is_last or len(self._missing) >= _MOST_HELD):
            for finding in self._missing:
                assert finding.error is not None  # that is why it is here
                self._shout(finding.replica, finding.error)
            self._result.missing += len(self._missing)
            self._absent += len(self._missing)
            findings, self._missing = findings + self._missing, []
        healed, at_risk = record_findings(self._estate, self._catalogue, findings)
        self._findings = []
        self._result.healed += healed
        self._result.at_risk += at_risk

    def _judge(self) -> None:
        terms = self._estate.reconcile
        absent = self._absent + len(self._missing)
        if is_sick(absent, self._told, count=terms.sick_count, ratio=terms.sick_ratio):
            self._sick = StoreUnavailable(
                f"store {self._result.store!r} lacks {absent} of {self._told} replicas that were looked at: the store "
                f"itself is doubted, and nothing is concluded (reconcile.sick_count is {terms.sick_count})"
            )


def _usual_method(estate: Estate, store: StoreSettings) -> Method:
    """Reading what is kept where reading costs takes more than its cold class saves."""
    if estate.verification.method == "auto":
        return "size" if store.price_list else "hash"
    return estate.verification.method


def _camera(estate: Estate, catalogue: Catalogue, slug: str | None) -> CameraId | None:
    if slug is None:
        return None
    cameras = retrying()(catalogue.cameras.by_slug, estate.tenant_name)
    if slug not in cameras:
        raise ConfigurationError(f"unknown camera {slug!r}: expected the slug of one of tenant {estate.tenant!r}")
    return cameras[slug].id
