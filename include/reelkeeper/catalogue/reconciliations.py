"""Reconciliations in the catalogue: what each run found in each store. The source of the orphan and lost metrics."""

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

from reelkeeper.catalogue.session import Session
from reelkeeper.model import StoreName


class Outcome(StrEnum):
    """What came of a reconciliation."""

    AGREED = "agreed"  # nothing was to be done
    ACTED = "acted"
    DRY_RUN = "dry_run"  # nothing was changed
    REFUSED = "refused"  # over a cap, and not approved: nothing was taken away
    SICK = "sick"  # the store was doubted: nothing was concluded


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What one run found in one store."""

    run_id: str
    store: StoreName
    outcome: Outcome
    objects: int  # listed, ours
    object_bytes: int
    foreign_objects: int  # listed, others', never touched
    replicas: int  # rows that the listing was held against
    orphans: int
    orphan_bytes: int
    lost: int  # replicas that are lost now, those of earlier runs included
    wrong_size: int
    healed: int  # doubted, and found to be right
    report_path: str | None  # in the exports store
    started_at: datetime
    finished_at: datetime
    quarantined: int = 0
    repaired: int = 0


class Reconciliations:
    """History: one row for each run and store."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def record(self, found: Reconciliation) -> None:
        """Tell what a run found; a try that comes later tells it anew. `quarantined` and `repaired` are told apart."""
        self._session.execute("record_reconciliation", **asdict(found))

    def record_quarantined(self, run_id: str, store: StoreName, quarantined: int) -> None:
        """The run acted, and has put so many more orphans into quarantine."""
        self._session.execute("record_quarantined", run_id=run_id, store=store, quarantined=quarantined)

    def record_repaired(self, run_id: str) -> None:
        """Count what the repairs of the run have made good by now."""
        self._session.execute("record_repaired", run_id=run_id)

    def of_run(self, run_id: str) -> list[Reconciliation]:
        """What the run found, by store."""
        return [
            Reconciliation(**row._asdict() | {"outcome": Outcome(row.outcome)})
            for row in self._session.rows("reconciliations_of_run", run_id=run_id)
        ]
