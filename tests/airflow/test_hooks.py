"""From connections and environment to what the core opens stores with; on real servers where a connection is made."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

import pytest
from airflow.sdk.exceptions import AirflowNotFoundException
from pydantic import ValidationError

from demo.servers import GcsServer, PostgresServer, S3Server
from reelkeeper.errors import ConfigurationError, CredentialsNotFound
from reelkeeper.model import Key
from reelkeeper.settings import StoreSettings
from reelkeeper.stores.body import Body
from reelkeeper.stores.protocols import WriteOptions
from reelkeeper.stores.registry import open_store
from reelkeeper.stores.s3_plane import S3Plane
from reelkeeper_airflow.hooks.catalogue import CatalogueHook
from reelkeeper_airflow.hooks.environment import truth
from reelkeeper_airflow.hooks.filesystem import access_for as filesystem_access
from reelkeeper_airflow.hooks.gcs import ReelkeeperGCSHook
from reelkeeper_airflow.hooks.minio import MinioHook
from reelkeeper_airflow.hooks.minio import access_for as minio_access
from reelkeeper_airflow.hooks.s3 import ReelkeeperS3Hook
from reelkeeper_airflow.hooks.s3 import access_for as s3_access

SECRET = "s3cr3t-0123456789"


def define(monkeypatch: pytest.MonkeyPatch, name: str, **connection: object) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))


# --- minio ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("connection", "address"),
    [
        ({"host": "minio.example.org"}, "https://minio.example.org"),
        ({"host": "minio.example.org", "port": 9000}, "https://minio.example.org:9000"),
        ({"host": "minio.example.org", "port": 9000, "extra": {"secure": False}}, "http://minio.example.org:9000"),
        ({"host": "minio.example.org", "extra": {"secure": "false"}}, "http://minio.example.org"),
        ({"host": "http://10.0.0.7:9000"}, "http://10.0.0.7:9000"),
        ({"host": "https://minio.example.org/", "port": 9443}, "https://minio.example.org:9443"),
    ],
)
def test_minio_address(monkeypatch: pytest.MonkeyPatch, connection: dict[str, object], address: str) -> None:
    define(monkeypatch, "minio_default", conn_type="minio", login="key", password=SECRET, **connection)
    access = MinioHook().access()
    assert (access.endpoint_url, access.access_key, access.secret_key) == (address, "key", SECRET)
    assert SECRET not in repr(access)


def test_minio_extras_are_read_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"region": "eu-1", "session_token": "temporary-token", "http_client": "nonsense", "bucket": "x"}
    define(monkeypatch, "minio_default", conn_type="minio", host="h", login="key", password=SECRET, extra=extra)
    access = MinioHook().access()
    assert (access.region, access.session_token) == ("eu-1", "temporary-token")
    assert MinioHook(region="eu-2").access().region == "eu-2"


@pytest.mark.parametrize("host", ["", "http://", "ftp://minio", "https://minio.example.org/path"])
def test_minio_refuses_what_is_no_server(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    define(monkeypatch, "minio_default", conn_type="minio", host=host, login="key", password=SECRET)
    with pytest.raises(ConfigurationError, match="expected a host name or a URL"):
        MinioHook().access()


def test_minio_says_what_credentials_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    define(monkeypatch, "minio_default", conn_type="minio", host="h", login="key")
    with pytest.raises(CredentialsNotFound, match="'minio_default' has no password"):
        MinioHook().access()


def test_minio_from_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIO_ENDPOINT", "minio:9000")
    monkeypatch.setenv("MINIO_ACCESS_KEY", "key")
    monkeypatch.setenv("MINIO_SECRET_KEY", SECRET)
    assert MinioHook().access().endpoint_url == "http://minio:9000"
    monkeypatch.setenv("MINIO_USE_SSL", "true")
    assert MinioHook().access().endpoint_url == "https://minio:9000"
    with pytest.raises(AirflowNotFoundException):  # the environment never stands in for a name that was mistyped
        MinioHook("minio_archive").access()
    define(monkeypatch, "minio_default", conn_type="minio", host="http://defined", login="key", password=SECRET)
    assert MinioHook().access().endpoint_url == "http://defined"


def test_minio_connection_test(monkeypatch: pytest.MonkeyPatch, seaweedfs: S3Server) -> None:
    right = {"conn_type": "minio", "host": seaweedfs.endpoint_url, "login": seaweedfs.access_key}
    define(monkeypatch, "minio_default", **right, password=seaweedfs.secret_key)
    ok, message = MinioHook().test_connection()
    assert ok, message
    assert "buckets that these credentials see" in message
    define(monkeypatch, "minio_default", **right, password=SECRET)
    ok, message = MinioHook().test_connection()
    assert not ok
    assert "SignatureDoesNotMatch" in message
    define(monkeypatch, "minio_default", **right | {"login": "nobody"}, password=SECRET)
    ok, message = MinioHook().test_connection()
    assert not ok
    assert "InvalidAccessKeyId" in message
    define(monkeypatch, "minio_default", **right | {"host": "http://127.0.0.1:1"}, password=SECRET)
    ok, message = MinioHook().test_connection()
    assert not ok
    assert SECRET not in message


# --- s3 ---------------------------------------------------------------------------------------------------------------


def test_s3_from_connection(monkeypatch: pytest.MonkeyPatch, moto: S3Server) -> None:
    define(monkeypatch, "aws_default", conn_type="aws", login="key", password=SECRET,
           extra={"endpoint_url": moto.endpoint_url, "region_name": "eu-west-1"})  # fmt: skip
    hook = ReelkeeperS3Hook()
    access = hook.access()
    assert (access.region, access.endpoint_url) == ("eu-west-1", moto.endpoint_url)
    keys = access.credentials()
    assert (keys.access_key, keys.secret_key, keys.expires_at) == ("key", SECRET, None)
    assert access.client.list_buckets()["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert access.client is hook.access().client
    assert hook.access(region="us-east-2").client is not access.client
    config = access.client.meta.config
    assert (config.connect_timeout, config.read_timeout, config.retries["total_max_attempts"]) == (5, 120, 1)


def test_s3_role_credentials_expire_and_are_renewed(monkeypatch: pytest.MonkeyPatch, moto: S3Server) -> None:
    service = {"sts": {"endpoint_url": moto.endpoint_url}}
    define(monkeypatch, "aws_default", conn_type="aws", login="key", password=SECRET,
           extra={"role_arn": "arn:aws:iam::123456789012:role/reader", "region_name": "us-east-1",
                  "service_config": service})  # fmt: skip
    keys = ReelkeeperS3Hook().access().credentials()
    assert keys.session_token
    assert keys.expires_at is not None
    assert timedelta(minutes=10) < keys.expires_at - datetime.now(UTC) <= timedelta(hours=12)


@pytest.mark.parametrize(
    "variables",
    [
        {"S3_ACCESS_KEY": "key", "S3_SECRET_KEY": SECRET, "S3_REGION": "eu-west-1"},
        {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_S3_REGION": "eu-west-1"},
    ],
)
def test_s3_from_environment(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    access = ReelkeeperS3Hook().access()
    assert (access.credentials().access_key, access.credentials().secret_key) == ("key", SECRET)
    assert access.region == "eu-west-1"


def test_s3_without_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(CredentialsNotFound, match="'aws_default' has no credentials"):
        ReelkeeperS3Hook().access()


# --- gcs --------------------------------------------------------------------------------------------------------------


def test_gcs_by_endpoint(monkeypatch: pytest.MonkeyPatch, gcs_emulator: GcsServer) -> None:
    define(monkeypatch, "google_cloud_default", conn_type="google_cloud_platform",
           extra={"is_anonymous": True, "project": "p"})  # fmt: skip
    access = ReelkeeperGCSHook(endpoint_url=gcs_emulator.endpoint_url).access()
    assert list(access.client.list_buckets()) is not None
    assert access.client.project == "p"


def test_gcs_without_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setattr("google.auth.compute_engine._metadata._NO_GCE_CHECK", True)  # its variable is read at import
    with pytest.raises(CredentialsNotFound, match="'google_cloud_default' has no key file"):
        ReelkeeperGCSHook().access()


@pytest.mark.parametrize(("kind", "connection"), [("minio", "minio_default"), ("s3", "aws_default")])
def test_people_get_urls_with_the_address_that_they_know(
    monkeypatch: pytest.MonkeyPatch, seaweedfs: S3Server, kind: str, connection: str
) -> None:
    """The workers write by one address, and a URL is signed for another one of the same server."""
    server = {"login": seaweedfs.access_key, "password": seaweedfs.secret_key}
    define(monkeypatch, "minio_default", conn_type="minio", host=seaweedfs.endpoint_url, **server)
    define(monkeypatch, "aws_default", conn_type="aws", extra={"endpoint_url": seaweedfs.endpoint_url}, **server)
    public = seaweedfs.endpoint_url.replace("127.0.0.1", "localhost")
    settings = StoreSettings.model_validate(
        {"name": "cloud", "kind": kind, "bucket": f"public-{kind}", "public_endpoint_url": public}
    )
    store = open_store(settings, {"minio": minio_access, "s3": s3_access}[kind](settings))
    assert isinstance(store, S3Plane)
    store.set_up()
    store.write(Key("a.ts"), Body.of_bytes(b"footage"), WriteOptions())
    url = store.presign(Key("a.ts"), expires_in=timedelta(minutes=5)).url
    assert url.startswith(f"{public}/")
    with urlopen(url) as answer:  # noqa: S310 - a URL that we made
        assert answer.read() == b"footage"
    with pytest.raises(ValidationError, match="has no 'public_endpoint_url'"):
        StoreSettings.model_validate({"name": "a", "kind": "gcs", "bucket": "abc", "public_endpoint_url": public})


# --- filesystem -------------------------------------------------------------------------------------------------------


def test_filesystem_connection_confines_stores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    inside = StoreSettings.model_validate({"name": "a", "kind": "filesystem", "root": str(tmp_path / "footage")})
    outside = StoreSettings.model_validate({"name": "b", "kind": "filesystem", "root": "/srv"})
    filesystem_access(outside)  # nothing is defined: nothing is narrowed
    define(monkeypatch, "fs_default", conn_type="fs", extra={"path": str(tmp_path)})
    filesystem_access(inside)
    with pytest.raises(ConfigurationError, match="outside the folder"):
        filesystem_access(outside)


# --- catalogue --------------------------------------------------------------------------------------------------------


def test_catalogue_by_psycopg2(monkeypatch: pytest.MonkeyPatch, postgres: PostgresServer) -> None:
    import psycopg2

    extra = {"sslmode": "prefer", "options": "-c search_path=evil", "cursor": "dictcursor"}
    define(monkeypatch, "reelkeeper_catalogue", conn_type="postgres", host=postgres.host, port=postgres.port,
           login=postgres.user, password=postgres.password, schema="postgres", extra=extra)  # fmt: skip
    connection = CatalogueHook().get_conn()
    assert isinstance(connection, psycopg2.extensions.connection)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('search_path'), current_setting('application_name')")
        assert cursor.fetchone() == ('"$user", public', "reelkeeper")
    connection.close()
    assert CatalogueHook().test_connection()[0]


def test_catalogue_notices_a_server_that_vanished(monkeypatch: pytest.MonkeyPatch, postgres: PostgresServer) -> None:
    def liveness(**extra: object) -> dict[str, str | None]:
        define(monkeypatch, "reelkeeper_catalogue", conn_type="postgres", host=postgres.host, port=postgres.port,
               login=postgres.user, password=postgres.password, schema="postgres", extra=extra)  # fmt: skip
        with closing(CatalogueHook().get_conn()) as connection:
            found = connection.info.dsn_parameters
        return {name: value for name, value in found.items() if name.startswith(("keepalives", "tcp_user"))}

    assert liveness() == {
        "keepalives": "1", "keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3",
        "tcp_user_timeout": "60000",
    }  # fmt: skip
    assert liveness(keepalives_idle="5", tcp_user_timeout=0).items() >= {
        "keepalives_idle": "5", "tcp_user_timeout": "0", "keepalives_count": "3",
    }.items()  # fmt: skip


def test_catalogue_from_environment(monkeypatch: pytest.MonkeyPatch, postgres: PostgresServer) -> None:
    for name, value in {
        "HOST": postgres.host, "PORT": str(postgres.port), "DB": "postgres", "USER": postgres.user,
        "PASSWORD": postgres.password,
    }.items():  # fmt: skip
        monkeypatch.setenv(f"POSTGRES_{name}", value)
    CatalogueHook().get_conn().close()


@pytest.mark.parametrize(("text", "meaning"), [("True", True), ("0", False), (False, False), ("", False)])
def test_truth(text: object, meaning: bool) -> None:
    assert truth(text, name="x") is meaning


def test_truth_refuses_the_rest() -> None:
    with pytest.raises(ValueError, match="secure is 'maybe': expected true or false"):
        truth("maybe", name="secure")
