"""The command line as a process of its own, on real servers."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from demo.servers import PostgresServer, S3Server
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.policy.alarm_states import evaluate
from reelkeeper.policy.alarms import AlarmTerms, Reading, alarms

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).with_name("reelkeeper")


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return self.out + self.err


Run = Callable[..., Said]


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an Airflow that has no database yet."""
    return tmp_path_factory.mktemp("airflow-of-cli")


@pytest.fixture
def run(tmp_path: Path, airflow_home: Path) -> Run:
    def run(*arguments: str | Path, **environ: str) -> Said:
        clean = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        clean |= {"HOME": str(tmp_path), "AIRFLOW_HOME": str(airflow_home), "NO_PROXY": "*", "TZ": "America/New_York"}
        done = subprocess.run([COMMAND, *arguments], cwd=tmp_path, env=clean | environ, capture_output=True, text=True,
                              check=False, timeout=120)  # fmt: skip
        return Said(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def database(postgres: PostgresServer, bucket_name: str) -> str:
    """The name of an empty database."""
    name = bucket_name.replace("-", "_")
    postgres.create_database(name)
    return name


def write_estate(folder: Path, *stores: str, cloud: str | None = None, zones: str = "") -> Path:
    """An estate with a disk, and whatever else is given as TOML."""
    placement = f'[placement]\nlocal_store = "disk"\nmode = "{"hybrid" if cloud else "local"}"\n'
    disk = f'[[stores]]\nname = "disk"\nkind = "filesystem"\nroot = "{folder / "disk"}"\n'
    path = folder / "estate.toml"
    path.write_text("\n".join([disk, *stores, zones, placement, f'cloud_store = "{cloud}"\n' if cloud else ""]))
    return path


def minio_store(name: str, bucket: str, connection: str = "minio_default") -> str:
    return f'[[stores]]\nname = "{name}"\nkind = "minio"\nbucket = "{bucket}"\nconnection = "{connection}"\n'


def minio_uri(server: S3Server, *, secret: str | None = None) -> str:
    return json.dumps({"conn_type": "minio", "host": server.endpoint_url, "login": server.access_key,
                       "password": secret or server.secret_key})  # fmt: skip


def findings(said: Said) -> dict[str, dict[str, Any]]:
    return {check["what"]: check for check in json.loads(said.out)["checks"]}


# --- without servers --------------------------------------------------------------------------------------------------


def test_help_is_there_without_airflow() -> None:
    code = (
        "import sys, click.testing as t, reelkeeper_airflow.cli as c\n"
        "for a in ([], ['db'], ['doctor'], ['cameras', 'import'], ['estate', 'show']):\n"
        "    assert t.CliRunner().invoke(c.main, [*a, '--help']).exit_code == 0\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'airflow', 'boto3', 'psycopg2', 'pydantic'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.servers  # Airflow itself takes seconds to start
def test_a_wrong_estate_is_told_whole(run: Run, tmp_path: Path) -> None:
    (tmp_path / "estate.toml").write_text('[placement]\nlocal_store = "x"\n[rollout]\npercentage = 101\n')
    said = run("estate", "show", STORAGE_MODE="sometimes")
    assert said.code == 1
    for begins in ("stores: missing", "rollout.percentage is 101", "STORAGE_MODE is 'sometimes'", "placement.local_"):
        assert f"  - {begins}" in said.err
    assert "Traceback" not in said.err
    checks = findings(run("doctor", "--json"))
    assert not checks["estate: rollout.percentage"]["ok"]
    assert checks["ffmpeg: runs"]["ok"]


def test_show_says_where_values_come_from(run: Run, tmp_path: Path) -> None:
    path = write_estate(tmp_path, minio_store("lake", "footage"), cloud="lake")
    said = run("--estate", path, "estate", "show", STORAGE_MODE="s3", MINIO_BUCKET_RECORDINGS="rec", GCS_BUCKET="foo",
               CLOUD_STORAGE_PROVIDER="minio", MINIO_SECRET_KEY="hunter2", S3_REGION="eu-west-1")  # fmt: skip
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert 'mode = "cloud"  # from STORAGE_MODE' in lines
    assert 'bucket = "rec"  # from MINIO_BUCKET_RECORDINGS' in lines
    assert "[[stores]]  # from GCS_BUCKET" in lines
    assert "# S3_REGION changes nothing: the estate has no one store of kind 's3'" in lines
    assert "hunter2" not in said.all
    import tomllib

    (tmp_path / "again.toml").write_text(said.out)
    assert tomllib.loads(run("--estate", tmp_path / "again.toml", "estate", "show").out) == tomllib.loads(said.out)


def test_the_reference_is_up_to_date(run: Run) -> None:
    said = run("estate", "reference")
    assert said.out == (ROOT / "docs/configuration.md").read_text(), (
        "docs/configuration.md is stale: expected the output of 'reelkeeper estate reference'"
    )


def test_every_variable_that_is_read_is_documented() -> None:
    sources = [*ROOT.glob("plugins/reelkeeper_airflow/hooks/*.py"), ROOT / "include/reelkeeper/settings/environment.py"]
    said = {name for path in sources for name in re.findall(r'"([A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9])"', path.read_text())}
    documented = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", (ROOT / "docs/configuration.md").read_text()))
    assert {"STORAGE_MODE", "MINIO_SECRET_KEY", "POSTGRES_HOST", "LOG_LEVEL"} <= said
    assert said - {"CERT_REQUIRED"} <= documented  # that one is urllib3's


@pytest.mark.servers  # Airflow itself takes seconds to start
def test_a_connection_that_nobody_defined(run: Run, tmp_path: Path) -> None:
    write_estate(tmp_path)
    said = run("db", "status")
    assert said.code == 1
    assert "Airflow connection 'reelkeeper_catalogue' is not defined" in said.err
    assert "Traceback" not in said.err


# --- the catalogue ----------------------------------------------------------------------------------------------------


def test_the_schema_by_variables_of_the_environment(
    run: Run, tmp_path: Path, postgres: PostgresServer, database: str
) -> None:
    write_estate(tmp_path)
    environ = {"POSTGRES_HOST": postgres.host, "POSTGRES_PORT": str(postgres.port), "POSTGRES_DB": database,
               "POSTGRES_USER": postgres.user, "POSTGRES_PASSWORD": postgres.password}  # fmt: skip
    due = run("db", "status", **environ)
    assert (due.code, "due: reelkeeper db upgrade" in due.out) == (1, True), due
    first = run("db", "upgrade", **environ)
    assert first.code == 0, first.err
    assert "made   catalogue: migration" in first.out
    again = run("db", "upgrade", **environ)
    assert again.out == "found  catalogue: schema 'reelkeeper'\n"
    assert run("db", "status", **environ).code == 0
    wrong = run("db", "status", **(environ | {"POSTGRES_PASSWORD": "hunter2!"}))
    assert (wrong.code, "unavailable" in wrong.err, "hunter2!" in wrong.all) == (1, True, False), wrong
    assert postgres.password not in due.all + first.all + again.all + wrong.all


@pytest.mark.usefixtures("airflow_database")
def test_a_connection_in_airflows_database(run: Run, tmp_path: Path, catalogue_dsn: str) -> None:
    from airflow.models import Connection
    from airflow.utils.session import create_session

    facts = psycopg2.extensions.parse_dsn(catalogue_dsn)
    stored = Connection("catalogue_of_test", "postgres", host=facts["host"], port=int(facts["port"]),
                        schema=facts["dbname"], login=facts["user"], password=facts["password"])  # fmt: skip
    with create_session() as session:
        session.add(stored)
    path = write_estate(tmp_path)
    path.write_text(path.read_text() + '[catalogue]\nconnection = "catalogue_of_test"\n')
    environ = {name: value for name, value in os.environ.items() if name.startswith("AIRFLOW")}
    said = run("db", "status", **environ)
    assert said.code == 0, said.err


def test_cameras_are_imported_all_or_none(run: Run, tmp_path: Path, catalogue_dsn: str) -> None:
    write_estate(tmp_path)
    environ = {"AIRFLOW_CONN_REELKEEPER_CATALOGUE": catalogue_dsn}
    file = tmp_path / "cameras.csv"
    file.write_text("\ufeffname,retention_days\nFront Gate,30\nYard,\n", encoding="utf-8")
    said = run("cameras", "import", file, **environ)
    assert said.code == 0, said.err
    assert said.out.splitlines() == [
        "created  default/front-gate  Front Gate", "created  default/yard  Yard", "2 created, 0 updated, 0 unchanged",
    ]  # fmt: skip
    file.write_text("name,retention_days\nFront Gate,10\nRoof,many\n,3\n")
    bad = run("cameras", "import", file, **environ)
    assert bad.code == 1
    assert "line 3: retention_days 'many'" in bad.err
    assert "line 4: no name" in bad.err
    file.write_text("name,retention_days\nFront Gate,30\nYard,7\n")
    again = run("cameras", "import", file, **environ)
    assert again.out.splitlines()[-1] == "0 created, 1 updated, 1 unchanged"


def test_holds_are_placed_listed_and_released(run: Run, tmp_path: Path, catalogue_dsn: str) -> None:
    write_estate(tmp_path)
    environ = {"AIRFLOW_CONN_REELKEEPER_CATALOGUE": catalogue_dsn}
    (tmp_path / "cameras.csv").write_text("name\nGate\n")
    assert run("cameras", "import", tmp_path / "cameras.csv", **environ).code == 0
    said = run("hold", "add", "--camera", "gate", "--from", "2026-01-01T00:00:00Z", "--reason", "case 7", **environ)
    assert said.code == 0, said.err
    identity, _, rest = said.out.strip().partition("  ")
    assert rest == "camera default/gate: holds 0 segments now, 0 B"
    listed = run("hold", "list", **environ).out
    assert f"{identity}  legal_hold  default/gate  2026-01-01T00:00+00:00 to for ever  until released" in listed
    assert "case 7" in listed
    assert run("hold", "release", identity, **environ).out == f"{identity}  released: case 7\n"
    assert run("hold", "list", **environ).out == "nothing is held\n"
    for wrong, says in (
        (("add", "--camera", "gaet", "--reason", "x"), "camera 'gaet' is not in the catalogue"),
        (("add", "--reason", "x"), "expected one of cameras, a segment, or every camera"),
        (("add", "--camera", "gate", "--reason", "x", "--from", "2026-01-01"), "expected an ISO 8601 time with a zone"),
        (("release", identity), "was released already"),
    ):
        said = run("hold", *wrong, **environ)
        assert said.code != 0
        assert says in said.err, said.err


def test_metrics_are_shown_as_prometheus_reads_them(run: Run, tmp_path: Path, catalogue_dsn: str) -> None:
    write_estate(tmp_path)
    said = run("metrics", "show", "--openmetrics", AIRFLOW_CONN_REELKEEPER_CATALOGUE=catalogue_dsn)
    assert said.code == 0, said.err
    families = {family.name: family for family in text_string_to_metric_families(said.out)}
    [used] = families["storage_bytes_used"].samples
    assert (used.labels, used.value) == ({"backend": "disk", "bucket": str(tmp_path / "disk")}, 0)


def test_the_daily_report_is_written_into_a_file(run: Run, tmp_path: Path, catalogue_dsn: str) -> None:
    write_estate(tmp_path)
    said = run("report", "today.html", "--day", "2026-01-31", AIRFLOW_CONN_REELKEEPER_CATALOGUE=catalogue_dsn)
    assert said.code == 0, said.err
    assert said.out.startswith("No footage has come in yet. ")
    page = (tmp_path / "today.html").read_text(encoding="utf-8")
    assert 'daily report of <time datetime="2026-01-31">' in page
    assert "<svg" in page


def test_alarms_are_listed_taken_on_and_shown(
    run: Run, tmp_path: Path, catalogue: Catalogue, catalogue_dsn: str
) -> None:
    write_estate(tmp_path)
    environ = {"AIRFLOW_CONN_REELKEEPER_CATALOGUE": catalogue_dsn}
    begun = datetime.now(UTC) - timedelta(hours=1)
    wrong = [
        Reading("camera_silent", f"default/{slug}", 30.0, 24.0, "no footage for 30 h") for slug in ("gate", "yard")
    ]
    terms = AlarmTerms(0.05, 30, None, 45, 24, recover=timedelta(minutes=30))
    changes = evaluate(alarms(terms), [], wrong, now=begun, remind_after=None)
    catalogue.alarms.save([change.state for change in changes])
    catalogue.alarms.add_events([change.event for change in changes if change.event], {})

    listed = run("alarm", "list", **environ)
    assert listed.code == 0, listed.err
    assert "Alarms were never judged" in listed.err  # whatever is up is old
    catalogue.alarms.keep_well([Reading("over_budget", "", None, None, "")], now=datetime.now(UTC))
    assert [line.split()[:3] for line in listed.out.splitlines()] == [
        ["firing", "camera_silent", f"default/{slug}"] for slug in ("gate", "yard")
    ]
    taken = ("--by", "ada", "--reason", "ticket 9")
    said = run("alarm", "acknowledge", "camera_silent", "default/gate", *taken, **environ)
    assert said.code == 0, said.err
    assert said.out.startswith("acknowledged  camera_silent  default/gate  since ")
    assert "by ada (ticket 9)" in said.out
    other = run("alarm", "show", "camera_silent", "default/gaet", **environ)
    assert "never up for 'default/gaet': expected one of 'default/gate', 'default/yard'" in other.out, other
    said = run("alarm", "show", "camera_silent", "default/gate", **environ)
    assert "judged" not in said.err
    shown = said.out
    assert "more: docs/operations.md#camera_silent" in shown
    assert "acknowledged by ada  default/gate: ticket 9" in shown
    assert "yard" not in shown
    rules = run("alarm", "rules", "--prometheus", **environ).out
    assert "alert: ReelkeeperStoreUnreachable" in rules


# --- the doctor -------------------------------------------------------------------------------------------------------


def test_a_healthy_estate_passes(
    run: Run, tmp_path: Path, seaweedfs: S3Server, catalogue_dsn: str, bucket_name: str
) -> None:
    landing = tmp_path / "landing"
    landing.mkdir()
    write_estate(
        tmp_path, minio_store("lake", bucket_name), cloud="lake",
        zones=f'[[landing_zones]]\nname = "in"\npath = "{landing}"\n'
        '[[landing_zones]]\nname = "uploads"\nstore = "lake"\nprefix = "incoming/"\n',
    )  # fmt: skip
    environ = {"AIRFLOW_CONN_REELKEEPER_CATALOGUE": catalogue_dsn, "MINIO_ENDPOINT": seaweedfs.endpoint_url,
               "MINIO_ACCESS_KEY": seaweedfs.access_key, "MINIO_SECRET_KEY": seaweedfs.secret_key}  # fmt: skip
    before = run("doctor", **environ)
    assert before.code == 1
    assert "setup_estate" in before.out
    assert "made   store 'lake': " in run("estate", "setup", **environ).out
    assert "made" not in run("estate", "setup", **environ).out
    said = run("doctor", "--json", **environ)
    checks = findings(said)
    assert [what for what, check in checks.items() if not check["ok"]] == []
    assert said.code == 0
    assert "environment" in checks["connection minio_default"]["detail"]
    assert checks["connection reelkeeper_catalogue"]["detail"] == "from AIRFLOW_CONN_REELKEEPER_CATALOGUE"
    assert {"catalogue: clock", "catalogue: schema", "landing zone in: folder", "landing zone uploads: listing",
            "store lake: marker", "ffmpeg: runs", "ffprobe: runs"} <= checks.keys()  # fmt: skip
    assert not list(landing.iterdir())
    assert seaweedfs.secret_key not in said.all + before.all


def test_each_broken_thing_is_named_with_its_cure(
    run: Run, tmp_path: Path, seaweedfs: S3Server, postgres: PostgresServer, database: str, bucket_name: str
) -> None:
    (tmp_path / "urls.txt").mkdir()
    write_estate(
        tmp_path,
        minio_store("refused", f"{bucket_name}-a", "wrong_secret"),
        minio_store("gone", f"{bucket_name}-b", "right"),
        minio_store("down", f"{bucket_name}-c", "down"),
        minio_store("unknown", f"{bucket_name}-d", "nobody_defined"),
        minio_store("garbled", f"{bucket_name}-e", "garbled"),
        zones=f'[[landing_zones]]\nname = "away"\npath = "{tmp_path / "away"}"\n'
        f'[[landing_zones]]\nname = "list"\nurls = "{tmp_path / "urls.txt"}"\n'
        '[ingest]\ndownload_directory = "/proc"\n'
        '[metrics]\npublish = ["pushgateway", "textfile", "cloudwatch"]\npushgateway_url = "http://127.0.0.1:1"\n'
        f'textfile = "{tmp_path / "away" / "reelkeeper.prom"}"\n',
    )
    said = run(
        "doctor", "--json",
        AIRFLOW_CONN_REELKEEPER_CATALOGUE=postgres.dsn(database),
        AIRFLOW_CONN_WRONG_SECRET=minio_uri(seaweedfs, secret="hunter2-hunter2"),
        AIRFLOW_CONN_RIGHT=minio_uri(seaweedfs),
        AIRFLOW_CONN_DOWN=f"minio://key:hunter3-hunter3@{quote('http://127.0.0.1:1', safe='')}/",
        AIRFLOW_CONN_AWS_DEFAULT=json.dumps({"conn_type": "aws", "login": "key", "password": "hunter5-hunter5",
                                             "extra": {"endpoint_url": "http://127.0.0.1:1"}}),
        AIRFLOW_CONN_GARBLED="{not json hunter4-hunter4",
    )  # fmt: skip
    assert said.code == 1, said.err
    failed = {what: check for what, check in findings(said).items() if not check["ok"]}
    for begins, detail, cure in (
        ("connection nobody_defined", "is not defined", "airflow connections add nobody_defined --conn-type minio"),
        ("connection garbled", "AIRFLOW_CONN_GARBLED is set but cannot be read", "as AIRFLOW_CONN_GARBLED"),
        ("catalogue: schema", "lacks migrations", "run 'reelkeeper db upgrade'"),
        ("store disk: ", "is not there", "setup_estate"),
        ("store refused: ", "AccessDenied", "check the connection's keys"),
        ("store gone: ", "BucketNotFound", "setup_estate"),
        ("store down: ", "StoreUnavailable", "whether the server runs"),
        ("store unknown: ", "nobody_defined", "Airflow connection"),
        ("landing zone away: folder", "is not there", "make the folder or mount its disk"),
        ("landing zone list: ", "urls.txt", "one URL a line"),
        ("downloads: folder", "/proc", "writable"),
        ("metrics to pushgateway: push", "did not answer", "correct metrics.pushgateway_url"),
        ("metrics to textfile: folder", "is not there", "make the folder"),
        ("metrics to cloudwatch: connection aws_default", "cannot be reached", "correct the connection"),
    ):
        found = [check for what, check in failed.items() if what.startswith(begins)]
        assert found, (begins, list(failed))
        assert any(detail in check["detail"] and cure in check["cure"] for check in found), (begins, found)
    assert "hunter" not in said.all
    assert seaweedfs.secret_key not in said.all
    assert postgres.password not in said.all


@pytest.mark.servers  # Airflow itself takes seconds to start
def test_a_catalogue_that_is_down(run: Run, tmp_path: Path) -> None:
    write_estate(tmp_path)
    said = run("doctor", AIRFLOW_CONN_REELKEEPER_CATALOGUE="postgresql://me:hunter2-hunter2@127.0.0.1:1/none")
    assert said.code == 1
    assert "FAIL  catalogue: reachable: CatalogueUnavailable" in said.out
    assert "cure: start PostgreSQL; make the database; correct Airflow connection 'reelkeeper_catalogue'" in said.out
    assert "hunter2" not in said.all
