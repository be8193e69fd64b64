"""Legal holds: a person says that footage must stay, and from that moment on nothing deletes it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.locks import Covered, PlacedLock
from reelkeeper.errors import ConfigurationError
from reelkeeper.model import Camera, SegmentId, Tenant, utc
from reelkeeper.policy.retention import Lock

LEGAL_HOLD = "legal_hold"
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class PlacedHold:
    """A hold that was placed, and what it covers now. Footage that is yet to come in its range is covered, too."""

    id: UUID
    what: str  # 'camera default/gate', 'segment …' or 'every camera'
    covered: Covered


def place_hold(
    catalogue: Catalogue,
    tenant: Tenant,
    *,
    reason: str,
    created_by: str,
    now: datetime,
    cameras: Sequence[str] = (),
    segment_id: SegmentId | None = None,
    every_camera: bool = False,
    start: datetime | None = None,
    end: datetime | None = None,
    expires_at: datetime | None = None,
) -> list[PlacedHold]:
    """Hold a segment, or the footage of cameras (slug, tenant/slug or id), or of every camera, in `[start, end)`.

    A side of the range that is None is open: footage to come is covered. One hold for each camera, all or none. When
    this returns, nothing covered is deleted any more, in no store: it has waited for the chunk of deletions that was
    under way, if any. (One whose connection to the catalogue broke is not waited for; it ends with the request that its
    store has already: `deleting.REQUEST`.) What is condemned is spared instead of deleted. It ends at `expires_at`, or
    when it is released.

    ConfigurationError for a camera or segment that is not in the catalogue, and for terms that make no sense.
    """
    _check(reason, now, cameras, segment_id, every_camera, start, end, expires_at)
    lock = Lock(LEGAL_HOLD, reason.strip(), None, segment_id, start, end)
    places = [(f"camera {camera.tenant}/{camera.slug}", replace(lock, camera_id=camera.id))
              for camera in _found(catalogue, tenant, cameras)]  # fmt: skip
    if segment_id is not None:
        if catalogue.segments.get(segment_id) is None:
            raise ConfigurationError(f"segment {str(segment_id)!r} is not in the catalogue: nothing to hold")
        places = [(f"segment {segment_id}", lock)]
    elif every_camera:
        places = [("every camera", lock)]
    with catalogue.transaction():
        ids = [catalogue.locks.place(one, created_by=created_by, now=now, expires_at=expires_at) for _, one in places]
    return [
        PlacedHold(identity, what, catalogue.locks.covered(one))
        for identity, (what, one) in zip(ids, places, strict=True)
    ]


def release_hold(catalogue: Catalogue, identity: UUID, *, released_by: str, now: datetime) -> PlacedLock:
    """End a hold; its record. What it covered follows its retention again, from the next run of `enforce_retention` on.

    ConfigurationError for an id that no hold has, and for one that was released already.
    """
    if catalogue.locks.release(identity, released_by=released_by, now=now):
        released = catalogue.locks.get(identity)
        assert released is not None  # rows of locks stay
        return released
    found = catalogue.locks.get(identity)
    if found is None:
        raise ConfigurationError(
            f"no hold has the id {str(identity)!r}: `reelkeeper hold list --all` tells those there are"
        )
    raise ConfigurationError(
        f"hold {str(identity)!r} was released already, by {found.released_by!r} at "
        f"{found.released_at.isoformat() if found.released_at else 'an unknown time'}"
    )


def _check(
    reason: str,
    now: datetime,
    cameras: Sequence[str],
    segment_id: SegmentId | None,
    every_camera: bool,
    start: datetime | None,
    end: datetime | None,
    expires_at: datetime | None,
) -> None:
    choices = {"cameras": cameras, "a segment": segment_id, "every camera": every_camera}
    given = [name for name, choice in choices.items() if choice]
    if len(given) != 1:
        raise ConfigurationError(
            f"expected one of cameras, a segment, or every camera; got {' and '.join(given) or 'none'}"
        )
    if not reason.strip():
        raise ConfigurationError("a hold needs a reason, such as a case number")
    if segment_id is not None and (start or end):
        raise ConfigurationError("a segment is held whole: expected neither 'from' nor 'to' with it")
    if start and end and utc(end) <= utc(start):
        raise ConfigurationError(f"'to' is {end.isoformat()!r}: expected a time after 'from', {start.isoformat()!r}")
    if expires_at and utc(expires_at) <= utc(now):
        raise ConfigurationError(f"'until' is {expires_at.isoformat()!r}: expected a time to come")


def _found(catalogue: Catalogue, tenant: Tenant, names: Sequence[str]) -> list[Camera]:
    found = []
    for name in dict.fromkeys(names):
        owner, _, slug = name.rpartition("/")
        known = catalogue.cameras.by_slug(Tenant(owner) if owner else tenant)
        by_id = {str(camera.id): camera for camera in known.values()}
        camera = known.get(slug) or by_id.get(slug.lower())
        if camera is None:
            like = sorted(known)[:_SHOWN]
            raise ConfigurationError(
                f"camera {name!r} is not in the catalogue: expected one such as {like} (or TENANT/SLUG, or an id)"
            )
        found.append(camera)
    return found
