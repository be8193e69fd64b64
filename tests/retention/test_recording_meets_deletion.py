"""Recording where a deletion is decided or under way: no replica is on record without bytes."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic, sleep
from uuid import uuid4

from reelkeeper.catalogue.condemnations import Condemned
from reelkeeper.catalogue.records import Ingested, LandingFile, RecordOutcome
from reelkeeper.model import BatchId, Key, Replica, ReplicaState, Segment
from reelkeeper.policy.retention import Reason
from reelkeeper.stores.filesystem import FilesystemStore
from tests.retention.rig import CLOUD, DISK, NOW, Rig


def record_anew(rig: Rig, replica: Replica, segment: Segment) -> list[RecordOutcome]:
    """As ingest does that found the object, equal to its file."""
    with rig.open_catalogue() as catalogue:
        file = LandingFile("zone", replica.path, replica.size_bytes, NOW)
        return catalogue.segments.record(BatchId(uuid4()), [Ingested(file, segment, replica, ())])


def forgotten(rig: Rig) -> tuple[Segment, Replica]:
    """An object that is condemned as an orphan, and the segment that it really is."""
    (segment,) = rig.record(1, stores=(DISK,))
    replica = rig.replicas(segment)[DISK]
    rig.sql("DELETE FROM replicas")
    rig.sql("DELETE FROM segments")
    orphan = Condemned(DISK, replica.path, Reason.ORPHAN, 100)
    rig.catalogue.condemnations.condemn([orphan], run_id="r", now=NOW, delete_after=NOW)
    return segment, replica


def test_what_is_being_deleted_is_not_recorded_meanwhile(rig: Rig) -> None:
    segment, replica = forgotten(rig)
    told: list[Future[list[RecordOutcome]]] = []

    class Racing(FilesystemStore):
        def delete(self, keys: Sequence[Key]) -> Mapping[Key, Exception]:
            told.append(other.submit(record_anew, rig, replica, segment))
            end = monotonic() + 10
            waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            while not rig.sql(waiting) and not told[0].done() and monotonic() < end:
                sleep(0.01)
            return super().delete(keys)

    rig.stores[DISK] = Racing(DISK, rig.root / "disk")
    with ThreadPoolExecutor(1) as other:
        assert rig.delete(DISK).deleted == 1
        assert told[0].result(timeout=10) == [RecordOutcome.BEING_DELETED]
    assert rig.replicas(segment) == {}
    assert rig.keys(DISK) == set()
    assert record_anew(rig, replica, segment) == [RecordOutcome.RECORDED]  # the next try, which writes it anew


def test_what_is_condemned_is_not_recorded_and_the_rest_is(rig: Rig) -> None:
    segment, replica = forgotten(rig)
    (another,) = rig.record(1, camera="yard", stores=(DISK,))
    place = rig.replicas(another)[DISK]
    rig.sql("DELETE FROM replicas")
    rig.sql("DELETE FROM segments")
    items = [
        Ingested(LandingFile("zone", each.path, 100, NOW), one, each, ())
        for one, each in ((segment, replica), (another, place))
    ]
    outcomes = rig.catalogue.segments.record(BatchId(uuid4()), items)
    assert outcomes == [RecordOutcome.BEING_DELETED, RecordOutcome.RECORDED]
    assert rig.replicas(segment) == {}
    assert rig.replicas(another)[DISK].state is ReplicaState.AVAILABLE


def test_a_found_replica_that_is_condemned_is_left_to_a_later_look(rig: Rig) -> None:
    segment, replica = forgotten(rig)
    (another,) = rig.record(1, camera="yard", stores=(CLOUD,))
    rig.catalogue.repairs.find([replica])
    assert rig.replicas(segment) == {}
    assert rig.replicas(another)[CLOUD].state is ReplicaState.AVAILABLE
