"""A running stack and how tests use it: recordings for the landing zone, what stores hold, how to kill a worker."""

import os
import signal
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
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


_GATE = 471_100  # the number of an advisory lock that is the test's own
_CLOSE = """
    CREATE FUNCTION reelkeeper.stand_still() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_advisory_xact_lock({gate}); RETURN NEW; END $$;
    CREATE TRIGGER stand_still BEFORE {event} ON reelkeeper.{table} FOR EACH ROW WHEN ({when})
    EXECUTE FUNCTION reelkeeper.stand_still();
"""
_THERE = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
_END = f"SELECT pg_terminate_backend(pid) FROM ({_THERE}) AS there"  # noqa: S608 - our own words alone
_OPEN = "DROP TRIGGER stand_still ON reelkeeper.{table}; DROP FUNCTION reelkeeper.stand_still();"


@contextmanager
def standstill(stack: Stack, table: str, event: str, when: str) -> Iterator[Callable[[], bool]]:
    """Whoever writes such a row (`when` speaks of NEW) stands still in the middle of its work; whether somebody does.

    In the end it loses its connection, so that nothing of what it was about to write is written.
    """
    with closing(psycopg2.connect(stack.servers.postgres.dsn("catalogue"))) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("SELECT pg_advisory_lock(%s)", (_GATE,))
        cursor.execute(_CLOSE.format(gate=_GATE, table=table, event=event, when=when))

        def stands() -> bool:
            cursor.execute(_THERE, (_GATE,))
            return cursor.fetchone() is not None

        try:
            yield stands
        finally:
            cursor.execute(_END, (_GATE,))
            cursor.execute(_OPEN.format(table=table))


def killed(
    stack: Stack, dag_id: str, conf: Mapping[str, Any], *, table: str, event: str, when: str
) -> tuple[str, list[str]]:
    """Start a run, kill the workers of all its tasks with SIGKILL when one is about to write such a row, clear what was
    killed. The run's id, and the ids of the tasks that were killed.
    """
    with standstill(stack, table, event, when) as stands:
        run_id = stack.job.start(dag_id, conf)

        def reached() -> bool:
            stack.job.answer(dag_id, run_id, "Approve")
            return stands()

        awaited(f"the middle of {dag_id}", reached, 90)
        victims = stack.api.tasks(dag_id, run_id, state="running")
        for task in victims:
            kill_worker_of(stack, task["id"])
    ids = [task["task_id"] for task in victims]
    awaited("that Airflow misses the worker", lambda: not _running(stack, dag_id, run_id, ids), 60)
    for task in stack.api.tasks(dag_id, run_id):
        if task["task_id"] in ids and task["state"] in ("up_for_retry", "failed"):
            stack.api.clear(task)
    return run_id, ids


def _running(stack: Stack, dag_id: str, run_id: str, task_ids: Sequence[str]) -> list[str]:
    """Which of the tasks Airflow believes to be running."""
    return [task["task_id"] for task in stack.api.tasks(dag_id, run_id, state="running") if task["task_id"] in task_ids]
