"""What the doctor finds about a catalogue whose clock is wrong, and about folders."""

import os
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from reelkeeper.health import check_catalogue, check_machine, check_metrics, check_space, check_store, check_zone
from reelkeeper.model import StoreKind
from reelkeeper.settings import Estate, Metrics, StoreSettings
from reelkeeper.stores.protocols import Check, SetsUp


def estate_of(root: Path, **zone: object) -> Estate:
    zones = [{"name": "in", **zone}] if zone else []
    disk = {"name": "disk", "kind": "filesystem", "root": root, "queue": "nvr"}
    return Estate.model_validate({"stores": [disk], "landing_zones": zones, "placement": {"local_store": "disk"}})


def no_store(name: str) -> SetsUp:
    raise ConnectionError(f"no {name}")


def test_a_clock_that_is_an_hour_off(catalogue_dsn: str, tmp_path: Path) -> None:
    with closing(psycopg2.connect(catalogue_dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA skewed")
        cursor.execute(
            "CREATE FUNCTION skewed.clock_timestamp() RETURNS timestamptz LANGUAGE sql "
            "AS $$ SELECT pg_catalog.clock_timestamp() + interval '1 hour' $$"
        )
    skewed = f"{catalogue_dsn}?options=-csearch_path%3Dskewed,pg_catalog"
    checks = {check.what: check for check in check_catalogue(estate_of(tmp_path), lambda: psycopg2.connect(skewed))}
    assert checks["catalogue: reachable"].ok
    assert not checks["catalogue: clock"].ok
    assert checks["catalogue: clock"].detail.startswith("+3600 s from ours")
    assert "NTP" in checks["catalogue: clock"].cure
    assert checks["catalogue: schema"].ok


def test_a_store_that_cannot_be_opened_is_a_finding(tmp_path: Path) -> None:
    [check] = check_store(estate_of(tmp_path).store("disk"), no_store)
    assert (check.what, check.ok, check.detail) == ("store disk: open", False, "ConnectionError: no disk")


@pytest.mark.parametrize(("region", "told"), [("", False), ("us-east-1", False), ("sa-east-1", True)])
def test_prices_of_another_region_are_told(region: str, *, told: bool) -> None:
    prices, *_ = check_store(StoreSettings(name="lake", kind=StoreKind.S3, bucket="media", region=region), no_store)
    assert (prices.what == "store lake: prices") is told
    assert ("is not that of region 'sa-east-1'" in prices.detail) is told
    assert StoreSettings(name="ice", kind=StoreKind.GCS, bucket="media").region == "us-central1"  # as its price list


@pytest.mark.parametrize(("handling", "is_fine"), [("move", False), ("copy", True)])
def test_a_zone_need_be_writable_only_where_files_leave_it(handling: str, is_fine: bool, tmp_path: Path) -> None:
    zone = estate_of(tmp_path, path="/sys", handling=handling).zone("in")  # not even root can write there
    folder = next(iter(check_zone(zone, no_store)))  # type: ignore[arg-type]  # not used by a folder
    assert folder.ok is is_fine
    assert bool(folder.cure) is not is_fine


def test_a_zone_that_is_there_leaves_no_trace_of_the_look(tmp_path: Path) -> None:
    zone = estate_of(tmp_path / "disk", path=tmp_path, queue="nvr").zone("in")
    assert all(check.ok for check in check_zone(zone, no_store))  # type: ignore[arg-type]  # as above
    assert not list(tmp_path.iterdir())


def test_what_metrics_are_published_to(tmp_path: Path) -> None:
    published = {"pushgateway_url": "http://127.0.0.1:9", "textfile": tmp_path / "none" / "reelkeeper.prom"}

    def found(*ways: str) -> dict[str, Check]:
        metrics = Metrics.model_validate({"publish": ways, "queue": "nvr", **published})
        estate = estate_of(tmp_path).model_copy(update={"metrics": metrics})
        return {check.what: check for check in check_metrics(estate)}

    assert found("prometheus", "airflow") == {}
    checks = found("pushgateway", "textfile")
    assert not any(check.ok for check in checks.values())
    assert "metrics.pushgateway_url is 'http://127.0.0.1:9'" in checks["metrics to pushgateway: push"].detail
    assert "take it out of metrics.publish" in checks["metrics to pushgateway: push"].cure
    folder = checks["metrics to textfile: folder"]
    assert folder.detail == f"{str(tmp_path / 'none')!r} is not there"
    assert folder.cure == "make the folder or mount its disk (on a worker of queue 'nvr')"
    (tmp_path / "none").mkdir()
    assert found("textfile")["metrics to textfile: folder"].ok


def test_programs_and_folders_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = {check.what: check for check in check_machine(tmp_path)}
    assert checks["ffmpeg: runs"].ok
    assert checks["packager: runs"].ok
    assert checks["downloads: folder"].ok
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    checks = {check.what: check for check in check_machine(tmp_path / "none")}
    assert not checks["ffmpeg: runs"].ok
    assert "install ffmpeg" in checks["ffmpeg: runs"].cure
    assert checks["packager: runs"].ok  # on PATH there is none: the wheel's
    assert not checks["downloads: folder"].ok


def test_a_disk_that_is_not_there_has_no_space(tmp_path: Path) -> None:
    assert not check_space("space", tmp_path / "none").ok


def test_without_the_packager_it_is_told_what_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "packager"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    packager = {check.what: check for check in check_machine(None)}["packager: runs"]
    assert not packager.ok
    assert "HLS and DASH" in packager.cure
