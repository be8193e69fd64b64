"""What one run finds in one store: counted, judged, and recorded every few seconds.

Replicas that are missing are held back until enough of the store was seen to tell whether they are, or the store is
sick (invariant 7).
"""

import logging
from dataclasses import dataclass, field
from decimal import Decimal
from time import monotonic
from typing import Literal

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.errors import ReelkeeperError, StoreUnavailable
from reelkeeper.model import Replica, ReplicaState, StoreName
from reelkeeper.policy.reconciliation import is_sick
from reelkeeper.settings import Estate
from reelkeeper.verification.confirming import record_findings
from reelkeeper.verification.looking import ReplicaFinding

log = logging.getLogger(__name__)

Method = Literal["presence", "size", "hash"]
_RECORD_SECONDS = 2.0
_RECORD_FINDINGS = 1000
_SHOWN = 50
_MOST_HELD = 10_000


@dataclass(slots=True)
class StoreVerified:
    """What one run found in one store. Replicas, unless it says bytes."""

    store: StoreName
    method: Method
    read: int = 0  # whole, and right
    seen: int = 0  # there, and of the right size; not read
    archived: int = 0  # of those seen: must be restored before they can be read
    healed: int = 0  # doubted before, and right
    wrong: int = 0  # other bytes or another size, twice
    missing: int = 0
    unknown: int = 0  # could not be looked at: nothing is concluded
    at_risk: int = 0  # of those wrong or missing: no other store has a verified copy
    bytes_read: int = 0
    cost_usd: Decimal = Decimal(0)  # of reading, by the store's price list
    due: int = 0  # when the run began
    due_bytes: int = 0
    left: int = 0  # due, and not looked at: beyond the budget
    left_bytes: int = 0
    problems: list[str] = field(default_factory=list)  # the first ones, for people


class Findings:
    """The findings of one run. Not for several threads."""

    def __init__(self, estate: Estate, catalogue: Catalogue, store: StoreName, method: Method) -> None:
        self._estate, self._catalogue, self._method = estate, catalogue, method
        self.result = StoreVerified(store, method)
        self.looked = 0
        self.read_by_class: dict[str | None, tuple[int, int]] = {}
        """Replicas that were read, and their bytes, by storage class."""
        self.sick: StoreUnavailable | None = None
        """That the store itself is doubted."""
        self.unknown: ReelkeeperError | None = None
        """Why the first one that is unknown could not be looked at."""
        self._findings: list[ReplicaFinding] = []  # to be recorded
        self._missing: list[ReplicaFinding] = []  # held back: so many may be missing that the store is doubted
        self._told = self._absent = 0  # of those that were not doubted before: that told something, that are missing
        self._recorded_at = monotonic()

    def take(self, finding: ReplicaFinding) -> None:
        """Count a finding, and keep it for the record."""
        result, replica, error = self.result, finding.replica, finding.error
        self.looked += 1
        if finding.how == "read" and (error is None or (finding.is_wrong and not finding.is_missing)):
            number, size_bytes = self.read_by_class.get(replica.storage_class, (0, 0))
            self.read_by_class[replica.storage_class] = number + 1, size_bytes + replica.size_bytes
        self._told += replica.state is ReplicaState.AVAILABLE and (error is None or finding.is_wrong)
        if error is None:
            result.read += finding.how == "read"
            result.seen += finding.how == "seen"
            result.archived += self._method == "hash" and finding.how == "seen"
            self._findings.append(finding)
        elif finding.is_missing and replica.state is ReplicaState.AVAILABLE:
            self._missing.append(finding)
        elif finding.is_wrong:
            self._shout(replica, error)
            result.wrong += not finding.is_missing
            result.missing += finding.is_missing
            self._findings.append(finding)
        else:
            result.unknown += 1
            self.unknown = self.unknown or error
            log.warning("replica %r in store %r is unknown: %s", replica.path, replica.store, error)

    def _shout(self, replica: Replica, error: ReelkeeperError) -> None:
        log.error("segment %s: replica %r in store %r is wrong: %s",
                  replica.segment_id, replica.path, replica.store, error)  # fmt: skip
        if len(self.result.problems) < _SHOWN:
            self.result.problems.append(f"segment {replica.segment_id}: {error}")

    def record_what_is_due(self, *, store_was_dropped: bool) -> None:
        """Record what was found when that is much, or when it is time."""
        if len(self._findings) >= _RECORD_FINDINGS or monotonic() - self._recorded_at >= _RECORD_SECONDS:
            self.record(store_was_dropped=store_was_dropped)

    def record(self, *, store_was_dropped: bool, is_last: bool = False) -> None:
        """Record what was found so far; what is missing when enough of the store was seen to judge it."""
        self._recorded_at = monotonic()
        self._judge()
        findings = self._findings
        may_conclude = self.sick is None and not store_was_dropped
        if may_conclude and (is_last or len(self._missing) >= _MOST_HELD):
            for finding in self._missing:
                assert finding.error is not None  # that is why it is here
                self._shout(finding.replica, finding.error)
            self.result.missing += len(self._missing)
            self._absent += len(self._missing)
            findings, self._missing = findings + self._missing, []
        healed, at_risk = record_findings(self._estate, self._catalogue, findings)
        self._findings = []
        self.result.healed += healed
        self.result.at_risk += at_risk

    def _judge(self) -> None:
        terms = self._estate.reconcile
        absent = self._absent + len(self._missing)
        if is_sick(absent, self._told, count=terms.sick_count, ratio=terms.sick_ratio):
            self.sick = StoreUnavailable(
                f"store {self.result.store!r} lacks {absent} of {self._told} replicas that were looked at: the store "
                f"itself is doubted, and nothing is concluded (reconcile.sick_count is {terms.sick_count})"
            )
