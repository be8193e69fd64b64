"""The engine of deletion: what goes, what is spared, and that each is true at the moment of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from reelkeeper.catalogue.condemnations import Condemned
from reelkeeper.errors import AccessDenied, BucketNotFound, StoreUnavailable
from reelkeeper.model import Key, ReplicaState, Segment, StoreName, quarantine_key
from reelkeeper.policy.retention import Lock, Reason
from reelkeeper.stores.body import Body
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import ObjectStat
from tests.retention.rig import CLOUD, DISK, LATE, NOW, START, STEP, Rig

HOLD = Lock("legal_hold", "case 7")


class Failing(MemoryStore):
    """A cloud that raises what it is told to."""

    def __init__(self) -> None:
        super().__init__(CLOUD)
        self.deleting: Exception | None = None
        self.refused: dict[Key, Exception] = {}
        self.stat_error: Exception | None = None

    def delete(self, keys: Sequence[Key]) -> Mapping[Key, Exception]:
        if self.deleting:
            super().delete(keys[: len(keys) // 2])
            raise self.deleting
        refused = {key: self.refused[key] for key in keys if key in self.refused}
        super().delete([key for key in keys if key not in refused])
        return refused

    def stat(self, key: Key) -> ObjectStat:
        if self.stat_error:
            raise self.stat_error
        return super().stat(key)


@pytest.fixture
def cloud(rig: Rig) -> Failing:
    rig.stores[CLOUD] = Failing()
    return rig.stores[CLOUD]  # type: ignore[return-value]


def place(rig: Rig, lock: Lock) -> None:
    rig.catalogue.locks.place(lock, created_by="tester", now=NOW)


# --- what goes --------------------------------------------------------------------------------------------------------


def test_an_expired_segment_goes_with_its_last_replica_and_its_thumbnail(rig: Rig) -> None:
    (segment,) = rig.record(1, thumbnails=True)
    rig.condemn([segment], DISK, now=LATE)
    rig.condemn([segment], CLOUD, now=LATE)
    assert rig.replicas(segment)[DISK].state is ReplicaState.CONDEMNED
    first = rig.delete(DISK, now=LATE)
    assert (first.deleted, first.deleted_bytes) == (1, 100)
    assert rig.catalogue.segments.get(segment.id) is not None  # the cloud still has it
    assert rig.delete(CLOUD, now=LATE).deleted == 1
    assert rig.catalogue.segments.get(segment.id) is None
    assert list(rig.condemned().values()) == ["thumbnail"]
    assert rig.delete(DISK, now=LATE).deleted == 1
    assert rig.keys(DISK, "") == rig.keys(CLOUD, "") == set()
    assert rig.condemned() == {}
    assert rig.history() == {(DISK, "expired"): 1, (CLOUD, "expired"): 1, (DISK, "thumbnail"): 1}
    assert rig.sql("SELECT DISTINCT checksum, run_id, deleted_at FROM deletions WHERE reason = 'expired'") == [
        (segment.checksum, "deleting run", LATE)
    ]


def test_nothing_goes_before_its_grace_is_over(rig: Rig) -> None:
    segments = rig.record(2)
    replicas = [rig.replicas(segment)[DISK] for segment in segments]
    things = [Condemned(DISK, r.path, Reason.EXPIRED, 100, r.segment_id, r.start_time) for r in replicas]
    end = LATE + timedelta(hours=24)
    rig.catalogue.condemnations.condemn(things, run_id="run", now=LATE, delete_after=end)
    assert rig.delete(now=end - timedelta(seconds=1)).deleted == 0
    assert rig.delete(now=end).deleted == 2


def test_a_job_deletes_what_it_has_to_do_with_only(rig: Rig) -> None:
    first, second = rig.record(2, thumbnails=True)
    rig.condemn([first, second], now=LATE)
    orphan(rig, "media/default/gate/odd name.bin")
    assert rig.delete(now=LATE, reasons=(Reason.MOVED,)).deleted == 0
    assert rig.delete(now=LATE, reasons=(Reason.ORPHAN, Reason.MOVED), condemned_by="another").deleted == 0
    assert rig.delete(now=LATE, reasons=(Reason.ORPHAN, Reason.MOVED), condemned_by="run").deleted == 1
    assert set(rig.condemned().values()) == {"expired"}
    assert rig.delete(now=LATE).deleted == 2


def test_a_retired_copy_goes_when_the_other_was_seen(rig: Rig) -> None:
    segments = rig.record(3)
    assert rig.condemn(segments, reason=Reason.RETIRED) == 3
    assert rig.condemn(segments, reason=Reason.RETIRED) == 0
    assert rig.delete().deleted == 3
    assert rig.keys(DISK) == set()
    rig.assert_owed_is_there(segments)


def test_reads_are_pointed_away_from_what_is_condemned(rig: Rig) -> None:
    segments = rig.record(1)
    rig.condemn(segments, reason=Reason.RETIRED)
    assert rig.sql("SELECT storage_backend FROM segments") == [(CLOUD,)]


def test_what_is_gone_already_counts_as_deleted(rig: Rig) -> None:
    segments = rig.record(3)
    rig.condemn(segments, now=LATE)
    rig.stores[DISK].delete([rig.replicas(segments[0])[DISK].path])
    assert rig.delete(now=LATE).deleted == 3


def test_several_chunks_and_a_limit(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reelkeeper.retention.deleting.CHUNK", 4)
    told: list[tuple[int, int, int, int]] = []
    segments = rig.record(21)
    rig.condemn(segments, now=LATE)
    assert rig.delete(now=LATE, limit=6).deleted == 6
    assert rig.delete(now=LATE, progress=lambda *step: told.append(step)).deleted == 15
    assert told[-1] == (15, 15, 1500, 1500)
    assert len(rig.keys(DISK)) == 0
    assert rig.delete(now=LATE).deleted == 0


def test_the_old_object_of_a_moved_replica_goes_when_the_new_was_seen(rig: Rig, cloud: Failing) -> None:
    (segment,) = rig.record(1)
    replica = rig.replicas(segment)[CLOUD]
    new = Key(f"cool/{replica.path}")
    cloud.copy(replica.path, new)
    rig.sql("UPDATE replicas SET path = %s WHERE store = 'cloud'", (new,))
    moved = Condemned(CLOUD, replica.path, Reason.MOVED, 100, segment.id, segment.start_time)
    rig.catalogue.condemnations.condemn([moved], run_id="run", now=NOW, delete_after=NOW)
    cloud.stat_error = StoreUnavailable("no answer")
    rig.stores[DISK].delete([rig.replicas(segment)[DISK].path])
    assert (rig.delete(CLOUD).deleted, rig.delete(CLOUD).waiting) == (0, 1)
    cloud.stat_error = None
    assert rig.delete(CLOUD).deleted == 1
    assert rig.keys(CLOUD, "") == {new}
    assert rig.replicas(segment)[CLOUD].state is ReplicaState.AVAILABLE


# --- what is spared ---------------------------------------------------------------------------------------------------


def test_the_last_verified_copy_stays(rig: Rig) -> None:
    segments = rig.record(2, stores=(DISK,))
    rig.condemn(segments, reason=Reason.QUOTA)
    result = rig.delete()
    assert (result.deleted, result.spared, result.kept) == (0, 2, 2)
    rig.assert_owed_is_there(segments)
    assert rig.condemned() == {}


def spoil_missing(rig: Rig, segment: Segment) -> None:
    rig.stores[CLOUD].delete([rig.replicas(segment)[CLOUD].path])


def spoil_truncated(rig: Rig, segment: Segment) -> None:
    path = rig.replicas(segment)[CLOUD].path
    rig.stores[CLOUD].delete([path])
    rig.stores[CLOUD].write(path, Body.of_bytes(b"short"))


def spoil_bytes(rig: Rig, segment: Segment) -> None:
    path = rig.replicas(segment)[CLOUD].path
    rig.stores[CLOUD].delete([path])
    rig.stores[CLOUD].write(path, Body.of_bytes(b"x" * 100))


def spoil_unattested(rig: Rig, segment: Segment) -> None:
    """Somebody else's object of the same size in its place: it carries no SHA-256."""
    spoil_bytes(rig, segment)
    cloud, path = rig.stores[CLOUD], rig.replicas(segment)[CLOUD].path
    found = cloud._objects[path]
    cloud._objects[path] = replace(found, stat=replace(found.stat, sha256=None))


@pytest.mark.parametrize("spoil", [spoil_missing, spoil_truncated, spoil_bytes, spoil_unattested])
@pytest.mark.parametrize("reason", [Reason.RETIRED, Reason.QUOTA])
def test_a_copy_that_is_not_as_recorded_does_not_count(rig: Rig, spoil, reason: Reason) -> None:
    segments = rig.record(2)
    rig.condemn(segments, reason=reason)
    spoil(rig, segments[0])
    result = rig.delete()
    assert (result.deleted, result.spared) == (1, 1)
    rig.assert_owed_is_there(segments)
    states = {store: replica.state for store, replica in rig.replicas(segments[0]).items()}
    assert states == {DISK: ReplicaState.AVAILABLE, CLOUD: ReplicaState.SUSPICIOUS}


def test_a_suspicious_copy_does_not_count(rig: Rig) -> None:
    segments = rig.record(2)
    rig.condemn(segments, reason=Reason.RETIRED)
    rig.catalogue.replicas.suspect([rig.replicas(segments[0])[CLOUD]])
    assert (rig.delete().deleted, len(rig.keys(DISK))) == (1, 1)
    assert rig.replicas(segments[0])[DISK].state is ReplicaState.AVAILABLE


def test_a_copy_whose_store_does_not_answer_makes_it_wait(rig: Rig, cloud: Failing) -> None:
    segments = rig.record(8)
    rig.condemn(segments, reason=Reason.RETIRED)
    cloud.stat_error = StoreUnavailable("no answer")
    result = rig.delete()
    assert (result.deleted, result.waiting, result.spared) == (0, 8, 0)
    assert "could not be looked at" in rig.sql("SELECT DISTINCT error FROM condemnations")[0][0]
    cloud.stat_error = None
    assert rig.delete().deleted == 8


@pytest.mark.parametrize(
    "lock",
    [
        HOLD,
        Lock("legal_hold", "camera", camera_id="CAMERA"),  # type: ignore[arg-type]
        Lock("legal_hold", "segment", segment_id="SEGMENT"),  # type: ignore[arg-type]
        Lock("export", "range", start_time=START + STEP / 2, end_time=START + STEP),
    ],
)
def test_a_lock_wins_over_everything(rig: Rig, lock: Lock) -> None:
    held, other = rig.record(1)[0], rig.record(1, camera="yard", start=START + timedelta(days=1))[0]
    real = Lock(
        lock.kind, lock.reason, held.camera_id if lock.camera_id else None, held.id if lock.segment_id else None,
        lock.start_time, lock.end_time,
    )  # fmt: skip
    for store in (DISK, CLOUD):
        rig.condemn([held, other], store, now=LATE)
    place(rig, real)
    spared = 2 if lock is HOLD else 1
    for store in (DISK, CLOUD):
        result = rig.delete(store, now=LATE)
        assert (result.deleted, result.spared) == (2 - spared, spared)
    rig.assert_owed_is_there([held])


def test_an_ended_lock_holds_nothing(rig: Rig) -> None:
    segments = rig.record(1)
    rig.condemn(segments, now=LATE)
    lock = rig.catalogue.locks.place(HOLD, created_by="a", now=NOW)
    rig.catalogue.locks.place(HOLD, created_by="b", now=NOW, expires_at=LATE)
    assert rig.catalogue.locks.release(lock, released_by="a", now=LATE)
    assert not rig.catalogue.locks.release(lock, released_by="a", now=LATE)
    assert rig.delete(now=LATE).deleted == 1


def test_a_running_export_holds_its_footage(rig: Rig) -> None:
    (segment,) = rig.record(1)
    rig.condemn([segment], now=LATE)
    rig.export("PROCESSING", camera=segment.camera_id, expires_at=LATE + STEP)
    assert rig.delete(now=LATE).spared == 1


def test_a_transfer_under_way_holds_its_segment(rig: Rig) -> None:
    segments = rig.record(2, stores=(DISK,))
    plan = rig.catalogue.transfers.plan(
        "run", source_store=DISK, destination_store=CLOUD, interval=None, bucket_below=10_000, ended_before=LATE,
        batch_size=1, batch_bytes=10**9, include_requests=False, dry_run=False, max_batches=1,
    )  # fmt: skip
    assert plan.segments == 1
    rig.condemn(segments, now=LATE)
    assert (rig.delete(now=LATE).deleted, len(rig.keys(DISK))) == (1, 1)


def test_a_retention_that_was_raised_meanwhile_counts(rig: Rig) -> None:
    first, second = rig.record(1)[0], rig.record(1, camera="yard")[0]
    rig.condemn([first, second], now=LATE)
    rig.camera("gate", retention_days=400)
    result = rig.delete(now=LATE)
    assert (result.deleted, result.spared) == (1, 1)
    assert rig.replicas(first)[DISK].state is ReplicaState.AVAILABLE


@pytest.mark.parametrize("reason", [Reason.EXPIRED, Reason.QUOTA])
def test_what_was_doubted_before_is_not_made_good_by_being_spared(rig: Rig, reason: Reason) -> None:
    (segment,) = rig.record(1)
    rig.catalogue.replicas.suspect([rig.replicas(segment)[DISK]])
    rig.condemn([segment], reason=reason)
    place(rig, HOLD)
    assert rig.delete().spared == 1
    assert rig.replicas(segment)[DISK].state is ReplicaState.SUSPICIOUS


def test_what_is_spared_and_not_there_is_suspicious(rig: Rig) -> None:
    (segment,) = rig.record(1)
    rig.condemn([segment])
    rig.stores[DISK].delete([rig.replicas(segment)[DISK].path])
    assert rig.delete().spared == 1  # its retention is not over
    assert rig.replicas(segment)[DISK].state is ReplicaState.SUSPICIOUS


# --- objects that are no replicas -------------------------------------------------------------------------------------


def orphan(rig: Rig, path: str) -> None:
    rig.stores[DISK].write(Key(path), Body.of_bytes(b"orphan"))
    thing = Condemned(DISK, path, Reason.ORPHAN, 6)
    rig.catalogue.condemnations.condemn([thing], run_id="run", now=NOW, delete_after=NOW)


def test_an_orphan_goes_only_if_it_is_unknown_at_that_moment(rig: Rig) -> None:
    (segment,) = rig.record(1, stores=(CLOUD,))
    key = rig.replicas(segment)[CLOUD].path
    orphan(rig, "media/default/gate/odd name.bin")
    orphan(rig, quarantine_key(key))
    assert rig.delete().deleted == 2
    orphan(rig, quarantine_key(key))
    rig.sql("UPDATE replicas SET store = 'disk'")  # what lies in quarantine is a replica again
    result = rig.delete()
    assert (result.deleted, result.spared) == (0, 1)
    assert rig.keys(DISK, "") == {quarantine_key(key)}


def test_an_orphan_whose_key_names_held_footage_waits(rig: Rig) -> None:
    rig.camera("gate")
    stamp = f"media/default/%s/2026/03/01/20260301T100000Z_{uuid4()}.mp4"
    for slug in ("gate", "yard"):
        orphan(rig, stamp % slug)
    camera = rig.catalogue.cameras.by_slug(rig.estate.tenant_name)["gate"]
    place(rig, Lock("legal_hold", "case", camera.id, None, START, START + STEP))
    result = rig.delete()
    assert (result.deleted, result.waiting) == (1, 1)
    assert {key.split("/")[2] for key in rig.keys(DISK)} == {"gate"}


def test_objects_of_an_export_go_when_it_has_expired(rig: Rig) -> None:
    ids = [rig.export("EXPIRED"), rig.export("PENDING"), uuid4()]
    for identity in ids:
        key = f"exports/{identity}/clip.mp4"
        rig.stores[DISK].write(Key(key), Body.of_bytes(b"cut"))
        thing = Condemned(DISK, key, Reason.EXPORT, 3)
        rig.catalogue.condemnations.condemn([thing], run_id="run", now=NOW, delete_after=NOW)
    assert rig.delete().deleted == 2
    assert rig.keys(DISK, "exports/") == {f"exports/{ids[1]}/clip.mp4"}


# --- stores that fail -------------------------------------------------------------------------------------------------


def test_forbidden_means_zero(rig: Rig) -> None:
    segments = rig.record(3)
    rig.condemn(segments, now=LATE)
    rig.settings[DISK] = {"deletion": "forbidden"}
    result = rig.delete(now=LATE)
    assert (result.deleted, result.forbidden) == (0, True)
    assert len(rig.keys(DISK)) == 3
    assert len(rig.condemned()) == 3


def test_the_switch_holds_from_the_next_chunk_on(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reelkeeper.retention.deleting.CHUNK", 2)
    monkeypatch.setattr("reelkeeper.retention.deleting._WORKERS", 1)
    segments = rig.record(9)
    rig.condemn(segments, now=LATE)
    asked = 0

    def current_estate():
        nonlocal asked
        asked += 1
        if asked > 2 * 2:
            rig.settings[DISK] = {"deletion": "forbidden"}
        return rig.estate

    result = rig.delete(now=LATE, current_estate=current_estate)
    assert result.forbidden
    assert 0 < result.deleted < 9
    assert len(rig.keys(DISK)) == 9 - result.deleted


@pytest.mark.parametrize("error", [StoreUnavailable("gone"), BucketNotFound("no bucket"), AccessDenied("no")])
def test_of_a_store_that_fails_nothing_is_concluded(rig: Rig, cloud: Failing, error: Exception) -> None:
    segments = rig.record(4)
    rig.condemn(segments, CLOUD, now=LATE)
    cloud.deleting = error
    with pytest.raises(type(error)):
        rig.delete(CLOUD, now=LATE)
    assert rig.history() == {}
    assert len(rig.condemned()) == 4
    cloud.deleting = None
    assert rig.delete(CLOUD, now=LATE).deleted == 4  # half of them were gone


def test_objects_that_the_store_refuses_stay_condemned_with_the_reason(rig: Rig, cloud: Failing) -> None:
    segments = rig.record(3)
    rig.condemn(segments, CLOUD, now=LATE)
    cloud.refused = {rig.replicas(segments[0])[CLOUD].path: AccessDenied("object lock")}
    result = rig.delete(CLOUD, now=LATE)
    assert (result.deleted, result.failed) == (2, 1)
    assert rig.sql("SELECT error FROM condemnations") == [("object lock",)]
    assert rig.replicas(segments[0])[CLOUD].state is ReplicaState.CONDEMNED


def test_a_disk_that_is_not_mounted_loses_nothing(rig: Rig) -> None:
    segments = rig.record(3)
    rig.condemn(segments, now=LATE)
    (rig.root / "disk").rename(rig.root / "elsewhere")
    (rig.root / "disk").mkdir()
    with pytest.raises(StoreUnavailable):
        rig.delete(now=LATE)
    assert rig.history() == {}
    assert len(rig.condemned()) == 3


def test_an_unknown_store_is_an_error(rig: Rig) -> None:
    with pytest.raises(ValueError, match="unknown store 'tape'"):
        rig.delete(StoreName("tape"))
