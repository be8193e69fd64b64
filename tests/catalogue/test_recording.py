"""Recording ingested footage: once for each name, all or nothing, and found again."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest

from reelkeeper.catalogue.records import LandingState, RecordOutcome, Thumbnail
from reelkeeper.errors import RowRefused
from reelkeeper.model import Camera, Key, ReplicaState, StoreName, Tenant, TimeRange, camera_id

MINUTE = timedelta(minutes=1)
RECORDED, DUPLICATE, CONFLICT = RecordOutcome.RECORDED, RecordOutcome.DUPLICATE, RecordOutcome.CONFLICT


def planned(make, items):
    """A batch whose files are all claimed."""
    [batch] = make.plan(f"run {items[0].file.path}", "zone", [item.file for item in items])
    make.catalogue.landing.claim(batch, len(items), MINUTE)
    return batch


def test_what_was_recorded_is_found_again(catalogue, make, sql) -> None:
    camera = make.camera()
    items = make.minutes(camera, 3)
    batch = planned(make, items)
    assert catalogue.segments.record(batch, items) == [RECORDED] * 3

    segments = [item.segment for item in items]
    assert catalogue.segments.find([(s.camera_id, s.start_time) for s in segments]) == {
        (s.camera_id, s.start_time): s for s in segments
    }
    assert catalogue.segments.get(segments[1].id) == segments[1]
    assert catalogue.segments.get(camera.id) is None
    names = [(s.id, s.start_time) for s in segments]
    assert catalogue.replicas.of_segments(names) == {item.segment.id: [item.replica] for item in items}
    paths = [item.replica.path for item in items]
    assert catalogue.replicas.by_path(StoreName("local"), [*paths, "media/none"]) == {
        item.replica.path: item.replica for item in items
    }
    assert catalogue.replicas.by_path(StoreName("cloud"), paths) == {}
    assert {file.state for file in catalogue.landing.known("zone", [i.file.path for i in items]).values()} == {
        LandingState.INGESTED
    }
    assert sql("SELECT outcome, job, count(*) FROM transfers GROUP BY 1, 2") == [("succeeded", "ingest", 3)]
    assert sql("SELECT DISTINCT duration_seconds, storage_backend FROM segments") == [(60.0, "local")]
    assert catalogue.segments.find([]) == catalogue.replicas.of_segments([]) == {}


def test_the_same_footage_again_is_a_duplicate_and_other_bytes_a_conflict(catalogue, make, sql) -> None:
    camera = make.camera()
    [first] = make.recorded([make.ingested(camera)])
    again, other = make.ingested(camera), make.ingested(camera, data=b"other")
    batch = planned(make, [again, other])
    assert catalogue.segments.record(batch, [again, other]) == [DUPLICATE, CONFLICT]
    assert catalogue.segments.get(first.segment.id) == first.segment
    states = catalogue.landing.known("zone", [again.file.path, other.file.path])
    assert states[again.file.path].state is LandingState.DUPLICATE
    assert states[other.file.path].state is LandingState.CLAIMED


def test_duplicates_inside_one_call_are_told_apart(catalogue, make) -> None:
    camera = make.camera()
    items = [make.ingested(camera), make.ingested(camera), make.ingested(camera, data=b"other")]
    assert catalogue.segments.record(planned(make, items), items) == [RECORDED, DUPLICATE, CONFLICT]
    assert len(catalogue.replicas.of_segments([(items[0].segment.id, items[0].segment.start_time)])) == 1


def test_a_duplicate_brings_its_replica_and_heals_a_lost_one_but_no_condemned_one(catalogue, make, sql) -> None:
    camera = make.camera()
    [first] = make.recorded([make.ingested(camera)])
    name = (first.segment.id, first.segment.start_time)

    elsewhere = make.ingested(camera, store=StoreName("cloud"))
    catalogue.segments.record(planned(make, [elsewhere]), [elsewhere])
    assert [r.store for r in catalogue.replicas.of_segments([name])[first.segment.id]] == ["cloud", "local"]

    for state, after in (("lost", "available"), ("suspicious", "available"), ("condemned", "condemned")):
        sql("UPDATE replicas SET state = %s WHERE store = 'local'", (state,))
        again = make.ingested(camera)
        assert catalogue.segments.record(planned(make, [again]), [again]) == [DUPLICATE]
        assert sql("SELECT state FROM replicas WHERE store = 'local'") == [(after,)]


def test_an_error_in_one_keeps_none(catalogue, make) -> None:
    items = make.minutes(make.camera(), 3)
    batch = planned(make, items)
    broken = replace(items[2], segment=replace(items[2].segment, end_time=items[2].segment.start_time))
    with pytest.raises(RowRefused, match="violates check constraint"):
        catalogue.segments.record(batch, [*items[:2], broken])
    assert catalogue.segments.find([(i.segment.camera_id, i.segment.start_time) for i in items]) == {}
    assert catalogue.landing.counts([batch]).claimed == 3


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE replicas SET verified_at = NULL",  # invariant 1
        "UPDATE replicas SET state = 'fine'",
        "UPDATE replicas SET checksum = upper(checksum)",
        "UPDATE segments SET end_time = start_time + interval '24 hours 1 second'",
        "UPDATE segments SET rollout_bucket = 10000",
        "DELETE FROM segments",  # while it has replicas
        "UPDATE transfers SET outcome = 'failed'",
        "UPDATE landing_files SET segment_id = NULL",
    ],
)
def test_the_database_itself_refuses_what_cannot_be(make, sql, damage: str) -> None:
    make.recorded([make.ingested(make.camera())])
    with pytest.raises(psycopg2.IntegrityError):
        sql(damage)


def test_a_range_holds_what_shares_an_instant_with_it(catalogue, make) -> None:
    camera, other = make.camera(), make.camera("yard")
    items = make.recorded([*make.minutes(camera, 5), *make.minutes(other, 1)])
    start = items[0].segment.start_time

    def found(first: timedelta, last: timedelta) -> list[datetime]:
        return [s.start_time for s in catalogue.segments.overlapping(camera.id, TimeRange(start + first, start + last))]

    assert found(MINUTE, 3 * MINUTE) == [start + MINUTE, start + 2 * MINUTE]
    assert found(1.5 * MINUTE, 1.6 * MINUTE) == [start + MINUTE]
    assert found(-MINUTE, timedelta(0)) == found(5 * MINUTE, 6 * MINUTE) == []
    assert len(found(-MINUTE, 60 * MINUTE)) == 5


def test_the_longest_segment_is_found_by_its_last_instant(catalogue, make) -> None:
    camera = make.camera()
    item = make.ingested(camera)
    end = item.segment.start_time + timedelta(hours=24)
    make.recorded([replace(item, segment=replace(item.segment, end_time=end))])
    assert len(catalogue.segments.overlapping(camera.id, TimeRange(end - timedelta(microseconds=1), end + MINUTE))) == 1
    assert catalogue.segments.overlapping(camera.id, TimeRange(end, end + MINUTE)) == []


def test_recorders_of_the_same_footage_at_the_same_time_neither_double_nor_deadlock(catalogue, make, another) -> None:
    camera = make.camera()
    shares = [make.minutes(camera, 200), list(reversed(make.minutes(camera, 200)))]
    batches = [planned(make, share) for share in shares]
    workers = [another(), another()]
    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(lambda w, b, s: w.segments.record(b, s), workers, batches, shares))
    outcomes = [outcome for share in told for outcome in share]
    assert outcomes.count(RECORDED) == outcomes.count(DUPLICATE) == 200


def test_cameras_are_registered_once_and_changed_by_name(catalogue, make) -> None:
    gate = make.camera("gate")
    impostor = Camera(camera_id(Tenant("other"), "x"), gate.tenant, "gate", "Impostor")
    yard = Camera(camera_id(gate.tenant, "yard"), gate.tenant, "yard", "Yard", retention_days=7)
    assert catalogue.cameras.register([impostor, yard]) == [gate, yard]
    roof = Camera(camera_id(gate.tenant, "roof"), gate.tenant, "roof", "Roof")
    assert catalogue.cameras.upsert([roof, yard, roof, replace(impostor, retention_days=3)]) == (1, 1)
    assert catalogue.cameras.by_slug(gate.tenant)["gate"] == replace(gate, name="Impostor", retention_days=3)
    assert catalogue.cameras.by_slug(Tenant("other")) == {}
    assert catalogue.cameras.register([]) == []


def test_thumbnails_are_missing_until_they_are_recorded(catalogue, make) -> None:
    camera = make.camera()
    items = make.minutes(camera, 3)
    batch = planned(make, items)
    catalogue.segments.record(batch, items)
    stored = catalogue.thumbnails.missing(batch)
    assert [(s.segment, s.camera, s.replica) for s in stored] == [(i.segment, camera, i.replica) for i in items]

    segment = items[0].segment
    picture = Thumbnail(segment.id, segment.start_time, StoreName("local"), Key("thumbnails/a.jpg"), 320, 180)
    catalogue.thumbnails.record([picture])
    catalogue.thumbnails.record([replace(picture, path=Key("thumbnails/b.jpg"))])
    assert catalogue.thumbnails.missing(batch) == stored[1:]
    names = [(i.segment.id, i.segment.start_time) for i in items]
    assert catalogue.thumbnails.of_segments(names) == {segment.id: replace(picture, path=Key("thumbnails/b.jpg"))}
    assert catalogue.thumbnails.missing(camera.id) == []


def test_a_suspicious_replica_keeps_the_others_from_retiring(catalogue, make, sql) -> None:
    camera = make.camera()
    items = make.recorded(make.minutes(camera, 2))
    [batch] = make.plan_transfers("run").batches
    results = [make.copied(item) for item in catalogue.transfers.claim(batch.id, 10, MINUTE)]
    catalogue.transfers.finish(results, retire_source_after=datetime(2026, 5, 1, tzinfo=UTC))
    assert sql("SELECT DISTINCT storage_backend FROM segments") == [("cloud",)]
    catalogue.replicas.suspect([results[0].replica])
    copies = "SELECT state, retire_after IS NOT NULL FROM replicas WHERE store = %s ORDER BY start_time"
    local, cloud = sql(copies, ("local",)), sql(copies, ("cloud",))
    assert local == [("available", False), ("available", True)]
    assert cloud == [("suspicious", False), ("available", False)]
    assert sql("SELECT storage_backend FROM segments ORDER BY start_time") == [("local",), ("cloud",)]
    catalogue.replicas.suspect([])
    assert items[0].replica.state is ReplicaState.AVAILABLE
