"""The servers that every other test leans on: they start, keep others out, and leave nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg2
import pytest

import demo.postgres
from demo.folders import elsewhere, remove
from demo.postgres import postgres
from demo.processes import StartFailed, free_ports, parts, running
from demo.reaper import leads
from demo.servers import PostgresServer, S3Server

_OWNER = """
import os, time
from pathlib import Path
from demo.processes import running, scratch
command = ["/bin/sh", "-c", "sleep 600 & echo $! > child; sleep 600"]
with running("sleeper", command, log=Path("log"), directory=Path("."),
             ready=lambda: Path("child").exists() and Path("child").read_text().strip() != "") as process:
    with scratch("test") as folder:
        fork = os.fork()  # it lives on, and has a copy of all that we have open
        if fork:
            print(process.pid, folder, fork, flush=True)
        time.sleep(600)
"""


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{pid}/stat").exists() or Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def test_ports_of_two_holders_never_meet() -> None:
    with free_ports(200) as mine, free_ports(200) as others:
        assert not set(mine) & set(others)


def test_a_server_that_ends_says_why(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "echo no such disk; exit 3"]
    with pytest.raises(StartFailed, match=r"exit code 3(.|\n)*no such disk"):
        running("broken", command, log=tmp_path / "log", ready=lambda: False).__enter__()


def test_a_server_that_never_answers_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match=r"did not answer in 0\.3 s"):
        running("mute", ["sleep", "600"], log=tmp_path / "log", ready=lambda: False, start_seconds=0.3).__enter__()


def test_a_part_that_died_is_noticed(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "sleep 600 & sleep 600"]  # what it started outlives it
    with running("sleeper", command, log=tmp_path / "log", ready=lambda: True) as process:
        assert parts()[process.pid] == "sleeper"
        assert leads(process.pid)
        process.kill()
        process.wait()
        assert not leads(process.pid)
        assert process.pid in parts()
    assert process.pid not in parts()


def test_nothing_stays_of_an_owner_killed_outright(tmp_path: Path) -> None:
    root = str(Path(__file__).resolve().parents[2])
    owner = subprocess.Popen([sys.executable, "-c", _OWNER], cwd=tmp_path, stdout=subprocess.PIPE, text=True,
                             env=os.environ | {"PYTHONPATH": root})  # fmt: skip
    with owner:
        assert owner.stdout is not None
        pid, folder, fork = owner.stdout.readline().split()
        pids = [int(pid), int((tmp_path / "child").read_text())]
        assert all(map(_alive, pids))
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    deadline = time.monotonic() + 10
    while (any(map(_alive, pids)) or Path(folder).exists()) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(int(fork), signal.SIGKILL)
    assert not any(map(_alive, pids))
    assert not Path(folder).exists()


def test_postgres_wants_its_password(postgres: PostgresServer) -> None:
    wrong = postgres.dsn().replace(f":{postgres.password}@", ":wrong@")
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(wrong)
    assert postgres.password not in repr(postgres)


@pytest.mark.servers
def test_durable_postgres_keeps_its_data(tmp_path: Path) -> None:
    directory = tmp_path / "estate" / "postgres"
    with postgres(directory, durable=True) as server:
        server.create_database("kept")
    with postgres(directory, durable=True) as server:
        psycopg2.connect(server.dsn("kept")).close()
    outside = elsewhere(tmp_path / "estate" / "postgres")
    home = Path(outside.read_text()) if outside.exists() else None
    remove(tmp_path / "estate")
    assert not (tmp_path / "estate").exists()
    assert home is None or not home.exists()


def test_two_s3_servers_keep_apart(seaweedfs: S3Server, tmp_path: Path) -> None:
    from demo.servers import seaweedfs as start

    with start(tmp_path) as other:
        assert other.endpoint_url != seaweedfs.endpoint_url


@pytest.mark.servers
@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts PostgreSQL as another user")
def test_postgres_runs_from_a_copy_where_its_user_cannot_reach_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    can = demo.postgres._can
    monkeypatch.setattr(
        demo.postgres, "_can", lambda user, test, path: "pginstall" not in path.parts and can(user, test, path)
    )
    with postgres(tmp_path) as server:
        psycopg2.connect(server.dsn()).close()
    assert not elsewhere(tmp_path).exists()
