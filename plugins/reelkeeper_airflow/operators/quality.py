"""The tasks that hold the catalogue against what is expected of it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from reelkeeper.errors import ConfigurationError
from reelkeeper.model import TimeRange
from reelkeeper_airflow.clock import run_clock
from reelkeeper_airflow.estate import current_estate, open_catalogue, open_store
from reelkeeper_airflow.lineage import Table, TellsLineage
from reelkeeper_airflow.links import ReportLink, link_report, report_address

if TYPE_CHECKING:
    from reelkeeper.quality.checking import Checked, Run

_CHECKED = (Table("segments"), Table("replicas"), Table("transfers"), Table("exports"))
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


class CheckCatalogueOperator(TellsLineage, BaseOperator):
    """Holds the catalogue against what is expected of it, and fails with the first of the rows that are wrong.

    The link leads to the Data Docs, which lead to the reports of all wrong rows. QualityFailed when an expectation of
    severity `fail` is not met; those of severity `warn` only tell. Returns counts.

    :param suites: the names of the suites; none: all
    :param start_time: footage and history from this time on, ISO 8601 with a zone; None: since ever
    :param end_time: and before this; None: until now. Without both: as estate.toml says
    """

    template_fields: Sequence[str] = ("suites", "start_time", "end_time")
    operator_extra_links = (ReportLink(),)

    def __init__(
        self, *, suites: Any = (), start_time: str | None = None, end_time: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.suites = suites
        self.start_time = start_time
        self.end_time = end_time

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.policy.quality import named
        from reelkeeper.quality.checking import check_catalogue

        run = _run_of(context)
        with open_catalogue() as catalogue:
            checked = check_catalogue(
                current_estate(),
                catalogue,
                open_store,
                run,
                suites=named([str(suite) for suite in self.suites or ()]),
                time_range=self._range(run.now),
            )
        self.touched(read=_CHECKED, wrote=[Table("quality_results", len(checked.results))])
        return _told(checked, context)

    def _range(self, now: datetime) -> TimeRange | None:
        if not self.start_time and not self.end_time:
            return None
        try:
            start = datetime.fromisoformat(str(self.start_time)) if self.start_time else _EVER
            end = datetime.fromisoformat(str(self.end_time)) if self.end_time else now
            return TimeRange(start, end)
        except ValueError as exc:
            raise ConfigurationError(f"start_time {self.start_time!r}, end_time {self.end_time!r}: {exc}") from exc


class CheckIngestedOperator(TellsLineage, BaseOperator):
    """Holds what the run took in against what is expected of segments and replicas; nothing is taken back.

    Skipped when the run took nothing in, or `quality.check_ingest` is off. QualityFailed, link and counts as of
    `CheckCatalogueOperator`; there is a page only when something is wrong.
    """

    operator_extra_links = (ReportLink(),)

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.quality.checking import check_ingested

        estate = current_estate()
        if not estate.quality.check_ingest:
            raise AirflowSkipException("'quality.check_ingest' is off in estate.toml")
        with open_catalogue() as catalogue:
            checked = check_ingested(estate, catalogue, open_store, _run_of(context))
        if checked is None:
            raise AirflowSkipException("the run took nothing in")
        self.touched(read=_CHECKED[:2], wrote=[Table("quality_results", len(checked.results))])
        return _told(checked, context)


def _run_of(context: Context) -> "Run":
    from reelkeeper.quality.checking import Run

    return Run(context["dag_run"].dag_id, context["dag_run"].run_id, run_clock(context))


def _told(checked: "Checked", context: Context) -> dict[str, int]:
    from airflow.sdk.observability import stats

    from reelkeeper.quality.checking import gate

    if checked.docs is not None:
        link_report(context, checked.docs)
    unmet = [result for result in checked.results if not result.success]
    counts = {
        "expectations": len(checked.results),
        "failed": sum(result.severity == "fail" for result in unmet),
        "warned": sum(result.severity == "warn" for result in unmet),
        "wrong_rows": sum(result.failing for result in checked.results),
    }
    for name in ("failed", "warned", "wrong_rows"):
        stats.gauge(f"reelkeeper.quality.{name}", counts[name], tags={"dag_id": context["dag_run"].dag_id})
    gate(checked, report_address(checked.docs) if checked.docs is not None else "")
    return counts
