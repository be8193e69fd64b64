"""Each expectation fails where its own defect is planted, and names exactly the rows that are wrong; no other does."""

# ruff: noqa: S608  (the SQL is the tests' own)

from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta

import psycopg2
import pytest

from reelkeeper.catalogue.partitions import ensure_partitions
from reelkeeper.catalogue.queries import quality_queries
from reelkeeper.model import TimeRange
from reelkeeper.policy.quality import DATED, EXPECTATIONS, INGESTED
from reelkeeper.quality.statements import Demanded
from tests.quality.conftest import EXPORT, NOW, SHA, Plant, World, at

WRONG_SHA = "G" + SHA[1:]
NO_BYTES = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
COLUMNS = (
    "camera_id, size_bytes, checksum, extension, container, video_codec, width, height, frame_rate, has_audio, "
    "rollout_bucket, storage_backend, storage_path, created_at"
)


@dataclass(frozen=True)
class Defect:
    """What is done to the catalogue, and what is to be found: by expectation, the first column of each wrong row.

    `S` stands for the segment of camera `gate` at noon of 9 March, `NEXT` for the one after it, `GATE` and `YARD` for
    the cameras.
    """

    what: str
    sql: str
    found: dict[str, list[str]]


def segment(what: str, change: str, **found: list[str]) -> Defect:
    return Defect(what, f"UPDATE segments SET {change} WHERE id = 'S'", found)


def replica(what: str, change: str, **found: list[str]) -> Defect:
    return Defect(what, f"UPDATE replicas SET {change} WHERE segment_id = 'S'", found)


def export(what: str, change: str, **found: list[str]) -> Defect:
    return Defect(what, f"UPDATE exports SET {change}", found)


def transfer(what: str, change: str, **found: list[str]) -> Defect:
    return Defect(what, f"UPDATE transfers SET {change} WHERE segment_id = 'S'", found)


def reconciliation(what: str, change: str, **found: list[str]) -> Defect:
    return Defect(what, f"UPDATE reconciliations SET {change}", found)


def copied(start: str, hours: float = 1) -> str:
    return (
        f"INSERT INTO segments (id, start_time, end_time, {COLUMNS}) "
        f"SELECT '{EXPORT}', '{start}', timestamptz '{start}' + {hours} * interval '1 hour', {COLUMNS} "
        "FROM segments WHERE id = 'S'"
    )


DEFECTS = (
    segment("ends before it starts", "end_time = start_time - interval '1 minute'", segment_ranges=["S"]),
    segment("lasts for more than a day", "end_time = start_time + interval '25 hours'",
            segment_ranges=["S"], segment_overlaps=["all of gate since"], segment_clocks=["S"]),
    segment("ends after the next began", "end_time = end_time + interval '5 minutes'", segment_overlaps=["NEXT"]),
    segment("repeats some frames", "end_time = end_time + interval '2 seconds'"),
    Defect("overlaps from a day that is not looked at",
           f"UPDATE segments SET end_time = end_time + interval '2 minutes' "
           f"WHERE camera_id = 'GATE' AND start_time = '{at(6, 23)}'", {"segment_overlaps": ["MIDNIGHT"]}),
    Defect("is under a longer one, with others", copied("2026-03-09 12:10", 0.5),
           {"segment_overlaps": [EXPORT], "verified_replica": [EXPORT]}),
    Defect("is of tomorrow", copied("2026-03-11 12:00"), {"segment_clocks": [EXPORT], "verified_replica": [EXPORT]}),
    segment("has a checksum in large digits", f"checksum = '{WRONG_SHA}'",
            segment_checksums=["S"], replica_matches=["S"]),
    segment("has a short checksum", "checksum = 'abc'", segment_checksums=["S"], replica_matches=["S"]),
    segment("has the checksum of no bytes", f"checksum = '{NO_BYTES}'",
            segment_checksums=["S"], replica_matches=["S"]),
    segment("has no bytes", "size_bytes = 0", segment_sizes=["S"], replica_matches=["S"], transfer_sizes=["S"]),
    segment("has too few bytes", "size_bytes = 35999", segment_bitrates=["S"], replica_matches=["S"],
            transfer_sizes=["S"]),
    segment("has too many bytes", "size_bytes = 450000000001", segment_bitrates=["S"], replica_matches=["S"],
            transfer_sizes=["S"]),
    segment("has no container", "container = ''", segment_fields=["S"]),
    segment("has no codec", "video_codec = NULL", segment_fields=["S"]),
    segment("has no picture", "width = 0, height = 0", segment_fields=["S"]),
    segment("has an odd suffix", "extension = 'MP4'", segment_fields=["S"]),
    segment("is read from a store that the estate has not", "storage_backend = 'attic'", segment_fields=["S"]),
    segment("is in no bucket of the rollout", "rollout_bucket = 10000", segment_fields=["S"]),
    Defect("is of a camera kept for no time", "UPDATE cameras SET retention_days = 0 WHERE id = 'YARD'",
           {"segment_retention": ["every of yard"]}),
    Defect("is of a camera that nobody knows", f"UPDATE segments SET camera_id = '{EXPORT}' WHERE id = 'S'",
           {"segment_retention": ["S"]}),
    replica("is lost", "state = 'lost'", verified_replica=["S"]),
    replica("was never verified", "verified_at = NULL", verified_replica=["S"], replica_fields=["S"]),
    Defect("has no replica", "DELETE FROM replicas WHERE segment_id = 'S'",
           {"verified_replica": ["S"], "transfer_results": ["S"]}),
    Defect("expires, and is condemned",
           "UPDATE replicas SET state = 'condemned' WHERE segment_id = 'S'; INSERT INTO condemnations SELECT store, "
           "path, segment_id, start_time, 'expired', size_bytes, 'r', now(), now() FROM replicas "
           "WHERE segment_id = 'S'", {}),
    Defect("is condemned for another reason",
           "UPDATE replicas SET state = 'condemned' WHERE segment_id = 'S'; INSERT INTO condemnations SELECT store, "
           "path, segment_id, start_time, 'quota', size_bytes, 'r', now(), now() FROM replicas WHERE segment_id = 'S'",
           {"verified_replica": ["S"]}),
    replica("is of another size", "size_bytes = size_bytes - 1", replica_matches=["S"]),
    replica("has no bytes", "size_bytes = 0", replica_matches=["S"], replica_sizes=["S"]),
    replica("has no checksum", "checksum = NULL", replica_matches=["S"], replica_checksums=["S"]),
    replica("is in a store that the estate has not", "store = 'attic'", replica_fields=["S"], transfer_results=["S"]),
    replica("is in no tier", "tier = 'WARM'", replica_fields=["S"]),
    replica("was verified tomorrow", f"verified_at = '{NOW + timedelta(days=1)}'", replica_fields=["S"]),
    replica("shares its object", "path = (SELECT path FROM replicas WHERE segment_id = 'NEXT')",
            replica_paths=["S", "NEXT"]),
    transfer("failed without an error", "outcome = 'failed'", transfer_fields=["S"]),
    transfer("began after it ended", "started_at = finished_at + interval '1 second'", transfer_fields=["S"]),
    transfer("came from where it went", "source_store = destination_store", transfer_fields=["S"]),
    transfer("moved too little", "size_bytes = 1", transfer_sizes=["S"]),
    Defect("was copied, and deleted since",
           "DELETE FROM replicas WHERE segment_id = 'S'; INSERT INTO deletions (store, path, segment_id, start_time, "
           "reason, size_bytes, run_id, condemned_at, deleted_at) SELECT 'local', 'x', id, start_time, 'retired', 1, "
           "'r', start_time, timestamptz '2026-03-10' FROM segments WHERE id = 'S'", {"verified_replica": ["S"]}),
    Defect("waits to be copied", "INSERT INTO batches (id, job, run_id, store, number, item_count, size_bytes) "
           f"VALUES ('{EXPORT}', 'migrate', 'r', 'cloud', 0, 1, 1); INSERT INTO transfer_items (batch_id, segment_id, "
           "start_time, source_store, destination_store, size_bytes, priority, updated_at) "
           f"VALUES ('{EXPORT}', 'S', '2026-03-09', 'local', 'cloud', 1, 0, '2026-03-07 05:59')",
           {"transfer_queue": [EXPORT]}),
    export("ends before it starts", "end_time = start_time", export_fields=[EXPORT]),
    export("has no reason", "reason = ''", export_fields=[EXPORT]),
    export("is done and has no hash", "file_hash = NULL", export_fields=[EXPORT], export_files=[EXPORT]),
    export("is done and has no manifest", "manifest_path = NULL", export_fields=[EXPORT], export_files=[EXPORT]),
    export("is in a store that the estate has not", "store = 'attic'", export_fields=[EXPORT]),
    Defect("lacks the file of its manifest", "DELETE FROM export_files WHERE kind = 'manifest'",
           {"export_files": [EXPORT]}),
    Defect("has a file without bytes", "UPDATE export_files SET size_bytes = 0 WHERE kind = 'manifest'",
           {"export_files": [EXPORT]}),
    export("was left by its worker", "status = 'PROCESSING', updated_at = '2026-03-07 05:59'",
           export_progress=[EXPORT]),
    export("is still there", "expires_at = '2026-03-07 05:59'", export_expiry=[EXPORT]),
    Defect("went silent", f"DELETE FROM segments WHERE camera_id = 'YARD' AND start_time >= '{at(9)}'",
           {"camera_silence": ["YARD"], "camera_coverage": ["YARD"]}),
    Defect("recorded too little", f"DELETE FROM segments WHERE camera_id = 'GATE' AND start_time >= '{at(8, 3)}' AND "
           f"start_time < '{at(8, 6)}'", {"camera_coverage": ["GATE"]}),
    reconciliation("was not listed for long", "finished_at = '2026-03-08 03:59'", store_reconciled=["local"]),
    reconciliation("was doubted", "outcome = 'sick'", store_reconciled=["local"]),
    Defect("was never listed", "DELETE FROM reconciliations", {"store_reconciled": ["local"]}),
    Defect("is new", "DELETE FROM reconciliations; UPDATE catalogue_identity SET made_at = '2026-03-09'", {}),
    reconciliation("has orphans", "orphans = 1", store_listing=["local"]),
    reconciliation("has lost replicas", "lost = 1", store_listing=["local"]),
    reconciliation("lists less than it has rows", "objects = 443", store_listing=["local"]),
)  # fmt: skip


def test_a_catalogue_in_order_meets_every_expectation(planted: Plant) -> None:
    assert planted("") == {}


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.what)
def test_a_defect_is_found_and_nothing_else(unguarded: World, planted: Plant, defect: Defect) -> None:
    found = planted(defect.sql)
    expected = dict(defect.found)
    if expected.get("segment_retention") == ["every of yard"]:  # of the days that are looked at
        expected["segment_retention"] = [unguarded.segment("yard", at(7, hour)) for hour in range(3 * 24 + 6)]
    if expected.get("segment_overlaps") == ["all of gate since"]:
        later = [unguarded.segment("gate", at(9, hour)) for hour in range(14, 24 + 6)]
        expected["segment_overlaps"] = ["NEXT", *later]
    assert {name: sorted(rows) for name, rows in found.items()} == {
        name: sorted(rows) for name, rows in expected.items()
    }


def test_each_expectation_has_a_defect() -> None:
    assert {name for defect in DEFECTS for name in defect.found} == {str(each.name) for each in EXPECTATIONS}


def test_each_query_is_an_expectation_or_what_one_looks_at() -> None:
    used = {str(each.name) for each in EXPECTATIONS} | {each.looks_at for each in EXPECTATIONS}
    used |= set(INGESTED.values())
    there = {name for name in quality_queries().available_queries if not name.endswith("_cursor")}
    assert there == used
    assert [name for name in there if len((getattr(quality_queries(), name).__doc__ or "").split()) < 3] == []


def test_only_the_months_that_are_looked_at_are_read(unguarded: World, demanded: list[Demanded]) -> None:
    with closing(psycopg2.connect(unguarded.dsn)) as connection:
        ensure_partitions(connection, "reelkeeper", TimeRange(at(1) - timedelta(days=50), at(1)))
    dated = [one for one in demanded if one.expectation.looks_at in DATED]
    for one in dated:
        plan = [
            str(line) for (line,) in unguarded.sql("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) " + one.parts[0].looks_at)
        ]
        assert [line for line in plan if "_2026_03" in line and "never executed" not in line], one.expectation.name
        whole = [
            str(line) for (line,) in unguarded.sql("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) " + one.parts[0].statement)
        ]
        others = [line for line in plan + whole if "_2026_01" in line and "never executed" not in line]
        assert not others, one.expectation.name
