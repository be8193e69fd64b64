"""What psycopg2 raises, as errors of the core, by SQLSTATE and never by text."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2

from reelkeeper.errors import CatalogueUnavailable, ConfigurationError, PermanentError

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
_PROGRAM_LIMIT = "54"
"""The SQLSTATE class of what is too large for PostgreSQL, such as a key for its index. psycopg2 files it under
OperationalError too, but it is as large the next time."""


@contextmanager
def mapped(schema: str) -> Iterator[None]:
    """Raise CatalogueUnavailable where trying again can help, ConfigurationError for a schema that is not up to date,
    PermanentError for a value that is too large.

    Other errors of psycopg2 are bugs of ours and pass.
    """
    try:
        yield
    except _UNAVAILABLE as exc:
        code = exc.pgcode or "no answer"
        if code.startswith(_PROGRAM_LIMIT):
            raise PermanentError(f"catalogue schema {schema!r} cannot hold that ({code}): {str(exc).strip()}") from exc
        raise CatalogueUnavailable(f"catalogue schema {schema!r} unavailable ({code}): {str(exc).strip()}") from exc
    except _NOT_UP_TO_DATE as exc:
        raise ConfigurationError(
            f"catalogue schema {schema!r} is not up to date ({str(exc).splitlines()[0]}): "
            "expected one made by 'reelkeeper db upgrade'"
        ) from exc
