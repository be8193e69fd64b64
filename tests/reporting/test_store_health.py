"""One look at each store: what it finds, how long it may take, and since when it is so."""

import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.store_health import HealthRecord, Look
from reelkeeper.errors import AccessDenied, ConfigurationError
from reelkeeper.model import StoreKind, StoreName
from reelkeeper.reporting.store_health import look_at_stores
from reelkeeper.settings import Estate, Placement, StoreSettings
from reelkeeper.stores.filesystem import FilesystemStore
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import Owner
from tests.owning import owned
from tests.reporting.hand_made import NOW

HOUR = timedelta(hours=1)


def estate(*names: str, queues: dict[str, str] | None = None) -> Estate:
    return Estate(
        stores=tuple(
            StoreSettings(name=name, kind=StoreKind.FILESYSTEM, root=f"/srv/{name}", queue=(queues or {}).get(name))
            for name in names
        ),
        placement=Placement(mode="local", local_store=names[0]),
    )


class Stores:
    """Opens what it was given; `hung` ones do not answer until the test is over."""

    def __init__(self) -> None:
        self.opened: dict[str, Any] = {}
        self.over = threading.Event()

    def open(self, name: str) -> Any:
        return self.opened[name]


class Hung:
    kind = StoreKind.MEMORY

    def __init__(self, name: str, over: threading.Event) -> None:
        self.name = StoreName(name)
        self._over = over

    def owner(self) -> Owner | None:
        self._over.wait(60)
        return None


class Refusing(Hung):
    def owner(self) -> Owner | None:
        raise AccessDenied("the credentials were refused")


class Broken(Hung):
    def owner(self) -> Owner | None:
        raise ZeroDivisionError("a bug of ours")


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("reelkeeper.stores.retry.FIRST_WAIT_SECONDS", 0.01)
    made = Stores()
    yield made
    made.over.set()


def memory(name: str) -> MemoryStore:
    return MemoryStore(StoreName(name))


def test_what_a_look_finds(catalogue: Catalogue, stores: Stores, tmp_path: Path) -> None:
    other = memory("foreign")
    list(other.set_up(Owner(StoreName("foreign"), UUID(int=7), "another.catalogue")))
    stores.opened = {
        "well": owned(memory("well"), catalogue),
        "foreign": other,
        "bare": memory("bare"),
        "unmounted": FilesystemStore(StoreName("unmounted"), tmp_path / "gone"),
        "refusing": Refusing("refusing", stores.over),
        "broken": Broken("broken", stores.over),
    }
    looks = look_at_stores(estate(*stores.opened), catalogue, stores.open, now=NOW)
    assert [(look.store, look.state, look.reason) for look in looks] == [
        ("well", "healthy", None),
        ("foreign", "foreign", "store_not_ours"),
        ("bare", "foreign", "store_not_ours"),
        ("unmounted", "unreachable", "store_unavailable"),
        ("refusing", "unreachable", "access_denied"),
        ("broken", "unreachable", "unexpected"),
    ]
    assert {record.store: record.state for record in catalogue.store_health.all()} == {
        look.store: look.state for look in looks
    }


def test_one_that_hangs_is_not_waited_for_and_hinders_no_other(catalogue: Catalogue, stores: Stores) -> None:
    stores.opened = {"hung": Hung("hung", stores.over), "well": owned(memory("well"), catalogue)}
    started = time.monotonic()
    looks = look_at_stores(estate("hung", "well"), catalogue, stores.open, now=NOW, look_seconds=0.5)
    assert time.monotonic() - started < 5
    assert [(look.state, look.reason) for look in looks] == [("unreachable", "store_timeout"), ("healthy", None)]


def test_since_when_it_is_so(catalogue: Catalogue, stores: Stores) -> None:
    ours = estate("disk")
    found = []
    for hours, store in enumerate(
        [owned(memory("disk"), catalogue), owned(memory("disk"), catalogue), Refusing("disk", stores.over)] * 2
    ):
        stores.opened = {"disk": store}
        look_at_stores(ours, catalogue, stores.open, now=NOW + hours * HOUR)
        found += [((record.since - NOW) / HOUR, record.state) for record in catalogue.store_health.all()]
    assert found == [
        (0, "healthy"), (0, "healthy"), (2, "unreachable"), (3, "healthy"), (3, "healthy"), (5, "unreachable"),
    ]  # fmt: skip


def test_a_look_that_comes_late_changes_nothing(catalogue: Catalogue) -> None:
    disk = StoreName("disk")
    catalogue.store_health.record([Look(disk, "healthy", None, NOW)])
    catalogue.store_health.record([Look(disk, "unreachable", "store_timeout", NOW - HOUR)])
    assert catalogue.store_health.all() == [HealthRecord(disk, "healthy", None, NOW, since=NOW)]


def test_a_catalogue_without_identity_knows_nothing(catalogue: Catalogue, stores: Stores) -> None:
    (look,) = look_at_stores(estate("disk"), catalogue, stores.open, now=NOW)
    assert (look.state, look.reason) == ("unknown", "not_set_up")


def test_workers_look_at_what_they_see(catalogue: Catalogue, stores: Stores) -> None:
    ours = estate("here", "there", "yonder", queues={"there": "nvr-1", "yonder": "nvr-1"})
    assert ours.stores_by_queue() == {None: ["here"], "nvr-1": ["there", "yonder"]}
    stores.opened = {"there": owned(memory("there"), catalogue), "yonder": memory("yonder")}
    looks = look_at_stores(ours, catalogue, stores.open, now=NOW, stores=ours.stores_by_queue()["nvr-1"])
    assert [look.store for look in looks] == ["there", "yonder"]
    with pytest.raises(ConfigurationError, match="unknown store 'nowhere'"):
        look_at_stores(ours, catalogue, stores.open, now=NOW, stores=["nowhere"])
