"""The connection that holds a private key, and what the estate signs with."""

import json
from pathlib import Path

import pytest

from reelkeeper.errors import ConfigurationError, CredentialsNotFound
from reelkeeper.media.signing import Signer
from reelkeeper_airflow.cli.connections import check_connections
from reelkeeper_airflow.estate import current_estate, load_signer
from reelkeeper_airflow.hooks.keys import CloudFrontKeyHook, KeyHook

SIGNER = Signer.create()


def define(monkeypatch: pytest.MonkeyPatch, password: str, name: str = "reelkeeper_signing") -> None:
    connection = {"conn_type": "reelkeeper_key", "password": password}
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))


def finding(estate_file: Path, name: str = "connection reelkeeper_signing") -> tuple[bool, str]:
    return next((check.ok, check.detail) for check in check_connections(current_estate()) if check.what == name)


@pytest.mark.usefixtures("estate_file", "airflow_database")
def test_without_a_key_nothing_is_signed(estate_file: Path) -> None:
    with pytest.raises(CredentialsNotFound, match="'reelkeeper signing-key create' makes one"):
        load_signer()
    assert finding(estate_file) == (True, "not defined: generate_export refuses to begin until it is")
    estate_file.write_text(
        estate_file.read_text().replace('cloud_store = "cloud"', 'cloud_store = "cloud"\nexport_store = "local"')
    )
    assert finding(estate_file) == (False, "Airflow connection 'reelkeeper_signing' is not defined")


@pytest.mark.usefixtures("estate_file")
def test_the_key_of_the_connection(estate_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    define(monkeypatch, SIGNER.private_pem().replace("\n", ""))
    assert load_signer().key_id == SIGNER.key_id
    assert KeyHook().test_connection() == (True, f"an Ed25519 key for manifests, {SIGNER.key_id}")
    assert finding(estate_file) == (True, f"from AIRFLOW_CONN_REELKEEPER_SIGNING, key {SIGNER.key_id}")
    define(monkeypatch, "hunter2")
    with pytest.raises(ConfigurationError, match="connection 'reelkeeper_signing' holds no usable private key") as no:
        load_signer()
    assert "hunter2" not in str(no.value)
    assert not KeyHook().test_connection()[0]
    assert not finding(estate_file)[0]
    define(monkeypatch, "")
    with pytest.raises(CredentialsNotFound, match="has no password"):
        load_signer()


@pytest.mark.usefixtures("airflow_database")
def test_a_key_from_a_file(estate_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key.pem"
    file.write_text(SIGNER.private_pem())
    monkeypatch.setenv("REELKEEPER_SIGNING_KEY_FILE", str(file))
    assert load_signer().key_id == SIGNER.key_id
    monkeypatch.setenv("REELKEEPER__DELIVERY__SIGNING_CONNECTION", "another")
    estate_file.touch()
    with pytest.raises(CredentialsNotFound, match="'another' is not defined"):
        load_signer()
    monkeypatch.delenv("REELKEEPER__DELIVERY__SIGNING_CONNECTION")
    estate_file.touch()
    file.unlink()
    with pytest.raises(ConfigurationError, match=r"REELKEEPER_SIGNING_KEY_FILE is .*expected a file"):
        load_signer()


def test_a_key_of_cloudfronts(estate_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    estate_file.write_text(
        estate_file.read_text()
        + '[delivery]\ncdn_base_url = "https://cdn.example.org"\ncloudfront_key_id = "K2JCJMDEHXQW5F"\n'
    )
    pem = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    define(monkeypatch, pem.decode(), "reelkeeper_cloudfront")
    assert CloudFrontKeyHook().test_connection() == (True, "an RSA key of 2048 bits, for CloudFront")
    what = "connection reelkeeper_cloudfront"
    assert finding(estate_file, what) == (True, "from AIRFLOW_CONN_REELKEEPER_CLOUDFRONT")
    define(monkeypatch, SIGNER.private_pem(), "reelkeeper_cloudfront")
    is_right, detail = finding(estate_file, what)
    assert not is_right
    assert "expected RSA" in detail
