"""The manifest of an export: what its files show, who asked for them and why, and from what they were made.

The file is JSON, `{"manifest": {…}, "signature": {"algorithm", "key_id", "value"}}`. What is signed is the canonical
form (RFC 8785) of what stands under `manifest`. The file itself has one form as well, the one that `signed` writes:
so a byte that is changed anywhere in it, even a space, shows.

Times are UTC by the microsecond, sizes in bytes; there are no fractions, which JSON's readers round as they like.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import field
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainSerializer, TypeAdapter, ValidationError
from pydantic import model_validator as validator
from pydantic.dataclasses import dataclass

from reelkeeper.errors import InvalidManifest
from reelkeeper.media.signing import ALGORITHM, Signer
from reelkeeper.model import TimeRange, canonical_key, utc

MANIFEST_NAME = "manifest.json"
"""What the manifest of an export is called, beside its files."""
SCHEMA: Final = "reelkeeper/export-manifest/1"
"""The version of this form. One that changes its meaning gets another number."""
MOST_BYTES = 256 << 20
"""Of a manifest's file: a day of 16 cameras in pieces of ten seconds, three times over."""

Method = Literal["copied", "smart", "encoded"]
Kind = Literal["video", "archive", "thumbnail", "contact_sheet", "playback"]


def _stamp(moment: datetime) -> str:
    return utc(moment).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _range(value: object) -> object:
    """A range as JSON has it."""
    if not isinstance(value, dict):
        return value
    if sorted(value) != ["end", "start"]:
        raise ValueError(f"expected exactly 'start' and 'end'; got {sorted(value)}")
    return TimeRange(*(datetime.fromisoformat(str(value[end])) for end in ("start", "end")))


Moment = Annotated[datetime, AfterValidator(utc), PlainSerializer(_stamp)]
"""An aware time."""
Range = Annotated[
    TimeRange,
    BeforeValidator(_range),
    PlainSerializer(lambda value: {"start": _stamp(value.start), "end": _stamp(value.end)}),
]
"""A half-open range; in JSON a table of `start` and `end`."""
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 in lower-case hexadecimal digits."""
Name = Annotated[str, AfterValidator(canonical_key)]
"""Where a file is, from the manifest's own folder on, with `/`."""
Count = Annotated[int, Field(ge=0, lt=2**53)]
Text = Annotated[str, Field(min_length=1)]
Tool = Annotated[str, Field(pattern=r"^[a-z][a-z0-9._-]*$")]

_FORM = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True, kw_only=True, config=_FORM)
class ManifestCamera:
    """A camera that was asked for."""

    id: UUID
    slug: Text  # what the rest of the manifest calls it
    name: str


@dataclass(frozen=True, slots=True, kw_only=True, config=_FORM)
class ManifestRequest:
    """What was asked for, by whom, when and why."""

    cameras: tuple[ManifestCamera, ...]
    range: Range
    format: Text
    quality: Text
    layout: Text
    reason: Text
    requested_by: Text
    requested_at: Moment
    expires_at: Moment | None = None  # when the export is to be deleted
    triggered_by: str | None = None  # who was signed in to Airflow, which may be a program
    gaps: str = "join"  # how they are shown: closed up, or black


@dataclass(frozen=True, slots=True, kw_only=True, config=_FORM)
class ManifestSource:
    """A segment that went into the export, and the copy of it that was read. The digest is of the whole segment."""

    segment_id: UUID
    range: Range
    size_bytes: Count
    sha256: Digest
    store: Text
    path: Text
    note: str = ""  # why this copy: what was found of those that would have been read first


@dataclass(frozen=True, slots=True, kw_only=True, config=_FORM)
class ManifestPicture:
    """The frames of a camera that are in the export. Times are those of the recorder's clock."""

    first_frame: Moment
    last_frame: Moment
    frames: Count
    video_codec: Text
    width: Count  # pixels
    height: Count  # pixels
    method: Method
    why: str  # this method


@dataclass(frozen=True, slots=True, kw_only=True, config=_FORM)
class ManifestFootage:
    """What was found of a camera in the range that was wanted of it. Gaps are where no file has a picture: nothing was
    recorded, or it cannot be decoded. Shorter ones within a file than a second, or than two frames, are not told."""

    camera: Text
    wanted: Range
    picture: ManifestPicture | None  # None: there was no footage
    gaps: tuple[Range, ...]
    overlaps: tuple[Range, ...]
    sources: tuple[ManifestSource, ...]


@dataclass(frozen=True, slots=True, kw_only=True, config=_FORM)
class ManifestMember:
    """A file, which may lie in an archive."""

    name: Name
    kind: Kind
    size_bytes: Count
    sha256: Digest
    cameras: tuple[str, ...]  # slugs


@dataclass(frozen=True, slots=True, kw_only=True, config=_FORM)
class ManifestFile(ManifestMember):
    """A file of the export. `made` says how, for people: "cut", "mosaic of 4 cameras", …"""

    made: str
    members: tuple[ManifestMember, ...] = ()  # of an archive


@dataclass(frozen=True, slots=True, kw_only=True, config=_FORM)
class ManifestWatermark:
    """What was burned into the picture, and the id that ties it to the catalogue's row."""

    id: Text
    text: str


@dataclass(frozen=True, slots=True, kw_only=True, config=_FORM)
class Manifest:
    """Everything that proves an export. `commands`: each program that made a part of it; see `portable_arguments`."""

    schema: Literal["reelkeeper/export-manifest/1"] = SCHEMA
    export_id: UUID
    estate: Text
    tenant: Text
    created_at: Moment
    request: ManifestRequest
    files: tuple[ManifestFile, ...]
    footage: tuple[ManifestFootage, ...]
    watermark: ManifestWatermark | None
    tools: dict[Tool, str] = field(default_factory=dict)
    commands: tuple[tuple[str, ...], ...] = ()

    @validator(mode="after")
    def _agrees(self) -> "Manifest":
        asked = {camera.slug for camera in self.request.cameras}
        named = {camera for file in self.everything for camera in file.cameras}
        if stray := sorted((named | {part.camera for part in self.footage}) - asked):
            raise ValueError(f"cameras {stray} are not among those asked for: expected some of {sorted(asked)}")
        names = [file.name for file in self.files]
        if len(set(names)) != len(names) or MANIFEST_NAME in names:
            raise ValueError(f"expected files of different names, and none called {MANIFEST_NAME!r}; got {names}")
        return self

    @validator(mode="after")
    def _shows_what_was_wanted(self) -> "Manifest":
        """The last frame may be told at the end itself: it is before it by less than the microsecond that is told."""
        for part in self.footage:
            picture, wanted = part.picture, part.wanted
            if picture and not wanted.start <= picture.first_frame <= picture.last_frame <= wanted.end:
                raise ValueError(
                    f"camera {part.camera!r} shows {_stamp(picture.first_frame)} to {_stamp(picture.last_frame)}: "
                    f"expected frames from {_stamp(wanted.start)} on and before {_stamp(wanted.end)}"
                )
        return self

    @property
    def everything(self) -> Iterator[ManifestMember]:
        """Every file, and what is in archives."""
        for file in self.files:
            yield file
            yield from file.members


@dataclass(frozen=True, slots=True, kw_only=True, config=_FORM)
class ManifestSignature:
    """Who signed, and the signature of the manifest's canonical form in base64."""

    algorithm: Literal["Ed25519"] = ALGORITHM
    key_id: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    value: str

    @property
    def data(self) -> bytes:
        """The 64 bytes. ValueError when it is not base64, or not the one way to write them: the last digit has bits to
        spare.
        """
        data = base64.b64decode(self.value, validate=True)
        if base64.b64encode(data).decode() != self.value:
            raise ValueError(f"signature {self.value!r}: expected canonical base64")
        return data


@dataclass(frozen=True, slots=True, kw_only=True, config=_FORM)
class SignedManifest:
    """A manifest's file. That it could be read proves nothing yet: see `verification.verify`."""

    manifest: Manifest
    signature: ManifestSignature

    @property
    def canonical(self) -> bytes:
        """What the signature is over."""
        return canonical(self.manifest)

    @property
    def data(self) -> bytes:
        """The file, in the one form that it has: names sorted, two spaces deep, UTF-8, a line feed at the end."""
        return _file(_FILES.dump_python(self, mode="json"))


_FILES = TypeAdapter(SignedManifest)
_MANIFESTS = TypeAdapter(Manifest)


def canonical(manifest: Manifest) -> bytes:
    """The manifest in RFC 8785's form, which every reader of JSON can make again."""
    return _canonical(_MANIFESTS.dump_python(manifest, mode="json"))


def signed(manifest: Manifest, signer: Signer) -> bytes:
    """The manifest's file, the same bytes each time."""
    document = _MANIFESTS.dump_python(manifest, mode="json")
    value = base64.b64encode(signer.sign(_canonical(document))).decode()
    signature = {"algorithm": ALGORITHM, "key_id": signer.key_id, "value": value}
    return _file({"manifest": document, "signature": signature})


def _canonical(document: Any) -> bytes:
    """RFC 8785: names in ASCII, whole numbers of less than 2**53 and texts, which is all that there is, have that form
    by the standard library, too.
    """
    return json.dumps(document, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def _file(document: Any) -> bytes:
    return f"{json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)}\n".encode()


def read_manifest(data: bytes) -> SignedManifest:
    """The manifest in a file. InvalidManifest when it has another form; whether it is genuine is not looked at."""
    if len(data) > MOST_BYTES:
        raise InvalidManifest(f"the file has {len(data)} bytes: expected a manifest, of at most {MOST_BYTES}")
    try:
        document: Any = json.loads(data.decode())
    except ValueError as exc:
        raise InvalidManifest(f"the file is no JSON in UTF-8: {exc}") from exc
    except RecursionError as exc:
        raise InvalidManifest("the file is nested too deeply: expected a manifest") from exc
    inner = document.get("manifest") if isinstance(document, dict) else None
    schema = inner.get("schema") if isinstance(inner, dict) else None
    if schema != SCHEMA:
        raise InvalidManifest(
            f"the file has schema {schema!r}: expected {SCHEMA!r}, an export's manifest as this version knows it"
        )
    try:
        found = _FILES.validate_json(data)
    except ValidationError as exc:
        raise InvalidManifest("the manifest has another form: " + "; ".join(_told(exc))) from exc
    if (written := found.data) != data:
        at = next((i for i, (one, other) in enumerate(zip(written, data, strict=False)) if one != other), len(written))
        raise InvalidManifest(
            f"the manifest is not as Reelkeeper writes it, from byte {min(at, len(data))} on: expected the very file, "
            "not one that was edited or written anew"
        )
    return found


def _told(error: ValidationError) -> Iterator[str]:
    """Each finding in words."""
    words = {"missing": "is missing", "extra_forbidden": "is not known", "unexpected_keyword_argument": "is not known"}
    for details in error.errors(include_url=False, include_input=False):
        where = ""
        for part in details["loc"]:
            where += f"[{part}]" if isinstance(part, int) else f".{part}" if where else part
        yield f"{where or 'the whole'} {words.get(details['type']) or details['msg']}"
