"""One export on a page of its own: what it shows, how it stands, and what there is to take away."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from reelkeeper.catalogue.export_records import Export, ExportCamera, ExportFile
from reelkeeper.catalogue.restores import RestoreCounts
from reelkeeper.model import TimeRange
from reelkeeper.reporting.page.exports import LEVELS, status_at
from reelkeeper.reporting.page.safety import Level
from reelkeeper.wording import ago, counted, size

_NAMED = 3
"""Cameras that the title names; more are counted there."""
PLAYLISTS = (".m3u8", ".mpd")
"""How the names end of what a player begins with."""
_WHAT = {
    "manifest": "signed: what each file is made of, and its SHA-256",
    "thumbnail": "a picture of it",
    "contact_sheet": "pictures from beginning to end",
}


@dataclass(frozen=True, slots=True)
class FileView:
    """One file that can be taken away. `path` is below the export's own address."""

    name: str
    what: str
    size: str
    sha256: str
    path: str
    is_playlist: bool


@dataclass(frozen=True, slots=True)
class CameraView:
    """One camera of it. `is_empty`: it has nothing in the range."""

    name: str
    label: str  # tenant/slug
    state: str
    is_empty: bool


@dataclass(frozen=True, slots=True)
class ExportPage:
    """What the template lays out. `progress` None: it is not under way. `files`: the main one first."""

    id: str
    title: str
    level: Level
    sentence: str
    says: tuple[str, ...]
    progress: int | None
    failure: str
    failure_code: str
    facts: tuple[tuple[str, str], ...]
    cameras: tuple[CameraView, ...]
    files: tuple[FileView, ...]
    played: int  # segments that its playlists name
    run_id: str | None


def export_page(
    export: Export, cameras: Sequence[ExportCamera], files: Sequence[ExportFile], waits: RestoreCounts | None, *,
    now: datetime,
) -> ExportPage:  # fmt: skip
    """The page of an export. `waits`: the restores that it waits for, if it may; `files`: without its parts."""
    status = status_at(export, now)
    given = [file for file in files if file.kind != "part"] if status == "COMPLETED" else []
    given.sort(key=lambda file: file.path != export.file_path)
    is_played = [file.kind == "package" and not file.name.endswith(PLAYLISTS) for file in given]
    names = {camera.number: camera.camera.name for camera in cameras}
    sentence, says = _standing(export, cameras, waits, now)
    return ExportPage(
        id=str(export.id),
        title=_title(export, cameras),
        level=LEVELS[status],
        sentence=sentence,
        says=says,
        progress=export.progress if export.is_under_way else None,
        failure=export.failure or "",
        failure_code=export.failure_code or "",
        facts=tuple(_facts(export, now)),
        cameras=tuple(_camera(camera, is_under_way=export.is_under_way) for camera in cameras),
        files=tuple(
            _file(file, names, is_main=file.path == export.file_path)
            for file, played in zip(given, is_played, strict=True)
            if not played
        ),
        played=sum(is_played),
        run_id=export.run_id,
    )


def _title(export: Export, cameras: Sequence[ExportCamera]) -> str:
    if export.request is None:
        return "Export that was refused"
    names = [camera.camera.name for camera in cameras]
    of = ", ".join(names) if 0 < len(names) <= _NAMED else counted(len(export.camera_ids), "camera")
    return f"Export of {of}, {export.request.time_range.start:%Y-%m-%d %H:%M} UTC"


def _standing(
    export: Export, cameras: Sequence[ExportCamera], waits: RestoreCounts | None, now: datetime
) -> tuple[str, tuple[str, ...]]:
    """How it stands in one sentence, and what there is to say to it."""
    again = "Its footage is kept as long as the estate keeps footage: until then it can be asked for again."
    match status_at(export, now):
        case "COMPLETED":
            empty = [camera.camera.name for camera in cameras if camera.state == "empty"]
            lacks = (f"Nothing was recorded in this range by {', '.join(empty)}.",) if empty else ()
            return "It is ready.", (f"It can be downloaded for another {ago(now, export.expires_at)}.", *lacks)
        case "PROCESSING":
            return "It is being made.", ()
        case "PENDING" if waits and waits.open:
            already = f", {waits.readable:,} can be read already" if waits.readable else ""
            return f"It waits for {counted(waits.open, 'segment')} to come back from the archive{already}.", ()
        case "PENDING":
            return "It waits to be made.", ()
        case "FAILED" if export.request is None:
            return "The request was refused.", ()
        case "FAILED":
            return "It failed, and nothing of it is left.", ()
        case _ if export.completed_at is None:
            return "It was never made, and its time is over.", ()
        case _:
            return "It has expired, and cannot be downloaded any more.", (again,)


def _facts(export: Export, now: datetime) -> list[tuple[str, str]]:
    facts, request = [], export.request
    if request:
        mark = f", watermark {export.watermark_id}" if export.watermark_id else ""
        quality = "original quality" if request.quality == "original" else request.quality
        burned = "".join(f", {what} in the picture" for what, shows in
                         (("time", request.burns_time), ("name", request.burns_camera)) if shows)  # fmt: skip
        packed = ", for playback as HLS and DASH" if request.packaging != "none" else ""
        facts += [
            ("recorded", _range(request.time_range)),
            ("lasts", _exactly(request.time_range.duration)),
            ("made as", f"{request.layout}, {request.format}, {quality}{burned}{mark}{packed}"),
        ]
    through = f" ({export.triggered_by} in Airflow)" if export.triggered_by not in (None, export.created_by) else ""
    by = f"{export.created_by}{through}" if export.created_by else export.triggered_by
    facts += [("reason", export.reason or "none was given"), ("asked for by", by or "nobody was named")]
    facts += [("asked for", f"{_moment(export.created_at)} UTC, {ago(export.created_at, now)} ago")]
    if export.completed_at:
        facts.append(("ready", f"{_moment(export.completed_at)} UTC, {ago(export.completed_at, now)} ago"))
        over = export.expires_at <= now
        when = f"{ago(export.expires_at, now)} ago" if over else f"in {ago(now, export.expires_at)}"
        facts.append(("expired" if over else "expires", f"{_moment(export.expires_at)} UTC, {when}"))
    return [*facts, ("tenant", export.tenant)]


def _camera(camera: ExportCamera, *, is_under_way: bool) -> CameraView:
    state = ""
    if camera.state == "empty":
        state = "nothing was recorded in this range"
    elif is_under_way:
        state = "cut" if camera.state == "cut" else f"{int(100 * camera.done_ratio)} % cut"
    shown = camera.camera
    return CameraView(shown.name, f"{shown.tenant}/{shown.slug}", state, camera.state == "empty")


def _file(file: ExportFile, cameras: dict[int, str], *, is_main: bool) -> FileView:
    what = _WHAT.get(file.kind, "")
    if file.kind == "package":
        what = "playlist of " + ("HLS" if file.name.endswith(".m3u8") else "DASH")
    elif file.kind == "footage":
        what = cameras.get(file.number, "") if file.number is not None else "all of it"
    path = "download" if is_main else f"files/{quote(file.name)}"
    return FileView(file.name, what, size(file.size_bytes), file.checksum, path, file.kind == "package")


def _range(asked: TimeRange) -> str:
    """To the second; to the millisecond where somebody asked for a part of one."""
    start, end = map(_with_part, (asked.start, asked.end))
    return f"{start} to {end if asked.end.date() != asked.start.date() else end[11:]} UTC"


def _with_part(moment: datetime) -> str:
    part = f".{moment.microsecond // 1000:03d}" if moment.microsecond else ""
    return f"{_moment(moment)}{part}"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _exactly(lasts: timedelta) -> str:
    """All of it, as what is evidence needs: '1 h 30 s', '1.2 s'."""
    minutes, seconds = divmod(lasts / timedelta(seconds=1), 60)
    hours, minutes = divmod(int(minutes), 60)
    parts = ((hours, "h"), (minutes, "min"), (round(seconds, 3), "s"))
    return " ".join(f"{number:g} {unit}" for number, unit in parts if number)
