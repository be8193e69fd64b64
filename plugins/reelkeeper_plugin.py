"""The only file that Airflow loads from this folder by itself: it registers what the package offers.

At present that is the pools of the estate's stores. Hooks and operators need no registration; the connection type comes
from the package's entry point.
"""

from airflow.plugins_manager import AirflowPlugin

from reelkeeper_airflow import pools


class ReelkeeperPlugin(AirflowPlugin):
    """What Reelkeeper adds to Airflow itself."""

    name = "reelkeeper"
    listeners = [pools]  # noqa: RUF012 - AirflowPlugin wants it so
