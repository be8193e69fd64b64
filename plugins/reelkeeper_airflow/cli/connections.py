"""Airflow connections as the command line sees them: where each comes from, and what to do when one is not there."""

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import configure_logging

from reelkeeper.errors import AccessDenied, CredentialsNotFound, ReelkeeperError
from reelkeeper.model import StoreKind
from reelkeeper.settings import Estate, Metrics, StoreSettings
from reelkeeper.stores.protocols import Check, Store
from reelkeeper.stores.rights import cure_of
from reelkeeper_airflow import estate as airflow_estate
from reelkeeper_airflow.notifying import check_channel

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection  # noqa: N812

_TYPES = {"minio": "minio", "s3": "aws", "gcs": "google_cloud_platform", "catalogue": "postgres",
          "signing": "reelkeeper_key", "cloudfront": "reelkeeper_key"}  # fmt: skip
_VARIABLES = {
    "minio": "MINIO_ENDPOINT, MINIO_ACCESS_KEY and MINIO_SECRET_KEY",
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gcs": "GCP_KEY_FILE",
    "catalogue": "POSTGRES_HOST, POSTGRES_DB, POSTGRES_USER and POSTGRES_PASSWORD",
    "signing": "REELKEEPER_SIGNING_KEY_FILE",
    "cloudfront": "CLOUDFRONT_PRIVATE_KEY_FILE",
}
_USUAL = {"minio_default", "aws_default", "google_cloud_default", "reelkeeper_catalogue", "reelkeeper_signing",
          "reelkeeper_cloudfront"}  # fmt: skip


def log_to_stderr(level: str = "WARNING") -> None:
    """Airflow's logs go to standard output, which is for the command's answer. To be called before anything is done."""
    configure_logging(log_level=level, output=sys.stderr)


def connect_to_catalogue() -> "PgConnection":
    """A connection to the catalogue. CredentialsNotFound when Airflow has no connection for it."""
    try:
        return airflow_estate.connect_to_catalogue()
    except AirflowNotFoundException as exc:
        name = airflow_estate.current_estate().catalogue.connection
        raise CredentialsNotFound(f"{_missing(name)}: 'reelkeeper doctor' says what to do") from exc


def open_store(name: str) -> Store:
    """The store. CredentialsNotFound when Airflow has no connection for it."""
    try:
        return airflow_estate.open_store(name)
    except AirflowNotFoundException as exc:
        settings = airflow_estate.current_estate().store(name)
        raise CredentialsNotFound(_missing(settings.connection)) from exc


def check_connections(estate: Estate) -> Iterator[Check]:
    """One finding for each connection that the estate names."""
    yield _check_catalogue(estate.catalogue.connection)
    seen = set()
    for settings in estate.stores:
        if settings.connection not in seen and settings.kind is not StoreKind.MEMORY:
            seen.add(settings.connection)
            yield _check(settings)
    yield _check_signing(estate)
    if estate.delivery.cloudfront_key_id:
        yield _check_cloudfront(estate.delivery.cloudfront_connection, estate.delivery.cloudfront_key_id)
    if "prometheus" in estate.metrics.publish:
        yield _check_scraping(estate.metrics.scrape_connection)
    if "cloudwatch" in estate.metrics.publish:
        yield _check_cloudwatch(estate.metrics)
    for channel in estate.alarms.notify:
        yield check_channel(channel)


def _check_catalogue(name: str) -> Check:
    from reelkeeper_airflow.hooks.catalogue import CatalogueHook

    what = f"connection {name}"
    try:
        CatalogueHook.get_connection(name)
    except AirflowNotFoundException:
        return Check(what, False, _missing(name), _cure(name, "catalogue"))
    return Check(what, True, _origin(name))


def _check(settings: StoreSettings) -> Check:
    name, kind = settings.connection, str(settings.kind)
    what = f"connection {name}"
    try:
        airflow_estate.access_for(settings)
    except AirflowNotFoundException:
        return Check(what, False, _missing(name), _cure(name, kind))
    except Exception as exc:  # noqa: BLE001 - a health check tells whatever it is
        return Check(what, False, f"{type(exc).__name__}: {exc}", cure_of(exc))
    if settings.kind is StoreKind.FILESYSTEM and not _is_defined(name):
        return Check(what, True, "not defined: a filesystem store needs none")
    return Check(what, True, _origin(name))


def _check_signing(estate: Estate) -> Check:
    """Without the key no export begins: a failure where a store is named for them, else a fact to know."""
    name = estate.delivery.signing_connection
    what = f"connection {name}"
    try:
        key_id = airflow_estate.load_signer().key_id
    except CredentialsNotFound:
        if estate.placement.export_store is None:
            return Check(what, True, "not defined: generate_export refuses to begin until it is")
        return Check(what, False, _missing(name), f"'reelkeeper signing-key create'; {_cure(name, 'signing')}")
    except ReelkeeperError as exc:
        return Check(what, False, str(exc), "make one by 'reelkeeper signing-key create'")
    return Check(what, True, f"{_origin(name)}, key {key_id}")


def _check_cloudfront(name: str, key_id: str) -> Check:
    from reelkeeper_airflow.hooks.keys import CloudFrontKeyHook

    what = f"connection {name}"
    try:
        CloudFrontKeyHook(name).url_signer(key_id)
    except AirflowNotFoundException:
        return Check(what, False, _missing(name), _cure(name, "cloudfront"))
    except ReelkeeperError as exc:
        return Check(what, False, str(exc), f"give it the private key, RSA in PEM, that belongs to {key_id!r}")
    return Check(what, True, _origin(name))


def _check_scraping(name: str) -> Check:
    from reelkeeper_airflow.hooks.tokens import TokenHook

    what = f"connection {name}"
    try:
        TokenHook(name).get_conn()
    except AirflowNotFoundException:
        return Check(what, True, "not defined: only users of Airflow can read the metrics")
    except ReelkeeperError as exc:
        return Check(what, False, str(exc), "make a token by 'openssl rand -hex 32'")
    return Check(what, True, _origin(name))


def _check_cloudwatch(metrics: Metrics) -> Check:
    """The connection is not enough: a right may be missing, or the way there."""
    from reelkeeper.reporting.cloudwatch import try_cloudwatch
    from reelkeeper_airflow.hooks.cloudwatch import CloudWatchHook

    name = metrics.cloudwatch_connection
    what = f"metrics to cloudwatch: connection {name}"
    try:
        client = CloudWatchHook(name, region_name=metrics.cloudwatch_region).metrics_client()
        try_cloudwatch(client, metrics.cloudwatch_namespace)
    except CredentialsNotFound as exc:
        return Check(what, False, str(exc), _cure(name, "s3"))
    except AccessDenied as exc:
        return Check(what, False, str(exc), "check the connection's keys, and grant cloudwatch:PutMetricData")
    except Exception as exc:  # noqa: BLE001 - a health check tells whatever it is
        cure = "look whether CloudWatch can be reached from here, and correct the connection or cloudwatch_region"
        return Check(what, False, f"{type(exc).__name__}: {exc}", cure)
    return Check(what, True, _origin(name))


def _is_defined(name: str) -> bool:
    try:
        BaseHook.get_connection(name)
    except AirflowNotFoundException:
        return False
    return True


def _origin(name: str) -> str:
    if not _is_defined(name):
        return "not defined in Airflow: taken from the environment, or the machine's own role"
    return f"from {_variable(name)}" if _variable(name) in os.environ else "from Airflow"


def _missing(name: str) -> str:
    if _variable(name) in os.environ:
        return f"{_variable(name)} is set but cannot be read: expected a URI or JSON"
    return f"Airflow connection {name!r} is not defined" + _why_unseen(name)


def _why_unseen(name: str) -> str:
    """Airflow says of a database that does not answer only that it found nothing."""
    from airflow.secrets.metastore import MetastoreBackend

    try:
        MetastoreBackend().get_connection(name)
    except Exception as exc:  # noqa: BLE001 - whatever it is, the connections kept there were not seen
        return f" (Airflow's own database could not be read: {type(exc).__name__})"
    return ""


def _cure(name: str, kind: str) -> str:
    by_variables = f", or set {_VARIABLES[kind]}" if name in _USUAL and kind in _VARIABLES else ""
    return (
        f"define it: in the UI under Admin → Connections, by 'airflow connections add {name} --conn-type "
        f"{_TYPES.get(kind, 'fs')} …', or as {_variable(name)}{by_variables}"
    )


def _variable(name: str) -> str:
    return f"AIRFLOW_CONN_{name.upper()}"
