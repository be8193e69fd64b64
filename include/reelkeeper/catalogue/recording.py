"""What may be recorded as a replica, and what that means for the other copies of its segment.

Nothing is recorded at a place where a deletion is decided, or under way. When a copy is good again, the others of its
segment get back what its doubt took from them.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from reelkeeper.catalogue.mapping import bounds
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


def retire_others_again(session: Session, good: Sequence[Replica], retire_after: datetime | None) -> None:
    """The other copies of the segments of these replicas, as far as they are available, get the retirement date anew
    that a doubt took from them. None: none retires on the strength of these."""
    if not good or retire_after is None:
        return
    places = [{"segment_id": one.segment_id, "start_time": one.start_time, "store": one.store} for one in good]
    span = bounds(one.start_time for one in good)
    session.execute("retire_again", rows=Rows(places), retire_after=retire_after, **span)
