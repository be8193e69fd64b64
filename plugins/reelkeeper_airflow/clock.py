"""The time by which a run works: the real one, or in a rehearsal one of the run's own."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import Context

from reelkeeper.errors import ConfigurationError
from reelkeeper.model import utc
from reelkeeper_airflow.estate import current_estate


def run_clock(context: Context) -> datetime:
    """Now, in UTC, by the run's clock. The real time, unless param `clock` says otherwise; see `clock_offset`."""
    return datetime.now(UTC) + clock_offset(context)


def trusted_clock(context: Context) -> datetime:
    """`run_clock`, for what takes something away: GateFailed when this worker's own clock is not the catalogue's."""
    from reelkeeper.timekeeping import check_clock
    from reelkeeper_airflow.estate import open_catalogue

    with open_catalogue() as catalogue:
        check_clock(catalogue, datetime.now(UTC))
    return run_clock(context)


def clock_offset(context: Context) -> timedelta:
    """How far the run's clock is ahead of the real one: nothing, unless param `clock` is set.

    The clock stands at `clock` when the run is triggered and goes on from there, so that claims and waits end in a
    rehearsal, too. Add the offset to a store's own clock and to the ages of what it holds. ConfigurationError for a
    clock that is naive or no time, and for any clock in an estate that is not for rehearsals.
    """
    given = context["params"].get("clock")
    if not given:
        return timedelta()
    if not current_estate().rehearsal:
        raise ConfigurationError(
            f"param 'clock' is {given!r}: expected none, as this estate has no 'rehearsal = true' in its estate.toml; "
            "with a clock of its own a run deletes footage early"
        )
    try:
        clock = utc(datetime.fromisoformat(str(given)))
    except ValueError as exc:
        raise ConfigurationError(
            f"param 'clock' is {given!r}: expected an ISO 8601 time with a zone, such as '2026-11-21T02:00:00Z'"
        ) from exc
    triggered = context["dag_run"].run_after
    return clock - utc(triggered)
