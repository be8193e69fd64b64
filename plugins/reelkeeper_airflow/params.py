"""Fields that the forms of several DAGs share, each a `Param`, and what they mean for a run."""

from typing import Any

from airflow.sdk import Context, Param

from reelkeeper.settings import Estate

_ACTS_BY_ITSELF = ("scheduled", "backfill", "asset_triggered")
"""The types of run that nobody started with the form in view."""
_TIME: dict[str, Any] = {"type": ["null", "string"], "format": "date-time"}


# A function for each: `DAG.test` and the like set the value of a DAG's Param in place, which another DAG must not see.


def dry_run_param() -> Param:
    """Ask `is_dry_run`, never `params.dry_run`: a default holds for scheduled runs, too."""
    return Param(
        True,
        "Only tell what would be done, and change nothing. It is on in the form and whenever somebody triggers the "
        "DAG; switch it off to act. Scheduled runs, those of a backfill and those that follow an asset act, unless "
        "their conf says otherwise.",
        type="boolean",
    )


def clock_param() -> Param:
    """What `clock.run_clock` reads."""
    return Param(
        None,
        "The time at which the run believes itself to be, with a zone; it goes on from there. Only where estate.toml "
        "has rehearsal = true, for a demo or a test: in the future, footage is due early. Empty: the real time.",
        **_TIME,
    )


def start_time_param() -> Param:
    return Param(None, "Only footage from this time on. Empty: since ever.", **_TIME)


def end_time_param() -> Param:
    return Param(None, "Only footage before this time. Empty: without end.", **_TIME)


def store_param(estate: Estate, description: str) -> Param:
    """A choice among the estate's stores, or none of them."""
    return Param(None, description, type=["null", "string"], enum=[None, *(store.name for store in estate.stores)])


def is_dry_run(context: Context) -> bool:
    """Whether the run only tells what it would do: one by hand unless its form or conf says no, any other one only when
    its conf says yes.
    """
    run = context["dag_run"]
    if run.run_type in _ACTS_BY_ITSELF:
        return bool((run.conf or {}).get("dry_run", False))
    return bool(context["params"]["dry_run"])
