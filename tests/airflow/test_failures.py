"""Which errors are tried again, and who is told of those that are not."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import RetryAction

from reelkeeper import errors
from reelkeeper_airflow.failures import TASK_DEFAULTS, UNAVAILABLE, alert

told: list[object] = []


def page(context: Any) -> None:
    """What `[reelkeeper] alert` names in a test below."""
    told.append(context["exception"])


def every_error(base: type[Exception] = errors.ReelkeeperError) -> list[type[Exception]]:
    """Those of `reelkeeper.errors`; modules that refine one keep its base."""
    children = [child for child in base.__subclasses__() if child.__module__ == errors.__name__]
    return [base, *(each for child in children for each in every_error(child))]


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_only_what_can_pass_is_tried_again(kind: type[Exception]) -> None:
    error = kind("what happened", code="x") if kind is errors.InvalidFootage else kind("what happened")
    decision = TASK_DEFAULTS["retry_policy"].evaluate(error, try_number=1, max_tries=3)
    expected = RetryAction.FAIL if isinstance(error, errors.PermanentError) else RetryAction.DEFAULT
    assert decision.action is expected
    if isinstance(error, UNAVAILABLE):
        assert "service unavailable" in decision.reason


def test_the_unknown_is_tried_again() -> None:
    decision = TASK_DEFAULTS["retry_policy"].evaluate(RuntimeError("?"), try_number=1, max_tries=3)
    assert decision.action is RetryAction.DEFAULT
    assert (TASK_DEFAULTS["retries"], TASK_DEFAULTS["retry_exponential_backoff"]) == (3, 2)


def test_an_alert_is_one_clear_line_and_a_call(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__REELKEEPER__ALERT", f"{__name__}.page")
    error = errors.BucketNotFound("store 'cloud': bucket 'footage' does not exist")
    context: Any = {"exception": error, "ti": SimpleNamespace(dag_id="migrate_recordings")}
    with caplog.at_level(logging.ERROR, "reelkeeper_airflow.failures"):
        alert(context)
    assert [record.getMessage() for record in caplog.records] == [f"service unavailable: {error}"]
    assert told == [error]
