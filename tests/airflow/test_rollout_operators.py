"""The tasks of the ramp, called bare on a real catalogue."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from reelkeeper.errors import ConfigurationError
from reelkeeper_airflow.estate import open_catalogue
from reelkeeper_airflow.operators.rollout import (
    ProposeRolloutStepOperator,
    SummariseRolloutOperator,
    TakeRolloutStepOperator,
)

NOW = datetime(2026, 3, 20, 3, 30, tzinfo=UTC)


class Run:
    """The context of one run; `answer` is what a person said to its question."""

    def __init__(
        self, run_id: str, *, run_type: str = "scheduled", dry_run: bool = False, due: datetime = NOW, **answer: Any
    ) -> None:
        self.xcom: dict[Any, Any] = {("approve", "return_value"): answer or {"approved": True, "by": "", "at": ""}}
        run = SimpleNamespace(run_id=run_id, run_type=run_type, conf={}, run_after=due, triggering_user_name="ann")
        ti = SimpleNamespace(
            xcom_push=lambda key, value: self.xcom.__setitem__(("propose", key), value),
            xcom_pull=lambda *, task_ids, key: self.xcom.get((task_ids, key)),
        )
        self.context: Any = {"dag_run": run, "ti": ti, "params": {"dry_run": dry_run}}

    def propose(self, **options: Any) -> Any:
        figures = ProposeRolloutStepOperator(task_id="propose", **options).execute(self.context)
        self.xcom["propose", "return_value"] = figures
        return figures

    def step(self, **options: Any) -> Any:
        return TakeRolloutStepOperator(task_id="step", **options).execute(self.context)

    def summary(self) -> Any:
        return SummariseRolloutOperator(task_id="summary").execute(self.context)


@pytest.fixture
def at_ten(estate: Path) -> Path:
    """The estate, its ramp not begun."""
    file = estate / "estate.toml"
    file.write_text(file.read_text().replace("percentage = 100", 'percentage = 10\nadvance = "ask"\nmin_transfers = 1'))
    return estate


def actions() -> list[str]:
    with open_catalogue() as catalogue:
        return [f"{step.action} {step.to_buckets} {step.decided_by}" for step in catalogue.rollout.history(10)]


def test_a_scheduled_run_decides_once_and_tells(at_ten: Path) -> None:
    run = Run("a")
    assert run.propose() == {"asks": False, "from_buckets": 1000, "to_buckets": 1000, "transfers": 0, "failed": 0}
    assert run.xcom["propose", "question"].startswith("start from 10 % to 10 %: ")
    assert run.step() == run.step() == {"from_buckets": 1000, "to_buckets": 1000}
    assert run.summary() == {"buckets": 1000}
    assert actions() == ["start 1000 reelkeeper"]


def test_by_hand_nothing_is_decided_unless_said(at_ten: Path) -> None:
    run = Run("a", run_type="manual", dry_run=True)
    for options in ({}, {"set_percentage": 50}):
        with pytest.raises(AirflowSkipException, match="dry run"):
            run.propose(**options)
    assert run.summary() == {"buckets": 1000}
    assert actions() == []


def test_a_person_sets_it_with_a_reason(at_ten: Path) -> None:
    run = Run("a", run_type="manual")
    assert run.propose(set_percentage=1) == {"asks": False}
    with pytest.raises(ConfigurationError, match="reason is empty"):
        run.step(set_percentage=1, reason="")
    assert run.step(set_percentage=1, reason="only a test") == {"from_buckets": 1000, "to_buckets": 100}
    assert actions() == ["step_back 100 ann"]
    with pytest.raises(ConfigurationError, match="set_percentage is 101"):
        run.propose(set_percentage=101)


@pytest.fixture
def transferred(at_ten: Path, catalogue_dsn: str) -> Callable[[datetime], None]:
    """Puts a transfer that succeeded into the history."""
    import psycopg2

    from reelkeeper.catalogue.partitions import HISTORY

    def add(at: datetime) -> None:
        with open_catalogue() as catalogue:
            catalogue._session.ensure_partitions(HISTORY, [at])
        options = "-c search_path=reelkeeper"
        with psycopg2.connect(catalogue_dsn, options=options) as connection, connection.cursor() as put:
            put.execute(
                "INSERT INTO transfers (segment_id, start_time, job, batch_id, destination_store, outcome, size_bytes,"
                " started_at, finished_at) VALUES (gen_random_uuid(), %(at)s, 'migrate', gen_random_uuid(), 'cloud',"
                " 'succeeded', 1, %(at)s, %(at)s)", {"at": at},
            )  # fmt: skip
        connection.close()

    return add


def test_an_answer_is_obeyed(at_ten: Path, transferred: Callable[[datetime], None]) -> None:
    Run("a").step()
    week = timedelta(days=7)
    transferred(NOW + week / 2)
    asking = Run("b", due=NOW + week, approved=False, by="bob", at="2026-03-28T08:00:00+00:00")
    assert asking.propose()["asks"]
    asking.summary()  # the step was skipped
    assert actions()[0] == "hold 1000 reelkeeper"
    with open_catalogue() as catalogue:
        assert catalogue.rollout.history(1)[0].reason == "rejected by 'bob' at 2026-03-28T08:00:00+00:00"
    assert Run("c", due=NOW + week).step() == {"from_buckets": 1000, "to_buckets": 1000}  # nobody was asked


def test_a_yes_is_done_though_what_it_was_said_to_is_older_than_the_dwell_time(
    at_ten: Path, transferred: Callable[[datetime], None]
) -> None:
    due = datetime.now(UTC) - timedelta(days=1)  # the person took a day to answer
    Run("a", due=due - timedelta(days=8)).step()
    transferred(due - timedelta(days=6, hours=23))
    asking = Run("b", due=due, approved=True, by="ann", at=datetime.now(UTC).isoformat())
    assert asking.propose()["asks"]
    assert asking.step() == {"from_buckets": 1000, "to_buckets": 2500}
    assert actions()[0] == "advance 2500 ann"


def test_a_run_that_was_due_before_the_last_decision_decides_now(at_ten: Path) -> None:
    # The DAG is unpaused at four in the afternoon, by a trigger: Airflow starts also the run of half past three.
    before = datetime.now(UTC)
    Run("by hand", run_type="manual", due=before).step(set_percentage=25, reason="a try")
    Run("scheduled", due=before - timedelta(hours=12)).step()
    with open_catalogue() as catalogue:
        late, first = catalogue.rollout.history(2)
    assert before <= first.decided_at <= late.decided_at
    assert late.reason == "the dwell time of 168 h is not over: 0 h have passed"


def test_outside_mode_hybrid_the_ramp_stands_still(at_ten: Path) -> None:
    file = at_ten / "estate.toml"
    file.write_text(file.read_text().replace('mode = "hybrid"', 'mode = "local"'))
    run = Run("a")
    with pytest.raises(AirflowSkipException, match=r"placement\.mode is 'local'"):
        run.propose()
    assert run.summary() == {"buckets": 1000}
    assert actions() == []
