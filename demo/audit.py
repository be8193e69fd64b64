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

Reader = Callable[[str], Iterator[bytes]]
"""From a path in a store to its bytes."""

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


def audit(servers: Servers, made: Sequence[MadeFile], stores: Sequence[str], *, nothing_else: bool = True) -> Audit:
    """Read every copy of every recording and compare it with what was made, not only with what the catalogue says.

    Every recording must have a copy in each of `stores` and in no other, and no store may hold media that the catalogue
    does not know. With `nothing_else` the catalogue may have no segment that was not made.
    """
    found = Audit()
    expected = {(file.camera, file.start_time): file for file in made}
    copies: dict[tuple[str, datetime], dict[str, str]] = defaultdict(dict)
    known: dict[str, set[str]] = defaultdict(set)
    for camera, start, size_bytes, checksum, store, path, state in _rows(servers, _REPLICAS):
        known[store].add(path)
        file = expected.get((camera, start))
        if file is None:
            if nothing_else:
                found.problems.append(f"segment {camera} {start.isoformat()} was never recorded")
        elif (size_bytes, checksum) != (file.size_bytes, file.sha256):
            found.problems.append(f"segment {camera} {start.isoformat()} is catalogued with another size or SHA-256")
        elif state == "available":
            copies[camera, start][store] = path
    readers = _readers(servers)
    for name, file in expected.items():
        _read_copies(found, file, copies[name], stores, readers)
    for store, keys in _media_keys(servers).items():
        found.problems += [f"store {store!r} holds {key!r}, which is nobody's" for key in sorted(keys - known[store])]
    return found


def _read_copies(
    found: Audit, file: MadeFile, copies: Mapping[str, str], stores: Sequence[str], readers: Mapping[str, Reader]
) -> None:
    row = found.cameras[file.camera]
    row.segments += 1
    row.size_bytes += file.size_bytes
    if set(copies) != set(stores):
        found.problems.append(f"segment {file.camera} {file.start_time.isoformat()} has copies in {sorted(copies)}")
    for store, path in copies.items():
        size_bytes, digest = _digest(readers[store](path))
        found.bytes_read += size_bytes
        if (size_bytes, digest) == (file.size_bytes, file.sha256):
            row.right[store] += 1
        else:
            found.problems.append(f"copy {path!r} in store {store!r} has {size_bytes} bytes, SHA-256 {digest}")


def _media_keys(servers: Servers) -> dict[str, set[str]]:
    """What the stores hold under media/, whatever the catalogue says."""
    pages = _client(servers).get_paginator("list_objects_v2").paginate(Bucket="footage", Prefix="media/")
    on_disk = (path for path in (servers.footage / "media").rglob("*") if path.is_file())
    return {
        "cloud": {item["Key"] for page in pages for item in page.get("Contents", ())},
        "local": {path.relative_to(servers.footage).as_posix() for path in on_disk},
    }


def _client(servers: Servers) -> Any:
    cloud = servers.seaweedfs
    return boto3.client("s3", endpoint_url=cloud.endpoint_url, region_name=cloud.region,
                        aws_access_key_id=cloud.access_key, aws_secret_access_key=cloud.secret_key)  # fmt: skip


def _readers(servers: Servers) -> Mapping[str, Reader]:
    client = _client(servers)

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
