"""On what terms a migration copies: what its caller asked for, and whether the estate's mode allows it at all."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from reelkeeper.settings import Estate, StoreSettings
from reelkeeper.stores.transfer import Verify


@dataclass(frozen=True, slots=True)
class Terms:
    """How a call of `transfer_batch` works."""

    verify: Verify
    delete_local: bool
    lease: timedelta
    now: Callable[[], datetime]
    current_estate: Callable[[], Estate]


def barred(estate: Estate, destination: StoreSettings) -> str | None:
    """Why nothing may go to the store as the estate is set now; None when it may."""
    if estate.is_local(destination) or estate.placement.mode in ("cloud", "hybrid"):
        return None
    return f"placement.mode is {estate.placement.mode!r}: nothing goes to store {destination.name!r}"
