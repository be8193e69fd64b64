"""`reelkeeper db`: the catalogue's schema."""

import click


@click.group()
def db() -> None:
    """The catalogue's schema."""


@db.command(short_help="Apply the migrations that are due.")
def upgrade() -> None:
    """Apply the migrations that are due, and make the partitions of the coming months. Safe to repeat."""
    from datetime import UTC, datetime

    from reelkeeper.estate_setup import prepare_catalogue
    from reelkeeper_airflow.cli.connections import connect_to_catalogue, log_to_stderr
    from reelkeeper_airflow.estate import current_estate

    log_to_stderr()
    for change in prepare_catalogue(current_estate(), connect=connect_to_catalogue, now=datetime.now(UTC)):
        click.echo(f"{'made ' if change.changed else 'found'}  {change.what}")


@db.command()
def status() -> None:
    """List the migrations. Exit code 1 when one is due."""
    from contextlib import closing

    from reelkeeper.catalogue.failures import mapped
    from reelkeeper.catalogue.migrations import status as migrations_status
    from reelkeeper_airflow.cli.connections import connect_to_catalogue, log_to_stderr
    from reelkeeper_airflow.estate import current_estate

    log_to_stderr()
    schema = current_estate().catalogue.db_schema
    with mapped(schema):
        connection = connect_to_catalogue()
    with closing(connection):
        migrations = migrations_status(connection, schema)
    for migration in migrations:
        when = f"{migration.applied_at:%Y-%m-%d %H:%M:%S} UTC" if migration.applied_at else "due: reelkeeper db upgrade"
        click.echo(f"{migration.number:04}  {migration.name:<30}  {when}")
    if any(migration.applied_at is None for migration in migrations):
        raise click.exceptions.Exit(1)
