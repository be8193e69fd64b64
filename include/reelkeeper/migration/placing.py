"""In which tier a migration writes each copy."""

from collections.abc import Callable
from functools import cached_property

from reelkeeper.catalogue.records import TransferItem
from reelkeeper.errors import ReelkeeperError
from reelkeeper.migration.terms import Terms
from reelkeeper.pricing import WritePlace, WritePlaces
from reelkeeper.settings import StoreSettings
from reelkeeper.stores.protocols import Store


class Placing:
    """Chooses for one destination."""

    def __init__(self, destination: StoreSettings, open_store: Callable[[str], Store], terms: Terms) -> None:
        self._destination, self._open_store, self._terms = destination, open_store, terms
        self._places = WritePlaces(terms.current_estate())

    def choose(self, item: TransferItem) -> WritePlace:
        """The tier to write to. An archive is for what can be read at its source for a while, and not read back."""
        estate = self._terms.current_estate()
        stays = estate.migration.local_retention_days > 0 or not self._terms.delete_local
        return self._places.choose(
            self._destination, size_bytes=item.size_bytes, start_time=item.start_time,
            retention_days=item.retention_days, now=self._terms.now(),
            readable=self._reads_back or not (stays and estate.is_local(estate.store(item.source_store))),
        )  # fmt: skip

    @cached_property
    def _reads_back(self) -> bool:
        """Whether what is written is read. Taken for so where the store does not answer: the transfers tell of that."""
        if self._terms.verify == "read_back":
            return True
        try:
            return not self._open_store(self._destination.name).attests_writes
        except ReelkeeperError:
            return True
