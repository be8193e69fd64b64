"""Real servers from wheels, on free loopback ports. Each waits until it answers and stops with all its children."""

import http.client
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from demo.ports import kept_ports
from demo.postgres import PostgresServer, postgres
from demo.processes import HOST, StartFailed, running, scratch

__all__ = ["GcsServer", "PostgresServer", "S3Server", "StartFailed", "gcs_emulator", "moto", "postgres", "seaweedfs"]

_SEAWEEDFS_TRIES = 3


@dataclass(frozen=True, slots=True)
class S3Server:
    """A server that speaks S3. The secret stays out of its repr."""

    endpoint_url: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = "us-east-1"


@dataclass(frozen=True, slots=True)
class GcsServer:
    """A Google Cloud Storage emulator; clients reach it by STORAGE_EMULATOR_HOST=`endpoint_url`."""

    endpoint_url: str
    project: str = "reelkeeper"


@contextmanager
def seaweedfs(directory: Path) -> Iterator[S3Server]:
    """SeaweedFS, the S3-compatible server that stands for MinIO. It keeps its data in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    for left in reversed(range(_SEAWEEDFS_TRIES)):
        try:
            starting = _seaweedfs(directory)
            server = starting.__enter__()
        except StartFailed:  # a program that is not ours took one of the ports in between
            if not left:
                raise
            continue
        try:
            yield server
        finally:
            starting.__exit__(None, None, None)
        return


@contextmanager
def _seaweedfs(directory: Path) -> Iterator[S3Server]:
    roles = ["master", "volume", "filer", "s3", "admin"]
    # Unix sockets: their paths must be short, and SeaweedFS would leave them behind.
    names = [f"SeaweedFS {role}{kind}" for kind in ("", ".grpc") for role in roles]
    with scratch("weed") as sockets, kept_ports(directory, *names) as ports:
        port = {name.removeprefix("SeaweedFS "): number for name, number in ports.items()}
        server = S3Server(f"http://{HOST}:{port['s3']}", secrets.token_hex(10), secrets.token_urlsafe(30))
        flags = [f"-{role}.port={port[role]}" for role in roles]
        flags += [f"-{role}.port.grpc={port[f'{role}.grpc']}" for role in roles]
        flags += [
            f"-dir={directory}", f"-ip={HOST}", f"-ip.bind={HOST}", "-master.telemetry=false", "-webdav=false",
            "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
            f"-filer.localSocket={sockets / 'filer'}", f"-s3.localSocket={sockets / 's3'}",
            # As MinIO behaves: a missing bucket is an error, and a bucket with objects is not deleted.
            "-s3.autoCreateBucket=false", "-s3.allowDeleteBucketNotEmpty=false",
        ]  # fmt: skip
        keys = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
        with running(
            "seaweedfs", [_program("weed"), "mini", *flags], log=directory / "seaweedfs.log",
            environ=os.environ | keys, ready=lambda: _lists_buckets(server), directory=directory,
        ):  # fmt: skip
            yield server


@contextmanager
def moto(directory: Path | None = None) -> Iterator[S3Server]:
    """Moto's server, for the semantics of AWS; any keys will do. Its log goes to `directory`, or nowhere."""
    with scratch("moto") as nowhere:
        folder = directory or nowhere
        folder.mkdir(parents=True, exist_ok=True)
        with kept_ports(folder, "moto") as ports:
            server = S3Server(f"http://{HOST}:{ports['moto']}", "testing", "testing")
            with running(
                "moto", [_program("moto_server"), "-H", HOST, "-p", str(ports["moto"])], log=folder / "moto.log",
                ready=lambda: _status(server.endpoint_url, "/moto-api/") == 200,
            ):  # fmt: skip
                yield server


@contextmanager
def gcs_emulator(directory: Path) -> Iterator[GcsServer]:
    """gcp-storage-emulator, with storage classes; it keeps its data in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    with kept_ports(directory, "GCS emulator") as ports:
        port = ports["GCS emulator"]
        server = GcsServer(f"http://{HOST}:{port}")
        program = Path(__file__).with_name("gcs_emulator.py")
        command = [sys.executable, str(program), "-d", str(directory / "data"), "start", "--host", HOST,
                   "--port", str(port)]  # fmt: skip
        with running(
            "gcs emulator", command, log=directory / "gcs.log", directory=directory,
            ready=lambda: _status(server.endpoint_url, f"/storage/v1/b?project={server.project}") == 200,
        ):  # fmt: skip
            yield server


def _program(name: str) -> str:
    """A program that a wheel put beside our interpreter."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        raise StartFailed(f"program {name!r} is not beside {sys.executable!r}: expected the dependency group 'demo'")
    return str(path)


def _status(endpoint_url: str, path: str) -> int:
    """The status of a GET, with no proxy in between."""
    address = urlsplit(endpoint_url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def _lists_buckets(server: S3Server) -> bool:
    """A signed request, so that nobody else's server is taken for ours."""
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "s3", endpoint_url=server.endpoint_url, region_name=server.region, aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5, proxies={}),
    )  # fmt: skip
    try:
        client.list_buckets()
        return True
    finally:
        client.close()
