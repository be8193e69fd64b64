"""Secrets by which machines are known that are nobody of Airflow's, by a connection type of its own."""

import hmac
from collections.abc import Mapping
from pathlib import Path

from airflow.sdk import BaseHook, Connection

from reelkeeper.errors import ConfigurationError, CredentialsNotFound
from reelkeeper_airflow.hooks.environment import FromEnvironment

MIN_LENGTH = 16
"""A shorter token could be guessed."""


class TokenHook(FromEnvironment, BaseHook):
    """Knows the token by which a Prometheus reads the estate's metrics.

    Connection: `password` is the token, at least 16 characters; 'openssl rand -hex 32' makes one.

    :param token_conn_id: the connection; `reelkeeper_metrics` may also come from a file,
        `REELKEEPER_METRICS_TOKEN_FILE`
    """

    conn_name_attr = "token_conn_id"
    default_conn_name = "reelkeeper_metrics"
    conn_type = "reelkeeper_token"
    hook_name = "Reelkeeper token"
    file_variable = "REELKEEPER_METRICS_TOKEN_FILE"

    def __init__(self, token_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.token_conn_id = token_conn_id

    @classmethod
    def connection_from_environment(cls, environ: Mapping[str, str]) -> Connection | None:
        path = environ.get(cls.file_variable)
        if not path:
            return None
        try:
            token = Path(path).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigurationError(f"{cls.file_variable} is {path!r}: expected a file with a token; {exc}") from exc
        return Connection(conn_id=cls.default_conn_name, conn_type=cls.conn_type, password=token)

    def get_conn(self) -> str:
        """The token. AirflowNotFoundException, CredentialsNotFound when it is empty or short enough to be guessed."""
        token = self.get_connection(self.token_conn_id).password or ""
        if len(token) < MIN_LENGTH:
            raise CredentialsNotFound(
                f"connection {self.token_conn_id!r} has a password of {len(token)} characters: expected a token of at "
                f"least {MIN_LENGTH}"
            )
        return token

    def is_token(self, given: str) -> bool:
        """Whether `given` is the token, in a time that tells nothing of it. As `get_conn`."""
        return hmac.compare_digest(self.get_conn().encode(), given.encode())

    def test_connection(self) -> tuple[bool, str]:
        """Whether there is a token."""
        try:
            return True, f"a token of {len(self.get_conn())} characters"
        except Exception as exc:  # noqa: BLE001 - whatever it is, the person who asks is to read it
            return False, f"{type(exc).__name__}: {exc}"
