"""Replicas in the catalogue."""

from collections.abc import Sequence
from datetime import datetime

from reelkeeper.catalogue.session import Session
from reelkeeper.model import Replica, SegmentId, StoreName


class Replicas:
    """The copies of segments in stores."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def of_segments(self, names: Sequence[tuple[SegmentId, datetime]]) -> dict[SegmentId, list[Replica]]:
        """All replicas of the segments with these (id, start time), by store name. A segment without any is absent."""
        raise NotImplementedError

    def by_path(self, store: StoreName, paths: Sequence[str]) -> dict[str, Replica]:
        """The replicas that lie at these paths of a store."""
        raise NotImplementedError

    def suspect(self, replicas: Sequence[Replica]) -> None:
        """A look did not find these as recorded: the available ones become suspicious.

        The other replicas of their segments lose the retirement date that they got when these seemed safe.
        """
        raise NotImplementedError
