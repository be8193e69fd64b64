"""A verification that is killed in the middle goes on where its records end."""

import json
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.verification.conftest import Shelf

ROOT = Path(__file__).parents[2]


def test_killed_in_the_middle(shelf: "Shelf", tmp_path: Path) -> None:
    shelf.record(100, "disk")
    notes = tmp_path / "notes"
    started = datetime.now(UTC) + timedelta(days=1)  # this machine's clock is a day late, or the scheduler's early

    def work(dies_at: int) -> subprocess.CompletedProcess[str]:
        given = {"root": str(shelf.root), "dsn": shelf.dsn, "notes": str(notes), "dies_at": dies_at,
                 "started": started.isoformat()}  # fmt: skip
        return subprocess.run([sys.executable, "-m", "tests.verification.worker", json.dumps(given)], cwd=ROOT,
                              capture_output=True, text=True, timeout=60, check=False)  # fmt: skip

    assert work(58).returncode == -signal.SIGKILL
    read = len(notes.read_text(encoding="utf-8").splitlines())  # other threads go on until they are gone
    recorded = shelf.sql("SELECT count(*) FROM replicas WHERE verified_at > start_time")[0][0]
    assert recorded >= 40
    assert shelf.states() == {"available": 100}
    again = work(0)
    assert again.returncode == 0, again.stderr
    assert int(again.stdout) == 100 - recorded
    reads = Counter(notes.read_text(encoding="utf-8").splitlines())
    assert len(reads) == 100
    assert sum(count - 1 for count in reads.values()) <= read - recorded  # what was read and not recorded, and no more
