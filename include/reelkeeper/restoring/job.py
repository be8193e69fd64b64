"""Archived footage becomes readable again: what is to be restored, what that costs, and how long it takes.

select and plan_restore → request_restores → look_at_restores, until nothing is open → gate → summarise; end_restores,
when the copies are gone. Each may be run again at any time, and what passes between them stands in the catalogue. A
replica is asked for once, however many runs want it: they share its restore, and one that wants it for longer has it
extended.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from uuid import UUID

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.restores import RestoreCounts, RestoreFailure, Selection
from reelkeeper.errors import ConfigurationError, GateFailed
from reelkeeper.model import CameraId, SegmentId, TimeRange
from reelkeeper.restoring.plan import RestoreEstimate, RestorePlan, plan_restore
from reelkeeper.restoring.requests import LookResult, RequestResult, look_at_restores, request_restores
from reelkeeper.settings import Estate
from reelkeeper.stores.retry import retrying

__all__ = [
    "LookResult",
    "RequestResult",
    "RestoreEstimate",
    "RestorePlan",
    "RestoreSummary",
    "Selection",
    "end_restores",
    "gate",
    "look_at_restores",
    "plan_restore",
    "request_restores",
    "select",
    "summarise",
]

_FAILURES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class RestoreSummary:
    """How a run ended, for people."""

    counts: RestoreCounts
    failures: tuple[RestoreFailure, ...]  # the first ones


def select(
    estate: Estate,
    catalogue: Catalogue,
    *,
    cameras: Sequence[str] = (),
    time_range: TimeRange | None = None,
    segment_ids: Collection[SegmentId] = (),
) -> Selection:
    """The selection that a person describes; cameras by slug, of the estate's tenant, or by id.

    What is left out does not restrict, but something must be given. ConfigurationError, also for an unknown camera.
    """
    if not cameras and time_range is None and not segment_ids:
        raise ConfigurationError("nothing says which footage: expected cameras, a time range or segment ids")
    return Selection(
        tuple(_camera_ids(estate, catalogue, cameras)) if cameras else None,
        time_range,
        tuple(segment_ids) if segment_ids else None,
    )


def end_restores(catalogue: Catalogue, *, now: datetime) -> int:
    """Take the replicas whose restored copy is gone for archived again. How many restores ended."""

    def attempt() -> int:
        with catalogue.transaction():
            catalogue.restores.lock()
            return catalogue.restores.end(now)

    return retrying()(attempt)


def gate(catalogue: Catalogue, run_id: str) -> RestoreCounts:
    """Let a run pass when all it waited for can be read. GateFailed with what cannot."""
    counts = retrying()(catalogue.restores.counts, run_id)
    total = counts.readable + counts.failed + counts.ended + counts.planned + counts.requested
    problems = [
        f"{number} of {total} restores {what}"
        for number, what in (
            (counts.failed, "failed"),
            (counts.ended, "ended before the last was readable"),
            (counts.open, "are not settled"),
        )
        if number
    ]
    if problems:
        shown = retrying()(catalogue.restores.failures, run_id, 3) if counts.failed else ()
        told = "".join(f"; segment {str(each.segment_id)!r} in store {each.store!r}: {each.error}" for each in shown)
        raise GateFailed(f"{', '.join(problems)}: expected 0{told}")
    return counts


def summarise(catalogue: Catalogue, run_id: str) -> RestoreSummary:
    """How the restores of a run stand, and its first failures."""
    counts = retrying()(catalogue.restores.counts, run_id)
    failures = retrying()(catalogue.restores.failures, run_id, _FAILURES_SHOWN) if counts.failed else ()
    return RestoreSummary(counts, tuple(failures))


def _camera_ids(estate: Estate, catalogue: Catalogue, cameras: Sequence[str]) -> list[CameraId]:
    by_slug = retrying()(catalogue.cameras.by_slug, estate.tenant_name)
    ids = {name: CameraId(UUID(name)) for name in cameras if name not in by_slug and _is_uuid(name)}
    known = retrying()(catalogue.cameras.by_id, list(ids.values())) if ids else {}
    found = []
    for name in cameras:
        if name in by_slug:
            found.append(by_slug[name].id)
        elif ids.get(name) in known:
            found.append(ids[name])
        else:
            like = get_close_matches(name, by_slug, n=5)
            hint = f"; did you mean one of {like}?" if like else ""
            raise ConfigurationError(
                f"unknown camera {name!r}: expected a slug of tenant {estate.tenant!r}, or an id{hint}"
            )
    return found


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
