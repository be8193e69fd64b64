"""The whole stack, Airflow included, as a person would use it. One start serves all; each test has its own cameras."""

import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest

from demo.audit import audit, everywhere, keys_in
from demo.exports import fetch
from demo.footage import make_hour
from demo.main_job import STORES
from reelkeeper.media.signing import Signer
from tests.stack.rig import Stack, awaited, conf_of, kill_worker_of, killed, standstill

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("stack")]


def test_footage_goes_in_and_to_the_cloud_by_percentage(stack: Stack, tmp_path: Path) -> None:
    start = datetime(2026, 3, 28, 23, 56, tzinfo=UTC)  # over midnight
    made = make_hour(stack.servers.landing, tmp_path, start, segments=8)
    stack.job.finish("ingest_recordings", stack.job.start("ingest_recordings"))
    assert audit(stack.servers, everywhere(made, ["local"]), nothing_else=False).problems == []

    span = conf_of([file.start_time for file in made])
    cameras = {file.camera for file in made}
    quarter = 0
    for percentage in (25, 100):
        run_id = stack.job.start("migrate_recordings", {"percentage": percentage, **span})
        stack.job.finish("migrate_recordings", run_id)
        in_cloud = sum(len(stack.in_cloud(camera)) for camera in cameras)
        assert quarter <= in_cloud <= len(made)
        quarter = in_cloud
        if percentage == 25:
            wanted = stack.rows("""SELECT count(*) FROM reelkeeper.segments s JOIN reelkeeper.cameras c
                                   ON c.id = s.camera_id WHERE c.slug = ANY (%s) AND s.rollout_bucket < 2500""",
                                list(cameras))  # fmt: skip
            assert [(in_cloud,)] == wanted
    assert audit(stack.servers, everywhere(made, STORES), nothing_else=False).problems == []


def test_a_worker_killed_in_the_middle_of_a_migration_loses_and_doubles_nothing(stack: Stack) -> None:
    starts = [datetime(2026, 2, 3, 4, tzinfo=UTC) + timedelta(seconds=5 * index) for index in range(500)]
    made = stack.record("stairwell", starts, padding_bytes=150_000)

    run_id = stack.job.start("migrate_recordings", {"percentage": 100, **conf_of(starts)})
    awaited("the first copies", lambda: stack.objects("stairwell") >= 40, 60)
    transfer = next(task for task in stack.api.tasks("migrate_recordings", run_id) if "transfer" in task["task_id"]
                    and task["state"] == "running")  # fmt: skip
    kill_worker_of(stack, transfer["id"])
    left = stack.objects("stairwell")
    assert left < len(made), "the migration was over before the kill"

    stack.job.finish("migrate_recordings", run_id)
    tries = [task["try_number"] for task in stack.api.tasks("migrate_recordings", run_id)
             if task["task_id"] == transfer["task_id"] and task["map_index"] == transfer["map_index"]]  # fmt: skip
    assert tries == [2]
    assert audit(stack.servers, everywhere(made, STORES), nothing_else=False).problems == []
    assert stack.arrivals("stairwell") == Counter(starts)
    assert stack.objects("stairwell") == len(made)


def test_a_backfill_migrates_each_interval_once(stack: Stack) -> None:
    first, hours = datetime(2026, 1, 31, 20, tzinfo=UTC), 8  # over midnight and the end of a month
    moments = [first + timedelta(minutes=20 * index, seconds=7) for index in range(-6, 3 * hours + 6)]
    moments += [first, first + timedelta(hours=1) - timedelta(seconds=2), first + timedelta(hours=hours)]  # the edges
    quiet = {first + timedelta(hours=2), first + timedelta(hours=5)}
    moments = sorted(start for start in moments if start.replace(minute=0, second=0) not in quiet)
    made = stack.record("harbour", moments)
    wanted = {start for start in moments if first <= start < first + timedelta(hours=hours)}

    stack.api.unpause("migrate_recordings")  # the runs of a paused DAG wait
    stack.airflow.run("backfill", "create", "--dag-id", "migrate_recordings", "--from-date", first.isoformat(),
                      "--to-date", (first + timedelta(hours=hours - 1)).isoformat(), "--max-active-runs", "4",
                      "--dag-run-conf", json.dumps({"percentage": 100}))  # fmt: skip
    runs = awaited("the end of the backfill", lambda: _ended_backfill(stack, hours), 300)

    assert {run["state"] for run in runs} == {"success"}
    assert stack.in_cloud("harbour") == wanted
    assert stack.arrivals("harbour") == Counter(wanted)
    for run in runs:
        begin, end = (datetime.fromisoformat(run[f"data_interval_{edge}"]) for edge in ("start", "end"))
        took = stack.rows("""SELECT i.start_time FROM reelkeeper.transfer_items i JOIN reelkeeper.batches b
                             ON b.id = i.batch_id WHERE b.run_id = %s""", run["dag_run_id"])  # fmt: skip
        assert {start for (start,) in took} == {start for start in wanted if begin <= start < end}
        ran = [task["task_id"] for task in stack.api.tasks("migrate_recordings", run["dag_run_id"])
               if task["state"] == "success"]  # fmt: skip
        assert (ran == ["plan"]) is (begin in quiet)
    spans = sorted((run["start_date"], run["end_date"]) for run in runs)
    assert any(later[0] < earlier[1] for earlier, later in pairwise(spans)), "one run at a time"

    again = stack.job.start("migrate_recordings", {"percentage": 100, **conf_of(sorted(wanted))})
    stack.job.finish("migrate_recordings", again)
    assert stack.arrivals("harbour") == Counter(wanted)
    assert len(made) == len(moments)


def _ended_backfill(stack: Stack, count: int) -> list[dict[str, Any]]:
    """The runs of the backfill once all have ended; none before."""
    runs = [run for run in stack.api.runs("migrate_recordings") if run["run_type"] == "backfill"]
    ended = [run for run in runs if run["state"] in ("success", "failed")]
    return ended if len(ended) >= count else []


def test_an_export_killed_in_the_middle_of_its_cuts_goes_on_and_is_proved(stack: Stack, tmp_path: Path) -> None:
    start = datetime(2026, 2, 5, 6, tzinfo=UTC)
    starts = [start + timedelta(seconds=2 * index) for index in range(4)]
    for camera in ("lobby", "garage"):
        stack.record(camera, starts)
    export = uuid4()
    conf = {
        "camera_ids": ["lobby", "garage"], "start_time": (start + timedelta(seconds=0.5)).isoformat(),
        "end_time": (start + timedelta(seconds=7)).isoformat(), "reason": "incident 42", "export_id": str(export),
    }  # fmt: skip
    run_id, killed_tasks = killed(stack, "generate_export", conf, table="export_cameras", event="UPDATE",
                                  when="NEW.state = 'cut'")  # fmt: skip
    assert "cut" in killed_tasks
    status = "SELECT status, created_by, failure FROM reelkeeper.exports WHERE id = %s"
    assert stack.rows(status, str(export)) == [("PROCESSING", "admin", None)]
    held = "SELECT count(*) FROM reelkeeper.held_footage WHERE kind = 'export'"
    assert stack.rows(held) == [(2,)]
    stack.job.finish("generate_export", run_id)

    assert stack.rows(status, str(export)) == [("COMPLETED", "admin", None)]
    assert stack.rows(held) == [(0,)]
    key = Signer.from_pem(stack.servers.signing_key.read_text(), name="the stack's key")
    fetched = fetch(stack.api, stack.airflow.url, export, tmp_path, key)
    assert fetched.verdict.is_genuine, fetched.verdict.findings
    assert [file["kind"] for file in fetched.files] == ["footage", "footage", "manifest", "thumbnail", "contact_sheet"]
    # Nothing of the killed try is left, here or there.
    listed = keys_in(stack.servers.seaweedfs, stack.servers.cloud_bucket, f"exports/{export}/")
    # A manifest's object is named after what it says; people get it as manifest.json.
    names = {re.sub(r"^manifest_[0-9a-f]{8}\.json$", "manifest.json", key.rpartition("/")[2]) for key in listed}
    assert len(names) == len(listed)
    assert names == {file["name"] for file in fetched.files}
    assert not [command for command in commands() if "reelkeeper-export-" in command]
    address = f"{stack.airflow.url}/reelkeeper/exports/{export}/download"
    assert httpx.get(address, trust_env=False).status_code == httpx.codes.UNAUTHORIZED


def test_an_export_that_somebody_stops_says_so_and_holds_nothing(stack: Stack) -> None:
    start = datetime(2026, 2, 6, 6, tzinfo=UTC)
    stack.record("roof", [start])
    export = uuid4()
    conf = {
        "camera_ids": ["roof"], "start_time": start.isoformat(), "end_time": (start + timedelta(seconds=1)).isoformat(),
        "reason": "incident 43", "export_id": str(export),
    }  # fmt: skip
    with standstill(stack, "export_cameras", "UPDATE", "NEW.state = 'cut'") as stands:
        run_id = stack.job.start("generate_export", conf)
        awaited("the middle of the cut", stands, 90)
        stack.api.request("PATCH", f"/dags/generate_export/dagRuns/{run_id}", json={"state": "failed"})
    query = "SELECT status, failure_code FROM reelkeeper.exports WHERE id = %s"
    awaited("its end", lambda: stack.rows(query, str(export)) == [("FAILED", "stopped")], 90)
    place = (stack.servers.seaweedfs, stack.servers.cloud_bucket, f"exports/{export}/")
    awaited("that its objects are gone", lambda: not keys_in(*place), 30)
    assert stack.rows("SELECT count(*) FROM reelkeeper.held_footage WHERE kind = 'export'") == [(0,)]


def commands() -> list[str]:
    """The command lines of all processes."""
    return [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
