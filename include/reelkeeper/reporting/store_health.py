"""One cheap look at each store: does it answer, and is it ours? What it finds is in the catalogue for all who report.

The marker is read, nothing else. Stores are looked at side by side, each on a thread of its own that is not waited for
longer than LOOK_SECONDS: a disk that hangs or a server that swallows packets hinders no other store's look.
"""

import logging
import queue
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from threading import Thread
from time import monotonic

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.identity import CatalogueId
from reelkeeper.catalogue.store_health import Look
from reelkeeper.errors import ReelkeeperError, StoreNotOurs, StoreTimeout
from reelkeeper.model import StoreName
from reelkeeper.ownership import expect_ours
from reelkeeper.settings import Estate
from reelkeeper.stores.protocols import Owned
from reelkeeper.stores.retry import retrying

log = logging.getLogger(__name__)

LOOK_SECONDS = 15.0
"""How long a store may take to say whose it is: three tries of the usual client, and some more."""
NOT_SET_UP = "not_set_up"
"""The reason of a look from a catalogue that no store was ever set up from."""
UNEXPECTED = "unexpected"
"""The reason of a look that failed in a way of which we know nothing; the log has it whole."""


def look_at_stores(
    estate: Estate,
    catalogue: Catalogue,
    open_store: Callable[[str], Owned],
    *,
    now: datetime,
    stores: Iterable[str] | None = None,
    look_seconds: float = LOOK_SECONDS,
) -> list[Look]:
    """Look at stores once and record what was found; the looks, in the order of estate.toml.

    `stores` are those that this machine sees (by default all of the estate): a disk is looked at by the workers of its
    queue (`Estate.stores_by_queue`). ConfigurationError for one that the estate lacks.
    """
    names = [estate.store(name).store_name for name in stores] if stores is not None else _all(estate)
    identity = retrying()(catalogue.identity.find)
    if identity is None:
        looks = [Look(name, "unknown", NOT_SET_UP, now) for name in names]
    else:
        looks = _looks(names, identity, open_store, now, look_seconds)
    retrying()(catalogue.store_health.record, looks)
    return looks


def _all(estate: Estate) -> list[StoreName]:
    return [store.store_name for store in estate.stores]


def _looks(
    names: Sequence[StoreName],
    identity: CatalogueId,
    open_store: Callable[[str], Owned],
    now: datetime,
    look_seconds: float,
) -> list[Look]:
    answers: queue.SimpleQueue[tuple[StoreName, Exception | None]] = queue.SimpleQueue()

    def look(name: StoreName) -> None:
        try:
            expect_ours(open_store(name), identity)
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is what the look found
            answers.put((name, exc))
        else:
            answers.put((name, None))

    for name in names:
        Thread(target=look, args=(name,), name=f"look at {name}", daemon=True).start()
    found: dict[StoreName, Exception | None] = {}
    end = monotonic() + look_seconds
    while len(found) < len(names) and (left := end - monotonic()) > 0:
        try:
            name, error = answers.get(timeout=left)
        except queue.Empty:
            break
        found[name] = error
    silent = StoreTimeout(f"the store did not say within {look_seconds:g} s whose it is")
    return [_look(name, found.get(name, silent), now) for name in names]


def _look(name: StoreName, error: Exception | None, now: datetime) -> Look:
    if error is None:
        return Look(name, "healthy", None, now)
    if isinstance(error, ReelkeeperError):
        log.warning("store %r: %s", name, error)
        return Look(name, "foreign" if isinstance(error, StoreNotOurs) else "unreachable", error.code, now)
    log.error("store %r: %s", name, type(error).__name__, exc_info=error)
    return Look(name, "unreachable", UNEXPECTED, now)
