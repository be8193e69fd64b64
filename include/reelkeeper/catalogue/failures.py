"""What psycopg2 raises, as errors of the core, by SQLSTATE and never by text."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2

from reelkeeper.errors import CatalogueUnavailable, ConfigurationError

_UNAVAILABLE = (
    psycopg2.OperationalError,  # no connection, a server that stops, a lock or deadlock, no room
    psycopg2.InterfaceError,  # the connection is closed
    psycopg2.errors.ReadOnlySqlTransaction,  # a standby that is not yet the primary
)
_NOT_UP_TO_DATE = (
    psycopg2.errors.UndefinedTable,
    psycopg2.errors.UndefinedColumn,
    psycopg2.errors.UndefinedFunction,
    psycopg2.errors.InvalidSchemaName,
)


@contextmanager
def mapped(schema: str) -> Iterator[None]:
    """Raise CatalogueUnavailable where trying again can help, ConfigurationError for a schema that is not up to date.

    Other errors of psycopg2 are bugs of ours and pass.
    """
    try:
        yield
    except _UNAVAILABLE as exc:
        code = exc.pgcode or "no answer"
        raise CatalogueUnavailable(f"catalogue schema {schema!r} unavailable ({code}): {str(exc).strip()}") from exc
    except _NOT_UP_TO_DATE as exc:
        raise ConfigurationError(
            f"catalogue schema {schema!r} is not up to date ({str(exc).splitlines()[0]}): "
            "expected one made by 'reelkeeper db upgrade'"
        ) from exc
