"""The only file that Airflow loads from this folder by itself: it registers what the package offers.

That is the pools of the estate's stores, and what the API server serves below `/reelkeeper`. Hooks and operators need
no registration; the connection type comes from the package's entry point.
"""

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from reelkeeper_airflow import pools


async def _api(*arguments: Any) -> None:
    """The package's ASGI application, imported when it is first asked: that takes a second, and every scheduler and
    worker reads this file.
    """
    from reelkeeper_airflow.api.app import app

    await app(*arguments)


class ReelkeeperPlugin(AirflowPlugin):
    """What Reelkeeper adds to Airflow itself."""

    name = "reelkeeper"
    listeners = [pools]  # noqa: RUF012 - AirflowPlugin wants it so
    fastapi_apps = [{"app": _api, "url_prefix": "/reelkeeper", "name": "Reelkeeper"}]  # noqa: RUF012 - as above
