"""MinIO and other S3-compatible servers, by a connection type of its own with its form and test."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from airflow.sdk import BaseHook, Connection

from reelkeeper.errors import ConfigurationError, CredentialsNotFound
from reelkeeper.settings import StoreSettings
from reelkeeper.settings.environment import minio_endpoint_url
from reelkeeper.stores.access import MinioAccess
from reelkeeper_airflow.hooks.environment import FromEnvironment, truth

CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 120
_TEST_TIMEOUT_SECONDS = 10


class MinioHook(FromEnvironment, BaseHook):
    """Connects to an S3-compatible server.

    Connection: `host` (a name, or a URL), `port`, `login` (access key), `password` (secret key). Extras: `secure` (TLS,
    default true unless `host` is an http:// URL), `region`, `session_token`, `ca_bundle` (path of a PEM file),
    `console_url` (of the server's web console, for links).

    :param minio_conn_id: the connection; `minio_default` may also come from `MINIO_ENDPOINT`, `MINIO_ACCESS_KEY`,
        `MINIO_SECRET_KEY` and `MINIO_USE_SSL`
    :param endpoint_url: another address than the connection's
    :param public_endpoint_url: the address in signed URLs, where people know the server by another
    :param region: another region than the connection's
    """

    conn_name_attr = "minio_conn_id"
    default_conn_name = "minio_default"
    conn_type = "minio"
    hook_name = "MinIO"

    def __init__(
        self,
        minio_conn_id: str = default_conn_name,
        *,
        endpoint_url: str | None = None,
        public_endpoint_url: str | None = None,
        region: str | None = None,
    ) -> None:
        super().__init__()
        self.minio_conn_id = minio_conn_id
        self._endpoint_url = endpoint_url
        self._public_endpoint_url = public_endpoint_url
        self._region = region
        self._client: Any = None

    @classmethod
    def connection_from_environment(cls, environ: Mapping[str, str]) -> Connection | None:
        endpoint = minio_endpoint_url(environ)
        if endpoint is None:
            return None
        return Connection(
            conn_id=cls.default_conn_name,
            conn_type=cls.conn_type,
            host=endpoint[1],
            login=environ.get("MINIO_ACCESS_KEY"),
            password=environ.get("MINIO_SECRET_KEY"),
        )

    def get_conn(self) -> Any:
        """The `minio.Minio` client, one per hook. CredentialsNotFound, ConfigurationError."""
        if self._client is None:
            connection = self.get_connection(self.minio_conn_id)
            self._client = self._new_client(connection, self._address(connection), READ_TIMEOUT_SECONDS)
        return self._client

    def access(self) -> MinioAccess:
        """What the core's minio store needs. CredentialsNotFound, ConfigurationError."""
        connection = self.get_connection(self.minio_conn_id)
        access_key, secret_key = self._keys(connection)
        public = self._public_endpoint_url
        return MinioAccess(
            endpoint_url=self._address(connection),
            access_key=access_key,
            secret_key=secret_key,
            session_token=connection.extra_dejson.get("session_token") or None,
            region=self._region_of(connection),
            client=self.get_conn(),
            signer=self._new_client(connection, public, READ_TIMEOUT_SECONDS) if public else None,
        )

    def console_url(self, bucket: str) -> str:
        """The bucket in the server's web console, or "" when the connection names no console."""
        console = self.get_connection(self.minio_conn_id).extra_dejson.get("console_url")
        return f"{str(console).rstrip('/')}/browser/{bucket}" if console else ""

    def test_connection(self) -> tuple[bool, str]:
        """Whether the server answers and takes the credentials, and what it said."""
        from minio.error import S3Error

        try:
            connection = self.get_connection(self.minio_conn_id)
            client = self._new_client(connection, self._address(connection), _TEST_TIMEOUT_SECONDS)
            buckets = len(client.list_buckets())
        except S3Error as exc:
            if exc.code == "AccessDenied":  # wrong keys have codes of their own: these are right, but may not list
                return True, f"{self._address(connection)} took the credentials; they may not list buckets"
            return False, f"{self._address(connection)} refused: {exc.code}: {exc.message}"
        except Exception as exc:  # noqa: BLE001 - whatever it is, the person who asks is to read it
            return False, f"{type(exc).__name__}: {exc}"
        return True, f"{self._address(connection)} answers; buckets that these credentials see: {buckets}"

    def _new_client(self, connection: Connection, endpoint_url: str, read_timeout: int) -> Any:
        import certifi
        import urllib3
        from minio import Minio

        access_key, secret_key = self._keys(connection)
        address = urlsplit(endpoint_url)
        extra = connection.extra_dejson
        return Minio(
            address.netloc,
            access_key=access_key,
            secret_key=secret_key,
            session_token=extra.get("session_token") or None,
            secure=address.scheme == "https",
            region=self._region_of(connection),
            http_client=urllib3.PoolManager(
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_SECONDS, read=read_timeout),
                maxsize=64,
                ca_certs=extra.get("ca_bundle") or certifi.where(),
                cert_reqs="CERT_REQUIRED",
                retries=False,  # `stores.retry` tries again
            ),
        )

    def _keys(self, connection: Connection) -> tuple[str, str]:
        if not connection.login or not connection.password:
            raise CredentialsNotFound(
                f"connection {self.minio_conn_id!r} has no {'password' if connection.login else 'login'}: "
                "expected an access key as login and its secret key as password"
            )
        return connection.login, connection.password

    def _region_of(self, connection: Connection) -> str:
        return self._region or connection.extra_dejson.get("region") or "us-east-1"

    def _address(self, connection: Connection) -> str:
        """`scheme://host:port` of the server."""
        address = self._endpoint_url or connection.host or ""
        if "://" not in address:
            secure = truth(connection.extra_dejson.get("secure", True), name=f"{self.minio_conn_id} extra 'secure'")
            address = f"{'https' if secure else 'http'}://{address}"
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
            raise ConfigurationError(
                f"connection {self.minio_conn_id!r} has host {connection.host!r}: expected a host name or a URL such "
                "as 'https://minio.example.org:9000' without a path"
            )
        netloc = parts.netloc.rpartition("@")[2]
        if parts.port is None and connection.port and not self._endpoint_url:
            netloc = f"{netloc}:{connection.port}"
        return f"{parts.scheme}://{netloc}"


def access_for(settings: StoreSettings) -> MinioAccess:
    """The access of a minio store of the estate."""
    return MinioHook(
        settings.connection,
        endpoint_url=settings.endpoint_url,
        public_endpoint_url=settings.public_endpoint_url,
        region=settings.region,
    ).access()
