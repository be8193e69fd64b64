"""The estate as tasks see it: read again when it changes, and every kind of store complete."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from reelkeeper.errors import ConfigurationError
from reelkeeper.model import StoreKind
from reelkeeper.settings import StoreSettings
from reelkeeper_airflow import estate as estate_side
from reelkeeper_airflow.estate import current_estate, open_store
from reelkeeper_airflow.operators.store import backend_of


def test_the_estate_is_read_again_when_its_file_changes(estate_file: Path) -> None:
    first = current_estate()
    assert current_estate() is first
    estate_file.write_text(estate_file.read_text().replace("percentage = 100", "percentage = 25"))
    os.utime(estate_file, ns=(1, 1))  # a copy that keeps an older time is a change as well
    assert str(current_estate().rollout.percentage) == "25 %"


def test_stores_are_opened_once(estate: Path) -> None:
    assert open_store("cloud") is open_store("cloud")
    assert open_store("cloud", connection="minio_default") is open_store("cloud")
    with pytest.raises(ConfigurationError, match="unknown store 'clod'"):
        open_store("clod")


def test_threads_that_ask_at_once_open_a_store_once(estate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    threads, access_for = 8, estate_side.access_for

    def slow(settings: StoreSettings) -> Any:
        opened.append(settings.name)
        time.sleep(0.05)  # all others ask meanwhile
        return access_for(settings)

    monkeypatch.setattr(estate_side, "access_for", slow)
    monkeypatch.setattr(estate_side, "_stores", {})
    all_there = Barrier(threads)
    with ThreadPoolExecutor(threads) as pool:
        stores = [future.result() for future in [pool.submit(_open_with, all_there) for _ in range(threads)]]
    assert opened == ["cloud"]
    assert len({id(store) for store in stores}) == 1


def _open_with(all_there: Barrier) -> Any:
    all_there.wait()
    return open_store("cloud")


def test_two_stores_are_not_one_bucket_by_two_connections(estate_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second = '[[stores]]\nname = "other"\nkind = "minio"\nconnection = "again"\nbucket = "test-bucket"\n'
    estate_file.write_text(estate_file.read_text().replace("[[landing_zones]]", second + "[[landing_zones]]"))
    secrets = {"conn_type": "minio", "login": "key", "password": "secret-key"}
    for name, host in (("MINIO_DEFAULT", "http://minio.example.org"), ("AGAIN", "http://MINIO.example.org:80/")):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(secrets | {"host": host}))
    for name in ("cloud", "other"):
        with pytest.raises(ConfigurationError, match="are the same bucket 'test-bucket'"):
            open_store(name)
    monkeypatch.setenv("AIRFLOW_CONN_AGAIN", json.dumps(secrets | {"host": "http://elsewhere.example.org"}))
    assert open_store("other") is not open_store("cloud")


@pytest.mark.parametrize("kind", [kind for kind in StoreKind if kind is not StoreKind.MEMORY])
def test_every_kind_of_store_has_its_hook_and_its_operators(kind: StoreKind) -> None:
    place = {"root": "/srv/x"} if kind is StoreKind.FILESYSTEM else {"bucket": "footage"}
    store = StoreSettings.model_validate({"name": "x", "kind": kind, **place})
    assert callable(import_module(f"reelkeeper_airflow.hooks.{kind}").access_for)
    backend = backend_of(store)
    for operator in (backend.set_up, backend.check, backend.transfer):
        assert operator.kind is kind
        assert operator.__doc__
    made = backend.set_up(task_id="t", **backend.bound_to(store))
    assert made.conn_id == store.connection
    default = backend.set_up(task_id="t", store="x")
    assert default.conn_id == store.connection  # `<system>_conn_id` defaults to the kind's usual connection


def test_a_store_in_memory_is_no_use_to_tasks() -> None:
    with pytest.raises(ConfigurationError, match="'memory': expected one that several tasks can see"):
        backend_of(StoreSettings.model_validate({"name": "x", "kind": "memory"}))


def test_links_lead_to_the_store(estate_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = {
        "s3": 'region = "eu-west-1"\nbucket = "b-one"',
        "gcs": 'bucket = "b-two"',
        "minio": 'bucket = "b-three"',
    }
    text = "\n".join(f'[[stores]]\nname = "x{kind}"\nkind = "{kind}"\n{rest}' for kind, rest in stores.items())
    estate_file.write_text(estate_file.read_text().replace("[[landing_zones]]", f"{text}\n[[landing_zones]]"))
    extra = '{"conn_type": "minio", "host": "h", "extra": {"console_url": "https://console:9001/"}}'
    monkeypatch.setenv("AIRFLOW_CONN_MINIO_DEFAULT", extra)
    links = {}
    for kind in (*stores, "local"):
        store = current_estate().store(f"x{kind}" if kind in stores else kind)
        operator = backend_of(store).check(task_id="t", **backend_of(store).bound_to(store))
        [link] = operator.operator_extra_links
        links[kind] = link.get_link(operator, ti_key=None)
    assert links == {
        "s3": "https://eu-west-1.console.aws.amazon.com/s3/buckets/b-one",
        "gcs": "https://console.cloud.google.com/storage/browser/b-two",
        "minio": "https://console:9001/browser/b-three",
        "local": "",
    }
