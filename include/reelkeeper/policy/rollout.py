"""The rollout: which segments a percentage sends to the cloud.

Sticky: a segment's bucket is a hash of its id, so raising the percentage only adds segments and lowering it only stops
further ones.
"""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from hashlib import sha256

from reelkeeper.errors import ConfigurationError
from reelkeeper.model import SegmentId

BUCKETS = 10_000
"""One bucket is 0.01 %."""


@dataclass(frozen=True, slots=True, order=True)
class Percentage:
    """A share of a whole from 0 to 100 in steps of 0.01; 1 means 1 %, never everything."""

    buckets: int

    @classmethod
    def of(cls, value: object, *, name: str = "percentage") -> "Percentage":
        """`value` percent. ConfigurationError unless it is a number from 0 to 100 with at most two decimals."""
        try:
            if isinstance(value, bool):
                raise InvalidOperation
            buckets = Decimal(str(value)) * 100
            if not 0 <= buckets <= BUCKETS or buckets != int(buckets):
                raise InvalidOperation
        except (InvalidOperation, ValueError, OverflowError) as exc:
            raise ConfigurationError(
                f"{name} is {value!r}: expected a number from 0 to 100 with at most two decimals (10 means 10 %)"
            ) from exc
        return cls(int(buckets))

    def __str__(self) -> str:
        return f"{self.buckets / 100:g} %"


def rollout_bucket(segment: SegmentId) -> int:
    """The segment's bucket, 0–9999, uniform and the same for ever."""
    return int.from_bytes(sha256(segment.bytes).digest()[:8]) % BUCKETS


def wants_cloud(bucket: int, percentage: Percentage) -> bool:
    """Whether the rollout wants a segment with this bucket in the cloud."""
    return bucket < percentage.buckets
