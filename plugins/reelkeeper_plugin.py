"""The only file that Airflow loads from this folder by itself: it registers what the package offers.

That is the pools of the estate's stores, what the API server serves below `/reelkeeper`, and the page of that which is
in Airflow's own navigation. Hooks and operators need no registration; the connection type comes from the package's
entry point.
"""

from typing import Any
from urllib.parse import urlsplit

from airflow.plugins_manager import AirflowPlugin
from airflow.sdk import conf

from reelkeeper_airflow import pools


async def _api(*arguments: Any) -> None:
    """The package's ASGI application, imported when it is first asked: that takes a second, and every scheduler and
    worker reads this file.
    """
    from reelkeeper_airflow.api.app import app

    await app(*arguments)


_BELOW = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/") + "/reelkeeper"
"""Where the application is, as browsers ask for it: Airflow may itself be below a path."""


class ReelkeeperPlugin(AirflowPlugin):
    """What Reelkeeper adds to Airflow itself."""

    name = "reelkeeper"
    listeners = [pools]  # noqa: RUF012 - AirflowPlugin wants it so
    fastapi_apps = [{"app": _api, "url_prefix": "/reelkeeper", "name": "Reelkeeper"}]  # noqa: RUF012 - as above
    external_views = [  # noqa: RUF012 - as above
        {
            "name": "Estate", "href": f"{_BELOW}/estate", "destination": "nav", "url_route": "estate",
            "nav_top_level": True, "icon": f"{_BELOW}/static/estate.svg",
            "icon_dark_mode": f"{_BELOW}/static/estate-on-dark.svg",
        }
    ]  # fmt: skip
