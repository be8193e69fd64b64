"""docker-compose.yaml, held against the code, Airflow's own configuration and the Compose specification."""

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from deploy import make_env
from reelkeeper.settings import load_estate, read_estate
from tests.deploy.compose import RAW, ROOT, parsed_env, read, variables


def _docker_compose() -> list[str] | None:
    """The command, where there is one that is not version 1, which knew another specification."""
    for program, *rest in (["docker", "compose"], ["docker-compose"]):
        if found := shutil.which(program):
            asked = subprocess.run([found, *rest, "version", "--short"], capture_output=True, text=True, check=False)
            if asked.returncode == 0 and not asked.stdout.startswith("1."):
                return [found, *rest]
    return None


EXAMPLE = parsed_env((ROOT / ".env.example").read_text(encoding="ascii"))
DOTENV = parsed_env(make_env.filled((ROOT / ".env.example").read_text(encoding="ascii")))
COMPOSE = read(DOTENV)
SERVICES: Mapping[str, Any] = COMPOSE["services"]
AIRFLOW = ("init", "api-server", "scheduler", "dag-processor", "triggerer", "worker")
SECRETS = {name for name, value in EXAMPLE.items() if not value}
_DOCKER_COMPOSE = _docker_compose()
PINNED = re.compile(r"^[a-z0-9./-]+:(?!latest)[A-Za-z]*[.-]?v?\d[\w.-]*$")


def test_it_is_what_the_compose_specification_allows() -> None:
    parsed = PyCompose.from_yaml(yaml.safe_dump(COMPOSE))
    assert set(parsed.service_names()) == set(SERVICES)
    with pytest.raises(ValueError, match="restrat"):  # it does refuse
        PyCompose.from_yaml("services: {a: {image: 'a:1', restrat: always}}")


@pytest.mark.skipif(_DOCKER_COMPOSE is None, reason="no docker-compose on PATH, and no docker with its plugin")
@pytest.mark.servers  # a program of its own: no part of the fast ones
def test_docker_compose_reads_it_as_the_tests_do(tmp_path: Path) -> None:
    """It needs no engine for that."""
    assert _DOCKER_COMPOSE is not None
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in DOTENV.items()))
    given = {name: value for name, value in os.environ.items() if name not in DOTENV}
    command = [*_DOCKER_COMPOSE, "--env-file", str(tmp_path / ".env"), "--profile", "*", "config", "--format", "json"]
    run = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=True)
    found = json.loads(run.stdout)
    assert set(found["services"]) == set(SERVICES)
    for name, service in SERVICES.items():
        of_docker = found["services"][name]
        assert of_docker.get("environment", {}) == _escaped(service.get("environment", {})), name
        assert of_docker["command"] == _escaped(service.get("command")), name
        waits = {other: how["condition"] for other, how in of_docker.get("depends_on", {}).items()}
        assert waits == {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        assert of_docker.get("healthcheck", {}).get("test") == _escaped(service.get("healthcheck", {}).get("test"))
        mounted = {volume["target"] for volume in of_docker.get("volumes", ())}
        assert mounted == {volume.split(":")[1] for volume in service.get("volumes", ())}
    assert found["secrets"]["metrics_token"]["environment"] == "METRICS_TOKEN"


def _escaped(value: Any) -> Any:
    """As `docker compose config` writes it, so that it can be read again."""
    return json.loads(json.dumps(value).replace("$", "$$"))


def test_every_variable_is_in_the_example_and_every_one_there_is_used() -> None:
    used = {variable.name for variable in variables()}
    used |= {secret["environment"] for secret in RAW["secrets"].values()}
    used.add("COMPOSE_PROFILES")  # Docker's own
    assert used == set(EXAMPLE)


def test_defaults_are_those_of_the_example_and_a_secret_has_none() -> None:
    for variable in variables():
        assert variable.default == (EXAMPLE[variable.name] or None), variable
        if variable.name in SECRETS:
            assert variable.refusal == f"set {variable.name} in .env"


@pytest.mark.parametrize("missing", sorted(SECRETS))
def test_without_a_secret_nothing_starts(missing: str) -> None:
    with pytest.raises(KeyError, match=missing):
        read(DOTENV | {missing: ""})


def test_no_password_is_written_down() -> None:
    """Whatever is named like a secret is a variable, a file, or nothing."""
    named = re.compile(r"PASSWORD|SECRET|TOKEN|FERNET|_KEY|SQL_ALCHEMY_CONN|BROKER_URL|RESULT_BACKEND|^AIRFLOW_CONN_")
    for name, service in RAW["services"].items():
        for variable, value in service.get("environment", {}).items():
            if named.search(variable) and not value.startswith("/"):
                assert any(f"${{{secret}:?" in value for secret in SECRETS), (name, variable)
    random = {DOTENV[name] for name in SECRETS}
    assert not [value for value in random if value in (ROOT / "docker-compose.yaml").read_text()]
    assert len(random) == len(SECRETS)


def test_ports_are_published_on_loopback_alone() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(published) == 5
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_images_are_pinned() -> None:
    for name, service in SERVICES.items():
        assert PINNED.match(service["image"]), (name, service["image"])
    bases = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert set(bases) == {"python:3.12-slim-trixie"}
    for loose in ("redis", "redis:latest", "a/b", "registry:5000/a"):
        assert not PINNED.match(loose)


def test_grafana_stays_what_the_image_is_and_asks_nobody_outside() -> None:
    environment = SERVICES["grafana"]["environment"]
    assert environment["GF_PLUGINS_PREINSTALL_DISABLED"] == "true"
    asks = (
        "ANALYTICS_REPORTING",
        "ANALYTICS_CHECK_FOR_UPDATES",
        "ANALYTICS_CHECK_FOR_PLUGIN_UPDATES",
        "NEWS_NEWS_FEED",
    )
    for name, value in environment.items():
        if name.startswith(tuple(f"GF_{one}" for one in asks)):
            assert value == "false", name
    assert sum(name.startswith(tuple(f"GF_{one}" for one in asks)) for name in environment) == len(asks)


def test_what_is_waited_for_can_say_that_it_is_well() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other], (name, other)
            else:
                assert (how["condition"], SERVICES[other]["restart"]) == ("service_completed_successfully", "no")
            if "profiles" in SERVICES[other]:
                assert how["required"] is False
    assert all("healthcheck" in service or name == "init" for name, service in SERVICES.items())
    assert all(service["restart"] == "unless-stopped" for name, service in SERVICES.items() if name != "init")


def test_tasks_are_queued_only_when_the_api_server_answers() -> None:
    for name in ("scheduler", "dag-processor", "triggerer", "worker"):
        assert SERVICES[name]["depends_on"]["api-server"] == {"condition": "service_healthy"}
    assert set(SERVICES["init"]["depends_on"]) == {"postgres", "redis", "seaweedfs", "minio"}


def test_one_object_store_runs_by_default_and_another_can_take_its_place() -> None:
    stores = {name: service for name, service in SERVICES.items() if "profiles" in service}
    assert {name: service["profiles"] for name, service in stores.items()} == {
        "seaweedfs": ["seaweedfs"],
        "minio": ["minio"],
    }
    assert EXAMPLE["COMPOSE_PROFILES"] == "seaweedfs"
    for service in stores.values():  # whichever it is, it has one name and one port
        assert service["networks"]["default"]["aliases"] == ["object-store"]
        assert service["ports"] == ["127.0.0.1:8333:8333"]
    assert EXAMPLE["OBJECT_STORE_URL"] == "http://object-store:8333"


def test_all_parts_of_airflow_have_one_image_and_one_environment() -> None:
    parts = [SERVICES[name] for name in AIRFLOW]
    assert {part["image"] for part in parts} == {f"reelkeeper/airflow:{EXAMPLE['REELKEEPER_VERSION']}"}
    common = SERVICES["scheduler"]["environment"]
    assert all(part["environment"] == common for part in parts[1:])
    assert set(parts[0]["environment"]) - set(common) == {"AIRFLOW_ADMIN_PASSWORD"}
    assert [name for name, service in SERVICES.items() if "build" in service] == ["init"]
    assert {part["pull_policy"] for part in parts} == {"never"}  # bringing it up builds nothing: the older image stays


@pytest.mark.servers  # it needs none, but a second for the settings of all providers: no part of the fast ones
def test_airflow_knows_each_of_its_settings() -> None:
    from airflow.configuration import conf

    described = conf.configuration_description
    own = {("core", "simple_auth_manager_passwords_file")}  # read by the manager, and not described
    for name in SERVICES["scheduler"]["environment"]:
        if name.startswith("AIRFLOW__"):
            _, section, key = name.lower().split("__")
            known = described[section]["options"] if section in described else {}
            assert key in known or (section, key) in own, name


def test_connections_are_those_that_the_estate_names_and_of_types_that_there_are() -> None:
    from reelkeeper_airflow.hooks.tokens import TokenHook
    from reelkeeper_airflow.provider import get_provider_info

    environment = SERVICES["worker"]["environment"]
    given = {name.removeprefix("AIRFLOW_CONN_").lower(): value for name, value in environment.items()
             if name.startswith("AIRFLOW_CONN_")}  # fmt: skip
    estate = load_estate(ROOT / EXAMPLE["ESTATE_FILE"])
    wanted = {estate.store("cloud").connection, estate.catalogue.connection, TokenHook.default_conn_name}
    assert set(given) == wanted  # a disk needs none, and the signing key is a file
    types = {kind["connection-type"] for kind in get_provider_info()["connection-types"]}
    for value in given.values():
        if value.startswith("{"):
            assert json.loads(value)["conn_type"] in types
        else:
            assert value.startswith("postgres://")


def test_the_estate_is_valid_with_the_variables_of_its_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SERVICES["worker"]["environment"].items():
        if name.startswith("REELKEEPER__"):
            monkeypatch.setenv(name, value)
    loaded = read_estate(ROOT / EXAMPLE["ESTATE_FILE"])
    port = SERVICES["seaweedfs"]["ports"][0].rpartition(":")[2]
    assert str(loaded.estate.store("cloud").public_endpoint_url) == f"http://localhost:{port}"


def test_an_estate_of_ones_own_names_its_stores_as_it_likes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the containers is of a store, which another estate need not have."""
    given = (ROOT / EXAMPLE["ESTATE_FILE"]).read_text()
    own = re.sub("^public_endpoint_url.*\n", "", given.replace('"minio"', '"s3"'), flags=re.MULTILINE)
    (tmp_path / "estate.toml").write_text(own.replace('"cloud"', '"bucket"'))
    for name, value in SERVICES["worker"]["environment"].items():
        if name.startswith("REELKEEPER__"):
            monkeypatch.setenv(name, value)
    assert load_estate(tmp_path / "estate.toml").store("bucket").public_endpoint_url is None


def test_variables_of_ours_are_read_by_the_code() -> None:
    from reelkeeper.settings import estate_path
    from reelkeeper_airflow.hooks.keys import KeyHook

    environment = SERVICES["worker"]["environment"]
    ours = {name: value for name, value in environment.items() if re.match("REELKEEPER_[^_]", name)}
    assert set(ours) == {"REELKEEPER_ESTATE", KeyHook.file_variable}
    assert estate_path(environ=ours) == Path("/etc/reelkeeper/estate.toml")


def test_a_worker_listens_to_each_queue_and_sees_each_folder() -> None:
    estate = load_estate(ROOT / EXAMPLE["ESTATE_FILE"])
    listens = set(SERVICES["worker"]["command"][-1].split(","))
    assert {place.queue or "default" for place in (*estate.stores, *estate.landing_zones)} | {"default"} == listens
    mounted = {volume.split(":")[1] for volume in SERVICES["worker"]["volumes"]}
    folders = {store.root for store in estate.stores} | {zone.path for zone in estate.landing_zones}
    assert {str(folder) for folder in folders - {None}} <= mounted


def test_volumes_are_named_or_lie_in_this_repository() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (ROOT / source).exists(), volume
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())}
    assert set(COMPOSE["volumes"]) <= used


def test_commands_of_airflow_parse() -> None:
    from airflow.cli.cli_parser import get_parser

    found = [SERVICES[name]["command"] for name in AIRFLOW if name != "init"]
    found += [test[1:] for test in _checks() if test[1] == "airflow"]
    found += [line for line in _lines_of("init.sh") if line[0] == "airflow"]
    assert len(found) == 5 + 2 + 1
    for command in found:
        get_parser().parse_args(command[1:])


def test_commands_of_ours_parse() -> None:
    from reelkeeper_airflow.cli import main

    found = [line for line in _lines_of("init.sh") if line[0] == "reelkeeper"]
    assert found == [
        ["reelkeeper", "signing-key", "create", "$REELKEEPER_SIGNING_KEY_FILE"],
        ["reelkeeper", "estate", "setup"],
        ["reelkeeper", "db", "upgrade"],
    ]
    for _, *words in found:
        command: Any = main
        while words and hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        command.make_context(command.name, words)


def test_the_flags_of_seaweedfs_exist() -> None:
    weed = Path(sys.executable).with_name("weed")
    help_text = subprocess.run([weed, "mini", "-h"], capture_output=True, text=True, check=False)
    known = set(re.findall(r"^  (-[\w.]+)", help_text.stdout + help_text.stderr, re.MULTILINE))
    flags = {word.split("=")[0] for word in SERVICES["seaweedfs"]["command"][1:]}
    assert flags <= known


def test_the_image_has_what_compose_runs_and_what_it_mounts_over() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    [script] = SERVICES["init"]["command"]
    assert f" {script}\n" in dockerfile
    assert (ROOT / script.removeprefix("/opt/reelkeeper/")).stat().st_mode & stat.S_IXUSR
    for volume in SERVICES["worker"]["volumes"]:
        source, target, *_ = volume.split(":")
        assert source in COMPOSE["volumes"] or "estate.toml" in target
        assert target in dockerfile or "estate.toml" in target  # owned by Airflow's user, so that the volume is, too
    environment = SERVICES["worker"]["environment"]
    for folder in (environment["AIRFLOW__CORE__DAGS_FOLDER"], environment["AIRFLOW__CORE__PLUGINS_FOLDER"]):
        assert re.search(rf"^COPY (\w+) {folder.removeprefix('/opt/reelkeeper/')}$", dockerfile, re.MULTILINE)


def test_the_image_installs_what_is_locked_by_the_same_uv_and_runs_as_nobody_special() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    [version] = re.findall(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert f" uv=={version}\n" in dockerfile
    syncs = re.findall(r"uv sync (.*)$", dockerfile, re.MULTILINE)
    assert len(syncs) == 2
    assert all(words.startswith("--frozen --no-dev --extra celery") for words in syncs)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(re.findall(r"--extra (\S+)", syncs[0])) <= set(project["project"]["optional-dependencies"])
    assert set(re.findall(r"--group (\S+)", syncs[0])) <= set(project["dependency-groups"])
    assert syncs[0] == f"{syncs[1]} --no-install-project"  # the same, or the second would install and remove
    [made] = re.findall(r"useradd --uid (\d+) --gid (\d+) ", dockerfile)
    assert re.findall(r"^USER (\S+)$", dockerfile, re.MULTILINE) == [":".join(made)]
    for source in _copied(dockerfile):
        assert (ROOT / source).exists(), source


def test_what_the_image_copies_is_not_ignored() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for source in _copied((ROOT / "Dockerfile").read_text()):
        assert any(source == path or source.startswith(f"{path}/") for path in kept), source


def test_the_databases_are_those_that_airflow_and_the_catalogue_are_told() -> None:
    script = (ROOT / "deploy/postgres/databases.sh").read_text()
    environment = SERVICES["worker"]["environment"]
    for name in ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW_CONN_REELKEEPER_CATALOGUE"):
        found = re.fullmatch(r"[\w+]+://(\w+):(\w+)@postgres:5432/(\w+)", environment[name])
        assert found is not None
        role, password, database = found.groups()
        assert f"CREATE DATABASE {database} OWNER {role};" in script
        assert password in SERVICES["postgres"]["environment"].values()


def test_an_env_is_made_once_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptography.fernet import Fernet

    monkeypatch.setattr(make_env, "ROOT", tmp_path)
    (tmp_path / ".env.example").write_text((ROOT / ".env.example").read_text())
    assert make_env.main() == 0
    made = tmp_path / ".env"
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    values = parsed_env(made.read_text())
    assert {name: value for name, value in values.items() if name not in SECRETS} == {
        name: value for name, value in EXAMPLE.items() if value
    }
    assert all(len(values[name]) >= 32 for name in SECRETS)
    Fernet(values["AIRFLOW_FERNET_KEY"])
    before = made.read_text()
    assert make_env.main() == 1
    assert made.read_text() == before


def _checks() -> Iterator[list[str]]:
    for service in SERVICES.values():
        if "healthcheck" in service:
            yield service["healthcheck"]["test"]


def _lines_of(name: str) -> Iterator[list[str]]:
    """The commands of a script that starts Airflow."""
    for line in (ROOT / "deploy/airflow" / name).read_text().splitlines():
        if line.strip().startswith(("airflow ", "reelkeeper ")):
            yield shlex.split(line.partition("||")[0])


def _copied(dockerfile: str) -> Iterator[str]:
    """What is copied out of this repository."""
    for line in re.findall(r"^COPY (?!--from)(?:--\S+ )*(.*)$", dockerfile, re.MULTILINE):
        yield from line.split()[:-1]
