"""Whose a store is: what its marker says, and when it may say something else.

A bucket's marker is an object beside the footage, which no listing shows; a disk's is a file of its own
(`stores/marker.py`). Without it two catalogues on one bucket would each take the other's footage for orphans.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol
from uuid import UUID

from reelkeeper.errors import ObjectNotFound, StoreNotOurs, StoreUnavailable
from reelkeeper.model import Key, StoreName
from reelkeeper.stores.protocols import Change, Owned, Owner, Reads

MARKER_KEY = Key("reelkeeper/store.json")
"""Of the marker in a bucket."""
_ABOUT = "Whose store this is. Reelkeeper moves and deletes nothing here unless this names its own catalogue."


class Markable(Owned, Reads, Protocol):
    """A store whose marker is an object."""


def marker_text(owner: Owner) -> bytes:
    """A marker's bytes: JSON."""
    catalogue = str(owner.catalogue) if owner.catalogue else None
    told = {"store": owner.store, "catalogue": catalogue, "database": owner.database, "about": _ABOUT}
    return json.dumps(told, indent=1).encode() + b"\n"


def owner_in(text: bytes) -> Owner:
    """What a marker says. ValueError when it is none."""
    try:
        told = json.loads(text)
        store, catalogue = told["store"], told.get("catalogue")
        if not isinstance(store, str):
            raise TypeError(f"'store' is {store!r}: expected a name")
        identity = UUID(catalogue) if catalogue is not None else None
        return Owner(StoreName(store), identity, str(told.get("database", "")))
    except (LookupError, TypeError, AttributeError) as exc:
        raise ValueError(f"it is no marker: {exc}") from exc


def read_owner(store: Markable) -> Owner | None:
    """`owner` of a store whose marker is an object."""
    try:
        text = b"".join(store.read(MARKER_KEY))
    except ObjectNotFound:
        return None
    try:
        return owner_in(text)
    except ValueError as exc:
        raise StoreUnavailable(
            f"store {store.name!r} has a marker {MARKER_KEY!r} that cannot be understood: expected the JSON that "
            "setup_estate writes (take the store over to have it written anew)"
        ) from exc


def mark_bucket(store: Markable, owner: Owner, write: Callable[[bytes], None], *, take_over: bool) -> Change:
    """Let the marker say `owner`: `write` puts its bytes there, in place of others. StoreNotOurs as `must_write`, and
    when another catalogue has marked the store at the same time."""
    try:
        found = store.owner()
    except StoreUnavailable:  # it may be damaged; when it is the server that does not answer, the write fails as well
        if not take_over:
            raise
        found = None
    changed = must_write(found, owner, take_over=take_over)
    if changed:
        write(marker_text(owner))
        must_write(store.owner(), owner, take_over=False)
    return told_of(f"marker {MARKER_KEY!r}", owner, found, changed=changed)


def must_write(found: Owner | None, owner: Owner, *, take_over: bool) -> bool:
    """Whether the marker is to be written so that it says `owner`, found as it is. StoreNotOurs when it says somebody
    else's, unless `take_over`."""
    if found is not None and replace(found, database=owner.database) == owner:
        return False
    is_free = found is None or (found.catalogue is None and found.store == owner.store)
    if not is_free and not take_over:
        raise StoreNotOurs(
            f"the marker of store {owner.store!r} says that it is {found}: expected {owner}. A bucket or folder "
            "belongs to one store of one catalogue: give this estate its own, or set it up with take_over when the "
            "other one has given it up for good (docs/operations.md, 'Whose a store is')"
        )
    return True


def told_of(what: str, owner: Owner, found: Owner | None, *, changed: bool) -> Change:
    """The change for people."""
    was = f", which was {found}" if changed and found and found.catalogue else ""
    return Change(f"{what}: it is {owner}{was}", changed)
