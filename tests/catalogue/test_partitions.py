"""Partitions: made ahead of time, once, beside readers and writers; and queries look only where they must."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta, timezone
from threading import Timer

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812

from reelkeeper.catalogue import partitions
from reelkeeper.catalogue.partitions import FOOTAGE, ensure_partitions, month_of
from reelkeeper.catalogue.queries import queries
from reelkeeper.errors import CatalogueUnavailable
from reelkeeper.model import TimeRange

SPRING = TimeRange(datetime(2025, 3, 31, 23, tzinfo=UTC), datetime(2025, 5, 1, tzinfo=UTC))


@pytest.fixture
def connect(catalogue_dsn: str) -> Iterator[Callable[[], Connection]]:
    with ExitStack() as stack:

        def opened() -> Connection:
            connection = psycopg2.connect(catalogue_dsn, options="-c search_path=reelkeeper")
            stack.callback(connection.close)
            return connection

        yield opened


def test_the_months_that_a_range_touches_are_made_once(connect: Callable[[], Connection]) -> None:
    connection = connect()
    made = ensure_partitions(connection, "reelkeeper", SPRING)
    tables = ("segments", "replicas", "thumbnails", "transfers", "deletions")
    assert sorted(made) == sorted(f"{table}_2025_{month}" for table in tables for month in ("03", "04"))
    assert ensure_partitions(connection, "reelkeeper", SPRING) == []
    assert ensure_partitions(connection, "reelkeeper", SPRING, ["segments"]) == []


def test_months_are_those_of_utc() -> None:
    berlin = timezone(timedelta(hours=2))
    assert month_of(datetime(2025, 6, 1, 1, tzinfo=berlin)).start == datetime(2025, 5, 1, tzinfo=UTC)
    assert month_of(datetime(2025, 12, 31, 23, 59, tzinfo=UTC)).end == datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="naive"):
        month_of(datetime(2025, 6, 1))  # noqa: DTZ001


def test_half_a_year_made_by_four_at_a_time_is_made_once(connect: Callable[[], Connection]) -> None:
    half = TimeRange(datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 7, 1, tzinfo=UTC))
    connections = [connect() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda connection: ensure_partitions(connection, "reelkeeper", half), connections))
    assert len([name for names in made for name in names]) == len({name for names in made for name in names}) == 30


def test_a_partition_waits_for_a_writer_and_lets_readers_pass(
    connect: Callable[[], Connection], make, catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "_LOCK_TIMEOUT", "100ms")
    make.recorded([make.ingested(make.camera())])
    writer, reader = connect(), connect()
    writer.cursor().execute("UPDATE segments SET container = container")
    writer.cursor().execute("UPDATE replicas SET store = store")
    reader.cursor().execute("SELECT FROM segments, replicas")  # and stays in its transaction
    release = Timer(0.5, writer.commit)
    release.start()
    assert len(ensure_partitions(connect(), "reelkeeper", SPRING)) == 10
    release.join()


def test_writers_that_leave_no_gap_are_a_transient_error(
    connect: Callable[[], Connection], make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "_LOCK_TIMEOUT", "20ms")
    monkeypatch.setattr(partitions, "_TRIES", 2)
    make.recorded([make.ingested(make.camera())])
    connect().cursor().execute("UPDATE segments SET container = container")
    writer = connect()
    writer.cursor().execute("UPDATE replicas SET store = store")
    with pytest.raises(CatalogueUnavailable):
        ensure_partitions(connect(), "reelkeeper", SPRING, FOOTAGE)


def test_footage_of_any_age_finds_its_partition(make, catalogue) -> None:
    camera = make.camera()
    old = [make.ingested(camera, datetime(year, 1, 1, tzinfo=UTC)) for year in (1999, 2012, 2031)]
    make.recorded(old)
    assert all(catalogue.segments.get(item.segment.id) == item.segment for item in old)


def scanned(plan: list[tuple[str]]) -> set[str]:
    """The partitions of segments and replicas that a plan looks into."""
    return set(
        re.findall(r"\bon (?:reelkeeper\.)?((?:segments|replicas)_\d{4}_\d\d)\b", "\n".join(row[0] for row in plan))
    )


@pytest.fixture
def years(catalogue_dsn: str) -> None:
    """Three years of partitions."""
    with closing(psycopg2.connect(catalogue_dsn)) as connection:
        years = TimeRange(datetime(2019, 7, 1, tzinfo=UTC), datetime(2022, 7, 1, tzinfo=UTC))
        ensure_partitions(connection, "reelkeeper", years, ("segments", "replicas"))


def test_queries_look_only_into_the_months_they_must(years: None, make, sql) -> None:
    hour = TimeRange(datetime(2020, 6, 10, 12, tzinfo=UTC), datetime(2020, 6, 10, 13, tzinfo=UTC))
    camera = make.camera()

    def partitions_of(query: str, **values: object) -> set[str]:
        return scanned(sql("EXPLAIN " + getattr(queries(), query).sql, values))

    listing = {"camera_id": str(camera.id), "range_start": hour.start, "range_end": hour.end}
    assert partitions_of("segments_overlapping", **listing) == {"segments_2020_06"}
    new_year = {"range_start": datetime(2020, 1, 1, tzinfo=UTC), "range_end": datetime(2020, 1, 2, tzinfo=UTC)}
    assert partitions_of("segments_overlapping", **listing | new_year) == {"segments_2019_12", "segments_2020_01"}

    names = {"rows": "[]", "first_start": hour.start, "last_start": hour.end}
    assert partitions_of("find_segments", **names) == {"segments_2020_06"}
    assert partitions_of("replicas_of_segments", **names) == {"replicas_2020_06"}
    assert partitions_of("transfer_details", **names) == {"segments_2020_06", "replicas_2020_06"}
    assert partitions_of("point_segments", **names) == {"segments_2020_06", "replicas_2020_06"}

    plan = {
        "catch_up_start": hour.start - timedelta(days=7), "catch_up_priority": 20, "failed_rest": timedelta(days=1),
        "rest_ended_before": hour.end, "interval_start": hour.start, "interval_end": hour.end, "interval_priority": 0,
        "bucket_below": 10_000, "ended_before": hour.end, "source_store": "local", "destination_store": "cloud",
        "include_requests": False, "batch_size": 10, "batch_bytes": 10, "max_batches": 10, "run_id": "run", "dry_run":
        True, "archives": [],
    }  # fmt: skip
    assert partitions_of("plan_transfer_batches", **plan) == {"segments_2020_06", "replicas_2020_06"}


def test_a_request_looks_into_its_own_month_only(years: None, make, sql) -> None:
    item = make.recorded([make.ingested(make.camera(), datetime(2020, 6, 10, 12, tzinfo=UTC), reason="late")])[0]
    sql("ANALYZE")
    plan = sql(
        "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) " + queries().plan_transfer_batches.sql,
        {"catch_up_start": "2022-01-01Z", "catch_up_priority": 20, "failed_rest": timedelta(days=1),
         "rest_ended_before": "2030-01-01Z", "interval_start": "2022-01-01Z", "interval_end": "2022-01-01T01:00Z",
         "interval_priority": 0, "bucket_below": 10_000, "ended_before": "2030-01-01Z", "source_store": "local",
         "destination_store": "cloud", "include_requests": True, "batch_size": 10, "batch_bytes": 10**9,
         "max_batches": 10, "run_id": "run", "dry_run": True, "archives": []},
    )  # fmt: skip
    looked = [row for row in plan if "never executed" not in row[0]]
    assert scanned(looked) <= {"segments_2020_06", "replicas_2020_06", "segments_2022_01", "replicas_2022_01"}
    assert item.segment.id
