"""`make up` and `make shell`: what a person changed stays, and what they are told leads somewhere."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import demo.__main__ as commands
from demo.folders import locked
from demo.settings import changed, write_settings
from reelkeeper.settings import load_estate

ROOT = Path(__file__).resolve().parents[2]
_SHELL = "import demo.__main__ as m, pathlib, sys; m.UP = pathlib.Path(sys.argv[1]); m.main(sys.argv[2:])"


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Of an estate that was started once."""
    path = tmp_path / "estate.toml"
    _start(path)
    return path


def _start(path: Path, bucket: str = "footage") -> None:
    write_settings(path, folder=path.parent, region="us-east-1", cloud_bucket=bucket, aws_bucket="aws-footage")


@pytest.fixture
def up(tmp_path: Path, settings: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of an estate that is up, as `make up` finds it."""
    monkeypatch.setattr(commands, "UP", tmp_path)
    ready = {
        "url": "http://127.0.0.1:1",
        "password": "told",
        "parts": {},
        "moved_ports": {"Airflow": (20001, 20002)},
        "environ": {"REELKEEPER_ESTATE": str(settings)},
    }
    with locked(tmp_path):
        (tmp_path / "ready.json").write_text(json.dumps(ready))
        yield tmp_path


def _said(*arguments: str) -> str:
    """What a command says, which ends well or with a message."""
    said = CliRunner().invoke(commands.main, arguments)
    assert (said.exit_code == 0) != said.output.startswith("Error: "), said.output
    return said.output


def test_a_second_start_leaves_changed_settings_alone(settings: Path) -> None:
    assert not changed(settings)
    mine = settings.read_text() + '[delivery]\ncdn_base_url = "https://cdn.example.org"\n'
    settings.write_text(mine)
    _start(settings)
    assert settings.read_text() == mine
    assert changed(settings)
    settings.unlink()
    _start(settings)
    assert not changed(settings)
    assert load_estate(settings, {}).name == "demo"


def test_a_newer_version_replaces_only_settings_that_nobody_changed(settings: Path) -> None:
    _start(settings, bucket="newer")
    assert load_estate(settings, {}).store("cloud").bucket == "newer"
    mine = settings.read_text().replace("percentage = 0", "percentage = 25")
    settings.write_text(mine)
    _start(settings, bucket="newest")
    assert settings.read_text() == mine
    assert '"newest"' in settings.with_name("estate.toml.demo").read_text()


def test_settings_that_cannot_be_used_are_told_before_anything_starts(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "UP", settings.parent)
    settings.write_text(settings.read_text().replace("percentage = 0", "percentage = 101"))
    said = _said("up")
    assert "rollout.percentage is 101" in said
    assert "the demo then writes its own" in said


def test_up_says_what_to_do_first(up: Path) -> None:
    said = " ".join(_said("up").split())
    for step in ("`make shell`", 'then migrate_recordings with {"percentage": 25}', "then report_metrics"):
        assert step in said
    assert "changed since" not in said
    assert "Port 20001 of Airflow had been taken by somebody else at the last start: it is 20002 now" in said
    (up / "estate.toml").write_text((up / "estate.toml").read_text() + "# mine\n")
    assert "changed since" in _said("up")


@pytest.mark.servers  # a process of its own, which takes a second
def test_a_shell_knows_the_estate_and_nothing_of_the_callers_own(up: Path) -> None:
    told = "echo $REELKEEPER_ESTATE ${STORAGE_MODE-none}; exit 7"
    done = subprocess.run([sys.executable, "-c", _SHELL, up, "shell", "sh", "-c", told], cwd=ROOT, text=True,
                          env=os.environ | {"STORAGE_MODE": "cloud"}, capture_output=True, check=False)  # fmt: skip
    assert (done.returncode, done.stdout) == (7, f"{up / 'estate.toml'} none\n"), done.stderr
    assert "'no-such' cannot be run" in _said("shell", "no-such")


def test_a_shell_needs_an_estate_that_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "UP", tmp_path)
    assert "no estate is up" in _said("shell", "sh")
