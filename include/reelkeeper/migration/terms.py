"""On what terms a migration copies."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from reelkeeper.settings import Estate
from reelkeeper.stores.transfer import Verify


@dataclass(frozen=True, slots=True)
class Terms:
    """How a call of `transfer_batch` works."""

    verify: Verify
    delete_local: bool
    lease: timedelta
    now: Callable[[], datetime]
    current_estate: Callable[[], Estate]
