"""The command line `reelkeeper`. What a command needs is imported when it runs: help is there at once."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from reelkeeper_airflow.cli.alarm import alarm
from reelkeeper_airflow.cli.cameras import cameras
from reelkeeper_airflow.cli.database import db
from reelkeeper_airflow.cli.doctor import doctor
from reelkeeper_airflow.cli.estate import estate
from reelkeeper_airflow.cli.hold import hold
from reelkeeper_airflow.cli.metrics import metrics
from reelkeeper_airflow.cli.report import report
from reelkeeper_airflow.cli.signing_key import signing_key
from reelkeeper_airflow.cli.verify_export import verify_export

__all__ = ["main"]


_EXAMPLES = """\b
Examples:
  reelkeeper doctor                   does all that the estate needs work?
  reelkeeper estate show              what is configured, and what says so
  reelkeeper alarm list               what is wrong now
  reelkeeper hold add --camera gate --reason "case 2026-17"
  reelkeeper verify-export clip.mp4 --public-key public-key.pem

What to do when something is wrong: docs/operations.md."""


class _Commands(click.Group):
    """Errors that a person can act on are one message and exit code 1, not a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        from reelkeeper.errors import ReelkeeperError

        try:
            return super().invoke(ctx)
        except ReelkeeperError as exc:
            raise click.ClickException(str(exc)) from exc
        except Exception as exc:
            # PostgreSQL refuses what its user may not do: a matter of rights, not a bug.
            if (psycopg2 := sys.modules.get("psycopg2")) and isinstance(exc, psycopg2.Error):
                raise click.ClickException(f"the catalogue refused: {str(exc).strip()}") from exc
            raise


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EXAMPLES)
@click.version_option(package_name="reelkeeper")
@click.option(
    "--estate",
    "estate_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The estate's configuration; by default $REELKEEPER_ESTATE, or else ./estate.toml.",
)
def main(estate_file: Path | None) -> None:
    """Operate an estate of recorded video.

    Run it where the workers run: it takes the estate's configuration and Airflow's connections as they do. Only
    verify-export and signing-key create need neither.
    """
    if estate_file is not None:
        os.environ["REELKEEPER_ESTATE"] = str(estate_file)
    # As Airflow's own commands do: outside a task, connections come from the environment, the secrets backend and
    # Airflow's database. Without it, the database would be left out.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")


main.add_command(alarm)
main.add_command(cameras)
main.add_command(db)
main.add_command(doctor)
main.add_command(estate)
main.add_command(hold)
main.add_command(metrics)
main.add_command(report)
main.add_command(signing_key)
main.add_command(verify_export)
