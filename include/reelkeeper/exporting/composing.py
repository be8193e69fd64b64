"""What is made of an export's cuts: a mosaic, a sequence or an archive; pictures of it; and what a player needs.

Each thing is written, verified and recorded by itself, so that a try after a death makes only what is missing.
"""

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256 as new_sha256
from pathlib import Path
from uuid import UUID

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.export_records import Export, ExportCamera, ExportFile, FileKind, MadeFacts
from reelkeeper.errors import InvalidFootage
from reelkeeper.exporting.cutting import expect_cut, file_span, known_folders, under_way, watermark_of
from reelkeeper.exporting.manifest import member_name
from reelkeeper.exporting.objects import OpenStore, mark_of, read_export_file, withdraws, work_folder, write_export_file
from reelkeeper.exporting.progress import COMPOSE, ExportProgress, Told
from reelkeeper.media.command import Command, Limits
from reelkeeper.media.composing import Composed, Tile
from reelkeeper.media.contact_sheet import contact_sheet
from reelkeeper.media.ladder import LADDER
from reelkeeper.media.mosaic import mosaic
from reelkeeper.media.packaging import package
from reelkeeper.media.pieces import Cut
from reelkeeper.media.provenance import portable_commands
from reelkeeper.media.sequence import sequence
from reelkeeper.media.thumbnail import make_thumbnail
from reelkeeper.policy.exports import ExportRequest
from reelkeeper.settings import Estate
from reelkeeper.stores.protocols import Store
from reelkeeper.stores.retry import retrying

_SIZES = {"original": (1920, 1080), "1080p": (1920, 1080), "720p": (1280, 720), "480p": (854, 480)}
"""Pixels of a composed picture."""
_COMPOSE_SHARE, _PICTURES_SHARE = 0.6, 0.7
"""How far the task is when each part of it is done."""


@dataclass(frozen=True, slots=True)
class ComposeResult:
    """What an export consists of by now."""

    files: int
    size_bytes: int
    empty: tuple[str, ...]  # cameras without footage
    without_picture: str  # why there is no thumbnail; "" when there is one


def compose_export(
    estate: Estate,
    catalogue: Catalogue,
    open_store: OpenStore,
    identity: UUID,
    *,
    run_id: str,
    now: Callable[[], datetime],
    told: Told | None = None,
) -> ComposeResult:
    """Make all that an export consists of but its manifest. `told` hears how much of it is done, from 0 to 1.

    NoFootage when no camera has any; GateFailed when a camera is not cut yet; SourceCorrupted when a cut is not as it
    was recorded; MediaError; what `command.run` raises; ExportEnded when the export has ended, or is not this run's:
    then what this worker wrote is removed; errors of the store.
    """
    export, request = under_way(catalogue, identity, run_id)
    cameras = retrying()(catalogue.exports.cameras, identity)
    expect_cut(request, cameras)
    progress = ExportProgress(catalogue, export, COMPOSE, now=now, told=told)
    with work_folder(estate) as folder:
        composer = _Composer(estate, catalogue, open_store(estate.placement.exports_in), export, request, cameras,
                             folder, run_id, now, progress)  # fmt: skip
        composer.compose()
        trouble = composer.picture()
        composer.package()
    progress(1.0)
    files = [file for file in composer.files if file.kind != "part"]
    empty = tuple(camera.camera.slug for camera in cameras if not camera.cut)
    return ComposeResult(len(files), sum(file.size_bytes for file in files), empty, trouble)


@dataclass
class _Composer:
    estate: Estate
    catalogue: Catalogue
    store: Store
    export: Export
    request: ExportRequest
    cameras: Sequence[ExportCamera]
    folder: Path
    run_id: str
    now: Callable[[], datetime]
    progress: ExportProgress
    _here: dict[str, Path] = field(default_factory=dict)  # by name: files on this machine

    @property
    def files(self) -> list[ExportFile]:
        return retrying()(self.catalogue.exports.files, self.export.id)

    def compose(self) -> None:
        """The mosaic, sequence or archive, where one was asked for."""
        if not self.request.is_composed or self._of("footage"):
            return
        if self.request.format == "zip":
            path, made = self._archive()
        else:
            path, made = self._moving_picture()
        name = f"{path.stem}_{file_span(self.request.time_range)}{path.suffix}"
        self._record([self._write(path, name, "footage")], made)

    def picture(self) -> str:
        """Thumbnail and contact sheet, as far as they are missing; why there is none, "" when there is."""
        self.progress(_COMPOSE_SHARE)
        have = {file.kind for file in self.files}
        try:
            if "thumbnail" not in have:
                self._write_picture("thumbnail", make_thumbnail(self._shown(), width=640).jpeg)
            if "contact_sheet" not in have:
                self._write_picture("contact_sheet", self._contact_sheet())
        except InvalidFootage as exc:  # evidence without a picture is evidence
            return str(exc)
        return ""

    def package(self) -> None:
        """CMAF segments with playlists of HLS and DASH, where they were asked for."""
        self.progress(_PICTURES_SHARE)
        if self.request.packaging == "none" or self._of("package"):
            return
        source = self._here_as_file(self._of("footage")[0])
        packed = package(
            source, self.folder / "package", work=self.folder, ladder=LADDER if self.request.ladder else (),
            limits=self._limits(),
            progress=lambda share: self.progress(_PICTURES_SHARE + (1 - _PICTURES_SHARE) * share * 0.95),
        )  # fmt: skip
        digest = new_sha256()
        for path in packed.files:
            digest.update(path.read_bytes() if path.suffix in (".m3u8", ".mpd") else str(path.stat().st_size).encode())
        place = f"playback/{mark_of(self.export, digest.hexdigest())}"
        written = [self._write(path, f"{place}/{path.name}", "package", is_named=True) for path in packed.files]
        why = f" ({packed.why})" if packed.why else ""
        made = MadeFacts(f"HLS and DASH over one set of CMAF segments{why}", commands=self._portable(packed.commands))
        self._record(written, made)

    # --- composing ----------------------------------------------------------------------------------------------------

    def _moving_picture(self) -> tuple[Path, MadeFacts]:
        request, layout = self.request, self.request.layout
        tiles = [Tile(camera.camera.name, self._cut(camera)) for camera in self.cameras]
        target = self.folder / f"{layout}.{request.format}"
        seconds = request.time_range.duration.total_seconds() * (len(tiles) if layout == "sequence" else 1)
        size, mark = _SIZES[request.quality], watermark_of(request, self.export)

        def tell(done: float) -> None:
            self.progress(_COMPOSE_SHARE * min(done / seconds, 1.0))

        composed: Composed
        if layout == "mosaic":
            heard = next(number for number, tile in enumerate(tiles) if tile.cut)
            composed = mosaic(
                tiles, request.time_range, target, work=self.folder, limits=self._limits(),
                names=request.burns_camera, clock=request.burns_time, watermark=mark, size=size, audio=heard,
                progress=tell,
            )  # fmt: skip
        else:
            composed = sequence(
                tiles, request.time_range, target, work=self.folder, limits=self._limits(), clock=request.burns_time,
                watermark=mark, size=size, progress=tell,
            )  # fmt: skip
        return target, MadeFacts(f"{layout} of {len(tiles)} cameras", commands=self._portable(composed.commands))

    def _archive(self) -> tuple[Path, MadeFacts]:
        """A file for each camera, as it is: footage does not get smaller. Same bytes each time."""
        parts = self._of("part")
        target = self.folder / "export.zip"
        stamp = self.request.time_range.start
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for part in parts:
                entry = zipfile.ZipInfo(member_name(part), (max(stamp.year, 1980), *stamp.timetuple()[1:6]))
                entry.external_attr = 0o644 << 16
                with self._here_as_file(part).open("rb") as source, archive.open(entry, "w", force_zip64=True) as place:
                    while chunk := source.read(1 << 20):
                        place.write(chunk)
        return target, MadeFacts(f"archive of {len(parts)} files", tuple(part.name for part in parts))

    def _cut(self, camera: ExportCamera) -> Cut | None:
        facts = camera.cut
        if facts is None:
            return None
        part = next(file for file in self._of("part") if file.number == camera.number)
        return Cut(
            self._here_as_file(part), facts.video_codec, facts.width, facts.height, facts.frames, facts.first_frame,
            facts.last_frame, facts.gaps, facts.overlaps, facts.method, facts.why, (),
        )  # fmt: skip

    # --- pictures -----------------------------------------------------------------------------------------------------

    def _shown(self) -> Path:
        """What pictures are made of: the first file that shows moving pictures."""
        kind: FileKind = "part" if self.request.format == "zip" else "footage"
        return self._here_as_file(self._of(kind)[0])

    def _contact_sheet(self) -> bytes:
        """With wall times where the file has one camera's time, or the range's."""
        first = next(camera.cut for camera in self.cameras if camera.cut)
        is_on_one_clock = self.request.layout != "sequence"
        start = self.request.time_range.start if self.request.layout == "mosaic" else first.first_frame
        gaps = first.gaps if self.request.layout == "separate" and self.request.gaps == "join" else ()
        return contact_sheet(self._shown(), start=start if is_on_one_clock else None, gaps=gaps).jpeg

    def _write_picture(self, kind: FileKind, jpeg: bytes) -> None:
        path = self.folder / f"{kind}.jpg"
        path.write_bytes(jpeg)
        self._record([self._write(path, f"{kind.replace('_', '-')}.jpg", kind)], None)

    # --- files --------------------------------------------------------------------------------------------------------

    def _of(self, kind: FileKind) -> list[ExportFile]:
        return sorted(
            (file for file in self.files if file.kind == kind), key=lambda file: (file.number or 0, file.name)
        )

    def _here_as_file(self, file: ExportFile) -> Path:
        if file.name not in self._here:
            self._here[file.name] = read_export_file(self.store, file, self.folder)
        return self._here[file.name]

    def _write(self, path: Path, name: str, kind: FileKind, *, is_named: bool = False) -> ExportFile:
        settings = self.estate.store(self.store.name)
        return write_export_file(self.store, settings, self.export, path, name=name, kind=kind, is_named=is_named)

    def _record(self, files: Sequence[ExportFile], facts: MadeFacts | None) -> None:
        """All of one kind at once; what another worker has recorded of the kind counts instead."""
        if facts:  # the commands that made all of them are told once
            rest = replace(facts, commands=())
            files = [replace(file, facts=rest if number else facts) for number, file in enumerate(files)]
        with (
            withdraws(self.catalogue, self.store, self.export, files, run_id=self.run_id, now=self.now),
            self.catalogue.transaction(),
        ):
            self.catalogue.exports.hold_under_way(self.export)
            if not self._of(files[0].kind):
                self.catalogue.exports.record_files(self.export, files, now=self.now())

    def _limits(self) -> Limits:
        return Limits(seconds=self.estate.exports.task_hours * 3600, bytes=self.estate.exports.work_bytes)

    def _portable(self, commands: Sequence[Command]) -> tuple[tuple[str, ...], ...]:
        return portable_commands([each.arguments for each in commands], known_folders(self.estate, self.folder))
