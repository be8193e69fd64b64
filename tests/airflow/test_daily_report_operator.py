"""The task of the daily report on a real estate, bare, up to what the API server shows of it."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from reelkeeper.errors import ConfigurationError
from reelkeeper.reports import list_reports
from reelkeeper_airflow.estate import open_catalogue, open_store
from reelkeeper_airflow.operators.daily_report import WriteReportOperator
from tests.owning import owned


def _context() -> Any:
    run = SimpleNamespace(run_id="run", run_type="scheduled", run_after=datetime.now(UTC), conf={})
    xcom: dict[str, Any] = {}
    return {"dag_run": run, "params": {}, "ti": SimpleNamespace(xcom_push=xcom.__setitem__), "xcom": xcom}


@pytest.mark.usefixtures("estate")
def test_a_report_is_written_linked_and_listed() -> None:
    with open_catalogue() as catalogue:
        list(open_store("cloud").set_up())
        owned(open_store("cloud"), catalogue)
    context = _context()
    counts = WriteReportOperator(task_id="write", day=None).execute(context)
    (report,) = list_reports(open_store("cloud"), "report_estate")
    assert context["xcom"] == {"report": report.key}
    assert (report.job, report.day, report.size_bytes) == ("report_estate", datetime.now(UTC).date(), counts["bytes"])
    past = WriteReportOperator(task_id="write", day="2026-01-31").execute(_context())
    newest, older = list_reports(open_store("cloud"), "report_estate")
    assert (newest.key, older.key) == (report.key, "reports/report_estate/2026-01-31/test.html")
    assert past["decisions"] == 2  # nobody has looked at the stores, nor judged the alarms
    assert b"No footage has come in yet." in b"".join(open_store("cloud").read(older.key))


@pytest.mark.usefixtures("estate_file")
def test_a_day_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"day is '31.01.2026': expected a date such as '2026-11-21'"):
        WriteReportOperator(task_id="write", day="31.01.2026").execute(_context())
