"""Exports in the catalogue, as far as their life goes. What makes them is `generate_export`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from reelkeeper.catalogue.session import Session
from reelkeeper.model import StoreName


@dataclass(frozen=True, slots=True)
class EndedExport:
    """An export that is to expire, and the store that has its objects: those below `exports/{id}/`."""

    id: UUID
    store: StoreName | None  # None: it never came so far
    expires_at: datetime


class Exports:
    """Footage that was cut out for people."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def states(self, ids: Sequence[UUID]) -> dict[UUID, str]:
        """How these exports stand, as far as there are any: PENDING, PROCESSING, COMPLETED, FAILED or EXPIRED."""
        return {row.id: row.status for row in self._session.rows("export_states", ids=list(ids))}

    def ended(self, *, now: datetime) -> list[EndedExport]:
        """The exports whose time is over at `now`; the oldest first."""
        return [EndedExport(row.id, row.store, row.expires_at) for row in self._session.rows("ended_exports", now=now)]

    def expire(self, ids: Sequence[UUID], *, now: datetime) -> int:
        """Say that these have expired, as far as it is still true; how many. Nobody gets a link to them any more."""
        return self._session.execute("expire_exports", ids=list(ids), now=now)
