"""Moving an object inside its store: the copy, proved. Its old place goes by way of the engine of deletion alone."""

from hashlib import sha256 as new_sha256

from reelkeeper.errors import ObjectExists, TransferCorrupted
from reelkeeper.model import Key
from reelkeeper.stores.protocols import Copies, Links, ObjectStat, Store
from reelkeeper.stores.retry import retrying


def copy_within(store: Store, source: Key, destination: Key) -> tuple[ObjectStat, ObjectStat]:
    """Make `destination` hold what `source` holds, and prove it; what the store says about both then. An equal object
    that is there already will do.

    ObjectExists when another one is there, TransferCorrupted when the copy is not as large, ObjectNotFound,
    ObjectArchived; PermanentError of the store where it cannot copy.
    """
    if not isinstance(store, Copies):
        raise ObjectExists(f"store {store.name!r} cannot copy {source!r}: expected one that can")
    is_new = True
    try:
        retrying()(store.copy, source, destination)
    except ObjectExists:
        is_new = False
    origin, copy = retrying()(store.stat, source), retrying()(store.stat, destination)
    same = origin.size_bytes == copy.size_bytes and (
        origin.sha256 is None or copy.sha256 is None or origin.sha256 == copy.sha256
    )
    if is_new:
        if not same:
            raise TransferCorrupted(
                f"{destination!r} in store {store.name!r} is not what {source!r} is: expected a copy"
            )
        return origin, copy
    if same and (origin.sha256 is None or copy.sha256 is None):
        same = _is_one_file(store, source, destination) or _sha256(store, source) == _sha256(store, destination)
    if not same:
        raise ObjectExists(f"store {store.name!r} has another object at {destination!r}: expected none, or a copy")
    return origin, copy


def _is_one_file(store: Store, one: Key, other: Key) -> bool:
    return isinstance(store, Links) and store.path_of(one).samefile(store.path_of(other))


def _sha256(store: Store, key: Key) -> str:
    digest = new_sha256()
    for chunk in store.read(key):
        digest.update(chunk)
    return digest.hexdigest()
