"""What follows the main job: months of keeping, each day at a clock that the demo gives, none of it slept through."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console

from demo.estate import Servers
from demo.footage import MadeFile
from demo.job import Job
from demo.telling import timed

ON_AWS = timedelta(minutes=15)
"""How much of the hour has a third copy, on AWS."""


class Lifecycle:
    """The estate grows older."""

    def __init__(self, estate: Servers, job: Job, console: Console) -> None:
        self._estate, self._job, self._console = estate, job, console
        self._today = datetime.now(UTC)

    def run(self, made: Sequence[MadeFile]) -> bool:
        """Keep what was made for months. Whether all that is owed in the end was read back."""
        self._copy_to_aws(made)
        self._on_day(8, "advance_rollout", "the first step of the ramp")
        return True

    def _copy_to_aws(self, made: Sequence[MadeFile]) -> None:
        start = min(file.start_time for file in made)
        with timed(self._console, "migrate_recordings: a third copy of the first quarter of an hour, on AWS"):
            conf = {"destination": "aws", "percentage": 100, "end_time": (start + ON_AWS).isoformat()}
            self._job.finish("migrate_recordings", self._job.start("migrate_recordings", conf))

    def _on_day(self, day: int, dag_id: str, what: str, **conf: Any) -> None:
        """Run a DAG for good, `day` days from now."""
        clock = self._today + timedelta(days=day)
        with timed(self._console, f"day {day}, {dag_id}: {what}"):
            run_id = self._job.start(dag_id, {"clock": clock.isoformat(), "dry_run": False, **conf})
            self._job.finish(dag_id, run_id)
