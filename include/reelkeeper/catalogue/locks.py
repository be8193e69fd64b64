"""Locks in the catalogue: who forbids that footage is deleted, since when, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from reelkeeper.catalogue.session import Session
from reelkeeper.model import CameraId, SegmentId
from reelkeeper.policy.retention import Lock


@dataclass(frozen=True, slots=True)
class PlacedLock:
    """A lock with its record: who placed it, and when it ended or will."""

    id: UUID
    lock: Lock
    camera: str | None  # 'tenant/slug'
    created_by: str
    created_at: datetime
    expires_at: datetime | None = None  # None: until somebody releases it
    released_at: datetime | None = None
    released_by: str | None = None


@dataclass(frozen=True, slots=True)
class Covered:
    """What a lock covers now. Footage that comes later in its range is covered, too."""

    segments: int
    size_bytes: int  # of the segments, each once
    condemned: int  # of the segments: with a copy that waits for its deletion


class Locks:
    """Reasons why nothing may delete."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def place(self, lock: Lock, *, created_by: str, now: datetime, expires_at: datetime | None = None) -> UUID:
        """Place a lock; its id. When this returns (the outermost transaction has ended), nothing that it covers is
        deleted any more: it waits for deletions under way, and those to come see it.
        """
        identity = uuid4()
        with self._session.transaction():
            self._session.rows("promise_lock")
            self._session.execute(
                "insert_lock",
                id=identity,
                kind=lock.kind,
                camera_id=lock.camera_id,
                segment_id=lock.segment_id,
                start_time=lock.start_time,
                end_time=lock.end_time,
                reason=lock.reason,
                created_by=created_by,
                created_at=now,
                expires_at=expires_at,
            )
        return identity

    def release(self, identity: UUID, *, released_by: str, now: datetime) -> bool:
        """End a lock. False when there is none of this id that is still to be released."""
        return bool(self._session.rows("release_lock", id=identity, released_by=released_by, now=now))

    def get(self, identity: UUID) -> PlacedLock | None:
        """The lock of this id, ended ones included."""
        return next((_placed(row) for row in self._session.rows("lock_by_id", id=identity)), None)

    def list(self, *, now: datetime, with_ended: bool = False) -> list[PlacedLock]:
        """The locks in force at `now`, or all there ever were; the oldest first."""
        return [_placed(row) for row in self._session.rows("list_locks", now=now, with_ended=with_ended)]

    def on(self, segments: Sequence[SegmentId], cameras: Sequence[CameraId], *, now: datetime) -> Sequence[Lock]:
        """What is in force and may cover segments of these ids or footage of these cameras, exports that run included.
        `policy.retention.covers` tells which."""
        rows = self._session.rows("locks_on", segment_ids=list(segments), camera_ids=list(cameras), now=now)
        return [_lock(row) for row in rows]

    def covered(self, lock: Lock) -> Covered:
        """How much a lock covers now."""
        row = self._session.row(
            "count_covered",
            camera_id=lock.camera_id,
            segment_id=lock.segment_id,
            start_time=lock.start_time,
            end_time=lock.end_time,
        )
        return Covered(row.segments, row.size_bytes, row.condemned)


def _lock(row: Any) -> Lock:
    return Lock(row.kind, row.reason, row.camera_id, row.segment_id, row.start_time, row.end_time)


def _placed(row: Any) -> PlacedLock:
    camera = f"{row.tenant}/{row.slug}" if row.slug else None
    return PlacedLock(
        row.id, _lock(row), camera, row.created_by, row.created_at, row.expires_at, row.released_at, row.released_by
    )
