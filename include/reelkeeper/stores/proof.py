"""Proof that an object holds the bytes it should: just written, or found in the place of what was to be written."""

from contextlib import suppress
from hashlib import sha256 as new_sha256
from typing import Protocol

from reelkeeper.errors import DeletionForbidden, ObjectExists, ObjectNotFound, TransferCorrupted
from reelkeeper.model import Key, Sha256
from reelkeeper.stores.protocols import Deletes, ObjectStat, Reads, Stats


class Readable(Stats, Reads, Protocol):
    """A store whose objects can be looked at."""


class Correctable(Stats, Reads, Deletes, Protocol):
    """A store whose objects can be looked at and, when just written wrongly, taken away."""


def verify_object(store: Readable, key: Key, size_bytes: int, sha256: Sha256, *, attested: bool) -> None:
    """Prove that `key` holds these bytes: by its size when the store attested the write, else by reading it all.

    TransferCorrupted when it holds others, ObjectNotFound when it is not there.
    """
    if attested:
        size = store.stat(key).size_bytes
        if size != size_bytes:
            raise TransferCorrupted(f"{key!r} in store {store.name!r} has {size} bytes: expected {size_bytes}")
        return
    digest, size = new_sha256(), 0
    for chunk in store.read(key):
        digest.update(chunk)
        size += len(chunk)
    if size != size_bytes or digest.hexdigest() != sha256:
        raise TransferCorrupted(
            f"{key!r} in store {store.name!r} has {size} bytes with SHA-256 {digest.hexdigest()}: "
            f"expected {size_bytes} bytes with {sha256}"
        )


def verify_written(store: Correctable, key: Key, size_bytes: int, sha256: Sha256) -> None:
    """Read back what the caller has just written. TransferCorrupted when it is not what was sent.

    What is wrong twice is taken away, so that the next try finds the place free.
    """
    try:
        verify_object(store, key, size_bytes, sha256, attested=False)
    except (TransferCorrupted, ObjectNotFound):
        # A read can go wrong as well as a write: look once more before anything is taken away.
        try:
            verify_object(store, key, size_bytes, sha256, attested=False)
        except ObjectNotFound as gone:
            raise TransferCorrupted(f"{key!r} in store {store.name!r} is not there after it was written") from gone
        except TransferCorrupted:
            with suppress(DeletionForbidden):  # it stays, then, and is in the way of the next try, which says so
                store.delete([key])
            raise


def accept_existing(store: Readable, key: Key, size_bytes: int, sha256: Sha256, *, attested: bool) -> ObjectStat:
    """Take the object that is there already for ours if it is equal: a killed run wrote it, or another worker.

    Where writes are attested, an object and the SHA-256 in its metadata came into being together, so that one proves
    the other; elsewhere, and without such metadata, it is read. What the store says about it: it
    may lie in another class than it would now be written to. ObjectExists when it differs; TransferCorrupted when it
    went away meanwhile.
    """
    try:
        found = store.stat(key)
        if found.size_bytes == size_bytes and (found.sha256 is None or not attested):
            verify_object(store, key, size_bytes, sha256, attested=False)
            return found
    except TransferCorrupted as different:
        raise ObjectExists(f"an object with other bytes is in the way: {different}") from different
    except ObjectNotFound as gone:
        raise TransferCorrupted(f"{key!r} in store {store.name!r} went away while it was looked at") from gone
    if found.size_bytes != size_bytes or found.sha256 != sha256:
        raise ObjectExists(
            f"an object with other bytes is in the way: {key!r} in store {store.name!r} has {found.size_bytes} bytes "
            f"with SHA-256 {found.sha256}: expected {size_bytes} bytes with {sha256}"
        )
    return found
