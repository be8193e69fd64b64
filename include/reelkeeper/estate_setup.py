"""Make an estate ready: the catalogue's schema and partitions, each store's bucket or folder. Safe to run again."""

import logging
from collections.abc import Callable, Collection
from contextlib import closing
from datetime import datetime
from typing import Protocol

from psycopg2.extensions import connection as Connection  # noqa: N812 - a class, whatever its name

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.failures import mapped
from reelkeeper.catalogue.migrations import ensure_partitions, upgrade
from reelkeeper.errors import BucketNotFound, PermanentError, ReelkeeperError, StoreUnavailable, TransientError
from reelkeeper.model import TimeRange, utc
from reelkeeper.ownership import owner_by
from reelkeeper.settings import Estate
from reelkeeper.stores.protocols import Change, Lists, SetsUp

log = logging.getLogger(__name__)

MONTHS_AHEAD = 3
"""For how many months to come partitions are made. Footage of other months makes its own when it is recorded."""


class Settable(SetsUp, Lists, Protocol):
    """A store that can be made ready, and looked at before."""


def setup_estate(
    estate: Estate,
    *,
    connect: Callable[[], Connection],
    open_store: Callable[[str], Settable],
    now: datetime,
    accept_empty: Collection[str] = (),
    take_over: Collection[str] = (),
) -> list[Change]:
    """Set up the catalogue, then every store. What was changed or found right, in order; each is logged as it happens.

    `connect` opens a psycopg2 connection to the catalogue, which is closed here. `accept_empty` names stores whose
    footage is known to be gone, `take_over` those that another catalogue has given up, see `set_up_store`. A store that
    fails does not keep the others from being set up: all errors are told at the end, in one TransientError when trying
    again can help all of them, else in one PermanentError.
    """
    changes = prepare_catalogue(estate, connect=connect, now=now)
    failures: list[tuple[str, ReelkeeperError]] = []
    with Catalogue(connect, schema=estate.catalogue.db_schema) as catalogue:
        for settings in estate.stores:
            try:
                store = open_store(settings.name)
                changes += set_up_store(
                    store, catalogue,
                    accept_empty=settings.name in accept_empty, take_over=settings.name in take_over,
                )  # fmt: skip
            except ReelkeeperError as exc:
                failures.append((settings.name, exc))
    if len(failures) == 1:
        raise failures[0][1]
    if failures:
        message = "; ".join(f"store {name!r}: {exc}" for name, exc in failures)
        is_transient = all(isinstance(exc, TransientError) for _, exc in failures)
        raise (TransientError if is_transient else PermanentError)(message) from failures[0][1]
    return changes


def set_up_store(
    store: Settable, catalogue: Catalogue, *, accept_empty: bool = False, take_over: bool = False
) -> list[Change]:
    """Make one store ready: what was changed or found right; each is logged as it happens. Its marker says from then on
    that it is this catalogue's.

    A store that holds replicas by the catalogue, and is not there, is not made anew: a disk that is not mounted would
    become an empty store, and everything in it would be taken for lost. StoreUnavailable or BucketNotFound then.
    `accept_empty` is a person's word that it is gone for good.

    StoreNotOurs, with nothing changed, when the marker names another catalogue or another store. `take_over` is a
    person's word that those have given it up for good.
    """
    if not accept_empty and catalogue.replicas.any_in(store.name):
        try:
            next(iter(store.list()), None)
        except (StoreUnavailable, BucketNotFound) as exc:
            raise type(exc)(
                f"store {store.name!r} holds replicas by the catalogue, and was not made anew: {exc}. Bring it back "
                "(mount the disk, restore the bucket), or set it up with accept_empty when its footage is gone for good"
            ) from exc
    changes = store.set_up(owner_by(catalogue.identity.make(), store.name), take_over=take_over)
    return [_logged(f"store {store.name!r}: {change.what}", change.changed) for change in changes]


def prepare_catalogue(estate: Estate, *, connect: Callable[[], Connection], now: datetime) -> list[Change]:
    """Apply the migrations that are due, and make the partitions from last month to three months ahead."""
    schema = estate.catalogue.db_schema
    with mapped(schema):
        connection = connect()
    with closing(connection):
        made = [f"migration {migration.name}" for migration in upgrade(connection, schema)]
        made += [f"partition {name}" for name in ensure_partitions(connection, schema, partitions_needed(now))]
        connection.commit()
    changes = [_logged(f"catalogue: {what}", True) for what in made]
    return changes or [_logged(f"catalogue: schema {schema!r}", False)]


def partitions_needed(now: datetime) -> TimeRange:
    """From the start of last month to the end of the third month from now."""
    now = utc(now)
    return TimeRange(_month(now, -1), _month(now, MONTHS_AHEAD + 1))


def _month(moment: datetime, months: int) -> datetime:
    """The start of the month that is so many months after that of `moment`."""
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    return moment.replace(year=year, month=month + 1, day=1, hour=0, minute=0, second=0, microsecond=0)


def _logged(what: str, changed: bool) -> Change:
    log.info("%s %s", "made" if changed else "found", what)
    return Change(what, changed)
