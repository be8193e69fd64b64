"""What looks at replicas come to in the catalogue: what is right is confirmed, what is wrong becomes suspicious."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.verification import Found
from reelkeeper.errors import ObjectNotFound, ReelkeeperError
from reelkeeper.model import Replica, ReplicaState, SegmentId
from reelkeeper.pricing import tier_of_class
from reelkeeper.settings import Estate
from reelkeeper.stores.protocols import Store
from reelkeeper.stores.retry import retrying
from reelkeeper.verification.looking import Looker, ReplicaFinding

log = logging.getLogger(__name__)


def verify_segment(
    estate: Estate,
    catalogue: Catalogue,
    open_store: Callable[[str], Store],
    segment_id: SegmentId,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> list[ReplicaFinding]:
    """Read every replica of one segment whole, and record what was found: what is right is available, though it was
    doubted; what is wrong is suspicious. One that is condemned stays so.

    ObjectNotFound when the catalogue does not know the segment.
    """
    segment = catalogue.segments.get(segment_id)
    if segment is None:
        raise ObjectNotFound(f"segment {str(segment_id)!r} is not in the catalogue")
    replicas = catalogue.replicas.of_segments([(segment.id, segment.start_time)]).get(segment.id, [])
    findings = [_read_one(open_store, replica, now) for replica in replicas]
    record_findings(estate, catalogue, findings)
    return findings


def _read_one(open_store: Callable[[str], Store], replica: Replica, now: Callable[[], datetime]) -> ReplicaFinding:
    try:
        looker = Looker(open_store(replica.store), concurrency=1, now=now)
    except ReelkeeperError as error:  # the store is not the estate's any more, or has no connection
        return ReplicaFinding(replica, now(), "read", error)
    return looker.read(replica)


def record_findings(estate: Estate, catalogue: Catalogue, findings: Sequence[ReplicaFinding]) -> tuple[int, int]:
    """What was right is confirmed, what was wrong suspicious. How many were healed; how many have no good copy left.

    What is in another class than recorded is recorded in that one, and in the tier that its store has it for. Local
    copies that lost their retirement date when a copy elsewhere was doubted get one anew when that is right, counted
    from now. Recording twice changes nothing.
    """
    healed = _confirm(estate, catalogue, [each for each in findings if each.error is None])
    _reclass(estate, catalogue, findings)
    wrong = [each.replica for each in findings if each.is_wrong]
    if not wrong:
        return healed, 0
    retrying()(catalogue.replicas.suspect, wrong)
    copies = retrying()(catalogue.replicas.of_segments, [(one.segment_id, one.start_time) for one in wrong])
    at_risk = sum(
        bool(copies.get(one.segment_id))  # a segment that is gone was deleted meanwhile
        and not any(copy.state is ReplicaState.AVAILABLE for copy in copies[one.segment_id])
        for one in wrong
    )
    return healed, at_risk


def _confirm(estate: Estate, catalogue: Catalogue, right: Sequence[ReplicaFinding]) -> int:
    healed = 0
    for store in sorted({each.replica.store for each in right}):
        there = [each for each in right if each.replica.store == store]
        retire_others = estate.retire_others_after(store, max(each.at for each in there))
        found = [Found(each.replica, each.at, each.how == "read") for each in there]
        healed += retrying()(catalogue.verification.confirm, found, retire_others=retire_others)
    return healed


def _reclass(estate: Estate, catalogue: Catalogue, findings: Sequence[ReplicaFinding]) -> None:
    seen = [each.reclassed for each in findings if each.reclassed]
    if not seen:
        return
    for each in seen:
        log.warning("segment %s: replica %r in store %r is in class %s, without the catalogue's knowledge",
                    each.segment_id, each.path, each.store, each.storage_class)  # fmt: skip
    reclassed = [
        replace(each, tier=tier_of_class(estate.store(each.store), each.storage_class, otherwise=each.tier))
        for each in seen
    ]
    retrying()(catalogue.replicas.reclass, reclassed, now=max(each.at for each in findings))
