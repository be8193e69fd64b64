"""One bad file, or one bad hour, does not keep the rest out."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from time import sleep
from typing import Any

import psycopg2
import pytest

from reelkeeper.catalogue.segments import Segments
from reelkeeper.errors import AccessDenied
from reelkeeper.landing.folder import FolderSource
from tests.ingest.mortal import Death
from tests.ingest.rig import START, Rig, digest, name


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"duration_seconds": 86401}, "too_long"),
        ({"start_time": "2026-03-01T00:00:00Z", "end_time": "2026-03-02T00:00:00.000001Z"}, "too_long"),
        ({"duration_seconds": 1e300}, "bad_sidecar"),
        ({"start_time": "0001-01-01T00:00:00+23:00"}, "bad_sidecar"),
    ],
)
def test_a_sidecar_of_impossible_times_blocks_nothing(rig: Rig, said: dict[str, Any], code: str) -> None:
    file = rig.lands(f"gate/{name(0)}")
    file.with_name(f"{file.name}.json").write_text(json.dumps(said))
    rig.lands(f"gate/{name(1)}", number=1)
    result = rig.run()
    assert (result.ingested, dict(result.reasons)) == (1, {code: 1})


def test_a_file_that_the_catalogue_refuses_blocks_nothing(rig: Rig) -> None:
    """Whatever rule of the tables the code before it does not know."""
    digests = [digest(rig.lands(f"gate/{name(number)}", number=number)) for number in range(5)]
    rule = "CHECK (start_time <> '2026-03-01T00:00:20Z')"
    rig.rows(f"ALTER TABLE segments ADD CONSTRAINT no_third {rule}; COMMIT; SELECT 1")
    result = rig.run()
    assert (result.ingested, dict(result.reasons)) == (4, {"unrecordable": 1})
    assert rig.left() == [f".quarantine/gate/{name(2)}"]
    assert digest(rig.landing / rig.left()[0]) == digests[2]
    ((reason,),) = rig.rows("SELECT reason FROM landing_files WHERE state = 'quarantined'")
    assert "no_third" in reason
    assert len(rig.replica_digests()) == 4


def test_a_month_that_is_dropped_meanwhile_condemns_no_file(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    file = rig.lands(f"gate/{name(0)}")
    insert = Segments._insert

    def insert_into_nothing(*arguments: Any) -> Any:
        rig.rows(f"DROP TABLE segments_{START:%Y_%m} CASCADE; COMMIT; SELECT 1")
        return insert(*arguments)

    plan = rig.plan()
    with monkeypatch.context() as patches:
        patches.setattr(Segments, "_insert", insert_into_nothing)
        with pytest.raises(psycopg2.errors.CheckViolation):
            rig.batch(plan.batches[0].id)
    assert file.exists()


@pytest.mark.parametrize("runs", [1, 10])
def test_a_file_that_kills_its_workers_blocks_nothing(rig: Rig, runs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from reelkeeper.ingest import examination

    probe, killer = examination.probe, name(0)

    def probe_or_die(path: Path, **more: Any) -> Any:
        if path.name == killer:
            raise Death
        return probe(path, **more)

    monkeypatch.setattr(examination, "probe", probe_or_die)
    rig.lease = timedelta(milliseconds=50)
    for number in range(4):
        rig.lands(f"gate/{name(number)}", number=number)
    batch, deaths = None, 0
    while rig.rows("SELECT 1 FROM landing_files WHERE state IN ('pending', 'claimed')") or not batch:
        if batch is None or runs > 1:  # a task's tries, or a run after another one that died
            (batch,) = rig.plan(stale_after=timedelta(0)).batches
        try:
            rig.batch(batch.id)
        except Death:
            deaths += 1
            sleep(0.06)
    assert deaths == 5
    assert rig.rows("SELECT path, reason_code FROM landing_files WHERE state <> 'ingested'") == [
        (f"gate/{killer}", "worker_died")
    ]
    assert rig.left() == [f".quarantine/gate/{killer}"]
    assert len(rig.replica_digests()) == 3


def test_a_file_that_was_put_back_is_not_held_against_its_workers(rig: Rig) -> None:
    file = rig.lands(f"gate/{name(0)}")
    (batch,) = rig.plan().batches
    rig.rows("UPDATE landing_files SET attempts = 5; COMMIT; SELECT 1")
    assert dict(rig.batch(batch.id).reasons) == {"worker_died": 1}
    (rig.landing / f".quarantine/gate/{name(0)}").rename(file)
    assert rig.run(stale_after=timedelta(0)).ingested == 1


def test_files_that_cannot_leave_keep_no_new_ones_out(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.settings["ingest"] = {"batch_files": 1, "max_batches": 2}
    with monkeypatch.context() as patches:
        patches.setattr(FolderSource, "remove", refuse)
        for number in range(2):
            rig.lands(f"gate/{name(number)}", number=number)
        assert rig.run().ingested == 2
        for number in range(2, 5):
            rig.lands(f"gate/{name(number)}", number=number)
        runs = [rig.run(stale_after=timedelta(0)) for _ in range(3)]
    assert [(run.ingested, run.duplicates) for run in runs] == [(2, 0), (1, 1), (0, 2)]
    while rig.run(stale_after=timedelta(0)).files:
        pass
    assert (rig.left(), len(rig.replica_digests())) == ([], 5)


def refuse(_: Any, path: str) -> None:
    raise AccessDenied(f"{path!r} cannot be removed")


def test_during_an_outage_a_task_fails_at_each_try_and_takes_all_in_after_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        rig.lands(f"gate/{name(number)}", number=number)
    (batch,) = rig.plan().batches
    with monkeypatch.context() as patches:
        patches.setattr(FolderSource, "fetch", refuse)
        for _ in range(7):
            with pytest.raises(AccessDenied):
                rig.batch(batch.id)
    assert (rig.batch(batch.id).ingested, rig.left()) == (3, [])


def test_what_alone_failed_is_for_the_next_scan(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        rig.lands(f"gate/{name(number)}", number=number)
    fetch = FolderSource.fetch

    def fetch_or_refuse(source: FolderSource, path: str) -> Any:
        return refuse(source, path) if path.endswith(name(1)) else fetch(source, path)

    with monkeypatch.context() as patches:
        patches.setattr(FolderSource, "fetch", fetch_or_refuse)
        result = rig.run()
    assert (result.ingested, result.failed) == (2, 1)
    assert rig.run().ingested == 1


def test_two_workers_that_both_fail_wait_for_nobody(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        rig.lands(f"gate/{name(number)}", number=number)
    (batch,) = rig.plan().batches
    monkeypatch.setattr(FolderSource, "fetch", refuse)
    with ThreadPoolExecutor(2) as pool:
        tries = [pool.submit(rig.batch, batch.id) for _ in range(2)]
        errors = [one.exception(timeout=30) for one in tries]
    assert AccessDenied in map(type, errors)
    assert rig.rows("SELECT state, count(*) FROM landing_files GROUP BY 1") == [("pending", 3)]
