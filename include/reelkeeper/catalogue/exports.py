"""Exports in the catalogue: what was asked for, how far it is, what it is made of, and when it ends.

An export that is PENDING or PROCESSING holds its footage. What a step has made is recorded once: of several workers
that did the same, the first counts, and the others are told so. A step says of which attempt it is, by the export as it
read it when it began: nothing is recorded of one that is over.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from reelkeeper.catalogue.export_records import (
    Asked,
    Completion,
    CutFacts,
    EndedExport,
    Export,
    ExportCamera,
    ExportFile,
    ExportSource,
    MadeFacts,
)
from reelkeeper.catalogue.mapping import camera_of
from reelkeeper.catalogue.session import Rows, Session
from reelkeeper.errors import ExportEnded, ReelkeeperError
from reelkeeper.model import CameraId, Sha256, StoreName, TimeRange
from reelkeeper.policy.exports import ExportRequest, watermark_id

LONGEST_WORK = timedelta(days=3)
"""An export that is not done by then has died: the slowest restore takes two days."""


_CUTS = TypeAdapter(CutFacts)
_MADE = TypeAdapter(MadeFacts)


class Exports:
    """Footage that was cut out for people."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # --- begin and end ------------------------------------------------------------------------------------------------

    def get(self, identity: UUID) -> Export | None:
        """The export of this id, if there is one."""
        return next((_export(row) for row in self._session.rows("export_by_id", id=identity)), None)

    def recent(self, limit: int, *, now: datetime) -> list[Export]:
        """The exports that were asked for last: those under way first, then the newest."""
        return [_export(row) for row in self._session.rows("recent_exports", limit=limit, since=now - LONGEST_WORK)]

    def under_way(self) -> int:
        """How many are not done yet: they wait, or are worked on."""
        count: int = self._session.row("exports_under_way").exports
        return count

    def hold(self, identity: UUID) -> Export | None:
        """As `get`; until the transaction ends nobody else changes it."""
        return next((_export(row) for row in self._session.rows("hold_export", id=identity)), None)

    def hold_under_way(self, begun: Export) -> Export:
        """As `hold`, for a worker that began when the export was like `begun`. ExportEnded when that attempt is over:
        the export has ended, or another run has begun it anew.
        """
        found = self.hold(begun.id)
        if found is not None and found.attempt == begun.attempt and found.is_under_way:
            return found
        how = f"is {found.status}, attempt {found.attempt} by run {found.run_id!r}" if found else "is not there"
        raise ExportEnded(
            f"export {str(begun.id)!r} {how}: expected attempt {begun.attempt} by run {begun.run_id!r}, under way"
        )

    def accept(
        self, asked: Asked, request: ExportRequest, camera_ids: Sequence[CameraId], store: StoreName, *, now: datetime
    ) -> bool:
        """Let an export begin, or one that failed begin anew. False when there is one of this id that did not fail.

        When this returns (the outermost transaction has ended), nothing that it covers is deleted any more: it waits
        for deletions under way, and those to come see it.
        """
        row = _asked(asked, now + LONGEST_WORK + request.expires_in) | {
            "kept_for": f"{request.expires_in.total_seconds():.0f} seconds",
            "camera_ids": list(map(str, camera_ids)), "start_time": request.time_range.start,
            "end_time": request.time_range.end, "format": request.format, "quality": request.quality,
            "layout": request.layout, "gaps": request.gaps, "watermark": request.watermark,
            "watermark_id": watermark_id(asked.id) if request.watermark else None, "burns_time": request.burns_time,
            "burns_camera": request.burns_camera, "packaging": request.packaging, "ladder": request.ladder,
            "reason": request.reason, "created_by": request.created_by, "ip_address": request.ip_address,
            "user_agent": request.user_agent, "store": store,
        }  # fmt: skip
        with self._session.transaction():
            self._session.rows("promise_lock")
            if not self._session.execute("accept_export", rows=Rows([row]), now=now):
                return False
            self._session.execute("forget_export_cameras", id=asked.id)
            self.forget_files(asked.id, [file.name for file in self.files(asked.id)])
            self._session.execute("insert_export_cameras", id=asked.id, camera_ids=list(camera_ids))
        return True

    def refuse(self, asked: Asked, error: ReelkeeperError, *, now: datetime, expires_in: timedelta) -> bool:
        """Keep a request that was refused, as FAILED, with the reason. False when there is an export of this id."""
        given = {name: value if isinstance(value, str) and value else None for name, value in asked.given.items()}
        row = _asked(asked, now + expires_in) | {
            "format": (given.get("format") or "mp4")[:10], "reason": given.get("reason"),
            "created_by": given.get("created_by"), "failure_code": error.code, "failure": _told(error),
        }  # fmt: skip
        return bool(self._session.execute("refuse_export", rows=Rows([row]), now=now))

    def begin(self, begun: Export, *, now: datetime) -> None:
        """Say that work on it is under way. ExportEnded."""
        with self._session.transaction():
            self.hold_under_way(begun)
            self._session.execute("begin_export", id=begun.id, attempt=begun.attempt, now=now)

    def complete(self, begun: Export, done: Completion, *, now: datetime) -> bool:
        """Say that it is done. False when this attempt was not under way."""
        changed = self._session.execute(
            "complete_export", id=begun.id, attempt=begun.attempt, file_path=done.main.path,
            file_size=done.main.size_bytes, file_hash=done.main.checksum, download_url=done.download_url,
            manifest_path=done.manifest.path, thumbnail_path=done.thumbnail and done.thumbnail.path,
            contact_sheet_path=done.contact_sheet and done.contact_sheet.path, expires_at=done.expires_at, now=now,
        )  # fmt: skip
        return bool(changed)

    def note_trouble(self, begun: Export, step: str, error: ReelkeeperError, *, now: datetime) -> None:
        """Remember what went wrong in a step: should no try help, it is why the export failed."""
        self._session.execute(
            "note_export_trouble", id=begun.id, attempt=begun.attempt, failure_code=error.code,
            failure=f"{step}: {_told(error)}", now=now,
        )  # fmt: skip

    def forget_trouble(self, begun: Export, step: str) -> None:
        """The step is done after all."""
        self._session.execute("forget_export_trouble", id=begun.id, attempt=begun.attempt, step=f"{step}: ")

    def fail(self, begun: Export, code: str, why: str, *, now: datetime) -> bool:
        """Say that it failed: for the trouble that was noted last, or as is given. Its footage is held no longer.
        False when this attempt was not under way.
        """
        changed = self._session.execute(
            "fail_export", id=begun.id, attempt=begun.attempt, failure_code=code, failure=why, now=now
        )
        return bool(changed)

    # --- what it is made of -------------------------------------------------------------------------------------------

    def cameras(self, identity: UUID) -> list[ExportCamera]:
        """Its cameras, in their order."""
        return [
            ExportCamera(row.number, camera_of(row, row.id), row.state, row.done_ratio,
                         _CUTS.validate_python(row.cut) if row.cut else None)
            for row in self._session.rows("export_cameras", id=identity)
        ]  # fmt: skip

    def note_progress(
        self, begun: Export, low: int, high: int, *, now: datetime, number: int | None = None, done_ratio: float
    ) -> None:
        """How far it is, of the percents from `low` to `high`: all of it, or the camera of that number. Only rises.

        ExportEnded: there is no need to go on.
        """
        with self._session.transaction():
            self.hold_under_way(begun)
            if number is not None:
                self._session.execute("note_camera_progress", id=begun.id, number=number, done_ratio=done_ratio)
            shared = None if number is not None else done_ratio
            self._session.execute(
                "note_export_progress", id=begun.id, attempt=begun.attempt, low=low, high=high, done_ratio=shared,
                now=now,
            )  # fmt: skip

    def record_cut(
        self, begun: Export, number: int, cut: CutFacts | None, sources: Sequence[ExportSource],
        file: ExportFile | None, *, now: datetime,
    ) -> bool:  # fmt: skip
        """What became of a camera, all or nothing; None, None: it is empty. False when another worker was first.

        ExportEnded: nothing was recorded.
        """
        with self._session.transaction():
            self.hold_under_way(begun)
            told = _CUTS.dump_json(cut).decode() if cut else None
            state = "cut" if cut else "empty"
            if not self._session.execute("record_export_camera", id=begun.id, number=number, state=state, cut=told):
                return False
            self._session.execute(
                "insert_export_sources", id=begun.id, number=number, rows=Rows([_source_row(one) for one in sources])
            )
            if file:
                self.record_files(begun, [file], now=now)
        return True

    def sources(self, identity: UUID) -> list[ExportSource]:
        """What it was cut from, by camera and time."""
        return [
            ExportSource(row.number, row.segment_id, TimeRange(row.start_time, row.end_time), row.size_bytes,
                         Sha256(row.checksum), row.store, row.path, row.note)
            for row in self._session.rows("export_sources", id=identity)
        ]  # fmt: skip

    def files(self, identity: UUID) -> list[ExportFile]:
        """Its objects, as far as they were recorded."""
        return [
            ExportFile(row.name, row.kind, row.store, row.path, row.size_bytes, Sha256(row.checksum), row.content_type,
                       row.number, _MADE.validate_python(row.facts) if row.facts else None)
            for row in self._session.rows("export_files", id=identity)
        ]  # fmt: skip

    def record_files(self, begun: Export, files: Sequence[ExportFile], *, now: datetime) -> int:
        """Add objects; how many were new. One of a name that is there was recorded by another worker, which counts.

        ExportEnded: nothing was recorded.
        """
        rows = [_file_row(file) for file in files]
        with self._session.transaction():
            self.hold_under_way(begun)
            return self._session.execute("insert_export_files", id=begun.id, rows=Rows(rows), now=now)

    def forget_files(self, identity: UUID, names: Sequence[str]) -> None:
        """Forget objects that are about to go."""
        self._session.execute("forget_export_files", id=identity, names=list(names))

    # --- expiry -------------------------------------------------------------------------------------------------------

    def states(self, ids: Sequence[UUID]) -> dict[UUID, str]:
        """How these exports stand, as far as there are any: PENDING, PROCESSING, COMPLETED, FAILED or EXPIRED."""
        return {row.id: row.status for row in self._session.rows("export_states", ids=list(ids))}

    def ended(self, *, now: datetime) -> list[EndedExport]:
        """The exports whose time is over at `now`; the oldest first."""
        return [EndedExport(row.id, row.store, row.expires_at) for row in self._session.rows("ended_exports", now=now)]

    def expire(self, ids: Sequence[UUID], *, now: datetime) -> int:
        """Say that these have expired, as far as it is still true; how many. Nobody gets a link to them any more."""
        return self._session.execute("expire_exports", ids=list(ids), now=now)


def _told(error: ReelkeeperError) -> str:
    """Why it failed, as whoever may see the export reads it."""
    return str(error) if error.is_for_people else f"{error.in_words}; the task's log says more"


def _export(row: Any) -> Export:
    return Export(
        row.id, row.tenant, row.status, tuple(map(CameraId, row.camera_ids or ())), _request(row), row.watermark_id,
        row.store, row.run_id, row.attempt, row.progress, row.triggered_by, row.created_at, row.started_at,
        row.updated_at, row.completed_at, row.expires_at, row.failure_code, row.failure, row.file_path, row.file_size,
        row.file_hash, row.download_url, row.manifest_path, row.thumbnail_path, row.contact_sheet_path,
        row.reason, row.created_by,
    )  # fmt: skip


def _request(row: Any) -> ExportRequest | None:
    """Cameras by id, whatever they were named by."""
    if None in (row.camera_ids, row.start_time, row.end_time, row.reason, row.created_by):
        return None
    return ExportRequest(
        tuple(map(str, row.camera_ids)), TimeRange(row.start_time, row.end_time), row.reason, row.created_by,
        row.format, row.quality, row.layout, row.gaps, row.watermark, row.burns_time, row.burns_camera, row.packaging,
        row.ladder, row.kept_for, row.ip_address, row.user_agent,
    )  # fmt: skip


def _asked(asked: Asked, expires_at: datetime) -> dict[str, object]:
    return {
        "id": asked.id, "tenant": asked.tenant, "run_id": asked.run_id, "request": dict(asked.given),
        "triggered_by": asked.triggered_by, "expires_at": expires_at,
    }  # fmt: skip


def _source_row(source: ExportSource) -> dict[str, object]:
    columns = ("segment_id", "size_bytes", "checksum", "store", "path", "note")
    times = {"start_time": source.time_range.start, "end_time": source.time_range.end}
    return {column: getattr(source, column) for column in columns} | times


def _file_row(file: ExportFile) -> dict[str, object]:
    columns = ("name", "kind", "number", "store", "path", "size_bytes", "checksum", "content_type")
    facts = _MADE.dump_python(file.facts, mode="json") if file.facts else None
    return {column: getattr(file, column) for column in columns} | {"facts": facts}
