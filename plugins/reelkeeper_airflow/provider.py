"""What Airflow is told about this package: its connection types with their forms, and one section of configuration."""

from importlib.metadata import version
from typing import Any


def get_provider_info() -> dict[str, Any]:
    """The provider's description, as in Airflow's `provider_info.schema.json`."""
    return {
        "package-name": "reelkeeper",
        "name": "Reelkeeper",
        "description": "Operates an estate of recorded video.",
        "versions": [version("reelkeeper")],
        "connection-types": [
            {
                "connection-type": "minio",
                "hook-class-name": "reelkeeper_airflow.hooks.minio.MinioHook",
                "hook-name": "MinIO",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "extra"],
                    "relabeling": {"host": "Server", "login": "Access key", "password": "Secret key"},
                    # Airflow 3.3.2 tests none that was saved without a port (apache/airflow, pull request 73298).
                    "placeholders": {
                        "host": "minio.example.org, or https://minio.example.org",
                        "port": "9000, 443 …: needed for the button 'Test Connection'",
                    },
                },
                "conn-fields": _MINIO_FIELDS,
            },
            {
                "connection-type": "reelkeeper_key",
                "hook-class-name": "reelkeeper_airflow.hooks.keys.KeyHook",
                "hook-name": "Reelkeeper private key",
                "ui-field-behaviour": {
                    "hidden-fields": ["host", "schema", "login", "port", "extra"],
                    "relabeling": {"password": "Private key (PEM)"},
                    "placeholders": {"password": "-----BEGIN PRIVATE KEY-----; line breaks may be lost"},
                },
            },
            {
                "connection-type": "reelkeeper_token",
                "hook-class-name": "reelkeeper_airflow.hooks.tokens.TokenHook",
                "hook-name": "Reelkeeper token",
                "ui-field-behaviour": {
                    "hidden-fields": ["host", "schema", "login", "port", "extra"],
                    "relabeling": {"password": "Token"},
                    "placeholders": {"password": "at least 16 characters: openssl rand -hex 32"},
                },
            },
        ],
        "config": {
            "reelkeeper": {
                "description": "Reelkeeper's tasks. What they work on stands in estate.toml.",
                "options": {
                    "alert": {
                        "description": "Import path of a callable, or of a notifier, that is given the task's context "
                        "when a task fails for good. Without it, the failure is in the log alone.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "my_company.alerts.page_operators",
                        "default": "",
                    }
                },
            }
        },
    }


_MINIO_FIELDS = {
    "secure": {
        "label": "TLS",
        "description": "Whether the server speaks https; not needed when Server is a URL.",
        "schema": {"type": ["boolean", "null"], "default": True},
    },
    "region": {
        "label": "Region",
        "description": "Where the server has one; 'us-east-1' by default.",
        "schema": {"type": ["string", "null"]},
    },
    "session_token": {
        "label": "Session token",
        "description": "Of temporary credentials.",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "ca_bundle": {
        "label": "CA bundle",
        "description": "Path, on the workers, of a PEM file that proves the server's certificate.",
        "schema": {"type": ["string", "null"]},
    },
    "console_url": {
        "label": "Web console",
        "description": "For the links from tasks to buckets.",
        "schema": {"type": ["string", "null"], "format": "url"},
    },
}
