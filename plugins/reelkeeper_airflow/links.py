"""Links from a task to the report that it wrote."""

from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseOperator, BaseOperatorLink, Context, conf

from reelkeeper.model import Key

_XCOM_KEY = "report"


class ReportLink(BaseOperatorLink):
    """From a task to its report, which Airflow's API server reads from the exports store when somebody asks for it.

    So the link holds no signature, works for every kind of store, and is for those alone who may see the DAG's runs.
    Airflow makes it in the worker when the task has ended.
    """

    name = "Report"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        key = ti_key.xcom_pull(key=_XCOM_KEY, map_indexes=ti_key.map_index)
        return f"{conf.get('api', 'base_url', fallback='').rstrip('/')}/reelkeeper/{quote(key)}" if key else ""


def link_report(context: Context, report: Key) -> None:
    """Let the task's `ReportLink` lead to this report: `reports/{DAG id}/…` in the exports store."""
    context["ti"].xcom_push(_XCOM_KEY, report)
