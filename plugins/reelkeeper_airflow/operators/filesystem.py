"""Operators on folders that the worker sees."""

from typing import Any

from reelkeeper.model import StoreKind
from reelkeeper_airflow.operators.store import (
    Backend,
    CheckStoreOperator,
    SetUpStoreOperator,
    StoreOperator,
    TierBatchOperator,
    TransferBatchOperator,
)


class _Filesystem(StoreOperator):
    kind = StoreKind.FILESYSTEM

    def __init__(self, *, fs_conn_id: str = "fs_default", **kwargs: Any) -> None:
        super().__init__(conn_id=fs_conn_id, **kwargs)


class FilesystemSetUpStoreOperator(_Filesystem, SetUpStoreOperator):
    """Makes the root folder, durable and writable, and its marker."""


class FilesystemCheckStoreOperator(_Filesystem, CheckStoreOperator):
    """Looks whether the root is there, is the store's own, and can be written."""


class FilesystemTransferBatchOperator(_Filesystem, TransferBatchOperator):
    """Copies one batch of segments into the folder."""


class FilesystemTierBatchOperator(_Filesystem, TierBatchOperator):
    """Moves one batch of replicas to another folder or store."""


BACKEND = Backend(
    "fs_conn_id",
    FilesystemSetUpStoreOperator,
    FilesystemCheckStoreOperator,
    FilesystemTransferBatchOperator,
    FilesystemTierBatchOperator,
)
