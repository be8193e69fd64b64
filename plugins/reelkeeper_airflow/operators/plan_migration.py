"""The tasks of a migration that decide what is to be done: which segments, in which batches, and by which tasks."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseBranchOperator, BaseOperator, Context
from airflow.sdk.bases.skipmixin import SkipMixin
from airflow.sdk.exceptions import AirflowSkipException

from reelkeeper.errors import ConfigurationError
from reelkeeper.model import TimeRange
from reelkeeper.policy.rollout import Percentage
from reelkeeper.wording import size
from reelkeeper_airflow.estate import current_estate, open_catalogue
from reelkeeper_airflow.hooks.environment import truth

if TYPE_CHECKING:
    from reelkeeper.migration.job import MigrationPlan

_ITS_INTERVAL = ("scheduled", "backfill")
"""The types of run whose data interval is their work; another run takes the range that it was given."""


class PlanMigrationOperator(BaseOperator, SkipMixin):
    """Puts the segments that the rollout wants at the destination into batches, and returns the batches' ids.

    A scheduled run takes the segments that start in its data interval, what earlier runs left of the
    `migration.catch_up_days` before it, and what was requested; one of a backfill takes exactly its interval; any other
    takes the range that it is given, or all history and the requests. When the interval is not `older_than` past, the
    task waits in the triggerer, without a slot.

    When a run of the first two kinds finds nothing to do, it ends here: all that comes after is skipped, whatever its
    trigger rule. Skipped itself, with an empty list of ids, when the estate's mode forbids the cloud. XCom `counts` has
    segments, bytes, what is left for later runs, and what is left out since its source is archived.

    :param destination: where the copies go; None: the estate's cloud store
    :param source: where the copies come from; None: the estate's local store
    :param percentage: share of segments, 0 to 100; None: the rollout's
    :param start_time: first start of segments, ISO 8601; None: ever
    :param end_time: their starts lie before this; None: now
    :param batch_size: most segments of one batch; None: as in estate.toml
    :param older_than_minutes: how long ago a segment must have ended; None: as in estate.toml
    :param is_dry_run: count, and change nothing
    :param only_verify: a segment id for `VerifySegmentOperator`; with one, nothing is planned
    """

    inherits_from_skipmixin = True
    template_fields: Sequence[str] = (
        "destination", "source", "percentage", "start_time", "end_time", "batch_size", "older_than_minutes",
        "is_dry_run", "only_verify",
    )  # fmt: skip

    def __init__(
        self,
        *,
        destination: str | None = None,
        source: str | None = None,
        percentage: float | str | None = None,
        start_time: str | None = None,
        end_time: str | None = None,
        batch_size: int | str | None = None,
        older_than_minutes: int | str | None = None,
        is_dry_run: bool | str = False,
        only_verify: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.destination = destination
        self.source = source
        self.percentage = percentage
        self.start_time = start_time
        self.end_time = end_time
        self.batch_size = batch_size
        self.older_than_minutes = older_than_minutes
        self.is_dry_run = is_dry_run
        self.only_verify = only_verify

    def execute(self, context: Context, event: Any = None) -> list[str]:
        from reelkeeper.migration.job import plan_migration

        estate = current_estate()
        if self.only_verify:
            self.log.info("nothing is planned: a segment is only verified")
            return []
        if not (self.destination or estate.placement.cloud_store):
            self.log.info("nothing is planned: the estate has no cloud store")
            self._skip("the estate has no cloud store", context)
        run_type = context["dag_run"].run_type
        if run_type in _ITS_INTERVAL:
            interval: TimeRange | None = self._await_interval(context)
        else:
            interval = self._given_range()
        with open_catalogue() as catalogue:
            plan = plan_migration(
                estate,
                catalogue,
                run_id=context["dag_run"].run_id,
                interval=interval,
                source=self.source,
                destination=self.destination,
                percentage=None if self.percentage is None else Percentage.of(self.percentage),
                batch_size=None if self.batch_size is None else int(self.batch_size),
                # The interval is old enough by now. Its last segment may have ended after it, and belongs here as well.
                older_than=timedelta(0) if run_type in _ITS_INTERVAL else self._older_than(),
                rest_older_than=self._older_than(),
                catch_up=timedelta(days=estate.migration.catch_up_days if run_type == "scheduled" else 0),
                include_requests=run_type == "scheduled" or interval is None,
                dry_run=truth(self.is_dry_run, name="dry_run"),
            )
        batch_ids = self._told(plan, interval, context)
        if not batch_ids and run_type in _ITS_INTERVAL:
            context["ti"].xcom_push("return_value", batch_ids)  # `skip` leaves this method by an exception
            self.skip(context["ti"], self.get_flat_relatives(upstream=False))
        return batch_ids

    def _await_interval(self, context: Context) -> TimeRange:
        """The run's data interval, once it is old enough: until then the task defers."""
        start, end = context["dag_run"].data_interval_start, context["dag_run"].data_interval_end
        if start is None or end is None:
            raise ConfigurationError(
                f"run {context['dag_run'].run_id!r} has no data interval: expected the timetable to give one"
            )
        due = end + self._older_than()
        if due > datetime.now(UTC):
            from airflow.providers.standard.triggers.temporal import DateTimeTrigger

            self.log.info("waiting until %s: the interval's segments must be %s old", due, self._older_than())
            self.defer(trigger=DateTimeTrigger(moment=due), method_name="execute")
        return TimeRange(start, end)

    def _older_than(self) -> timedelta:
        minutes = self.older_than_minutes
        return timedelta(minutes=current_estate().migration.older_than_minutes if minutes is None else int(minutes))

    def _given_range(self) -> TimeRange | None:
        if not self.start_time and not self.end_time:
            return None
        start = datetime.fromisoformat(self.start_time) if self.start_time else datetime(1970, 1, 1, tzinfo=UTC)
        end = datetime.fromisoformat(self.end_time) if self.end_time else datetime.now(UTC)
        try:
            return TimeRange(start, end)
        except ValueError as exc:
            raise ConfigurationError(f"start_time {self.start_time!r}, end_time {self.end_time!r}: {exc}") from exc

    def _told(self, plan: "MigrationPlan", interval: TimeRange | None, context: Context) -> list[str]:
        counts = {
            "segments": plan.segments, "bytes": plan.size_bytes, "left": plan.left_segments,
            "archived": plan.archived_segments,
        }  # fmt: skip
        context["ti"].xcom_push("counts", counts | {"dry_run": int(plan.dry_run)})
        if plan.barred:
            self._skip(plan.barred, context)
        self.log.info(
            "%s %d segments, %s, from store %r to %r at %s, %s, in %d batches; %d more are left for later runs",
            "would copy" if plan.dry_run else "to copy:", plan.segments, size(plan.size_bytes), plan.source,
            plan.destination, plan.percentage, f"[{interval.start}, {interval.end})" if interval else "all history",
            len(plan.batches), plan.left_segments,
        )  # fmt: skip
        if plan.archived_segments:
            self.log.warning("%s", left_out(plan.archived_segments))
        return [str(batch.id) for batch in plan.batches]

    def _skip(self, why: str, context: Context) -> NoReturn:
        context["ti"].xcom_push("return_value", [])  # a plan that failed leaves none: the gate tells them apart
        raise AirflowSkipException(why)


def left_out(archived: int) -> str:
    """What to tell people of sources that a plan left out."""
    return (
        f"{archived} more segments are left out: their sources are archived; restore_recordings makes them readable, "
        "and a later run takes them"
    )


class RouteMigrationOperator(BaseBranchOperator):
    """Lets the tasks of the run's destination run, or the one that only verifies, and skips all others.

    :param routes: the ids of the tasks directly after this one that belong to each store
    :param destination: the run's; None: the estate's cloud store
    :param verify_task_id: of the task that verifies one segment
    :param only_verify: a segment id; None: none
    """

    template_fields: Sequence[str] = ("destination", "only_verify")

    def __init__(
        self,
        *,
        routes: Mapping[str, Sequence[str]],
        verify_task_id: str,
        destination: str | None = None,
        only_verify: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.routes = routes
        self.verify_task_id = verify_task_id
        self.destination = destination
        self.only_verify = only_verify

    def choose_branch(self, context: Context) -> list[str]:
        if self.only_verify:
            return [self.verify_task_id]
        return list(self.routes.get(self.destination or current_estate().placement.cloud_store or "", ()))
