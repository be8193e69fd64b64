"""Uploads over a slow line take their time; a server that stops answering in the middle of one does not take ours."""

import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from demo.servers import GcsServer, S3Server
from reelkeeper.errors import TransientError
from reelkeeper.model import Key, StoreKind
from reelkeeper.stores import gcs, gcs_writing, s3_data
from reelkeeper.stores.body import Body
from tests.stores import rigs

pytestmark = pytest.mark.servers  # of its own, on loopback

KINDS = [StoreKind.S3, StoreKind.MINIO]
KEY = Key("media/a.ts")
MIB = 2**20
READ_TIMEOUT = 0.4  # seconds
WAYS = {"in one request": 4 * MIB, "in parts": 20 * MIB}


class SlowServer(ThreadingHTTPServer):
    """As much of the S3 protocol as a write needs. It takes `seconds` over each body of more than 1 MiB."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Requests)
        self.seconds = 0.0
        self.stops: str | None = None  # "reading" in the middle of a large body, or "answering" after it
        self.received = 0  # bytes of large bodies
        self.released = threading.Event()


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SlowServer

    def do_HEAD(self) -> None:
        self.send_response(404 if "/bucket/" in self.path else 200)
        self.end_headers()

    def do_PUT(self) -> None:
        self._receive()
        self._answer(b"")

    def _receive(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        for offset in range(0, size, MIB // 4):
            got = len(self.rfile.read(min(MIB // 4, size - offset)))
            if size > MIB:
                self.server.received += got
                time.sleep(self.server.seconds * got / size)
                if self.server.stops == "reading":
                    self.server.released.wait()
        if size > MIB and self.server.stops:
            self.server.released.wait()

    def do_POST(self) -> None:
        self._receive()
        if "uploadType=multipart" in self.path:  # Google's
            self._answer(b"{}", "application/json")
            return
        name = "InitiateMultipartUploadResult" if "uploads" in self.path else "CompleteMultipartUploadResult"
        self._answer(f"<{name}><Bucket>bucket</Bucket><Key>{KEY}</Key><UploadId>1</UploadId><ETag>e</ETag></{name}>"
                     .encode())  # fmt: skip

    def do_DELETE(self) -> None:
        self._answer(b"")

    def _answer(self, document: bytes, media_type: str = "application/xml") -> None:
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("ETag", '"e"')
        self.send_header("Content-Length", str(len(document)))
        self.end_headers()
        self.wfile.write(document)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[SlowServer]:
    with SlowServer() as slow:
        thread = threading.Thread(target=slow.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield slow
        slow.released.set()
        slow.shutdown()
        thread.join()


def open_store(kind: StoreKind, server: SlowServer, monkeypatch: pytest.MonkeyPatch, upload_seconds: float) -> Any:
    monkeypatch.setattr(s3_data, "READ_TIMEOUT", timedelta(seconds=READ_TIMEOUT))
    monkeypatch.setattr(s3_data, "UPLOAD_TIMEOUT", timedelta(seconds=upload_seconds))
    s3 = S3Server(f"http://127.0.0.1:{server.server_port}", "key", "secret")
    access = rigs.s3_access(s3) if kind is StoreKind.S3 else rigs.minio_access(s3)
    store = rigs.bucket_store(kind, "bucket", access)
    store._refuses_to_overwrite.known = True  # tried out before
    return store


def body_of(size: int) -> Body:
    return Body(size, Body.of_bytes(bytes(size)).sha256, lambda: [bytes(MIB)] * (size // MIB))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
def test_a_slow_line_is_no_silent_server(
    kind: StoreKind, way: str, server: SlowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(kind, server, monkeypatch, upload_seconds=30)
    server.seconds = 3 * READ_TIMEOUT
    store.write(KEY, body_of(WAYS[way]))
    assert server.received == WAYS[way]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stops", ["reading", "answering"])
def test_a_server_that_stops_in_the_middle_is_given_up(
    way: str, stops: str, server: SlowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(StoreKind.S3, server, monkeypatch, upload_seconds=1)
    server.stops = stops
    began = time.monotonic()
    with pytest.raises(TransientError, match=re.escape(repr(KEY))):
        store.write(KEY, body_of(WAYS[way]))
    assert time.monotonic() - began < 5
    assert server.received


def test_a_slow_line_to_google(server: SlowServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What bounds a connection there bounds the sending of each request as well."""
    monkeypatch.setattr(gcs_writing, "TIMEOUT", (READ_TIMEOUT, 30))
    monkeypatch.setattr(gcs, "_NO_RETRY", {"timeout": (READ_TIMEOUT, 30), "retry": None})
    store = rigs.bucket_store(
        StoreKind.GCS, "bucket", rigs.gcs_access(GcsServer(f"http://127.0.0.1:{server.server_port}", "project"))
    )
    store._refuses_to_overwrite.known = True  # tried out before
    server.seconds = 3 * READ_TIMEOUT
    store.write(KEY, body_of(8 * MIB))
    assert server.received >= 8 * MIB


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_system_watches_over_connections(server: SlowServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it a host that is gone would only be noticed by the timeout of the whole request."""
    store = open_store(StoreKind.S3, server, monkeypatch, upload_seconds=30)
    store.write(KEY, body_of(WAYS["in one request"]))
    found = list(connections_to(server.server_port))
    assert found
    for keepalive, idle, interval, unanswered in found:
        assert keepalive
        assert idle + interval * unanswered <= 60


def connections_to(port: int) -> Iterator[tuple[int, int, int, int]]:
    """The keepalive of each connection of this process: whether it is on, idle seconds, interval, probes."""
    for descriptor in list(Path("/proc/self/fd").iterdir()):
        with suppress(OSError):  # closed meanwhile
            if not str(descriptor.readlink()).startswith("socket:"):
                continue
        with suppress(OSError), socket.socket(fileno=os.dup(int(descriptor.name))) as found:
            if found.family in (socket.AF_INET, socket.AF_INET6) and found.getpeername()[1] == port:
                tcp = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
                idle, interval, unanswered = (found.getsockopt(socket.IPPROTO_TCP, option) for option in tcp)
                yield found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), idle, interval, unanswered
