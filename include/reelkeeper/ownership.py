"""Whether a store is this catalogue's: asked before anything is concluded from what it holds, or taken away from it.

Two estates on one bucket would each take the other's footage for orphans. So each store has a marker that names its
catalogue (`stores/owner.py`), and a job that may destroy something reads it first: once, for it does not change. What
cannot be read is unknown, and nothing is done.
"""

from collections.abc import Callable

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.identity import CatalogueId
from reelkeeper.errors import StoreNotOurs
from reelkeeper.model import StoreName
from reelkeeper.stores.protocols import Owned, Owner
from reelkeeper.stores.retry import retrying


class Ownership:
    """Whether stores are a catalogue's, each asked until it has said yes. May be shared between threads."""

    def __init__(self, catalogue: Catalogue, open_store: Callable[[str], Owned]) -> None:
        self._identity = retrying()(catalogue.identity.find)
        self._open_store = open_store
        self._ours: set[str] = set()

    def require(self, store: str) -> None:
        """StoreNotOurs when the store is not this catalogue's, or does not say. StoreUnavailable, AccessDenied …: it
        cannot be told now."""
        if store not in self._ours:
            expect_ours(self._open_store(store), self._identity)
            self._ours.add(store)


def require_ours(catalogue: Catalogue, store: Owned) -> None:
    """The same for one store that is open."""
    Ownership(catalogue, lambda _: store).require(store.name)


def owner_by(identity: CatalogueId, store: StoreName) -> Owner:
    """What the marker of a store says that is this catalogue's."""
    return Owner(store, identity.id, identity.database)


def expect_ours(store: Owned, identity: CatalogueId | None) -> None:
    """The same by an identity that was found before: the catalogue is not asked."""
    found = retrying()(store.owner)
    ours = owner_by(identity, store.name) if identity else None
    if found is None or found.catalogue is None or ours is None:
        raise StoreNotOurs(
            f"store {store.name!r} was not set up from this catalogue: its marker "
            f"{'is missing' if found is None else f'says that it is {found}'}, expected {ours or 'one that names it'}. "
            "Nothing is taken from it, and nothing concluded: run the DAG setup_estate, which writes the marker"
        )
    if (found.catalogue, found.store) != (ours.catalogue, ours.store):
        raise StoreNotOurs(
            f"store {store.name!r} is not this catalogue's: its marker says that it is {found}, expected {ours}. "
            "Nothing is taken from it, and nothing concluded (see docs/operations.md, 'Whose a store is')"
        )
