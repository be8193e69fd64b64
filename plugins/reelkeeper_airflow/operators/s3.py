"""Operators on AWS S3."""

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


class _S3(StoreOperator):
    kind = StoreKind.S3

    def __init__(self, *, aws_conn_id: str = "aws_default", **kwargs: Any) -> None:
        super().__init__(conn_id=aws_conn_id, **kwargs)

    def console_url(self) -> str:
        settings = self.settings()
        if settings.endpoint_url:
            return ""  # not AWS itself
        return f"https://{settings.region}.console.aws.amazon.com/s3/buckets/{settings.bucket}"


class S3SetUpStoreOperator(_S3, SetUpStoreOperator):
    """Makes the bucket in its region, its marker, CORS, and the lifecycle rule of temp/."""


class S3CheckStoreOperator(_S3, CheckStoreOperator):
    """Looks whether bucket, region, clock and rights are as they must be."""


class S3TransferBatchOperator(_S3, TransferBatchOperator):
    """Copies one batch of segments into the bucket."""


class S3TierBatchOperator(_S3, TierBatchOperator):
    """Moves one batch of replicas between storage classes."""


BACKEND = Backend(
    "aws_conn_id", S3SetUpStoreOperator, S3CheckStoreOperator, S3TransferBatchOperator, S3TierBatchOperator
)
