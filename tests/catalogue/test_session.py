"""The connection: what breaks is told as transient and heals, what is grouped is kept together, times are aware."""

import secrets
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import psycopg2
import pytest

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.records import LandingFile
from reelkeeper.errors import CatalogueUnavailable, ConfigurationError, PermanentError
from reelkeeper.model import Camera, Tenant, TimeRange, camera_id

TENANT = Tenant("default")
KILL = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()"""


def named(slug: str) -> Camera:
    return Camera(camera_id(TENANT, slug), TENANT, slug, slug)


def test_a_broken_connection_is_transient_and_heals(catalogue: Catalogue, sql) -> None:
    catalogue.cameras.register([named("gate")])
    sql(KILL)
    with pytest.raises(CatalogueUnavailable):
        catalogue.cameras.by_slug(TENANT)
    assert list(catalogue.cameras.by_slug(TENANT)) == ["gate"]


def test_a_group_whose_connection_broke_keeps_nothing(catalogue: Catalogue, sql) -> None:
    catalogue.cameras.by_slug(TENANT)
    with pytest.raises(CatalogueUnavailable), catalogue.transaction():  # noqa: PT012  (which of them raises is the point)
        catalogue.cameras.register([named("gate")])
        sql(KILL)
        with pytest.raises(CatalogueUnavailable):
            catalogue.cameras.register([named("yard")])
        with pytest.raises(CatalogueUnavailable):  # although a new connection would work
            catalogue.cameras.register([named("roof")])
    assert catalogue.cameras.by_slug(TENANT) == {}


def test_a_group_is_kept_whole_or_not_at_all(catalogue: Catalogue, another) -> None:
    other = another()
    with catalogue.transaction():
        catalogue.cameras.register([named("gate")])
        with catalogue.transaction():
            catalogue.cameras.register([named("yard")])
        assert other.cameras.by_slug(TENANT) == {}
    assert set(other.cameras.by_slug(TENANT)) == {"gate", "yard"}
    with pytest.raises(RuntimeError, match="on purpose"), catalogue.transaction():  # noqa: PT012
        catalogue.cameras.register([named("roof")])
        raise RuntimeError("on purpose")
    assert set(catalogue.cameras.by_slug(TENANT)) == {"gate", "yard"}


def test_a_group_does_not_end_well_when_an_error_in_it_was_swallowed(catalogue: Catalogue) -> None:
    gate, impostor = named("gate"), Camera(named("gate").id, TENANT, "yard", "yard")
    with pytest.raises(CatalogueUnavailable, match="nothing of it"), catalogue.transaction():  # noqa: PT012
        catalogue.cameras.register([gate])
        with pytest.raises(psycopg2.IntegrityError):
            catalogue.cameras.register([impostor])
    assert catalogue.cameras.by_slug(TENANT) == {}
    assert catalogue.cameras.register([gate]) == [gate]


def test_a_server_that_does_not_answer_is_transient() -> None:
    nobody = Catalogue(lambda: psycopg2.connect("postgresql://127.0.0.1:1/none", connect_timeout=1))
    with pytest.raises(CatalogueUnavailable, match="no answer"):
        nobody.cameras.by_slug(TENANT)


def test_a_lock_that_is_not_given_is_transient(catalogue_dsn: str, sql) -> None:
    sql("BEGIN; LOCK TABLE cameras")
    with (
        Catalogue(lambda: psycopg2.connect(catalogue_dsn, options="-c lock_timeout=50ms")) as waiting,
        pytest.raises(CatalogueUnavailable, match="55P03"),
    ):
        waiting.cameras.by_slug(TENANT)
    sql("COMMIT")


def test_what_is_too_large_for_postgresql_is_permanent(catalogue: Catalogue) -> None:
    path = secrets.token_hex(5000)  # random, so that no compression makes it fit into an index
    file = LandingFile("zone", path, 1, datetime(2026, 3, 1, tzinfo=UTC))

    def plan() -> None:
        catalogue.landing.plan("run", "zone", [file], batch_files=1, batch_bytes=1, max_batches=1)

    with pytest.raises(PermanentError, match="54000"):
        plan()
    with pytest.raises(CatalogueUnavailable, match="nothing of it"), catalogue.transaction(), suppress(PermanentError):
        plan()
    assert catalogue.landing.known("zone", [path]) == {}


def test_a_schema_that_was_not_made_names_the_cure(catalogue_dsn: str) -> None:
    with Catalogue(lambda: psycopg2.connect(catalogue_dsn), schema="elsewhere") as catalogue:
        with pytest.raises(ConfigurationError, match="reelkeeper db upgrade"):
            catalogue.cameras.by_slug(TENANT)
        with pytest.raises(ConfigurationError, match="elsewhere"):
            catalogue.segments.get(camera_id(TENANT, "gate"))  # type: ignore[arg-type]


def test_naive_times_are_refused_and_others_come_back_in_utc(catalogue: Catalogue, make) -> None:
    camera = make.camera()
    naive = datetime(2026, 3, 1)  # noqa: DTZ001
    with pytest.raises(ValueError, match="naive"):
        catalogue.segments.find([(camera.id, naive)])
    with pytest.raises(ValueError, match="naive"):
        catalogue.transfers.request([(make.ingested(camera).segment.id, naive)], 1, "late")
    tokyo = timezone(timedelta(hours=9))
    make.recorded([make.ingested(camera, datetime(2026, 3, 1, 9, tzinfo=tokyo))])
    found = catalogue.segments.overlapping(
        camera.id, TimeRange(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
    )
    assert [segment.start_time for segment in found] == [datetime(2026, 3, 1, tzinfo=UTC)]
    assert found[0].start_time.tzinfo is UTC
