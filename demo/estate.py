"""The embedded estate: all servers of one folder, and the environment that points Airflow at them."""

import base64
import json
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.postgres import PostgresServer, postgres
from demo.processes import together
from demo.servers import GcsServer, S3Server, gcs_emulator, moto, seaweedfs
from demo.settings import write_settings
from reelkeeper.media.signing import Signer

ROOT = Path(__file__).resolve().parent.parent
"""The project's folder."""
_PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TMPDIR", "TERM", "VIRTUAL_ENV", "SSL_CERT_FILE")


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers of one estate and where its files lie."""

    folder: Path
    postgres: PostgresServer
    seaweedfs: S3Server
    moto: S3Server
    gcs: GcsServer
    secrets: Mapping[str, str] = field(repr=False)

    @property
    def landing(self) -> Path:
        return self.folder / "landing"

    @property
    def footage(self) -> Path:
        """The root of the store `local`."""
        return self.folder / "footage"

    @property
    def cloud_bucket(self) -> str:
        """The bucket of the store `cloud`."""
        return "footage"

    @property
    def aws_bucket(self) -> str:
        """The bucket of the store `aws`."""
        return "reelkeeper-demo-footage"

    @property
    def signing_key(self) -> Path:
        """The private key that signs the manifests of exports, made once for an estate."""
        return self.folder / "signing-key.pem"

    @property
    def settings(self) -> Path:
        return self.folder / "estate.toml"

    def connections(self) -> dict[str, dict[str, Any]]:
        """Airflow connections by id, as their JSON form has them."""
        database = self.postgres
        return {
            "reelkeeper_catalogue": {
                "conn_type": "postgres", "host": database.host, "port": database.port, "login": database.user,
                "password": database.password, "schema": "catalogue",
            },
            "minio_default": {
                "conn_type": "minio", "host": self.seaweedfs.endpoint_url,
                "login": self.seaweedfs.access_key, "password": self.seaweedfs.secret_key,
                "extra": {"region": self.seaweedfs.region},
            },
            "aws_default": {
                "conn_type": "aws", "login": self.moto.access_key, "password": self.moto.secret_key,
                "extra": {"endpoint_url": self.moto.endpoint_url, "region_name": self.moto.region},
            },
            "google_cloud_default": {
                "conn_type": "google_cloud_platform", "extra": {"is_anonymous": True, "project": self.gcs.project},
            },
            "fs_default": {"conn_type": "fs"},
            "reelkeeper_signing": {"conn_type": "reelkeeper_key", "password": self.signing_key.read_text()},
        }  # fmt: skip

    def environ(self) -> dict[str, str]:
        """What a program needs to work on this estate; nothing of the caller's own accounts."""
        connections = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in self.connections().items()}
        return connections | {
            "REELKEEPER_ESTATE": str(self.settings),
            "STORAGE_EMULATOR_HOST": self.gcs.endpoint_url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }


def passed_on() -> dict[str, str]:
    """The few variables of our own environment that children get."""
    bin_folder = str(Path(sys.executable).parent)
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return kept | {"PATH": f"{bin_folder}:{kept.get('PATH', os.defpath)}", "TZ": "UTC", "PYTHONUNBUFFERED": "1"}


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """Start PostgreSQL with its two databases and the three object stores; write what the estate's folder lacks."""
    starting = [postgres(folder / "postgres", durable=True), seaweedfs(folder / "seaweedfs"), moto(folder / "moto"),
                gcs_emulator(folder / "gcs")]  # fmt: skip
    with together(starting) as (database, cloud, aws, google):
        made = Servers(folder, database, cloud, aws, google, _secrets(folder / "secrets.json"))
        _make_signing_key(made.signing_key)
        for name in ("airflow", "catalogue"):
            database.create_database(name)
        for path in (made.landing, made.footage):
            path.mkdir(exist_ok=True)
        write_settings(
            made.settings, folder=folder, region=cloud.region, cloud_bucket=made.cloud_bucket,
            aws_bucket=made.aws_bucket,
        )  # fmt: skip
        yield made


def _make_signing_key(path: Path) -> None:
    """As `reelkeeper signing-key create` does; an older one stays, as it proves older exports."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(Signer.create().private_pem())


def _secrets(path: Path) -> Mapping[str, str]:
    """The secrets that all parts of one Airflow share, made once for an estate."""
    if not path.exists():
        made = {name: secrets.token_urlsafe(32) for name in ("jwt", "api", "admin_password")}
        made["fernet"] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        path.touch(mode=0o600)
        path.write_text(json.dumps(made))
    return dict(json.loads(path.read_text()))
