"""Where to read a segment: from the cloud first, then from the local store, and where it can be read at once.

A segment that only a local store has, though policy wants it in the cloud, is asked for at the next migration, at low
priority: what is read is wanted soon.
"""

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.transfers import PRIORITY_READ
from reelkeeper.errors import ConfigurationError, ObjectArchived, ObjectNotFound
from reelkeeper.model import CameraId, Replica, ReplicaState, Segment, SegmentId, TimeRange
from reelkeeper.policy.placement import belongs_in_cloud
from reelkeeper.policy.restoration import can_be_read, is_served
from reelkeeper.ramp import current_percentage
from reelkeeper.restoring.plan import Offers
from reelkeeper.settings import Estate

log = logging.getLogger(__name__)

_INSTANT = timedelta(microseconds=1)
_CENT = Decimal("0.01")


def locate(estate: Estate, catalogue: Catalogue, segment_id: SegmentId, *, now: datetime) -> Replica:
    """The replica from which to read a segment; it counts as read from that store.

    One that is verified and can be read at once, in a cloud store or else in a local one; without any, one that is
    suspicious, as unknown is not missing: its reader may find that it is gone. In the modes local and milestone only
    local stores are read, and nothing is asked for. A store that is no longer part of the estate is not read.

    ObjectArchived when there are only archived ones: it says what a restore takes. ObjectNotFound when there is none.
    """
    segment = catalogue.segments.get(segment_id)
    if segment is None:
        raise ObjectNotFound(f"video not found: segment {str(segment_id)!r} is not in the catalogue")
    return _choose(estate, catalogue, segment, now)


def locate_at(estate: Estate, catalogue: Catalogue, camera_id: CameraId, moment: datetime, *, now: datetime) -> Replica:
    """The replica from which to read what a camera recorded at `moment`, chosen as `locate` does."""
    segments = catalogue.segments.overlapping(camera_id, TimeRange(moment, moment + _INSTANT))
    if not segments:
        raise ObjectNotFound(f"video not found: camera {str(camera_id)!r} has no segment at {moment.isoformat()!r}")
    return _choose(estate, catalogue, segments[-1], now)


def copies(
    estate: Estate, catalogue: Catalogue, segments: Sequence[Segment], *, now: datetime
) -> dict[SegmentId, tuple[Replica, ...]]:
    """All replicas from which each segment can be read at once, the best first, for who reads many and needs each.

    What would be read from a local store, though policy wants it in the cloud, is asked for as by `locate`. What is
    read of them counts when it is recorded as an export's source.
    ObjectArchived, ObjectNotFound for the first segment that cannot be read.
    """
    found = catalogue.replicas.of_segments([(segment.id, segment.start_time) for segment in segments])
    served = {segment.id: _served(estate, found.get(segment.id, ())) for segment in segments}
    readable = {
        segment.id: _readable(estate, segment, found.get(segment.id, ()), served[segment.id], now)
        for segment in segments
    }
    sure = [segment for segment in segments if readable[segment.id][0].state is ReplicaState.AVAILABLE]
    _ask_for(estate, catalogue, [segment for segment in sure if _is_local_only(estate, served[segment.id])])
    return readable


def _choose(estate: Estate, catalogue: Catalogue, segment: Segment, now: datetime) -> Replica:
    found = catalogue.replicas.of_segments([(segment.id, segment.start_time)]).get(segment.id, [])
    served = _served(estate, found)
    replica = _readable(estate, segment, found, served, now)[0]
    if replica.state is ReplicaState.SUSPICIOUS:
        log.warning("segment %s is read from store %r, where a look did not find it as recorded: there is no "
                    "better copy", segment.id, replica.store)  # fmt: skip
    elif _is_local_only(estate, served):
        _ask_for(estate, catalogue, [segment])
    catalogue.tallies.note_retrieval(replica.store, replica.size_bytes)
    return replica


def _served(estate: Estate, found: Sequence[Replica]) -> list[Replica]:
    return list(_in_order(estate, [replica for replica in found if is_served(replica)]))


def _readable(
    estate: Estate, segment: Segment, found: Sequence[Replica], served: Sequence[Replica], now: datetime
) -> tuple[Replica, ...]:
    """Those of `served` that can be read at once, at least one."""
    if readable := tuple(replica for replica in served if can_be_read(replica, now)):
        return readable
    if served:
        raise ObjectArchived(f"segment {str(segment.id)!r} is {'; '.join(_restores(estate, served))}")
    there = sorted(f"{replica.store} ({replica.state})" for replica in found)
    raise ObjectNotFound(
        f"video not found: segment {str(segment.id)!r} has copies in {there}: expected an available one in a store "
        f"that placement.mode {estate.placement.mode!r} reads"
    )


def _in_order(estate: Estate, replicas: Sequence[Replica]) -> Iterator[Replica]:
    """Those in stores that the mode reads: verified ones first, then the cloud's, then those of the usual stores."""
    uses_cloud = estate.placement.mode in ("cloud", "hybrid")
    usual = (estate.placement.cloud_store, estate.placement.local_store)
    stores = sorted(estate.stores, key=lambda store: (estate.is_local(store), store.name not in usual))
    read = [store.name for store in stores if uses_cloud or estate.is_local(store)]
    for state in (ReplicaState.AVAILABLE, ReplicaState.SUSPICIOUS):
        for store in read:
            yield from (replica for replica in replicas if replica.store == store and replica.state is state)


def _is_local_only(estate: Estate, served: Sequence[Replica]) -> bool:
    return not any(
        replica.state is ReplicaState.AVAILABLE and not estate.is_local(estate.store(replica.store))
        for replica in served
    )


def _ask_for(estate: Estate, catalogue: Catalogue, segments: Sequence[Segment]) -> None:
    """Let the next migration take those of these that policy wants in the cloud."""
    if not segments:
        return
    percentage = current_percentage(estate, catalogue)
    names = [
        (segment.id, segment.start_time)
        for segment in segments
        if belongs_in_cloud(estate.placement.mode, segment.rollout_bucket, percentage)
    ]
    if names:
        catalogue.transfers.request(names, PRIORITY_READ, "read")


def _restores(estate: Estate, archived: Sequence[Replica]) -> Iterator[str]:
    offers = Offers(estate)
    for replica in archived:
        where = f"archived in store {replica.store!r} as {replica.storage_class}"
        try:
            offer = offers.offer(replica, estate.restore.speed, estate.restore.days)
        except ConfigurationError as error:  # it can be restored all the same
            yield f"{where}; restore_recordings makes it readable, at a cost that is not known: {error}"
        else:
            cost = f"about {offer.cost_usd:.2f}" if offer.cost_usd >= _CENT else "less than 0.01"
            yield (
                f"{where}; restore_recordings makes it readable in {offer.usual} ({offer.speed}), for "
                f"{estate.restore.days} days and {cost} USD"
            )
