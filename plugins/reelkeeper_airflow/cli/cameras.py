"""`reelkeeper cameras`: the cameras in the catalogue."""

from pathlib import Path

import click


@click.group()
def cameras() -> None:
    """The cameras in the catalogue."""


@cameras.command(
    name="import",
    short_help="Add or change cameras from a CSV file.",
    epilog="\b\nExample of a FILE:\n  name,slug,retention_days\n  Gate,gate,30\n  Loading dock 1,loading-dock-1,90",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_(file: Path) -> None:
    """Add or change cameras from a CSV FILE with the columns name[, slug, id, tenant, retention_days].

    The whole file is checked first: with one wrong row, nothing is imported. Safe to repeat.
    """
    from reelkeeper.cameras import import_cameras, parse_cameras
    from reelkeeper.catalogue.catalogue import Catalogue
    from reelkeeper_airflow.cli.connections import connect_to_catalogue, log_to_stderr
    from reelkeeper_airflow.estate import current_estate

    log_to_stderr()
    estate = current_estate()
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise click.ClickException(f"file {str(file)!r}: expected UTF-8; {exc}") from exc
    rows = parse_cameras(text.splitlines(keepends=True), tenant=estate.tenant_name)
    with Catalogue(connect_to_catalogue, schema=estate.catalogue.db_schema) as catalogue, catalogue.transaction():
        done = import_cameras(catalogue.cameras, rows)
    for what, changed in (("created", done.created), ("updated", done.updated)):
        for camera in changed:
            click.echo(f"{what}  {camera.tenant}/{camera.slug}  {camera.name}")
    click.echo(f"{len(done.created)} created, {len(done.updated)} updated, {len(done.unchanged)} unchanged")
