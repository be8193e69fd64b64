"""Checks by great-expectations itself, on a real catalogue: what they find, report, remember and fail with."""

import csv
import logging
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import psycopg2
import pytest

from reelkeeper.errors import CatalogueUnavailable, QualityFailed, StoreUnavailable
from reelkeeper.model import TimeRange
from reelkeeper.policy.quality import EXPECTATIONS, Name, Suite
from reelkeeper.quality.checking import Checked, Run, check_catalogue, check_ingested, gate
from reelkeeper.settings import Demand, Quality
from reelkeeper.stores.protocols import Store
from tests.quality.conftest import EXPORT, NOW, World, at

DAY = timedelta(days=1)


def check(world: World, **more: Any) -> Checked:
    return check_catalogue(world.estate, world.catalogue, world.open_store, world.run(), **more)


def found(checked: Checked) -> dict[str, int]:
    return {str(result.expectation): result.failing for result in checked.results if result.failing}


def longer(world: World, minutes: int, day: int = 9, hour: int = 12, camera: str = "gate") -> None:
    """A segment ends so many minutes later."""
    world.sql("UPDATE segments SET end_time = end_time + %s * interval '1 minute' WHERE id = %s", minutes,
              world.segment(camera, at(day, hour)))  # fmt: skip


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Where great-expectations would put its own files."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(folder)
    return folder


def test_a_catalogue_in_order_passes(world: World, home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    called, real = [], socket.getaddrinfo

    def looked_up(host: Any, *given: Any, **more: Any) -> Any:
        if host in ("127.0.0.1", "::1", "localhost"):  # servers of other tests, asked by threads that linger
            return real(host, *given, **more)
        called.append(host)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    checked = check(world)
    gate(checked)
    assert (checked.outcome, found(checked)) == ("passed", {})
    assert [result.expectation for result in checked.results] == [each.name for each in EXPECTATIONS]
    looked_at = {str(result.expectation): result.looked_at for result in checked.results}
    # Four days, the last of them until 6 o'clock, of two cameras; three whole days; two cameras; one export, one store.
    assert (looked_at["segment_overlaps"], looked_at["camera_coverage"], looked_at["camera_silence"]) == (156, 6, 2)
    assert (looked_at["transfer_sizes"], looked_at["export_files"], looked_at["store_listing"]) == (156, 1, 1)
    # It tells nobody, asks nobody, and leaves no files.
    assert os.environ["GX_ANALYTICS_ENABLED"] == "false"
    assert called == []
    assert list(home.iterdir()) == []


def test_a_failure_names_its_rows_everywhere(world: World, caplog: pytest.LogCaptureFixture) -> None:
    longer(world, 5)
    longer(world, 7, hour=14)
    checked = check(world)
    first, second = (world.segment("gate", at(9, hour)) for hour in (13, 15))
    assert found(checked) == {"segment_overlaps": 2}
    with pytest.raises(QualityFailed) as failed:
        gate(checked)
    assert str(failed.value).startswith(
        "Of 26 expectations 1 failed. segment_overlaps: 2 of 156 rows are wrong: (segment_id "
        f"{first}, camera gate, start_time 2026-03-09T13:00:00+00:00"
    )
    assert second in str(failed.value)
    assert second in caplog.text
    (result,) = [each for each in checked.results if each.failing]
    assert result.report_path == "reports/check_catalogue/2026-03-10/run/segment_overlaps.csv"
    rows = list(csv.DictReader(StringIO(world.table(result.report_path))))
    assert [(row["segment_id"], float(row["overlap_seconds"])) for row in rows] == [(first, 300), (second, 420)]
    page = world.table(str(checked.docs))
    assert checked.docs == "reports/check_catalogue/2026-03-10/run/data_docs.html"
    assert first in page
    assert 'href="segment_overlaps.csv"' in page
    remembered = world.catalogue.quality.latest("check_catalogue")
    assert remembered is not None
    assert (remembered.outcome, remembered.docs_path) == ("failed", checked.docs)
    assert [
        (each.expectation, each.failing, each.examples[0]["segment_id"]) for each in remembered.results if each.failing
    ] == [(Name.SEGMENT_OVERLAPS, 2, first)]


def test_a_check_of_a_part_is_not_taken_for_one_of_the_estate(world: World) -> None:
    """Somebody looks into exports alone, or into March, minutes after the nightly check failed."""

    def last() -> str:
        run = world.catalogue.quality.latest("check_catalogue")
        return run.run_id if run else ""

    longer(world, 5)
    for name, more in (("night", {}), ("exports", {"suites": [Suite.EXPORTS]}),
                       ("march", {"time_range": TimeRange(at(1), at(5))})):  # fmt: skip
        check_catalogue(world.estate, world.catalogue, world.open_store, world.run(name), **more)
        assert last() == "night"
    remembered = world.catalogue.quality.latest("check_catalogue")
    assert remembered is not None
    assert remembered.outcome == "failed"
    # Of what it asked about at once, the window and what is dated later: not all that is recorded from then on.
    assert remembered.look_again == (TimeRange(at(7), NOW),)


def test_what_is_wrong_in_old_footage_is_looked_at_each_day_until_it_is_right(world: World) -> None:
    """Of what is older than the window, each day another day's turn comes: what one check found must not be forgotten
    by the next."""
    world = replace(world, quality=Quality(window_days=2, cycle_days=3))

    def on(day: int) -> dict[str, int]:
        run = Run("check_catalogue", f"run {day}", NOW + day * DAY)
        return found(check_catalogue(world.estate, world.catalogue, world.open_store, run, suites=tuple(Suite)))

    def overlaps(day: int) -> int:
        return on(day).get("segment_overlaps", 0)

    longer(world, 5, day=4)
    longer(world, 5, day=5)
    assert [overlaps(day) for day in range(5)] == [1, 2, 2, 2, 2]
    longer(world, -5, day=4)
    longer(world, -5, day=5)
    assert [overlaps(day) for day in range(5, 9)] == [0, 0, 0, 0]
    remembered = world.catalogue.quality.latest("check_catalogue")
    assert remembered is not None
    assert not any(at(4) <= each.start < at(6) for each in remembered.look_again)


def test_what_is_wrong_is_told_though_no_report_can_be_written(world: World) -> None:
    """A store that is away is worth another try, and what is wrong does not wait for it."""

    def away(name: str) -> Store:
        raise StoreUnavailable(f"store {name!r} did not answer")

    with pytest.raises(StoreUnavailable):
        check_catalogue(world.estate, world.catalogue, away, world.run())
    longer(world, 5)
    told = f"{world.segment('gate', at(9, 13))}.*; no report could be written$"
    with pytest.raises(QualityFailed, match=told):
        check_catalogue(world.estate, world.catalogue, away, world.run())
    with pytest.raises(QualityFailed, match=told):
        ingested(world, away)


def test_each_expectation_can_fail(world: World) -> None:
    """By great-expectations, all of them at once: what each of them finds alone is tested beside this."""
    world.unguard()
    longer(world, 1500)
    second = world.segment("gate", at(9, 13))
    world.sql(f"""
        UPDATE segments SET checksum = 'no', size_bytes = 0, container = '' WHERE id = '{second}';
        UPDATE segments SET size_bytes = 1 WHERE camera_id = '{world.cameras["gate"].id}' AND start_time = '{at(9, 2)}';
        UPDATE cameras SET retention_days = 0 WHERE slug = 'yard';
        UPDATE replicas SET state = 'lost', checksum = '', size_bytes = 0, tier = 'WARM', path = 'x'
        WHERE start_time = '{at(9, 5)}';
        DELETE FROM replicas WHERE segment_id = '{second}';
        DELETE FROM segments WHERE camera_id = '{world.cameras["yard"].id}' AND start_time >= '{at(8)}';
        DELETE FROM segments WHERE camera_id = '{world.cameras["gate"].id}'
            AND start_time BETWEEN '{at(8)}' AND '{at(8, 10)}';
        UPDATE replicas SET path = 'shared' WHERE start_time = '{at(7, 5)}';
        UPDATE transfers SET size_bytes = 1, started_at = finished_at + interval '1 hour' WHERE segment_id = '{second}';
        INSERT INTO transfer_items (batch_id, segment_id, start_time, source_store, destination_store, size_bytes,
            priority, updated_at) VALUES ('{EXPORT}', '{second}', '2026-03-09', 'local', 'cloud', 1, 0, '2026-03-01');
        UPDATE exports SET file_hash = NULL, expires_at = '2026-03-01';
        INSERT INTO exports (id, tenant, format, status, expires_at, updated_at)
        VALUES (gen_random_uuid(), 'default', 'mp4', 'PENDING', '2026-03-20', '2026-03-01');
        UPDATE reconciliations SET finished_at = '2026-03-01', orphans = 100
    """)  # noqa: S608
    checked = check(world)
    assert [each.expectation for each in checked.results if each.success] == []


@pytest.mark.parametrize(
    ("demand", "outcome"),
    [
        (Demand(severity="warn"), "warned"),
        (Demand(mostly=0.99), "passed"),  # 155 of 156
        (Demand(mostly=0.999), "failed"),
    ],
)
def test_estate_toml_says_what_counts(world: World, demand: Demand, outcome: str) -> None:
    longer(world, 5)
    world.quality = Quality(expectations={Name.SEGMENT_OVERLAPS: demand})
    checked = check(world, suites=[Suite.SEGMENTS])
    assert (checked.outcome, found(checked)) == (outcome, {"segment_overlaps": 1})
    if outcome != "failed":
        gate(checked)
    world.quality = Quality(overlap_seconds=300)
    assert check(world, suites=[Suite.SEGMENTS]).outcome == "passed"


def test_older_footage_has_its_day(world: World) -> None:
    longer(world, 5, day=2)  # eight days before
    world.quality = Quality(window_days=3, cycle_days=4)
    assert found(check(world, suites=[Suite.SEGMENTS])) == {"segment_overlaps": 1}
    world.quality = Quality(window_days=3, cycle_days=5)
    assert found(check(world, suites=[Suite.SEGMENTS])) == {}
    whole = TimeRange(datetime(1970, 1, 1, tzinfo=UTC), at(5, 7))
    assert found(check(world, suites=[Suite.SEGMENTS], time_range=whole)) == {"segment_overlaps": 1}


def test_parts_are_asked_about_one_by_one_and_judged_together(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The 2nd of March, and the days from the 6th on, are two parts; both have rows that are wrong."""
    longer(world, 5, day=2, hour=3)
    longer(world, 5, day=9)
    longer(world, 5, day=9, hour=20)
    few = Demand(mostly=0.98)  # 47 of the 48 of the 2nd are fewer, 249 of all 252 are not
    world.quality = Quality(window_days=3, cycle_days=4, examples=2, expectations={Name.SEGMENT_OVERLAPS: few})
    with caplog.at_level(logging.INFO):
        checked = check(world, suites=[Suite.SEGMENTS])
    (result,) = [each for each in checked.results if each.failing]
    assert (result.looked_at, result.failing, result.success, len(result.examples)) == (252, 3, True, 2)
    rows = list(csv.DictReader(StringIO(world.table(str(result.report_path)))))
    wrong = [world.segment("gate", start) for start in (at(2, 4), at(9, 13), at(9, 21))]
    assert [row["segment_id"] for row in rows] == wrong
    assert [example["segment_id"] for example in result.examples] == wrong[:2]
    assert "(here of 2026-03-02)" in world.table(str(checked.docs))
    assert "part 1 of 2: suite segments, 2026-03-02" in caplog.text
    assert {each.looked_at for each in checked.results} == {252}


def test_a_report_ends_where_it_may_not_be_longer(world: World, caplog: pytest.LogCaptureFixture) -> None:
    for day, hour in ((2, 3), (9, 12), (9, 20)):
        longer(world, 5, day=day, hour=hour)
    world.quality = Quality(window_days=3, cycle_days=4, report_rows=2)
    (result,) = [each for each in check(world, suites=[Suite.SEGMENTS]).results if each.failing]
    assert result.failing == 3
    assert len(world.table(str(result.report_path)).splitlines()) == 1 + 2
    assert "segment_overlaps: its report ends after 2 rows of 3" in caplog.text


def test_coverage_counts_each_second_once(world: World) -> None:
    gate_camera = str(world.cameras["gate"].id)
    # Of 8 March gate has 0:00 to 0:30 twice, once from the 7th, and 1:00 to 4:00, half an hour of it twice: 3.5 hours.
    world.sql("DELETE FROM segments WHERE camera_id = %s AND start_time >= %s AND start_time < %s", gate_camera,
              at(8, 4), at(9))  # fmt: skip
    longer(world, -30, day=8, hour=0)
    longer(world, 30, day=7, hour=23)
    longer(world, 30, day=8, hour=1)
    checked = check(world, suites=[Suite.CAMERAS])
    (result,) = [each for each in checked.results if each.failing]
    assert result.examples == (
        {"camera_id": gate_camera, "tenant": "default", "camera": "gate", "day": "2026-03-08", "segments": 5,
         "coverage_ratio": round(3.5 / 24, 4)},
    )  # fmt: skip
    world.quality = Quality(min_coverage_ratio=3.49 / 24)
    assert found(check(world, suites=[Suite.CAMERAS])) == {}
    world.quality = Quality(out_of_service=("default/gate",))
    assert found(check(world, suites=[Suite.CAMERAS])) == {}


def test_what_left_by_its_retention_is_not_missed(world: World) -> None:
    world.sql("UPDATE cameras SET retention_days = 2 WHERE slug = 'gate'")
    world.sql("DELETE FROM segments WHERE camera_id = %s AND start_time < %s", str(world.cameras["gate"].id), at(8, 7))
    assert found(check(world, suites=[Suite.CAMERAS])) == {}


def test_a_camera_out_of_service_for_long_is_not_silent(world: World) -> None:
    world.sql("DELETE FROM segments WHERE camera_id = %s AND start_time >= %s", str(world.cameras["gate"].id), at(3))
    world.quality = Quality(in_service_days=4)
    assert found(check(world, suites=[Suite.CAMERAS])) == {}
    world.quality = Quality(in_service_days=8)
    assert found(check(world, suites=[Suite.CAMERAS])) == {"camera_silence": 1, "camera_coverage": 3}


def test_a_run_that_is_tried_again_tells_anew_and_old_ones_are_forgotten(world: World) -> None:
    check(world, suites=[Suite.STORES])
    longer(world, 5)
    check(world, suites=[Suite.SEGMENTS])
    assert world.sql("SELECT outcome FROM quality_runs") == [("failed",)]
    world.sql("UPDATE quality_runs SET run_id = 'old', started_at = %s, finished_at = %s", at(1), at(1))
    world.quality = Quality(history_days=8)
    check(world, suites=[Suite.STORES])
    remembered = "SELECT run_id, count(*) FROM quality_runs JOIN quality_results ON id = quality_run_id GROUP BY 1"
    assert world.sql(remembered) == [("run", 2)]


def test_a_query_that_fails_tells_nothing_of_the_catalogue(world: World) -> None:
    world.sql("DROP TABLE export_files")
    with pytest.raises(Exception, match="not up to date"):
        check(world, suites=[Suite.EXPORTS])
    assert world.sql("SELECT count(*) FROM quality_runs") == [(0,)]


def test_a_query_that_takes_too_long_may_be_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = world.catalogue.quality.connect

    def impatient(timeout: Any) -> Any:
        connection = connect(timeout)
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 1")
        connection.commit()
        return connection

    monkeypatch.setattr(world.catalogue.quality, "connect", impatient)
    with pytest.raises(CatalogueUnavailable):
        check(world, suites=[Suite.SEGMENTS])


def test_no_check_changes_anything(world: World) -> None:
    with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction), world.catalogue.quality.connect(NOW - at(9)) as given:
        given.cursor().execute("DELETE FROM locks")


def ingested(world: World, open_store: Callable[[str], Store] | None = None) -> Checked | None:
    (run_id,) = {row[0] for row in world.sql("SELECT run_id FROM batches b JOIN landing_files f ON f.batch_id = b.id "
                                             "WHERE f.path = 'gate/12.mp4'")}  # fmt: skip
    run = world.run(run_id, "ingest_recordings")
    return check_ingested(world.estate, world.catalogue, open_store or world.open_store, run)


def test_what_a_run_took_in_is_checked_and_nothing_else(world: World) -> None:
    longer(world, 5, camera="yard")  # of another run
    checked = ingested(world)
    assert checked is not None
    assert (checked.outcome, checked.docs) == ("passed", None)
    assert {each.looked_at for each in checked.results} == {222}
    assert {each.suite for each in checked.results} == {Suite.SEGMENTS, Suite.REPLICAS}
    assert world.sql("SELECT count(*) FROM quality_runs") == [(0,)]
    longer(world, 5)
    world.sql("DELETE FROM replicas WHERE segment_id = %s", world.segment("gate", at(1)))
    failed = ingested(world)
    assert failed is not None
    # Both that overlap are named: it may be the one before that came later.
    assert found(failed) == {"segment_overlaps": 2, "verified_replica": 1}
    assert str(failed.docs).startswith("reports/ingest_recordings/2026-03-10/")
    with pytest.raises(QualityFailed, match=world.segment("gate", at(1))):
        gate(failed)


def test_a_run_that_took_nothing_in_is_not_checked(world: World) -> None:
    nothing = check_ingested(world.estate, world.catalogue, world.open_store, world.run("another", "ingest_recordings"))
    assert nothing is None


def test_what_the_catalogue_says_is_text_on_the_page(world: World) -> None:
    world.unguard()
    world.sql("UPDATE cameras SET slug = %s WHERE slug = 'gate'", "<script>alert(1)</script>")
    longer(world, 5)
    page = world.table(str(check(world, suites=[Suite.SEGMENTS]).docs))
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "http" not in page  # nothing comes from elsewhere
