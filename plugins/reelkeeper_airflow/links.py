"""Links from a task to the report that it wrote, or to the export that it made."""

from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseOperator, BaseOperatorLink, Context, conf

from reelkeeper.model import Key

_XCOM_KEY = "report"
EXPORT_KEY = "export_id"
"""The XCom in which tasks of an export leave its id."""


class ReportLink(BaseOperatorLink):
    """From a task to its report, which Airflow's API server reads from the exports store when somebody asks for it.

    So the link holds no signature, works for every kind of store, and is for those alone who may see the DAG's runs.
    Airflow makes it in the worker when the task has ended.
    """

    name = "Report"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        key = ti_key.xcom_pull(key=_XCOM_KEY, map_indexes=ti_key.map_index)
        return report_address(key) if key else ""


def link_report(context: Context, report: Key) -> None:
    """Let the task's `ReportLink` lead to this report: `reports/{DAG id}/…` in the exports store."""
    context["ti"].xcom_push(_XCOM_KEY, report)


def report_address(report: Key) -> str:
    """Where people find a report: an address that stays and is no secret, for those who may see the DAG's runs."""
    return _address(quote(report))


class ExportLink(BaseOperatorLink):
    """From a task to the export that it works on: how it stands, and its files, signed anew for whoever opens one."""

    name = "Export"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        export = ti_key.xcom_pull(key=EXPORT_KEY, map_indexes=ti_key.map_index)
        return export_address(export) if export else ""


def export_address(export: object) -> str:
    """Where people find an export: an address that stays and is no secret, for those who may see the DAG's runs."""
    return _address(f"exports/{export}")


def _address(path: str) -> str:
    """Of one of our own pages, as people reach Airflow."""
    return f"{conf.get('api', 'base_url', fallback='').rstrip('/')}/reelkeeper/{path}"
