"""Retrievals in the catalogue: what was read for people, how long it took, and what could not be read."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from reelkeeper.catalogue.session import Rows, Session
from reelkeeper.model import SegmentId, StoreName


@dataclass(frozen=True, slots=True)
class Retrieval:
    """One try to read a copy of a segment, with all its calls; `error_code` None: its bytes were there and proved."""

    segment_id: SegmentId
    start_time: datetime  # of the segment
    store: StoreName
    size_bytes: int  # of the segment, also where it could not be read
    started_at: datetime
    finished_at: datetime
    error_code: str | None = None
    id: UUID = field(default_factory=uuid4)


class Retrievals:
    """The history of what was read for people: a metric's source, and added to only."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def record(self, export: UUID, retrievals: Sequence[Retrieval]) -> None:
        """Add what was read for an export, or could not be; what is there already is not added again."""
        if retrievals:
            rows = Rows([asdict(retrieval) for retrieval in retrievals])
            self._session.execute("insert_retrievals", export_id=export, rows=rows)
