"""An estate for the Airflow side: its file, and the connections that its stores and its catalogue are opened by."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from demo.servers import S3Server

_FILE = """
name = "test"
tenant = "acme"
[[stores]]
name = "local"
kind = "filesystem"
root = "{folder}/footage"
queue = "nvr-1"
pool_slots = 3
[[stores]]
name = "cloud"
kind = "minio"
bucket = "{bucket}"
[[landing_zones]]
name = "recorders"
path = "{folder}/landing"
settle_seconds = 0
quarantine_after_minutes = 0
[placement]
mode = "hybrid"
local_store = "local"
cloud_store = "cloud"
[rollout]
percentage = 100
"""


@pytest.fixture
def estate_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The estate's file, which the tasks of this test read; nothing of it exists yet."""
    path = tmp_path / "estate.toml"
    path.write_text(_FILE.format(folder=tmp_path, bucket="test-bucket"))
    monkeypatch.setenv("REELKEEPER_ESTATE", str(path))
    return path


@pytest.fixture
def estate(
    estate_file: Path, catalogue_dsn: str, seaweedfs: S3Server, bucket_name: str, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The folder of an estate on real servers: a migrated catalogue, stores that are not set up, an empty zone."""
    folder = estate_file.parent
    estate_file.write_text(_FILE.format(folder=folder, bucket=bucket_name))
    for name in ("footage", "landing"):
        (folder / name).mkdir()
    database = urlsplit(catalogue_dsn)
    for name, connection in {
        "reelkeeper_catalogue": {
            "conn_type": "postgres", "host": database.hostname, "port": database.port, "login": database.username,
            "password": database.password, "schema": database.path.removeprefix("/"),
        },
        "minio_default": {
            "conn_type": "minio", "host": seaweedfs.endpoint_url, "login": seaweedfs.access_key,
            "password": seaweedfs.secret_key, "extra": {"region": seaweedfs.region},
        },
    }.items():  # fmt: skip
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
    return folder
