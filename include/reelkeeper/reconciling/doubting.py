"""What becomes of replicas that a listing did not show as recorded, and of those that were doubted before.

A replica is lost only after three looks: the listing, a look at the object, which makes it suspicious, and another one
after all the rest. A doubted one that is there again is available after its bytes were read.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.comparison import Difference
from reelkeeper.errors import ObjectArchived, ObjectNotFound, ReelkeeperError, TransferCorrupted
from reelkeeper.model import Replica, ReplicaState
from reelkeeper.reports import Report
from reelkeeper.settings import Estate
from reelkeeper.stores.breaker import Breaker
from reelkeeper.stores.proof import verify_object
from reelkeeper.stores.protocols import Store
from reelkeeper.stores.retry import retrying

log = logging.getLogger(__name__)

T = TypeVar("T")
_READERS = 4
_DOUBTED = (ReplicaState.SUSPICIOUS, ReplicaState.LOST)


@dataclass(frozen=True, slots=True)
class Doubts:
    """What became of doubted replicas."""

    lost: int = 0  # now, those of earlier runs included
    wrong_size: int = 0  # of these
    healed: int = 0


@dataclass(frozen=True, slots=True)
class _Look:
    """What the store says about a replica's object now. `size_bytes` is None when it is not there."""

    difference: Difference
    replica: Replica  # as the catalogue has it now
    size_bytes: int | None

    @property
    def is_wrong(self) -> bool:
        return self.size_bytes != self.replica.size_bytes


def judge_replicas(
    estate: Estate,
    catalogue: Catalogue,
    store: Store,
    report: Report,
    *,
    now: datetime,
    dry_run: bool,
    concurrency: int,
) -> Doubts:
    """Look again at every replica that a comparison did not find as recorded or that was doubted, and report each.

    A dry run looks, and changes nothing. About an object that cannot be asked about nothing is concluded. The error of
    a store that does not answer about several in a row, or not at all: what was concluded by then stays.
    """
    judge = _Judge(estate, catalogue, store, report, now, dry_run, concurrency)
    if not dry_run:
        judge.suspect()
    judge.heal()
    judge.lose()
    return Doubts(judge.lost, judge.wrong_size, judge.healed)


class _Judge:
    """One store's doubted replicas."""

    def __init__(
        self,
        estate: Estate,
        catalogue: Catalogue,
        store: Store,
        report: Report,
        now: datetime,
        dry_run: bool,
        concurrency: int,
    ) -> None:
        self._estate, self._catalogue, self._store, self._report = estate, catalogue, store, report
        self._now, self._dry_run, self._concurrency = now, dry_run, concurrency
        self._may_read = estate.verification.bytes_per_run
        self._breaker = Breaker(store.name)
        self._unknown: set[str] = set()  # paths
        self.lost = self.wrong_size = self.healed = 0

    def suspect(self) -> None:
        """The second look."""
        for page in self._catalogue.comparison.differences("missing", "wrong_size"):
            wrong = [look.replica for look in self._looks(page) if look.is_wrong]
            self._catalogue.replicas.suspect([each for each in wrong if each.state is ReplicaState.AVAILABLE])

    def heal(self) -> None:
        """Those that were doubted before and were listed with their right size."""
        for page in self._catalogue.comparison.differences("doubted"):
            self._settle([look for look in self._looks(page) if look.replica.state in _DOUBTED])

    def lose(self) -> None:
        """The third look."""
        for page in self._catalogue.comparison.differences("missing", "wrong_size"):
            looks = [look for look in self._looks(page) if self._dry_run or look.replica.state in _DOUBTED]
            self._settle([look for look in looks if not look.is_wrong and look.replica.state in _DOUBTED])
            self._conclude([look for look in looks if look.is_wrong])

    def _looks(self, page: Sequence[Difference]) -> list[_Look]:
        """Look at the objects of those replicas that still have their row."""
        rows = self._catalogue.replicas.by_path(self._store.name, [one.path for one in page])
        current = [
            (one, row)
            for one in page
            if (row := rows.get(one.path))
            and row.segment_id == one.segment_id
            and row.state is not ReplicaState.CONDEMNED
        ]
        if not current:
            return []
        with ThreadPoolExecutor(min(self._concurrency, len(current)), thread_name_prefix="look") as pool:
            sizes = list(pool.map(lambda pair: self._asked(self._size_of, pair[1]), current))
        looks = []
        for (one, row), size in zip(current, sizes, strict=True):
            if isinstance(size, ReelkeeperError):
                self._tell_unknown(_Look(one, row, None), size)
            else:
                looks.append(_Look(one, row, size))
        return looks

    def _asked(self, question: Callable[[Replica], T], replica: Replica) -> T | ReelkeeperError:
        """The answer about one object, or why there is none; raises when it is the store that gives none."""
        self._breaker.require()
        try:
            answer = question(replica)
        except ReelkeeperError as error:
            self._breaker.failed(error)
            return error
        self._breaker.succeeded()
        return answer

    def _size_of(self, replica: Replica) -> int | None:
        try:
            return retrying()(self._store.stat, replica.path).size_bytes
        except ObjectNotFound:
            return None

    def _settle(self, looks: Iterable[_Look]) -> None:
        """Read those that are there, of the right size: they are right, or damaged."""
        chosen = []
        for look in looks:
            if look.replica.size_bytes > self._may_read:
                self._tell("suspicious", look, "waits: a later run reads it")
                continue
            self._may_read -= look.replica.size_bytes
            chosen.append(look)
        if not chosen:
            return
        with ThreadPoolExecutor(min(_READERS, len(chosen)), thread_name_prefix="read") as pool:
            verdicts = list(pool.map(lambda look: self._asked(self._is_right, look.replica), chosen))
        right = [look for look, is_right in zip(chosen, verdicts, strict=True) if is_right is True]
        for look in right:
            self._tell("healed", look, "its bytes are right: available again")
        if not self._dry_run:
            retire_others = self._estate.retire_others_after(self._store.name, self._now)
            self._catalogue.repairs.heal([look.replica for look in right], now=self._now, retire_others=retire_others)
        self.healed += len(right)
        self._conclude([look for look, is_right in zip(chosen, verdicts, strict=True) if is_right is False])
        for look, is_right in zip(chosen, verdicts, strict=True):
            if isinstance(is_right, ReelkeeperError):
                self._tell_unknown(look, is_right)
            if is_right is None:
                self._tell("suspicious", look, "cannot be read: it is archived, and carries no SHA-256 that proves it")

    def _is_right(self, replica: Replica) -> bool | None:
        """Whether the object holds the replica's bytes; None when that cannot be told."""
        store = self._store
        try:
            retrying(tries=2)(verify_object, store, replica.path, replica.size_bytes, replica.checksum, attested=False)
        except (TransferCorrupted, ObjectNotFound):
            return False
        except ObjectArchived:
            sha256 = store.stat(replica.path).sha256 if store.attests_writes else None
            return None if sha256 is None else sha256 == replica.checksum
        return True

    def _conclude(self, looks: Sequence[_Look]) -> None:
        """These are lost."""
        if not looks:
            return
        if not self._dry_run:
            self._catalogue.repairs.lose([look.replica for look in looks], now=self._now)
        names = [(look.replica.segment_id, look.replica.start_time) for look in looks]
        copies = self._catalogue.replicas.of_segments(names)
        stores = {store.name for store in self._estate.stores} - {self._store.name}
        for look in looks:
            good = sorted(
                copy.store
                for copy in copies.get(look.replica.segment_id, [])
                if copy.state is ReplicaState.AVAILABLE and copy.store in stores
            )
            follows = f"to be repaired from {' or '.join(good)}" if good else "no other copy: it stays lost"
            self._tell("lost" if look.size_bytes is None else "damaged", look, follows)
            if not good:
                log.error("store %r has lost %r, and there is no other copy", self._store.name, look.replica.path)
        self.lost += len(looks)
        self.wrong_size += sum(look.size_bytes is not None and look.is_wrong for look in looks)

    def _tell_unknown(self, look: _Look, error: ReelkeeperError) -> None:
        if look.replica.path not in self._unknown:
            log.error("store %r: %r could not be looked at: %s", self._store.name, look.replica.path, error)
            self._tell("unknown", look, f"waits: {error}")
        self._unknown.add(look.replica.path)

    def _tell(self, finding: str, look: _Look, follows: str) -> None:
        modified = look.difference.modified_at.isoformat() if look.difference.modified_at else None
        self._report.add(
            finding, look.replica.path, str(look.replica.segment_id), look.size_bytes, look.replica.size_bytes,
            modified, None, follows,
        )  # fmt: skip
