"""Google Cloud Storage that refuses and fails: each cause by its status and reason."""

import json
import socket
from typing import Any

import pytest

from demo.servers import GcsServer
from reelkeeper.errors import (
    AccessDenied,
    BucketNotFound,
    BucketOwnedByOther,
    CredentialsNotFound,
    ObjectExists,
    ObjectNotFound,
    PermanentError,
    ReelkeeperError,
    StoreFull,
    StoreTimeout,
    StoreUnavailable,
)
from reelkeeper.model import Key, StoreKind
from reelkeeper.stores import gcs
from reelkeeper.stores.body import Body
from reelkeeper.stores.gcs_admin import check
from tests.stores import rigs

pytestmark = pytest.mark.servers  # of its own, on loopback

A = Key("media/a.ts")
SMALL = Body.of_bytes(b"footage")
LARGE = Body.of_bytes(bytes(20 * 2**20))


def open_store(url: str, bucket: str = "bucket", **settings: Any) -> Any:
    return rigs.bucket_store(StoreKind.GCS, bucket, rigs.gcs_access(GcsServer(url)), **settings)


def use(store: Any) -> list[Any]:
    return [
        lambda: store.stat(A),
        lambda: list(store.read(A)),
        lambda: list(store.list()),
        lambda: store.write(A, SMALL),
        lambda: store.write(A, LARGE),
        lambda: store.copy(A, Key("b.ts")),
        lambda: raise_first(store.delete([A])),
        lambda: store.attests_writes,
    ]


def raise_first(failed: Any) -> None:
    for error in failed.values():
        raise error


def refusal(status: int, reason: str) -> Any:
    document = {"error": {"code": status, "message": "because", "errors": [{"reason": reason, "message": "because"}]}}
    return status, {"Content-Type": "application/json"}, json.dumps(document).encode()


@pytest.mark.parametrize(
    ("status", "reason", "expected"),
    [
        (401, "authError", CredentialsNotFound),  # of a client that has none
        (403, "forbidden", AccessDenied), (403, "rateLimitExceeded", StoreUnavailable),
        (403, "quotaExceeded", StoreFull), (404, "notFound", BucketNotFound), (408, "timeout", StoreTimeout),
        (412, "conditionNotMet", ObjectExists), (429, "rateLimitExceeded", StoreUnavailable),
        (500, "backendError", StoreUnavailable), (503, "backendError", StoreUnavailable), (504, "", StoreTimeout),
        (400, "invalid", PermanentError),
    ],
)  # fmt: skip
def test_answers(faulty: Any, status: int, reason: str, expected: type[ReelkeeperError]) -> None:
    proxy = faulty()
    proxy.answer = lambda *_: refusal(status, reason)
    store = open_store(proxy.url)
    store._refuses_to_overwrite.known = True  # tried out before
    for way in (lambda: store.stat(A), lambda: list(store.list()), lambda: store.write(A, SMALL)):
        with pytest.raises(expected) as caught:
            way()
        assert type(caught.value) is expected
    assert not next(iter(store.check())).ok


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        store = open_store(f"http://127.0.0.1:{taken.getsockname()[1]}")
        for way in use(store):
            with pytest.raises(StoreUnavailable):
                way()


def test_a_server_that_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcs, "_NO_RETRY", {"timeout": 0.1, "retry": None})
    with socket.create_server(("127.0.0.1", 0), backlog=64) as mute:
        store = open_store(f"http://127.0.0.1:{mute.getsockname()[1]}")
        for way in use(store)[:4]:
            with pytest.raises(StoreTimeout):
                way()


def test_bucket_gone(gcs_emulator: GcsServer, bucket_name: str) -> None:
    store = open_store(gcs_emulator.endpoint_url, bucket_name)
    for way in use(store):
        with pytest.raises(BucketNotFound):
            way()
    assert next(iter(store.set_up())).changed
    store.write(A, SMALL)
    with pytest.raises(ObjectNotFound):
        store.stat(Key("b.ts"))


def test_a_name_that_another_project_took_meanwhile(faulty: Any) -> None:
    proxy = faulty()
    proxy.answer = lambda method, *_: refusal(*((404, "notFound") if method == "GET" else (409, "conflict")))
    with pytest.raises(BucketOwnedByOther):
        open_store(proxy.url).set_up()


def test_a_failure_in_the_middle_of_an_upload_leaves_no_object(
    gcs_emulator: GcsServer, bucket_name: str, faulty: Any
) -> None:
    proxy = faulty(gcs_emulator.endpoint_url)
    store = open_store(proxy.url, bucket_name)
    store.set_up()
    store.write(Key("b.ts"), SMALL)
    proxy.answer = lambda method, *_: refusal(503, "backendError") if method == "PUT" else None
    with pytest.raises(StoreUnavailable):
        store.write(A, LARGE)
    proxy.answer = lambda *_: None
    assert [stat.key for stat in store.list()] == ["b.ts"]


def test_rules_of_others_are_kept(gcs_emulator: GcsServer, bucket_name: str) -> None:
    access = rigs.gcs_access(gcs_emulator)
    bucket = access.client.create_bucket(bucket_name)
    other = {"action": {"type": "Delete"}, "condition": {"age": 3, "matchesPrefix": ["logs/"]}}
    bucket.lifecycle_rules = [other]
    bucket.cors = [{"origin": ["https://other.example"], "method": ["GET"]}]
    bucket.patch()
    for days in (7, 3):
        store = rigs.bucket_store(
            StoreKind.GCS, bucket_name, access, temp_days=days, cors_origins=(f"https://{days}.example",)
        )
        assert [change.changed for change in store.set_up()] == [False, True, True]
    bucket.reload()
    rules = [dict(rule) for rule in bucket.lifecycle_rules]
    assert other in rules
    assert [rule["condition"]["age"] for rule in rules if rule["condition"].get("matchesPrefix") == ["temp/"]] == [3]
    assert [rule["origin"] for rule in bucket.cors] == [["https://other.example"], ["https://3.example"]]
    assert [finding.ok for finding in check("conformed", bucket, {}, temp_days=3)] == [True]


def test_a_server_without_rules_says_so(gcs_emulator: GcsServer, bucket_name: str, faulty: Any) -> None:
    proxy = faulty(gcs_emulator.endpoint_url)
    proxy.answer = lambda method, *_: refusal(501, "notImplemented") if method == "PATCH" else None
    made, rules = open_store(proxy.url, bucket_name).set_up()
    assert (made.changed, rules.changed) == (True, False)
    assert "could not be set" in rules.what


def test_an_anonymous_client_cannot_sign() -> None:
    from datetime import timedelta

    with pytest.raises(CredentialsNotFound, match="service account"):
        open_store("http://127.0.0.1:9").presign(A, expires_in=timedelta(hours=1))
