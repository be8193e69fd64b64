"""Workers that die between two steps. Run as a program, it dies by a real SIGKILL."""

import os
import signal
import sys
from collections.abc import Callable
from copy import copy
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psycopg2

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.ingest import job as ingest
from reelkeeper.ingest import worker as ingest_worker
from reelkeeper.landing.source import Source
from reelkeeper.landing.zones import open_zone
from reelkeeper.stores.protocols import Store
from tests.ingest.rig import Rig

LEASE = timedelta(milliseconds=50)
_ZONE = ("scan", "look_again", "look", "sidecar", "fetch", "remove", "quarantine_place", "quarantine")
_STORE = ("stat", "read", "write", "link_in", "delete")
_CATALOGUE = {
    "cameras": ("by_slug", "register"), "segments": ("find", "record"), "replicas": ("of_segments",),
    "landing": ("known", "plan", "claim", "counts", "finish_quarantined", "finish_duplicates", "release", "open_items",
                "put_back"),
    "transfers": ("get",),
}  # fmt: skip


class Death(BaseException):
    """What a kill is to the code: nothing that handles errors sees it."""


class Fate:
    """Counts the calls of what ingest asks, and dies before or after the one of this number. Dead is dead."""

    def __init__(self, at: int, *, after: bool = False, kill: Callable[[], None] | None = None) -> None:
        self.calls: list[str] = []
        self._at, self._after, self._kill = at, after, kill
        self._is_dead = False

    def bind(self, thing: Any, label: str, methods: tuple[str, ...]) -> None:
        for method in methods:
            if hasattr(thing, method):
                setattr(thing, method, self._mortal(f"{label}.{method}", getattr(thing, method)))

    def _mortal(self, label: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def mortal(*arguments: Any, **more: Any) -> Any:
            if self._is_dead:
                raise Death
            number = len(self.calls)
            self.calls.append(label)
            if number == self._at and not self._after:
                self._die()
            result = call(*arguments, **more)
            if number == self._at:
                self._die()
            return result

        return mortal

    def _die(self) -> None:
        self._is_dead = True
        if self._kill:
            self._kill()
        raise Death


def run_mortal(rig: Rig, fate: Fate) -> None:
    """One run whose every step is mortal."""
    open_catalogue, stores = rig.open_catalogue, {name: copy(rig.open_store(name)) for name in ("local", "cloud")}
    for label, store in stores.items():
        fate.bind(store, label, _STORE)

    def open_mortal_catalogue() -> Catalogue:
        catalogue = open_catalogue()
        for repository, methods in _CATALOGUE.items():
            fate.bind(getattr(catalogue, repository), repository, methods)
        return catalogue

    def open_mortal_zone(*arguments: Any, **more: Any) -> Source:
        source = open_zone(*arguments, **more)
        fate.bind(source, "zone", _ZONE)
        return source

    def open_mortal_store(name: str) -> Store:
        return stores[name]

    with (
        patch.object(rig, "open_catalogue", open_mortal_catalogue),
        patch.object(rig, "open_store", open_mortal_store),
        patch.object(rig, "lease", LEASE),
        patch.object(ingest, "open_zone", open_mortal_zone),
        patch.object(ingest_worker, "open_zone", open_mortal_zone),
    ):
        rig.run(stale_after=timedelta(0))


def main(root: str, dsn: str, at: str) -> None:
    def connect() -> Any:
        return psycopg2.connect(dsn)

    rig = Rig(Path(root), lambda: Catalogue(connect), None, connect)
    run_mortal(rig, Fate(int(at), kill=lambda: os.kill(os.getpid(), signal.SIGKILL)))


if __name__ == "__main__":
    main(*sys.argv[1:])
