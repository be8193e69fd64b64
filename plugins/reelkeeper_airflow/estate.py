"""The estate as tasks see it: the configuration now, its stores and its catalogue by way of the hooks."""

import logging
import threading
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from reelkeeper.errors import ConfigurationError, CredentialsNotFound
from reelkeeper.model import StoreKind
from reelkeeper.settings import Estate, StoreSettings, estate_path, load_estate

if TYPE_CHECKING:  # DAG files import this module for the configuration alone, each time they are read
    from psycopg2.extensions import connection as PgConnection  # noqa: N812

    from reelkeeper.catalogue.catalogue import Catalogue
    from reelkeeper.media.signing import Signer
    from reelkeeper.stores.access import Access
    from reelkeeper.stores.protocols import Store

_seen: tuple[Path, int, Estate] | None = None
_stores: dict[StoreSettings, "Store"] = {}
_opening = threading.Lock()


def current_estate() -> Estate:
    """The estate, read again when its file has changed: LocalExecutor's workers fork from a scheduler that lives long.

    ConfigurationError tells all that is wrong with it.
    """
    global _seen
    path = estate_path()
    modified = path.stat().st_mtime_ns if path.exists() else 0
    if _seen is None or _seen[:2] != (path, modified):
        _seen = (path, modified, load_estate(path))
        logging.getLogger("reelkeeper").setLevel(_seen[2].log_level)
    return _seen[2]


def access_for(settings: StoreSettings) -> "Access | None":
    """What opens the store, from its connection; the hook module is the one named like the store's kind."""
    if settings.kind is StoreKind.MEMORY:
        return None
    access: Access | None = import_module(f"reelkeeper_airflow.hooks.{settings.kind}").access_for(settings)
    return access


def open_store(name: str, *, connection: str | None = None) -> "Store":
    """The store of this name, by its own connection or another one.

    One per process for each state of its settings, so that clients are reused. ConfigurationError.
    """
    from reelkeeper.stores.registry import open_store as open_by_settings

    settings = current_estate().store(name)
    if connection is not None:
        settings = settings.model_copy(update={"connection": connection})
    if settings not in _stores:
        with _opening:  # many threads ask at once, and a client of boto3 is a quarter of a second's work
            if settings not in _stores:
                access = access_for(settings)
                _expect_own_bucket(settings, access)
                _stores[settings] = open_by_settings(settings, access)
    return _stores[settings]


def _expect_own_bucket(settings: StoreSettings, access: "Access | None") -> None:
    """No other store of the estate is the same bucket by another connection: one would delete what the other holds."""
    from reelkeeper.settings.checks import server_at

    server = getattr(access, "endpoint_url", None)
    if not server:
        return
    for other in current_estate().stores:
        if other.name == settings.name or other.bucket != settings.bucket:
            continue
        theirs = getattr(access_for(other), "endpoint_url", None)
        if theirs and server_at(theirs) == server_at(server):
            raise ConfigurationError(
                f"stores {settings.name!r} and {other.name!r} are the same bucket {settings.bucket!r} at {server!r} "
                f"(connections {settings.connection!r}, {other.connection!r}): expected a bucket for each store"
            )


def load_signer() -> "Signer":
    """What signs the manifests of exports, with the key of `[delivery] signing_connection`.

    CredentialsNotFound when nobody gave one, ConfigurationError when it is no Ed25519 key.
    """
    from airflow.sdk.exceptions import AirflowNotFoundException

    from reelkeeper_airflow.hooks.keys import KeyHook

    name = current_estate().delivery.signing_connection
    try:
        return KeyHook(name).signer()
    except AirflowNotFoundException as exc:
        raise CredentialsNotFound(
            f"Airflow connection {name!r} is not defined: an export's manifest is signed, so expected its private key "
            "there; 'reelkeeper signing-key create' makes one"
        ) from exc


def connect_to_catalogue() -> "PgConnection":
    """A new psycopg2 connection to the catalogue. psycopg2.OperationalError."""
    from reelkeeper_airflow.hooks.catalogue import CatalogueHook

    return CatalogueHook(current_estate().catalogue.connection).get_conn()


def open_catalogue(*, statement_seconds: float | None = None) -> "Catalogue":
    """A catalogue on a connection of its own. Close it (it is a context manager), and share it with no other thread.

    `statement_seconds` as of Catalogue.
    """
    from reelkeeper.catalogue.catalogue import Catalogue

    schema = current_estate().catalogue.db_schema
    return Catalogue(connect_to_catalogue, schema, statement_seconds=statement_seconds)
