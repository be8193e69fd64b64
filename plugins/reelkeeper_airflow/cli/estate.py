"""`reelkeeper estate`: the configuration."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click


@click.group()
def estate() -> None:
    """The estate's configuration."""


@estate.command(short_help="Print the configuration in effect.")
def show() -> None:
    """Print the configuration in effect, as TOML, and where each overridden value came from."""
    from reelkeeper.settings import read_estate

    loaded = read_estate()
    click.echo(f"# {loaded.path}")
    values = loaded.estate.model_dump(mode="json", by_alias=True, exclude_none=True)
    for line in _toml(values, loaded.overrides):
        click.echo(line)
    for note in loaded.notes:
        click.echo(f"# {note}")


@estate.command(
    short_help="Make catalogue and stores ready.",
    epilog="\b\nExamples:\n  reelkeeper estate setup\n  reelkeeper estate setup --take-over cloud",
)
@click.option(
    "--accept-empty",
    multiple=True,
    metavar="STORE",
    help="Make this store anew although footage was in it that is gone for good.",
)
@click.option(
    "--take-over",
    multiple=True,
    metavar="STORE",
    help="This store is ours from now on: another catalogue has given it up.",
)
def setup(accept_empty: tuple[str, ...], take_over: tuple[str, ...]) -> None:
    """Make the catalogue and every store ready, as the DAG setup_estate does, from this machine. Safe to repeat."""
    from datetime import UTC, datetime

    from reelkeeper.estate_setup import setup_estate
    from reelkeeper_airflow.cli.connections import connect_to_catalogue, log_to_stderr, open_store
    from reelkeeper_airflow.estate import current_estate

    log_to_stderr()
    changes = setup_estate(
        current_estate(),
        connect=connect_to_catalogue,
        open_store=open_store,
        now=datetime.now(UTC),
        accept_empty=accept_empty,
        take_over=take_over,
    )
    for change in changes:
        click.echo(f"{'made ' if change.changed else 'found'}  {change.what}")


@estate.command(short_help="Print docs/configuration.md.")
def reference() -> None:
    """Print docs/configuration.md: every key and variable, as this version knows them."""
    from reelkeeper.settings.reference import configuration_reference

    click.echo(configuration_reference(), nl=False)


def _toml(values: Mapping[str, Any], overrides: Mapping[str, str]) -> Iterator[str]:
    """The estate as TOML: plain keys first, then tables and arrays of tables."""
    yield from _keys(values, "", overrides)
    for name, value in values.items():
        if isinstance(value, dict):
            yield from ("", f"[{name}]", *_keys(value, f"{name}.", overrides))
        elif isinstance(value, list):
            for index, row in enumerate(value):
                added = _from(overrides.get(f"{name}[{index}]"))
                yield from ("", f"[[{name}]]{added}", *_keys(row, f"{name}[{index}].", overrides))


def _keys(values: Mapping[str, Any], prefix: str, overrides: Mapping[str, str]) -> Iterator[str]:
    for name, value in values.items():
        is_table = isinstance(value, dict) or (isinstance(value, list) and any(isinstance(row, dict) for row in value))
        if not is_table:
            yield f"{name} = {json.dumps(value, ensure_ascii=False)}{_from(overrides.get(prefix + name))}"


def _from(variable: str | None) -> str:
    return f"  # from {variable}" if variable else ""
