"""Links to objects on disks, answered by the application that Airflow mounts, over HTTP on loopback."""

import asyncio
import http.client
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from fastapi import FastAPI

from reelkeeper.errors import AccessDenied, ConfigurationError
from reelkeeper.model import Key
from reelkeeper.stores.body import Body
from reelkeeper_airflow.estate import open_store
from reelkeeper_airflow.urls import estate_urls

KEY = Key("exports/1/gate é.mp4")
DATA = bytes(range(256)) * 1000


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """`host:port` of a server with the application where Airflow mounts it."""
    from reelkeeper_airflow.api.app import app

    outer = FastAPI()
    outer.mount("/reelkeeper", app)
    server = uvicorn.Server(uvicorn.Config(outer, port=0, log_level="warning", ws="none", lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.01)
    host, port = server.servers[0].sockets[0].getsockname()
    yield f"{host}:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def root(estate_file: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of store `local`, set up, with one object."""
    monkeypatch.setenv("AIRFLOW__API__SECRET_KEY", "a secret of thirty-two characters")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", f"http://{address}")
    monkeypatch.setattr("reelkeeper_airflow.urls._made", None)
    estate_file.write_text(
        estate_file.read_text().replace('queue = "nvr-1"', 'cors_origins = ["https://viewer.example"]')
        + "[delivery]\nlargest_upload = 300000\n"
    )
    store = open_store("local")
    list(store.set_up())
    store.write(KEY, Body.of_bytes(DATA))
    return estate_file.parent / "footage"


def ask(method: str, url: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body, headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read()
    finally:
        connection.close()


@pytest.mark.usefixtures("root")
def test_an_object_is_read() -> None:
    url = estate_urls().download("local", KEY).url
    status, headers, data = ask("GET", url, Origin="https://viewer.example")
    assert (status, data) == (200, DATA)
    assert headers["content-type"] == "video/mp4"
    assert headers["cache-control"] == "private, max-age=3600"
    assert headers["accept-ranges"] == "bytes"
    assert headers["access-control-allow-origin"] == "https://viewer.example"
    assert "content-disposition" not in headers
    status, headers, data = ask("HEAD", url, Origin="https://other.example")
    assert (status, headers["content-length"], data) == (200, str(len(DATA)), b"")
    assert "access-control-allow-origin" not in headers
    saved = estate_urls().download("local", KEY, filename='"é".mp4').url
    assert ask("GET", saved)[1]["content-disposition"] == "attachment; filename*=UTF-8''%22%C3%A9%22.mp4"


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    ("asked", "status", "part", "told"),
    [
        ("bytes=0-3", 206, DATA[:4], f"bytes 0-3/{len(DATA)}"),
        ("bytes=255990-", 206, DATA[-10:], f"bytes 255990-255999/{len(DATA)}"),
        ("bytes=-2", 206, DATA[-2:], f"bytes 255998-255999/{len(DATA)}"),
        ("bytes=0-999999", 206, DATA, f"bytes 0-255999/{len(DATA)}"),
        ("bytes=256000-", 416, b"", f"bytes */{len(DATA)}"),
    ],
)
def test_a_part_of_an_object(asked: str, status: int, part: bytes, told: str) -> None:
    found, headers, data = ask("GET", estate_urls().download("local", KEY).url, Range=asked)
    assert (found, headers["content-range"]) == (status, told)
    assert data == part or status == 416


def test_a_link_does_one_thing_until_it_ends(root: Path) -> None:
    url = estate_urls().download("local", KEY).url
    for spoilt in (
        url.replace("exports/1", "exports/2"), url.replace("objects/local", "objects/cloud"), url + "&filename=x",
        url.replace("expires=", "expires=9"), url.replace("token=", "token=x"),
    ):  # fmt: skip
        assert ask("GET", spoilt)[0] == 403, spoilt
    assert ask("PUT", url, b"x")[0] == 403
    for nobodys in (url.split("?")[0], url.split("&")[0], url.split("?")[0] + "?expires=soon"):
        assert [ask(method, nobodys)[0] for method in ("GET", "HEAD", "PUT")] == [401, 401, 401], nobodys
    assert ask("DELETE", url)[0] == 405
    ended = estate_urls().download("local", KEY, expires_in=timedelta(seconds=1)).url
    while (answer := ask("GET", ended))[0] == 200:
        pass
    assert (answer[0], b"expired" in answer[2]) == (403, True)
    assert (root / KEY).read_bytes() == DATA


def test_objects_that_are_not_there(root: Path) -> None:
    assert ask("GET", estate_urls().download("local", Key("exports/2.mp4")).url)[0] == 404
    (root / "exports/inside").symlink_to("/etc/passwd")
    assert ask("GET", estate_urls().download("local", Key("exports/inside")).url)[0] == 404
    url = estate_urls().download("local", KEY).url
    root.rename(root.with_name("unmounted"))
    status, _, said = ask("GET", url)
    assert (status, str(root) in said.decode()) == (503, False)


def test_a_new_object_is_taken(root: Path) -> None:
    key = Key("uploads/web/é.html")
    url = estate_urls().upload("local", key).url
    assert ask("PUT", url, b"<script>")[0] == 201
    assert (root / key).read_bytes() == b"<script>"
    assert ask("PUT", url, b"other")[0] == 409
    assert (root / key).read_bytes() == b"<script>"
    _, headers, data = ask("GET", estate_urls().download("local", key).url)
    assert data == b"<script>"
    assert headers["content-disposition"].startswith("attachment")  # it does not run as a page of Airflow's
    assert headers["content-security-policy"].startswith("sandbox")
    assert headers["x-content-type-options"] == "nosniff"


def test_uploads_that_are_too_large_or_break_off(root: Path) -> None:
    urls = estate_urls()
    assert ask("PUT", urls.upload("local", Key("uploads/a")).url, b"x" * 300_001)[0] == 413
    chunks = (b"x" * 100_000 for _ in range(4))  # its length is not announced
    assert ask("PUT", urls.upload("local", Key("uploads/a")).url, chunks)[0] == 413
    assert ask("PUT", urls.upload("local", Key("uploads/exact")).url, b"x" * 300_000)[0] == 201
    assert ask("PUT", urls.upload("local", Key("uploads/empty")).url, b"")[0] == 201
    parts = urlsplit(urls.upload("local", Key("uploads/b")).url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.putrequest("PUT", f"{parts.path}?{parts.query}")
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b"x" * 999)
    connection.close()
    assert ask("PUT", urls.upload("local", Key("uploads/b")).url, b"whole")[0] == 201
    assert sorted(path.name for path in (root / "uploads").iterdir()) == ["b", "empty", "exact"]
    assert (root / "uploads/b").read_bytes() == b"whole"


def test_nothing_is_written_outside(root: Path) -> None:
    urls = estate_urls()
    with pytest.raises(AccessDenied, match="expected one below"):
        urls.upload("local", KEY)

    def link(key: str) -> str:
        return urls._links.make(open_store("local").name, Key(key), method="PUT", expires_in=timedelta(minutes=1),
                          now=datetime.now(UTC)).url  # fmt: skip

    outside = root.with_name("outside")
    outside.mkdir()
    (root / "uploads").mkdir()
    (root / "uploads/out").symlink_to(outside)
    for key, status in (
        ("media/default/a.mp4", 403), ("exports/1/new.mp4", 403), (".reelkeeper-temp/x", 403),
        ("uploads/out/a.mp4", 400), ("uploads/../../outside/a.mp4", 400), ("uploads//etc/a", 400),
    ):  # fmt: skip
        assert ask("PUT", link(key), b"x")[0] == status, key
    assert list(outside.iterdir()) == []
    assert {path.name for path in root.iterdir()} == {".reelkeeper-store", ".reelkeeper-temp", "exports", "uploads"}
    assert [path.name for path in (root / "uploads").iterdir()] == ["out"]


@pytest.mark.usefixtures("estate_file")
def test_a_weak_secret_makes_no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__SECRET_KEY", "short")
    monkeypatch.setattr("reelkeeper_airflow.urls._made", None)
    with pytest.raises(ConfigurationError, match="secret_key cannot sign links"):
        estate_urls()
