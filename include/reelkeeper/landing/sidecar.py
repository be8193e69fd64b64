"""A sidecar: what a recorder says about its file, as JSON in `<file>.json`."""

from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from reelkeeper.errors import InvalidFootage
from reelkeeper.model import utc

MAX_BYTES = 2**20
_CLOCK_TOLERANCE_SECONDS = 1.0
_LONGEST_SECONDS = 10**9
"""What is longer than any segment may be is refused later; this is what can be reckoned with."""


def _in_utc(moment: datetime) -> datetime:
    try:
        return utc(moment)
    except OverflowError as exc:
        raise ValueError("in UTC outside the years 1 to 9999") from exc


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class Sidecar(BaseModel):
    """What is said wins over the path; what is left out comes from the path and the footage. Other keys are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, allow_inf_nan=False)

    camera_id: Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\x00-\x1f]{1,255}$")] | None = None
    """The camera's id, or its name."""
    start_time: Moment | None = None
    end_time: Moment | None = None
    file_path: str | None = None
    """Any path of the file; only its last part must agree."""
    size_bytes: Annotated[int, Field(ge=0)] | None = None
    duration_seconds: Annotated[float, Field(gt=0, le=_LONGEST_SECONDS)] | None = None

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.end_time is None:
            return self
        if self.start_time is None:
            raise ValueError("'end_time' without 'start_time': expected both")
        seconds = (self.end_time - self.start_time).total_seconds()
        if seconds <= 0:
            raise ValueError("'end_time' is not after 'start_time'")
        if self.duration_seconds is not None and abs(seconds - self.duration_seconds) > _CLOCK_TOLERANCE_SECONDS:
            raise ValueError(
                f"'duration_seconds' is {self.duration_seconds}, but 'start_time' and 'end_time' are {seconds} s apart"
            )
        return self

    @property
    def duration(self) -> timedelta | None:
        """How long the footage is said to be."""
        if self.start_time is not None and self.end_time is not None:
            return self.end_time - self.start_time
        return None if self.duration_seconds is None else timedelta(seconds=self.duration_seconds)

    def check_file(self, name: str, size_bytes: int) -> None:
        """InvalidFootage when the sidecar tells of another file: `truncated` when the file lacks bytes."""
        if self.file_path is not None and PurePosixPath(self.file_path.replace("\\", "/")).name != name:
            raise InvalidFootage(
                f"sidecar tells of file {self.file_path!r}: expected one named {name!r}", code="bad_sidecar"
            )
        self.check_size(size_bytes)

    def check_size(self, size_bytes: int) -> None:
        """InvalidFootage when the file has another size."""
        if self.size_bytes is not None and self.size_bytes != size_bytes:
            raise InvalidFootage(
                f"file has {size_bytes} bytes: its sidecar says {self.size_bytes}",
                code="truncated" if size_bytes < self.size_bytes else "bad_sidecar",
            )


def parse_sidecar(data: bytes, *, name: str) -> Sidecar:
    """The sidecar `name` with this content. InvalidFootage `bad_sidecar` names every key that is wrong."""
    if len(data) > MAX_BYTES:
        raise InvalidFootage(f"sidecar {name!r} is larger than {MAX_BYTES} bytes", code="bad_sidecar")
    try:
        return Sidecar.model_validate_json(data)
    except ValidationError as exc:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in error['loc']) or 'whole'}: {error['msg']}" for error in exc.errors()
        )
        raise InvalidFootage(f"sidecar {name!r} is wrong: {problems}", code="bad_sidecar") from exc
