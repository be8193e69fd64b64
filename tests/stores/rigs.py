"""Rigs: how the conformance suite gets a store of each kind on a real server, and what that server is known to do."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import boto3
import minio
import urllib3
from botocore.config import Config
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from demo.servers import GcsServer, S3Server
from reelkeeper.errors import ReelkeeperError
from reelkeeper.model import Key, StoreKind
from reelkeeper.settings import StoreSettings
from reelkeeper.stores.access import BOTO3_CONFIG, Access, GcsAccess, MinioAccess, S3Access, S3Keys
from reelkeeper.stores.registry import open_store

ORIGIN = "https://viewer.example"


@dataclass
class Rig:
    """A store that is set up, with keys of the test's own below `prefix`."""

    name: str
    store: Any
    attests_writes: bool | None  # None: not known beforehand
    refuses_to_overwrite: bool = True  # whether racing writers of one key are told apart by the server
    signs: bool = False
    page_size: int | None = None  # where a test can choose it
    prefix: str = field(default_factory=lambda: f"conformance/{uuid4().hex}/")

    def key(self, name: str) -> Key:
        return Key(self.prefix + name)

    def keys(self, within: str = "") -> list[str]:
        """What is listed below the prefix, without it, sorted."""
        return sorted(stat.key.removeprefix(self.prefix) for stat in self.store.list(self.prefix + within))

    def clean_up(self) -> None:
        with suppress(ReelkeeperError):
            self.store.delete([stat.key for stat in self.store.list(self.prefix)])


def boto3_client(server: S3Server, *, region: str | None = None, **config: Any) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint_url or None,
        region_name=region or server.region,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(**BOTO3_CONFIG | config, s3={"addressing_style": "path"}),
    )


def s3_access(server: S3Server, *, region: str | None = None, **config: Any) -> S3Access:
    return S3Access(
        lambda: S3Keys(server.access_key, server.secret_key),
        server.endpoint_url or None,
        region or server.region,
        boto3_client(server, region=region, **config),
    )


def minio_access(server: S3Server, *, read_timeout: float = 120) -> MinioAccess:
    address = urlsplit(server.endpoint_url)
    client = minio.Minio(
        address.netloc,
        server.access_key,
        server.secret_key,
        secure=address.scheme == "https",
        region=server.region,
        http_client=urllib3.PoolManager(
            maxsize=32, retries=urllib3.Retry(0), timeout=urllib3.Timeout(connect=5, read=read_timeout)
        ),
    )
    return MinioAccess(server.endpoint_url, server.access_key, server.secret_key, server.region, client)


def gcs_access(server: GcsServer) -> GcsAccess:
    return GcsAccess(
        storage.Client(
            credentials=AnonymousCredentials(),
            project=server.project,
            client_options={"api_endpoint": server.endpoint_url},
        )
    )


def bucket_store(kind: StoreKind, bucket: str, access: Access, **settings: Any) -> Any:
    """A store by way of the registry, as jobs open it."""
    return open_store(StoreSettings(name="conformed", kind=kind, bucket=bucket, **settings), access)


def folder_store(root: Path, name: str = "conformed") -> Any:
    return open_store(StoreSettings(name=name, kind=StoreKind.FILESYSTEM, root=root), None)


def small_pages(store: Any, page_size: int = 5) -> None:
    """Let a listing take more than one page without a thousand objects."""
    store._options = replace(store._options, page_size=page_size)


def memory_rig() -> Rig:
    return Rig("memory", open_store(StoreSettings(name="conformed", kind=StoreKind.MEMORY), None), attests_writes=True)


def filesystem_rig(root: Path) -> Rig:
    return Rig("filesystem", folder_store(root), attests_writes=False)


def s3_rig(server: S3Server, bucket: str, *, attests_writes: bool | None) -> Rig:
    store = bucket_store(StoreKind.S3, bucket, s3_access(server), cors_origins=(ORIGIN,))
    small_pages(store)
    return Rig("s3", store, attests_writes, signs=True, page_size=5)


def minio_rig(server: S3Server, bucket: str, *, attests_writes: bool | None) -> Rig:
    store = bucket_store(StoreKind.MINIO, bucket, minio_access(server), cors_origins=(ORIGIN,))
    small_pages(store)
    return Rig("minio", store, attests_writes, signs=True, page_size=5)


def gcs_rig(access: GcsAccess, bucket: str, *, attests_writes: bool | None, refuses_to_overwrite: bool = True) -> Rig:
    store = bucket_store(StoreKind.GCS, bucket, access, cors_origins=(ORIGIN,))
    small_pages(store)
    return Rig("gcs", store, attests_writes, refuses_to_overwrite=refuses_to_overwrite, page_size=5)


def outside_kinds() -> list[str]:
    """The kinds of which the environment names an outside endpoint; see test_conformance.py."""
    return [kind for kind in ("s3", "minio", "gcs") if _outside(kind, "BUCKET")]


def outside_rig(kind: str) -> Rig:
    """A rig on the endpoint that the environment names."""
    bucket = _outside(kind, "BUCKET")
    if kind == "gcs":
        client = storage.Client.from_service_account_json(_outside(kind, "KEY_FILE"))
        return gcs_rig(GcsAccess(client), bucket, attests_writes=None)
    server = S3Server(
        _outside(kind, "ENDPOINT"),
        _outside(kind, "ACCESS_KEY"),
        _outside(kind, "SECRET_KEY"),
        _outside(kind, "REGION") or "us-east-1",
    )
    make: Callable[..., Rig] = {"s3": s3_rig, "minio": minio_rig}[kind]
    return make(server, bucket, attests_writes=None)


def _outside(kind: str, name: str) -> str:
    return os.environ.get(f"REELKEEPER_TEST_{kind.upper()}_{name}", "")
