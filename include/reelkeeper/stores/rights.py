"""The health checks that stores share: may we write, look, list, read and delete? Is there room on the disk?"""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress

from reelkeeper.errors import (
    AccessDenied,
    BucketNotFound,
    BucketOwnedByOther,
    CredentialsNotFound,
    ObjectNotFound,
    ReelkeeperError,
    RegionMismatch,
    StoreFull,
    StoreNotOurs,
    StoreUnavailable,
)
from reelkeeper.model import Key
from reelkeeper.stores.body import Body
from reelkeeper.stores.guard import PROBES
from reelkeeper.stores.protocols import Check, Store

_CURES: dict[type[ReelkeeperError], str] = {
    CredentialsNotFound: "put the access key and secret into the store's Airflow connection",
    AccessDenied: "check the connection's keys, and grant list, get, put and delete on the bucket or folder",
    BucketNotFound: "run the DAG setup_estate, which makes it, or correct the store's bucket",
    BucketOwnedByOther: "choose another bucket name: this one belongs to another account",
    RegionMismatch: "set the store's region to the one that the message names",
    StoreFull: "free space, or raise the quota",
    StoreNotOurs: "run the DAG setup_estate; where another catalogue is named, see 'Whose a store is' in "
    "docs/operations.md",
    StoreUnavailable: "look whether the server runs and its address is right; a disk must be mounted and set up",
}


_LOW_SPACE_RATIO = 0.05


def cure_of(error: Exception) -> str:
    """What a person can do about an error of a store."""
    return next((cure for kind, cure in _CURES.items() if isinstance(error, kind)), "see the log for the cause")


def try_out(what: str, attempt: Callable[[], str]) -> Check:
    """One finding: `attempt` returns its detail, or raises."""
    try:
        return Check(what, True, attempt())
    except Exception as exc:  # noqa: BLE001 - a health check reports whatever goes wrong
        return Check(what, False, f"{type(exc).__name__}: {exc}", cure_of(exc))


def check_space(root: str) -> Check:
    """Whether there is room left on the disk of `root`."""
    try:
        facts = os.statvfs(root)
    except OSError as exc:
        return Check("space", False, str(exc), f"look at the disk of {root!r}")
    ratio = facts.f_bavail / facts.f_blocks if facts.f_blocks else 1.0
    detail = f"{facts.f_bavail * facts.f_frsize / 2**30:.1f} GiB free ({ratio:.0%})"
    return Check("space", ratio >= _LOW_SPACE_RATIO, detail, "free space, or shorten local_retention_days")


def check_rights(store: Store) -> Iterator[Check]:
    """Write, look at, list, read and delete one small object under temp/. Stops at the first thing that fails."""
    key = Key(f"{PROBES}{secrets.token_hex(12)}")
    data = b"reelkeeper was here\n"

    def write() -> str:
        store.write(key, Body.of_bytes(data))
        return ""

    def look() -> str:
        return f"{store.stat(key).size_bytes} bytes"

    def list_() -> str:
        found = [stat.key for stat in store.list(key)]
        if found != [key]:
            raise StoreUnavailable(f"listing {key!r} gave {found!r}: expected the object just written")
        return ""

    def read() -> str:
        if (got := b"".join(store.read(key))) != data:
            raise StoreUnavailable(f"read {got!r}: expected {data!r}")
        return ""

    def delete() -> str:
        for error in store.delete([key]).values():
            raise error
        with suppress(ObjectNotFound):
            store.stat(key)
            raise StoreUnavailable(f"{key!r} is still there after its deletion")
        return ""

    attempts = {"write": write, "look": look, "list": list_, "read": read}
    for what, attempt in attempts.items():
        finding = try_out(what, attempt)
        yield finding
        if not finding.ok:
            break
    else:
        yield try_out("delete", delete)
        return
    if what != "write":
        yield try_out("delete", delete)
