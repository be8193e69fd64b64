"""What it costs to keep, move and restore objects, and whether a move to another class saves money.

Money is `Decimal`, US dollars; sizes are bytes, times whole days. What the prices mean, and where they come from,
stands in prices.toml. A class or a list that nobody knows is an error, never free.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reelkeeper.errors import ConfigurationError

Speed = Literal["expedited", "standard", "bulk"]

DAYS_PER_MONTH = Decimal(365) / 12
RESTORED_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Amazon's classes that must be restored, whatever a price list says."""
LARGEST = 2**50
"""Bytes. No object is larger; up to here `smallest_paying` answers for."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_Usd = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=0, strict=True)]


class Retrieval(_Table):
    """What a restore at one speed costs."""

    usd_per_gb: _Usd
    usd_per_1000: _Usd


class _ClassTable(_Table):
    storage_usd_per_gb_month: _Usd
    put_usd_per_1000: _Usd
    get_usd_per_1000: _Usd
    transition_usd_per_1000: _Usd
    read_usd_per_gb: _Usd
    minimum_days: _Count
    minimum_bytes: _Count
    overhead_bytes: _Count
    overhead_hot_bytes: _Count
    retrieval: Mapping[Speed, Retrieval] = Field(default_factory=dict)


class _Source(_Table):
    url: Annotated[str, Field(pattern=r"^https?://\S+$")]
    read_on: date


class _ListTable(_Table):
    gb_bytes: Annotated[int, Field(gt=0, strict=True)]
    hot: str
    egress_usd_per_gb: _Usd
    sources: Mapping[str, _Source]
    classes: Annotated[Mapping[str, _ClassTable], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class ClassPrice:
    """What one storage class costs, or another place where objects are kept."""

    name: str
    usd_per_byte_day: Decimal
    put_usd: Decimal  # for one object, as the next ones
    get_usd: Decimal
    transition_usd: Decimal
    read_usd_per_byte: Decimal
    minimum_days: int
    minimum_bytes: int
    overhead_usd_per_day: Decimal  # of one object, whatever its size
    gb_bytes: int
    retrieval: Mapping[Speed, Retrieval] = field(default_factory=dict)
    hot_usd_per_byte_day: Decimal = Decimal(0)  # what a restored copy costs while it stays
    hot_put_usd: Decimal = Decimal(0)  # for one request that writes to the hot class
    egress_usd_per_byte: Decimal = Decimal(0)  # for leaving the provider
    leave_usd: Decimal = Decimal(0)  # for reading one object out, in each move

    def leaving(self) -> "ClassPrice":
        """The same for objects that move to another store: they are got, and leave the provider."""
        per_byte = self.read_usd_per_byte + self.egress_usd_per_byte
        return replace(self, read_usd_per_byte=per_byte, leave_usd=self.get_usd)

    @property
    def must_restore(self) -> bool:
        """Whether an object must be restored before it can be read, or moved on."""
        return bool(self.retrieval) or self.name in RESTORED_CLASSES


@dataclass(frozen=True, slots=True)
class Prices:
    """One price list."""

    name: str
    classes: Mapping[str, ClassPrice]

    def of(self, storage_class: str) -> ClassPrice:
        """What a class costs. ConfigurationError for one that the list does not have."""
        try:
            return self.classes[storage_class]
        except KeyError:
            raise ConfigurationError(
                f"price list {self.name!r} has no storage class {storage_class!r}: "
                f"expected one of {sorted(self.classes)}"
            ) from None


@dataclass(frozen=True, slots=True)
class MoveCost:
    """What moving one object costs and saves."""

    one_off_usd: Decimal  # transition, reading it out, early deletion
    saving_usd: Decimal  # over the time that it is still kept, one-off cost taken off; negative: a loss
    why: str  # the same for people, in figures

    @property
    def pays(self) -> bool:
        return self.saving_usd > 0


def shipped_prices() -> str:
    """The price lists that come with Reelkeeper, as TOML."""
    return Path(__file__).with_name("prices.toml").read_text(encoding="utf-8")


def load_prices(text: str) -> dict[str, Prices]:
    """The lists of a TOML file in the form of prices.toml, by name. ConfigurationError when something is wrong."""
    try:
        tables = tomllib.loads(text)
        if set(tables) != {"lists"}:
            raise ConfigurationError(f"the price lists' file has tables {sorted(tables)}: expected 'lists' alone")
        return {name: _prices(name, table) for name, table in tables["lists"].items()}
    except tomllib.TOMLDecodeError as exc:
        raise ConfigurationError(f"the price lists' file is not TOML: {exc}") from exc


def prices_of(lists: Mapping[str, Prices], name: str) -> Prices:
    """The list of this name. ConfigurationError that names those there are."""
    try:
        return lists[name]
    except KeyError:
        raise ConfigurationError(f"unknown price list {name!r}: expected one of {sorted(lists)}") from None


def flat_price(name: str, usd_per_gb_month: Decimal) -> ClassPrice:
    """A place of one's own hardware: so much for 10^9 bytes in a month, and nothing for anything else."""
    free = Decimal(0)
    return ClassPrice(name, usd_per_gb_month / DAYS_PER_MONTH / 10**9, free, free, free, free, 0, 0, free, 10**9)


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


def _prices(name: str, table: Any) -> Prices:
    try:
        parsed = _ListTable.model_validate(table)
    except ValidationError as exc:
        told = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors()[:5])
        raise ConfigurationError(f"price list {name!r} is not as expected: {told}") from exc
    fields = {"gb_bytes", "hot", "egress_usd_per_gb", *_ClassTable.model_fields}
    if set(parsed.sources) != fields:
        raise ConfigurationError(
            f"price list {name!r} has sources for {sorted(parsed.sources)}: expected one for each of {sorted(fields)}"
        )
    if parsed.hot not in parsed.classes:
        raise ConfigurationError(
            f"price list {name!r} has no class {parsed.hot!r}, its 'hot' one: expected one of {sorted(parsed.classes)}"
        )
    if free := sorted(each for each in RESTORED_CLASSES & set(parsed.classes) if not parsed.classes[each].retrieval):
        raise ConfigurationError(
            f"price list {name!r} has no 'retrieval' for {free}: expected its prices, as their objects must be restored"
        )
    return Prices(name, {each: _class_price(each, one, parsed) for each, one in parsed.classes.items()})


def _class_price(name: str, table: _ClassTable, of: _ListTable) -> ClassPrice:
    def daily(usd_per_gb_month: Decimal) -> Decimal:
        return usd_per_gb_month / DAYS_PER_MONTH / of.gb_bytes

    own, hot = daily(table.storage_usd_per_gb_month), daily(of.classes[of.hot].storage_usd_per_gb_month)
    return ClassPrice(
        name,
        usd_per_byte_day=own,
        put_usd=table.put_usd_per_1000 / 1000,
        get_usd=table.get_usd_per_1000 / 1000,
        transition_usd=table.transition_usd_per_1000 / 1000,
        read_usd_per_byte=table.read_usd_per_gb / of.gb_bytes,
        minimum_days=table.minimum_days,
        minimum_bytes=table.minimum_bytes,
        overhead_usd_per_day=table.overhead_bytes * own + table.overhead_hot_bytes * hot,
        gb_bytes=of.gb_bytes,
        retrieval=table.retrieval,
        hot_usd_per_byte_day=hot,
        hot_put_usd=of.classes[of.hot].put_usd_per_1000 / 1000,
        egress_usd_per_byte=of.egress_usd_per_gb / of.gb_bytes,
    )
