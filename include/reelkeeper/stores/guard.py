"""The switch `deletion = "forbidden"` of a store, where no caller can get around it: in the store itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from reelkeeper.errors import DeletionForbidden, InvalidKey
from reelkeeper.model import Key, StoreName
from reelkeeper.stores.owner import MARKER_KEY

PROBES = "temp/check-"
"""Below it lie the objects that a health check writes and deletes to try its rights: they are no one's footage."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What a store asks before it takes anything away."""

    store: StoreName
    may_delete: bool = True

    def deleting(self, keys: Sequence[Key]) -> None:
        """DeletionForbidden, unless deletion is allowed or nothing but probes would go. InvalidKey for the marker."""
        if MARKER_KEY in keys:
            raise InvalidKey(f"key {MARKER_KEY!r} is the marker of store {self.store!r}: expected an object's")
        if not self.may_delete and (kept := [key for key in keys if not key.startswith(PROBES)]):
            self.removing(f"delete {len(kept)} objects, such as {kept[0]!r}")

    def removing(self, what: str) -> None:
        """DeletionForbidden, unless deletion is allowed. `what` would be done, for the message."""
        if not self.may_delete:
            raise DeletionForbidden(
                f"store {self.store!r} was not asked to {what}: its settings say deletion = 'forbidden', "
                "expected 'allowed'"
            )
