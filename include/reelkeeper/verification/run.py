"""One run on one store: which replicas it looks at, within its budget."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.verification import Selection
from reelkeeper.errors import ConfigurationError
from reelkeeper.model import CameraId, Progress, Replica, StoreName, TimeRange
from reelkeeper.policy.restoration import can_be_read, needs_restore
from reelkeeper.policy.rollout import BUCKETS, Percentage
from reelkeeper.pricing import price_lists, reading_usd
from reelkeeper.settings import Estate, StoreSettings
from reelkeeper.stores.retry import retrying
from reelkeeper.verification.findings import Findings, Method, StoreVerified
from reelkeeper.verification.looking import Looker

log = logging.getLogger(__name__)

_PAGE = 1000
_SEEN_PAGE = 5000
"""Rows at a time: of replicas to be read, and of those to be seen, which a listing tells a thousand of at once."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which replicas a run looks at. By default those that are due, up to the budget."""

    method: Method | None = None  # None: as in the estate
    sample: Percentage | None = None  # this share of all, due or not, without a budget
    everything: bool = False  # all, due or not, without a budget
    camera: str | None = None  # a slug of the estate's tenant
    starts_in: TimeRange | None = None


class Run:
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
        self._catalogue, self._looker, self._progress, self._now = catalogue, looker, progress, now
        self._settings = estate.store(store)
        self._prices = price_lists(estate) if self._settings.price_list else {}
        self._due_by_class: dict[str | None, tuple[int, int]] = {}  # only of what is to be read
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
        self._findings = Findings(estate, catalogue, store, self._method)

    def look(self) -> None:
        """Look at everything that the run is to look at."""
        verification, reads = self._catalogue.verification, self._method == "hash"
        result = self._findings.result
        result.due, result.due_bytes = self._due()
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
                    self._findings.take(finding)
                self._keep_up()
                if self._stops():
                    return

    def record(self) -> None:
        """Record all that was found."""
        self._findings.record(store_was_dropped=self._looker.dropped is not None, is_last=True)

    def result(self) -> StoreVerified:
        """What was found. Raises what kept the run from its end."""
        findings, result = self._findings, self._findings.result
        result.bytes_read = self._looker.bytes_read
        result.cost_usd = reading_usd(self._prices, self._settings, findings.read_by_class)
        result.left, result.left_bytes = self._due()
        error = findings.sick or self._looker.dropped
        if error is None and result.unknown == findings.looked:
            error = findings.unknown
        if error is not None:
            log.error("store %r was left after %d replicas: %s", result.store, findings.looked, error)
            raise error
        return result

    # --- what is looked at --------------------------------------------------------------------------------------------

    def _read(self, replicas: Iterator[Replica], *, share: float = 1) -> None:
        """Read those that fit into this share of the budget."""
        with closing(self._looker.read_all(self._within_budget(replicas, share), self._keep_up)) as findings:
            for finding in findings:
                self._findings.take(finding)
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
        return self._findings.sick is not None or self._looker.dropped is not None

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
                     self._findings.result.store, cost, most)  # fmt: skip

    def _keep_up(self) -> None:
        self._findings.record_what_is_due(store_was_dropped=self._looker.dropped is not None)
        if self._progress:
            result = self._findings.result
            due_bytes = min(result.due_bytes, self._budget or result.due_bytes)
            read = min(self._looker.bytes_read, due_bytes) if due_bytes else 0
            self._progress(min(self._findings.looked, result.due), result.due, read, due_bytes)


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
