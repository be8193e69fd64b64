"""What every task of ours has in common: when it is tried again, and who hears of it when it is not."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from airflow.sdk import Context, ExceptionRetryPolicy, RetryAction, RetryRule, conf

from reelkeeper.errors import (
    AccessDenied,
    BucketNotFound,
    BucketOwnedByOther,
    CredentialsNotFound,
    PermanentError,
    ReelkeeperError,
    RegionMismatch,
    StoreFull,
    StoreNotOurs,
)

log = logging.getLogger(__name__)

UNAVAILABLE = (
    AccessDenied, BucketNotFound, BucketOwnedByOther, CredentialsNotFound, RegionMismatch, StoreFull, StoreNotOurs,
)  # fmt: skip
"""What makes a whole store unusable until a person has done something about it."""


def alert(context: Context) -> None:
    """Failure callback: one clear line in the log, then whatever `[reelkeeper] alert` names, with the task's context.

    Airflow calls it when a task fails for good: after its last retry, or at once for a PermanentError.
    """
    error = context.get("exception")
    if isinstance(error, UNAVAILABLE):
        log.error("service unavailable: %s", error)
    else:
        log.error("failed for good: %s", error)
    count_error(context)
    hook = conf.get("reelkeeper", "alert", fallback="")
    if hook:
        notify: Callable[[Context], object] = conf.getimport("reelkeeper", "alert")
        notify(context)


def count_error(context: Context) -> None:
    """Metric `reelkeeper.errors` by code and DAG, for each failed try."""
    from airflow.sdk.observability import stats

    error = context.get("exception")
    code = error.code if isinstance(error, ReelkeeperError) else type(error).__name__
    stats.incr("reelkeeper.errors", tags={"code": code, "dag_id": context["ti"].dag_id})


TASK_DEFAULTS: dict[str, Any] = {
    "owner": "reelkeeper",
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 2,
    "max_retry_delay": timedelta(minutes=15),
    "retry_policy": ExceptionRetryPolicy(
        rules=[
            RetryRule(
                list(UNAVAILABLE),
                RetryAction.FAIL,
                reason="service unavailable: a person must act; see the error above",
            ),
            RetryRule(PermanentError, RetryAction.FAIL, reason="trying again without a change cannot help"),
        ]
    ),
    "on_failure_callback": alert,
    "on_retry_callback": count_error,
}
"""`default_args` of every DAG: what may pass is tried again with growing pauses, a PermanentError is not."""
