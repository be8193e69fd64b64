"""Connections that nobody defined in Airflow, made of the environment variables that such services usually have."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

if TYPE_CHECKING:
    _Base = BaseHook
else:
    _Base = object


class FromEnvironment(_Base):
    """Mixin before a hook: the usual connection of its kind may come from environment variables.

    Only the usual one (`default_conn_name`): another name that is not defined is a mistake, and never served with the
    credentials of something else.
    """

    default_conn_name: str

    @classmethod
    def connection_from_environment(cls, environ: Mapping[str, str]) -> Connection | None:
        """The connection that `environ` describes, or None when it does not."""
        raise NotImplementedError

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        """The connection, from Airflow or else from the environment. AirflowNotFoundException."""
        try:
            return super().get_connection(conn_id)
        except AirflowNotFoundException:
            connection = cls.connection_from_environment(os.environ) if conn_id == cls.default_conn_name else None
            if connection is None:
                raise
            if connection.password:
                mask_secret(connection.password)
            return connection


def truth(value: Any, *, name: str) -> bool:
    """A connection extra or variable as a boolean: forms give booleans, URIs and variables give texts. ValueError."""
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off", ""):
        return False
    raise ValueError(f"{name} is {value!r}: expected true or false")
