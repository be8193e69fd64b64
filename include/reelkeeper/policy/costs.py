"""What it costs to keep, move and restore objects, and whether a move to another class saves money.

Money is `Decimal`, US dollars; sizes are bytes, times whole days.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from math import ceil

from reelkeeper.errors import ConfigurationError
from reelkeeper.policy.prices import DAYS_PER_MONTH, ClassPrice, Speed

LARGEST = 2**50
"""Bytes. No object is larger; up to here `smallest_paying` answers for."""


@dataclass(frozen=True, slots=True)
class MoveCost:
    """What moving one object costs and saves."""

    one_off_usd: Decimal  # transition, reading it out, early deletion
    saving_usd: Decimal  # over the time that it is still kept, one-off cost taken off; negative: a loss
    why: str  # the same for people, in figures

    @property
    def pays(self) -> bool:
        return self.saving_usd > 0


def monthly_cost(price: ClassPrice, size_bytes: int, objects: int = 1) -> Decimal:
    """What keeping `objects` objects of `size_bytes` altogether costs in a month; they are taken to be of one size."""
    return storage_cost(price, ceil(size_bytes / objects), DAYS_PER_MONTH) * objects


def storage_cost(price: ClassPrice, size_bytes: int, days: Decimal | int) -> Decimal:
    """What keeping one object for so many days costs; a minimum duration is the caller's business."""
    billed = max(size_bytes, price.minimum_bytes)
    return (billed * price.usd_per_byte_day + price.overhead_usd_per_day) * days


def write_cost(price: ClassPrice, size_bytes: int, days_kept: int, *, requests: int = 1) -> Decimal:
    """What writing one object and keeping it for so many days costs, its minimum duration billed in any case.

    A large object is written by several `requests`. Of those to a class that must be restored, all but the last, which
    completes the object, are billed as the hot class's (Amazon S3 User Guide, "Multipart upload and pricing").
    """
    written = price.put_usd + (requests - 1) * (price.hot_put_usd if price.must_restore else price.put_usd)
    return written + storage_cost(price, size_bytes, max(days_kept, price.minimum_days))


def read_cost(price: ClassPrice, size_bytes: int, objects: int = 1) -> Decimal:
    """What reading `objects` objects of `size_bytes` altogether costs; a class that must be restored is not read."""
    return objects * price.get_usd + size_bytes * price.read_usd_per_byte


def retrieval_cost(price: ClassPrice, *, size_bytes: int, speed: Speed, objects: int = 1, days: int = 0) -> Decimal:
    """What restoring `objects` objects of `size_bytes` altogether costs, and keeping the copies for so many days.

    ConfigurationError for a class from which nothing needs to be restored, and for a speed that it does not have.
    """
    if speed not in price.retrieval:
        raise ConfigurationError(
            f"storage class {price.name!r} has no retrieval of speed {speed!r}: "
            f"expected one of {sorted(price.retrieval)}"
        )
    retrieval = price.retrieval[speed]
    gigabytes = Decimal(size_bytes) / price.gb_bytes
    kept = size_bytes * price.hot_usd_per_byte_day * days
    return gigabytes * retrieval.usd_per_gb + objects * retrieval.usd_per_1000 / 1000 + kept


def move_cost(
    origin: ClassPrice, target: ClassPrice, *, size_bytes: int, days_in_class: int, days_kept: int
) -> MoveCost:
    """What it costs to move one object from `origin` to `target`, and what it saves until it is deleted.

    It has been in `origin` for `days_in_class`, and will be kept for `days_kept` from now. Once are paid: the request
    that moves it, reading it out of `origin`, and the rest of the minimum duration of `origin`. In `target` it is
    billed for the minimum duration there, also when it is deleted before. Staying is billed for the rest of the minimum
    duration as well.
    """
    one_off, stay, there = _sides(origin, target, size_bytes, days_in_class, days_kept)
    saving = stay - there - one_off
    why = (
        f"{size_bytes} bytes, kept for {days_kept} more days: staying in {origin.name} costs {_usd(stay)}, in "
        f"{target.name} {_usd(there)} and {_usd(one_off)} once: "
        f"{'saves' if saving > 0 else 'loses'} {_usd(abs(saving))}"
    )
    return MoveCost(one_off, saving, why + _remarks(origin, target, size_bytes, days_in_class, days_kept))


def smallest_paying(origin: ClassPrice, target: ClassPrice, *, days_in_class: int, days_kept: int) -> int | None:
    """The size in bytes from which on every object pays its move (`move_cost`); None when large ones do not.

    One byte less does not pay. Where `origin` has a minimum size, a few much smaller ones may pay as well: they are
    left alone.
    """

    def net(size_bytes: int) -> Decimal:
        one_off, stay, there = _sides(origin, target, size_bytes, days_in_class, days_kept)
        return stay - there - one_off

    if net(LARGEST) <= 0:
        return None
    borders = sorted({1, max(origin.minimum_bytes, 1), max(target.minimum_bytes, 1), LARGEST})
    for low, high in reversed(list(pairwise(borders))):  # between two of them, saving is a straight line
        if net(low) <= 0:
            return _crossing(net, low, high)
    return 1


def _crossing(net: Callable[[int], Decimal], low: int, high: int) -> int:
    """Where a straight line that is not above zero at `low`, and is at `high`, rises above it."""
    at_low, at_high = net(low), net(high)
    size = min(low + int(-at_low * (high - low) / (at_high - at_low)) + 1, high)
    while net(size) <= 0:
        size += 1
    while size > low + 1 and net(size - 1) > 0:
        size -= 1
    return size


def _sides(
    origin: ClassPrice, target: ClassPrice, size_bytes: int, days_in_class: int, days_kept: int
) -> tuple[Decimal, Decimal, Decimal]:
    """What is paid once, for staying, and in the other class."""
    rest = max(origin.minimum_days - days_in_class, 0)
    moved = target.transition_usd + origin.leave_usd + size_bytes * origin.read_usd_per_byte
    one_off = moved + storage_cost(origin, size_bytes, rest)
    stay = storage_cost(origin, size_bytes, max(days_kept, rest))
    return one_off, stay, storage_cost(target, size_bytes, max(days_kept, target.minimum_days))


def _remarks(origin: ClassPrice, target: ClassPrice, size_bytes: int, days_in_class: int, days_kept: int) -> str:
    remarks = []
    if days_in_class < origin.minimum_days:
        remarks.append(f"{origin.name} bills {origin.minimum_days} days and it has been there for {days_in_class}")
    if days_kept < target.minimum_days:
        remarks.append(f"{target.name} bills at least {target.minimum_days} days")
    if size_bytes < target.minimum_bytes:
        remarks.append(f"{target.name} bills at least {target.minimum_bytes} bytes")
    if target.overhead_usd_per_day:
        remarks.append(f"{target.name} adds {_usd(storage_cost(target, 0, DAYS_PER_MONTH))} a month to each object")
    return f" ({'; '.join(remarks)})" if remarks else ""


def _usd(amount: Decimal) -> str:
    """Three significant digits, also for objects whose costs are millionths."""
    if amount >= 1:
        return f"{amount:.2f} USD"
    if amount >= Decimal("0.0001"):
        return f"{amount:.3g} USD"
    return f"{amount * 1_000_000:.3g} millionths of a USD"
