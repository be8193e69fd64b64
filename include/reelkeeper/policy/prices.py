"""Price lists: what a storage class costs. What the prices mean, and where they come from, stands in prices.toml.

Money is `Decimal`, US dollars. A class or a list that nobody knows is an error, never free.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reelkeeper.errors import ConfigurationError

Speed = Literal["expedited", "standard", "bulk"]
DAYS_PER_MONTH = Decimal(365) / 12
RESTORED_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Amazon's classes that must be restored, whatever a price list says."""


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
