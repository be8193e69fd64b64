"""Operators on MinIO and other S3-compatible servers."""

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


class _Minio(StoreOperator):
    kind = StoreKind.MINIO

    def __init__(self, *, minio_conn_id: str = "minio_default", **kwargs: Any) -> None:
        super().__init__(conn_id=minio_conn_id, **kwargs)

    def console_url(self) -> str:
        from reelkeeper_airflow.hooks.minio import MinioHook

        return MinioHook(self.conn_id).console_url(self.settings().bucket or "")


class MinioSetUpStoreOperator(_Minio, SetUpStoreOperator):
    """Makes the bucket, its marker, CORS, and the lifecycle rule of temp/."""


class MinioCheckStoreOperator(_Minio, CheckStoreOperator):
    """Looks whether server, bucket, clock and rights are as they must be."""


class MinioTransferBatchOperator(_Minio, TransferBatchOperator):
    """Copies one batch of segments into the bucket."""


class MinioTierBatchOperator(_Minio, TierBatchOperator):
    """Moves one batch of replicas to another prefix or store."""


BACKEND = Backend(
    "minio_conn_id",
    MinioSetUpStoreOperator,
    MinioCheckStoreOperator,
    MinioTransferBatchOperator,
    MinioTierBatchOperator,
)
