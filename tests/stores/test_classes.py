"""Moves between storage classes, restores, and copies in parts: on every backend that has them."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.request import Request, urlopen

import pytest

from demo.servers import GcsServer, S3Server
from reelkeeper.errors import ConfigurationError, ObjectArchived, ObjectExists, ObjectNotFound, StoreUnavailable
from reelkeeper.model import Key, StoreKind, StoreName
from reelkeeper.stores import s3_copying
from reelkeeper.stores.body import Body
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import Readability, RestoreSpeed, Tiers, WriteOptions
from tests.stores import rigs
from tests.stores.rigs import Rig

A, B = Key("media/a b+c.ts"), Key("media/b.ts")
MIB = 2**20
BODY = Body.of_bytes(b"footage")
LARGE = Body.of_bytes(bytes(5 * MIB) + b"x" * 6 * MIB)
OPTIONS = WriteOptions(
    content_type="video/mp2t", cache_control="private, max-age=60", metadata={"reelkeeper-camera": "door"}
)


@pytest.fixture
def tiered(rig: Rig) -> Rig:
    if not isinstance(rig.store, Tiers):
        pytest.skip("this store has no storage classes")
    return rig


def classes_of(rig: Rig) -> list[str]:
    if rig.store.kind is StoreKind.GCS:
        return ["NEARLINE", "COLDLINE", "ARCHIVE", "STANDARD"]
    return ["STANDARD_IA", "GLACIER_IR", "STANDARD"]


class TestMoves:
    @pytest.mark.parametrize("size", [7, 9 * MIB])
    def test_bytes_and_facts_stay(self, tiered: Rig, size: int) -> None:
        body, key = Body.of_bytes(b"x" * size), tiered.key("a b+ü.ts")
        tiered.store.write(key, body, OPTIONS)
        for storage_class in classes_of(tiered):
            for _ in range(2):  # a second time nothing is left to do
                tiered.store.set_class(key, storage_class)
                stat = tiered.store.stat(key)
                assert (stat.storage_class, stat.size_bytes, stat.sha256) == (storage_class, size, body.sha256)
            assert [listed.storage_class for listed in tiered.store.list(key)] == [storage_class]
            assert b"".join(tiered.store.read(key)) == body.whole()

    def test_headers_and_metadata_stay(self, tiered: Rig) -> None:
        if not tiered.signs:
            pytest.skip("this store tells nobody its headers here")
        tiered.store.write(tiered.key("a.ts"), BODY, OPTIONS)
        tiered.store.set_class(tiered.key("a.ts"), "STANDARD_IA")
        with closing(urlopen(tiered.store.presign(tiered.key("a.ts"), expires_in=timedelta(minutes=1)).url)) as answer:  # noqa: S310
            assert answer.headers["Content-Type"] == "video/mp2t"
            assert answer.headers["Cache-Control"] == "private, max-age=60"
            assert answer.headers["x-amz-meta-reelkeeper-camera"] == "door"

    def test_of_nothing(self, tiered: Rig) -> None:
        with pytest.raises(ObjectNotFound):
            tiered.store.set_class(tiered.key("a.ts"), classes_of(tiered)[0])

    def test_to_a_class_that_is_none(self, tiered: Rig, request: pytest.FixtureRequest) -> None:
        if "seaweedfs" in request.node.name:
            pytest.skip("this server takes any name for a class")
        tiered.store.write(tiered.key("a.ts"), BODY)
        with pytest.raises(ConfigurationError, match="LUKEWARM"):
            tiered.store.set_class(tiered.key("a.ts"), "LUKEWARM")
        assert tiered.store.stat(tiered.key("a.ts")).storage_class == "STANDARD"


def test_headers_of_an_object_of_google_stay(gcs_emulator: GcsServer, bucket_name: str) -> None:
    access = rigs.gcs_access(gcs_emulator)
    store = rigs.bucket_store(StoreKind.GCS, bucket_name, access)
    store.set_up()
    store.write(A, BODY, OPTIONS)
    store.set_class(A, "NEARLINE")
    store.copy(A, B)
    for key in (A, B):
        blob = access.client.bucket(bucket_name).get_blob(key)
        assert (blob.content_type, blob.cache_control) == ("video/mp2t", "private, max-age=60")
        assert blob.metadata == {"reelkeeper-camera": "door", "reelkeeper-sha256": BODY.sha256}


def test_a_server_that_takes_a_class_and_keeps_none(seaweedfs: S3Server, bucket_name: str, faulty: Any) -> None:
    proxy = faulty(seaweedfs.endpoint_url)
    server = S3Server(proxy.url, seaweedfs.access_key, seaweedfs.secret_key)
    store = rigs.bucket_store(StoreKind.S3, bucket_name, rigs.s3_access(server))
    store.set_up()
    store.write(A, BODY)
    proxy.edit = lambda headers: [headers.pop(name) for name in list(headers) if name.lower() == "x-amz-storage-class"]
    with pytest.raises(ConfigurationError, match="'STANDARD_IA'"):
        store.set_class(A, "STANDARD_IA")


@pytest.mark.parametrize("kind", [StoreKind.S3, StoreKind.MINIO])
@pytest.mark.parametrize("name", ["seaweedfs", "moto"])
class TestInParts:
    """As above 5 GiB."""

    @pytest.fixture
    def store(
        self, kind: StoreKind, name: str, bucket_name: str, request: pytest.FixtureRequest,
        monkeypatch: pytest.MonkeyPatch,
    ) -> Any:  # fmt: skip
        monkeypatch.setattr(s3_copying, "MOST_AT_ONCE", 8 * MIB)
        monkeypatch.setattr(s3_copying, "PART_BYTES", 5 * MIB)
        server = request.getfixturevalue(name)
        access = rigs.s3_access(server) if kind is StoreKind.S3 else rigs.minio_access(server)
        store = rigs.bucket_store(kind, bucket_name, access)
        store.set_up()
        store.write(A, LARGE, OPTIONS)
        self.client = rigs.boto3_client(server)
        self.bucket = bucket_name
        return store

    def test_a_copy(self, store: Any) -> None:
        self.client.put_object_tagging(Bucket=self.bucket, Key=A, Tagging={"TagSet": [{"Key": "a b", "Value": "c=d"}]})
        store.copy(A, B)
        head = self.client.head_object(Bucket=self.bucket, Key=B)
        assert head["ETag"].endswith('-3"')
        assert (head["ContentType"], head["CacheControl"]) == ("video/mp2t", "private, max-age=60")
        assert head["Metadata"]["reelkeeper-camera"] == "door"
        assert store.stat(B).sha256 == LARGE.sha256
        assert b"".join(store.read(B)) == LARGE.whole()
        tags = self.client.get_object_tagging(Bucket=self.bucket, Key=B)["TagSet"]
        assert tags == [{"Key": "a b", "Value": "c=d"}]
        with pytest.raises(ObjectExists):
            store.copy(A, B)
        assert "Uploads" not in self.client.list_multipart_uploads(Bucket=self.bucket)

    def test_a_move(self, store: Any, kind: StoreKind) -> None:
        if kind is StoreKind.MINIO:
            assert not isinstance(store, Tiers)
            return
        store.set_class(A, "STANDARD_IA")
        stat = store.stat(A)
        assert (stat.storage_class, stat.sha256, stat.size_bytes) == ("STANDARD_IA", LARGE.sha256, LARGE.size_bytes)
        assert b"".join(store.read(A)) == LARGE.whole()


def test_a_move_in_parts_that_fails_leaves_the_object_and_no_parts(
    seaweedfs: S3Server, bucket_name: str, faulty: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_copying, "MOST_AT_ONCE", 8 * MIB)
    monkeypatch.setattr(s3_copying, "PART_BYTES", 5 * MIB)
    proxy = faulty(seaweedfs.endpoint_url)
    server = S3Server(proxy.url, seaweedfs.access_key, seaweedfs.secret_key)
    store = rigs.bucket_store(StoreKind.S3, bucket_name, rigs.s3_access(server))
    store.set_up()
    store.write(B, LARGE)
    for failing in ("partNumber=2", "uploadId="):
        proxy.answer = lambda method, path, _, failing=failing: (
            (503, {}, b"") if failing in path and method != "DELETE" else None
        )
        with pytest.raises(StoreUnavailable):
            store.set_class(B, "STANDARD_IA")
        assert "Uploads" not in rigs.boto3_client(seaweedfs).list_multipart_uploads(Bucket=bucket_name)
        assert (store.stat(B).storage_class, b"".join(store.read(B))) == ("STANDARD", LARGE.whole())


NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TIMES: list[tuple[str, RestoreSpeed, timedelta]] = [
    ("GLACIER", "expedited", timedelta(minutes=5)),
    ("GLACIER", "standard", timedelta(hours=5)),
    ("GLACIER", "bulk", timedelta(hours=12)),
    ("DEEP_ARCHIVE", "standard", timedelta(hours=12)),
    ("DEEP_ARCHIVE", "bulk", timedelta(hours=48)),
]


class TestRestoreInMemory:
    @pytest.mark.parametrize(("storage_class", "speed", "takes"), TIMES)
    def test_its_course(self, storage_class: str, speed: RestoreSpeed, takes: timedelta) -> None:
        now = [NOW]
        store = MemoryStore(StoreName("cloud"), clock=lambda: now[0])
        store.write(A, BODY, WriteOptions(storage_class=storage_class))
        refused(store)
        assert store.readability(A) == Readability("archived")
        store.restore(A, days=2, speed=speed)
        now[0] += takes - timedelta(seconds=1)
        assert store.readability(A) == Readability("restoring")
        store.restore(A, days=9, speed=speed)  # changes nothing
        refused(store)
        now[0] += timedelta(seconds=1)
        assert store.readability(A) == Readability("readable", NOW + takes + timedelta(days=2))
        assert b"".join(store.read(A)) == b"footage"
        now[0] += timedelta(days=1)
        store.restore(A, days=2, speed=speed)  # moves the end, at once
        assert store.readability(A) == Readability("readable", now[0] + timedelta(days=2))
        now[0] += timedelta(days=2)
        assert store.readability(A) == Readability("archived")
        refused(store)

    def test_a_restored_object_can_move_for_good(self) -> None:
        now = [NOW]
        store = MemoryStore(StoreName("cloud"), clock=lambda: now[0])
        store.write(A, BODY, WriteOptions(storage_class="GLACIER"))
        store.restore(A, days=1, speed="expedited")
        now[0] += timedelta(minutes=5)
        store.set_class(A, "STANDARD")
        assert store.readability(A) == Readability("readable")
        assert store.clock() == now[0]


def refused(store: Any) -> None:
    """Whatever needs the bytes of `A` is refused; a look is not."""
    ways: list[Callable[[], object]] = [
        lambda: b"".join(store.read(A)),
        lambda: store.read_range(A, 0, 1),
        lambda: store.copy(A, B),
        lambda: store.set_class(A, "STANDARD"),
    ]
    for way in ways:
        with pytest.raises(ObjectArchived):
            way()
    assert store.stat(A).size_bytes == 7


@pytest.fixture
def glacier(moto: S3Server, bucket_name: str) -> Any:
    store = rigs.bucket_store(StoreKind.S3, bucket_name, rigs.s3_access(moto))
    store.set_up()
    return store


@pytest.fixture
def slow_restore(moto: S3Server) -> Iterator[None]:
    """Moto's restores take as many looks as are told."""

    def transition(document: str) -> None:
        url = f"{moto.endpoint_url}/moto-api/state-manager/set-transition"
        urlopen(Request(url, document.encode(), {"Content-Type": "application/json"}, method="POST")).close()  # noqa: S310

    transition('{"model_name": "s3::keyrestore", "transition": {"progression": "manual", "times": 3}}')
    yield
    transition('{"model_name": "s3::keyrestore", "transition": {"progression": "immediate"}}')


class TestRestoreOnMoto:
    @pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
    def test_its_course(self, glacier: Any, storage_class: str) -> None:
        glacier.write(A, BODY, OPTIONS)
        glacier.set_class(A, storage_class)
        assert glacier.readability(A) == Readability("archived")
        refused(glacier)
        glacier.restore(A, days=2, speed="bulk")
        first = glacier.readability(A)
        assert first.state == "readable"
        assert timedelta(days=1) < first.until - datetime.now(UTC) < timedelta(days=3)
        glacier.restore(A, days=5, speed="standard")
        assert glacier.readability(A).until - first.until > timedelta(days=2)
        assert glacier.stat(A).storage_class == storage_class
        assert b"".join(glacier.read(A)) == b"footage"
        glacier.set_class(A, "STANDARD")
        assert glacier.readability(A) == Readability("readable")
        assert glacier.stat(A).sha256 == BODY.sha256

    @pytest.mark.usefixtures("slow_restore")
    def test_while_it_is_under_way(self, glacier: Any) -> None:
        glacier.write(A, BODY, WriteOptions(storage_class="GLACIER"))
        glacier.restore(A, days=2, speed="standard")
        states = [glacier.readability(A).state for _ in range(6)]
        assert states[0] == "restoring"
        assert states[-1] == "readable"

    def test_what_needs_none(self, glacier: Any) -> None:
        for key, storage_class in ((A, "GLACIER_IR"), (B, "STANDARD")):
            glacier.write(key, BODY, WriteOptions(storage_class=storage_class))
            glacier.restore(key, days=2, speed="expedited")
            assert glacier.readability(key) == Readability("readable")
            assert b"".join(glacier.read(key)) == b"footage"

    def test_what_cannot_be(self, glacier: Any) -> None:
        for ask in (lambda: glacier.restore(A, days=1, speed="bulk"), lambda: glacier.readability(A)):
            with pytest.raises(ObjectNotFound):
                ask()
        glacier.write(A, BODY, WriteOptions(storage_class="DEEP_ARCHIVE"))
        with pytest.raises(ConfigurationError, match="'expedited'"):
            glacier.restore(A, days=1, speed="expedited")
        assert glacier.readability(A) == Readability("archived")


class TestRestoreAsAwsAnswers:
    """What no server here does, as AWS documents it."""

    def store(self, proxy: Any, **head: str) -> Any:
        facts = {"Content-Length": "7", "ETag": '"e"', "Last-Modified": "Sun, 01 Mar 2026 12:00:00 GMT"}
        headers = facts | {name.replace("_", "-"): value for name, value in head.items()}
        proxy.answer = lambda method, *_: (200, headers, b"") if method == "HEAD" else self.answer
        return rigs.bucket_store(StoreKind.S3, "bucket", rigs.s3_access(S3Server(proxy.url, "key", "secret")))

    answer: Any = (202, {}, b"")

    def test_another_asked_meanwhile(self, faulty: Any) -> None:
        proxy = faulty()
        store = self.store(proxy, x_amz_storage_class="GLACIER")
        self.answer = (409, {}, b"<Error><Code>RestoreAlreadyInProgress</Code></Error>")
        store.restore(A, days=1, speed="bulk")

    def test_expedited_capacity_is_gone_for_now(self, faulty: Any) -> None:
        store = self.store(faulty(), x_amz_storage_class="GLACIER")
        self.answer = (503, {}, b"<Error><Code>GlacierExpeditedRetrievalNotAvailable</Code></Error>")
        with pytest.raises(StoreUnavailable):
            store.restore(A, days=1, speed="expedited")

    def test_one_under_way_is_not_asked_for_again(self, faulty: Any) -> None:
        proxy = faulty()
        store = self.store(proxy, x_amz_storage_class="GLACIER", x_amz_restore='ongoing-request="true"')
        store.restore(A, days=1, speed="expedited")
        assert {method for method, _ in proxy.requests} == {"HEAD"}

    def test_what_intelligent_tiering_archived(self, faulty: Any) -> None:
        proxy, asked = faulty(), []
        store = self.store(proxy, x_amz_storage_class="INTELLIGENT_TIERING", x_amz_archive_status="ARCHIVE_ACCESS")
        assert store.readability(A) == Readability("archived")
        answer = proxy.answer
        proxy.answer = lambda method, path, body: asked.append(body) or answer(method, path, body)
        store.restore(A, days=1, speed="standard")
        assert b"<Tier>Standard</Tier>" in asked[-1]
        assert b"Days" not in asked[-1]
