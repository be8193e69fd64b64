"""`reelkeeper verify-export`: is this file what a camera saw, as it was exported?

It needs the export's files, its manifest and the public key: no estate, no catalogue and no Airflow.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from reelkeeper.media.manifest import Manifest, ManifestFootage
    from reelkeeper.media.verification import Verdict
    from reelkeeper.model import TimeRange


@click.command(
    name="verify-export",
    short_help="Are exported files as they were signed?",
    epilog="\b\nExamples:\n  reelkeeper verify-export clip.mp4 --public-key public-key.pem\n"
    "  reelkeeper verify-export manifest.json --public-key public-key.pem --public-key older-key.pem",
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--manifest",
    "manifest_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The manifest; by default FILE.manifest.json or manifest.json beside FILE.",
)
@click.option(
    "--public-key",
    "key_files",
    required=True,
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The public key in PEM, from those who run the estate; may be repeated, for older ones.",
)
def verify_export(files: tuple[Path, ...], manifest_file: Path | None, key_files: tuple[Path, ...]) -> None:
    """Tell what exported FILEs are, and whether they are as they were when they were signed.

    FILE is a file of an export, whatever it is called by now; or a manifest, for all files that it names; or the folder
    of one, which then must hold nothing else (but the public key). Exit code 0: everything that was looked at is
    genuine. 1: something is not.
    """
    from reelkeeper.media.manifest import MANIFEST_NAME
    from reelkeeper.media.signing import PublicKey
    from reelkeeper.media.verification import verify

    keys = [PublicKey.from_pem(_text(file), name=f"file {str(file)!r}") for file in key_files]
    folders = {file / MANIFEST_NAME for file in files if file.is_dir()}
    all_genuine = True
    for manifest, given in _by_manifest(files, manifest_file).items():
        try:
            verdict = verify(manifest, keys, given, is_whole_folder=manifest in folders, besides=key_files)
        except OSError as exc:
            raise click.ClickException(f"manifest {str(manifest)!r} cannot be read: {exc.strerror}") from exc
        all_genuine = all_genuine and verdict.is_genuine
        for line in (f"manifest  {manifest}", *_told(verdict)):
            click.echo(_printable(line))
    if not all_genuine:
        raise click.exceptions.Exit(1)


def _text(file: Path) -> str:
    return file.read_text(encoding="ascii", errors="replace")


def _by_manifest(files: Sequence[Path], manifest_file: Path | None) -> Mapping[Path, list[Path] | None]:
    """The files to look at by their manifest; None: all that it names."""
    from reelkeeper.media.manifest import MANIFEST_NAME

    found: dict[Path, list[Path] | None] = {}
    for file in files:
        if file.is_dir() or file.name == MANIFEST_NAME or file.name.endswith(f".{MANIFEST_NAME}"):
            found[file / MANIFEST_NAME if file.is_dir() else file] = None
            continue
        beside = (file.with_name(f"{file.name}.{MANIFEST_NAME}"), file.with_name(MANIFEST_NAME))
        manifest = manifest_file or next((path for path in beside if path.exists()), None)
        if manifest is None:
            raise click.ClickException(
                f"file {str(file)!r} has no manifest beside it: expected one of "
                f"{[path.name for path in beside]}, or --manifest"
            )
        given = found.setdefault(manifest, [])
        if given is not None:
            given.append(file)
    return found


def _told(verdict: "Verdict") -> Iterator[str]:
    if verdict.found is not None:
        yield from _contents(verdict.found.manifest)
    for finding in verdict.findings:
        yield f"{'pass' if finding.ok else 'FAIL'}  {finding.what}: {finding.detail}"
    if verdict.not_looked_at:
        yield f"not looked at: {', '.join(verdict.not_looked_at)}"
    if verdict.is_genuine:
        yield "GENUINE: as it was when it was signed"
    else:
        yield "NOT GENUINE: nothing above is proved"


def _contents(manifest: "Manifest") -> Iterator[str]:
    request = manifest.request
    yield f"export    {manifest.export_id} of estate {manifest.estate}, tenant {manifest.tenant}"
    yield f"wanted    {_range(request.range)}"
    yield f"as        {request.format}, quality {request.quality}, layout {request.layout}"
    yield f"asked by  {request.requested_by}, {_moment(request.requested_at)}"
    yield f"reason    {request.reason}"
    tools = ", ".join(f"{name} {version}" for name, version in sorted(manifest.tools.items()))
    yield f"made      {_moment(manifest.created_at)}{f' with {tools}' if tools else ''}"
    if manifest.watermark:
        yield f"watermark {manifest.watermark.id}: {manifest.watermark.text}"
    names = {camera.slug: camera.name for camera in request.cameras}
    for footage in manifest.footage:
        yield from _footage(footage, names.get(footage.camera, ""))


def _footage(footage: "ManifestFootage", name: str) -> Iterator[str]:
    yield f"camera    {footage.camera}{f' ({name})' if name else ''}"
    if picture := footage.picture:
        yield f"  frames  {picture.frames}, {_moment(picture.first_frame)} to {_moment(picture.last_frame)}"
        yield (
            f"  picture {picture.video_codec} {picture.width}x{picture.height}, {picture.method}"
            f"{f': {picture.why}' if picture.why else ''}"
        )
    else:
        yield "  frames  none: there is no footage"
    for what, ranges in (("gap    ", footage.gaps), ("overlap", footage.overlaps)):
        for each in ranges:
            yield f"  {what} {_range(each)}"
    for source in footage.sources:
        yield f"  source  {source.store}: {source.path}"
        yield f"          {_range(source.range)}, {source.size_bytes} bytes, SHA-256 {source.sha256}"


def _range(given: "TimeRange") -> str:
    return f"{_moment(given.start)} to {_moment(given.end)} ({given.duration})"


def _moment(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(" ", timespec="auto") + " UTC"


def _printable(line: str) -> str:
    """On one line, and without what moves a terminal's cursor: a forger could write a verdict of his own."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)
