"""Opening stores by their settings."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from demo.servers import S3Server
from reelkeeper.errors import ConfigurationError, DeletionForbidden
from reelkeeper.model import Key, StoreKind
from reelkeeper.settings import StoreSettings
from reelkeeper.stores.protocols import Folders, Upload, Uploads
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


@pytest.mark.parametrize("kind", StoreKind)
def test_where_deletion_is_forbidden_nothing_goes(kind: StoreKind) -> None:
    """Not one request leaves: there is no server."""
    access = {StoreKind.S3: rigs.s3_access, StoreKind.MINIO: rigs.minio_access}.get(kind, lambda _: None)(NOWHERE)
    if kind is StoreKind.GCS:
        access = rigs.gcs_access(rigs.GcsServer("http://127.0.0.1:9"))
    store: Any = open_store(settings(kind).model_copy(update={"deletion": "forbidden"}), access)
    for keys in (["media/a.ts"], ["temp/a.ts"], ["temp/check-1", "media/a.ts"], ["temp/check"]):
        with pytest.raises(DeletionForbidden, match="'forbidden'"):
            store.delete([Key(key) for key in keys])
    if isinstance(store, Uploads):
        with pytest.raises(DeletionForbidden):
            store.abort_upload(Upload("media/a.ts", "id", datetime(2026, 1, 1, tzinfo=UTC)))
    if isinstance(store, Folders):
        with pytest.raises(DeletionForbidden):
            store.remove_empty_folders(timedelta(0))


def test_a_health_check_cleans_up_where_deletion_is_forbidden(tmp_path: Path) -> None:
    store = open_store(StoreSettings(name="some", kind=StoreKind.FILESYSTEM, root=tmp_path, deletion="forbidden"), None)
    store.set_up()
    assert [finding for finding in store.check() if not finding.ok] == []
    assert list(store.list()) == []


@pytest.mark.parametrize("kind", [StoreKind.S3, StoreKind.MINIO, StoreKind.GCS])
def test_the_wrong_access_is_refused(kind: StoreKind) -> None:
    with pytest.raises(ConfigurationError, match=r"expected \w+Access"):
        open_store(settings(kind), None)
