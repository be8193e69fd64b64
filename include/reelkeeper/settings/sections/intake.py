"""`[[landing_zones]]` and `[ingest]`: how footage comes in."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from reelkeeper.settings.sections.section import Section
from reelkeeper.settings.values import BUILT_IN_PATTERNS, Extension, Name, Ratio, Seconds, Size, TimeZoneName, Whole


class LandingZone(Section):
    """A place where recordings arrive: a folder, a prefix of a store, or a list of URLs."""

    name: Name
    """What the catalogue and the form of `ingest_recordings` call it."""
    path: Path | None = None
    """A folder, absolute."""
    store: str | None = None
    """A store whose `prefix` is the zone (the bucket that recorders upload to; its objects are read from there)."""
    prefix: str = ""
    """The start of the keys in `store` that are the zone."""
    urls: Path | None = None
    """A text file of one URL a line, or of JSON lines with a sidecar's fields and `url`; fetched by yt-dlp."""
    handling: Literal["move", "copy", "adopt"] = "move"
    """move: the file leaves the zone once it is recorded. copy: it stays. adopt: it is registered where it lies, in the
    filesystem store that holds it, without moving a byte."""
    patterns: tuple[str, ...] = BUILT_IN_PATTERNS
    """Names of built-in path patterns, or regular expressions with the groups `camera` and `start`
    (or `year month day hour minute second`). Tried in order."""
    timezone: TimeZoneName = "UTC"
    """IANA zone of stamps that carry no offset."""
    camera: str | None = None
    """The camera of all files, where paths do not name one."""
    register_cameras: bool = True
    """Whether a camera that the catalogue does not know is registered, or its files are quarantined."""
    extensions: tuple[Extension, ...] = ("mp4", "ts", "mkv", "mov", "avi", "m4v", "webm")
    """Files with other extensions are left alone."""
    settle_seconds: Annotated[Seconds, Field(ge=0, le=3600)] = 60
    """How long a file must not have changed, between two looks, before it is taken. Must exceed the longest pause that
    a recorder makes within a file: one that writes on after its file was taken has it split in two."""
    quarantine_after_minutes: Annotated[Whole, Field(ge=0, le=10_080)] = 15
    """How long nobody may have written to a file of a folder before it is quarantined as empty, truncated, unreadable
    or without duration: its recorder may have stalled and not closed it yet. Must be more than clocks differ."""
    queue: str | None = None
    """Worker queue whose workers can see the folder."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in ("path", "store", "urls") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected exactly one of 'path', 'store', 'urls'; got {given or 'none'}")
        for key in ("path", "urls"):
            value: Path | None = getattr(self, key)
            if value is not None and not value.is_absolute():
                raise ValueError(f"expected an absolute {key!r}; got {str(value)!r}")
        if self.handling == "adopt" and self.path is None:
            raise ValueError("expected a 'path' inside a filesystem store for handling 'adopt'")
        if self.prefix and self.store is None:
            raise ValueError("expected a 'store' with 'prefix'")
        return self


class Ingest(Section):
    """How landing zones are worked through."""

    batch_files: Annotated[Whole, Field(gt=0, le=100_000)] = 1000
    """Most files of one task."""
    batch_bytes: Size = 8 * 2**30
    """Most bytes of one task."""
    max_batches: Annotated[Whole, Field(gt=0, le=1000)] = 64
    """Most batches of one run; the rest waits for the next."""
    max_failure_ratio: Ratio = 0.5
    """Share of files that may end in quarantine or error before the run fails: 0.5 means half."""
    download_directory: Path | None = None
    """Folder in which zones of URLs keep what they fetch until it is ingested, absolute; by default a temporary one."""

    @model_validator(mode="after")
    def _absolute(self) -> Self:
        if self.download_directory is not None and not self.download_directory.is_absolute():
            raise ValueError(f"expected an absolute 'download_directory'; got {str(self.download_directory)!r}")
        return self
