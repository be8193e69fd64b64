"""Opening stores by their settings."""

from pathlib import Path
from typing import Any

import pytest

from demo.servers import S3Server
from reelkeeper.errors import ConfigurationError
from reelkeeper.model import StoreKind
from reelkeeper.settings import StoreSettings
from reelkeeper.stores.registry import open_store
from tests.stores import rigs

NOWHERE = S3Server("http://127.0.0.1:9", "key", "secret")


def settings(kind: StoreKind) -> StoreSettings:
    where: dict[StoreKind, dict[str, Any]] = {
        StoreKind.FILESYSTEM: {"root": Path("/nowhere")},
        StoreKind.MEMORY: {},
    }
    return StoreSettings(name="some", kind=kind, **where.get(kind, {"bucket": "bucket"}))


@pytest.mark.parametrize("kind", StoreKind)
def test_every_kind_opens_without_connecting(kind: StoreKind) -> None:
    access = {StoreKind.S3: rigs.s3_access, StoreKind.MINIO: rigs.minio_access}.get(kind, lambda _: None)(NOWHERE)
    if kind is StoreKind.GCS:
        access = rigs.gcs_access(rigs.GcsServer("http://127.0.0.1:9"))
    store = open_store(settings(kind), access)
    assert (store.name, store.kind) == ("some", kind)


@pytest.mark.parametrize("kind", [StoreKind.S3, StoreKind.MINIO, StoreKind.GCS])
def test_the_wrong_access_is_refused(kind: StoreKind) -> None:
    with pytest.raises(ConfigurationError, match=r"expected \w+Access"):
        open_store(settings(kind), None)
