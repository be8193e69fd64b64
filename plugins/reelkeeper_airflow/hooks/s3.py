"""AWS S3, by the Amazon provider's connection."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import Connection
from botocore.config import Config

from reelkeeper.errors import CredentialsNotFound
from reelkeeper.settings import StoreSettings
from reelkeeper.stores.access import BOTO3_CONFIG, S3Access, S3Keys
from reelkeeper_airflow.hooks.environment import FromEnvironment


class ReelkeeperS3Hook(FromEnvironment, S3Hook):
    """Connects to S3 with the timeouts, attempts (one: `stores.retry` tries again) and clients that the stores rely on.

    One client per region, reused. Credentials come from the connection, or else from where boto3 looks (IAM role,
    variables `AWS_*`), and are asked for anew whenever they are used, because a role's expire.

    :param aws_conn_id: the connection; `aws_default` may also come from `S3_ACCESS_KEY`, `S3_SECRET_KEY`, `S3_REGION`,
        or `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_S3_REGION`
    """

    def __init__(self, aws_conn_id: str = S3Hook.default_conn_name) -> None:
        super().__init__(
            aws_conn_id=aws_conn_id,
            config=Config(**BOTO3_CONFIG),
        )
        self._clients: dict[tuple[str, str | None], Any] = {}

    @classmethod
    def connection_from_environment(cls, environ: Mapping[str, str]) -> Connection | None:
        own = bool(environ.get("S3_ACCESS_KEY"))
        region = environ.get("S3_REGION") or environ.get("AWS_S3_REGION") or environ.get("AWS_DEFAULT_REGION")
        return Connection(
            conn_id=cls.default_conn_name,
            conn_type=cls.conn_type,
            login=environ["S3_ACCESS_KEY"] if own else None,  # without it, boto3 reads AWS_* or asks for the role
            password=environ.get("S3_SECRET_KEY") if own else None,
            extra=json.dumps({"region_name": region}) if region else None,
        )

    def access(
        self, *, region: str | None = None, endpoint_url: str | None = None, public_endpoint_url: str | None = None
    ) -> S3Access:
        """What the core's s3 store needs; `region` and `endpoint_url` go before the connection's.

        `public_endpoint_url` is the address in signed URLs, where people know the server by another.
        """
        region = region or self.region_name or "us-east-1"
        endpoint_url = endpoint_url or self.conn_config.get_service_endpoint_url("s3")
        session = self.get_session(region_name=region)
        return S3Access(
            credentials=self._keys_of(session),
            endpoint_url=endpoint_url,
            region=region,
            client=self._client_of(session, region, endpoint_url),
            signer=self._client_of(session, region, public_endpoint_url) if public_endpoint_url else None,
        )

    def _client_of(self, session: Any, region: str, endpoint_url: str | None) -> Any:
        if (region, endpoint_url) not in self._clients:
            self._clients[region, endpoint_url] = session.client(
                "s3", endpoint_url=endpoint_url, config=self._get_config(), verify=self.verify
            )
        return self._clients[region, endpoint_url]

    def _keys_of(self, session: Any) -> Callable[[], S3Keys]:
        credentials = session.get_credentials()
        if credentials is None:
            raise CredentialsNotFound(
                f"connection {self.aws_conn_id!r} has no credentials, and boto3 found none: expected a login and a "
                "password, a role_arn, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or an instance's role"
            )

        def keys() -> S3Keys:
            frozen = credentials.get_frozen_credentials()  # renews them when they are about to expire
            # botocore tells the end of a credential's life nowhere else.
            expires_at = getattr(credentials, "_expiry_time", None)
            return S3Keys(frozen.access_key, frozen.secret_key, frozen.token, expires_at)

        return keys


def access_for(settings: StoreSettings) -> S3Access:
    """The access of an s3 store of the estate."""
    return ReelkeeperS3Hook(settings.connection).access(
        region=settings.region,
        endpoint_url=settings.endpoint_url,
        public_endpoint_url=settings.public_endpoint_url,
    )
