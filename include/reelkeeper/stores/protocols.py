"""What a store can do, one protocol per verb.

A function asks for the smallest one it needs; a backend that cannot do a thing lacks the method. Keys are canonical
(`model.canonical_key`); a method that gets another one raises InvalidKey. All methods may be called from many threads
at once, and raise only errors of `reelkeeper.errors`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable
from uuid import UUID

from reelkeeper.model import Key, Sha256, StoreKind, StoreName
from reelkeeper.stores.body import Body
from reelkeeper.stores.signing import SignedUrl

META_SHA256 = "reelkeeper-sha256"
"""Object metadata that holds our SHA-256, where the store keeps metadata."""


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """What the store says about an object. `last_modified` is by the store's clock."""

    key: Key
    size_bytes: int
    last_modified: datetime
    storage_class: str | None = None  # the provider's name; None where there are none
    sha256: Sha256 | None = None  # ours, from the object's metadata; only `stat` fills it, and no ETag ever does

    def is_still(self, size_bytes: int, modified_at: datetime | None) -> bool:
        """Whether it is the object that was seen before, as large and not written to since (None: not known when). By
        the second: a listing may tell milliseconds where a look at one object tells none."""
        if modified_at is not None and self.last_modified.replace(microsecond=0) != modified_at.replace(microsecond=0):
            return False
        return self.size_bytes == size_bytes


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How an object is written. None leaves the store's default."""

    content_type: str | None = None
    cache_control: str | None = None
    storage_class: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a set-up changed or found right, for people to read: what, and whether it was changed now."""

    what: str
    changed: bool


@dataclass(frozen=True, slots=True)
class Check:
    """One finding of a health check. `cure` says what to do when `ok` is false."""

    what: str
    ok: bool
    detail: str = ""
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a store is, as its marker says."""

    store: StoreName  # as its estate calls it
    catalogue: UUID | None  # None: the marker was made before markers told it
    database: str = ""  # where that catalogue was when it said so, for people

    def __str__(self) -> str:
        where = f" (database {self.database!r})" if self.database else ""
        return f"store {self.store!r} of {f'catalogue {self.catalogue}' if self.catalogue else 'no catalogue'}{where}"


RestoreSpeed = Literal["expedited", "standard", "bulk"]


@dataclass(frozen=True, slots=True)
class Readability:
    """Whether an archived object can be read. `until`: how long, when it was restored; None: always, or not."""

    state: Literal["readable", "restoring", "archived"]
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload that was not completed."""

    key: str
    id: str
    started_at: datetime  # by the store's clock


class Named(Protocol):
    """Every store has a name, unique in the estate, and a kind."""

    @property
    def name(self) -> StoreName: ...
    @property
    def kind(self) -> StoreKind: ...


@runtime_checkable
class Stats(Named, Protocol):
    def stat(self, key: Key) -> ObjectStat:
        """One object's facts. ObjectNotFound."""


@runtime_checkable
class Lists(Named, Protocol):
    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """Every object whose key starts with `prefix`, byte for byte, in no promised order, without Reelkeeper's own.

        Objects that others made may have keys that are not canonical: they are listed as they are. Comes from the
        provider's own client. StoreUnavailable when the store, or its marker once set up, is not there, BucketNotFound
        when the bucket is not: never an empty listing in its place.
        """


@runtime_checkable
class Reads(Named, Protocol):
    def read(self, key: Key) -> Iterator[bytes]:
        """The object's bytes in chunks of at most a few MiB. ObjectNotFound at the first chunk at the latest."""

    def read_range(self, key: Key, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, fewer only at the object's end. ObjectNotFound."""


@runtime_checkable
class Writes(Named, Protocol):
    def write(self, key: Key, body: Body, options: WriteOptions = WriteOptions()) -> None:
        """Make `key` hold exactly `body`, durably, all or nothing, and never in place of an existing object.

        When `key` exists already: ObjectExists, whatever it holds (the caller compares). An error of the body
        (SourceCorrupted, StillGrowing) passes through, and no object appears.
        """

    @property
    def attests_writes(self) -> bool:
        """Whether a write that returned proves the bytes: the store checked a strong checksum sent with them.

        Found out by trying once in a process (a write with a wrong checksum must be refused), never assumed. Where it
        is false, the bytes must be read back.
        """


@runtime_checkable
class Deletes(Named, Protocol):
    def delete(self, keys: Sequence[Key]) -> Mapping[Key, Exception]:
        """Delete the objects in bulk; a key that is not there counts as deleted. The keys that failed, each with why.

        What concerns the whole store (StoreUnavailable, BucketNotFound, AccessDenied …) is raised; some of the objects
        may be gone then.
        """


@runtime_checkable
class Copies(Named, Protocol):
    def copy(self, source: Key, destination: Key) -> None:
        """Copy inside the store, without the bytes passing through here. ObjectNotFound, ObjectExists."""


@runtime_checkable
class TellsTime(Named, Protocol):
    def clock(self) -> datetime:
        """The time by the store's own clock, which stamps `last_modified`: aware, UTC, within a second or two."""


@runtime_checkable
class Tiers(Named, Protocol):
    def set_class(self, key: Key, storage_class: str) -> None:
        """Move an object to another storage class, in place: its key, bytes and metadata stay. Returns when the store
        says that it is there (`stat` tells the class). All or nothing. ObjectNotFound; ObjectArchived when it must be
        restored before it can move; ConfigurationError for a class that the store does not know.
        """


KEPT_VERSIONS = "what is deleted or moved to a class stays billed until a rule expires old versions"
"""What it means that a store keeps versions, for people."""


@runtime_checkable
class Versions(Named, Protocol):
    """A store that can be told to keep the old versions of objects."""

    def keeps_versions(self) -> bool:
        """Whether it does. BucketNotFound, AccessDenied."""


@runtime_checkable
class Restores(Named, Protocol):
    """A store with classes whose objects must be restored before they can be read."""

    def restore(self, key: Key, *, days: int, speed: RestoreSpeed) -> None:
        """Ask for a copy that can be read for so many days. Asking again while it is under way changes nothing; of one
        that is readable it moves the end. ObjectNotFound; ConfigurationError for a speed that its class has not.
        """

    def readability(self, key: Key) -> Readability:
        """Whether the object can be read now. ObjectNotFound."""


@runtime_checkable
class Uploads(Named, Protocol):
    """A store that keeps the parts of uploads which nobody completed, and bills them."""

    def stale_uploads(self, older_than: timedelta) -> Iterator[Upload]:
        """Uploads begun longer ago than this, by the store's clock."""

    def abort_upload(self, upload: Upload) -> None:
        """Throw its parts away. One that is gone counts as aborted."""


@runtime_checkable
class Folders(Named, Protocol):
    """A store whose folders outlive their objects."""

    def remove_empty_folders(self, older_than: timedelta) -> int:
        """Remove folders that are empty and were not changed for so long, never the root; how many."""


@runtime_checkable
class Signs(Named, Protocol):
    def presign(
        self, key: Key, *, method: Literal["GET", "PUT"] = "GET", expires_in: timedelta, filename: str | None = None
    ) -> SignedUrl:
        """A URL that lets its bearer GET or PUT the object until it expires: min(asked, credential's life, 7 days).

        `filename`: what a browser saves it as, for GET. CredentialsNotFound when these credentials cannot sign,
        AccessDenied when they have expired.
        """


@runtime_checkable
class Links(Named, Protocol):
    """A store on this machine's disks."""

    def link_in(self, source: Path, key: Key) -> bool:
        """Make `key` the same file as `source`, without copying. False where the file systems differ. ObjectExists."""

    def sync(self, key: Key) -> None:
        """Make an object that somebody else wrote survive a power cut, as one that was written here does."""

    def path_of(self, key: Key) -> Path:
        """Where the object lies on disk."""

    def key_of(self, path: Path) -> Key:
        """The key of a file inside the store's root. InvalidKey when it lies elsewhere, links resolved."""


@runtime_checkable
class Owned(Named, Protocol):
    def owner(self) -> Owner | None:
        """Whose the store is: its marker is read now. None: it has none. StoreUnavailable, AccessDenied …: unknown;
        so is a marker that cannot be understood, and that of a disk that is not there.
        """


@runtime_checkable
class SetsUp(Named, Protocol):
    def set_up(self, owner: Owner | None = None, *, take_over: bool = False) -> Iterable[Change]:
        """Make the store ready: bucket or root, marker, CORS, cache headers, lifecycle rules. Idempotent.

        Its marker says from now on that it is `owner`'s (None: it stays as it is). StoreNotOurs, with no rule changed,
        when it says somebody else's, unless `take_over`.
        """

    def check(self) -> Iterable[Check]:
        """Look whether the store is ready and all rights are there, without leaving anything behind. Never raises."""


class Store(Stats, Lists, Reads, Writes, Deletes, Owned, SetsUp, Protocol):
    """What every store that holds bytes of ours can do."""
