"""A real browser plays a package, by HLS and by DASH, whose every URL is signed."""

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from demo.video import make_video
from reelkeeper.media.ladder import Rendition
from reelkeeper.media.packaging import Package, package
from reelkeeper.media.playlists import signed
from reelkeeper.media_options import media_options
from reelkeeper.settings import StoreSettings
from tests.browser import BROWSER, FLAGS

pytestmark = pytest.mark.encodes

SECONDS, RATE = 3, 10
PAGE = Path(__file__).with_name("player.html")
Reports = Queue[tuple[str, dict[str, Any]]]


class Handler(BaseHTTPRequestHandler):
    """Serves the page and the package: playlists with signed URLs, and a media file to those alone who have one."""

    protocol_version = "HTTP/1.1"
    folder: Path
    reports: Reports

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        path = self.folder / unquote(url.path).lstrip("/")
        if url.path == "/":
            self._answer(PAGE.read_bytes(), "text/html; charset=utf-8")
        elif parse_qs(url.query).get("signature") != ["valid"]:
            self._answer(b"", "text/plain", HTTPStatus.FORBIDDEN)
        elif path.suffix in {".m3u8", ".mpd"}:
            text = signed(path.read_text(), lambda name: f"{name}?signature=valid&for=a%20player")
            self._answer(text.encode(), self._type(path))
        else:
            self._answer(path.read_bytes(), self._type(path))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.reports.put((self.path.rpartition("/")[2], json.loads(body)))
        self._answer(b"", "text/plain")

    def log_message(self, *_: object) -> None:
        pass

    def _type(self, path: Path) -> str:
        store = StoreSettings(name="s", kind="memory")
        return str(media_options(store, path.suffix[1:]).content_type)

    def _answer(self, data: bytes, content_type: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        size = len(data)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted and status == HTTPStatus.OK:
            first, last = int(wanted[1]), min(int(wanted[2] or size), size - 1)
            data, status = data[first : last + 1], HTTPStatus.PARTIAL_CONTENT
        self.send_response(status)
        if status == HTTPStatus.PARTIAL_CONTENT:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def serving(folder: Path, reports: Reports) -> Iterator[int]:
    handler = type("OneHandler", (Handler,), {"folder": folder, "reports": reports})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def browsing(url: str, profile: Path) -> Iterator[None]:
    process = subprocess.Popen(
        [str(BROWSER), *FLAGS, f"--user-data-dir={profile}", url], start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Package:
    work = tmp_path_factory.mktemp("playing")
    options = ("-preset", "medium", "-bf", "2")
    source = make_video(work / "source.mp4", seconds=SECONDS, frame_rate=RATE, audio=True, options=options)
    return package(source, work / "packed", work=work, ladder=(Rendition(60),), segment_seconds=1)


@pytest.fixture(scope="module")
def played(packed: Package, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    if BROWSER is None:
        pytest.skip("no Chromium is on PATH: nothing here can play HLS and DASH")
    reports: Reports = Queue()
    with serving(packed.hls.parent, reports) as port:
        page = f"http://127.0.0.1:{port}/?hls={packed.hls.name}%3Fsignature=valid&dash={packed.dash.name}%3Fsignature=valid"
        with browsing(page, tmp_path_factory.mktemp("profile")):
            return dict(reports.get(timeout=60) for _ in range(2))


@pytest.mark.parametrize("kind", ["hls", "dash"])
def test_it_plays_to_its_end_and_shows_the_right_pictures(played: dict[str, dict[str, Any]], kind: str) -> None:
    report = played[kind]
    if report.get("unsupported"):
        pytest.skip("this browser does not play HLS by itself")
    assert "error" not in report
    assert report["duration"] == pytest.approx(SECONDS, abs=0.03)
    assert report["time"] == pytest.approx(SECONDS, abs=0.1)
    assert report["width"] / report["height"] == pytest.approx(4 / 3)
    assert report["soundBytes"] > 0
    # A busy machine leaves pictures out, and the page may come late and find the next one; none comes too early.
    late = [counter - round(seconds * RATE) for counter, seconds in report["seen"]]
    assert min(late) == 0, report["seen"]
    assert late.count(0) >= max(len(late) / 2, 3), report["seen"]
    assert report["seen"][-1][0] > SECONDS * RATE / 2
