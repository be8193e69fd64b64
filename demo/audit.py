"""An independent look at what the main job did: plain SQL, plain files, plain boto3, and none of the project's code."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

import boto3
import psycopg2

from demo.estate import Servers
from demo.footage import MadeFile

_REPLICAS = """
    SELECT c.slug, s.start_time, s.size_bytes, s.checksum, r.store, r.path, r.state
    FROM reelkeeper.segments s
    JOIN reelkeeper.cameras c ON c.id = s.camera_id
    LEFT JOIN reelkeeper.replicas r ON r.segment_id = s.id AND r.start_time = s.start_time
    ORDER BY c.slug, s.start_time, r.store
"""
_QUARANTINED = "SELECT path, reason_code FROM reelkeeper.landing_files WHERE state = 'quarantined' ORDER BY path"
_COPIES = "SELECT count(*), coalesce(sum(size_bytes), 0)::bigint FROM reelkeeper.replicas WHERE store = %s"
_WANTED = "SELECT count(*) FROM reelkeeper.segments WHERE rollout_bucket < %s"


@dataclass(slots=True)
class CameraCopies:
    """What one camera has: segments and their bytes, and of each store how many copies read back right."""

    segments: int = 0
    size_bytes: int = 0
    right: dict[str, int] = field(default_factory=lambda: defaultdict(int))


@dataclass(slots=True)
class Audit:
    """What the look found. `problems` is empty when every recording is in every store, byte for byte."""

    cameras: dict[str, CameraCopies] = field(default_factory=lambda: defaultdict(CameraCopies))
    bytes_read: int = 0
    problems: list[str] = field(default_factory=list)


def copies_in(servers: Servers, store: str) -> tuple[int, int]:
    """How many replicas, and bytes of them, the catalogue has in a store."""
    count, size_bytes = _rows(servers, _COPIES, (store,))[0]
    return count, size_bytes


def wanted_in_cloud(servers: Servers, percentage: int) -> int:
    """How many segments this percentage sends to the cloud."""
    return int(_rows(servers, _WANTED, (percentage * 100,))[0][0])


def quarantined(servers: Servers) -> list[tuple[str, str]]:
    """Path and reason of each file in quarantine."""
    return [(path, reason) for path, reason in _rows(servers, _QUARANTINED)]


def audit(servers: Servers, made: Sequence[MadeFile], stores: Sequence[str]) -> Audit:
    """Read every copy of every recording and compare it with what was made, not only with what the catalogue says."""
    found = Audit()
    expected = {(file.camera, file.start_time): file for file in made}
    copies: dict[tuple[str, datetime], list[tuple[str, str]]] = defaultdict(list)
    for camera, start, size_bytes, checksum, store, path, state in _rows(servers, _REPLICAS):
        name = (camera, start)
        file = expected.get(name)
        if file is None:
            found.problems.append(f"segment {camera} {start.isoformat()} was never recorded")
            continue
        if (size_bytes, checksum) != (file.size_bytes, file.sha256):
            found.problems.append(f"segment {camera} {start.isoformat()} is catalogued with another size or SHA-256")
        if state == "available":
            copies[name].append((store, path))
    read = _readers(servers)
    for (camera, start), file in expected.items():
        row = found.cameras[camera]
        row.segments += 1
        row.size_bytes += file.size_bytes
        if sorted(store for store, _ in copies[camera, start]) != sorted(stores):
            found.problems.append(f"segment {camera} {start.isoformat()} has copies in {copies[camera, start]}")
        for store, path in copies[camera, start]:
            size_bytes, digest = _digest(read[store](path))
            found.bytes_read += size_bytes
            if (size_bytes, digest) == (file.size_bytes, file.sha256):
                row.right[store] += 1
            else:
                found.problems.append(f"copy {path!r} in store {store!r} has {size_bytes} bytes, SHA-256 {digest}")
    return found


def _readers(servers: Servers) -> Mapping[str, Callable[[str], Iterator[bytes]]]:
    cloud = servers.seaweedfs
    client = boto3.client("s3", endpoint_url=cloud.endpoint_url, region_name=cloud.region,
                          aws_access_key_id=cloud.access_key, aws_secret_access_key=cloud.secret_key)  # fmt: skip

    def from_disk(path: str) -> Iterator[bytes]:
        yield (servers.footage / path).read_bytes()

    def from_cloud(path: str) -> Iterator[bytes]:
        body = client.get_object(Bucket="footage", Key=path)["Body"]
        yield from body.iter_chunks(1 << 20)

    return {"local": from_disk, "cloud": from_cloud}


def _digest(chunks: Iterator[bytes]) -> tuple[int, str]:
    digest, size_bytes = sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        size_bytes += len(chunk)
    return size_bytes, digest.hexdigest()


def _rows(servers: Servers, query: str, parameters: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(servers.postgres.dsn("catalogue"))) as connection, connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchall()
