"""The task of the daily report."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from airflow.sdk import BaseOperator, Context

from reelkeeper.errors import ConfigurationError
from reelkeeper_airflow.clock import run_clock
from reelkeeper_airflow.estate import current_estate, open_catalogue, open_store
from reelkeeper_airflow.lineage import REPORTED, Objects, Table, TellsLineage
from reelkeeper_airflow.links import ReportLink, link_report


class WriteReportOperator(TellsLineage, BaseOperator):
    """Writes the daily report into the store that keeps exports; the task's link `Report` leads to it.

    Returns how many things need a decision, by the report, and its size. A task that is run again writes the day's next
    report; none is overwritten. It needs a second or two and about 150 MB, for the charts.

    :param day: of which UTC day, as `2026-11-21`: the charts end with it; None or empty: today, as far as it has passed
    """

    template_fields: Sequence[str] = ("day",)
    operator_extra_links = (ReportLink(),)

    def __init__(self, *, day: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.day = day

    def execute(self, context: Context) -> dict[str, int]:
        from reelkeeper.reporting.daily import write_report

        estate, now = current_estate(), run_clock(context)
        day = self._day(now.date())
        with open_catalogue() as catalogue:
            written = write_report(estate, catalogue, open_store(estate.placement.exports_in), day=day, now=now)
        report = Objects(estate.placement.exports_in, REPORTED, objects=1, size_bytes=written.size_bytes)
        self.touched(read=[Table("usage_days"), Table("camera_days"), Table("transfer_hours")], wrote=[report])
        link_report(context, written.key)
        self.log.info("%s", written.page.summary)
        self.log.info("the report is %r in store %r", written.key, estate.placement.exports_in)
        return {"decisions": written.page.decisions, "bytes": written.size_bytes}

    def _day(self, today: date) -> date:
        if not self.day:
            return today
        try:
            return date.fromisoformat(self.day)
        except ValueError as exc:
            raise ConfigurationError(f"day is {self.day!r}: expected a date such as '2026-11-21'") from exc
