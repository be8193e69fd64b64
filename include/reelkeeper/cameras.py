"""Cameras from a CSV file: the whole file is checked first, and nothing is stored when any row of it is wrong."""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import UUID

from reelkeeper.errors import ConfigurationError
from reelkeeper.model import Camera, CameraId, Tenant, camera_id, slugify

COLUMNS = ("name", "slug", "id", "tenant", "retention_days")
"""`name` must be there; the others have defaults."""
_SLUG = re.compile(r"[a-z0-9_][a-z0-9._-]{0,63}")
_TENANT = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class InvalidCameras(ConfigurationError):
    """A file of cameras cannot be used; `problems` holds all that is wrong with it, each with its line."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join([f"nothing was imported: {len(problems)} errors", *(f"  - {p}" for p in problems)]))


@dataclass(frozen=True, slots=True)
class CameraRow:
    """One camera of a file. What the file leaves open stays as it is when the camera is there already."""

    line: int
    camera: Camera
    gives_id: bool
    gives_retention: bool


@dataclass(frozen=True, slots=True)
class CameraImport:
    """What an import did, each in the order of the file."""

    created: tuple[Camera, ...]
    updated: tuple[Camera, ...]
    unchanged: tuple[Camera, ...]


class KeepsCameras(Protocol):
    """What the catalogue can do about cameras."""

    def by_slug(self, tenant: Tenant) -> dict[str, Camera]: ...
    def upsert(self, cameras: Sequence[Camera]) -> tuple[int, int]: ...


def parse_cameras(lines: Iterable[str], *, tenant: Tenant) -> list[CameraRow]:
    """The cameras of a CSV file with a header line; commas or semicolons. InvalidCameras tells every wrong row."""
    text = list(lines)
    header = text[0] if text else ""
    reader = csv.reader(text, delimiter=";" if ";" in header and "," not in header else ",", strict=True)
    try:
        columns = _columns(next(reader, []))
        parsed = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as exc:
        raise InvalidCameras([f"line {reader.line_num}: {exc}: expected CSV"]) from exc
    rows: list[CameraRow] = []
    problems: list[str] = []
    for line, cells in parsed:
        found = _row(line, columns, cells, tenant)
        if isinstance(found, CameraRow):
            rows.append(found)
        else:
            problems += [f"line {line}: {problem}" for problem in found]
    problems += _twice(rows)
    if problems:
        raise InvalidCameras(sorted(problems, key=_line_of))
    return rows


def import_cameras(cameras: KeepsCameras, rows: Sequence[CameraRow]) -> CameraImport:
    """Store the cameras. InvalidCameras, and nothing stored, when an id is not the one that the catalogue has."""
    known = {tenant: cameras.by_slug(tenant) for tenant in {row.camera.tenant for row in rows}}
    by_id = {camera.id: camera for stored in known.values() for camera in stored.values()}
    created: list[Camera] = []
    updated: list[Camera] = []
    unchanged: list[Camera] = []
    problems = []
    for row in rows:
        camera = row.camera
        stored = known[camera.tenant].get(camera.slug)
        if stored is None:
            if (other := by_id.get(camera.id)) is not None:
                problems.append(f"line {row.line}: id {str(camera.id)!r} belongs to camera {other.slug!r} already")
            created.append(camera)
            continue
        if row.gives_id and camera.id != stored.id:
            expected = f"expected {str(stored.id)!r}, which camera {camera.slug!r} has in the catalogue"
            problems.append(f"line {row.line}: id {str(camera.id)!r}: {expected}")
        wanted = replace(camera, id=stored.id)
        if not row.gives_retention:
            wanted = replace(wanted, retention_days=stored.retention_days)
        (unchanged if wanted == stored else updated).append(wanted)
    if problems:
        raise InvalidCameras(problems)
    if created or updated:
        cameras.upsert([*created, *updated])
    return CameraImport(tuple(created), tuple(updated), tuple(unchanged))


def _columns(header: Sequence[str]) -> list[str]:
    columns = [column.strip().lower() for column in header]
    unknown = [column for column in columns if column not in COLUMNS]
    if unknown or "name" not in columns or len(set(columns)) < len(columns):
        raise InvalidCameras([f"line 1: columns {columns}: expected 'name', and once each of {list(COLUMNS[1:])}"])
    return columns


def _row(line: int, columns: Sequence[str], cells: Sequence[str], default_tenant: Tenant) -> CameraRow | list[str]:
    if len(cells) != len(columns):
        return [f"{len(cells)} cells: expected {len(columns)}, one for each of {list(columns)}"]
    given = {column: cell.strip() for column, cell in zip(columns, cells, strict=True) if cell.strip()}
    problems = []
    name, tenant = given.get("name", ""), given.get("tenant", default_tenant)
    if not name:
        problems.append("no name: expected one")
    if not _TENANT.fullmatch(tenant):
        problems.append(f"tenant {tenant!r}: expected 1–64 of a-z, 0-9, '.', '_', '-', not beginning with a sign")
    try:
        slug = given.get("slug") or slugify(name)
    except ValueError as exc:
        slug = "_"
        if name:
            problems.append(str(exc))
    if not _SLUG.fullmatch(slug):
        problems.append(f"slug {slug!r}: expected 1–64 of a-z, 0-9, '.', '_', '-', beginning with a-z, 0-9 or '_'")
    try:
        identity = CameraId(UUID(given["id"])) if "id" in given else camera_id(Tenant(tenant), slug)
    except ValueError:
        identity = None
        problems.append(f"id {given['id']!r}: expected a UUID")
    days = given.get("retention_days")
    if days is not None and not (days.isascii() and days.isdigit() and 0 < int(days) < 2**31):
        problems.append(f"retention_days {days!r}: expected a whole number of days, at least 1, or nothing")
    if problems or identity is None:
        return problems
    camera = Camera(identity, Tenant(tenant), slug, name, int(days) if days else None)
    return CameraRow(line, camera, gives_id="id" in given, gives_retention="retention_days" in columns)


def _twice(rows: Sequence[CameraRow]) -> list[str]:
    """What two rows of a file both claim."""
    problems = []
    first_by_slug: dict[tuple[Tenant, str], int] = {}
    first_by_id: dict[CameraId, int] = {}
    for row in rows:
        camera = row.camera
        if (line := first_by_slug.setdefault((camera.tenant, camera.slug), row.line)) != row.line:
            problems.append(f"line {row.line}: slug {camera.slug!r} of tenant {camera.tenant!r}: line {line} has it")
        elif (line := first_by_id.setdefault(camera.id, row.line)) != row.line:
            problems.append(f"line {row.line}: id {str(camera.id)!r}: line {line} has it")
    return problems


def _line_of(problem: str) -> int:
    return int(problem.removeprefix("line ").split(":")[0])
