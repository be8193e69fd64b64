"""One start of the whole stack for each test module."""

from collections.abc import Iterator

import pytest
from rich.console import Console

from demo.airflow import Api, airflow
from demo.estate import servers
from demo.folders import remove
from demo.job import Job
from demo.main_job import set_up
from demo.video import make_video
from tests.stack.rig import Stack

_SETTINGS = {
    # A killed task is found after seconds, not after a minute.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "10",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    # Nobody changes a DAG meanwhile: each is read once.
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
    # What a killed worker had is taken up soon.
    "REELKEEPER__LEASE_SECONDS": "15",
    # One object at a time, so that there is a middle of a migration to be killed in.
    "REELKEEPER__STORES__CLOUD__CONCURRENCY": "1",
}


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """With what the module's own SETTINGS add."""
    settings = _SETTINGS | getattr(request.module, "SETTINGS", {})
    folder = tmp_path_factory.mktemp("stack")
    video = make_video(folder / "two-seconds.mp4").read_bytes()
    with servers(folder) as started, airflow(started, settings=settings) as flow, Api(flow) as api:
        job = Job(api, Console(quiet=True))
        set_up(job, Console(quiet=True))
        yield Stack(started, flow, api, job, video)
    remove(folder)
