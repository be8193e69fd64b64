"""Every named query runs on a real server, says what it does, and is used."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from aiosql.queries import Queries

import reelkeeper.catalogue
from reelkeeper.catalogue.queries import queries, sql_directory

SOURCE = Path(reelkeeper.catalogue.__file__).parent
NAMES = sorted(name for name in queries().available_queries if not name.endswith("_cursor"))
_PARAMETER = re.compile(r"%\((\w+)\)s")
UUID = "00000000-0000-0000-0000-000000000000"
LATER = datetime(2026, 1, 1, tzinfo=UTC)
VALUES = {
    "again": False, "attempt": 1, "attempts_below": 3, "attempts_from": 0,
    "batch_bytes": 1, "batch_files": 1, "batch_id": UUID,
    "batch_ids": [UUID], "batch_size": 1, "bucket_below": 1, "camera_id": UUID, "catch_up_priority": 20,
    "catch_up_start": LATER, "destination_store": "cloud", "dry_run": False, "ended_before": LATER,
    "failed_rest": timedelta(days=1), "first_start": LATER, "include_requests": True, "interval_end": LATER,
    "interval_priority": 0, "interval_start": LATER, "job": "ingest", "last_start": LATER,
    "lease": timedelta(minutes=1), "limit": 1, "max_batches": 1, "names": ["segments"], "passing_over": ["a"],
    "paths": ["a"], "priority": 1,
    "range_end": LATER, "range_start": LATER, "rest_ended_before": LATER, "retire_after": LATER, "rows": "[]",
    "run_id": "run", "segment_id": UUID, "segment_ids": [UUID], "serves_requests": True, "source_store": "local",
    "stale_after": timedelta(hours=1), "store": "local", "tenant": "default", "what": "zone",
    "zone": "zone",
    "after": LATER, "after_path": "a", "created_at": LATER, "created_by": "me", "delete_after": LATER,
    "end_time": LATER, "expires_at": LATER, "id": UUID, "kind": "legal_hold", "released_by": "me",
    "start_time": LATER, "with_ended": False, "default_days": 90, "most_bytes": 1, "month_end": LATER,
    "month_start": LATER, "stores": ["local"], "ended_by": LATER, "zones": ["zone"], "history_from": LATER,
    "action": "hold", "configured_buckets": 0, "decided_at": LATER, "decided_by": "reelkeeper", "failure_ratio": None,
    "from_buckets": 0, "min_in_window": 1, "reason": "why", "since": LATER, "to_buckets": 0, "transfers": 0,
    "until": LATER, "upload_seconds": None, "window": timedelta(minutes=5),
    "above": 0, "after_id": UUID, "after_start": LATER, "camera_ids": [UUID], "ids": [UUID], "now": LATER,
    "restore_ids": [1],
    "after_number": 0, "archives": ["GLACIER"], "finished_at": LATER, "foreign_objects": 0, "healed": 0,
    "kinds": ["unknown"], "lost": 0, "modified_before": LATER, "moved_to": "a", "object_bytes": 0, "objects": 0,
    "only_path": None, "only_run": None, "orphan_bytes": 0, "orphans": 0, "outcome": "agreed", "path": "a",
    "prefixes": ["media/"], "quarantined": 0, "replicas": 0, "report_path": None, "sightings": 2, "started_at": LATER,
    "wrong_size": 0,
    "boundaries": [LATER], "choices": "[]", "first_number": 0, "kept_days": [1], "origins": "[]",
    "resting": "[]",
    "stale_transfer": timedelta(hours=1), "tiers": ["HOT", "COOL"], "wanted_ranks": [2, 1],
    "archive_ranks": [4], "why": "no",
    "after_time": LATER, "before": LATER, "buckets": 100, "seed": 1,
    "docs_path": None, "is_whole": True, "look_again": "[]",
    "condemned_by": None, "ingest_days": 1, "reasons": ["moved"],
    "contact_sheet_path": None, "cut": None, "done_ratio": None, "download_url": None, "failure": "no",
    "export_id": UUID,
    "failure_code": "media", "file_hash": "0", "file_path": "a", "file_size": 1, "high": 80, "low": 5,
    "manifest_path": "a", "number": 0, "state": "cut", "step": "a", "thumbnail_path": None,
    "channel": "people", "channels": ["people"], "codes": ["access_denied"], "name": "upload_failures", "subject": "",
    "with_ok": True,
    "day": date(2026, 1, 1), "first_day": date(2026, 1, 1), "last_day": date(2026, 1, 1), "size_bytes": 1,
}  # fmt: skip
"""A value for each parameter of any query: a new query with a new parameter adds one here."""


def _used(source: str) -> set[str]:
    return set(re.findall(r'"(\w+)"', source))


def test_each_query_lies_where_it_is_looked_for() -> None:
    assert NAMES
    assert isinstance(queries(), Queries)
    assert {path.suffix for path in (sql_directory() / "queries").iterdir()} == {".sql"}


def test_each_is_used() -> None:
    source = "\n".join(path.read_text() for path in SOURCE.glob("*.py"))
    assert sorted(set(NAMES) - _used(source)) == []


def test_each_says_what_it_does() -> None:
    assert [name for name in NAMES if len((getattr(queries(), name).__doc__ or "").split()) < 3] == []


@pytest.mark.parametrize("name", NAMES)
def test_each_can_be_planned(name: str, explained) -> None:
    sql = getattr(queries(), name).sql
    assert explained(sql, {parameter: VALUES[parameter] for parameter in _PARAMETER.findall(sql)})


@pytest.fixture(scope="module")
def explained(postgres, _catalogue_template):
    """Asks the server for the plan of a statement, on a catalogue of the module's own."""
    import psycopg2

    postgres.create_database("queries", template=_catalogue_template)
    connection = psycopg2.connect(postgres.dsn("queries"), options="-c search_path=reelkeeper")
    with connection, connection.cursor() as cursor:  # what queries of the same connection read
        for name in ("note_rows", "make_listing", "compare_listing", "make_tier_choices"):
            cursor.execute(getattr(queries(), name).sql, VALUES)

    def explain(sql: str, values: dict[str, object]) -> list[tuple[str]]:
        with connection, connection.cursor() as cursor:
            sql = re.sub("CREATE TEMPORARY TABLE (IF NOT EXISTS )?", "CREATE TEMPORARY TABLE another_", sql)
            cursor.execute("EXPLAIN " + sql, values)
            return cursor.fetchall()

    yield explain
    connection.close()
    postgres.drop_database("queries")
