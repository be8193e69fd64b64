"""Operators on Google Cloud Storage."""

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


class _GCS(StoreOperator):
    kind = StoreKind.GCS

    def __init__(self, *, gcp_conn_id: str = "google_cloud_default", **kwargs: Any) -> None:
        super().__init__(conn_id=gcp_conn_id, **kwargs)

    def console_url(self) -> str:
        return f"https://console.cloud.google.com/storage/browser/{self.settings().bucket}"


class GCSSetUpStoreOperator(_GCS, SetUpStoreOperator):
    """Makes the bucket in its location, its marker, CORS, and the lifecycle rule of temp/."""


class GCSCheckStoreOperator(_GCS, CheckStoreOperator):
    """Looks whether bucket, clock and rights are as they must be."""


class GCSTransferBatchOperator(_GCS, TransferBatchOperator):
    """Copies one batch of segments into the bucket."""


class GCSTierBatchOperator(_GCS, TierBatchOperator):
    """Moves one batch of replicas between storage classes."""


BACKEND = Backend(
    "gcp_conn_id", GCSSetUpStoreOperator, GCSCheckStoreOperator, GCSTransferBatchOperator, GCSTierBatchOperator
)
