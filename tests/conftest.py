"""Fixtures: real servers from wheels, a migrated catalogue for each test, real video files.

Everything here starts when a test first asks for it, once in each xdist worker. Nothing reaches beyond loopback.
"""

import os
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from demo.processes import scratch
from demo.servers import GcsServer, PostgresServer, S3Server, gcs_emulator, moto, postgres, seaweedfs
from demo.video import make_video

if TYPE_CHECKING:
    from reelkeeper.catalogue.catalogue import Catalogue

ROOT = Path(__file__).resolve().parent.parent
_SERVERS = {"postgres", "seaweedfs", "moto", "gcs_emulator", "airflow_database"}
_SCRATCH = scratch("airflow")
_AIRFLOW_HOME = _SCRATCH.__enter__()

# Airflow reads its configuration when it is first imported, so this stands before any test module. Nothing of the
# developer's own estate or cloud accounts may leak in.
_FOREIGN = ("AIRFLOW", "AWS_", "REELKEEPER_", "GOOGLE_", "GCS_", "GCP_", "MINIO_", "S3_", "STORAGE_", "POSTGRES_",
            "PG", "CLOUD_", "ENABLE_CLOUD_", "USE_CLOUD_", "YTDLP_", "LOG_LEVEL")  # fmt: skip
for _name in [name for name in os.environ if name.startswith(_FOREIGN) and not name.startswith("REELKEEPER_TEST_")]:
    del os.environ[_name]
os.environ |= {
    "AIRFLOW_HOME": str(_AIRFLOW_HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__FERNET_KEY": "",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_AIRFLOW_HOME}/airflow.db",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    "AWS_EC2_METADATA_DISABLED": "true",
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
    "TZ": "America/New_York",  # a zone with summer time, so that a naive or local time shows itself
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that uses a real server is marked `servers`, so that `make test-fast` can leave it out.

    By its fixtures, or by its parameters: a rig asks for its server by name.
    """
    for item in items:
        parameters = re.split(r"[\[\]-]", item.name)
        if _SERVERS & {*getattr(item, "fixturenames", ()), *parameters}:
            item.add_marker(pytest.mark.servers)


def pytest_unconfigure() -> None:
    _SCRATCH.__exit__(None, None, None)


@pytest.fixture(scope="session", name="postgres")
def _postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL server; its databases are the tests' own business."""
    with postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def _catalogue_template(postgres: PostgresServer) -> str:
    """The name of a migrated, empty database that no one is connected to."""
    import psycopg2

    from reelkeeper.catalogue.migrations import upgrade

    postgres.create_database("catalogue_template")
    with closing(psycopg2.connect(postgres.dsn("catalogue_template"))) as connection:
        upgrade(connection, "reelkeeper")
        connection.commit()
    return "catalogue_template"


@pytest.fixture
def catalogue_dsn(postgres: PostgresServer, _catalogue_template: str) -> Iterator[str]:
    """A fresh, migrated database of the test's own; schema `reelkeeper`."""
    name = f"catalogue_{uuid4().hex[:12]}"
    postgres.create_database(name, template=_catalogue_template)
    yield postgres.dsn(name)
    postgres.drop_database(name)


@pytest.fixture
def catalogue(catalogue_dsn: str) -> Iterator["Catalogue"]:
    """An open catalogue on the test's own database."""
    import psycopg2

    from reelkeeper.catalogue.catalogue import Catalogue

    with Catalogue(lambda: psycopg2.connect(catalogue_dsn)) as opened:
        yield opened


@pytest.fixture(scope="session", name="seaweedfs")
def _seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3-compatible server that checks signatures and checksums."""
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(scope="session", name="moto")
def _moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """AWS as moto knows it: storage classes, archives, lifecycle; it proves nothing about integrity or access."""
    with moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session", name="gcs_emulator")
def _gcs_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsServer]:
    """A Google Cloud Storage emulator."""
    with gcs_emulator(tmp_path_factory.mktemp("gcs")) as server:
        yield server


@pytest.fixture
def bucket_name() -> str:
    """A bucket name that no other test has. The bucket is not made."""
    return f"test-{uuid4().hex[:16]}"


class Footage:
    """Real video files, each encoded when first asked for and to be left as it is: copy one before changing it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __getattr__(self, suffix: str) -> Path:
        """A two-second file by its suffix: `mp4` (H.264, with audio), `ts`, `mkv`, `mov`, `avi`, `webm`."""
        if suffix not in ("mp4", "ts", "mkv", "mov", "avi", "webm"):
            raise AttributeError(suffix)
        codec = {"webm": "libvpx-vp9", "avi": "mpeg4"}.get(suffix, "libx264")
        return self.make(f"two-seconds.{suffix}", codec=codec, audio=suffix == "mp4")

    def make(
        self, name: str, *, seconds: float = 2.0, frame_rate: int = 10, width: int = 160, height: int = 120,
        codec: str = "libx264", audio: bool = False, first_frame: int = 0, options: tuple[str, ...] = (),
    ) -> Path:  # fmt: skip
        """The file of this name (its suffix is the container), made unless it is there. See `demo.video.make_video`."""
        path = self._directory / name
        if not path.exists():
            half = path.with_name(f"half-{path.name}")
            make_video(half, seconds=seconds, frame_rate=frame_rate, width=width, height=height, codec=codec,
                       audio=audio, first_frame=first_frame, options=options).rename(path)  # fmt: skip
        return path


@pytest.fixture(scope="session")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Footage:
    """A maker of small real video files."""
    return Footage(tmp_path_factory.mktemp("footage"))


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Airflow's own database, made once in a SQLite file: for `dag.test()` and whatever else reads it."""
    from airflow.utils.db import initdb

    initdb()
