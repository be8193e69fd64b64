"""What verify_replicas finds on every kind of store, what it concludes, and what it leaves alone."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.verification import Selection
from reelkeeper.errors import ConfigurationError, ObjectNotFound, StoreUnavailable
from reelkeeper.model import Key, ReplicaState, TimeRange
from reelkeeper.policy.restoration import USUAL_TIMES
from reelkeeper.policy.rollout import Percentage
from reelkeeper.stores.memory import MemoryStore
from reelkeeper.stores.protocols import ObjectStat
from reelkeeper.verification.job import verify_store
from tests.stores.rigs import Rig

if TYPE_CHECKING:
    from tests.verification.conftest import Shelf

START = datetime(2026, 3, 1, tzinfo=UTC)
NOW = START + timedelta(days=60)
SUSPICIOUS, AVAILABLE = ReplicaState.SUSPICIOUS, ReplicaState.AVAILABLE


def flipped(data: bytes) -> bytes:
    """One bit is another."""
    return data[:500] + bytes([data[500] ^ 1]) + data[501:]


def test_each_kind_of_store_is_read_and_each_fault_found(shelf: "Shelf", rig: Rig) -> None:
    """Flipped, truncated, grown, gone; with nine neighbours that are right."""
    shelf.stores["cloud"] = rig.store
    segments = shelf.record(13, "disk", "cloud", prefix=rig.prefix)
    shelf.rewrite(segments[0], flipped, "cloud")
    shelf.rewrite(segments[1], lambda data: data[:-1], "cloud")
    shelf.rewrite(segments[2], lambda data: data + b"x", "cloud")
    shelf.rewrite(segments[3], lambda _: None, "cloud")
    for method, wrong in (("size", {1, 2, 3}), ("presence", {1, 2, 3}), ("hash", {0, 1, 2, 3})):
        shelf.sql("UPDATE replicas SET state = 'available', seen_at = NULL, verified_at = start_time")
        found = shelf.verify("cloud", run_id=method, method=method)
        assert [found.wrong, found.missing, found.unknown] == [len(wrong) - 1, 1, 0]
        assert found.read + found.seen == 13 - len(wrong)
        assert {i for i, segment in enumerate(segments) if shelf.replica(segment, "cloud").state is SUSPICIOUS} == wrong
        assert found.at_risk == 0  # the disk has them
        assert len(found.problems) == len(wrong)
        assert found.left == 0
    assert found.bytes_read >= 9 * 1000
    assert shelf.proved("cloud") == 9
    assert shelf.states("disk") == {"available": 13}


def test_what_is_right_is_proved_and_not_due_for_a_cycle(shelf: "Shelf") -> None:
    (segment,) = shelf.record(1, "disk")
    assert shelf.verify().read == 1
    replica = shelf.replica(segment)
    assert replica.verified_at == NOW
    assert shelf.sql("SELECT seen_at FROM replicas") == [(NOW,)]
    shelf.now = NOW + timedelta(days=30)
    assert shelf.verify(run_id="2").read == 0
    shelf.now += timedelta(seconds=1)
    assert shelf.verify(run_id="3").read == 1


def test_a_replica_that_was_doubted_and_is_right_is_healed(shelf: "Shelf") -> None:
    segments = shelf.record(3)
    shelf.catalogue.replicas.suspect([shelf.replica(segment, "cloud") for segment in segments])
    shelf.catalogue.replicas.suspect([shelf.replica(segments[0])])
    shelf.rewrite(segments[2], flipped, "cloud")
    found = shelf.verify("cloud", method="presence")  # seeing proves nothing: these are read all the same
    assert (found.healed, found.wrong, found.read) == (2, 1, 2)
    assert shelf.states("cloud") == {"available": 2, "suspicious": 1}
    assert shelf.sql("SELECT count(*) FROM replicas WHERE suspected_at IS NOT NULL AND store = 'cloud'") == [(1,)]
    # Reads of the segment whose other copy is doubted go to the one that is good again.
    assert shelf.sql("SELECT storage_backend FROM segments WHERE id = %s", str(segments[0].id)) == [("cloud",)]
    assert shelf.verify("disk").healed == 1


def test_the_last_copy_is_told_to_be_at_risk(shelf: "Shelf") -> None:
    alone, _ = shelf.record(2, "disk")
    shelf.rewrite(alone, flipped)
    found = shelf.verify()
    assert (found.wrong, found.at_risk) == (1, 1)
    assert str(alone.id) in found.problems[0]


def test_condemned_and_lost_replicas_are_left_alone(shelf: "Shelf") -> None:
    segments = shelf.record(3, "disk")
    for segment, state in zip(segments, ("condemned", "lost", "available"), strict=True):
        shelf.sql("UPDATE replicas SET state = %s WHERE segment_id = %s", state, str(segment.id))
    assert shelf.verify().read == 1
    assert shelf.states() == {"condemned": 1, "lost": 1, "available": 1}


# --- unknown is not missing -------------------------------------------------------------------------------------------


class Trouble(MemoryStore):
    """A store that fails when told."""

    error: Exception | None = None
    asked = 0

    def read(self, key: Key) -> Iterator[bytes]:
        self.asked += 1
        if self.error:
            raise self.error
        return super().read(key)

    def stat(self, key: Key) -> ObjectStat:
        if self.error:
            raise self.error
        return super().stat(key)

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        if isinstance(self.error, StoreUnavailable):
            raise self.error
        return super().list(prefix)


@pytest.mark.parametrize("method", ["hash", "presence"])
def test_a_store_that_cannot_be_reached_changes_nothing_and_is_dropped(shelf: "Shelf", method: str) -> None:
    shelf.stores["cloud"] = cloud = Trouble("cloud")  # type: ignore[arg-type]
    shelf.record(200, "cloud")
    before = shelf.sql("SELECT * FROM replicas ORDER BY segment_id")
    cloud.error = StoreUnavailable("503")
    with pytest.raises(StoreUnavailable, match="503"):
        shelf.verify("cloud", method=method)
    assert shelf.sql("SELECT * FROM replicas ORDER BY segment_id") == before
    assert cloud.asked < 60  # three tries of some at a time: it is not asked for each of the 200
    cloud.error = None
    assert shelf.verify("cloud").read == 200


def test_a_disk_that_is_not_mounted_changes_nothing(shelf: "Shelf") -> None:
    shelf.record(3, "disk")
    shelf.root.rename(shelf.root.with_name("elsewhere"))
    shelf.root.mkdir()
    for method in ("hash", "size"):
        with pytest.raises(StoreUnavailable, match="is the disk mounted"):
            shelf.verify(method=method)
    assert shelf.states() == {"available": 3}


def test_an_object_that_is_listed_is_not_missing(shelf: "Shelf") -> None:
    shelf.stores["cloud"] = cloud = Trouble("cloud")  # type: ignore[arg-type]
    shelf.record(2, "cloud")
    cloud.error = ObjectNotFound("says the gateway")
    with pytest.raises(StoreUnavailable, match=r"lists 'media/.*' and does not find it"):
        shelf.verify("cloud")
    assert shelf.states("cloud") == {"available": 2}


@pytest.mark.parametrize(("gone", "sick"), [(99, False), (100, True)])
@pytest.mark.parametrize("method", ["hash", "presence"])
def test_a_store_that_lacks_very_many_is_doubted_itself(shelf: "Shelf", gone: int, sick: bool, method: str) -> None:
    segments = shelf.record(150, "disk")
    shelf.stores["disk"].delete([shelf.replica(segment).path for segment in segments[:gone]])
    if sick:
        with pytest.raises(StoreUnavailable, match=r"lacks 100 of 1.* the store itself is doubted"):
            shelf.verify(method=method)
        assert shelf.states() == {"available": 150}
    else:
        assert shelf.verify(method=method).missing == 99
        assert shelf.states() == {"available": 51, "suspicious": 99}


def test_a_replica_that_is_moved_while_it_is_looked_for_stays(shelf: "Shelf") -> None:
    class Moving(MemoryStore):
        def read(self, key: Key) -> Iterator[bytes]:
            shelf.sql("UPDATE replicas SET path = 'cool/' || path WHERE store = 'cloud'")
            self.delete([key])
            return super().read(key)

    shelf.stores["cloud"] = Moving("cloud")  # type: ignore[arg-type]
    (segment,) = shelf.record(1, "cloud")
    shelf.verify("cloud")
    assert shelf.replica(segment, "cloud").state is AVAILABLE


def test_a_read_that_goes_wrong_once_is_no_finding(shelf: "Shelf") -> None:
    class Flaky(MemoryStore):
        reads = 0

        def read(self, key: Key) -> Iterator[bytes]:
            self.reads += 1
            yield from (b"noise",) if self.reads == 1 else super().read(key)

    shelf.stores["cloud"] = Flaky("cloud")  # type: ignore[arg-type]
    shelf.record(1, "cloud")
    found = shelf.verify("cloud")
    assert (found.read, found.wrong) == (1, 0)


# --- archives ---------------------------------------------------------------------------------------------------------


def test_archived_replicas_are_seen_and_not_read(shelf: "Shelf") -> None:
    shelf.stores["cloud"] = cloud = Trouble("cloud", clock=lambda: shelf.now)  # type: ignore[arg-type]
    segments = shelf.record(4, "cloud", storage_class="GLACIER")
    cloud.delete([shelf.replica(segments[0], "cloud").path])
    shelf.sql("UPDATE replicas SET checksum = repeat('0', 64) WHERE segment_id = %s", str(segments[1].id))
    found = shelf.verify("cloud")
    assert (found.read, found.archived, found.wrong, found.missing) == (0, 2, 1, 1)
    assert cloud.asked == 0
    assert (found.bytes_read, found.left) == (0, 0)
    assert shelf.proved("cloud") == 0
    shelf.now += timedelta(days=1)
    assert shelf.verify("cloud", run_id="2").archived == 0  # to have been seen is all the proof there is
    shelf.sql("UPDATE replicas SET readable_until = %s", shelf.now + timedelta(days=40))
    for segment in segments[2:]:
        cloud.restore(shelf.replica(segment, "cloud").path, days=40, speed="standard")
    shelf.now += timedelta(days=31)
    assert shelf.verify("cloud", run_id="3").read == 2  # restored for somebody: read at no further cost
    assert shelf.proved("cloud") == 2


def test_the_catalogue_knows_the_classes_that_must_be_restored(shelf: "Shelf") -> None:
    for name in ("STANDARD", "GLACIER_IR", "ARCHIVE", *USUAL_TIMES):
        [(at,)] = shelf.sql("SELECT proved_at(%s, %s, %s)", name, START, NOW)
        assert (at == NOW) == (name in USUAL_TIMES)


# --- how much ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("budget", "read"), [(1000, 1), (1999, 1), (2000, 2), (3500, 3), (10_000, 10), (999, 1)])
def test_the_budget_is_exact(shelf: "Shelf", budget: int, read: int) -> None:
    """And the longest unproved go first; one larger than the whole budget is read by a run of its own."""
    segments = shelf.record(10, "disk")
    shelf.budget = budget
    found = shelf.verify()
    assert (found.read, found.bytes_read) == (read, read * 1000)
    assert (found.due, found.due_bytes, found.left, found.left_bytes) == (10, 10_000, 10 - read, 10_000 - read * 1000)
    assert [shelf.replica(segment).verified_at == NOW for segment in segments] == [True] * read + [False] * (10 - read)


def test_a_budget_is_a_runs_and_not_a_tries(shelf: "Shelf") -> None:
    shelf.record(10, "disk")
    shelf.budget = 3000
    assert shelf.verify().read == 3
    shelf.now += timedelta(minutes=5)
    assert shelf.verify(started=NOW).read == 0  # the same run, tried again
    shelf.now += timedelta(days=1)
    reads = [shelf.verify(run_id=f"day {day}").read for day in range(1)]
    for day in range(1, 3):
        shelf.now += timedelta(days=1)
        reads.append(shelf.verify(run_id=f"day {day}").read)
    assert reads == [3, 3, 1]  # every replica once in the cycle


def test_many_doubted_replicas_do_not_starve_the_others(shelf: "Shelf") -> None:
    segments = shelf.record(10, "disk")
    shelf.budget = 4000
    for segment in segments[:8]:
        shelf.rewrite(segment, flipped)
        shelf.catalogue.replicas.suspect([shelf.replica(segment)])
    found = shelf.verify()
    assert (found.wrong, found.read) == (2, 2)  # half of the budget for each
    assert all(shelf.replica(segment).verified_at == NOW for segment in segments[8:])


def test_what_reading_costs_is_not_read_unless_asked_and_told(shelf: "Shelf", caplog: pytest.LogCaptureFixture) -> None:
    shelf.method, shelf.price_list = "auto", "aws:us-east-1"
    shelf.record(2, "disk")
    shelf.record(2, "cloud", camera="yard", storage_class="GLACIER_IR")
    for one in list(shelf.stores["cloud"].list()):
        shelf.stores["cloud"].set_class(one.key, "GLACIER_IR")
    assert (shelf.verify("disk").read, shelf.verify("disk").cost_usd) == (2, 0)  # own hardware
    seen = shelf.verify("cloud")
    assert (seen.method, seen.read, seen.seen, seen.cost_usd) == ("size", 0, 2, 0)
    with caplog.at_level("INFO", "reelkeeper.verification"):
        asked = shelf.verify("cloud", run_id="b", method="hash")
    # GLACIER_IR: 2 GETs at 0.01 / 1,000, and 2 × 1,000 bytes at 0.03 a GB. https://aws.amazon.com/s3/pricing/
    assert asked.read == 2
    assert float(asked.cost_usd) == pytest.approx(2 * 0.00001 + 2000 / 2**30 * 0.03)
    assert "reading what is due in store 'cloud' costs about 0.00 USD" in caplog.text


def test_one_percent_means_one_percent(shelf: "Shelf") -> None:
    shelf.record(1, "disk")
    sha = hashlib.sha256(b"").hexdigest()
    shelf.sql(
        "WITH made AS (INSERT INTO segments (id, camera_id, start_time, end_time, size_bytes, checksum, extension,"
        " container, video_codec, width, height, has_audio, rollout_bucket, storage_backend, storage_path)"
        " SELECT gen_random_uuid(), c.id, t, t + interval '1 s', 1, %s, 'mp4', 'mov', 'h264', 1, 1, false, 0, 'cloud',"
        " 'media/' || i FROM cameras c, generate_series(1, 20000) AS i,"
        " LATERAL (SELECT timestamptz '2026-03-02 00:00:00+00' + i * interval '1 s' AS t) AS times"
        " RETURNING id, start_time, storage_path)"
        " INSERT INTO replicas (segment_id, start_time, store, path, size_bytes, checksum, state, verified_at)"
        " SELECT id, start_time, 'cloud', storage_path, 1, %s, 'available', start_time FROM made", sha, sha,
    )  # fmt: skip
    taken = []
    for seed in (1, -(2**63), 2**63 - 1):
        selection = Selection("cloud", NOW, 100, seed)  # type: ignore[arg-type]
        ids = {replica.segment_id for replica in shelf.catalogue.verification.to_prove(selection, 64)}
        assert len(ids) == pytest.approx(200, abs=5 * (20_000 * 0.01 * 0.99) ** 0.5)
        assert shelf.catalogue.verification.count_to_prove(selection) == {None: (len(ids), len(ids))}
        taken.append(ids)
    assert len(taken[0] & taken[1]) < 20  # each run takes others
    assert len(list(shelf.catalogue.verification.to_prove(Selection("cloud", NOW), 4999))) == 20_000  # type: ignore[arg-type]
    assert len(list(shelf.catalogue.verification.to_see(Selection("cloud", NOW), 20_000))) == 1  # type: ignore[arg-type]


def test_a_sample_all_a_camera_a_time(shelf: "Shelf") -> None:
    shelf.record(20, "disk")
    shelf.record(5, "disk", camera="yard")
    shelf.budget = 1000
    assert shelf.verify(everything=True).read == 25
    assert shelf.verify(everything=True).read == 0  # the same run again
    shelf.now += timedelta(seconds=1)
    half = shelf.verify(run_id="half", sample=Percentage.of(50)).read
    assert 3 <= half <= 22
    assert shelf.verify(run_id="half", sample=Percentage.of(50), started=shelf.now).read == 0
    assert shelf.verify(run_id="none", sample=Percentage.of(0)).read == 0
    shelf.now += timedelta(seconds=1)
    assert shelf.verify(run_id="c", camera="yard", everything=True).read == 5
    shelf.now += timedelta(seconds=1)
    minutes = TimeRange(START + timedelta(minutes=3), START + timedelta(minutes=6))
    assert shelf.verify(run_id="t", starts_in=minutes, everything=True, method="size").seen == 5
    with pytest.raises(ConfigurationError, match="unknown camera 'shed'"):
        shelf.verify(camera="shed")


def test_progress_is_told_in_bytes(shelf: "Shelf") -> None:
    shelf.record(10, "disk")
    shelf.budget = 5000
    told: list[tuple[int, int, int, int]] = []
    verify_store(shelf.estate, lambda: Catalogue(shelf.catalogue._session._connect), shelf.stores.__getitem__, "disk",
                 run_id="run", started=NOW, progress=lambda *state: told.append(state), now=lambda: NOW)  # fmt: skip
    assert told[-1][2:] == (5000, 5000)
    assert told == sorted(told)
