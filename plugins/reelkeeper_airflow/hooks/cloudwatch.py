"""Amazon CloudWatch, by the Amazon provider's connection."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.sdk import Connection
from botocore.config import Config

from reelkeeper_airflow.hooks.environment import FromEnvironment
from reelkeeper_airflow.hooks.s3 import ReelkeeperS3Hook

if TYPE_CHECKING:
    from reelkeeper.reporting.cloudwatch import PutsMetrics


class CloudWatchHook(FromEnvironment, AwsBaseHook):
    """Connects to CloudWatch. Credentials are those of the connection, or what boto3 finds (a role, `AWS_*`).

    :param aws_conn_id: the connection; `aws_default` may also come from the environment, as for stores of kind s3
    :param region_name: where the metrics are kept; "": the connection's region, or else us-east-1
    """

    def __init__(self, aws_conn_id: str = AwsBaseHook.default_conn_name, *, region_name: str = "") -> None:
        super().__init__(
            aws_conn_id=aws_conn_id,
            client_type="cloudwatch",
            region_name=region_name or None,
            config=Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 3}),
        )

    @classmethod
    def connection_from_environment(cls, environ: Mapping[str, str]) -> Connection | None:
        return ReelkeeperS3Hook.connection_from_environment(environ)

    def metrics_client(self) -> "PutsMetrics":
        """A client that puts metrics."""
        region = self.region_name or "us-east-1"
        client: PutsMetrics = self.get_client_type(region_name=region)
        return client
