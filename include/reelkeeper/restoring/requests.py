"""What a run asks a store for, and what it finds when it looks: the part of a restore that talks to the store.

Order: look → ask → record. Whoever is killed after asking leaves a planned restore, and the next try sees at its look
that it is under way: it is never asked for twice. Workers share a run by claiming restores for one short transaction.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.restores import Restore, RestoreRecord
from reelkeeper.errors import (
    AccessDenied,
    ConfigurationError,
    ObjectNotFound,
    ReelkeeperError,
    StoreUnavailable,
    TransientError,
)
from reelkeeper.model import Progress, Replica, StoreName
from reelkeeper.policy.prices import Speed
from reelkeeper.policy.restoration import next_look, usual_time
from reelkeeper.settings import Estate
from reelkeeper.stores.breaker import HOPELESS, Breaker
from reelkeeper.stores.protocols import Restores, Store
from reelkeeper.stores.retry import retrying

log = logging.getLogger(__name__)

_AT_ONCE = 200
"""Restores of one transaction: short, as another plan may wait for it."""
_DAY = timedelta(days=1)
_EXTENDS_AT: Speed = "standard"
"""Every archive class has it, and moving the end of a copy retrieves nothing."""


@dataclass(frozen=True, slots=True)
class RequestResult:
    """What one call of `request_restores` did."""

    requested: int
    readable: int  # restored already; those wanted for longer were extended
    failed: int


@dataclass(frozen=True, slots=True)
class LookResult:
    """What one call of `look_at_restores` found."""

    readable: int
    failed: int
    waiting: int
    next_look: datetime | None  # None: none is waited for


def request_restores(
    estate: Estate,
    open_catalogue: Callable[[], Catalogue],
    open_store: Callable[[str], Store],
    store: StoreName,
    *,
    run_id: str,
    now: datetime,
    progress: Progress | None = None,
) -> RequestResult:
    """Ask a store for what a run waits for there and nobody has asked for yet, and for later ends that are wanted.

    An object that is under restore or readable already is not asked for. What fails for good is recorded as failed, and
    a replica whose object is gone becomes suspicious. Raises, after all else is recorded: StoreUnavailable when some
    are left for the next try; the store's own PermanentError when it cannot be used; ConfigurationError for a store
    that restores nothing.
    """
    with open_catalogue() as catalogue:
        counts = retrying()(catalogue.restores.counts, run_id)
        asker = _Asker(estate, open_store, store, now)
        after, done = 0, 0
        while True:
            with catalogue.transaction():
                claimed = catalogue.restores.claim(run_id, store, above=after, limit=_AT_ONCE)
                records = asker.each(asker.ask, claimed)
                catalogue.restores.record(records)
                catalogue.replicas.suspect(asker.suspects())
            if not claimed:
                break
            after, done = claimed[-1].id, done + len(claimed)
            if progress is not None:
                progress(done, max(done, counts.planned + counts.extended), 0, 0)
    asker.raise_if_left()
    return RequestResult(asker.seen("requested"), asker.seen("readable"), asker.seen("failed"))


def look_at_restores(
    estate: Estate,
    open_catalogue: Callable[[], Catalogue],
    open_store: Callable[[str], Store],
    store: StoreName,
    *,
    run_id: str,
    now: datetime,
) -> LookResult:
    """Look at what a run waits for in a store, and record what is readable by now, and until when.

    One that the store knows of no more has failed. Errors as in `request_restores`.
    """
    with open_catalogue() as catalogue:
        asker = _Asker(estate, open_store, store, now)
        after, waiting = 0, 0
        looks: list[datetime] = []
        while restores := retrying()(catalogue.restores.under_way, run_id, store, above=after, limit=_AT_ONCE):
            after = restores[-1].id
            records = asker.each(asker.look, restores)
            retrying()(catalogue.restores.record, records)
            retrying()(catalogue.replicas.suspect, asker.suspects())
            settled = {record.restore.id for record in records}
            open_ones = [restore for restore in restores if restore.id not in settled]
            waiting += len(open_ones)
            looks += [next_look(each.requested_at or now, each.expected_at or now, now) for each in open_ones]
    asker.raise_if_left()
    return LookResult(asker.seen("readable"), asker.seen("failed"), waiting, min(looks, default=None))


class _Asker:
    """Talks to one store about restores, several at once, and keeps what it could not settle."""

    def __init__(self, estate: Estate, open_store: Callable[[str], Store], store: StoreName, now: datetime) -> None:
        opened = open_store(store)
        if not isinstance(opened, Restores):
            raise ConfigurationError(f"store {store!r} of kind {str(opened.kind)!r} has nothing to restore")
        self._store: Restores = opened
        self._now = now
        self._concurrency = estate.store(store).concurrency
        self._retry = retrying()
        self._breaker = Breaker(store)
        self._suspects: list[Replica] = []
        self._seen: list[str] = []
        self._left = 0
        self._first_error: ReelkeeperError | None = None

    def each(self, do: Callable[[Restore], RestoreRecord | None], restores: Sequence[Restore]) -> list[RestoreRecord]:
        """What became of restores, as far as anything did."""
        if not restores:
            return []
        with ThreadPoolExecutor(min(self._concurrency, len(restores)), thread_name_prefix="restore") as pool:
            outcomes = list(pool.map(lambda restore: self._attempt(do, restore), restores))
        records = []
        for outcome in outcomes:
            if isinstance(outcome, ReelkeeperError):
                self._left += 1
                self._first_error = self._first_error or outcome
            elif outcome is not None:
                records.append(outcome)
        self._seen += [record.state for record in records]
        return records

    def ask(self, restore: Restore) -> RestoreRecord | None:
        """Ask for one that was planned, or for a later end of one that is readable; after a look at how it stands."""
        if restore.replica is None:
            return self._failed(
                restore, "its replica is gone or lies elsewhere by now: expected it where it was planned"
            )
        planned_end = restore.planned_at + restore.days * _DAY
        found = self._retry(self._store.readability, restore.path)
        if found.state == "readable":
            wanted = restore.extend_until or planned_end
            if found.until is not None and found.until < wanted:
                days = ceil((wanted - self._now) / _DAY)
                self._retry(self._store.restore, restore.path, days=days, speed=_EXTENDS_AT)
                found = self._retry(self._store.readability, restore.path)
            return RestoreRecord(
                restore, "readable", self._now, expected_at=self._now, readable_until=found.until or wanted,
                extended_until=restore.extend_until,
            )  # fmt: skip
        if restore.state == "readable":
            return self._failed(restore, f"it is {found.state} again: its copy ended before it was asked for longer")
        if found.state == "archived":
            self._retry(self._store.restore, restore.path, days=restore.days, speed=restore.speed)
        usual = usual_time(str(restore.replica.storage_class), restore.speed)
        # One that was under way may have been asked for by whoever was killed, for fewer days than are wanted by now.
        unsure = planned_end if found.state == "restoring" else None
        return RestoreRecord(
            restore, "requested", self._now, expected_at=self._now + usual.most, extend_until=unsure
        )  # fmt: skip

    def look(self, restore: Restore) -> RestoreRecord | None:
        """See whether one is readable by now. None: it is still under way, or to be asked for by whoever holds it."""
        if restore.state != "requested":
            return None
        found = self._retry(self._store.readability, restore.path)
        if found.state == "readable":
            until = found.until or self._now + restore.days * _DAY
            return RestoreRecord(restore, "readable", self._now, readable_until=until, extended_until=until)
        if found.state == "archived":
            return self._failed(
                restore, "the store knows of no restore of it: it ended unseen, or the request was lost"
            )
        if restore.expected_at is not None and self._now > restore.expected_at:
            log.warning("%r in store %r was expected to be readable at %s and is still being restored",
                        restore.path, restore.store, restore.expected_at.isoformat())  # fmt: skip
        return None

    def seen(self, state: str) -> int:
        """How many came to be in this state."""
        return self._seen.count(state)

    def suspects(self) -> list[Replica]:
        """The replicas whose objects were not there, each told once."""
        suspects, self._suspects = self._suspects, []
        return suspects

    def raise_if_left(self) -> None:
        """StoreUnavailable, or the store's own error, when some were left for another try."""
        if self._first_error is None:
            return
        cause = self._breaker.cause or self._first_error
        if not isinstance(cause, TransientError):
            raise cause
        raise StoreUnavailable(
            f"{self._left} restores in store {self._store.name!r} are left for another try: {cause}"
        ) from cause

    def _attempt(
        self, do: Callable[[Restore], RestoreRecord | None], restore: Restore
    ) -> RestoreRecord | ReelkeeperError | None:
        """The record, None for one that is under way, or the error that left it as it was."""
        dropped = self._breaker.error()
        if dropped is not None:
            return dropped
        try:
            record = do(restore)
        except ReelkeeperError as error:
            self._breaker.failed(error)
            if isinstance(error, (TransientError, AccessDenied, *HOPELESS)):
                return error
            if isinstance(error, ObjectNotFound) and restore.replica is not None:
                self._suspects.append(restore.replica)
            return self._failed(restore, str(error))
        self._breaker.succeeded()
        return record

    def _failed(self, restore: Restore, why: str) -> RestoreRecord:
        log.warning("segment %s cannot be restored in store %r: %s", restore.segment_id, restore.store, why)
        return RestoreRecord(restore, "failed", self._now, error=why)
