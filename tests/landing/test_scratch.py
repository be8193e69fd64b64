"""Temporary files end with their process, or with the next one."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from reelkeeper.landing.scratch import Scratch

KILLED = """
import os, signal
from reelkeeper.landing.scratch import Scratch
(Scratch().folder() / "half").write_bytes(b"x")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_goes_with_all_that_is_in_it() -> None:
    scratch = Scratch()
    folder = scratch.folder()
    (folder / "file").write_bytes(b"x")
    assert scratch.folder() == folder
    scratch.close()
    scratch.close()
    assert not folder.exists()


def test_the_next_one_removes_what_a_killed_process_left_and_spares_the_living(temporary: Path) -> None:
    alive = Scratch()
    folder = alive.folder()
    process = subprocess.run([sys.executable, "-c", KILLED], env=os.environ | {"TMPDIR": str(temporary)}, check=False)
    assert process.returncode == -9
    assert len(list(temporary.iterdir())) == 2
    next_one = Scratch()
    newest = next_one.folder()
    assert set(temporary.iterdir()) == {folder, newest}
    next_one.close()
    alive.close()
    assert not list(temporary.iterdir())
