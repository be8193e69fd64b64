"""Exports on the page: how far they are, and whether there is something to download."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from reelkeeper.catalogue.export_records import Export, Status
from reelkeeper.reporting.page.safety import Level
from reelkeeper.wording import ago, counted, duration, size

LEVELS: dict[Status, Level] = {
    "PENDING": "unknown", "PROCESSING": "unknown", "COMPLETED": "good", "FAILED": "bad", "EXPIRED": "unknown",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ExportView:
    """One export, worded. `progress` None: it is not under way."""

    id: str
    level: Level
    status: str
    progress: int | None
    what: str
    reason: str
    by: str
    made: str
    has_download: bool
    download: str
    failure: str
    run_id: str | None


def exports(found: Sequence[Export], *, now: datetime) -> tuple[ExportView, ...]:
    """Exports in the order that they are given in."""
    return tuple(_view(export, now) for export in found)


def status_at(export: Export, now: datetime) -> Status:
    """How it stands: nothing is given out of one whose time is over, whether it was taken away already or not."""
    return "EXPIRED" if export.status == "COMPLETED" and export.expires_at <= now else export.status


def _view(export: Export, now: datetime) -> ExportView:
    request, status = export.request, status_at(export, now)
    there = status == "COMPLETED"
    what = "a request that was refused"
    if request:
        asked = request.time_range
        what = (f"{counted(len(request.cameras), 'camera')}, {asked.start:%Y-%m-%d %H:%M:%S}, "
                f"{duration((asked.end - asked.start).total_seconds())}, {request.layout}")  # fmt: skip
    left = f", for another {ago(now, export.expires_at)}" if there else ""
    return ExportView(
        str(export.id), LEVELS[status], status.lower(), export.progress if export.is_under_way else None, what,
        export.reason or "", export.created_by or export.triggered_by or "",
        f"{ago(export.created_at, now)} ago", there, f"{size(export.file_size or 0)}{left}" if there else "",
        export.failure or "", export.run_id,
    )  # fmt: skip
