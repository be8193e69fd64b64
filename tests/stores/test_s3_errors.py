"""Servers of the S3 protocol that refuse, fail, stall and mislead: each cause by its name, and if a retry helps."""

import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import boto3
import pytest
from botocore.config import Config

from demo.servers import S3Server
from reelkeeper.errors import (
    AccessDenied,
    BucketNotFound,
    BucketOwnedByOther,
    ConfigurationError,
    CredentialsNotFound,
    ObjectArchived,
    ObjectExists,
    PermanentError,
    ReelkeeperError,
    RegionMismatch,
    StoreFull,
    StoreTimeout,
    StoreUnavailable,
    TransferCorrupted,
)
from reelkeeper.model import Key, StoreKind
from reelkeeper.stores import s3_data
from reelkeeper.stores.access import BOTO3_CONFIG, S3Access, S3Keys
from reelkeeper.stores.body import Body
from reelkeeper.stores.protocols import WriteOptions
from reelkeeper.stores.retry import retrying
from reelkeeper.stores.s3_errors import Refusal
from tests.stores import rigs

pytestmark = pytest.mark.servers  # of its own, on loopback

A = Key("media/a.ts")
SMALL = Body.of_bytes(b"footage")
LARGE = Body(20 * 2**20, Body.of_bytes(bytes(20 * 2**20)).sha256, lambda: [bytes(4 * 2**20)] * 5)
KINDS = [StoreKind.S3, StoreKind.MINIO]


def open_store(kind: StoreKind, server: S3Server, bucket: str, **settings: Any) -> Any:
    access = rigs.s3_access(server) if kind is StoreKind.S3 else rigs.minio_access(server)
    return rigs.bucket_store(kind, bucket, access, **settings)


def use(store: Any) -> list[Callable[[], object]]:
    """Every way to use a store."""
    return [
        lambda: store.stat(A),
        lambda: list(store.read(A)),
        lambda: store.read_range(A, 0, 1),
        lambda: list(store.list()),
        lambda: store.write(A, SMALL),
        lambda: store.write(A, LARGE),
        lambda: store.copy(A, Key("b.ts")),
        lambda: store.delete([A]),
        lambda: store.attests_writes,
    ]


def fails(store: Any, expected: type[ReelkeeperError], *, secret: str = "") -> list[str]:
    """Every use of the store, and its check, fails as expected and gives no secret away. What the uses said."""
    said = []
    for way in use(store):
        with pytest.raises(expected) as caught:
            way()
        said.append(str(caught.value))
    findings = list(store.check())
    assert not findings[0].ok
    assert findings[0].cure
    assert not secret or not any(secret in text for text in (*said, *map(str, findings)))
    return said


def refusal(status: int, code: str, extra: str = "", **headers: str) -> Any:
    """An answer as servers of the protocol give it."""
    document = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>because</Message>{extra}</Error>"
    given = {"Content-Type": "application/xml"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return status, given, document.encode()


@pytest.mark.parametrize("kind", KINDS)
class TestOnARealServer:
    @pytest.mark.parametrize("wrong", ["access_key", "secret_key"])
    def test_wrong_credentials(self, seaweedfs: S3Server, bucket_name: str, kind: StoreKind, wrong: str) -> None:
        given = {"access_key": seaweedfs.access_key, "secret_key": seaweedfs.secret_key} | {wrong: "wrong-" + "x" * 20}
        rigs.boto3_client(seaweedfs).create_bucket(Bucket=bucket_name)
        store = open_store(kind, S3Server(seaweedfs.endpoint_url, **given), bucket_name)
        said = fails(store, AccessDenied, secret=given["secret_key"])
        code = {"access_key": "InvalidAccessKeyId", "secret_key": "SignatureDoesNotMatch"}[wrong]
        assert sum(code in text for text in said) >= len(said) - 2  # the answer to a HEAD has no code
        with pytest.raises(AccessDenied):
            store.set_up()

    def test_bucket_gone(self, seaweedfs: S3Server, bucket_name: str, kind: StoreKind) -> None:
        store = open_store(kind, seaweedfs, bucket_name)
        fails(store, BucketNotFound)
        assert store.set_up()[0].changed
        store.write(A, SMALL)
        rigs.boto3_client(seaweedfs).delete_object(Bucket=bucket_name, Key=A)
        rigs.boto3_client(seaweedfs).delete_bucket(Bucket=bucket_name)
        fails(store, BucketNotFound)

    def test_nobody_listens(self, kind: StoreKind) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            server = S3Server(f"http://127.0.0.1:{taken.getsockname()[1]}", "key", "hush-hush")
            fails(open_store(kind, server, "bucket"), StoreUnavailable, secret="hush-hush")

    def test_a_server_that_answers_503_for_a_while(
        self, seaweedfs: S3Server, bucket_name: str, kind: StoreKind, faulty: Any
    ) -> None:
        proxy = faulty(seaweedfs.endpoint_url)
        store = open_store(kind, S3Server(proxy.url, seaweedfs.access_key, seaweedfs.secret_key), bucket_name)
        store.set_up()
        store.write(A, SMALL)
        for answer in (refusal(503, "SlowDown"), (503, {}, b""), (500, {}, b"<html>"), refusal(500, "InternalError")):
            proxy.answer = lambda *_, answer=answer: answer
            for way in use(store)[:-1]:
                with pytest.raises(StoreUnavailable):
                    way()
        left = [2]

        def recovers(*_: object) -> Any:
            left[0] -= 1
            return refusal(503, "SlowDown") if left[0] >= 0 else None

        proxy.answer = recovers
        retrying(first_wait_seconds=0.01)(store.write, Key("b.ts"), SMALL)
        proxy.answer = lambda *_: None
        assert sorted(stat.key for stat in store.list()) == ["b.ts", A]

    def test_a_failed_upload_leaves_no_parts(
        self, seaweedfs: S3Server, bucket_name: str, kind: StoreKind, faulty: Any
    ) -> None:
        proxy = faulty(seaweedfs.endpoint_url)
        store = open_store(kind, S3Server(proxy.url, seaweedfs.access_key, seaweedfs.secret_key), bucket_name)
        store.set_up()
        client = rigs.boto3_client(seaweedfs)

        def broken() -> Any:
            yield from [bytes(4 * 2**20)] * 9
            raise ValueError("the source broke")

        with pytest.raises(ValueError, match="the source broke"):
            store.write(A, Body(40 * 2**20, SMALL.sha256, broken))
        assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket_name)
        for failing in ("partNumber=2", "uploadId="):
            proxy.answer = lambda method, path, _, failing=failing: (
                refusal(503, "SlowDown") if failing in path and method != "DELETE" else None
            )
            with pytest.raises(StoreUnavailable):
                store.write(A, LARGE)
            assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket_name)
        proxy.answer = lambda *_: None
        assert list(store.list()) == []

    def test_a_clock_that_is_wrong(self, seaweedfs: S3Server, bucket_name: str, kind: StoreKind, faulty: Any) -> None:
        proxy = faulty(seaweedfs.endpoint_url)
        store = open_store(kind, S3Server(proxy.url, seaweedfs.access_key, seaweedfs.secret_key), bucket_name)
        store.set_up()
        for minutes, is_fine in ((0, True), (-60, False), (60, False)):
            stamp = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes), usegmt=True)
            proxy.edit = lambda headers, stamp=stamp: headers.update(Date=stamp)
            [clock] = [finding for finding in store.check() if finding.what == "clock"]
            assert (clock.ok, "NTP" in clock.cure) == (is_fine, True)
        proxy.answer = lambda *_: refusal(403, "RequestTimeTooSkewed")
        with pytest.raises(AccessDenied, match="clock"):
            store.write(A, SMALL)

    def test_a_part_size_is_no_part_of_the_checksum(
        self, seaweedfs: S3Server, bucket_name: str, kind: StoreKind, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = open_store(kind, seaweedfs, bucket_name)
        store.set_up()
        client, etags = rigs.boto3_client(seaweedfs), set()
        for mib in (5, 8, 16):
            monkeypatch.setattr(s3_data, "PART_BYTES", mib * 2**20)
            store.write(Key(f"{mib}.ts"), LARGE)
            etags.add(client.head_object(Bucket=bucket_name, Key=f"{mib}.ts")["ETag"])
            assert store.stat(Key(f"{mib}.ts")).sha256 == LARGE.sha256
        assert len(etags) == 3

    def test_a_thousand_and_one_objects(self, seaweedfs: S3Server, bucket_name: str, kind: StoreKind) -> None:
        """A page of a listing and a bulk deletion hold a thousand: n·k−1, n·k, n·k+1."""
        from concurrent.futures import ThreadPoolExecutor

        store = open_store(kind, seaweedfs, bucket_name)
        store.set_up()
        keys = [Key(f"media/{number:04}.ts") for number in range(1001)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: store.write(key, SMALL), keys))
        assert sorted(stat.key for stat in store.list()) == keys
        for count in (1000, 999):
            store.delete([keys[count]])
            assert sorted(stat.key for stat in store.list()) == keys[:count]
        store.write(keys[999], SMALL)
        store.write(keys[1000], SMALL)
        assert store.delete(keys) == {}
        assert list(store.list()) == []

    def test_rules_of_others_are_kept(
        self, seaweedfs: S3Server, bucket_name: str, kind: StoreKind, faulty: Any
    ) -> None:
        client = rigs.boto3_client(seaweedfs)
        client.create_bucket(Bucket=bucket_name)
        other = {"ID": "other", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 3}}
        client.put_bucket_lifecycle_configuration(Bucket=bucket_name, LifecycleConfiguration={"Rules": [other]})
        open_store(kind, seaweedfs, bucket_name, temp_days=7).set_up()
        changes = open_store(kind, seaweedfs, bucket_name, temp_days=3, cors_origins=(rigs.ORIGIN,)).set_up()
        lifecycle, cors = [change.what for change in changes if change.changed]
        assert lifecycle.startswith("lifecycle rule 'reelkeeper-temp', which was ")
        assert cors == "CORS rule 'reelkeeper-cors'"
        rules = client.get_bucket_lifecycle_configuration(Bucket=bucket_name)["Rules"]
        days = {rule["ID"]: rule.get("Expiration", {}).get("Days") for rule in rules}
        assert days == {"other": 3, "reelkeeper-temp": 3, "reelkeeper-uploads": None}

    def test_a_server_without_a_feature_says_so(
        self, seaweedfs: S3Server, bucket_name: str, kind: StoreKind, faulty: Any
    ) -> None:
        proxy = faulty(seaweedfs.endpoint_url)
        server = S3Server(proxy.url, seaweedfs.access_key, seaweedfs.secret_key)
        store = open_store(kind, server, bucket_name, cors_origins=(rigs.ORIGIN,))
        proxy.answer = lambda method, path, body: (
            refusal(501, "NotImplemented") if "cors" in path or b"AbortIncomplete" in body else None
        )
        changes = list(store.set_up())
        assert [change.changed for change in changes] == [True, True, False, False]
        assert [change.what for change in changes if "could not be set" in change.what] == [
            change.what for change in changes[2:]
        ]
        assert all(finding.ok for finding in store.check())

    def test_objects_that_may_not_be_deleted_are_told(
        self, seaweedfs: S3Server, bucket_name: str, kind: StoreKind, faulty: Any
    ) -> None:
        proxy = faulty(seaweedfs.endpoint_url)
        store = open_store(kind, S3Server(proxy.url, seaweedfs.access_key, seaweedfs.secret_key), bucket_name)
        store.set_up()
        document = (
            b"<DeleteResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><Error><Key>media/a.ts</Key>"
            b"<Code>AccessDenied</Code><Message>locked</Message></Error></DeleteResult>"
        )
        proxy.answer = lambda method, path, _: (
            (200, {"Content-Type": "application/xml"}, document) if "delete" in path else None
        )
        [(key, error)] = store.delete([A, Key("b.ts")]).items()
        assert key == A
        assert isinstance(error, AccessDenied)


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_stalls(kind: StoreKind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_data, "READ_TIMEOUT", timedelta(seconds=0.1))
    monkeypatch.setitem(BOTO3_CONFIG, "read_timeout", 0.1)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as mute:
        server = S3Server(f"http://127.0.0.1:{mute.getsockname()[1]}", "key", "secret")
        access = (
            rigs.s3_access(server, read_timeout=0.1)
            if kind is StoreKind.S3
            else rigs.minio_access(server, read_timeout=0.1)
        )
        store = rigs.bucket_store(kind, "bucket", access)
        for way in (lambda: list(store.read(A)), lambda: store.write(A, SMALL), lambda: list(store.list())):
            with pytest.raises(StoreTimeout):
                way()


class TestAsAwsAnswers:
    """What no server here does, as AWS documents it."""

    def open(self, proxy: Any, region: str = "us-east-1") -> Any:
        server = S3Server(proxy.url, "key", "secret")
        return rigs.bucket_store(StoreKind.S3, "bucket", rigs.s3_access(server, region=region))

    def test_a_bucket_in_another_region_redirects(self, faulty: Any) -> None:
        proxy = faulty()
        proxy.answer = lambda *_: refusal(301, "PermanentRedirect", x_amz_bucket_region="eu-central-1")
        said = fails(self.open(proxy), RegionMismatch)
        assert all("'eu-central-1'" in text for text in said)

    def test_a_bucket_in_another_region_names_it_in_the_document(self, faulty: Any) -> None:
        proxy = faulty()
        answer = refusal(400, "AuthorizationHeaderMalformed", "<Region>eu-west-3</Region>")
        proxy.answer = lambda method, path, _: (
            answer if method != "HEAD" else (400, {"x-amz-bucket-region": "eu-west-3"}, b"")
        )
        said = fails(self.open(proxy), RegionMismatch)
        assert all("'eu-west-3'" in text for text in said)

    def test_a_bucket_of_somebody_else(self, faulty: Any) -> None:
        proxy = faulty()
        proxy.answer = lambda method, path, _: (
            refusal(409, "BucketAlreadyExists")
            if (method, path) == ("PUT", "/bucket")
            else refusal(403, "AccessDenied")
        )
        store = self.open(proxy)
        fails(store, AccessDenied)
        with pytest.raises(BucketOwnedByOther):
            store.set_up()

    @pytest.mark.parametrize(
        ("status", "code", "expected"),
        [
            (400, "RequestTimeout", StoreTimeout), (400, "BadDigest", TransferCorrupted),
            (400, "XAmzContentChecksumMismatch", TransferCorrupted), (403, "ExpiredToken", AccessDenied),
            (403, "QuotaExceeded", StoreFull), (507, "XMinioStorageFull", StoreFull),
            (409, "ConditionalRequestConflict", StoreUnavailable), (429, "TooManyRequests", StoreUnavailable),
            (400, "SomethingNew", PermanentError), (503, "SomethingNew", StoreUnavailable),
            (405, "MethodNotAllowed", PermanentError), (404, "NoSuchBucket", BucketNotFound),
        ],
    )  # fmt: skip
    def test_codes(self, faulty: Any, status: int, code: str, expected: type[ReelkeeperError]) -> None:
        proxy = faulty()
        proxy.answer = lambda *_: refusal(status, code)
        store = self.open(proxy)
        store._refuses_to_overwrite.known = True  # tried out before
        for way in (lambda: store.write(A, SMALL), lambda: list(store.read(A)), lambda: list(store.list())):
            with pytest.raises(expected) as caught:
                way()
            assert type(caught.value) is expected
            assert repr(code) in str(caught.value)


class TestOnMoto:
    def test_a_bucket_in_another_region(self, moto: S3Server, bucket_name: str) -> None:
        elsewhere = rigs.bucket_store(StoreKind.S3, bucket_name, rigs.s3_access(moto, region="eu-west-1"))
        assert elsewhere.set_up()[0].changed
        assert not elsewhere.set_up()[0].changed
        here = rigs.bucket_store(StoreKind.S3, bucket_name, rigs.s3_access(moto))
        with pytest.raises(RegionMismatch, match="'eu-west-1'"):
            here.set_up()
        finding = next(iter(here.check()))
        assert not finding.ok
        assert "'eu-west-1'" in finding.detail

    def test_an_archived_object(self, moto: S3Server, bucket_name: str) -> None:
        store = rigs.bucket_store(StoreKind.S3, bucket_name, rigs.s3_access(moto))
        store.set_up()
        store.write(A, SMALL, WriteOptions(storage_class="GLACIER"))
        assert store.stat(A).storage_class == "GLACIER"
        assert [stat.storage_class for stat in store.list()] == ["GLACIER"]
        with pytest.raises(ObjectArchived):
            list(store.read(A))
        with pytest.raises(ConfigurationError):
            store.write(Key("b.ts"), SMALL, WriteOptions(storage_class="LUKEWARM"))

    def test_a_server_that_would_overwrite_is_looked_at_first(
        self, moto: S3Server, bucket_name: str, faulty: Any
    ) -> None:
        proxy = faulty(moto.endpoint_url)
        proxy.hidden_headers = ("if-none-match", "If-None-Match")
        store = open_store(StoreKind.S3, S3Server(proxy.url, "key", "secret"), bucket_name)
        store.set_up()
        store.write(A, SMALL)
        assert store._refuses_to_overwrite.known is False
        with pytest.raises(ObjectExists):
            store.write(A, Body.of_bytes(b"other"))
        assert b"".join(store.read(A)) == b"footage"
        assert [stat.key for stat in store.list()] == [A]

    def test_without_credentials(self, moto: S3Server, bucket_name: str) -> None:
        rigs.boto3_client(moto).create_bucket(Bucket=bucket_name)

        def nowhere() -> S3Keys:
            raise CredentialsNotFound("connection 'aws_default' has no credentials")

        client = boto3.client(
            "s3", endpoint_url=moto.endpoint_url, region_name="us-east-1", config=Config(**BOTO3_CONFIG)
        )
        access = S3Access(nowhere, moto.endpoint_url, "us-east-1", client)
        fails(rigs.bucket_store(StoreKind.S3, bucket_name, access), CredentialsNotFound)


class TestSigning:
    def test_a_url_does_not_outlive_its_credential(self) -> None:
        def sign(life: timedelta | None, asked: timedelta, token: str | None = None) -> int:
            expires_at = None if life is None else datetime.now(UTC) + life
            server = S3Server("http://127.0.0.1:9", "key", "secret")
            given = rigs.s3_access(server)
            access = S3Access(
                lambda: S3Keys("key", "secret", token, expires_at), given.endpoint_url, "us-east-1", given.client
            )
            made = rigs.bucket_store(StoreKind.S3, "bucket", access).presign(A, expires_in=asked)
            assert "X-Amz-Signature" in made.url
            seconds = int(made.url.split("X-Amz-Expires=")[1].split("&")[0])
            assert abs(made.expires_at - datetime.now(UTC) - timedelta(seconds=seconds)) < timedelta(seconds=5)
            return seconds

        week, hour = timedelta(days=7), timedelta(hours=1)
        assert sign(None, hour) == 3600
        assert sign(None, 2 * week) == week.total_seconds()
        assert 3590 <= sign(hour, week) <= 3600
        assert sign(None, week, "a session of unknown life") == 3600
        with pytest.raises(AccessDenied, match="expired"):
            sign(-hour, hour)
        with pytest.raises(ValueError, match="at least one second"):
            sign(None, timedelta(0))


def test_a_redirect_without_a_region_is_still_no_retry() -> None:
    error = Refusal(301).error("cloud", "read 'a'")
    assert isinstance(error, RegionMismatch)
    assert isinstance(error, PermanentError)


def test_secrets_are_not_shown() -> None:
    access = rigs.minio_access(S3Server("http://127.0.0.1:9", "key", "hush-hush"))
    assert "hush-hush" not in repr(access) + repr(S3Keys("key", "hush-hush", "hush-hush"))
