"""A store's listing held against what the catalogue knows of it, inside PostgreSQL.

Rows are noted first, the listing is loaded as it comes, and both are joined once. All of it lies in temporary tables,
which go with the connection: a connection that breaks meanwhile raises CatalogueUnavailable, and all begins anew.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from reelkeeper.catalogue.session import Rows, Session
from reelkeeper.model import SegmentId, Sha256, StoreName
from reelkeeper.policy.reconciliation import QUARANTINE, segment_named

Kind = Literal["unknown", "missing", "wrong_size", "doubted"]
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Difference:
    """Where listing and catalogue do not agree about a path, or the catalogue doubts its own row."""

    kind: Kind  # doubted: it is there, of the right size
    path: str
    size_bytes: int | None  # as listed; None: not listed
    modified_at: datetime | None  # by the store's clock
    segment_id: SegmentId | None  # of a replica
    start_time: datetime | None
    expected_bytes: int | None
    state: str | None  # of the replica, before the listing


@dataclass(frozen=True, slots=True)
class Compared:
    """How many rows the listing was held against, and how they compare."""

    replicas: int  # not condemned
    absent: int  # undoubted replicas that are missing or of another size
    missing: int  # all that were not listed, those lost before included
    outside: int  # replicas outside our own prefixes
    outside_listed: int

    @property
    def listed(self) -> int:
        """Replicas that were met, of whatever size."""
        return self.replicas - self.missing


@dataclass(frozen=True, slots=True)
class WantedSegment:
    """A segment that lacks a good replica, which an unknown object may be."""

    segment_id: SegmentId
    start_time: datetime
    size_bytes: int
    checksum: Sha256


class Comparison:
    """One comparison at a time, on the catalogue's connection. Call `begin`, `add` …, `finish`, in this order."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def begin(self, store: StoreName, prefixes: Sequence[str]) -> bool:
        """Note the rows of a store. Whether some replicas lie outside our own prefixes, so that all is to be listed."""
        self._session.rows("prepare_comparison")
        self._session.execute("note_rows", store=store)
        self._session.execute("make_listing")
        self._session.analyze("noted_rows")
        return bool(self._session.row("count_outside", prefixes=list(prefixes)).outside)

    def add(self, lines: bytes) -> None:
        """Add listed objects: lines of path, size in bytes, and seconds since 1970, in COPY's text format."""
        self._session.load("listed_objects", lines)

    def finish(self, prefixes: Sequence[str]) -> Compared:
        """Compare. What lies outside `prefixes` and not in quarantine is nobody's orphan."""
        given = list(prefixes)
        with self._session.transaction():
            self._session.analyze("listed_objects")
            self._session.execute("compare_listing", prefixes=[*given, QUARANTINE])
            self._session.analyze("differences")
            row = self._session.row("sum_up_comparison", prefixes=given)
        return Compared(row.replicas, row.absent, row.missing, row.outside, row.outside - row.missing_outside)

    def differences(self, *kinds: Kind, page: int = _PAGE) -> Iterator[list[Difference]]:
        """The differences of these kinds, by path, in pages: however many there are."""
        after = 0
        while rows := self._session.rows("differences_after", after_number=after, kinds=list(kinds), limit=page):
            after = rows[-1].number
            yield [_difference(row) for row in rows]

    # --- asked of the catalogue as it is now --------------------------------------------------------------------------

    def known(self, store: StoreName, paths: Sequence[str]) -> set[str]:
        """Which of these objects are known now: by a row, or as what a job under way may be about to record."""
        rows = [{"path": path, "segment_id": segment_named(path)} for path in paths]
        return (
            {row.path for row in self._session.rows("known_objects", store=store, rows=Rows(rows))} if paths else set()
        )

    def wanted(self, store: StoreName, paths: Sequence[str]) -> dict[SegmentId, WantedSegment]:
        """The segments that these unknown objects name and that lack what they may be."""
        ids = [segment for path in paths if (segment := segment_named(path))]
        rows = self._session.rows("wanted_segments", store=store, segment_ids=ids) if ids else []
        return {row.id: WantedSegment(row.id, row.start_time, row.size_bytes, Sha256(row.checksum)) for row in rows}


def _difference(row: Any) -> Difference:
    return Difference(
        row.kind,
        row.path,
        row.size_bytes,
        row.modified_at,
        row.segment_id,
        row.start_time,
        row.expected_bytes,
        row.state,
    )
