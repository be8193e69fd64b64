"""What stores do for their upkeep: unfinished uploads, empty folders, rules that drift, pages that fail, the clock."""

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from demo.servers import GcsServer, S3Server
from reelkeeper.errors import AccessDenied, BucketNotFound, StoreUnavailable
from reelkeeper.model import Key, StoreKind
from reelkeeper.stores.body import Body
from reelkeeper.stores.protocols import Upload
from tests.stores import rigs

BODY = Body.of_bytes(b"footage")
KINDS = [StoreKind.S3, StoreKind.MINIO]
NOW, DAY = timedelta(0), timedelta(days=1)


def open_store(kind: StoreKind, server: Any, bucket: str, **settings: Any) -> Any:
    access: dict[StoreKind, Callable[[Any], Any]] = {
        StoreKind.S3: rigs.s3_access, StoreKind.MINIO: rigs.minio_access, StoreKind.GCS: rigs.gcs_access,
    }  # fmt: skip
    return rigs.bucket_store(kind, bucket, access[kind](server), **settings)


class TestUploads:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("name", ["seaweedfs", "moto"])
    def test_found_page_by_page_and_aborted(
        self, kind: StoreKind, name: str, bucket_name: str, request: pytest.FixtureRequest
    ) -> None:
        server = request.getfixturevalue(name)
        store, client = open_store(kind, server, bucket_name), rigs.boto3_client(server)
        store.set_up()
        rigs.small_pages(store, 2)
        keys = ["media/a b+ü.ts", "media/a.ts", "media/a.ts", "x/1.ts", "x/2.ts"]
        for count in range(6):  # sizes n·k−1, n·k, n·k+1
            if count:
                client.create_multipart_upload(Bucket=bucket_name, Key=keys[count - 1])
                time.sleep(0.01)
            found = list(store.stale_uploads(timedelta(seconds=-2)))
            assert sorted(upload.key for upload in found) == sorted(keys[:count])
            assert len({upload.id for upload in found}) == count
        if name == "seaweedfs":  # moto's uploads are all of the year 2010
            assert list(store.stale_uploads(timedelta(minutes=5))) == []
            assert all(abs(upload.started_at - datetime.now(UTC)) < timedelta(minutes=1) for upload in found)
        for upload in found:
            for _ in range(2):  # one that is gone counts as aborted
                store.abort_upload(upload)
        assert list(store.stale_uploads(timedelta(seconds=-2))) == []
        assert list(store.list()) == []

    @pytest.mark.parametrize("kind", KINDS)
    def test_no_bucket_and_no_right(self, kind: StoreKind, seaweedfs: S3Server, bucket_name: str) -> None:
        upload = Upload("media/a.ts", "id", datetime(2026, 1, 1, tzinfo=UTC))
        store = open_store(kind, seaweedfs, bucket_name)
        with pytest.raises(BucketNotFound):
            list(store.stale_uploads(NOW))
        stranger = open_store(kind, S3Server(seaweedfs.endpoint_url, "key", "wrong-secret-x"), bucket_name)
        for way in (lambda: list(stranger.stale_uploads(NOW)), lambda: stranger.abort_upload(upload)):
            with pytest.raises(AccessDenied):
                way()

    def test_what_killed_writers_left_on_a_disk(self, root: Path) -> None:
        store = rigs.folder_store(root)
        store.set_up()
        hidden = root / ".reelkeeper-temp"
        hidden.mkdir(exist_ok=True)
        for name, hours in (("old", 30), ("young", 1)):
            (hidden / name).write_bytes(b"half")
            os.utime(hidden / name, (time.time() - hours * 3600,) * 2)
        [upload] = store.stale_uploads(DAY)
        assert (upload.key, upload.id) == (".reelkeeper-temp/old", "old")
        assert abs(datetime.now(UTC) - timedelta(hours=30) - upload.started_at) < timedelta(minutes=1)
        for _ in range(2):
            store.abort_upload(upload)
        assert [path.name for path in hidden.iterdir()] == ["young"]

    def test_nothing_but_hidden_files_of_a_disk_is_aborted(self, root: Path) -> None:
        store = rigs.folder_store(root)
        store.set_up()
        store.write(Key("media/a.ts"), BODY)
        for name in ("../media/a.ts", "media/a.ts", os.fspath(root / "media/a.ts")):
            store.abort_upload(Upload(name, name, datetime(2026, 1, 1, tzinfo=UTC)))
        assert [stat.key for stat in store.list()] == ["media/a.ts"]


class TestFolders:
    def test_only_old_and_empty_ones_go_and_never_the_root(self, root: Path) -> None:
        store = rigs.folder_store(root)
        store.set_up()
        assert store.remove_empty_folders(NOW) == 0
        store.write(Key("media/kept/a.ts"), BODY)
        for folder in ("media/kept/empty", "a/b/c", "a/d", "lost+found"):
            (root / folder).mkdir(parents=True)
        (root / "link").symlink_to(root / "a")
        assert store.remove_empty_folders(timedelta(hours=1)) == 0
        time.sleep(0.02)  # the clock that stamps files ticks some hundred times a second
        assert store.remove_empty_folders(NOW) == 5
        assert sorted(path.name for path in root.iterdir() if path.name[0] != ".") == ["link", "lost+found", "media"]
        assert [stat.key for stat in store.list()] == ["media/kept/a.ts"]
        assert store.remove_empty_folders(NOW) == 0

    def test_not_of_a_disk_that_is_not_there(self, root: Path) -> None:
        (root / "a").mkdir(parents=True)
        with pytest.raises(StoreUnavailable):
            rigs.folder_store(root).remove_empty_folders(NOW)
        assert (root / "a").is_dir()

    def test_writers_do_not_notice(self, root: Path) -> None:
        store, sweeper = rigs.folder_store(root), rigs.folder_store(root)
        store.set_up()

        def there_and_gone(number: int) -> bool:
            key = Key(f"media/{number % 5}/x/{number}.ts")
            store.write(key, BODY)
            return bool(store.stat(key).size_bytes) and store.delete([key]) == {}

        with ThreadPoolExecutor(4) as pool:
            written = pool.map(there_and_gone, range(200))
            for _ in range(50):
                sweeper.remove_empty_folders(timedelta(seconds=-1))
            assert all(written)


@pytest.mark.parametrize("kind", KINDS)
class TestPages:
    """A page that fails is asked for again; the listing goes on where it was."""

    @pytest.fixture
    def listed(self, kind: StoreKind, seaweedfs: S3Server, bucket_name: str, faulty: Any) -> Any:
        """A store of eleven objects behind a proxy, five on a page."""
        proxy = faulty(seaweedfs.endpoint_url)
        store = open_store(kind, S3Server(proxy.url, seaweedfs.access_key, seaweedfs.secret_key), bucket_name)
        store.set_up()
        rigs.small_pages(store)
        for key in KEYS:
            store.write(key, BODY)
        return store, proxy

    def test_each_page_may_fail_twice(self, listed: Any) -> None:
        store, proxy = listed
        left: dict[str, int] = {}

        def answer(method: str, path: str, _: bytes) -> Any:
            left[path] = left.get(path, 3) - 1
            return (503, {}, b"") if left[path] else None

        proxy.answer = answer
        assert [stat.key for stat in store.list("media/")] == KEYS
        assert len(left) == 3
        assert set(left.values()) == {0}

    def test_one_that_keeps_failing_ends_it_and_nothing_passes_for_all(self, listed: Any) -> None:
        store, proxy = listed
        stats = store.list("media/")
        met = [next(stats).key]
        proxy.requests.clear()
        proxy.answer = lambda *_: (503, {}, b"")
        with pytest.raises(StoreUnavailable):
            met.extend(stat.key for stat in stats)
        assert met == KEYS[:5]
        assert len([path for method, path in proxy.requests if method == "GET"]) == 3

    def test_what_is_no_use_to_repeat_is_not(self, listed: Any) -> None:
        store, proxy = listed
        proxy.requests.clear()
        proxy.answer = lambda *_: (403, {}, b"")
        with pytest.raises(AccessDenied):
            list(store.list())
        assert len(proxy.requests) <= 2


KEYS = [Key(f"media/{number:02}.ts") for number in range(11)]


@pytest.mark.parametrize("fails", [2, 3])
def test_pages_of_google_may_fail_twice(faulty: Any, fails: int) -> None:
    """The emulator puts everything on one page: pages as the service answers them."""
    proxy, left = faulty(), dict[str, int]()
    pages = {"": (["a.ts", "b.ts"], "to b"), "to+b": (["c.ts"], "to c"), "to+c": (["d.ts"], None)}

    def answer(method: str, path: str, _: bytes) -> Any:
        token = path.partition("pageToken=")[2].partition("&")[0]
        left[token] = left.get(token, fails if token else 0) - 1
        if left[token] >= 0:
            return 503, {}, b""
        names, following = pages[token]
        facts = {"size": "7", "updated": "2026-03-01T12:00:00Z", "storageClass": "NEARLINE"}
        document: dict[str, Any] = {"items": [{"name": name} | facts for name in names]}
        if following:
            document["nextPageToken"] = following
        return 200, {"Content-Type": "application/json"}, json.dumps(document).encode()

    proxy.answer = answer
    stats = open_store(StoreKind.GCS, GcsServer(proxy.url), "bucket").list()
    if fails == 3:
        with pytest.raises(StoreUnavailable):
            list(stats)
        return
    assert [stat.key for stat in stats] == ["a.ts", "b.ts", "c.ts", "d.ts"]
    asked = [path for _, path in proxy.requests if "/o?" in path]  # the client looks at the bucket, too
    assert len(asked) == 1 + 2 * (fails + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_listing_that_goes_on_nowhere_is_no_listing(kind: StoreKind, faulty: Any) -> None:
    proxy = faulty()
    document = b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"
    proxy.answer = lambda *_: (200, {"Content-Type": "application/xml"}, document)
    with pytest.raises(StoreUnavailable, match="goes on"):
        list(open_store(kind, S3Server(proxy.url, "key", "secret"), "bucket").list())


class TestDrift:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("name", ["seaweedfs", "moto"])
    def test_a_rule_that_somebody_changed_is_told_and_set_right(
        self, kind: StoreKind, name: str, bucket_name: str, request: pytest.FixtureRequest
    ) -> None:
        server = request.getfixturevalue(name)
        store, client = open_store(kind, server, bucket_name), rigs.boto3_client(server)
        store.set_up()

        def findings() -> dict[str, Any]:
            return {found.what: found for found in store.check() if found.what in ("lifecycle", "uploads")}

        assert all(found.ok for found in findings().values())
        rules = client.get_bucket_lifecycle_configuration(Bucket=bucket_name)["Rules"]
        for rule in rules:
            if rule["ID"] == "reelkeeper-temp":
                rule["Expiration"]["Days"] = 400
            else:
                rule["Status"] = "Disabled"
        client.put_bucket_lifecycle_configuration(Bucket=bucket_name, LifecycleConfiguration={"Rules": rules})
        drifted = findings()
        assert not any(found.ok for found in drifted.values())
        assert "400" in drifted["lifecycle"].detail
        assert "setup_estate" in drifted["uploads"].cure
        temp, uploads = [change.what for change in store.set_up() if change.changed]
        assert "which was {" in temp
        assert ("400" in temp, '"Days": 7' in temp) == (True, True)
        assert ('"Disabled"' in uploads, '"Enabled"' in uploads) == (True, True)
        assert all(found.ok for found in findings().values())
        assert not any(change.changed for change in store.set_up())

    def test_on_google(self, gcs_emulator: GcsServer, bucket_name: str) -> None:
        access = rigs.gcs_access(gcs_emulator)
        store = rigs.bucket_store(StoreKind.GCS, bucket_name, access)
        store.set_up()
        bucket = access.client.get_bucket(bucket_name)
        bucket.lifecycle_rules = [
            {"action": {"type": "Delete"}, "condition": {"age": 400, "matchesPrefix": ["temp/"]}},
            {"action": {"type": "Delete"}, "condition": {"age": 3, "matchesPrefix": ["logs/"]}},
        ]
        bucket.patch()
        [drift] = [found for found in store.check() if not found.ok]
        assert (drift.what, "400" in drift.detail) == ("lifecycle", True)
        [change] = [change.what for change in store.set_up() if change.changed]
        assert json.dumps({"age": 400, "matchesPrefix": ["temp/"]}) in change
        assert all(found.ok for found in store.check())
        bucket.reload()
        assert [rule["condition"]["age"] for rule in bucket.lifecycle_rules] == [3, 7, 1]


class TestClock:
    @pytest.mark.parametrize("kind", [*KINDS, StoreKind.GCS])
    def test_it_is_the_servers(self, kind: StoreKind, faulty: Any) -> None:
        proxy, then = faulty(), datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
        document = b"{}" if kind is StoreKind.GCS else b""
        proxy.answer = lambda *_: (200, {"Date": format_datetime(then, usegmt=True)}, document)
        server = GcsServer(proxy.url) if kind is StoreKind.GCS else S3Server(proxy.url, "key", "secret")
        assert open_store(kind, server, "bucket").clock() == then
        for unknown in ((200, {}, document), (503, {"Date": format_datetime(then, usegmt=True)}, b"")):
            proxy.answer = lambda *_, unknown=unknown: unknown
            with pytest.raises(StoreUnavailable):
                open_store(kind, server, "bucket").clock()

    def test_of_a_disk_that_is_not_there(self, root: Path) -> None:
        root.mkdir()
        with pytest.raises(StoreUnavailable):
            rigs.folder_store(root).clock()
