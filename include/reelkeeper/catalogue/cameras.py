"""Cameras in the catalogue."""

from collections.abc import Sequence

from reelkeeper.catalogue.mapping import camera_of
from reelkeeper.catalogue.session import Rows, Session
from reelkeeper.model import Camera, CameraId, Tenant


class Cameras:
    """The sources of footage."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def by_slug(self, tenant: Tenant) -> dict[str, Camera]:
        """All cameras of a tenant, by slug."""
        return {row.slug: camera_of(row, row.id) for row in self._session.rows("cameras_of_tenant", tenant=tenant)}

    def by_id(self, ids: Sequence[CameraId]) -> dict[CameraId, Camera]:
        """The cameras with these ids, as far as there are any."""
        return {row.id: camera_of(row, row.id) for row in self._session.rows("cameras_by_id", ids=list(ids))}

    def register(self, cameras: Sequence[Camera]) -> list[Camera]:
        """Add the cameras that are not there yet by (tenant, slug). Those stored, in the order given: existing win."""
        rows = _rows(cameras)
        with self._session.transaction():
            self._session.execute("register_cameras", rows=rows)
            stored = {
                (row.tenant, row.slug): camera_of(row, row.id) for row in self._session.rows("cameras_named", rows=rows)
            }
        return [stored[camera.tenant, camera.slug] for camera in cameras]

    def upsert(self, cameras: Sequence[Camera]) -> tuple[int, int]:
        """Add or change cameras by (tenant, slug); an existing id stays. How many were created, how many changed.

        The last of several with one name counts.
        """
        last = {(camera.tenant, camera.slug): camera for camera in cameras}
        stored = self._session.rows("upsert_cameras", rows=_rows(list(last.values())))
        created = sum(row.created for row in stored)
        return created, len(stored) - created


def _rows(cameras: Sequence[Camera]) -> Rows:
    columns = ("id", "tenant", "slug", "name", "retention_days")
    return Rows([{column: getattr(camera, column) for column in columns} for camera in cameras])
