"""Which camera a name in a landing zone means."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from reelkeeper.errors import InvalidFootage
from reelkeeper.model import Camera, CameraId, Tenant, camera_id, slugify


class Cameras(Protocol):
    """What is asked of the catalogue."""

    def by_slug(self, tenant: Tenant) -> dict[str, Camera]: ...
    def register(self, cameras: Sequence[Camera]) -> list[Camera]: ...


class CameraRegister:
    """The cameras of a tenant, read once and added to."""

    def __init__(self, cameras: Cameras, tenant: Tenant, *, may_add: bool) -> None:
        """With `may_add`, a camera that the catalogue does not know is registered when its first footage comes."""
        self._cameras, self._tenant, self._may_add = cameras, tenant, may_add
        self._by_slug: dict[str, Camera] = {}
        self._by_id: dict[CameraId, Camera] = {}
        self._is_read = False

    def find(self, names: Iterable[str]) -> dict[str, Camera | InvalidFootage]:
        """The camera of each name (its id, its slug, or what `slugify` makes its slug), or why there is none.

        InvalidFootage `no_camera` or `unknown_camera`.
        """
        if not self._is_read:
            self._know(self._cameras.by_slug(self._tenant).values())
            self._is_read = True
        found: dict[str, Camera | InvalidFootage] = {}
        new: dict[str, Camera] = {}
        for name in names:
            try:
                slug, id_ = slugify(name), _id_of(name)
            except ValueError as exc:
                found[name] = InvalidFootage(str(exc), code="no_camera")
                continue
            camera = (self._by_id.get(id_) if id_ else None) or self._by_slug.get(slug)
            if camera is not None:
                found[name] = camera
            elif self._may_add:
                new[name] = Camera(id_ or camera_id(self._tenant, slug), self._tenant, slug, name)
            else:
                found[name] = InvalidFootage(
                    f"camera {name!r} is not registered: expected one that is, as the zone registers none",
                    code="unknown_camera",
                )
        return found | self._add(new)

    def _add(self, new: Mapping[str, Camera]) -> dict[str, Camera]:
        if not new:
            return {}
        by_slug: dict[str, Camera] = {}
        for camera in new.values():
            by_slug.setdefault(camera.slug, camera)  # of two spellings the first counts
        self._know(self._cameras.register(list(by_slug.values())))
        return {name: self._by_slug[camera.slug] for name, camera in new.items()}

    def _know(self, cameras: Iterable[Camera]) -> None:
        for camera in cameras:
            self._by_slug[camera.slug] = camera
            self._by_id[camera.id] = camera


def _id_of(name: str) -> CameraId | None:
    try:
        return CameraId(UUID(name)) if len(name) == 36 else None
    except ValueError:
        return None
