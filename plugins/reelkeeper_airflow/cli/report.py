"""`reelkeeper report`: the daily report as a file."""

import os
from datetime import UTC, datetime
from pathlib import Path

import click


def _in_a_folder(_context: click.Context, _param: click.Parameter, file: Path) -> Path:
    if not file.parent.is_dir() or not os.access(file.parent, os.W_OK | os.X_OK):
        raise click.BadParameter(f"{str(file)!r}: expected a file in a folder that is there and can be written to")
    return file


@click.command(
    short_help="Write the daily report into a file.",
    epilog="\b\nExamples:\n  reelkeeper report today.html\n  reelkeeper report january.html --day 2026-01-31",
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, writable=True), callback=_in_a_folder)
@click.option(
    "--day", type=click.DateTime(["%Y-%m-%d"]), help="The UTC day that its charts end with; by default today."
)
def report(file: Path, day: datetime | None) -> None:
    """Write the daily report into FILE, one page of HTML that holds all it shows, and print what it says first.

    The DAG report_estate keeps one in the exports store every day. This one is for you alone: nothing is kept, and a
    file that is there is overwritten.
    """
    from reelkeeper.catalogue.catalogue import Catalogue
    from reelkeeper.reporting.daily import collect, render
    from reelkeeper_airflow.cli.connections import connect_to_catalogue, log_to_stderr
    from reelkeeper_airflow.estate import current_estate

    log_to_stderr()
    estate, now = current_estate(), datetime.now(UTC)
    with Catalogue(connect_to_catalogue, schema=estate.catalogue.db_schema) as catalogue:
        data = collect(estate, catalogue, day=(day or now).date(), now=now)
    page = render(estate, data)
    try:
        file.write_text(page.html, encoding="utf-8")
    except OSError as exc:
        raise click.ClickException(f"{str(file)!r} cannot be written: {exc.strerror}") from exc
    click.echo(page.summary)
