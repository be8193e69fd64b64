"""Zones that are no folders: a prefix of a store, a list of URLs."""

import errno
import json
import tempfile
import threading
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from reelkeeper.errors import StoreFull, StoreUnavailable
from reelkeeper.ingest.keeping import Keeper
from reelkeeper.landing.prefix import PrefixSource
from reelkeeper.model import Key
from reelkeeper.stores.body import Body
from tests.ingest.rig import START, Rig, digest, name

SECRET = "s3cr3t-signature"


# --- a prefix of a store ----------------------------------------------------------------------------------------------


def upload(rig: Rig, key: str, *, number: int = 0, data: bytes | None = None) -> None:
    footage = rig.footage.make(f"ingest-{number}.mp4", first_frame=number * 100).read_bytes()
    rig.cloud.write(Key(key), Body.of_bytes(footage if data is None else data))


@pytest.mark.parametrize("handling", ["move", "copy"])
def test_objects_of_a_prefix(rig: Rig, handling: str) -> None:
    rig.zone = {"path": None, "store": "cloud", "prefix": "incoming/", "handling": handling}
    upload(rig, f"incoming/gate/{name(0)}")
    upload(rig, f"incoming/gate/{name(1)}", number=1)
    upload(rig, f"incoming/gate/{name(1)}.json", data=b'{"camera_id": "door"}')
    upload(rig, f"incoming/gate/{name(2)}", data=b"broken")
    upload(rig, f"incoming/.hidden/gate/{name(0)}")
    upload(rig, f"elsewhere/gate/{name(3)}")
    upload(rig, "incoming/notes.txt", data=b"no footage")
    result = rig.run()
    assert (result.ingested, dict(result.reasons)) == (2, {"unreadable": 1})
    assert len(rig.replica_digests()) == 2
    assert all(key.startswith("local:") for key in rig.replica_digests())
    assert rig.rows("SELECT slug FROM cameras ORDER BY 1") == [("door",), ("gate",)]
    left = {stat.key for stat in rig.cloud.list("incoming/gate/")}
    moved = {f"incoming/gate/{name(2)}"}
    all_of_them = {f"incoming/gate/{name(number)}" for number in range(3)} | {f"incoming/gate/{name(1)}.json"}
    assert left == (moved if handling == "move" else all_of_them)
    assert rig.rows("SELECT moved_to FROM landing_files WHERE state = 'quarantined'") == [(None,)]
    assert rig.run(stale_after=timedelta(0)).files == 0, "what cannot be taken is not read again and again"


def test_an_object_that_was_uploaded_again_stays(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.zone = {"path": None, "store": "cloud", "prefix": "incoming/"}
    key = Key(f"incoming/gate/{name(0)}")
    upload(rig, key)
    is_replica = PrefixSource.is_replica

    def upload_and_ask(*arguments: Any) -> bool:  # the first question once it was recorded
        rig.cloud.delete([key])
        upload(rig, key, number=1)
        return is_replica(*arguments)

    with monkeypatch.context() as patches:
        patches.setattr(PrefixSource, "is_replica", upload_and_ask)
        assert rig.run().ingested == 1
    assert rig.cloud.stat(key).sha256 == digest(rig.footage.make("ingest-1.mp4", first_frame=100))
    assert dict(rig.run().reasons) == {"conflict": 1}


# --- URLs -------------------------------------------------------------------------------------------------------------


class Handler(SimpleHTTPRequestHandler):
    def send_head(self) -> Any:
        if "busy" in self.path:
            self.send_error(503)
            return None
        if "short" in self.path:  # the connection ends before the video does
            self.send_response(200)
            self.send_header("Content-Type", "video/mp4")
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"begun")
            return None
        if "page" in self.path:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<html>no video</html>")
            return None
        return super().send_head()

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def server(tmp_path: Path, footage: Any) -> Iterator[str]:
    import os
    import shutil

    folder = tmp_path / "served"
    folder.mkdir()
    for number in range(2):
        file = folder / f"clip{number}.mp4"
        shutil.copyfile(footage.make(f"ingest-{number}.mp4", first_frame=number * 100), file)
        os.utime(file, (START.timestamp(), START.timestamp()))
    (folder / "broken.mp4").write_bytes(b"no video")
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_address[1]}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def url_zone(rig: Rig, *lines: str) -> Path:
    urls = rig.root / "urls.txt"
    urls.write_text("\n".join(lines) + "\n")
    rig.zone = {"path": None, "urls": urls, "camera": "downloads"}
    rig.settings["ingest"] = {"download_directory": rig.root / "downloads"}
    return urls


def test_videos_of_a_list(rig: Rig, server: str, caplog: pytest.LogCaptureFixture) -> None:
    line = {
        "url": f"{server}/clip1.mp4?X-Amz-Signature={SECRET}",
        "camera_id": "gate",
        "start_time": "2026-03-01T00:10:00Z",
    }
    url_zone(
        rig, "# what to fetch", "", f"{server}/clip0.mp4", json.dumps(line), f"{server}/missing.mp4?token={SECRET}",
        f"{server}/broken.mp4", "file:///etc/passwd", f"ftp://user:{SECRET}@127.0.0.1/x.mp4", '{"no": "url"}',
        f"{server}/busy.mp4?token={SECRET}",
    )  # fmt: skip
    result = rig.run()
    assert (result.ingested, result.failed) == (2, 1)
    assert dict(result.reasons) == {"unavailable": 1, "unreadable": 1, "bad_url": 3, "store_unavailable": 1}
    rows = rig.rows("SELECT slug, start_time FROM segments JOIN cameras c ON c.id = camera_id ORDER BY 1")
    assert rows == [("downloads", START), ("gate", START + timedelta(minutes=10))], (
        "Last-Modified, and what the line says"
    )
    assert len(rig.replica_digests()) == 2
    assert not list((rig.root / "downloads").glob("*"))
    told = str(rig.rows("SELECT path, reason, moved_to FROM landing_files")) + caplog.text
    assert SECRET not in told
    with pytest.raises(
        StoreUnavailable, match=r"busy.mp4\?token=[0-9a-f]{12}' answered HTTP status 503"
    ):  # and nothing else is asked again
        rig.run(stale_after=timedelta(0))


def test_a_line_that_is_being_written_waits(rig: Rig, server: str) -> None:
    urls = url_zone(rig, f"{server}/clip0.mp4")
    urls.write_text(f"{server}/cl")

    def write_on(_: float) -> None:
        urls.write_text(f"{server}/clip0.mp4\n")

    plan = rig.plan(sleep=write_on)
    assert (plan.files, plan.deferred) == (0, 1)
    assert rig.run().ingested == 1


def test_a_url_is_not_blamed_for_the_network(rig: Rig, server: str) -> None:
    url_zone(rig, f"{server}/short.mp4", f"{server}/clip0.mp4", f"{server}/page", "http://127.0.0.1:1/x.mp4")
    result = rig.run()
    assert (result.ingested, dict(result.reasons)) == (1, {"store_unavailable": 2, "bad_url": 1})


def test_a_url_is_not_blamed_for_a_full_disk(rig: Rig, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from yt_dlp.downloader.common import FileDownloader

    def is_full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    url_zone(rig, f"{server}/clip0.mp4")
    with monkeypatch.context() as patches:
        patches.setattr(FileDownloader, "sanitize_open", is_full)
        with pytest.raises(StoreFull, match=r"downloads' cannot hold 'http.*clip0.mp4': No space left"):
            rig.run()
    (rig.root / "downloads").rename(rig.root / "gone")
    (rig.root / "downloads").write_text("no folder")
    with pytest.raises(StoreUnavailable, match=r"downloads' cannot hold 'http.*clip0.mp4'"):
        rig.run(stale_after=timedelta(0))
    assert not rig.rows("SELECT * FROM landing_files WHERE state = 'quarantined'")
    (rig.root / "downloads").unlink()
    assert rig.run(stale_after=timedelta(0)).ingested == 1


def test_no_temporary_file_outlives_its_worker(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    (rig.root / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(rig.root / "tmp"))
    rig.zone = {"path": None, "store": "cloud", "prefix": "incoming/"}
    upload(rig, f"incoming/gate/{name(0)}")

    def break_off(*_: Any, **__: Any) -> None:
        assert list((rig.root / "tmp").rglob("*.mp4"))
        raise RuntimeError("on purpose")

    with monkeypatch.context() as patches:
        patches.setattr(Keeper, "keep", break_off)
        patches.setattr(Keeper, "adopt", break_off)
        with pytest.raises(RuntimeError, match="on purpose"):
            rig.run()
    assert not list((rig.root / "tmp").iterdir())
