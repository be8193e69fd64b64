"""Where to read a segment: from the cloud first, then from the local store.

A segment that only a local store has, though policy wants it in the cloud, is asked for at the next migration, at low
priority: what is read is wanted soon.
"""

from datetime import datetime, timedelta

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.transfers import PRIORITY_READ
from reelkeeper.errors import ObjectNotFound
from reelkeeper.model import CameraId, Replica, ReplicaState, Segment, SegmentId, TimeRange
from reelkeeper.policy.placement import belongs_in_cloud
from reelkeeper.settings import Estate

_INSTANT = timedelta(microseconds=1)


def locate(estate: Estate, catalogue: Catalogue, segment_id: SegmentId) -> Replica:
    """The replica from which to read a segment.

    In the modes local and milestone only local stores are read, and nothing is asked for. A store that is no longer
    part of the estate is not read. ObjectNotFound when none of the others has the segment available.
    """
    segment = catalogue.segments.get(segment_id)
    if segment is None:
        raise ObjectNotFound(f"video not found: segment {str(segment_id)!r} is not in the catalogue")
    return _choose(estate, catalogue, segment)


def locate_at(estate: Estate, catalogue: Catalogue, camera_id: CameraId, moment: datetime) -> Replica:
    """The replica from which to read what a camera recorded at `moment`, chosen as `locate` does."""
    segments = catalogue.segments.overlapping(camera_id, TimeRange(moment, moment + _INSTANT))
    if not segments:
        raise ObjectNotFound(f"video not found: camera {str(camera_id)!r} has no segment at {moment.isoformat()!r}")
    return _choose(estate, catalogue, segments[-1])


def _choose(estate: Estate, catalogue: Catalogue, segment: Segment) -> Replica:
    uses_cloud = estate.placement.mode in ("cloud", "hybrid")
    is_wanted = belongs_in_cloud(estate.placement.mode, segment.rollout_bucket, estate.rollout.percentage)
    name = (segment.id, segment.start_time)
    available = {
        str(replica.store): replica
        for replica in catalogue.replicas.of_segments([name]).get(segment.id, [])
        if replica.state is ReplicaState.AVAILABLE
    }
    usual = (estate.placement.cloud_store, estate.placement.local_store)
    in_order = sorted(estate.stores, key=lambda store: (estate.is_local(store), store.name not in usual))
    read = [store for store in in_order if uses_cloud or estate.is_local(store)]
    for store in read:
        if store.name in available:
            if estate.is_local(store) and is_wanted:
                catalogue.transfers.request([name], PRIORITY_READ, "read")
            return available[store.name]
    raise ObjectNotFound(
        f"video not found: segment {str(segment.id)!r} is available in {sorted(available)}, "
        f"and placement.mode {estate.placement.mode!r} reads {[store.name for store in read]}"
    )
