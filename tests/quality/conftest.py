"""A catalogue made by hand, in which all is as it should be until a test spoils it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812  (it is a class)
from psycopg2.extensions import cursor as plain_cursor

from demo.segments import ingested
from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.partitions import ensure_partitions
from reelkeeper.model import Sha256, StoreKind, StoreName, TimeRange, segment_id
from reelkeeper.policy.quality import Suite, days_looked_at
from reelkeeper.quality.checking import Run
from reelkeeper.quality.statements import Demanded, of_days
from reelkeeper.settings import Estate, Placement, Quality, StoreSettings
from reelkeeper.stores.memory import MemoryStore
from tests.catalogue.conftest import Maker

NOW = datetime(2026, 3, 10, 6, tzinfo=UTC)
"""When the checks run."""
HOUR = timedelta(hours=1)
SHA = "5" * 64
EXPORT = "00000000-0000-4000-8000-0000000000e1"
_UNGUARD = """
DO $$ DECLARE each record; BEGIN
    FOR each IN SELECT conrelid::regclass AS relation, conname FROM pg_constraint
                WHERE connamespace = 'reelkeeper'::regnamespace AND contype IN ('c', 'f') AND conparentid = 0
                ORDER BY coninhcount LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', each.relation, each.conname);
    END LOOP;
    FOR each IN SELECT attrelid::regclass AS relation, attname
                FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
                WHERE relnamespace = 'reelkeeper'::regnamespace AND relname IN ('segments', 'replicas', 'transfers')
                  AND attnotnull AND attnum > 0
                  AND attname NOT IN ('id', 'camera_id', 'start_time', 'segment_id', 'store', 'finished_at') LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP NOT NULL', each.relation, each.attname);
    END LOOP;
END $$"""
"""What PostgreSQL itself refuses cannot be planted. A dump restored by hand, or a constraint dropped, may bring it."""


def at(day: int, hour: float = 0) -> datetime:
    """A time in March."""
    return datetime(2026, 3, day, tzinfo=UTC) + hour * HOUR


@dataclass
class World:
    """Cameras `gate` and `yard`, which recorded hour by hour from 1 March until now; an export, a reconciliation."""

    dsn: str
    catalogue: Catalogue
    quality: Quality = field(default_factory=Quality)
    reports: MemoryStore = field(default_factory=lambda: MemoryStore(StoreName("local")))

    def __post_init__(self) -> None:
        self.cameras = {slug: Maker(self.catalogue).camera(slug) for slug in ("gate", "yard")}

    @property
    def estate(self) -> Estate:
        return Estate(
            name="harbour",
            stores=(StoreSettings(name="local", kind=StoreKind.MEMORY),),
            placement=Placement(mode="local", local_store="local"),
            quality=self.quality,
        )

    def open_store(self, name: str) -> MemoryStore:
        return self.reports

    def run(self, run_id: str = "run", job: str = "check_catalogue") -> Run:
        return Run(job, run_id, NOW)

    def fill(self) -> None:
        maker = Maker(self.catalogue)
        for slug, camera in self.cameras.items():
            maker.recorded([
                ingested(camera, at(1, hour), HOUR, store=StoreName("local"), size_bytes=3_600_000,
                         checksum=Sha256(SHA), path=f"{slug}/{hour}.mp4", with_history=True)
                for hour in range(9 * 24 + 6)
            ])  # fmt: skip
        with closing(psycopg2.connect(self.dsn)) as connection:
            ensure_partitions(connection, "reelkeeper", TimeRange(at(1), NOW), ["deletions"])
        self.catalogue.identity.make()
        self.sql(f"""
            UPDATE catalogue_identity SET made_at = '2026-03-01';
            INSERT INTO reconciliations (run_id, store, outcome, objects, object_bytes, foreign_objects, replicas,
                orphans, orphan_bytes, quarantined, lost, wrong_size, repaired, healed, started_at, finished_at)
            VALUES ('night', 'local', 'agreed', 450, 1, 0, 444, 0, 0, 0, 0, 0, 0, 0, '2026-03-10', '2026-03-10');
            INSERT INTO exports (id, tenant, camera_ids, start_time, end_time, format, reason, status, store, file_path,
                file_size, file_hash, manifest_path, expires_at, created_by, created_at, completed_at)
            VALUES ('{EXPORT}', 'default', ARRAY['{self.cameras["gate"].id}'::uuid], '2026-03-08', '2026-03-09', 'mp4',
                'case 7', 'COMPLETED', 'local', 'exports/a.mp4', 10, '{SHA}', 'exports/m.json', '2026-03-16', 'ann',
                '2026-03-09', '2026-03-09');
            INSERT INTO export_files (export_id, name, kind, store, path, size_bytes, checksum, content_type)
            VALUES ('{EXPORT}', 'a.mp4', 'footage', 'local', 'exports/a.mp4', 10, '{SHA}', 'video/mp4'),
                   ('{EXPORT}', 'm.json', 'manifest', 'local', 'exports/m.json', 10, '{SHA}', 'application/json')
        """)  # noqa: S608

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement past the repositories; its rows, if it has any."""
        options = "-c search_path=reelkeeper -c TimeZone=UTC -c session_replication_role=replica"  # no triggers
        with closing(psycopg2.connect(self.dsn, options=options)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, values or None)
                return cursor.fetchall() if cursor.description else []

    def unguard(self) -> None:
        """Let rows be what PostgreSQL would refuse."""
        self.sql(_UNGUARD)

    def segment(self, camera: str, start: datetime) -> str:
        """The id of a camera's segment."""
        return str(segment_id(self.cameras[camera].id, start))

    def table(self, key: str) -> str:
        """What a report holds."""
        return b"".join(self.reports.read(key)).decode()  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def _filled(postgres: Any, _catalogue_template: str) -> str:
    """The name of a database with such a catalogue that no one is connected to."""
    postgres.create_database("quality_template", template=_catalogue_template)
    dsn = postgres.dsn("quality_template")
    with Catalogue(lambda: psycopg2.connect(dsn)) as catalogue:
        World(dsn, catalogue).fill()
    return "quality_template"


@pytest.fixture
def world(postgres: Any, _filled: str) -> Iterator[World]:
    """For one test."""
    yield from _world(postgres, _filled)


@pytest.fixture(scope="module")
def unguarded(postgres: Any, _filled: str) -> Iterator[World]:
    """For a whole module: leave it as it was found."""
    for made in _world(postgres, _filled):
        made.unguard()
        yield made


@pytest.fixture(scope="module")
def demanded(unguarded: World) -> list[Demanded]:
    """What is expected of the last days, by the thresholds that hold unless others are set."""
    days = days_looked_at(NOW, window_days=3, cycle_days=30, oldest=at(1))
    return of_days(unguarded.estate, unguarded.catalogue, list(Suite), days, now=NOW)


@dataclass(frozen=True)
class Plant:
    """Plants what is wrong, and tells what an expectation finds; all is as before afterwards.

    In what is planted `S` stands for the segment of camera `gate` at noon of 9 March, `NEXT` for the one after it,
    `MIDNIGHT` for its first of the 7th, `GATE` and `YARD` for the cameras; and in what is found.
    """

    connection: Connection
    demanded: list[Demanded]
    words: Mapping[str, str]

    def __call__(self, sql: str, expectation: str | None = None) -> dict[str, list[str]]:
        """By expectation, all or the one, the first column of each wrong row."""
        wanted = [one for one in self.demanded if expectation in (None, str(one.expectation.name))]
        with self.connection.cursor() as cursor:
            if sql:
                cursor.execute(re.sub(r"'([A-Z]+)'", lambda found: f"'{self.words.get(found[1], found[1])}'", sql))
            names = {value: name for name, value in self.words.items()}
            found = {str(one.expectation.name): _first_column(cursor, one) for one in wanted}
            cursor.execute("SELECT id::text, segment_id::text FROM transfers")
            names |= {number: names[segment] for number, segment in cursor.fetchall() if segment in names}
        self.connection.rollback()
        return {name: [names.get(value, value) for value in values] for name, values in found.items() if values}


def _first_column(cursor: plain_cursor, demanded: Demanded) -> list[str]:
    found = []
    for part in demanded.parts:
        cursor.execute(part.statement)
        found += [str(row[0]) for row in cursor.fetchall()]
    return found


@pytest.fixture(scope="module")
def planted(unguarded: World, demanded: list[Demanded]) -> Iterator[Plant]:
    words = {
        "S": unguarded.segment("gate", at(9, 12)), "NEXT": unguarded.segment("gate", at(9, 13)),
        "MIDNIGHT": unguarded.segment("gate", at(7)),
        "GATE": str(unguarded.cameras["gate"].id), "YARD": str(unguarded.cameras["yard"].id),
    }  # fmt: skip
    options = "-c search_path=reelkeeper -c TimeZone=UTC -c session_replication_role=replica"  # no triggers
    with closing(psycopg2.connect(unguarded.dsn, options=options)) as connection:
        yield Plant(connection, demanded, words)


def _world(postgres: Any, template: str) -> Iterator[World]:
    name = f"quality_{uuid4().hex[:12]}"
    postgres.create_database(name, template=template)
    dsn = postgres.dsn(name)
    with Catalogue(lambda: psycopg2.connect(dsn)) as catalogue:
        yield World(dsn, catalogue)
    postgres.drop_database(name)
