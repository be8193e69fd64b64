"""What is just right is let pass, and what is just wrong is found: each expectation at its threshold, on both sides."""

# ruff: noqa: S608  (the SQL is the tests' own)

from dataclasses import dataclass

import pytest

from reelkeeper.policy.quality import EXPECTATIONS
from tests.quality.conftest import EXPORT, Plant

NOW = "timestamptz '2026-03-10 06:00'"
LAST = "camera_id = 'GATE' AND start_time = '2026-03-10 05:00'"
NEXT_PATH = "(SELECT path FROM replicas WHERE segment_id = 'NEXT')"


@dataclass(frozen=True)
class Threshold:
    """Two statements about the same thing: what the one leaves is right, what the other leaves is not."""

    expectation: str
    what: str
    right: str
    wrong: str


def of(expectation: str, what: str, statement: str, right: object, wrong: object) -> Threshold:
    return Threshold(expectation, what, statement.format(right), statement.format(wrong))


def segment(expectation: str, column: str, right: object, wrong: object) -> Threshold:
    return of(expectation, column, f"UPDATE segments SET {column} = {{}} WHERE id = 'S'", right, wrong)


def replica(expectation: str, column: str, right: object, wrong: object) -> Threshold:
    return of(expectation, column, f"UPDATE replicas SET {column} = {{}} WHERE segment_id = 'S'", right, wrong)


def transfer(expectation: str, column: str, right: object, wrong: object) -> Threshold:
    return of(expectation, column, f"UPDATE transfers SET {column} = {{}} WHERE segment_id = 'S'", right, wrong)


def export(expectation: str, column: str, right: object, wrong: object) -> Threshold:
    return of(expectation, column, f"UPDATE exports SET {column} = {{}}", right, wrong)


def listing(what: str, right: str, wrong: str) -> Threshold:
    return of("store_listing", what, "UPDATE reconciliations SET objects = 1000, replicas = 1000, {}", right, wrong)


def before(hours: int) -> tuple[str, str]:
    """So many hours ago, and a microsecond more."""
    return f"{NOW} - interval '{hours} hours'", f"{NOW} - interval '{hours} hours 0.000001 seconds'"


def after(minutes: int) -> tuple[str, str]:
    """In so many minutes, and a microsecond more."""
    return f"{NOW} + interval '{minutes} minutes'", f"{NOW} + interval '{minutes} minutes 0.000001 seconds'"


def lasting(right: str, wrong: str) -> tuple[str, str]:
    return f"start_time + interval '{right}'", f"start_time + interval '{wrong}'"


REMOVED = "DELETE FROM replicas WHERE segment_id = 'S'; "
DELETED = (
    REMOVED + "INSERT INTO deletions (store, path, segment_id, start_time, reason, size_bytes, run_id, condemned_at, "
    "deleted_at) SELECT 'local', 'x', segment_id, start_time, 'retired', 1, 'r', started_at, started_at - {} "
    "FROM transfers WHERE segment_id = 'S'"
)
WAITING = (
    f"INSERT INTO batches (id, job, run_id, store, number, item_count, size_bytes) VALUES ('{EXPORT}', 'migrate', 'r', "
    "'cloud', 0, 1, 1); INSERT INTO transfer_items (batch_id, segment_id, start_time, source_store, destination_store, "
    f"size_bytes, priority, state, updated_at) VALUES ('{EXPORT}', 'S', '2026-03-09', 'local', 'cloud', 1, 0, "
)
SILENT_FOR = (
    "DELETE FROM segments WHERE camera_id = 'YARD' AND start_time > '2026-03-09 05:00'; "
    "UPDATE segments SET end_time = {} WHERE camera_id = 'YARD' AND start_time = '2026-03-09 05:00'"
)
RECORDED = (  # 8 March without two hours, and 24 minutes of a third: 21.6 hours are 90 %
    "DELETE FROM segments WHERE camera_id = 'GATE' AND start_time IN ('2026-03-08 03:00', '2026-03-08 04:00'); "
    "UPDATE segments SET end_time = end_time - interval '{}' "
    "WHERE camera_id = 'GATE' AND start_time = '2026-03-08 05:00'"
)

THRESHOLDS = (
    segment("segment_ranges", "end_time", *lasting("1 microsecond", "0 seconds")),
    segment("segment_ranges", "end_time", *lasting("24 hours", "24 hours 0.000001 seconds")),
    segment("segment_overlaps", "end_time", *lasting("1 hour 2 seconds", "1 hour 2.000001 seconds")),
    of("segment_clocks", "ends", f"UPDATE segments SET end_time = {{}} WHERE {LAST}", *after(10)),
    segment("segment_checksums", "checksum", "repeat('f', 64)", "repeat('f', 63) || 'F'"),
    segment("segment_sizes", "size_bytes", 1, 0),
    segment("segment_bitrates", "size_bytes", 36_000, 35_999),  # ten bytes a second for an hour
    segment("segment_bitrates", "size_bytes", 450_000_000_000, 450_000_000_001),  # a gigabit a second
    segment("segment_fields", "extension", "'abcdefghij'", "'abcdefghijk'"),
    segment("segment_fields", "width", 1, 0),
    segment("segment_fields", "frame_rate", "NULL", 0),
    segment("segment_fields", "rollout_bucket", 9999, 10_000),
    segment("segment_fields", "rollout_bucket", 0, -1),
    segment("segment_fields", "storage_backend", "'local'", "'Local'"),
    of("segment_retention", "days", "UPDATE cameras SET retention_days = {} WHERE id = 'GATE'", 1, 0),
    of("segment_retention", "unset", "UPDATE cameras SET retention_days = {} WHERE id = 'GATE'", "NULL", -1),
    of("verified_replica", "one of two", "INSERT INTO replicas (segment_id, start_time, store, path, size_bytes, "
       "checksum, state) SELECT segment_id, start_time, 'attic', path, size_bytes, checksum, 'lost' FROM replicas "
       "WHERE segment_id = 'S'; UPDATE replicas SET state = '{}' WHERE segment_id = 'S' AND store = 'local'",
       "available", "suspicious"),
    of("replica_matches", "size", "UPDATE segments SET size_bytes = 7 WHERE id = 'S'; "
       "UPDATE replicas SET size_bytes = {} WHERE segment_id = 'S'", 7, 8),
    replica("replica_checksums", "checksum", "repeat('0', 64)", "repeat('0', 63) || 'g'"),
    replica("replica_sizes", "size_bytes", 1, 0),
    replica("replica_fields", "verified_at", *after(10)),
    replica("replica_fields", "state", "'suspicious'", "'doubted'"),
    replica("replica_fields", "path", "'x'", "''"),
    of("replica_paths", "in another store", f"UPDATE replicas SET path = {NEXT_PATH}, store = '{{}}' "
       "WHERE segment_id = 'S'", "attic", "local"),
    transfer("transfer_fields", "finished_at", *after(10)),
    transfer("transfer_fields", "started_at", "finished_at", "finished_at + interval '1 microsecond'"),
    transfer("transfer_fields", "error_code", "NULL", "'service_unavailable'"),
    of("transfer_sizes", "size", "UPDATE segments SET size_bytes = 7 WHERE id = 'S'; "
       "UPDATE transfers SET size_bytes = {} WHERE segment_id = 'S'", 7, 8),
    of("transfer_results", "forgotten", REMOVED + "DELETE FROM segments WHERE id = '{}'", "S", "NEXT"),
    of("transfer_results", "deleted since", DELETED, "interval '0'", "interval '1 microsecond'"),
    of("transfer_queue", "waits", WAITING + "'pending', {})", *before(72)),
    of("transfer_queue", "done", WAITING + "'{}', '2026-01-01')", "done", "pending"),
    export("export_fields", "end_time", "start_time + interval '1 microsecond'", "start_time"),
    export("export_fields", "status = 'FAILED', failure", "'gone'", "NULL"),
    of("export_files", "size", "UPDATE exports SET file_size = {0}; UPDATE export_files SET size_bytes = {0}", 1, 0),
    of("export_files", "hash", f"UPDATE exports SET file_hash = '{{}}' WHERE id = '{EXPORT}'", "5" * 64, "6" * 64),
    export("export_progress", "status = 'PROCESSING', updated_at", *before(72)),
    export("export_expiry", "expires_at", *before(72)),
    of("camera_silence", "ended", SILENT_FOR, *before(24)),
    of("camera_coverage", "share", RECORDED, "24 minutes", "24 minutes 0.000001 seconds"),
    of("store_reconciled", "listed", "UPDATE reconciliations SET finished_at = {}", *before(50)),
    of("store_reconciled", "new", "DELETE FROM reconciliations; UPDATE catalogue_identity SET made_at = {}",
       *before(50)),
    listing("orphans", "orphans = 1", "orphans = 2"),
    listing("lost", "lost = 1", "lost = 2"),
    listing("lost and wrong", "wrong_size = 1", "wrong_size = 1, lost = 1"),
    of("store_listing", "fewer objects", "UPDATE reconciliations SET replicas = 1000, objects = {}", 999, 998),
)  # fmt: skip


@pytest.mark.parametrize("threshold", THRESHOLDS, ids=lambda each: f"{each.expectation}: {each.what}")
def test_what_is_just_right_passes_and_what_is_just_wrong_is_found(planted: Plant, threshold: Threshold) -> None:
    assert planted(threshold.right, threshold.expectation) == {}
    assert planted(threshold.wrong, threshold.expectation) != {}


def test_each_expectation_has_a_threshold() -> None:
    assert {threshold.expectation for threshold in THRESHOLDS} == {str(each.name) for each in EXPECTATIONS}
