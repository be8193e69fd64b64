"""The health of stores in the catalogue: what the last look at each of them found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from reelkeeper.catalogue.session import Rows, Session
from reelkeeper.model import StoreName


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a store, and what it found."""

    store: StoreName
    state: Literal["healthy", "unreachable", "foreign", "unknown"]
    reason: str | None  # the error's code; None: it is healthy
    looked_at: datetime


@dataclass(frozen=True, slots=True)
class HealthRecord(Look):
    """The last look, and since when looks have found this state."""

    since: datetime


class StoreHealth:
    """One row a store that somebody has looked at."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def record(self, looks: Sequence[Look]) -> None:
        """Record looks, at most one a store."""
        columns = ("store", "state", "reason", "looked_at")
        rows = [{column: getattr(look, column) for column in columns} for look in looks]
        self._session.execute("record_store_health", rows=Rows(rows))

    def all(self) -> list[HealthRecord]:
        """Every store that was looked at, by its name."""
        return [
            HealthRecord(StoreName(row.store), row.state, row.reason, row.looked_at, row.since)
            for row in self._session.rows("store_health")
        ]
