"""The whole stack, Airflow included, as a person would use it. One start serves all; each test has its own cameras."""

import json
import os
import signal
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import boto3
import psutil
import psycopg2
import pytest
from rich.console import Console

from demo.airflow import Airflow, Api, airflow
from demo.audit import audit, everywhere
from demo.estate import Servers, servers
from demo.folders import remove
from demo.footage import MadeFile, iso_layout, make_hour
from demo.job import Job
from demo.main_job import STORES, set_up
from demo.reaper import session_members
from demo.video import make_video

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("stack")]

_SETTINGS = {
    # A killed task is found after seconds, not after a minute.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "10",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    # One object at a time, so that there is a middle of a migration to be killed in.
    "REELKEEPER__STORES__CLOUD__CONCURRENCY": "1",
}


@dataclass(frozen=True)
class Stack:
    """The running stack, and how to use it."""

    servers: Servers
    airflow: Airflow
    api: Api
    job: Job
    video: bytes = field(repr=False)  # two seconds

    def record(self, camera: str, starts: Sequence[datetime], padding_bytes: int = 0) -> list[MadeFile]:
        """Lay recordings of two seconds into the landing zone, each its own by a free box, and take them in."""
        made = []
        for start in starts:
            label = f"{camera} {start.isoformat()} ".encode() + os.urandom(padding_bytes)
            data = self.video + struct.pack(">I4s", 8 + len(label), b"free") + label
            path = self.servers.landing / iso_layout(camera, start)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            made.append(MadeFile(camera, start, len(data), sha256(data).hexdigest()))
        self.job.finish("ingest_recordings", self.job.start("ingest_recordings"))
        return made

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        connect = psycopg2.connect(self.servers.postgres.dsn("catalogue"))
        with closing(connect) as connection, connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return cursor.fetchall()

    def in_cloud(self, camera: str) -> set[datetime]:
        """The starts of the camera's segments that have a replica in the cloud."""
        query = """SELECT r.start_time FROM reelkeeper.replicas r JOIN reelkeeper.segments s
                   ON s.id = r.segment_id AND s.start_time = r.start_time
                   JOIN reelkeeper.cameras c ON c.id = s.camera_id WHERE c.slug = %s AND r.store = 'cloud'"""
        return {start for (start,) in self.rows(query, camera)}

    def arrivals(self, camera: str) -> Counter[datetime]:
        """How often the history says that each of the camera's segments arrived in the cloud."""
        query = """SELECT t.start_time FROM reelkeeper.transfers t JOIN reelkeeper.segments s
                   ON s.id = t.segment_id AND s.start_time = t.start_time
                   JOIN reelkeeper.cameras c ON c.id = s.camera_id
                   WHERE c.slug = %s AND t.destination_store = 'cloud' AND t.outcome = 'succeeded'"""
        return Counter(start for (start,) in self.rows(query, camera))

    def objects(self, camera: str) -> int:
        """How many objects of the camera the bucket holds."""
        cloud = self.servers.seaweedfs
        client = boto3.client("s3", endpoint_url=cloud.endpoint_url, region_name=cloud.region,
                              aws_access_key_id=cloud.access_key, aws_secret_access_key=cloud.secret_key)  # fmt: skip
        pages = client.get_paginator("list_objects_v2").paginate(Bucket="footage", Prefix=f"media/demo/{camera}/")
        return sum(page["KeyCount"] for page in pages)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    video = make_video(folder / "two-seconds.mp4").read_bytes()
    with servers(folder) as started, airflow(started, settings=_SETTINGS) as flow, Api(flow) as api:
        job = Job(api, Console(quiet=True))
        set_up(job, Console(quiet=True))
        yield Stack(started, flow, api, job, video)
    remove(folder)


def _await(what: str, condition: Callable[[], Any], seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen in {seconds:g} s"
        time.sleep(0.05)
    return found


def _range(starts: Sequence[datetime]) -> dict[str, str]:
    """Params that name exactly these segments."""
    return {"start_time": min(starts).isoformat(), "end_time": (max(starts) + timedelta(seconds=1)).isoformat()}


def test_footage_goes_in_and_to_the_cloud_by_percentage(stack: Stack, tmp_path: Path) -> None:
    start = datetime(2026, 3, 28, 23, 56, tzinfo=UTC)  # over midnight
    made = make_hour(stack.servers.landing, tmp_path, start, segments=8)
    stack.job.finish("ingest_recordings", stack.job.start("ingest_recordings"))
    assert audit(stack.servers, everywhere(made, ["local"]), nothing_else=False).problems == []

    span = _range([file.start_time for file in made])
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

    run_id = stack.job.start("migrate_recordings", {"percentage": 100, **_range(starts)})
    _await("the first copies", lambda: stack.objects("stairwell") >= 40, 60)
    transfer = next(task for task in stack.api.tasks("migrate_recordings", run_id) if "transfer" in task["task_id"]
                    and task["state"] == "running")  # fmt: skip
    _kill_worker_of(stack, transfer["id"])
    left = stack.objects("stairwell")
    assert left < len(made), "the migration was over before the kill"

    stack.job.finish("migrate_recordings", run_id)
    tries = [task["try_number"] for task in stack.api.tasks("migrate_recordings", run_id)
             if task["task_id"] == transfer["task_id"] and task["map_index"] == transfer["map_index"]]  # fmt: skip
    assert tries == [2]
    assert audit(stack.servers, everywhere(made, STORES), nothing_else=False).problems == []
    assert stack.arrivals("stairwell") == Counter(starts)
    assert stack.objects("stairwell") == len(made)


def _kill_worker_of(stack: Stack, task_instance_id: str) -> None:
    """SIGKILL the executor's worker process first, so that it cannot tell, then the task that it supervised."""
    for pid in session_members(stack.airflow.scheduler_pid):
        worker = psutil.Process(pid)
        if worker.ppid() == stack.airflow.scheduler_pid and task_instance_id in " ".join(worker.cmdline()):
            victims = [worker, *worker.children(recursive=True)]
            for victim in victims:
                victim.send_signal(signal.SIGKILL)
            assert len(victims) > 1, "the worker had no task"
            return
    raise AssertionError(f"no process works on task instance {task_instance_id}")


def test_a_backfill_migrates_each_interval_once(stack: Stack) -> None:
    first, hours = datetime(2026, 1, 30, 23, tzinfo=UTC), 26  # on three days, over the end of a month
    moments = [first + timedelta(minutes=20 * index, seconds=7) for index in range(-6, 3 * hours + 6)]
    moments += [first, first + timedelta(hours=1) - timedelta(seconds=2), first + timedelta(hours=hours)]  # the edges
    quiet = {first + timedelta(hours=5), first + timedelta(hours=6)}
    moments = sorted(start for start in moments if start.replace(minute=0, second=0) not in quiet)
    made = stack.record("harbour", moments)
    wanted = {start for start in moments if first <= start < first + timedelta(hours=hours)}

    stack.airflow.run("backfill", "create", "--dag-id", "migrate_recordings", "--from-date", first.isoformat(),
                      "--to-date", (first + timedelta(hours=hours - 1)).isoformat(), "--max-active-runs", "4",
                      "--dag-run-conf", json.dumps({"percentage": 100}))  # fmt: skip
    runs = _await("the end of the backfill", lambda: _ended_backfill(stack, hours), 300)

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

    again = stack.job.start("migrate_recordings", {"percentage": 100, **_range(sorted(wanted))})
    stack.job.finish("migrate_recordings", again)
    assert stack.arrivals("harbour") == Counter(wanted)
    assert len(made) == len(moments)


def _ended_backfill(stack: Stack, count: int) -> list[dict[str, Any]]:
    """The runs of the backfill once all have ended; none before."""
    runs = [run for run in stack.api.runs("migrate_recordings") if run["run_type"] == "backfill"]
    ended = [run for run in runs if run["state"] in ("success", "failed")]
    return ended if len(ended) >= count else []
