"""The clock of a run, and whether it only tells what it would do."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reelkeeper.errors import ConfigurationError
from reelkeeper_airflow.clock import clock_offset, run_clock
from reelkeeper_airflow.params import dry_run_param, is_dry_run

MONTH = timedelta(days=31)


def context(
    params: dict[str, Any],
    *,
    run_type: str = "manual",
    conf: dict[str, Any] | None = None,
    age: timedelta = timedelta(),
) -> Any:
    """Of a run that was triggered `age` ago."""
    run = SimpleNamespace(run_type=run_type, conf=conf, run_after=datetime.now(UTC) - age)
    return {"params": params, "dag_run": run}


@pytest.fixture
def rehearsal(estate_file: Path) -> None:
    estate_file.write_text(estate_file.read_text().replace('tenant = "acme"', 'tenant = "acme"\nrehearsal = true'))


def close(one: datetime, other: datetime) -> bool:
    return abs(one - other) < timedelta(seconds=5)


@pytest.mark.parametrize("params", [{}, {"clock": None}, {"clock": ""}])
def test_without_a_clock_it_is_now(estate_file: Path, params: dict[str, Any]) -> None:
    assert close(run_clock(context(params)), datetime.now(UTC))
    assert clock_offset(context(params)) == timedelta()


@pytest.mark.usefixtures("rehearsal")
def test_a_clock_goes_on_from_when_the_run_was_triggered() -> None:
    ahead = datetime.now(UTC) + MONTH
    tries = [context({"clock": ahead.isoformat()}, age=timedelta(minutes=minutes)) for minutes in (0, 10)]
    assert close(run_clock(tries[0]), ahead)
    assert close(run_clock(tries[1]), ahead + timedelta(minutes=10))
    assert clock_offset(tries[1]) > MONTH


@pytest.mark.usefixtures("rehearsal")
def test_any_zone_is_the_same_instant() -> None:
    there = run_clock(context({"clock": "2030-06-01T02:00:00+02:00"}))
    assert close(there, datetime(2030, 6, 1, tzinfo=UTC))
    assert there.tzinfo is UTC


@pytest.mark.usefixtures("rehearsal")
@pytest.mark.parametrize("clock", ["2030-06-01T02:00:00", "in a month", "2030-13-01T00:00:00Z"])
def test_a_clock_without_a_zone_or_sense_is_refused(clock: str) -> None:
    with pytest.raises(ConfigurationError, match="expected an ISO 8601 time with a zone"):
        run_clock(context({"clock": clock}))


def test_an_estate_that_is_not_for_rehearsals_has_no_other_clock(estate_file: Path) -> None:
    with pytest.raises(ConfigurationError, match="rehearsal = true"):
        run_clock(context({"clock": "2030-06-01T00:00:00Z"}))


def test_by_hand_it_is_a_dry_run_unless_somebody_says_no() -> None:
    default = {"dry_run": dry_run_param().resolve()}
    assert is_dry_run(context(default))
    assert not is_dry_run(context({"dry_run": False}, conf={"dry_run": False}))
    assert is_dry_run(context(default, run_type="operator_triggered"))


@pytest.mark.parametrize("run_type", ["scheduled", "backfill", "asset_triggered"])
def test_a_run_that_nobody_triggered_acts_unless_its_conf_says_no(run_type: str) -> None:
    default = {"dry_run": dry_run_param().resolve()}
    assert not is_dry_run(context(default, run_type=run_type))
    assert not is_dry_run(context(default, run_type=run_type, conf={}))
    assert is_dry_run(context(default, run_type=run_type, conf={"dry_run": True}))
