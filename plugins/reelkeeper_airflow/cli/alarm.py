"""`reelkeeper alarm`: what is wrong, who has it, what became of it, and the same for Prometheus and CloudWatch."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from reelkeeper.catalogue.catalogue import Catalogue
    from reelkeeper.policy.alarm_states import AlarmState


_EXAMPLES = """\b
Examples:
  reelkeeper alarm acknowledge store_unreachable cloud --by ada --reason "ticket 4711"
  reelkeeper alarm acknowledge camera_silent --every-subject --by ada --reason "new switch"
"""


@click.group()
def alarm() -> None:
    """Alarms: what is wrong, and who has taken it on."""


@alarm.command(name="list", short_help="Print the alarms that are up.")
@click.argument("name", required=False)
@click.option("--all", "with_ok", is_flag=True, help="Also those that are over.")
def list_(name: str | None, with_ok: bool) -> None:
    """Print the alarms that are up: all, or those called NAME; firing or acknowledged, and those that are pending."""
    from reelkeeper.wording import counted

    with _catalogue() as catalogue:
        found = catalogue.alarms.list(name=_known(name), with_ok=with_ok)
        backlog = catalogue.alarms.backlog()
        _warn_if_stale(catalogue)
    for state in found:
        click.echo(_line(state))
    if not found:
        click.echo("no alarm is up" + (f" of those called {name}" if name else ""))
    for each in backlog:
        why = f", last by {each.failure}" if each.failure else ""
        waiting, tries = counted(each.events, "event"), counted(each.tries, "try", "tries")
        click.echo(f"channel {each.channel!r} is still to be told of {waiting}: {tries}{why}")


@alarm.command(
    short_help="Print what an alarm means and what to do about it.",
    epilog="\b\nExamples:\n  reelkeeper alarm show camera_silent\n  reelkeeper alarm show store_unreachable cloud",
)
@click.argument("name")
@click.argument("subject", default="")
@click.option("--last", default=20, show_default=True, type=click.IntRange(1, 1000), help="Most events to print.")
def show(name: str, subject: str, last: int) -> None:
    """Print what the alarm NAME means and what to do about it, how it stands, and its last events.

    SUBJECT is a store, or a camera as TENANT/SLUG; left out, it is the estate, or all of an alarm's subjects.
    """
    from reelkeeper.reporting.alarms import definitions
    from reelkeeper_airflow.estate import current_estate

    _known(name)
    defined = {str(each): alarm for each, alarm in definitions(current_estate()).items()}[name]
    with _catalogue() as catalogue:
        known = catalogue.alarms.list(name=name, with_ok=True)
        history = catalogue.alarms.history(last, name=name, subject=subject or None)
        _warn_if_stale(catalogue)
    threshold = "" if defined.threshold is None else f", above {defined.threshold:g}"
    click.echo(f"{name}, {defined.severity}: {defined.means}\n  measures: {defined.measures}{threshold}")
    click.echo(f"  do: {defined.do}\n  more: {defined.runbook}")
    found = [state for state in known if subject in ("", state.subject)]
    for state in found:
        click.echo(_line(state))
    if subject and not found:
        others = ", ".join(repr(state.subject) for state in known if state.subject)
        click.echo(f"never up for {subject!r}" + (f": expected one of {others}" if others else ""))
    for told in history:
        event = told.event
        channels = ", ".join([*(f"told {one}" for one in told.told), *(f"not yet told {one}" for one in told.waiting)])
        by = f" by {event.by}" if event.by else ""
        click.echo(f"{event.at:%Y-%m-%d %H:%M} UTC  {event.kind}{by}  {event.subject or 'the estate'}: {event.detail}"
                   f"{f'  ({channels})' if channels else ''}")  # fmt: skip


@alarm.command(short_help="Take an alarm on: no more reminders.", epilog=_EXAMPLES)
@click.argument("name")
@click.argument("subject", default="")
@click.option("--every-subject", is_flag=True, help="All that NAME fires for and nobody has taken on.")
@click.option("--by", required=True, help="Who takes it on.")
@click.option("--reason", required=True, help="Why it may stand: a ticket, say.")
def acknowledge(name: str, subject: str, every_subject: bool, by: str, reason: str) -> None:
    """Take on the alarm NAME that fires for SUBJECT: nobody is reminded of it any more. Its end is told all the same.

    SUBJECT is a store, or a camera as TENANT/SLUG; left out for an alarm of the whole estate.
    """
    from reelkeeper.reporting import alarms
    from reelkeeper_airflow.estate import current_estate

    if subject and every_subject:
        raise click.UsageError(f"expected either SUBJECT {subject!r} or --every-subject")
    which = None if every_subject else subject
    with _catalogue() as catalogue:
        taken = alarms.acknowledge(
            current_estate(), catalogue, name, which, by=by, reason=reason, now=datetime.now(UTC)
        )  # fmt: skip
    for state in taken:
        click.echo(_line(state))


@alarm.command(
    short_help="Print the alarms as rules for another system.",
    epilog="\b\nExample:\n  reelkeeper alarm rules --prometheus > rules.yml",
)
@click.option("--prometheus", is_flag=True, help="Alert rules, as a file that Prometheus reads.")
@click.option("--cloudwatch", is_flag=True, help="A CloudFormation template of CloudWatch alarms.")
def rules(prometheus: bool, cloudwatch: bool) -> None:
    """Print the alarms as rules for another system, with the thresholds of estate.toml."""
    if prometheus == cloudwatch:
        raise click.UsageError("expected one of --prometheus, --cloudwatch")

    from reelkeeper.reporting.alarm_rules import prometheus_rules
    from reelkeeper.reporting.alarm_stack import cloudwatch_stack
    from reelkeeper_airflow.estate import current_estate

    make = prometheus_rules if prometheus else cloudwatch_stack
    click.echo(make(current_estate()), nl=False)


def _known(name: str | None) -> str | None:
    from reelkeeper.policy.alarms import ALARM_NAMES

    if name is not None and name not in ALARM_NAMES:
        raise click.BadParameter(f"{name!r}: expected one of {', '.join(ALARM_NAMES)}", param_hint="NAME")
    return name


def _warn_if_stale(catalogue: "Catalogue") -> None:
    """What stands in the catalogue must not be taken for how things are."""
    from reelkeeper.reporting.alarms import JUDGE_AGAIN, staleness

    if told := staleness(catalogue.alarms.judged_at(), datetime.now(UTC)):
        click.echo(f"{told} {JUDGE_AGAIN}", err=True)


def _line(state: "AlarmState") -> str:
    taken = f" by {state.acknowledged_by} ({state.acknowledgement})" if state.acknowledged_by else ""
    well = f", right since {state.right_since:%H:%M} UTC" if state.right_since else ""
    return (
        f"{state.state:<12}  {state.name}  {state.subject or 'the estate'}  since {state.since:%Y-%m-%d %H:%M} UTC"
        f"{taken}{well}  {state.detail}"
    )


def _catalogue() -> "Catalogue":
    from reelkeeper.catalogue.catalogue import Catalogue
    from reelkeeper_airflow.cli.connections import connect_to_catalogue, log_to_stderr
    from reelkeeper_airflow.estate import current_estate

    log_to_stderr()
    return Catalogue(connect_to_catalogue, schema=current_estate().catalogue.db_schema)
