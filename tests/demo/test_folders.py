"""An estate's folder belongs to one process at a time, and goes away whole."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo.folders import InUse, clean, locked, owner, stop

ROOT = Path(__file__).resolve().parents[2]
_HOLDER = """
import signal, sys, time
from pathlib import Path
from demo.folders import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(600)
"""


def _hold(folder: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", _HOLDER, folder], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    return process


def test_a_second_owner_is_told_who_the_first_is(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(InUse, match=f"process {os.getpid()}"), locked(tmp_path):
        raise AssertionError("two owners")
    assert owner(tmp_path) is None


def test_stop_ends_the_owner(tmp_path: Path) -> None:
    assert not stop(tmp_path / "never-made")
    with _hold(tmp_path) as holder:
        assert owner(tmp_path) == holder.pid
        assert stop(tmp_path)
        assert holder.wait(10) != 0
    assert owner(tmp_path) is None


def test_clean_leaves_nothing(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "data").mkdir(parents=True)
    (tmp_path / "estates" / "up" / "postgres").mkdir(parents=True)
    (tmp_path / "estates" / "up" / "postgres" / "postgres.elsewhere").write_text(str(outside))
    with _hold(tmp_path / "estates" / "up") as holder:
        clean(tmp_path / "estates")
        assert holder.wait(10) != 0
    assert not (tmp_path / "estates").exists()
    assert not outside.exists()
