"""Stores that are set up by hand are a catalogue's all the same."""

from typing import Any, TypeVar

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.ownership import owner_by

S = TypeVar("S")


def owned(store: S, catalogue: Catalogue) -> S:
    """The store, marked as this catalogue's unless it is marked as somebody's."""
    marked: Any = store
    found = marked.owner()
    if found is None or found.catalogue is None:
        list(marked.set_up(owner_by(catalogue.identity.make(), marked.name)))
    return store
