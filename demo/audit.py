"""An independent look at what the jobs did: plain SQL, plain files, plain boto3, and none of the project's code."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import boto3
import psycopg2
from botocore.exceptions import ClientError

from demo.estate import Servers
from demo.footage import MadeFile
from demo.servers import S3Server

Reader = Callable[[str], Iterator[bytes]]
"""From a path in a store to its bytes."""
_FOOTAGE = re.compile(r"((cool|cold|archive)/)?media/")
"""What the keys of footage begin with, in all tiers."""
_ARCHIVED = "InvalidObjectState"
"""What S3 says when an archived object is read that was not restored."""

_REPLICAS = """
    SELECT c.slug, s.start_time, s.size_bytes, s.checksum, r.store, r.path, r.state
    FROM reelkeeper.segments s
    JOIN reelkeeper.cameras c ON c.id = s.camera_id
    LEFT JOIN reelkeeper.replicas r ON r.segment_id = s.id AND r.start_time = s.start_time
    ORDER BY c.slug, s.start_time, r.store
"""
_CONDEMNED = "SELECT store, path FROM reelkeeper.condemnations"
_QUARANTINED = "SELECT path, reason_code FROM reelkeeper.landing_files WHERE state = 'quarantined' ORDER BY path"
_COPIES = "SELECT count(*), coalesce(sum(size_bytes), 0)::bigint FROM reelkeeper.replicas WHERE store = %s"
_WANTED = "SELECT count(*) FROM reelkeeper.segments WHERE rollout_bucket < %s"


@dataclass(slots=True)
class CameraCopies:
    """What one camera has: segments and their bytes, of each store how many copies read back right, and how many cannot
    be read because they are archived."""

    segments: int = 0
    size_bytes: int = 0
    right: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    archived: int = 0


@dataclass(slots=True)
class Audit:
    """What the look found. `problems` is empty when every recording is where it must be, byte for byte; `lost` has
    those of which no copy could be read right."""

    cameras: dict[str, CameraCopies] = field(default_factory=lambda: defaultdict(CameraCopies))
    bytes_read: int = 0
    problems: list[str] = field(default_factory=list)
    lost: list[MadeFile] = field(default_factory=list)


def copies_in(servers: Servers, store: str) -> tuple[int, int]:
    """How many replicas, and bytes of them, the catalogue has in a store."""
    count, size_bytes = rows(servers, _COPIES, (store,))[0]
    return count, size_bytes


def wanted_in_cloud(servers: Servers, percentage: int) -> int:
    """How many segments this percentage sends to the cloud."""
    return int(rows(servers, _WANTED, (percentage * 100,))[0][0])


def quarantined(servers: Servers) -> list[tuple[str, str]]:
    """Path and reason of each file in quarantine."""
    return [(path, reason) for path, reason in rows(servers, _QUARANTINED)]


def everywhere(made: Iterable[MadeFile], stores: Collection[str]) -> dict[MadeFile, Collection[str]]:
    """What `audit` expects when each recording must be in each of these stores."""
    return dict.fromkeys(made, stores)


def audit(servers: Servers, expected: Mapping[MadeFile, Collection[str]], *, nothing_else: bool = True) -> Audit:
    """Read every copy of every recording and compare it with what was made, not only with what the catalogue says.

    `expected` says for each recording in which stores it must have a copy; it may be in no other, and one at least must
    be readable. No store may hold footage that the catalogue knows neither as a copy nor as condemned. With
    `nothing_else` the catalogue may have no segment that was not made.
    """
    found = Audit()
    by_name = {(file.camera, file.start_time): file for file in expected}
    copies: dict[MadeFile, dict[str, str]] = defaultdict(dict)
    known: dict[str, set[str]] = defaultdict(set)
    for camera, start, size_bytes, checksum, store, path, state in rows(servers, _REPLICAS):
        known[store].add(path)
        file = by_name.get((camera, start))
        if file is None:
            if nothing_else:
                found.problems.append(f"segment {camera} {start.isoformat()} was never recorded")
        elif (size_bytes, checksum) != (file.size_bytes, file.sha256):
            found.problems.append(f"segment {camera} {start.isoformat()} is catalogued with another size or SHA-256")
        elif state == "available":
            copies[file][store] = path
    for store, path in rows(servers, _CONDEMNED):
        known[store].add(path)
    readers = _readers(servers)
    for file, stores in expected.items():
        _read_copies(found, file, copies[file], stores, readers)
    for store, keys in _footage_keys(servers).items():
        found.problems += [f"store {store!r} holds {key!r}, which is nobody's" for key in sorted(keys - known[store])]
    return found


def _read_copies(
    found: Audit, file: MadeFile, copies: Mapping[str, str], stores: Collection[str], readers: Mapping[str, Reader]
) -> None:
    row, right = found.cameras[file.camera], 0
    name = f"segment {file.camera} {file.start_time.isoformat()}"
    if set(copies) != set(stores):
        found.problems.append(f"{name} has copies in {sorted(copies)}: expected {sorted(stores)}")
    for store, path in copies.items():
        try:
            size_bytes, digest = _digest(readers[store](path))
        except ClientError as exc:
            if exc.response["Error"]["Code"] == _ARCHIVED:
                row.archived += 1
            else:
                found.problems.append(f"copy {path!r} in store {store!r} cannot be read: {exc}")
            continue
        except FileNotFoundError:
            found.problems.append(f"copy {path!r} in store {store!r} is not there")
            continue
        found.bytes_read += size_bytes
        if (size_bytes, digest) == (file.size_bytes, file.sha256):
            row.right[store] += 1
            right += 1
        else:
            found.problems.append(f"copy {path!r} in store {store!r} has {size_bytes} bytes, SHA-256 {digest}")
    if stores:
        row.segments += 1
        row.size_bytes += file.size_bytes
        if not right:
            found.lost.append(file)
            found.problems.append(f"{name} has no copy that can be read")


def _footage_keys(servers: Servers) -> dict[str, set[str]]:
    """The keys of footage that the stores hold, whatever the catalogue says."""
    on_disk = (path for path in servers.footage.rglob("*") if path.is_file())
    keys = {
        "local": {path.relative_to(servers.footage).as_posix() for path in on_disk},
        "cloud": keys_in(servers.seaweedfs, servers.cloud_bucket),
        "aws": keys_in(servers.moto, servers.aws_bucket),
    }
    return {store: {key for key in held if _FOOTAGE.match(key)} for store, held in keys.items()}


def keys_in(server: S3Server, bucket: str, prefix: str = "") -> set[str]:
    """The keys of all objects of a bucket that begin with `prefix`."""
    pages = s3_client(server).get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {item["Key"] for page in pages for item in page.get("Contents", ())}


def s3_client(server: S3Server) -> Any:
    """A plain client of the server."""
    return boto3.client("s3", endpoint_url=server.endpoint_url, region_name=server.region,
                        aws_access_key_id=server.access_key, aws_secret_access_key=server.secret_key)  # fmt: skip


def _readers(servers: Servers) -> Mapping[str, Reader]:
    def from_disk(path: str) -> Iterator[bytes]:
        yield (servers.footage / path).read_bytes()

    def from_bucket(server: S3Server, bucket: str) -> Reader:
        client = s3_client(server)
        return lambda path: client.get_object(Bucket=bucket, Key=path)["Body"].iter_chunks(1 << 20)

    return {
        "local": from_disk,
        "cloud": from_bucket(servers.seaweedfs, servers.cloud_bucket),
        "aws": from_bucket(servers.moto, servers.aws_bucket),
    }


def _digest(chunks: Iterator[bytes]) -> tuple[int, str]:
    digest, size_bytes = sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        size_bytes += len(chunk)
    return size_bytes, digest.hexdigest()


def rows(servers: Servers, query: str, parameters: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
    """What the catalogue answers."""
    with closing(psycopg2.connect(servers.postgres.dsn("catalogue"))) as connection, connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchall()
