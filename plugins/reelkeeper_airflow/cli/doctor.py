"""`reelkeeper doctor`: does everything that the estate needs work, and if not, what is to be done?"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from reelkeeper.stores.protocols import Check


@click.command(
    short_help="Does everything that the estate needs work?",
    epilog="\b\nExamples:\n  reelkeeper doctor\n  reelkeeper --estate new.toml doctor --json",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines.")
def doctor(as_json: bool) -> None:
    """Try all that the estate needs, and say how to mend what fails.

    It looks at configuration, connections, catalogue, stores, landing zones, where metrics are published, programs.
    What it writes to try a right is gone when it ends. Exit code 1 when anything fails.
    """
    from reelkeeper_airflow.cli.connections import log_to_stderr

    log_to_stderr("ERROR")  # what is tried again, and why, stands in the findings
    failed, findings = 0, []
    for check in examine():
        finding = {name: _printable(value) for name, value in asdict(check).items()}
        failed += not check.ok
        findings.append(finding)
        if not as_json:
            click.echo(f"{click.style('pass', fg='green') if check.ok else click.style('FAIL', fg='red', bold=True)}  "
                       f"{finding['what']}{': ' + finding['detail'] if finding['detail'] else ''}")  # fmt: skip
            if not check.ok and finding["cure"]:
                click.echo(f"      cure: {finding['cure']}")
    if as_json:
        click.echo(json.dumps({"ok": not failed, "checks": findings}, indent=2, ensure_ascii=False))
    else:
        click.echo(f"{len(findings)} checks, {failed} failed")
    if failed:
        raise click.exceptions.Exit(1)


def _printable(value: Any) -> Any:
    """On one line, and without secrets: servers put what they like into their errors."""
    from airflow.sdk.log import redact  # type: ignore[attr-defined]  # imported there, and not said to be exported

    return " ".join(str(redact(value)).split()) if isinstance(value, str) else value


def examine() -> Iterator["Check"]:
    """Every finding, in the order in which one would mend them."""
    from reelkeeper.catalogue.catalogue import Catalogue
    from reelkeeper.health import (
        check_catalogue,
        check_machine,
        check_metrics,
        check_owner,
        check_rollout,
        check_store,
        check_zone,
    )
    from reelkeeper.settings import InvalidEstate, read_estate
    from reelkeeper.stores.protocols import Check
    from reelkeeper_airflow.cli.connections import check_connections, connect_to_catalogue, open_store

    try:
        loaded = read_estate()
    except InvalidEstate as exc:
        for problem in exc.problems:
            told = f"is {problem.value}" if problem.value is not None else ""
            cure = f"{problem.expected}{f' (from {problem.origin})' if problem.origin else ''}"
            yield Check(f"estate: {problem.key}", False, told, cure)
        yield from check_machine(None)
        return
    estate = loaded.estate
    yield Check("estate", True, f"{str(loaded.path)!r}, {len(estate.stores)} stores")
    yield from check_connections(estate)
    yield from (of_catalogue := list(check_catalogue(estate, connect_to_catalogue)))
    is_catalogue_well = all(check.ok for check in of_catalogue)

    def open_catalogue() -> Catalogue:
        return Catalogue(connect_to_catalogue, estate.catalogue.db_schema)

    if is_catalogue_well:
        yield from check_rollout(estate, open_catalogue)
    for settings in estate.stores:
        yield from check_store(settings, open_store)
        if is_catalogue_well:
            yield from check_owner(settings, open_store, open_catalogue)
    for zone in estate.landing_zones:
        yield from check_zone(zone, open_store)
    yield from check_metrics(estate)
    yield from check_machine(estate.ingest.download_directory)
