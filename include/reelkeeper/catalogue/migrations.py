"""The schema's history: numbered SQL files, each run once, and the monthly partitions made ahead of time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg2.extensions import connection as Connection

from reelkeeper.model import TimeRange

PARTITIONED = ("segments", "replicas", "thumbnails", "transfers")


@dataclass(frozen=True, slots=True)
class Migration:
    """One SQL file, and when it was applied (None: not yet)."""

    number: int
    name: str
    checksum: str
    applied_at: datetime | None = None


def upgrade(connection: Connection, schema: str) -> list[Migration]:
    """Apply every migration that has not been, each in a transaction; those applied now."""
    raise NotImplementedError


def status(connection: Connection, schema: str) -> list[Migration]:
    """Every migration, in order."""
    raise NotImplementedError


def ensure_partitions(
    connection: Connection, schema: str, time_range: TimeRange, tables: Sequence[str] = PARTITIONED
) -> list[str]:
    """Make the monthly partitions that cover the range and are not there; the names of those made."""
    raise NotImplementedError
