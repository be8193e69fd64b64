"""Deletions that die between two steps; run as a program, by a real SIGKILL: `python -m … ROOT DSN AT AFTER`."""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from pathlib import Path
from typing import Any

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.model import Segment
from reelkeeper.policy.retention import Reason
from reelkeeper.retention import deleting
from reelkeeper.retention.job import condemn_due
from reelkeeper.stores.filesystem import FilesystemStore
from tests.owning import owned
from tests.retention.rig import CLOUD, DISK, LATE, START, STEP, Rig

_STORE = ("stat", "delete")
_CATALOGUE = {
    "condemnations": ("claim", "promise_to_locks", "forget", "postpone", "hold", "spare", "prepare_history"),
    "evidence": ("replicas", "good_copies", "footage", "known"),
    "replicas": ("suspect",),
    "locks": ("on",),
    "retention": ("contents", "sweep"),
}  # fmt: skip


class Death(BaseException):
    """What a kill is to the code: nothing that handles errors sees it."""


class Fate:
    """Counts the calls of what a deletion asks, and fails before or after the one of this number."""

    def __init__(self, at: int, *, after: bool, fail: Callable[[], None]) -> None:
        self.calls: list[str] = []
        self._at, self._after, self._fail = at, after, fail

    def bind(self, thing: Any, label: str, methods: tuple[str, ...]) -> Any:
        for method in methods:
            setattr(thing, method, self._mortal(f"{label}.{method}", getattr(thing, method)))
        return thing

    def _mortal(self, label: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def mortal(*arguments: Any, **more: Any) -> Any:
            number = len(self.calls)
            self.calls.append(label)
            if number == self._at and not self._after:
                self._fail()
            result = call(*arguments, **more)
            if number == self._at:
                self._fail()
            return result

        return mortal


def disks(root: Path) -> dict[str, Any]:
    """Two stores that outlive a process."""
    stores = {name: FilesystemStore(name, root / name) for name in (DISK, CLOUD)}
    for store in stores.values():
        list(store.set_up())
    return stores  # type: ignore[return-value]


def run_all(rig: Rig, fate: Fate | None = None) -> None:
    """A whole run: condemn what is due, delete what is condemned, in each store; mortal with a fate."""
    open_catalogue, stores = rig.open_catalogue, rig.stores
    for store in stores.values():
        owned(store, rig.catalogue)

    def open_mortal() -> Catalogue:
        catalogue = open_catalogue()
        if fate:
            for repository, methods in _CATALOGUE.items():
                fate.bind(getattr(catalogue, repository), repository, methods)
        return catalogue

    mortal = {name: fate.bind(copy(store), name, _STORE) if fate else store for name, store in stores.items()}
    for store in (DISK, CLOUD):
        with open_mortal() as catalogue:
            condemn_due(rig.estate, catalogue, store, run_id="run", now=LATE)
        deleting.delete_condemned(rig.estate, open_mortal, mortal.__getitem__, store, run_id="run", now=LATE)


def world(rig: Rig, number: int) -> dict[str, list[Segment]]:
    """Footage of each fate: expired, held, retiring with a good, a missing and a short copy, condemned and owed."""
    new = LATE - (LATE - START) / 4
    made = {
        "expired": rig.record(3, camera=f"expired-{number}", thumbnails=True),
        "held": rig.record(2, camera=f"held-{number}"),
        "retiring": rig.record(2, camera=f"retiring-{number}", start=new),
        "missing": rig.record(1, camera=f"missing-{number}", start=new),
        "alone": rig.record(1, camera=f"alone-{number}", start=new, stores=(DISK,)),
        "raised": rig.record(1, camera=f"raised-{number}", start=new + STEP),
    }
    rig.catalogue.locks.place(lock_on(made["held"][0]), created_by="me", now=START)
    retiring = [str(segment.id) for what in ("retiring", "missing", "alone") for segment in made[what]]
    rig.sql("UPDATE replicas SET retire_after = %s WHERE store = 'disk' AND segment_id = ANY (%s::uuid[])",
            (START, retiring))  # fmt: skip
    rig.stores[CLOUD].delete([rig.replicas(made["missing"][0])[CLOUD].path])
    rig.condemn(made["raised"], DISK, Reason.EXPIRED, now=LATE)
    return made


def lock_on(segment: Segment) -> Any:
    from reelkeeper.policy.retention import Lock

    return Lock("legal_hold", "case", segment.camera_id)


def main(root: str, dsn: str, at: str, after: str) -> None:
    rig = Rig(Path(root), dsn, disks(Path(root)))
    prepare(rig)
    fate = Fate(int(at), after=after == "after", fail=lambda: os.kill(os.getpid(), signal.SIGKILL))
    with suppress(Death):
        run_all(rig, fate)


def prepare(rig: Rig) -> None:
    """Without caps and grace, one worker, so that the steps have an order."""
    from reelkeeper.settings import Retention, RetentionCaps

    caps = RetentionCaps(soft_count=10**6, soft_ratio=1, hard_count=10**6, hard_ratio=1)
    rig.sections |= {"retention": Retention(grace_hours=0), "retention_caps": caps}
    deleting._WORKERS = 1


if __name__ == "__main__":
    main(*sys.argv[1:])
