"""The rigs as fixtures, and a proxy on loopback that answers as told."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from http.client import HTTPConnection, HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from reelkeeper.stores import retry
from tests.stores import rigs
from tests.stores.rigs import Rig

_LOCAL = ["memory", "filesystem"]
_SERVED = ["minio", "s3-seaweedfs", "s3-moto", "gcs"]
_OUTSIDE = [f"outside-{kind}" for kind in rigs.outside_kinds()]


@pytest.fixture(
    scope="session",
    params=[
        *_LOCAL,
        *(pytest.param(name, marks=pytest.mark.servers) for name in _SERVED),
        *(pytest.param(name, marks=[pytest.mark.servers, pytest.mark.enable_socket]) for name in _OUTSIDE),
    ],
)
def _set_up_rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Rig:
    bucket = f"conformance-{uuid4().hex[:12]}"
    name = request.param
    get = request.getfixturevalue
    if name == "memory":
        rig = rigs.memory_rig()
    elif name == "filesystem":
        rig = rigs.filesystem_rig(tmp_path_factory.mktemp("store") / "root")
    elif name == "minio":
        rig = rigs.minio_rig(get("seaweedfs"), bucket, attests_writes=True)
    elif name == "s3-seaweedfs":
        rig = rigs.s3_rig(get("seaweedfs"), bucket, attests_writes=True)
    elif name == "s3-moto":
        # It looks, and writes in a second step: of writers at the same instant two may win.
        rig = replace(rigs.s3_rig(get("moto"), bucket, attests_writes=False), refuses_to_overwrite=False)
    elif name == "gcs":
        access = rigs.gcs_access(get("gcs_emulator"))
        rig = rigs.gcs_rig(access, bucket, attests_writes=True, refuses_to_overwrite=False)
    else:
        rig = rigs.outside_rig(name.removeprefix("outside-"))
    rig.store.set_up()
    return rig


@pytest.fixture
def rig(_set_up_rig: Rig) -> Iterator[Rig]:
    """A store of each kind in turn, with keys of the test's own."""
    rig = Rig(**vars(_set_up_rig) | {"prefix": f"conformance/{uuid4().hex}/"})
    yield rig
    rig.clean_up()


@pytest.fixture
def bucket_name(bucket_name: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """As in tests/conftest.py; the bucket is removed afterwards, for each takes volumes of a small SeaweedFS."""
    server = request.getfixturevalue("seaweedfs") if "seaweedfs" in request.fixturenames else None
    yield bucket_name
    if server:
        client = rigs.boto3_client(server)
        with suppress(ClientError):
            for found in client.list_objects_v2(Bucket=bucket_name).get("Contents", []):
                client.delete_object(Bucket=bucket_name, Key=found["Key"])
            client.delete_bucket(Bucket=bucket_name)


Answer = tuple[int, dict[str, str], bytes]


class FaultyProxy:
    """A server on loopback before another one. `answer`, called with method, path and body, answers in its place,
    or not (None).

    `edit` may change the headers of what the real server answered; `hidden_headers` of a request do not reach it.
    """

    def __init__(self, target: str | None) -> None:
        self.answer: Callable[[str, str, bytes], Answer | None] = lambda method, path, body: None
        self.hidden_headers: tuple[str, ...] = ()
        self.edit: Callable[[dict[str, str]], object] = lambda headers: None
        self.requests: list[tuple[str, str]] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _handle(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                proxy.requests.append((self.command, self.path))
                answer = proxy.answer(self.command, self.path, body) or _forward(target, self, body)
                status, headers, data = answer
                self.send_response_only(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if self.command != "HEAD":
                    headers = {name.lower(): value for name, value in headers.items()}
                    if "content-length" not in headers:
                        self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = _handle  # noqa: N815

            def log_message(self, *_: Any) -> None: ...

        def _forward(target: str | None, request: Handler, body: bytes) -> Answer:
            assert target is not None, "there is no server behind this proxy"
            address = urlsplit(target)
            connection = HTTPConnection(str(address.hostname), address.port, timeout=30)
            try:
                sent = {name: value for name, value in request.headers.items() if name not in proxy.hidden_headers}
                connection.request(request.command, request.path, body, sent)
                response = connection.getresponse()
                headers = _headers(response.headers)
                proxy.edit(headers)
                return response.status, headers, response.read()
            finally:
                connection.close()

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """A client may hang up when it likes; nothing else goes wrong here that its test would not notice."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _headers(message: HTTPMessage) -> dict[str, str]:
    hop_by_hop = ("connection", "keep-alive", "transfer-encoding")
    return {name: value for name, value in message.items() if name.lower() not in hop_by_hop}


@pytest.fixture
def faulty() -> Iterator[Callable[[str | None], FaultyProxy]]:
    """Starts proxies; they stop with the test."""
    started: list[FaultyProxy] = []

    def start(target: str | None = None) -> FaultyProxy:
        started.append(FaultyProxy(target).__enter__())
        return started[-1]

    yield start
    for proxy in started:
        proxy.__exit__()


@pytest.fixture(autouse=True)
def _brief_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the tries of a listing's page."""
    monkeypatch.setattr(retry, "FIRST_WAIT_SECONDS", 0.01)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root of a filesystem store, not made yet."""
    return tmp_path / "root"
