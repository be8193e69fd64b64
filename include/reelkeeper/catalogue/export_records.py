"""Rows of exports as values. Times are aware UTC, sizes in bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from reelkeeper.model import Camera, CameraId, Key, SegmentId, Sha256, StoreName, Tenant, TimeRange
from reelkeeper.policy.exports import ExportRequest

Status = Literal["PENDING", "PROCESSING", "COMPLETED", "FAILED", "EXPIRED"]
FileKind = Literal["part", "footage", "thumbnail", "contact_sheet", "package", "manifest"]


@dataclass(frozen=True, slots=True)
class EndedExport:
    """An export that is to expire, and the store that has its objects: those below `exports/{id}/`."""

    id: UUID
    store: StoreName | None  # None: it never came so far
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for an export, and where it came from."""

    id: UUID
    tenant: Tenant
    run_id: str  # of the DAG run
    given: Mapping[str, object]  # as it was asked, word for word
    triggered_by: str | None = None  # Airflow's user


@dataclass(frozen=True, slots=True)
class Export:
    """An export as its row stands. `request` is None for one that was refused: nothing could be made of it."""

    id: UUID
    tenant: Tenant
    status: Status
    camera_ids: tuple[CameraId, ...]
    request: ExportRequest | None
    watermark_id: str | None
    store: StoreName | None
    run_id: str | None
    attempt: int  # how often it began: what an earlier attempt's workers make is not of this one
    progress: int  # percent
    triggered_by: str | None
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    completed_at: datetime | None
    expires_at: datetime
    failure_code: str | None
    failure: str | None
    file_path: Key | None
    file_size: int | None
    file_hash: Sha256 | None
    download_url: str | None
    manifest_path: Key | None
    thumbnail_path: Key | None
    contact_sheet_path: Key | None
    reason: str | None  # also of one that was refused, as are these: None where nobody gave one
    created_by: str | None

    @property
    def is_under_way(self) -> bool:
        """Whether it is being made, and holds its footage."""
        return self.status in ("PENDING", "PROCESSING")


@dataclass(frozen=True, slots=True)
class CutFacts:
    """What a camera's cut shows and how it was made, for the manifest. See `media.pieces.Cut`."""

    video_codec: str
    width: int  # pixels
    height: int  # pixels
    frames: int
    first_frame: datetime
    last_frame: datetime
    gaps: tuple[TimeRange, ...]
    overlaps: tuple[TimeRange, ...]
    method: Literal["copied", "smart", "encoded"]
    why: str
    commands: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class ExportCamera:
    """A camera of an export, and what became of it. `empty`: it has nothing in the range."""

    number: int
    camera: Camera
    state: Literal["pending", "cut", "empty"]
    done_ratio: float
    cut: CutFacts | None


@dataclass(frozen=True, slots=True)
class ExportSource:
    """A segment that a camera was cut from, and the copy that was read."""

    number: int  # of the camera
    segment_id: SegmentId
    time_range: TimeRange
    size_bytes: int
    checksum: Sha256
    store: StoreName
    path: Key
    note: str | None = None  # which copies were wrong, or could not be read


@dataclass(frozen=True, slots=True)
class MadeFacts:
    """How a file was composed, for the manifest."""

    made: str  # in words: "mosaic of 2 cameras"
    members: tuple[str, ...] = ()  # names of the parts that it holds whole
    commands: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One object of an export, written and verified."""

    name: str  # below `exports/{id}/`, as people get it
    kind: FileKind
    store: StoreName
    path: Key
    size_bytes: int
    checksum: Sha256
    content_type: str
    number: int | None = None  # of the camera that it shows; None: of all
    facts: MadeFacts | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """What the row of an export says when it is done. The main file is the one that a download gives."""

    main: ExportFile
    manifest: ExportFile
    thumbnail: ExportFile | None
    contact_sheet: ExportFile | None
    download_url: str
    expires_at: datetime
