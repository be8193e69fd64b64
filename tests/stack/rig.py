"""A running stack and how tests use it: recordings for the landing zone, what stores hold, how to kill a worker."""

import os
import signal
import struct
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import psutil
import psycopg2

from demo.airflow import Airflow, Api
from demo.audit import keys_in
from demo.estate import Servers
from demo.footage import MadeFile, iso_layout
from demo.job import Job
from demo.reaper import session_members


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
        return len(keys_in(self.servers.seaweedfs, self.servers.cloud_bucket, f"media/demo/{camera}/"))


def awaited(what: str, condition: Callable[[], Any], seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen in {seconds:g} s"
        time.sleep(0.05)
    return found


def conf_of(starts: Sequence[datetime]) -> dict[str, str]:
    """Params that name exactly these segments."""
    return {"start_time": min(starts).isoformat(), "end_time": (max(starts) + timedelta(seconds=1)).isoformat()}


def kill_worker_of(stack: Stack, task_instance_id: str) -> None:
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
