"""URLs that people and players get: each is really used, where a server of its kind can be had here."""

import base64
import json
import logging
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from google.cloud import storage
from google.oauth2 import service_account

from demo.servers import GcsServer, S3Server
from reelkeeper.delivery import Cdn, Urls, cdn_of
from reelkeeper.errors import AccessDenied, ConfigurationError, InvalidKey
from reelkeeper.model import Key, StoreKind, StoreName
from reelkeeper.settings import Delivery, InvalidEstate, StoreSettings, load_estate
from reelkeeper.stores.access import GcsAccess, S3Access, S3Keys
from reelkeeper.stores.cloudfront import cloudfront_signer
from reelkeeper.stores.own_links import OwnLinks
from reelkeeper.stores.registry import open_store
from tests.stores import rigs

WEEK, HOUR = timedelta(days=7), timedelta(hours=1)
KEY = Key("uploads/case 7/é+&.mp4")
RSA = rsa.generate_private_key(65537, 2048)
RSA_PEM = RSA.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()


def urls(stores: Mapping[str, Any], cdn: Cdn | None = None, **settings: Any) -> Urls:
    links = OwnLinks("a secret of thirty-two characters", "https://airflow.example.org/reelkeeper")
    return Urls(Delivery(**settings), stores.__getitem__, cdn=cdn, links=links, clock=lambda: datetime.now(UTC))


def remaining(expires_at: datetime | None) -> timedelta:
    assert expires_at is not None
    return expires_at - datetime.now(UTC)


def put(url: str, data: bytes) -> None:
    request = urllib.request.Request(url, data, {"Content-Type": "video/mp4"}, method="PUT")  # noqa: S310 - our own
    urllib.request.urlopen(request).close()  # noqa: S310


def fetch(url: str) -> tuple[bytes, str]:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - a URL that we made
        return answer.read(), answer.headers["Content-Disposition"]


def there_and_back(made: Urls) -> None:
    """Put an object by one URL, and get it by another."""
    put(made.upload("store", KEY).url, b"footage")
    assert fetch(made.download("store", KEY, filename="é.mp4").url) == (
        b"footage",
        "attachment; filename*=UTF-8''%C3%A9.mp4",
    )


# --- stores that sign -------------------------------------------------------------------------------------------------


def test_urls_of_a_minio_store(seaweedfs: S3Server, bucket_name: str) -> None:
    rig = rigs.minio_rig(seaweedfs, bucket_name, attests_writes=True)
    list(rig.store.set_up())
    made = urls({"store": rig.store})
    there_and_back(made)
    for spoilt in ("download", "upload"):
        url = getattr(made, spoilt)("store", KEY).url
        with pytest.raises(urllib.error.HTTPError, match="403"):
            fetch(url.replace("case%207", "case%208"))
    rig.store.delete([KEY])


def test_urls_of_an_s3_store(moto: S3Server, bucket_name: str) -> None:
    rig = rigs.s3_rig(moto, bucket_name, attests_writes=False)
    list(rig.store.set_up())
    there_and_back(urls({"store": rig.store}))


def test_urls_of_a_gcs_store(gcs_emulator: GcsServer, bucket_name: str) -> None:
    """A service account's key signs on this machine: the emulator does not look at it."""
    account = {"client_email": "a@p.iam.gserviceaccount.com", "private_key": RSA_PEM, "token_uri": "http://127.0.0.1:9"}
    client = storage.Client(
        project=gcs_emulator.project,
        credentials=service_account.Credentials.from_service_account_info(account),
        client_options={"api_endpoint": gcs_emulator.endpoint_url},
    )
    list(rigs.gcs_rig(rigs.gcs_access(gcs_emulator), bucket_name, attests_writes=True).store.set_up())
    made = urls({"store": rigs.bucket_store(StoreKind.GCS, bucket_name, GcsAccess(client))})
    there_and_back(made)
    asked_for_more = made.download("store", KEY, expires_in=30 * timedelta(days=1))
    assert parse_qs(urlsplit(asked_for_more.url).query)["X-Goog-Expires"] == [str(int(WEEK.total_seconds()))]


def s3_store(keys: S3Keys) -> Any:
    given = rigs.s3_access(S3Server("http://127.0.0.1:9", "key", "secret"))
    access = S3Access(lambda: keys, given.endpoint_url, "us-east-1", given.client)
    return rigs.bucket_store(StoreKind.S3, "bucket", access)


def test_a_wish_of_seven_days_with_a_credential_of_an_hour() -> None:
    """And what is kept of it is not given out when the credential is about to end."""
    keys = S3Keys("key", "secret", "token", datetime.now(UTC) + HOUR)
    made = urls({"store": s3_store(keys)}).download("store", KEY, expires_in=WEEK)
    assert HOUR - timedelta(seconds=10) <= remaining(made.expires_at) <= HOUR
    assert 3590 <= int(parse_qs(urlsplit(made.url).query)["X-Amz-Expires"][0]) <= 3600
    with pytest.raises(AccessDenied, match="expired"):
        urls({"store": s3_store(S3Keys("key", "secret", "token", datetime.now(UTC)))}).download("store", KEY)


def test_urls_are_kept_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    made = urls({"store": s3_store(S3Keys("key", "secret"))}, url_seconds=600)
    first = made.download("store", KEY)
    assert timedelta(seconds=590) < remaining(first.expires_at) <= timedelta(seconds=600)
    assert made.download("store", KEY) is first
    assert made.download("store", KEY, expires_in=HOUR) is not first
    assert made.download("store", KEY, filename="x.mp4") is not first
    assert made.upload("store", KEY) is made.upload("store", KEY)
    assert made.upload("store", KEY) is not made.upload("store", KEY, force_refresh=True)
    statistics = made.cache_statistics()
    assert (statistics.entries, statistics.hits) == (2, 3)  # `download:store/…` and `store/…`
    assert made.clear_expired().remaining == 2
    signature = parse_qs(urlsplit(first.url).query)["X-Amz-Signature"][0]
    assert signature not in caplog.text + repr(first) + repr(made)


# --- what may be uploaded ---------------------------------------------------------------------------------------------


def test_uploads_are_only_for_their_prefixes(tmp_path: Path) -> None:
    made = urls({"store": rigs.folder_store(tmp_path)}, upload_prefixes=["incoming/web/"])
    assert "/objects/conformed/incoming/web/a.mp4?" in made.upload("store", Key("incoming/web/a.mp4")).url
    for key in ("media/default/gate/a.mp4", "incoming/a.mp4", "uploads/a.mp4", "exports/1/a.mp4"):
        with pytest.raises(AccessDenied, match="expected one below"):
            made.upload("store", Key(key))
    for key in ("incoming/web/../../media/a.mp4", "/incoming/web/a", "incoming/web//a", ""):
        for way in (made.upload, made.download):
            with pytest.raises(InvalidKey):
                way("store", Key(key))


def test_what_is_in_memory_has_no_urls() -> None:
    memory = open_store(StoreSettings(name="memory", kind=StoreKind.MEMORY), None)
    for way in (urls({"store": memory}).upload, urls({"store": memory}).download):
        with pytest.raises(ConfigurationError, match="has no URLs"):
            way("store", KEY)


# --- CDN --------------------------------------------------------------------------------------------------------------


def test_a_cdn_serves_its_prefixes_of_its_store() -> None:
    stores = {"cloud": s3_store(S3Keys("key", "secret")), "other": s3_store(S3Keys("key", "secret"))}
    made = urls(stores, Cdn(StoreName("cloud"), "https://cdn.example.org/v", ("media/", "thumbnails/")))
    plain = made.download("cloud", Key("media/acme/gate 1/é+.mp4"))
    assert (plain.url, plain.expires_at) == ("https://cdn.example.org/v/media/acme/gate%201/%C3%A9%2B.mp4", None)
    for store, key in (("cloud", "exports/1/a.mp4"), ("other", "media/a.mp4"), ("cloud", "mediaaa/a.mp4")):
        assert "X-Amz-Signature" in made.download(store, Key(key)).url
    assert "X-Amz-Signature" in made.upload("cloud", KEY).url


def test_cloudfront_signs_one_url_until_one_instant() -> None:
    """The check is CloudFront's own: the policy that it makes of a canned URL, against the public key."""
    sign = cloudfront_signer("K2JCJMDEHXQW5F", RSA_PEM.replace("\n", ""), name="x")
    made = urls({}, Cdn(StoreName("cloud"), "https://d1.cloudfront.net", ("exports/",), sign)).download(
        "cloud", Key("exports/1/a b.mp4"), expires_in=30 * timedelta(days=1)
    )
    assert WEEK - timedelta(seconds=10) < remaining(made.expires_at) <= WEEK
    address, _, query = made.url.partition("?")
    assert address == "https://d1.cloudfront.net/exports/1/a%20b.mp4"
    found = {name: value for name, [value] in parse_qs(query).items()}
    assert found["Key-Pair-Id"] == "K2JCJMDEHXQW5F"
    assert made.expires_at is not None
    assert int(found["Expires"]) == int(made.expires_at.timestamp())
    statement = {"Resource": address, "Condition": {"DateLessThan": {"AWS:EpochTime": int(found["Expires"])}}}
    policy = json.dumps({"Statement": [statement]}, separators=(",", ":")).encode()
    signature = base64.b64decode(found["Signature"].translate(str.maketrans("-_~", "+=/")))
    RSA.public_key().verify(signature, policy, PKCS1v15(), hashes.SHA1())  # noqa: S303 - as CloudFront does
    with pytest.raises(ConfigurationError, match="no usable private key"):
        cloudfront_signer("K2JCJMDEHXQW5F", "x", name="x")


# --- settings ---------------------------------------------------------------------------------------------------------

_ESTATE = """
[[stores]]
name = "local"
kind = "filesystem"
root = "/srv/footage"
[[stores]]
name = "cloud"
kind = "s3"
bucket = "footage"
[placement]
local_store = "local"
cloud_store = "cloud"
"""


def test_a_cdn_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "estate.toml").write_text(_ESTATE)
    environ = {"CDN_BASE_URL": "https://cdn.example.org/", "SIGNED_URL_EXPIRY": "900"}
    estate = load_estate(tmp_path / "estate.toml", environ)
    assert estate.delivery.url_seconds == 900
    cdn = cdn_of(estate, None)
    assert cdn is not None
    assert (cdn.store, cdn.base_url) == ("cloud", "https://cdn.example.org")
    assert cdn_of(load_estate(tmp_path / "estate.toml", {}), None) is None


def test_settings_that_cannot_be_right(tmp_path: Path) -> None:
    (tmp_path / "estate.toml").write_text(
        _ESTATE + '[delivery]\ncdn_store = "moon"\nupload_prefixes = ["media/x/", "temp/in/"]\n'
    )
    with pytest.raises(InvalidEstate) as refused:
        load_estate(tmp_path / "estate.toml", {"SIGNED_URL_EXPIRY": "0", "CDN_BASE_URL": "cdn.example.org"})
    told = str(refused.value)
    for says in (
        "delivery.url_seconds is '0'", "delivery.cdn_base_url is 'cdn.example.org'", "SIGNED_URL_EXPIRY",
        "expected an address such as 'https://cdn.example.org'",
    ):  # fmt: skip
        assert says in told
    with pytest.raises(InvalidEstate) as refused:
        load_estate(tmp_path / "estate.toml", {})
    told = str(refused.value)
    assert "delivery.cdn_store is 'moon': expected one of the stores ['local', 'cloud']" in told
    assert "delivery.upload_prefixes[0] is 'media/x/': expected one apart from where we alone write" in told
    assert "[1]" not in told
    (tmp_path / "estate.toml").write_text(_ESTATE + '[delivery]\ncloudfront_key_id = "K2JCJMDEHXQW5F"\n')
    with pytest.raises(InvalidEstate, match="expected 'cdn_base_url'"):
        load_estate(tmp_path / "estate.toml", {})
