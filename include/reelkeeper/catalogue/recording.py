"""What may be recorded as a replica: nothing at a place where a deletion is decided, or under way."""

from collections.abc import Iterable

from reelkeeper.catalogue.session import Rows, Session
from reelkeeper.model import Replica, StoreName

Place = tuple[StoreName, str]
"""A store, and a path in it."""


def being_deleted(session: Session, replicas: Iterable[Replica]) -> set[Place]:
    """Those places of replicas that stand condemned. Waits for whoever deletes there: what was seen at such a place
    before may be gone by now, so that nothing must be recorded on the strength of it.

    Call it first in the transaction that records. What is condemned from then on is asked about again by the engine of
    deletion, which spares what is on record.
    """
    places = sorted({(replica.store, str(replica.path)) for replica in replicas})
    if not places:
        return set()
    rows = Rows([{"store": store, "path": path} for store, path in places])
    return {(row.store, row.path) for row in session.rows("met_condemnations", rows=rows)}
