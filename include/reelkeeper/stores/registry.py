"""Which class makes a store of which kind: one row a kind. A new backend adds its row here."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from reelkeeper.errors import ConfigurationError
from reelkeeper.model import StoreKind
from reelkeeper.settings import StoreSettings
from reelkeeper.stores.access import Access, GcsAccess, MinioAccess, S3Access
from reelkeeper.stores.bucket_options import BucketOptions
from reelkeeper.stores.protocols import Store

_S3_DEFAULT_REGION = "us-east-1"
"""The settings' default, which no location of Google's is called: there it means that none was given."""

A = TypeVar("A", S3Access, MinioAccess, GcsAccess)


def open_store(settings: StoreSettings, access: Access | None) -> Store:
    """The store that `settings` describe, reached by `access` (None for local kinds). Connects to nothing yet.

    A store is made to be kept and shared between threads: it holds connections. ConfigurationError when `access` is not
    of the kind.
    """
    return _KINDS[settings.kind](settings, access)


def _filesystem(settings: StoreSettings, _: Access | None) -> Store:
    from reelkeeper.stores.filesystem import FilesystemStore

    assert settings.root is not None  # checked by the settings
    return FilesystemStore(settings.store_name, settings.root, may_delete=_may_delete(settings))


def _memory(settings: StoreSettings, _: Access | None) -> Store:
    from reelkeeper.stores.memory import MemoryStore

    return MemoryStore(settings.store_name, may_delete=_may_delete(settings))


def _s3(settings: StoreSettings, access: Access | None) -> Store:
    from reelkeeper.stores.s3 import S3Store

    return S3Store(
        settings.store_name,
        settings.bucket or "",
        _expect(settings, access, S3Access),
        _options(settings),
    )


def _minio(settings: StoreSettings, access: Access | None) -> Store:
    from reelkeeper.stores.minio import MinioStore

    return MinioStore(
        settings.store_name,
        settings.bucket or "",
        _expect(settings, access, MinioAccess),
        _options(settings),
    )


def _gcs(settings: StoreSettings, access: Access | None) -> Store:
    from reelkeeper.stores.gcs import GcsStore

    return GcsStore(
        settings.store_name,
        settings.bucket or "",
        _expect(settings, access, GcsAccess),
        _options(settings, location=None if settings.region == _S3_DEFAULT_REGION else settings.region),
    )


def _options(settings: StoreSettings, *, location: str | None = None) -> BucketOptions:
    return BucketOptions(
        cache_control=settings.cache_control,
        cors_origins=settings.cors_origins,
        temp_days=settings.temp_days,
        concurrency=settings.concurrency,
        may_delete=_may_delete(settings),
        location=location,
    )


def _may_delete(settings: StoreSettings) -> bool:
    return settings.deletion == "allowed"


def _expect(settings: StoreSettings, access: Access | None, kind: type[A]) -> A:
    if not isinstance(access, kind):
        raise ConfigurationError(
            f"store {settings.name!r} of kind {settings.kind!r} got access {access!r}: expected {kind.__name__}"
        )
    return access


_KINDS: Mapping[StoreKind, Callable[[StoreSettings, Access | None], Store]] = {
    StoreKind.FILESYSTEM: _filesystem,
    StoreKind.MEMORY: _memory,
    StoreKind.MINIO: _minio,
    StoreKind.S3: _s3,
    StoreKind.GCS: _gcs,
}
