"""Orphans in the catalogue: objects that nothing knows, seen by run after run, then in quarantine, then gone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reelkeeper.catalogue.session import Rows, Session
from reelkeeper.model import Key, StoreName

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Orphan:
    """An object that nothing knows."""

    path: Key  # where it was found
    size_bytes: int
    modified_at: datetime  # by the store's clock
    sightings: int = 1  # runs that saw it unchanged
    in_quarantine: bool = False
    quarantine_path: Key | None = None  # None: in quarantine where it was found

    @property
    def place(self) -> Key:
        """Where it lies now."""
        return self.quarantine_path or self.path


@dataclass(frozen=True, slots=True)
class Takeable:
    """What a run would take from a store."""

    ripe: int  # into quarantine
    due: int  # out of it, for good

    @property
    def total(self) -> int:
        return self.ripe + self.due


class Orphans:
    """Objects that nothing knows."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def sight(self, store: StoreName, seen: Sequence[Orphan], *, run_id: str, now: datetime) -> dict[str, Orphan]:
        """Note that a run saw these; how each stands now, by path. Seeing one again in the same run changes nothing."""
        rows = [{"path": o.path, "size_bytes": o.size_bytes, "modified_at": o.modified_at} for o in seen]
        with self._session.transaction():
            self._session.execute("sight_orphans", store=store, rows=Rows(rows), run_id=run_id, now=now)
            return self.at(store, [orphan.path for orphan in seen])

    def at(self, store: StoreName, paths: Sequence[str]) -> dict[str, Orphan]:
        """Those that were found at these paths."""
        return {row.path: _orphan(row) for row in self._session.rows("orphans_at", store=store, paths=list(paths))}

    def forget_unseen(self, store: StoreName, *, run_id: str) -> int:
        """Forget those that the run did not see, unless they are in quarantine. How many."""
        return self._session.execute("forget_unseen_orphans", store=store, run_id=run_id)

    def forget(self, store: StoreName, paths: Sequence[str]) -> None:
        """These are no orphans any more."""
        if paths:
            self._session.execute("forget_orphans", store=store, paths=list(paths))

    def count(
        self, store: StoreName, *, run_id: str, sightings: int, modified_before: datetime, now: datetime
    ) -> Takeable:
        """How many the run would take: those that it saw, which were seen often enough and are old enough, and those
        whose time in quarantine is over at `now`."""
        row = self._session.row(
            "count_takeable_orphans",
            store=store, run_id=run_id, sightings=sightings, modified_before=modified_before, now=now,
        )  # fmt: skip
        return Takeable(row.ripe, row.due)

    def ripe(
        self, store: StoreName, *, run_id: str, sightings: int, modified_before: datetime
    ) -> Iterator[list[Orphan]]:
        """Those that the run may put into quarantine, in pages."""
        terms = {"run_id": run_id, "sightings": sightings, "modified_before": modified_before}
        return self._pages("ripe_orphans", store=store, **terms)

    def due(self, store: StoreName, *, now: datetime) -> Iterator[list[Orphan]]:
        """Those whose time in quarantine is over and which are not condemned, in pages."""
        return self._pages("due_orphans", store=store, now=now)

    def recorded(self, store: StoreName) -> Iterator[list[Orphan]]:
        """Those in quarantine that have become replicas: recorded late. In pages."""
        return self._pages("known_orphans", store=store)

    def quarantined(
        self, store: StoreName, *, path: str | None = None, run_id: str | None = None
    ) -> Iterator[list[Orphan]]:
        """Those in quarantine that were found at `path` (None: anywhere) and were put there by a run (None: any)."""
        return self._pages("quarantined_orphans", store=store, only_path=path, only_run=run_id)

    def quarantine(
        self, store: StoreName, orphans: Sequence[Orphan], *, run_id: str, now: datetime, delete_after: datetime
    ) -> set[str]:
        """Orphans are in quarantine, at their `quarantine_path`. The paths of those for which that holds now: the ones
        that no other run saw meanwhile."""
        rows = Rows([{"path": orphan.path, "quarantine_path": orphan.quarantine_path} for orphan in orphans])
        found = self._session.rows(
            "quarantine_orphans", store=store, rows=rows, run_id=run_id, now=now, delete_after=delete_after
        )
        return {row.path for row in found}

    def part(self, store: StoreName, paths: Sequence[str]) -> None:
        """What was found at these paths and lies in quarantine is not what belongs there: its place in quarantine is
        its path from now on, and its time goes on."""
        if paths:
            self._session.execute("part_orphans", store=store, paths=list(paths))

    def quarantine_damaged(
        self, store: StoreName, objects: Sequence[Orphan], *, run_id: str, now: datetime, delete_after: datetime
    ) -> None:
        """Damaged objects of lost replicas lie at `path`, in quarantine."""
        rows = [{"path": o.path, "size_bytes": o.size_bytes, "modified_at": o.modified_at} for o in objects]
        self._session.execute(
            "quarantine_damaged", store=store, rows=Rows(rows), run_id=run_id, now=now, delete_after=delete_after
        )

    def _pages(self, query: str, **parameters: object) -> Iterator[list[Orphan]]:
        after = ""
        while rows := self._session.rows(query, **parameters, after_path=after, limit=_PAGE):
            after = rows[-1].path
            yield [_orphan(row) for row in rows]


def _orphan(row: Any) -> Orphan:
    return Orphan(
        row.path, row.size_bytes, row.modified_at, row.sightings, row.state == "quarantined", row.quarantine_path
    )
