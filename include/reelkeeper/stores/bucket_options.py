"""What every store in a bucket can be told about how to behave, whoever provides it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BucketOptions:
    """How a store in a bucket behaves. `location` is where Google makes the bucket; None leaves it to Google."""

    cache_control: str = "private, max-age=3600"  # of objects
    cors_origins: Sequence[str] = ()  # web origins that may read
    temp_days: int = 7  # after which a lifecycle rule deletes what is under temp/
    concurrency: int = 16  # requests at once of one bulk deletion, or of one copy in parts
    page_size: int = 1000  # of a listing
    may_delete: bool = True
    location: str | None = None
