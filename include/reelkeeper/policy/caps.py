"""Caps: how much one run may take away. What is to go is counted first, before the first of it goes."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol


class Caps(Protocol):
    """A soft and a hard cap, each a count and a ratio (0–1) of what the store holds. The lower of the two counts; of a
    store that holds fewer than `ratio_from` objects a ratio says nothing, and the count alone does."""

    @property
    def soft_count(self) -> int: ...
    @property
    def soft_ratio(self) -> float: ...
    @property
    def hard_count(self) -> int: ...
    @property
    def hard_ratio(self) -> float: ...
    @property
    def ratio_from(self) -> int: ...


class CapAction(StrEnum):
    """What a count means for a run."""

    WITHIN = "within"
    ASK = "ask"  # a person must approve
    REFUSE = "refuse"  # nothing is done, and the task fails


@dataclass(frozen=True, slots=True)
class CapVerdict:
    """What the caps say to a count, and why, in figures that a person can check."""

    action: CapAction
    message: str


def check_caps(count: int, total: int, caps: Caps) -> CapVerdict:
    """Whether so many of a store's `total` objects may go in one run.

    A count that is exactly the cap is within it. ValueError for a negative count or total.
    """
    if count < 0 or total < 0:
        raise ValueError(f"count {count!r} of {total!r}: expected neither to be negative")
    is_small = total < caps.ratio_from
    hard, soft = _hard_cap(total, caps), soft_cap(total, caps)
    told = f"{count} of {total} objects"
    if count > hard:
        bound = _bound("hard", hard, caps.hard_count, None if is_small else caps.hard_ratio)
        return CapVerdict(CapAction.REFUSE, f"{told}: {bound}")
    bound = _bound("soft", soft, caps.soft_count, None if is_small else caps.soft_ratio)
    return CapVerdict(CapAction.ASK if count > soft else CapAction.WITHIN, f"{told}: {bound}")


def soft_cap(total: int, caps: Caps) -> Decimal:
    """The most that may go of so many objects in one run without a person's approval."""
    soft = Decimal(caps.soft_count) if total < caps.ratio_from else _lower(caps.soft_count, caps.soft_ratio, total)
    return min(soft, _hard_cap(total, caps))


def _hard_cap(total: int, caps: Caps) -> Decimal:
    return Decimal(caps.hard_count) if total < caps.ratio_from else _lower(caps.hard_count, caps.hard_ratio, total)


def _lower(count: int, ratio: float, total: int) -> Decimal:
    # Decimal of the text: 0.29 of 100 is 29, which binary fractions make a little less.
    return min(Decimal(count), Decimal(str(ratio)) * total)


def _bound(name: str, limit: Decimal, count: int, ratio: float | None) -> str:
    if ratio is None:
        return f"the {name} cap is {limit.normalize():f} (a share of so few objects says nothing)"
    percent = (Decimal(str(ratio)) * 100).normalize()
    return f"the {name} cap is {limit.normalize():f} (the lower of {count} and {percent:f} %)"
