"""Cameras in the catalogue."""

from collections.abc import Sequence

from reelkeeper.catalogue.session import Session
from reelkeeper.model import Camera, Tenant


class Cameras:
    """The sources of footage."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def by_slug(self, tenant: Tenant) -> dict[str, Camera]:
        """All cameras of a tenant, by slug."""
        raise NotImplementedError

    def register(self, cameras: Sequence[Camera]) -> list[Camera]:
        """Add the cameras that are not there yet by (tenant, slug). Those stored, in the order given: existing win."""
        raise NotImplementedError

    def upsert(self, cameras: Sequence[Camera]) -> tuple[int, int]:
        """Add or change cameras by (tenant, slug); an existing id stays. How many were created, how many changed."""
        raise NotImplementedError
