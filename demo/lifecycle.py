"""What follows the main job: months of keeping, each day at a clock that the demo gives, none of it slept through."""

import subprocess
import sys
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console

from demo.airflow import Airflow
from demo.audit import audit, keys_in, rows
from demo.estate import Servers
from demo.exports import EXPORTS
from demo.footage import MadeFile
from demo.job import Job
from demo.planting import Planted, plant
from demo.summary import Finding, show_audit, show_findings, show_moves, show_rollout, show_tiers
from demo.telling import timed

ON_AWS = timedelta(minutes=15)
"""How much of the hour has a third copy, on AWS."""
HELD = timedelta(minutes=5)
"""How much of what the short-lived camera saw is held for a court."""
SHORT_LIVED, LONG_LIVED, DAMAGED = "car-phone", "bike-lane", "loading-bay"
_DELETED = "SELECT count(*) FROM reelkeeper.deletions WHERE reason = %s"
_REPAIRED = "SELECT count(*) FROM reelkeeper.transfers WHERE job = 'repair' AND outcome = 'succeeded'"
_RESTORED = "SELECT count(*) FROM reelkeeper.restores WHERE readable_at IS NOT NULL"
_EXPIRED = "SELECT count(*) FROM reelkeeper.exports WHERE status = 'EXPIRED'"
_MOVED = "SELECT count(*) FROM reelkeeper.tier_moves WHERE state = 'done' AND store = %s"


class Lifecycle:
    """The estate grows older."""

    def __init__(self, estate: Servers, flow: Airflow, job: Job, console: Console) -> None:
        self._estate, self._flow, self._job, self._console = estate, flow, job, console
        self._today = datetime.now(UTC)

    def prepare(self, start: datetime) -> None:
        """What months of keeping need: a third copy of some of the hour that begins at `start`, and terms."""
        with ThreadPoolExecutor(1) as beside:
            telling = beside.submit(self._tell_terms, start)
            self._copy_to_aws(start)
            telling.result()

    def run(self, made: Sequence[MadeFile]) -> bool:
        """Keep what was made for months. Whether all that is owed in the end was read back, with nothing beside."""
        start = min(file.start_time for file in made)
        with timed(self._console, "behind the catalogue's back: strays added, copies removed, cut short and changed"):
            planted = plant(self._estate, DAMAGED)
        self._on_day(2, "reconcile_stores", "strays seen once; what is lost is copied anew")
        self._on_day(3, "verify_replicas", "every copy read whole", dry_run=None, all=True, method="hash")
        self._on_day(4, "reconcile_stores", "strays to quarantine; what has rotted is copied anew",
                     stores=["local", "cloud"])  # fmt: skip
        self._tier(8, "what is a week old becomes COOL")
        self._on_day(32, "enforce_retention", "local copies retire, and what is too old goes: condemned")
        self._on_day(34, "enforce_retention", "its grace is over: deleted")
        self._tier(95, "what is three months old becomes COLD, or goes to the archive")
        self._restore()
        self._on_day(97, "enforce_retention", "what moved leaves its old place")
        return self._proved(made, start, planted)

    def _copy_to_aws(self, start: datetime) -> None:
        with timed(self._console, "migrate_recordings: a third copy of the first quarter of an hour, on AWS"):
            conf = {"destination": "aws", "percentage": 100, "end_time": (start + ON_AWS).isoformat()}
            self._job.finish("migrate_recordings", self._job.start("migrate_recordings", conf))

    def _tell_terms(self, start: datetime) -> None:
        """One camera keeps its footage for three weeks, but for what a court wants."""
        cameras = self._estate.folder / "cameras.csv"
        cameras.write_text(f"name,retention_days\n{SHORT_LIVED},20\n")
        with timed(self._console, f"reelkeeper: camera {SHORT_LIVED!r} keeps 20 days; a hold on five minutes of it"):
            self._reelkeeper("cameras", "import", str(cameras))
            self._reelkeeper("hold", "add", "--camera", SHORT_LIVED, "--reason", "case 2026-17",
                             "--to", (start + HELD).isoformat())  # fmt: skip

    def _reelkeeper(self, *arguments: str) -> None:
        command = [str(Path(sys.executable).with_name("reelkeeper")), *arguments]
        done = subprocess.run(command, env=dict(self._flow.environ), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"reelkeeper {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")

    def _tier(self, day: int, what: str) -> None:
        """Move what is old enough, and tell what stays because moving it would lose money."""
        run_id = self._on_day(day, "tier_recordings", what)
        for line in self._job.log_of("tier_recordings", run_id, "plan"):
            if "for one:" in line:
                _, store, _, to, replicas, _, why, _ = (cell.strip() for cell in line.split("|"))
                self._console.print(f"  {replicas} in {store} do not become {to}; {why}", highlight=False)

    def _on_day(self, day: int, dag_id: str, what: str, *, dry_run: bool | None = False, **conf: Any) -> str:
        """Run a DAG for good, `day` days from now, and approve what it asks. The run's id."""
        conf["clock"] = (self._today + timedelta(days=day)).isoformat()
        if dry_run is not None:
            conf["dry_run"] = dry_run
        with timed(self._console, f"day {day}, {dag_id}: {what}"):
            run_id = self._job.start(dag_id, conf)
            asked = self._job.finish(dag_id, run_id, answer="Approve")
        if asked:
            self._console.print(
                f"  above the soft cap of {asked} store{'s'[: asked - 1]}: approved, by REST", highlight=False
            )
        return run_id

    def _restore(self) -> None:
        """Before the next day: by its clock, the time of what was restored is over."""
        conf = {"store": "aws", "cameras": [LONG_LIVED], "dry_run": False}
        with timed(self._console, f"restore_recordings: what AWS has archived of {LONG_LIVED!r}"):
            self._job.finish("restore_recordings", self._job.start("restore_recordings", conf))

    def _proved(self, made: Sequence[MadeFile], start: datetime, planted: Planted) -> bool:
        with timed(self._console, "every copy read back, without the project's code"):
            found = audit(self._estate, {file: _owed_in(file, start) for file in made})
        findings = self._findings(made, start, planted)
        show_rollout(self._estate, self._console)
        show_moves(self._estate, self._console)
        show_findings(findings, self._console)
        show_tiers(self._estate, self._console)
        show_audit(found, self._console)
        return not found.problems and all(finding.is_right for finding in findings)

    def _findings(self, made: Sequence[MadeFile], start: datetime, planted: Planted) -> list[Finding]:
        """What was done on purpose beside what the estate made of it."""
        gone = [file for file in made if not _owed_in(file, start)]
        early = [file for file in gone if file.start_time < start + ON_AWS]
        archived = [file for file in made if file.camera == LONG_LIVED and file.start_time < start + ON_AWS]
        held = [file for file in made if file.camera == SHORT_LIVED and file not in gone]
        strays = {key for keys in planted.orphans.values() for key in keys}
        return [
            Finding("strays planted, and put into quarantine", len(strays), len(strays & self._quarantined())),
            Finding("copies removed, cut short or changed, and made anew", planted.damaged, self._count(_REPAIRED)),
            Finding("local copies retired, a month after their migration",
                    sum("local" not in _owed_in(file, start) for file in made) - len(gone),
                    self._count(_DELETED, "retired")),
            Finding("copies deleted as their camera's time was over", 2 * len(gone) + len(early),
                    self._count(_DELETED, "expired")),
            Finding("exports over after a week, with all their objects", EXPORTS, self._count(_EXPIRED) if not keys_in(
                self._estate.seaweedfs, self._estate.cloud_bucket, "exports/") else 0),
            Finding("archived copies restored", len(archived), self._count(_RESTORED)),
            Finding("old places cleared of what moved or was set aside, but for what is held",
                    self._count(_MOVED, "cloud") - len(held) + len(strays) + planted.set_aside,
                    self._count(_DELETED, "moved")),
        ]  # fmt: skip

    def _count(self, query: str, *parameters: object) -> int:
        return int(rows(self._estate, query, parameters)[0][0])

    def _quarantined(self) -> set[str]:
        """Where what lies in quarantine was found."""
        in_cloud = keys_in(self._estate.seaweedfs, self._estate.cloud_bucket, "quarantine/")
        on_disk = (path for path in (self._estate.footage / "quarantine").rglob("*") if path.is_file())
        both = in_cloud | {path.relative_to(self._estate.footage).as_posix() for path in on_disk}
        return {key.removeprefix("quarantine/") for key in both}


def _owed_in(file: MadeFile, start: datetime) -> Collection[str]:
    """The stores that must have a copy in the end."""
    on_aws = ("aws",) if file.start_time < start + ON_AWS else ()
    if file.camera != SHORT_LIVED:
        return ("cloud", *on_aws)
    return ("local", "cloud", *on_aws) if file.start_time < start + HELD else ()
