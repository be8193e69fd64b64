"""How a store is reached: what an Airflow hook gives, the only place where credentials pass. `repr` hides secrets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from reelkeeper.stores.signing import UNKNOWN_SESSION

if TYPE_CHECKING:  # SDKs are slow to import, and a process needs at most one or two of them
    import minio
    from google.cloud import storage


BOTO3_CONFIG: Mapping[str, Any] = {
    "signature_version": "s3v4",  # boto3 signs URLs in the old way by default
    "connect_timeout": 5,  # seconds
    "read_timeout": 120,
    "retries": {"total_max_attempts": 1},  # stores.retry retries; two policies would multiply
    "max_pool_connections": 64,
}
"""What `botocore.config.Config` gets for the clients that stores are given; one's own server also needs path style."""


@dataclass(frozen=True, slots=True)
class S3Keys:
    """Credentials of the S3 protocol. `expires_at` is None where they do not expire."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None

    def ends(self, now: datetime) -> datetime | None:
        """When they expire, at the latest; None: never."""
        if self.expires_at is None and self.session_token is not None:
            return now + UNKNOWN_SESSION  # a guess, and not the seven days that a URL could promise
        return self.expires_at


@dataclass(frozen=True, slots=True)
class S3Access:
    """AWS S3, or a server that speaks as it does. `credentials` gives the keys of the moment (roles renew them)."""

    credentials: Callable[[], S3Keys] = field(repr=False)
    endpoint_url: str | None
    region: str
    client: Any = field(repr=False)  # boto3's S3 client, which has no static type
    signer: Any = field(default=None, repr=False)  # one with the address that people know; None: the same


@dataclass(frozen=True, slots=True)
class MinioAccess:
    """MinIO, or another S3-compatible server that one's own people run. `endpoint_url` with http:// or https://."""

    endpoint_url: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str
    client: "minio.Minio" = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    signer: "minio.Minio | None" = field(
        default=None, repr=False
    )  # one with the address that people know; None: the same


@dataclass(frozen=True, slots=True)
class GcsAccess:
    """Google Cloud Storage."""

    client: "storage.Client" = field(repr=False)


Access = S3Access | MinioAccess | GcsAccess
