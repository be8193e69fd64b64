"""The connection that holds a token, and the hook that reaches CloudWatch."""

import json

import pytest

from reelkeeper.errors import ConfigurationError, CredentialsNotFound
from reelkeeper_airflow.cli.connections import check_connections
from reelkeeper_airflow.estate import current_estate
from reelkeeper_airflow.hooks.cloudwatch import CloudWatchHook
from reelkeeper_airflow.hooks.tokens import TokenHook

TOKEN = "0123456789abcdef"


def define(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    connection = {"conn_type": "reelkeeper_token", "password": password}
    monkeypatch.setenv("AIRFLOW_CONN_REELKEEPER_METRICS", json.dumps(connection))


def finding() -> tuple[bool, str]:
    [found] = [check for check in check_connections(current_estate()) if check.what == "connection reelkeeper_metrics"]
    return found.ok, found.detail


@pytest.mark.usefixtures("estate_file", "airflow_database")
def test_a_token_is_known_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    assert finding() == (True, "not defined: only users of Airflow can read the metrics")
    define(monkeypatch, TOKEN)
    assert TokenHook().is_token(TOKEN)
    for other in ("", "0", TOKEN[:-1], TOKEN + "0", TOKEN.upper(), "é" * 16):
        assert not TokenHook().is_token(other)
    assert finding() == (True, "from AIRFLOW_CONN_REELKEEPER_METRICS")
    assert TokenHook().test_connection() == (True, "a token of 16 characters")


@pytest.mark.usefixtures("estate_file", "airflow_database")
def test_a_token_that_could_be_guessed_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    define(monkeypatch, TOKEN[:-1])
    with pytest.raises(CredentialsNotFound, match="has a password of 15 characters: expected a token of at least 16"):
        TokenHook().is_token(TOKEN[:-1])
    ok, told = finding()
    assert not ok
    assert TOKEN[:-1] not in told
    assert not TokenHook().test_connection()[0]


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(ConfigurationError, match="REELKEEPER_METRICS_TOKEN_FILE is '/nowhere/token'"):
        TokenHook.connection_from_environment({"REELKEEPER_METRICS_TOKEN_FILE": "/nowhere/token"})


@pytest.mark.servers  # it needs none, and takes boto3 as long as if it did
def test_cloudwatch_is_where_the_settings_or_the_connection_say(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"conn_type": "aws", "login": "key", "password": "secret", "extra": {"region_name": "eu-west-1"}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    client = CloudWatchHook().metrics_client()
    assert client.meta.endpoint_url == "https://monitoring.eu-west-1.amazonaws.com"
    assert CloudWatchHook(region_name="eu-north-1").metrics_client().meta.region_name == "eu-north-1"
