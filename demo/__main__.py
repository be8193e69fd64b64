"""The commands behind `make demo`, `make up`, `make shell` and `make down`."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from demo.airflow import ADMIN, Api
from demo.estate import ROOT, passed_on
from demo.folders import locked, owner, remove, stop
from demo.job import Job
from demo.main_job import set_up
from demo.ports import moved_ports
from demo.processes import log_tail, parts
from demo.reaper import leads
from demo.settings import changed
from demo.story import run, started
from reelkeeper.errors import ConfigurationError
from reelkeeper.settings import load_estate

ESTATES = ROOT / ".estate"
UP = ESTATES / "up"
_UP_SECONDS = 300
_FIRST_STEPS = """\
First      trigger ingest_recordings; then migrate_recordings with {"percentage": 25}, as the rollout begins at 0 %;
           then report_metrics; and look at Estate. `make down` stops all; its files stay"""


@click.group(help=__doc__)
def main() -> None:
    # So that every context ends its servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))


@main.command("run")
@click.option("--keep", is_flag=True, help="Leave files and logs there, for a look.")
def run_command(*, keep: bool) -> None:
    """Run every job on an estate of its own, from start to proof, and leave nothing behind."""
    console = _console()
    _sweep()
    folder = ESTATES / f"demo-{secrets.token_hex(4)}"
    proved = False
    try:
        with locked(folder):
            proved = run(folder, console)
    except RuntimeError as exc:  # a server or a task failed, and its message tells all
        console.print(f"✗ {exc}", markup=False, highlight=False)
    finally:
        if proved and not keep:
            remove(folder)
        else:
            console.print(f"files and logs stay in {folder} until the next run", highlight=False)
    sys.exit(not proved)


@main.command("up")
def up_command() -> None:
    """Start an estate that stays, with footage in its landing zone, and print where it is.

    One that is up, but has lost a part, is stopped and started anew; its files stay, its settings as they are.
    """
    settings = UP / "estate.toml"
    dead = [name for name, lives in _parts_of_up().items() if not lives]
    if settings.exists() and (dead or owner(UP) is None):
        _check(settings)
    if dead:
        print(f"ended by themselves or killed: {', '.join(dead)}; starting anew; the logs are below {UP}")
        stop(UP)
    if owner(UP) is None:
        _spawn()
    ready = _ready()
    note = f"; changed since they were made, and left so: {UP / 'estate.toml.demo'} has the demo's own"
    for name, (before, now) in ready["moved_ports"].items():
        print(f"Port       {before} of {name} had been taken by somebody else at the last start: it is {now} now")
    print(f"Airflow    {ready['url']}   user {ADMIN!r}, password {ready['password']!r}")
    print(f"Estate     {ready['url']}/plugin/estate: is footage safe, what does it cost, what waits for a person")
    print(f"Settings   {settings}{note if changed(settings) else ''}")
    print(f"Recordings {UP / 'landing'}")
    print("Commands   `make shell`: there `reelkeeper …` and `airflow …` work on this estate")
    print(_FIRST_STEPS)


def _check(settings: Path) -> None:
    """Settings that a person changed are used as they are, or not at all."""
    try:
        load_estate(settings, {})
    except ConfigurationError as exc:
        raise click.ClickException(f"{exc}\nput it right, or move it away: the demo then writes its own") from exc


def _ready() -> dict[str, Any]:
    """What is to be known of the estate of `up`. ClickException when none is up."""
    if owner(UP) is None or not (UP / "ready.json").exists():
        raise click.ClickException("no estate is up: expected one that `make up` has started")
    found: dict[str, Any] = json.loads((UP / "ready.json").read_text())
    return found


@main.command("shell", context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def shell_command(command: tuple[str, ...]) -> None:
    """Run COMMAND, or else a shell, in which `reelkeeper` and `airflow` work on the estate of `up`.

    It gets the estate's settings and connections, and nothing of your own accounts.
    """
    environ = _ready()["environ"] | passed_on()
    if not command:
        print("`reelkeeper …` and `airflow …` work on the estate of `make up` here; `exit` leaves it")
        command = (os.environ.get("SHELL") or "/bin/sh",)
    try:
        os.execvpe(command[0], command, environ)  # noqa: S606 - a program that the person names
    except OSError as exc:
        raise click.ClickException(f"{command[0]!r} cannot be run: {exc.strerror}") from exc


@main.command("status")
def status_command() -> None:
    """Tell which parts of the estate of `up` live. Exit 1 unless all do; `make up` then starts it anew."""
    found = _parts_of_up()
    for name, lives in found.items():
        print(f"{name:14} {'lives' if lives else 'DEAD'}")
    if not found:
        print("no estate is up")
    sys.exit(not found or not all(found.values()))


def _parts_of_up() -> dict[str, bool]:
    """Whether each part of the estate of `up` lives; none when it is not up."""
    ready = UP / "ready.json"
    if owner(UP) is None or not ready.exists():
        return {}
    return {name: leads(int(pid)) for pid, name in json.loads(ready.read_text())["parts"].items()}


def _spawn() -> None:
    UP.mkdir(parents=True, exist_ok=True)
    ready, log = UP / "ready.json", UP / "estate.log"
    ready.unlink(missing_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen([sys.executable, "-m", "demo", "serve"], cwd=ROOT, stdin=subprocess.DEVNULL,
                                   stdout=output, stderr=output, start_new_session=True)  # fmt: skip
    deadline = time.monotonic() + _UP_SECONDS
    try:
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise click.ClickException(f"the estate did not start; {log_tail(log)}")
            time.sleep(0.2)
    except BaseException:  # Ctrl-C too: half an estate is of no use
        stop(UP)
        raise


@main.command("serve")
def serve_command() -> None:
    """Run the estate of `up` in the foreground, until a signal."""
    console = _console()
    recorded = UP / "recorded"  # a second start leaves the landing zone alone
    with locked(UP), started(UP, console, footage=not recorded.exists()) as (estate, flow, _), Api(flow) as api:
        recorded.touch()
        job = Job(api, console)
        set_up(job, console)
        job.start("report_metrics")  # and every 15 minutes from now on: the Estate page is alive
        ready = UP / "ready.json"
        half = UP / "ready.json.half"
        half.touch(mode=0o600)
        told = {"url": flow.url, "password": estate.secrets["admin_password"], "parts": parts(),
                "environ": dict(flow.environ), "moved_ports": moved_ports()}  # fmt: skip
        half.write_text(json.dumps(told))
        half.rename(ready)
        try:
            while True:
                signal.pause()
        finally:
            ready.unlink()


@main.command("down")
def down_command() -> None:
    """Stop the estate of `up`; its files stay for the next time."""
    print("stopped" if stop(UP) else "no estate is up")


def _console() -> Console:
    """As wide as the terminal; in a log or a pipe, wide enough for a path."""
    return Console() if sys.stdout.isatty() else Console(width=200)


def _sweep() -> None:
    """Remove what earlier runs left that failed or were killed, a minute after their start at the earliest."""
    for folder in ESTATES.glob("demo-*"):
        if owner(folder) is None and time.time() - folder.stat().st_mtime > 60:
            remove(folder)


if __name__ == "__main__":
    main()
