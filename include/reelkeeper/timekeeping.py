"""Whether a worker's clock may decide what is over: it is held against PostgreSQL's, which all workers share."""

from datetime import datetime, timedelta

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.errors import GateFailed
from reelkeeper.stores.retry import retrying

MOST_APART = timedelta(minutes=5)


def check_clock(catalogue: Catalogue, now: datetime) -> None:
    """GateFailed when a worker's `now`, by its own clock, is more than a few minutes before or after the catalogue's.

    A clock that is ahead ends every retention and grace early. Ask before anything is condemned or deleted.
    """
    told = retrying()(catalogue.condemnations.clock)
    if abs(now - told) > MOST_APART:
        raise GateFailed(
            f"this worker's clock says {now.isoformat()!r} and the catalogue's {told.isoformat()!r}: expected them at "
            f"most {MOST_APART} apart; nothing is condemned or deleted by a clock that is wrong"
        )
