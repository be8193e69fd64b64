"""The catalogue's PostgreSQL, by the Postgres provider's connection."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.postgres.hooks.postgres import PostgresHook
from airflow.sdk import Connection

from reelkeeper_airflow.hooks.environment import FromEnvironment

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection  # noqa: N812

CONNECT_TIMEOUT_SECONDS = 5
_LIVENESS: Mapping[str, int] = {
    "keepalives": 1,
    "keepalives_idle": 30,  # seconds
    "keepalives_interval": 10,  # seconds
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,  # milliseconds
}
"""A server that vanished without a word is noticed after a minute, where the system's own settings would take hours."""
_EXTRAS = ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "target_session_attrs", *_LIVENESS)


class CatalogueHook(FromEnvironment, PostgresHook):
    """Connects to the catalogue by psycopg2 (PostgresHook itself takes psycopg 3 where it is installed).

    Extras, each by its name: `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `sslcrl`, `target_session_attrs`,
    `keepalives`, `keepalives_idle`, `keepalives_interval`, `keepalives_count`, `tcp_user_timeout`: as in libpq;
    `iam` as in PostgresHook.

    :param postgres_conn_id: the connection; `reelkeeper_catalogue` may also come from `POSTGRES_HOST`, `POSTGRES_PORT`,
        `POSTGRES_DB`, `POSTGRES_USER` and `POSTGRES_PASSWORD`
    """

    default_conn_name = "reelkeeper_catalogue"

    @classmethod
    def connection_from_environment(cls, environ: Mapping[str, str]) -> Connection | None:
        host = environ.get("POSTGRES_HOST")
        if not host:
            return None
        return Connection(
            conn_id=cls.default_conn_name,
            conn_type=cls.conn_type,
            host=host,
            port=int(environ.get("POSTGRES_PORT", "5432")),
            schema=environ.get("POSTGRES_DB", "reelkeeper"),
            login=environ.get("POSTGRES_USER"),
            password=environ.get("POSTGRES_PASSWORD"),
        )

    def get_conn(self) -> "PgConnection":
        """A new connection, of which the caller takes care. psycopg2.OperationalError."""
        import psycopg2

        connection = self.get_connection(self.get_conn_id())
        extra: dict[str, Any] = connection.extra_dejson
        user, password, port = connection.login, connection.password, connection.port
        if extra.get("iam"):
            user, password, port = self.get_iam_token(connection)
        opened: PgConnection = psycopg2.connect(
            host=connection.host,
            port=port,
            dbname=connection.schema,
            user=user,
            password=password,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            application_name="reelkeeper",
            **{**_LIVENESS, **{name: extra[name] for name in _EXTRAS if name in extra}},
        )
        return opened
