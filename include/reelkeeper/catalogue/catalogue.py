"""The catalogue: one object that holds the repositories over one connection."""

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from reelkeeper.catalogue.alarms import Alarms
from reelkeeper.catalogue.cameras import Cameras
from reelkeeper.catalogue.comparison import Comparison
from reelkeeper.catalogue.condemnations import Condemnations
from reelkeeper.catalogue.deletions import Deletions
from reelkeeper.catalogue.evidence import Evidence
from reelkeeper.catalogue.exports import Exports
from reelkeeper.catalogue.identity import Identity
from reelkeeper.catalogue.landing import Landing
from reelkeeper.catalogue.locks import Locks
from reelkeeper.catalogue.orphans import Orphans
from reelkeeper.catalogue.quality import Quality
from reelkeeper.catalogue.reconciliations import Reconciliations
from reelkeeper.catalogue.repairs import Repairs
from reelkeeper.catalogue.replicas import Replicas
from reelkeeper.catalogue.restores import Restores
from reelkeeper.catalogue.retention import Retention
from reelkeeper.catalogue.retrievals import Retrievals
from reelkeeper.catalogue.rollout import Rollout
from reelkeeper.catalogue.segments import Segments
from reelkeeper.catalogue.session import Connect, Session
from reelkeeper.catalogue.store_health import StoreHealth
from reelkeeper.catalogue.tallies import Tallies
from reelkeeper.catalogue.thumbnails import Thumbnails
from reelkeeper.catalogue.tier_moves import TierMoves
from reelkeeper.catalogue.tier_planning import TierPlanning
from reelkeeper.catalogue.transfers import Transfers
from reelkeeper.catalogue.verification import Verification


class Catalogue:
    """What we know, by way of one connection that is opened when first used and not shared between threads.

    Every call of a repository is one transaction, unless `transaction()` groups several. A call raises
    CatalogueUnavailable when PostgreSQL did not answer or asked to try again; the next call reconnects.
    """

    def __init__(self, connect: Connect, schema: str = "reelkeeper", *, statement_seconds: float | None = None) -> None:
        """`connect` opens a psycopg2 connection of its own each time it is called; the catalogue closes it. A statement
        that takes longer than `statement_seconds` is CatalogueUnavailable; None: as the server is set.
        """
        self._session = Session(connect, schema, statement_seconds)
        self.identity = Identity(self._session)
        self.cameras = Cameras(self._session)
        self.segments = Segments(self._session)
        self.replicas = Replicas(self._session)
        self.restores = Restores(self._session)
        self.landing = Landing(self._session)
        self.transfers = Transfers(self._session)
        self.thumbnails = Thumbnails(self._session)
        self.condemnations = Condemnations(self._session)
        self.evidence = Evidence(self._session)
        self.locks = Locks(self._session)
        self.exports = Exports(self._session)
        self.retrievals = Retrievals(self._session)
        self.deletions = Deletions(self._session)
        self.retention = Retention(self._session)
        self.rollout = Rollout(self._session)
        self.verification = Verification(self._session)
        self.tier_moves = TierMoves(self._session)
        self.tier_planning = TierPlanning(self._session)
        self.comparison = Comparison(self._session)
        self.orphans = Orphans(self._session)
        self.repairs = Repairs(self._session)
        self.reconciliations = Reconciliations(self._session)
        self.quality = Quality(self._session)
        self.store_health = StoreHealth(self._session)
        self.tallies = Tallies(self._session)
        self.alarms = Alarms(self._session)

    def transaction(self) -> AbstractContextManager[None]:
        """Group calls: all of them are kept, or none. May be nested: the outermost counts."""
        return self._session.transaction()

    def close(self) -> None:
        """Close the connection. Using the catalogue again opens a new one."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
