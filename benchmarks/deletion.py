"""Deletion beside its peers: `python -m benchmarks.deletion [--objects 10000] [--runs 3] …`.

10,000 objects of 4 KiB under a hundred folders of one bucket of SeaweedFS are listed and deleted, each run from a
freshly filled bucket, the contestants in turn, medians of the runs:

- reelkeeper: a store of kind minio, and one of kind s3, in a process of its own, which also tells the rate of the
  deletion alone;
- s5cmd rm, which deletes in bulk as well;
- rclone delete, which does not.

Exit 1 when reelkeeper deletes fewer than a thousand objects a second.
"""

import argparse
import json
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import minio
from botocore.config import Config

from benchmarks.clients import environ_of, program, run_client
from demo.servers import S3Server, seaweedfs
from reelkeeper.model import Key, StoreKind
from reelkeeper.settings import StoreSettings
from reelkeeper.stores.access import BOTO3_CONFIG, MinioAccess, S3Access, S3Keys
from reelkeeper.stores.body import Body
from reelkeeper.stores.protocols import Store
from reelkeeper.stores.registry import open_store

LEAST_PER_SECOND = 1000
FOLDERS = 100
SIZE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of one contestant, its start included. `delete_seconds` only of those that tell."""

    wall_seconds: float
    cpu_seconds: float
    delete_seconds: float | None


# --- our side ---------------------------------------------------------------------------------------------------------


def open_bucket(kind: StoreKind, server: S3Server, bucket: str) -> Store:
    """A store by way of the registry, with the settings' own defaults."""
    settings = StoreSettings(name="cloud", kind=kind, bucket=bucket, region=server.region)
    if kind is StoreKind.MINIO:
        client = minio.Minio(
            server.endpoint_url.partition("//")[2], server.access_key, server.secret_key, secure=False,
            region=server.region,
        )  # fmt: skip
        access = MinioAccess(server.endpoint_url, server.access_key, server.secret_key, server.region, client)
        return open_store(settings, access)
    keys = S3Keys(server.access_key, server.secret_key)
    return open_store(settings, S3Access(lambda: keys, server.endpoint_url, server.region, client_of(server)))


def client_of(server: S3Server) -> Any:
    return boto3.client(
        "s3", endpoint_url=server.endpoint_url, region_name=server.region, aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key, config=Config(**BOTO3_CONFIG, s3={"addressing_style": "path"}),
    )  # fmt: skip


def work(kind: StoreKind, server: S3Server, bucket: str) -> dict[str, float]:
    """List and delete everything; the seconds of the deletion. An AssertionError unless all is gone."""
    store = open_bucket(kind, server, bucket)
    keys = [stat.key for stat in store.list("media/")]
    began = time.monotonic()
    failed = store.delete(keys)
    seconds = time.monotonic() - began
    assert keys
    assert not failed, failed
    return {"delete": seconds}


# --- contestants ------------------------------------------------------------------------------------------------------


def ours(kind: StoreKind) -> Callable[[S3Server, str], Measured]:
    def contest(server: S3Server, bucket: str) -> Measured:
        command = [sys.executable, "-m", "benchmarks.deletion", "--worker", kind, server.endpoint_url, bucket]
        return run(command, environ_of(server))

    return contest


def s5cmd(server: S3Server, bucket: str) -> Measured:
    """Its own defaults."""
    command = ["--endpoint-url", server.endpoint_url, "--log", "error", "rm", f"s3://{bucket}/media/*"]
    return run([program("s5cmd"), *command], environ_of(server))


def rclone(server: S3Server, bucket: str) -> Measured:
    """Sixteen at once, as we have."""
    command = ["delete", "--checkers", "16", "--transfers", "16", f"bench:{bucket}/media"]
    return run([program("rclone"), *command], environ_of(server))


CONTESTANTS: Mapping[str, Callable[[S3Server, str], Measured]] = {
    "reelkeeper (minio)": ours(StoreKind.MINIO),
    "reelkeeper (s3)": ours(StoreKind.S3),
    "s5cmd rm": s5cmd,
    "rclone delete": rclone,
}


def run(command: Sequence[str], environ: Mapping[str, str]) -> Measured:
    ended = run_client(command, environ)
    return Measured(ended.wall_seconds, ended.cpu_seconds, ended.told.get("delete"))


# --- reports ----------------------------------------------------------------------------------------------------------


def fill(server: S3Server, objects: int) -> str:
    """A fresh bucket with so many objects."""
    bucket = f"bench-{secrets.token_hex(6)}"
    client_of(server).create_bucket(Bucket=bucket)
    store, body = open_bucket(StoreKind.MINIO, server, bucket), Body.of_bytes(secrets.token_bytes(SIZE_BYTES))
    keys = [Key(f"media/bench/c{number % FOLDERS:02}/{number:06}.mp4") for number in range(objects)]
    with ThreadPoolExecutor(16) as pool:
        for _ in pool.map(lambda key: store.write(key, body), keys):
            pass
    return bucket


def compare(server: S3Server, objects: int, runs: int) -> dict[str, list[Measured]]:
    """All contestants in turn; each run begins with another one."""
    names = list(CONTESTANTS)
    results: dict[str, list[Measured]] = {name: [] for name in names}
    for number in range(runs):
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            bucket = fill(server, objects)
            time.sleep(2)  # the server comes to rest
            measured = CONTESTANTS[name](server, bucket)
            print(f"  run {number + 1}: {name}: {measured.wall_seconds:.2f} s", file=sys.stderr)
            left = client_of(server).list_objects_v2(Bucket=bucket, MaxKeys=1)["KeyCount"]
            assert not left, f"{name} left objects behind"
            results[name].append(measured)
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--worker", nargs=3, metavar=("KIND", "URL", "BUCKET"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        kind, url, bucket = options.worker
        server = S3Server(url, os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
        print(json.dumps(work(StoreKind(kind), server, bucket)))
        return 0
    with tempfile.TemporaryDirectory(prefix="reelkeeper-bench-") as folder, seaweedfs(Path(folder) / "s3") as server:
        results = compare(server, options.objects, options.runs)
    print(f"{options.objects:,} objects of {SIZE_BYTES // 1024} KiB, median of {options.runs}\n")
    print("| | wall time, start and listing included | objects a second | client CPU | the deletion alone |")
    print("|---|---|---|---|---|")
    rates = []
    for name, runs in results.items():
        wall = statistics.median(measured.wall_seconds for measured in runs)
        cpu = statistics.median(measured.cpu_seconds for measured in runs)
        told = [measured.delete_seconds for measured in runs if measured.delete_seconds is not None]
        alone = f"{options.objects / statistics.median(told):,.0f} a second" if told else "–"
        rates += [options.objects / statistics.median(told)] if told else []
        print(f"| {name} | {wall:.2f} s | {options.objects / wall:,.0f} | {cpu:.1f} s | {alone} |")
    return 0 if min(rates) >= LEAST_PER_SECOND else 1


if __name__ == "__main__":
    sys.exit(main())
