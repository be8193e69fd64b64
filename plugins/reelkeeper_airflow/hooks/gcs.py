"""Google Cloud Storage, by the Google provider's connection."""

import json
from collections.abc import Mapping
from typing import Any

from airflow.providers.google.cloud.hooks.gcs import GCSHook
from airflow.sdk import Connection

from reelkeeper.errors import CredentialsNotFound
from reelkeeper.settings import StoreSettings
from reelkeeper.stores.access import GcsAccess
from reelkeeper_airflow.hooks.environment import FromEnvironment


class ReelkeeperGCSHook(FromEnvironment, GCSHook):
    """Connects to Google Cloud Storage.

    :param gcp_conn_id: the connection; `google_cloud_default` may also come from `GCP_KEY_FILE` and `GCP_PROJECT_ID`,
        or else from Google's application default credentials
    :param endpoint_url: another address than Google's, for a private endpoint or an emulator
    """

    default_conn_name = "google_cloud_default"

    def __init__(self, gcp_conn_id: str = default_conn_name, *, endpoint_url: str | None = None) -> None:
        super().__init__(gcp_conn_id=gcp_conn_id)
        self._endpoint_url = endpoint_url
        self._client: Any = None

    @classmethod
    def connection_from_environment(cls, environ: Mapping[str, str]) -> Connection | None:
        given = {"key_path": environ.get("GCP_KEY_FILE"), "project": environ.get("GCP_PROJECT_ID")}
        return Connection(
            conn_id=cls.default_conn_name,
            conn_type=cls.conn_type,
            extra=json.dumps({name: value for name, value in given.items() if value}),
        )

    def get_conn(self) -> Any:
        """The `google.cloud.storage.Client`, one per hook. CredentialsNotFound."""
        from google.auth.exceptions import DefaultCredentialsError
        from google.cloud import storage

        if self._client is None:
            try:
                credentials, project = self.get_credentials_and_project_id()
            except DefaultCredentialsError as exc:
                raise CredentialsNotFound(
                    f"connection {self.gcp_conn_id!r} has no key file, and Google's application default credentials "
                    "are not there: expected extra 'key_path', GCP_KEY_FILE, or a service account of the machine"
                ) from exc
            options = {"api_endpoint": self._endpoint_url} if self._endpoint_url else None
            self._client = storage.Client(project=project, credentials=credentials, client_options=options)
        return self._client

    def access(self) -> GcsAccess:
        """What the core's gcs store needs. CredentialsNotFound."""
        return GcsAccess(client=self.get_conn())


def access_for(settings: StoreSettings) -> GcsAccess:
    """The access of a gcs store of the estate."""
    return ReelkeeperGCSHook(settings.connection, endpoint_url=settings.endpoint_url).access()
