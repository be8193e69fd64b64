"""Placement: which store a segment is written to when it comes in, and whether it belongs in the cloud at all."""

from dataclasses import dataclass
from typing import Literal

from reelkeeper.model import StoreName
from reelkeeper.policy.rollout import Percentage, wants_cloud

Mode = Literal["local", "cloud", "hybrid", "milestone"]
AtIngest = Literal["local", "rollout"]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a segment is written, and where instead when that store fails (None: nowhere, the file waits)."""

    store: StoreName
    fallback: StoreName | None = None


def belongs_in_cloud(mode: Mode, bucket: int, percentage: Percentage) -> bool:
    """Whether policy wants a cloud replica of a segment with this rollout bucket (0–9999)."""
    return mode == "cloud" or (mode == "hybrid" and wants_cloud(bucket, percentage))


def place(
    mode: Mode, at_ingest: AtIngest, *, local: StoreName, cloud: StoreName | None, bucket: int, percentage: Percentage
) -> Destination | None:
    """Where a segment that comes in is written first. None in mode milestone: the VMS keeps it, we do not.

    With `at_ingest="local"` everything lands in the local store, and the migration copies it. With "rollout" what
    belongs in the cloud goes there at once and falls back to the local store.
    """
    if mode == "milestone":
        return None
    if at_ingest == "rollout" and cloud is not None and belongs_in_cloud(mode, bucket, percentage):
        return Destination(cloud, fallback=local)
    return Destination(local)


def migrates_later(mode: Mode, at_ingest: AtIngest) -> bool:
    """Whether footage in the local store waits for the migration to copy what belongs in the cloud."""
    return mode in ("cloud", "hybrid") and at_ingest == "local"
