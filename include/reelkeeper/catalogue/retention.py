"""Retention in the catalogue: what is to leave a store, found and condemned set by set, a month at a time.

The rules are those of `policy.retention`, said in SQL, as ten million replicas do not pass through here. Each object is
judged by the policy itself before it is deleted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from reelkeeper.catalogue.partitions import month_of
from reelkeeper.catalogue.session import Session
from reelkeeper.catalogue.transfers import STALE_AFTER
from reelkeeper.model import StoreName, TimeRange


@dataclass(frozen=True, slots=True)
class Contents:
    """What a store holds, as far as the catalogue knows, without what is condemned."""

    replicas: int = 0
    size_bytes: int = 0  # without lost ones


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of objects and their bytes."""

    objects: int = 0
    size_bytes: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.objects + other.objects, self.size_bytes + other.size_bytes)


@dataclass(frozen=True, slots=True)
class Sweep:
    """One look for what is to leave a store at `now`; a dry one changes nothing."""

    store: StoreName
    now: datetime
    default_days: int  # of cameras that have no retention of their own
    ingest_days: int  # that footage is kept from when it came in, whatever its date
    other_stores: Sequence[StoreName]  # whose copies count
    run_id: str = ""
    delete_after: datetime | None = None  # None: a dry run


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Why a quota cannot be kept: what is left, by what keeps it."""

    missing_bytes: int  # still too much
    protected_bytes: int  # under a lock, or being copied
    only_copy_bytes: int  # owed, and without another verified copy

    def __str__(self) -> str:
        return (
            f"{self.missing_bytes} bytes too much stay: {self.protected_bytes} bytes are under a lock or being copied, "
            f"{self.only_copy_bytes} bytes have no other verified copy"
        )


@dataclass(frozen=True, slots=True)
class Found:
    """What a sweep found, or condemned."""

    expired: Amount
    retired: Amount
    quota: Amount
    shortfall: Shortfall | None = None

    @property
    def objects(self) -> int:
        return self.expired.objects + self.retired.objects + self.quota.objects


class Retention:
    """What is to leave."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def contents(self, stores: Sequence[StoreName]) -> dict[StoreName, Contents]:
        """What each of these stores holds."""
        with self._session.transaction():
            self._session.rows("prepare_planning")
            rows = self._session.rows("store_contents", stores=list(stores))
        found = {row.store: Contents(row.replicas, row.size_bytes) for row in rows}
        return {store: found.get(store, Contents()) for store in stores}

    def sweep(self, terms: Sweep, *, quota: int | None, held_bytes: int | None = None) -> Found:
        """Find what is to leave a store, and condemn it unless the sweep is dry: all in one transaction, one sweep of
        the estate at a time, so that two never count the same bytes, nor let two copies leave for each other's sake.

        First what has expired, then what retires, then, with a `quota` in bytes, the oldest that is left until no more
        than that stays. `held_bytes`: what the store holds, where that was counted just now; None: it is counted.
        """
        with self._session.transaction():
            if terms.delete_after is not None:
                self._session.rows("lock_planning", what="retention")
            self._session.rows("prepare_planning")
            self._session.rows("prepare_whole_months")
            months = list(self._months(terms.store))
            expired, gone_bytes = self._expired(terms, months)
            retiring = {row.month for row in self._session.rows("months_retiring", store=terms.store, now=terms.now)}
            leaving = [month for month in months if month.start in retiring]
            retired = sum((self._run("condemn_retired", terms, month) for month in leaving), Amount())
            taken, shortfall, leaving_bytes = Amount(), None, 0
            if quota is not None:
                if terms.delete_after is not None or held_bytes is None:
                    held_bytes = self.contents([terms.store])[terms.store].size_bytes
                if terms.delete_after is None:  # of these the catalogue still says that they stay
                    leaving_bytes = gone_bytes + retired.size_bytes
                taken, shortfall = self._make_room(terms, months, held_bytes - leaving_bytes - quota, leaving_bytes)
        return Found(expired, retired, taken, shortfall)

    def _expired(self, terms: Sweep, months: Sequence[TimeRange]) -> tuple[Amount, int]:
        """Condemn what has expired; how much it is, and how many bytes of it took room."""
        days = self._session.row("shortest_retention", default_days=terms.default_days).days
        amount, held_bytes = Amount(), 0
        for month in months:
            if month.start >= terms.now - timedelta(days=days):
                break
            row = self._session.row("condemn_expired", **_values(terms, month))
            amount, held_bytes = amount + Amount(row.objects, row.size_bytes), held_bytes + row.held_bytes
            if terms.delete_after is not None:
                self._session.execute("condemn_expired_thumbnails", **_values(terms, month))
        return amount, held_bytes

    def _make_room(
        self, terms: Sweep, months: Sequence[TimeRange], excess: int, leaving_bytes: int
    ) -> tuple[Amount, Shortfall | None]:
        """Condemn the oldest until so many bytes are gone, and not one replica more."""
        taken = Amount()
        for month in months:
            if taken.size_bytes >= excess:
                return taken, None
            taken += self._run("condemn_for_quota", terms, month, most_bytes=excess - taken.size_bytes)
        if taken.size_bytes >= excess:
            return taken, None
        kept = [self._session.row("kept_above_quota", **_values(terms, month)) for month in months]
        leaving_bytes += taken.size_bytes if terms.delete_after is None else 0
        return taken, Shortfall(
            excess - taken.size_bytes,
            sum(row.protected_bytes for row in kept),
            sum(row.only_copy_bytes for row in kept) - leaving_bytes,
        )

    def _run(self, query: str, terms: Sweep, month: TimeRange, **more: object) -> Amount:
        """Condemn of a month what the query finds; reads of it are pointed to its other copies. How much it is."""
        row = self._session.row(query, **_values(terms, month), **more)
        if terms.delete_after is not None and row.objects:
            self._session.execute(
                "point_away_condemned", store=terms.store, run_id=terms.run_id, month_start=month.start,
                month_end=month.end,
            )  # fmt: skip
        return Amount(row.objects, row.size_bytes)

    def _months(self, store: StoreName) -> Iterator[TimeRange]:
        """The months from the store's first footage to its last."""
        span = self._session.row("span_of_store", store=store)
        if span.first_start is None:
            return
        month = month_of(span.first_start)
        while month.start <= span.last_start:
            yield month
            month = month_of(month.end)


def _values(terms: Sweep, month: TimeRange) -> dict[str, Any]:
    return {
        "store": terms.store,
        "now": terms.now,
        "default_days": terms.default_days,
        "ingest_days": terms.ingest_days,
        "stores": list(terms.other_stores),
        "run_id": terms.run_id,
        "delete_after": terms.delete_after or terms.now,
        "dry_run": terms.delete_after is None,
        "stale_after": STALE_AFTER,
        "month_start": month.start,
        "month_end": month.end,
    }
