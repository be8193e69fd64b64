"""The domain's words as values. Immutable; times are aware UTC, ranges half-open `[start, end)`, sizes in bytes."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NewType
from uuid import UUID, uuid5

from reelkeeper.errors import InvalidKey

Tenant = NewType("Tenant", str)
CameraId = NewType("CameraId", UUID)
SegmentId = NewType("SegmentId", UUID)
BatchId = NewType("BatchId", UUID)
StoreName = NewType("StoreName", str)
Key = NewType("Key", str)
"""A canonical object key: relative, `/`-separated, NFC; see `canonical_key`."""
Sha256 = NewType("Sha256", str)
"""64 lower-case hexadecimal digits, computed by us over the whole object."""

_NAMESPACE = UUID("6b1d2c64-5a4e-5a0e-9a50-7265656c6b70")
MAX_SEGMENT_DURATION = timedelta(days=1)
"""The longest segment; it bounds how far before a range a query must look (a CHECK in the catalogue says the same)."""

Progress = Callable[[int, int, int, int], None]
"""Told how far a job is: items done, items in all, bytes done, bytes in all. Called in the job's own thread."""


class StoreKind(StrEnum):
    """What a store is made of."""

    FILESYSTEM = "filesystem"
    MINIO = "minio"
    S3 = "s3"
    GCS = "gcs"
    MEMORY = "memory"


class Tier(StrEnum):
    """How quickly, and at what price, a replica can be read."""

    HOT = "HOT"
    COOL = "COOL"
    COLD = "COLD"
    ARCHIVE = "ARCHIVE"

    @property
    def rank(self) -> int:
        """0 for HOT to 3 for ARCHIVE: the colder, the cheaper to keep and the dearer to read."""
        return list(Tier).index(self)


class ReplicaState(StrEnum):
    """What we believe about a replica.

    `available`: verified. `suspicious`: a look did not find it as recorded; to be checked again. `lost`: confirmed gone
    or damaged. `condemned`: its deletion is decided and under way.
    """

    AVAILABLE = "available"
    SUSPICIOUS = "suspicious"
    LOST = "lost"
    CONDEMNED = "condemned"


def utc(moment: datetime) -> datetime:
    """The same instant in UTC. A naive datetime is an error: ValueError."""
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValueError(f"naive datetime {moment.isoformat()!r}: expected one with a time zone")
    return moment.astimezone(UTC)


@dataclass(frozen=True, slots=True, order=True)
class TimeRange:
    """A half-open range of instants `[start, end)`, never empty."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", utc(self.start))
        object.__setattr__(self, "end", utc(self.end))
        if self.end <= self.start:
            raise ValueError(f"end {self.end.isoformat()!r} is not after start {self.start.isoformat()!r}")

    @property
    def duration(self) -> timedelta:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Camera:
    """A source of footage. `slug` names it in keys: unique in its tenant, lower case, `[a-z0-9._-]`."""

    id: CameraId
    tenant: Tenant
    slug: str
    name: str
    retention_days: int | None = None  # None: the estate's default


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a probe found in a file. `duration_seconds` is that of the video stream."""

    container: str
    video_codec: str
    width: int  # pixels
    height: int  # pixels
    frame_rate: float | None  # frames per second, None when it varies or is unknown
    duration_seconds: float
    has_audio: bool


@dataclass(frozen=True, slots=True)
class Segment:
    """What one camera recorded over one range. `(camera_id, start_time)` names it; `id` follows from both."""

    id: SegmentId
    camera_id: CameraId
    start_time: datetime
    end_time: datetime
    size_bytes: int
    checksum: Sha256
    extension: str  # without the dot
    media: MediaInfo
    rollout_bucket: int  # 0–9999, see policy.rollout

    @property
    def duration_seconds(self) -> float:
        return (self.end_time - self.start_time).total_seconds()


@dataclass(frozen=True, slots=True)
class Replica:
    """One copy of one segment in one store."""

    segment_id: SegmentId
    start_time: datetime  # of the segment: the partition key
    store: StoreName
    path: Key
    size_bytes: int
    checksum: Sha256
    state: ReplicaState
    verified_at: datetime | None
    storage_class: str | None = None
    retire_after: datetime | None = None  # when a local copy may leave, once the cloud copy is verified
    tier: Tier = Tier.HOT
    tier_since: datetime | None = None  # None: since it was made
    readable_until: datetime | None = None  # of an archived one that was restored


def camera_id(tenant: Tenant, slug: str) -> CameraId:
    """The id of a camera that nobody gave one."""
    return CameraId(uuid5(_NAMESPACE, f"camera/{tenant}/{slug}"))


def segment_id(camera: CameraId, start_time: datetime) -> SegmentId:
    """The id of the segment of `camera` that starts at `start_time`.

    It is a function of the name, so that a re-run after a kill writes to the same key and records the same row.
    """
    stamp = utc(start_time).isoformat(timespec="microseconds")
    return SegmentId(uuid5(_NAMESPACE, f"segment/{camera}/{stamp}"))


def slugify(name: str) -> str:
    """A camera's name as it stands in keys. ValueError when nothing is left of it.

    Lower case and ASCII, so that stores that fold case or normalise Unicode cannot make two cameras one.
    """
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9._-]+", "-", ascii_name.lower()).strip("-.")[:64].rstrip("-.")
    if not slug:
        raise ValueError(f"camera name {name!r} has no letter or digit of [a-z0-9]: expected one, or an explicit slug")
    return slug


_NOT_IN_KEYS = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")


def canonical_key(key: str) -> Key:
    """`key` itself if it is canonical, else InvalidKey. Nothing is repaired: two spellings of a key are two keys."""
    parts = key.split("/")
    if (
        not key
        or len(key.encode(errors="surrogatepass")) > 1024
        or any(part in ("", ".", "..") for part in parts)
        or _NOT_IN_KEYS.search(key)
        or not unicodedata.is_normalized("NFC", key)
    ):
        raise InvalidKey(
            f"key {key!r} is not canonical: expected a relative path of 1–1024 bytes, NFC, without empty parts, "
            "'.', '..', backslashes or control characters"
        )
    return Key(key)


def media_key(tenant: Tenant, camera_slug: str, start_time: datetime, segment: SegmentId, extension: str) -> Key:
    """Where a segment's bytes live in every store: `media/{tenant}/{camera}/{yyyy}/{mm}/{dd}/{start}_{id}.{ext}`."""
    start = utc(start_time)
    return canonical_key(
        f"media/{tenant}/{camera_slug}/{start:%Y/%m/%d}/{start:%Y%m%dT%H%M%SZ}_{segment}.{extension.lower()}"
    )


def quarantine_key(key: Key) -> Key:
    """Where an orphan found at `key` is put: the same key below `quarantine/`. InvalidKey when it becomes too long."""
    return canonical_key(f"quarantine/{key}")


def thumbnail_key(media: Key) -> Key:
    """Where the thumbnail of the segment at `media` lives: `thumbnails/…` beside it, as JPEG."""
    return canonical_key(f"thumbnails/{media.removeprefix('media/').rsplit('.', 1)[0]}.jpg")
